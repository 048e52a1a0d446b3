//! A host's plugins, as far as reloading goes: files, sandbox, store, and the service between them.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;
use warren::{
    adapters::{
        files::PluginFolder,
        sqlite::SqliteStore,
        wasm::{SandboxConfig, WasmSandbox},
    },
    domain::{
        capability::{Capability, CapabilitySet},
        ids::{AgentId, AgentName, ItemId, PluginName},
        limits::Limits,
        time::UnixMillis,
        work_item::{Priority, TaskType, WorkItem},
    },
    ports::sandbox::{Activation, Prepared, Verdict},
    services::plugins::{Change, Plugins, Took},
};

use super::{ASKED, no_host::NoHost, spread::Spread, store};

pub struct Place {
    pub plugins: Arc<Plugins>,
    component: PathBuf,
    /// How many versions, so that each is another.
    made: Cell<u32>,
    _store: SqliteStore,
    _folder: TempDir,
}

/// Versions that have been compiled.
pub struct Kept {
    versions: [Vec<u8>; 2],
    /// Which of them does not run, unless another component does.
    next: Cell<usize>,
}

impl Place {
    pub async fn new() -> Place {
        let folder = store::folder();
        let store = store::open(&folder, Default::default());
        let plugin = folder.path().join("plugins/p");
        fs::create_dir_all(&plugin).unwrap();
        let manifest = warren_tests::components::manifest("p");
        let all: Vec<String> = Capability::ALL
            .iter()
            .map(|capability| format!("{:?}", capability.as_str()))
            .collect();
        let manifest = manifest.replace("capabilities = []", &format!("capabilities = [{}]", all.join(", ")));
        fs::write(plugin.join("plugin.toml"), manifest).unwrap();
        let sandbox = WasmSandbox::new(SandboxConfig {
            cache_dir: Some(folder.path().join("compiled")),
            ..SandboxConfig::default()
        })
        .unwrap();
        let source = PluginFolder::new(folder.path().join("plugins"));
        let numbers = store.store().plugins;
        Place {
            plugins: Arc::new(Plugins::new(Arc::new(sandbox), numbers, Arc::new(source))),
            component: plugin.join("plugin.wasm"),
            made: Cell::new(0),
            _store: store,
            _folder: folder,
        }
    }

    /// Reload a version that has never been compiled, with a first activation.
    pub async fn compiled(&self, component: &[u8]) -> Stages {
        self.put(&self.version(component));
        let stages = self.once().await;
        assert!(!stages.reload.making.cached);
        stages
    }

    /// Two versions whose machine code is kept from now on.
    pub async fn keep(&self, component: &[u8]) -> Kept {
        let versions = [self.version(component), self.version(component)];
        for version in &versions {
            self.put(version);
            self.once().await;
        }
        Kept {
            versions,
            next: Cell::new(0),
        }
    }

    /// Reload the version that does not run, with a first activation.
    pub async fn kept(&self, kept: &Kept) -> Stages {
        let next = kept.next.get();
        kept.next.set(1 - next);
        self.put(&kept.versions[next]);
        let stages = self.once().await;
        assert!(stages.reload.making.cached);
        stages
    }

    /// Another component that does the same: a custom section, called "v", holds a number.
    fn version(&self, component: &[u8]) -> Vec<u8> {
        let number = self.made.get();
        self.made.set(number + 1);
        let mut version = component.to_vec();
        version.extend([0, 6, 1, b'v']);
        version.extend(number.to_le_bytes());
        version
    }

    /// In one step, and nobody is writing it any more: how long a reload leaves a new file alone is no work.
    fn put(&self, component: &[u8]) {
        let partial = self.component.with_extension("partial");
        fs::write(&partial, component).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        fs::File::open(&partial).unwrap().set_modified(long_ago).unwrap();
        fs::rename(&partial, &self.component).unwrap();
    }

    async fn once(&self) -> Stages {
        let began = Instant::now();
        let reloaded = self.plugins.reload(None).await.unwrap().remove(0);
        assert!(
            matches!(reloaded.change, Ok(Change::New | Change::From(_))),
            "{:?}",
            reloaded.change
        );
        let commanded = began.elapsed();
        let activating = Instant::now();
        activate(&*reloaded.running.unwrap().prepared, ASKED).await;
        Stages {
            reload: reloaded.took,
            first: activating.elapsed(),
            all: commanded + activating.elapsed(),
        }
    }

    pub fn current(&self) -> Arc<warren::services::plugins::LoadedPlugin> {
        self.plugins.current(&PluginName::new("p").unwrap()).unwrap()
    }
}

/// One activation of whatever this is, to its good end.
pub async fn activate(prepared: &dyn Prepared, payload: &str) {
    let activated = prepared
        .activate(Activation {
            item: WorkItem {
                id: ItemId::fresh(),
                agent_id: AgentId::new("agent-1").unwrap(),
                agent_name: AgentName::new("tester").unwrap(),
                task_type: TaskType::Direct,
                priority: Priority::High,
                inbox_count: 0,
                created_at: UnixMillis(1_700_000_000_000),
                attempt: 1,
                payload: Some(payload.to_owned()),
                min_interval: Duration::ZERO,
                trace_context: None,
            },
            capabilities: CapabilitySet::from_iter(Capability::ALL),
            limits: Limits::default(),
            config: Arc::new(BTreeMap::new()),
            host: Arc::new(NoHost),
            wipe_workspace: false,
        })
        .await;
    assert!(matches!(activated.verdict, Verdict::Outcome { .. }), "{activated:?}");
}

/// Where the time of one reload went.
pub struct Stages {
    pub reload: Took,
    /// The first activation.
    pub first: Duration,
    pub all: Duration,
}

impl Stages {
    pub fn header() -> String {
        format!(
            "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}   (ms, medians)",
            "command to first activation", "read", "inspect", "compile", "link", "number", "first", "ALL", "ALL, p99"
        )
    }

    pub fn row(name: &str, all: &[Stages]) -> String {
        let spread = |stage: fn(&Stages) -> Duration| Spread::of(all.iter().map(stage));
        let stages: [fn(&Stages) -> Duration; 7] = [
            |stages| stages.reload.read,
            |stages| stages.reload.inspect,
            |stages| stages.reload.making.compiled,
            |stages| stages.reload.making.linked,
            |stages| stages.reload.number,
            |stages| stages.first,
            |stages| stages.all,
        ];
        let mut row = format!("{name:<28}");
        for stage in stages {
            row.push_str(&format!(" {:>9.2}", spread(stage).median() / 1e3));
        }
        row.push_str(&format!(" {:>9.2}", spread(|stages| stages.all).p99() / 1e3));
        row
    }
}
