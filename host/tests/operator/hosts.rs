//! The registry of hosts as operators see it: over the API, in commands, and of a real host from its start to its end.

use std::{
    fs::File,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use warren::{
    domain::{
        host::{HostPlugin, HostReport},
        ids::HolderId,
    },
    ports::leadership::Bid,
    services::roster,
};

use super::{
    commands::{assert_ends, warren},
    *,
};

const TTL: Duration = Duration::from_secs(60);

impl Served {
    async fn beat(&self, name: &str, report: HostReport) -> HolderId {
        let holder = HolderId::fresh(HostName::new(name).unwrap());
        let body = roster::written(&report).unwrap();
        self.store.hosts.beat(&holder, &body, TTL).await.unwrap();
        holder
    }

    /// The registry has this host, too.
    pub async fn beat_here(&self, name: &str) {
        let address = format!("http://{}", self.address);
        self.beat(name, HostReport { address, ..report() }).await;
    }
}

fn report() -> HostReport {
    HostReport {
        version: "0.1.0".into(),
        roles: vec!["coordinator".into(), "runner".into()],
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        address: "http://10.0.0.1:9090".into(),
        slots: 32,
        in_flight: 3,
        plugins: vec![HostPlugin {
            name: "echo".into(),
            generation: 2,
            digest: "ab".repeat(32),
        }],
        draining: false,
        up: Duration::from_secs(120),
    }
}

#[tokio::test]
async fn hosts_are_listed_with_all_that_they_say() {
    let served = Served::start().await;
    let holder = served.beat("h1", report()).await;
    let draining = HostReport {
        draining: true,
        ..report()
    };
    served.beat("h2", draining).await;
    let left = served.beat("h3", report()).await;
    served.store.hosts.leave(&left).await.unwrap();
    let dead = HolderId::fresh(HostName::new("h4").unwrap());
    served
        .store
        .hosts
        .beat(&dead, "nonsense\u{1b}[31m", Duration::ZERO)
        .await
        .unwrap();
    let bid = Bid {
        holder: holder.clone(),
        address: "http://10.0.0.1:9090".into(),
        ttl: TTL,
        score: Score(0),
        known: Term(0),
        waits: Duration::from_secs(9),
    };
    served.store.leadership.acquire(&bid).await.unwrap();

    let (status, list) = served.get("/api/v1/hosts").await;
    assert_eq!(status, 200);
    let hosts = list["hosts"].as_array().unwrap();
    let column = |name: &str| hosts.iter().map(|host| host[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("name"), ["h1", "h2", "h3", "h4"]);
    assert_eq!(column("state"), ["live", "draining", "left", "gone"]);
    assert_eq!(column("leader"), [true, false, false, false]);
    assert_eq!(hosts[0]["instance"], holder.start.to_string());
    assert_eq!(hosts[0]["labels"]["zone"], "a");
    assert_eq!(hosts[0]["plugins"][0]["digest"], "ab".repeat(32));
    assert_eq!((&hosts[0]["in_flight"], &hosts[0]["slots"]), (&3.into(), &32.into()));
    assert!(hosts[0]["uptime_seconds"].as_u64().unwrap() >= 120);
    assert!(hosts[3]["error"].as_str().unwrap().contains("can't be read"));

    let table = served.command(&["hosts"], "").await;
    assert_ends(
        &table,
        0,
        &[
            "NAME",
            "RUNNING/SLOTS",
            "live, leads",
            "draining",
            "left 0s ago",
            "gone 0s ago",
            "zone=a",
            "3/32",
            "echo@2",
            "coordinator+runner",
            "http://10.0.0.1:9090",
            "2m",
            "what it says of itself can't be read",
        ],
    );
    let json = served.command(&["hosts", "--json"], "").await;
    let parsed: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(parsed[1]["state"], "draining");
    let status = served.command(&["status"], "").await;
    assert_ends_any(&status, &["2 live (1 draining), 1 left, 1 gone"]);
    let (_, status) = served.get("/api/v1/status").await;
    assert_eq!(
        status["hosts"],
        serde_json::json!({ "live": 2, "draining": 1, "left": 1, "gone": 1 })
    );
}

/// What the leader has noted of Python runners is a line in the status, from whichever host it is asked.
#[tokio::test]
async fn python_runners_are_a_line_in_the_status() {
    let served = Served::start().await;
    let (_, before) = served.get("/api/v1/status").await;
    assert_eq!(before["python_runners"], serde_json::json!([]));
    let bid = Bid {
        holder: HolderId::fresh(HostName::new("h1").unwrap()),
        address: String::new(),
        ttl: TTL,
        score: Score(0),
        known: Term(0),
        waits: Duration::from_secs(9),
    };
    let won = served.store.leadership.acquire(&bid).await.unwrap();
    let warren::ports::leadership::Acquired::Won(term) = won else {
        panic!("{won:?}");
    };
    let fence = warren::ports::work_queue::Fence {
        holder: bid.holder,
        term,
    };
    let notes = warren::services::leader_state::LeaderNotes::new(served.store.leadership.clone());
    let change = notes.change(&fence, |state| {
        state.python_runners.extend(["py-1".to_owned(), "py-2".to_owned()]);
    });
    change.await.unwrap();
    let status = served.command(&["status"], "").await;
    assert_ends_any(&status, &["PYTHON", "2 in this store", "py-1, py-2"]);
}

/// Whatever it ends with: a host that is not ready has a code of its own.
#[track_caller]
fn assert_ends_any(output: &std::process::Output, parts: &[&str]) {
    assert_ends(output, output.status.code().unwrap(), parts);
}

/// `warren run` as a process, without a Hub that answers.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    async fn start(folder: &Path) -> Running {
        let log = folder.join("log");
        let child = warren(folder)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut running = Running {
            child,
            address: String::new(),
        };
        let deadline = Instant::now() + DEADLINE;
        while running.address.is_empty() {
            let text = fs::read_to_string(&log).unwrap();
            assert!(Instant::now() < deadline, "{text}");
            let listening = text
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .find(|line| line["message"] == "listening");
            if let Some(line) = listening {
                running.address = line["address"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running
    }

    /// Ask until the answer is so.
    async fn hosts(&self, folder: &Path, good: impl Fn(&[serde_json::Value]) -> bool) -> Vec<serde_json::Value> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut command = warren(folder);
            command.args(["hosts", "--json", "--host", &format!("http://{}", self.address)]);
            let output = tokio::task::spawn_blocking(move || command.output().unwrap())
                .await
                .unwrap();
            let hosts: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if good(&hosts) {
                return hosts;
            }
            assert!(
                Instant::now() < deadline,
                "{hosts:?} {}",
                String::from_utf8_lossy(&output.stderr)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(&mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it ends");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_real_host_is_listed_from_its_start_to_its_departure() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["agents", "plugins"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    // Port 1 is nobody's: a Hub that is down is no reason not to run.
    write(
        &folder.path().join("warren.toml"),
        "[host]\nname = \"rack-7\"\nlabels = { zone = \"b\" }\nheartbeat = \"500ms\"\n[hub]\nurl = \"http://127.0.0.1:1\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n",
    );
    let folder = folder.path();
    let mut first = Running::start(folder).await;
    let leads = |hosts: &[serde_json::Value]| hosts.iter().any(|host| host["leader"] == true);
    let hosts = first.hosts(folder, leads).await;
    assert_eq!(hosts.len(), 1);
    let expected = [
        ("name", serde_json::json!("rack-7")),
        ("state", "live".into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("labels", serde_json::json!({ "zone": "b" })),
        ("roles", serde_json::json!(["coordinator", "runner"])),
        ("address", format!("http://{}", first.address).into()),
        ("in_flight", 0.into()),
        ("slots", 32.into()),
    ];
    for (field, value) in expected {
        assert_eq!(hosts[0][field], value, "{field}");
    }
    assert_eq!(first.end(Signal::TERM).await, Some(0));

    let mut second = Running::start(folder).await;
    let hosts = second.hosts(folder, |hosts| hosts.len() == 2 && leads(hosts)).await;
    let state = |hosts: &[serde_json::Value], state: &str| hosts.iter().filter(|host| host["state"] == state).count();
    assert_eq!((state(&hosts, "left"), state(&hosts, "live")), (1, 1), "{hosts:?}");
    second.end(Signal::KILL).await;

    let mut third = Running::start(folder).await;
    let hosts = third.hosts(folder, |hosts| hosts.len() == 3 && leads(hosts)).await;
    assert_eq!(
        (state(&hosts, "left"), state(&hosts, "gone"), state(&hosts, "live")),
        (1, 1, 1),
        "{hosts:?}"
    );
    assert_eq!(third.end(Signal::TERM).await, Some(0));
}
