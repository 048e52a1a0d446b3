//! A development Hub in a process of its own, so that its CPU time is not taken for the host's.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// What the kernel counts processes' CPU time in: 10 ms.
const TICKS_PER_SECOND: f64 = 100.0;

pub struct HubProcess {
    child: Child,
    pub url: String,
}

impl HubProcess {
    /// A Hub with these agents and its data in memory. `folder` keeps it from this machine's configuration.
    pub fn start(folder: &Path, agents: impl Iterator<Item = String>) -> HubProcess {
        let mut child = Command::new(env!("CARGO_BIN_EXE_warren"))
            .args(["hub", "--listen", "127.0.0.1:0"])
            .args(agents.flat_map(|agent| ["--agent".to_owned(), agent]))
            .env_clear()
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap().by_ref())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| panic!("the Hub should have told its address, but says {line:?}"));
        HubProcess {
            url: url.trim_end_matches('/').to_owned(),
            child,
        }
    }

    /// CPU time since its start.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which may hold blanks: the state is field 3, the times in user and system mode are 14 and 15.
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
        let ticks: f64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
