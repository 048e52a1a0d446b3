//! `warren run` as a process, in a folder of its own, and what operators do with it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub use crate::agent::Agent;
use crate::{
    SOON,
    binary::warren,
    eventually, guests,
    http::{Answer, Client},
    hub::HubProcess,
    process::{Finished, Process},
};

/// The name of every host of the tests.
pub const HOST: &str = "tested";

/// The folder of a host: `warren.toml`, `agents/`, `plugins/`, `data/`.
pub struct HostSetup {
    root: TempDir,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl HostSetup {
    /// A host of this Hub, without agents and plugins.
    pub fn new(hub: &HubProcess) -> HostSetup {
        let setup = HostSetup::without_hub().set("hub.url", &format!("{:?}", hub.url()));
        match hub.api_key() {
            Some(key) => setup.set("hub.api_key", &format!("{key:?}")),
            None => setup,
        }
    }

    pub fn without_hub() -> HostSetup {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        for folder in ["agents", "plugins"] {
            fs::create_dir(root.path().join(folder)).expect("a folder can be made");
        }
        let setup = HostSetup {
            root,
            settings: Vec::new(),
            environment: Vec::new(),
        };
        let folder = |name: &str| format!("{:?}", setup.path(name));
        let (data, plugins, agents) = (folder("data"), folder("plugins"), folder("agents"));
        setup
            .set("host.name", &format!("{HOST:?}"))
            .set("host.data_dir", &data)
            .set("host.plugin_dir", &plugins)
            .set("host.agents_dir", &agents)
            .set("api.listen", "\"127.0.0.1:0\"")
            .set("log.format", "\"json\"")
    }

    /// A value of `warren.toml`, as TOML; the last word on a key counts.
    pub fn set(mut self, key: &str, value: &str) -> HostSetup {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> HostSetup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An agent, and the plugin that runs it if it is one of the tests' guests.
    pub fn agent(self, agent: &Agent) -> HostSetup {
        let plugin = self.path("plugins").join(&agent.plugin);
        let setup = self.file(&format!("agents/{}/config.yaml", agent.name), agent.yaml());
        if plugin.exists() || !guests::folder(&agent.plugin).exists() {
            return setup;
        }
        let name = agent.plugin.clone();
        setup.plugin(&name)
    }

    /// The plugin of one of the tests' guests, or a bundled one.
    pub fn plugin(self, name: &str) -> HostSetup {
        let folder = guests::folder(name);
        let manifest = fs::read(folder.join("plugin.toml")).expect("a guest has a manifest");
        let package = guests::package(name);
        let file = format!("{}.wasm", package.replace('-', "_"));
        self.file(&format!("plugins/{name}/plugin.toml"), manifest)
            .file(&format!("plugins/{name}/{file}"), guests::component(&package))
    }

    /// Any file below the host's folder.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> HostSetup {
        let path = self.path(path);
        let written = fs::create_dir_all(path.parent().expect("a file has a folder"))
            .and_then(|()| fs::write(&path, content.as_ref()));
        written.unwrap_or_else(|error| panic!("{} can't be written: {error}", path.display()));
        self
    }

    /// The token of the API: the one that is set, else the one that the host has made.
    fn token(&self) -> Option<String> {
        let set = self.settings.iter().find(|(key, _)| key == "api.token");
        match set {
            Some((_, token)) => Some(token.trim_matches('"').to_owned()),
            None => Some(fs::read_to_string(self.path("data/api-token")).ok()?.trim().to_owned()),
        }
    }

    /// Something below the host's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// `warren` with this configuration and environment.
    pub fn command(&self) -> Command {
        let mut text = String::new();
        for (key, value) in &self.settings {
            text.push_str(&format!("{key} = {value}\n"));
        }
        let file = self.path("warren.toml");
        fs::write(&file, text).expect("the configuration can be written");
        let mut command = warren();
        command.current_dir(self.root.path()).env("WARREN_CONFIG", file);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command of `warren` with this configuration.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        Process::run(self.command().args(arguments))
    }

    /// Starts the host and waits until its port is open.
    #[track_caller]
    pub fn start(self) -> HostProcess {
        let (process, address) = start(&self);
        HostProcess {
            setup: self,
            process,
            address,
        }
    }

    /// Starts the host without waiting for anything; `api.listen` says where it will be.
    #[track_caller]
    pub fn start_at(self, listen: SocketAddr) -> HostProcess {
        let setup = self.set("api.listen", &format!("\"{listen}\""));
        HostProcess {
            process: Process::spawn("host", setup.command().arg("run")),
            setup,
            address: listen,
        }
    }

    /// Starts the host and waits until it is ready.
    #[track_caller]
    pub fn start_ready(self) -> HostProcess {
        let host = self.start();
        host.wait_ready();
        host
    }
}

#[track_caller]
fn start(setup: &HostSetup) -> (Process, SocketAddr) {
    let mut process = Process::spawn("host", setup.command().arg("run"));
    let address = eventually("the host's address", SOON, || {
        let ended = process.exited();
        assert!(ended.is_none(), "the host ended: {ended:?}");
        let listening = logs(&process).into_iter().find(|line| line["message"] == "listening")?;
        listening["address"].as_str()?.parse().ok()
    });
    (process, address)
}

fn logs(process: &Process) -> Vec<Value> {
    let lines = process.stderr_lines();
    lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// A host that runs.
pub struct HostProcess {
    setup: HostSetup,
    process: Process,
    address: SocketAddr,
}

impl HostProcess {
    pub fn setup(&self) -> &HostSetup {
        &self.setup
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What the host has logged since its last start, line by line.
    pub fn log_text(&self) -> String {
        self.process.stderr()
    }

    /// The log's lines whose message contains this.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let says = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains(message));
        logs(&self.process).into_iter().filter(says).collect()
    }

    #[track_caller]
    pub fn wait_logged(&self, message: &str) -> Value {
        eventually(format!("{message:?} in the log"), SOON, || {
            self.logged(message).into_iter().next()
        })
    }

    /// The API as an operator with the token reaches it.
    pub fn api(&self) -> Client {
        Client::new(self.url(), self.setup.token())
    }

    #[track_caller]
    pub fn ready(&self) -> Answer {
        self.api().get("/ready")
    }

    #[track_caller]
    pub fn wait_ready(&self) {
        eventually("a host that is ready", SOON, || {
            (self.ready().status == 200).then_some(())
        });
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.api().get("/api/v1/status").expect(200).json()
    }

    #[track_caller]
    pub fn metrics(&self) -> String {
        self.api().get("/metrics").expect(200).body
    }

    /// The value of one series, such as `name{label="value"}`.
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let metrics = self.metrics();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().expect("a metric is a number"))
    }

    /// What `agent show` says about why an agent runs or does not.
    #[track_caller]
    pub fn why(&self, agent: &str) -> String {
        self.cli(&["agent", "show", agent]).expect(0).to_owned()
    }

    /// A command of `warren` that is `warren` with this host's configuration, and finds it.
    pub fn command(&self) -> Command {
        let mut command = self.setup.command();
        command.env("WARREN_API_LISTEN", self.address.to_string());
        command
    }

    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        Process::run(self.command().args(arguments))
    }

    #[track_caller]
    pub fn cli_with_input(&self, arguments: &[&str], input: &[u8]) -> Finished {
        Process::run_with_input(self.command().args(arguments), input)
    }

    /// Submits a payload to an agent whose Hub id is its name, and waits for the end.
    #[track_caller]
    pub fn submit(&self, agent: &str, payload: &str) -> Finished {
        self.cli(&["submit", agent, "--agent-id", agent, "--payload", payload, "--wait=60"])
    }

    /// The same by the API and without waiting; the item's id.
    #[track_caller]
    pub fn enqueue(&self, agent: &str, payload: &str) -> String {
        let request = serde_json::json!({ "agent": agent, "agent_id": agent, "payload": payload });
        let created = self.api().post("/api/v1/items", &request).expect(201).json();
        created["id"].as_str().expect("an item has an id").to_owned()
    }

    #[track_caller]
    pub fn item(&self, id: &str) -> Value {
        self.api().get(&format!("/api/v1/items/{id}")).expect(200).json()
    }

    /// Waits until an item is in this state.
    #[track_caller]
    pub fn wait_item(&self, id: &str, state: &str) -> Value {
        eventually(format!("item {id} in state {state}"), SOON, || {
            let item = self.item(id);
            (item["state"] == state).then_some(item)
        })
    }

    /// Waits until an agent's activation runs.
    #[track_caller]
    pub fn wait_activating(&self, agent: &str) {
        eventually(format!("that {agent} is activated"), SOON, || {
            self.logged("activating")
                .iter()
                .any(|line| line["agent"] == agent)
                .then_some(())
        });
    }

    #[track_caller]
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    pub fn sigterm(&mut self) {
        self.process.signal(Signal::TERM);
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    #[track_caller]
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        self.process.wait_exit(within)
    }

    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Starts it anew on the same data; it must have ended. The log starts anew, too.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.exited().is_some(), "the host still runs");
        (self.process, self.address) = start(&self.setup);
    }

    /// The host's folder of data.
    pub fn data(&self) -> PathBuf {
        self.setup.path("data")
    }

    /// Change a file of the host's folder while it runs.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.setup.path(path), content.as_ref()).expect("a file can be written");
    }
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder can be read");
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}
