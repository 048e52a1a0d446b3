//! Defect 28: the store has no persistence (emptyDir, no append-only file), so that replacing its pod wipes the queue and the
//! fences. What the manifest says, and a server that is started with it, killed and started again.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU8, Ordering},
};

use serde_json::{Value, json};
use warren_tests::{
    SOON, eventually,
    process::{Finished, Process},
};

use super::{
    container,
    manifests::{Manifests, bytes, list, name_of, text},
    pods::{environment, workload},
};

/// The value of an option of the server.
fn option<'a>(arguments: &'a [String], name: &str) -> &'a str {
    let found = arguments.windows(2).find(|pair| pair[0] == format!("--{name}"));
    found.map_or("", |pair| pair[1].as_str())
}

/// Everything by which the store could lose what it has acknowledged.
fn problems(manifests: &Manifests) -> Vec<String> {
    let store = workload(manifests, "valkey");
    let arguments = store.arguments(manifests);
    let mut problems = Vec::new();
    for (name, wanted) in [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("maxmemory-policy", "noeviction"),
    ] {
        let is = option(&arguments, name);
        if is != wanted {
            problems.push(format!("{name} is {is:?}, not {wanted:?}"));
        }
    }
    let mut mounts = list(store.container(), "/volumeMounts").iter();
    let mount = mounts.find(|mount| mount["mountPath"] == option(&arguments, "dir"));
    let mut claims = list(store.object, "/spec/volumeClaimTemplates").iter();
    if !claims.any(|claim| mount.is_some_and(|mount| mount["name"] == name_of(claim))) {
        problems.push("its files are on no volume that outlives the pod".to_owned());
    }
    if store.object["spec"]["persistentVolumeClaimRetentionPolicy"]
        != json!({ "whenDeleted": "Retain", "whenScaled": "Retain" })
    {
        problems.push("the volume goes with the StatefulSet".to_owned());
    }
    if store.object["spec"]["replicas"] != 1 {
        problems.push("several servers that don't know each other are several stores".to_owned());
    }
    let limit = bytes(&store.container()["resources"]["limits"]["memory"]);
    let most = option(&arguments, "maxmemory")
        .trim_end_matches("mb")
        .parse::<u64>()
        .unwrap_or(0)
        << 20;
    if most == 0 || most * 2 > limit {
        problems.push(format!(
            "maxmemory {most} can't be there twice in {limit} bytes, as while the file is rewritten"
        ));
    }
    if option(&arguments, "requirepass").is_empty() {
        problems.push("anybody may use it".to_owned());
    }
    problems
}

#[test]
fn what_it_has_acknowledged_is_on_a_disk_that_outlives_the_pod() {
    assert_eq!(problems(&Manifests::base()), [""; 0]);
}

#[test]
fn a_store_that_forgets_is_found() {
    let slips: &[fn(&mut Value)] = &[
        |s| {
            s["spec"]["volumeClaimTemplates"] = Value::Null;
            s["spec"]["template"]["spec"]["volumes"] = json!([{ "name": "data", "emptyDir": {} }]);
        },
        |s| argument(s, "--appendonly", "no"),
        |s| argument(s, "--appendfsync", "everysec"),
        |s| argument(s, "--maxmemory-policy", "allkeys-lru"),
        |s| argument(s, "--maxmemory", "900mb"),
        |s| argument(s, "--dir", "/tmp"),
        |s| s["spec"]["replicas"] = json!(2),
        |s| s["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] = json!("Delete"),
    ];
    for (at, slip) in slips.iter().enumerate() {
        let mut manifests = Manifests::base();
        manifests.change("StatefulSet", slip);
        assert_eq!(problems(&manifests).len(), 1, "slip {at}");
    }
}

fn argument(workload: &mut Value, name: &str, value: &str) {
    let arguments = container(workload)["args"].as_array_mut().unwrap();
    let at = arguments.iter().position(|argument| argument == name).unwrap();
    arguments[at + 1] = json!(value);
}

/// A server as the StatefulSet starts it, except for its folder and its address.
pub struct DeployedStore {
    manifests: Manifests,
    folder: PathBuf,
    /// On the port that the Service has.
    pub address: Ipv4Addr,
    server: Process,
}

impl DeployedStore {
    #[track_caller]
    pub fn start(manifests: &Manifests, folder: &Path) -> DeployedStore {
        let address = own_address();
        let store = DeployedStore {
            manifests: manifests.clone(),
            folder: folder.to_owned(),
            address,
            server: serve(manifests, folder, address),
        };
        store.wait_ready();
        store
    }

    fn wait_ready(&self) {
        eventually("a store that is ready", SOON, || {
            (self.probe("readinessProbe").code == Some(0)).then_some(())
        });
    }

    /// `kill -9`, as when the pod is lost.
    pub fn kill9(&mut self) {
        self.server.kill9();
    }

    /// Another pod on the same volume.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.server = serve(&self.manifests, &self.folder, self.address);
        self.wait_ready();
    }

    /// What a probe of the container does.
    fn probe(&self, name: &str) -> Finished {
        let command = list(
            workload(&self.manifests, "valkey").container(),
            &format!("/{name}/exec/command"),
        );
        assert_eq!(command[0], "valkey-cli");
        self.cli(&command[1..].iter().map(text).collect::<Vec<_>>())
    }

    /// `valkey-cli` in the container.
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        let container = workload(&self.manifests, "valkey").container();
        let mut command = Command::new("redis-cli");
        command.envs(environment(&self.manifests, container).unwrap());
        Process::run(command.args(["-h", &self.address.to_string()]).args(arguments))
    }
}

fn serve(manifests: &Manifests, folder: &Path, address: Ipv4Addr) -> Process {
    let mut arguments = workload(manifests, "valkey").arguments(manifests);
    assert_eq!(arguments.remove(0), "valkey-server");
    let data = arguments.iter().position(|argument| argument == "/data").unwrap();
    arguments[data] = folder.display().to_string();
    let mut command = warren_tests::redis::server();
    Process::spawn("store", command.args(arguments).args(["--bind", &address.to_string()]))
}

/// An address of this machine that nobody else listens on, so that the port can be the deployed one.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = process::id().to_be_bytes();
    Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_killed_store_comes_back_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = DeployedStore::start(&Manifests::base(), folder.path());
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(store.probe(probe).expect(0).trim(), "PONG", "{probe}");
    }
    store.cli(&["set", "acknowledged", "yes"]).expect(0);
    store.kill9();
    assert_ne!(store.probe("readinessProbe").code, Some(0));
    store.start_again();
    assert_eq!(store.cli(&["get", "acknowledged"]).expect(0).trim(), "yes");
}

#[test]
fn a_store_without_its_file_comes_back_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut forgetful = Manifests::base();
    forgetful.change("StatefulSet", |set| argument(set, "--appendonly", "no"));
    let mut store = DeployedStore::start(&forgetful, folder.path());
    store.cli(&["set", "acknowledged", "yes"]).expect(0);
    store.kill9();
    store.start_again();
    assert_eq!(store.cli(&["get", "acknowledged"]).expect(0).trim(), "");
}

#[test]
fn only_who_has_the_password_may_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = DeployedStore::start(&Manifests::base(), folder.path());
    let mut command = Command::new("redis-cli");
    command
        .env_remove("REDISCLI_AUTH")
        .args(["-e", "-h", &store.address.to_string(), "ping"]);
    let refused = Process::run(&mut command);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    // And whose probe has no password does not become ready.
    assert!((refused.stdout + &refused.stderr).contains("NOAUTH"));
}
