//! A headless Chromium that ends with the test, whatever happens to the test.
//!
//! It is driven through a pair of pipes instead of a port: nobody else can reach it, nothing has to be read from its
//! output, and it quits by itself once the pipes close, so it doesn't outlive a test process that was killed. A test that
//! ends or panics kills its process group and reaps every process of it.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, kill_process_group, set_child_subreaper, waitpgid, waitpid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::DEADLINE;

const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Chromium reads commands from descriptor 3 and writes to 4; only a shell puts them there without unsafe code.
const WITH_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

const FLAGS: [&str; 10] = [
    "--headless",
    // Works as root too. It opens nothing but the Hub of the test.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
];

/// A running Chromium. Dropping it ends all its processes and then deletes its profile.
pub struct Chromium {
    process: Child,
    commands: Sender,
    messages: BufReader<Receiver>,
    last_id: u64,
    /// What Chromium told by itself and nobody looked at yet.
    events: Vec<Value>,
    profile: TempDir,
}

impl Chromium {
    /// None if there is no Chromium and the tests may be skipped.
    pub fn start() -> Option<Self> {
        let Some(program) = installed() else {
            skip();
            return None;
        };
        // What Chromium's processes leave behind is ours to reap, not init's.
        set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", WITH_PIPES])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log(&profile)).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let commands = OwnedFd::from(process.stdin.take().unwrap());
        let messages = OwnedFd::from(process.stdout.take().unwrap());
        Some(Self {
            process,
            commands: Sender::from_owned_fd(commands).unwrap(),
            messages: BufReader::new(Receiver::from_owned_fd(messages).unwrap()),
            last_id: 0,
            events: Vec::new(),
            profile,
        })
    }

    /// Calls a method, of the browser itself or of the tab with this session, and waits for its result.
    pub async fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        match tokio::time::timeout(DEADLINE, self.exchange(&bytes)).await {
            Ok(Ok(answer)) if answer["error"].is_null() => answer["result"].clone(),
            Ok(Ok(answer)) => panic!("{method} with {params} failed: {}", answer["error"]),
            Ok(Err(error)) => panic!("Chromium is gone at {method}: {error}\n{}", self.output()),
            Err(_) => panic!(
                "Chromium did not answer {method} with {params} in time\n{}",
                self.output()
            ),
        }
    }

    async fn exchange(&mut self, message: &[u8]) -> std::io::Result<Value> {
        self.commands.write_all(message).await?;
        loop {
            let mut bytes = Vec::new();
            self.messages.read_until(0, &mut bytes).await?;
            if bytes.pop() != Some(0) {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let message: Value = serde_json::from_slice(&bytes)?;
            if message["id"] == self.last_id {
                return Ok(message);
            }
            self.events.push(message);
        }
    }

    /// What happened since the last call of this, in order.
    pub fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    fn output(&self) -> String {
        std::fs::read_to_string(log(&self.profile)).unwrap_or_default()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let Some(group) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        // What fails here fails only because there is nobody left.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.process.wait();
        // Its children have become ours.
        while waitpgid(group, WaitOptions::empty()).is_ok_and(|reaped| reaped.is_some()) {}
        // Its crash handlers had left the group.
        for stray in processes().filter(|process| process.is_stray_of(self.profile.path())) {
            if let Some(pid) = Pid::from_raw(stray.pid) {
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }
}

/// A process of this machine, as `/proc` shows it. A dead one that nobody reaped has no command line.
struct Process {
    pid: i32,
    name: String,
    parent: u32,
    group: u32,
    command_line: String,
}

impl Process {
    fn read(folder: &Path) -> Option<Self> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        // pid (name) state parent group …, and the name may contain anything.
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let mut numbers = rest.split_whitespace().skip(1).map_while(|field| field.parse().ok());
        let command_line = std::fs::read(folder.join("cmdline")).ok()?;
        Some(Self {
            pid,
            name: name.to_owned(),
            parent: numbers.next()?,
            group: numbers.next()?,
            command_line: String::from_utf8_lossy(&command_line).into_owned(),
        })
    }

    /// Whether it was started for this profile and is an orphan that became ours. A dead one may be of another
    /// profile: to reap it is right all the same.
    fn is_stray_of(&self, profile: &Path) -> bool {
        let dead = self.command_line.is_empty() && self.name.starts_with("chrom");
        self.parent == std::process::id() && (dead || self.uses(profile))
    }

    fn uses(&self, profile: &Path) -> bool {
        profile
            .to_str()
            .is_some_and(|profile| self.command_line.contains(profile))
    }
}

fn processes() -> impl Iterator<Item = Process> {
    let folders = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
    folders.filter_map(|folder| Process::read(&folder.path()))
}

fn log(profile: &TempDir) -> PathBuf {
    profile.path().join("stderr")
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let find = |name: &&str| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    };
    PROGRAMS.iter().find_map(find)
}

fn skip() {
    let missing = format!("none of {} is installed", PROGRAMS.join(", "));
    assert!(
        std::env::var_os("WARREN_REQUIRE_BROWSER").is_none_or(|value| value != "1"),
        "{missing}, and WARREN_REQUIRE_BROWSER=1 demands one"
    );
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let notice = format!("SKIPPED: the browser tests of the Hub's page: {missing}\n");
        // Not `eprintln!`: the test harness would hide it, since the test passes.
        std::io::stderr().write_all(notice.as_bytes()).unwrap();
    });
}

#[tokio::test]
async fn no_process_and_no_file_of_chromium_outlives_a_panic() {
    let Some(mut chromium) = Chromium::start() else { return };
    chromium.call(None, "Browser.getVersion", json!({})).await;
    let group = chromium.process.id();
    let profile = chromium.profile.path().to_owned();
    let left = || {
        processes()
            .filter(|process| process.group == group || process.uses(&profile))
            .map(|process| format!("{} {} {}", process.pid, process.name, process.command_line))
            .collect::<Vec<_>>()
    };
    assert!(left().len() > 1, "{:?}", left());
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _chromium = chromium;
        std::panic::resume_unwind(Box::new("a test that fails"));
    }));
    assert!(outcome.is_err());
    assert_eq!(left(), [""; 0]);
    assert!(!profile.exists(), "{}", profile.display());
}
