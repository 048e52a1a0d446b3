//! Two hosts with the variables of the Deployment, agents from a ConfigMap's volume and a store as the StatefulSet starts it:
//! processes instead of containers, loopback instead of the cluster's network, and nothing else is different.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use warren_tests::{
    SOON,
    binary::warren,
    eventually, guests,
    hub::{HubProcess, HubSetup},
    process::Process,
};

use super::{
    configuration::host_variables,
    manifests::{Manifests, contents, deploy, list, read, text},
    pods::workload,
    store::DeployedStore,
};

struct Pod {
    process: Process,
    variables: BTreeMap<String, String>,
    port: u16,
}

impl Pod {
    #[track_caller]
    fn start(name: &str, mut variables: BTreeMap<String, String>, folder: &Path) -> Pod {
        // As an emptyDir is: everybody's.
        let volume = folder.join(name);
        fs::create_dir(&volume).unwrap();
        fs::set_permissions(&volume, fs::Permissions::from_mode(0o777)).unwrap();
        variables.insert("HOSTNAME".to_owned(), name.to_owned());
        variables.insert(
            "WARREN_HOST_DATA_DIR".to_owned(),
            volume.join("data").display().to_string(),
        );
        let mut process = Process::spawn(name, command(&variables, folder).arg("run"));
        let port = eventually("the host's port", SOON, || {
            let ended = process.exited();
            assert!(ended.is_none(), "the host ended: {ended:?}");
            let lines = process.stderr_lines().into_iter();
            let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
            let line = lines.find(|line| line["message"] == "listening")?;
            line["address"]
                .as_str()?
                .parse::<SocketAddr>()
                .ok()
                .map(|address| address.port())
        });
        Pod {
            process,
            variables,
            port,
        }
    }

    /// The status of an answer, and the answer.
    fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        write!(stream, "GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{answer:?}")), answer)
    }

    /// What the kubelet asks, by the pod's address.
    fn probe(&self, probe: &Value) -> u16 {
        self.get(text(&probe["httpGet"]["path"]), &[("Host", "10.1.2.3:9090")])
            .0
    }
}

fn command(variables: &BTreeMap<String, String>, folder: &Path) -> Command {
    let mut command = warren();
    // No warren.toml there.
    command.current_dir(folder).envs(variables);
    command
}

/// The agents as the kubelet lays a ConfigMap out: links into a hidden folder, which is replaced as a whole.
fn agents(manifests: &Manifests, folder: &Path) -> PathBuf {
    let volumes = list(workload(manifests, "warren").pod, "/volumes");
    let source = volumes.iter().find_map(|volume| volume.get("configMap")).unwrap();
    let files = contents(manifests.named("ConfigMap", &source["name"]).unwrap());
    let mount = folder.join("agents");
    for item in list(source, "/items") {
        let path = mount.join("..2026_01_01").join(text(&item["path"]));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &files[text(&item["key"])]).unwrap();
    }
    symlink("..2026_01_01", mount.join("..data")).unwrap();
    symlink("..data/echo", mount.join("echo")).unwrap();
    mount
}

/// The plugins as they are in the image.
fn plugins(folder: &Path) -> PathBuf {
    let echo = folder.join("plugins/echo");
    fs::create_dir_all(&echo).unwrap();
    fs::copy(guests::folder("echo").join("plugin.toml"), echo.join("plugin.toml")).unwrap();
    fs::write(echo.join("echo.wasm"), guests::component("echo")).unwrap();
    folder.join("plugins")
}

struct Cluster {
    pods: Vec<Pod>,
    hub: HubProcess,
    store: DeployedStore,
    manifests: Manifests,
    _folder: TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        Cluster::start_with(|store, url| url.replace("@valkey:", &format!("@{}:", store.address)))
    }

    /// With another address of the store than the deployed one.
    fn start_with(url: impl Fn(&DeployedStore, &str) -> String) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let manifests = Manifests::example();
        let data = folder.path().join("store");
        fs::create_dir(&data).unwrap();
        let store = DeployedStore::start(&manifests, &data);
        let mut variables = host_variables(&manifests);
        let hub = HubSetup::new(&["echo"]).api_key(&variables["HUB_API_KEY"]).start();
        let url = url(&store, &variables["WARREN_STORE_URL"]);
        let path = |path: PathBuf| path.display().to_string();
        for (name, value) in [
            ("HUB_URL", hub.url()),
            ("WARREN_STORE_URL", url),
            (
                "WARREN_API_LISTEN",
                variables["WARREN_API_LISTEN"].replace(":9090", ":0"),
            ),
            ("WARREN_HOST_AGENTS_DIR", path(agents(&manifests, folder.path()))),
            ("WARREN_HOST_PLUGIN_DIR", path(plugins(folder.path()))),
        ] {
            assert!(
                variables.insert(name.to_owned(), value).is_some(),
                "{name} is not deployed"
            );
        }
        let pods = ["warren-1", "warren-2"].map(|name| Pod::start(name, variables.clone(), folder.path()));
        Cluster {
            pods: pods.into(),
            hub,
            store,
            manifests,
            _folder: folder,
        }
    }

    fn probe(&self, name: &str) -> Vec<u16> {
        let probe = &workload(&self.manifests, "warren").container()[name];
        self.pods.iter().map(|pod| pod.probe(probe)).collect()
    }

    #[track_caller]
    fn wait_probe(&self, name: &str, status: u16) {
        eventually(format!("{name} {status} of both hosts"), SOON, || {
            (self.probe(name) == [status; 2]).then_some(())
        });
    }

    fn leaders(&self) -> usize {
        let annotations = &workload(&self.manifests, "warren").object["spec"]["template"]["metadata"]["annotations"];
        let path = text(&annotations["prometheus.io/path"]);
        let leads = |pod: &&Pod| {
            let (status, metrics) = pod.get(path, &[("Host", "10.1.2.3:9090")]);
            assert_eq!(status, 200, "{metrics}");
            let mut lines = metrics.lines();
            lines.any(|line| line.starts_with("botburrow_coordinator_is_leader{") && line.ends_with(" 1"))
        };
        self.pods.iter().filter(leads).count()
    }

    /// Until the end, in order.
    #[track_caller]
    fn stop(mut self) {
        for pod in &mut self.pods {
            let log = pod.process.stderr();
            assert!(!log.contains("not cached"), "the folder of data is not private: {log}");
            pod.process.signal(Signal::TERM);
            assert!(pod.process.wait_exit(SOON).success());
        }
    }

    #[track_caller]
    fn answers_a_mention(&self) {
        let post = self.hub.post("Are you there, @echo?");
        self.hub.wait_for_reply(&post, "echo");
    }
}

#[test]
fn two_hosts_as_deployed_work_and_come_through_a_kill_of_the_store() {
    let mut cluster = Cluster::start();
    cluster.wait_probe("startupProbe", 200);
    cluster.wait_probe("readinessProbe", 200);
    eventually("one leader", SOON, || (cluster.leaders() == 1).then_some(()));
    cluster.answers_a_mention();

    cluster.store.kill9();
    cluster.wait_probe("readinessProbe", 503);
    // Restarting hosts would mend nothing.
    assert_eq!(cluster.probe("livenessProbe"), [200, 200]);
    cluster.store.start_again();
    cluster.wait_probe("readinessProbe", 200);
    eventually("one leader", SOON, || (cluster.leaders() == 1).then_some(()));
    cluster.answers_a_mention();

    cluster.stop();
}

#[test]
fn the_api_answers_to_the_service_s_names_and_to_the_token() {
    let cluster = Cluster::start();
    cluster.wait_probe("readinessProbe", 200);
    let pod = &cluster.pods[0];
    let token = format!("Bearer {}", pod.variables["WARREN_API_TOKEN"]);
    let status = |host: &str, token: &str| pod.get("/api/v1/status", &[("Host", host), ("Authorization", token)]).0;
    for host in [
        "10.1.2.3:9090",
        "warren:9090",
        "warren.warren.svc.cluster.local:9090",
        "localhost:9090",
    ] {
        assert_eq!(status(host, &token), 200, "{host}");
        assert_eq!(status(host, "Bearer nothing"), 401, "{host}");
    }
    assert_eq!(status("warren.example.org:9090", &token), 421);

    // `kubectl exec deploy/warren -- warren status`.
    let mut variables = pod.variables.clone();
    variables.insert("WARREN_API_LISTEN".to_owned(), format!("0.0.0.0:{}", pod.port));
    let answer = Process::run(command(&variables, Path::new("/")).arg("status"));
    assert!(answer.expect(0).contains("warren-1"), "{answer:?}");
}

#[test]
fn the_user_that_the_readme_makes_may_do_all_that_a_host_does() {
    let readme = read(&deploy().join("README.md"));
    let rule = readme
        .lines()
        .find(|line| line.starts_with("ACL SETUSER warren "))
        .unwrap();
    let cluster = Cluster::start_with(|store, _| {
        let made = store.cli(&rule.split(' ').collect::<Vec<_>>());
        assert_eq!(made.expect(0).trim(), "OK");
        format!("redis://warren:password@{}:6379", store.address)
    });
    cluster.wait_probe("readinessProbe", 200);
    cluster.answers_a_mention();
    // What is tried again, or done without, shows nowhere but here.
    assert_eq!(cluster.store.cli(&["acl", "log"]).expect(0).trim(), "");
    // Read only where a Python runner has left something.
    let heartbeat = ["acl", "dryrun", "warren", "exists", "runner:heartbeat:1"];
    assert_eq!(cluster.store.cli(&heartbeat).expect(0).trim(), "OK");
    cluster.stop();
}
