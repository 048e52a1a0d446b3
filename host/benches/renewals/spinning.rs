//! Guests that never end by themselves, in a sandbox of their own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time};
use warren::{
    adapters::wasm::{SandboxConfig, WasmSandbox},
    domain::{
        capability::{Capability, CapabilitySet},
        ids::PluginName,
        limits::Limits,
        plugin::{Manifest, WORLD},
        work_item::{TaskType, WorkItem},
    },
    ports::{
        guest::GuestHost,
        sandbox::{Activation, Prepared, Sandbox},
    },
};

use super::{GUESTS, items::item, no_host::NoHost};

/// Longer than the bench takes.
const LONG: Duration = Duration::from_secs(3600);

pub struct Spinners {
    pub sandbox: Arc<WasmSandbox>,
    prepared: Arc<dyn Prepared>,
    limits: Limits,
    host: Arc<dyn GuestHost>,
}

impl Spinners {
    pub async fn new(component: Vec<u8>, threads: usize) -> Spinners {
        let limits = Limits {
            cpu: LONG,
            deadline: LONG,
            ..Limits::default()
        };
        let sandbox = WasmSandbox::new(SandboxConfig {
            slots: GUESTS as u32,
            maxima: limits.clone(),
            guest_threads: threads,
            ..SandboxConfig::default()
        })
        .unwrap();
        let manifest = Manifest {
            name: PluginName::new("hostile").unwrap(),
            version: "1".to_owned(),
            world: WORLD.to_owned(),
            description: String::new(),
            capabilities: all(),
            limits: Default::default(),
        };
        Spinners {
            prepared: sandbox.prepare(&manifest, component).await.unwrap(),
            sandbox: Arc::new(sandbox),
            limits,
            host: Arc::new(NoHost),
        }
    }

    /// All of them spin until [`Spinners::stop`].
    pub fn start(&self) -> JoinSet<()> {
        let mut running = JoinSet::new();
        for number in 0..GUESTS {
            let prepared = Arc::clone(&self.prepared);
            let activation = Activation {
                item: WorkItem {
                    payload: Some("spin".to_owned()),
                    ..item(number, TaskType::Direct)
                },
                capabilities: all(),
                limits: self.limits.clone(),
                wipe_workspace: false,
                config: Arc::new(BTreeMap::new()),
                host: Arc::clone(&self.host),
            };
            running.spawn(async move {
                let ended = prepared.activate(activation).await;
                panic!("a guest that spins should not end: {ended:?}");
            });
        }
        running
    }

    /// Cut them, and wait until the last one has let go of its host.
    pub async fn stop(&self, mut running: JoinSet<()>) {
        running.abort_all();
        while let Some(ended) = running.join_next().await {
            assert!(ended.is_err_and(|error| error.is_cancelled()));
        }
        while Arc::strong_count(&self.host) > 1 {
            time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn all() -> CapabilitySet {
    Capability::ALL.into_iter().collect()
}
