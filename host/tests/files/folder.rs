//! A folder of definitions and plugins, and a clock that is moved by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use warren::{
    adapters::files::AgentFiles,
    domain::{ids::AgentName, time::BootTime},
    ports::{
        clock::Clock,
        definitions::{Definitions, Reread},
    },
};

/// A clock that stands still until it is moved.
#[derive(Default)]
pub struct Hand(Mutex<Duration>);

impl Hand {
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hand {
    fn now(&self) -> BootTime {
        BootTime(*self.0.lock().unwrap())
    }
}

pub struct Folder {
    pub dir: TempDir,
    pub clock: Arc<Hand>,
    pub agents: AgentFiles,
    told: Arc<Mutex<Vec<String>>>,
}

impl Folder {
    pub fn new() -> Folder {
        let (dir, clock) = (TempDir::new().unwrap(), Arc::new(Hand::default()));
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let agents = AgentFiles::new(dir.path(), clock.clone()).heard_by(move |agent, reread| {
            let why = match reread {
                Reread::Refused { why, .. } => format!(": {why}"),
                _ => String::new(),
            };
            telling.lock().unwrap().push(format!("{agent} {}{why}", reread.word()));
        });
        Folder {
            dir,
            clock,
            agents,
            told,
        }
    }

    /// What was told since this was asked last.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A definition whose description tells which one was read.
    pub fn define(&self, name: &str, description: &str, ttl: u64) {
        let text = format!("name: {name}\nplugin: p\ndescription: {description}\ncache_ttl: {ttl}\n");
        written_long_ago(&self.write(&format!("{name}/config.yaml"), text));
    }

    pub fn description(&self, name: &str) -> String {
        self.agents.agent(&agent(name)).unwrap().description.clone()
    }

    pub fn error(&self, name: &str) -> String {
        self.agents.agent(&agent(name)).unwrap_err().to_string()
    }
}

/// Nobody can be writing it any more.
pub fn written_long_ago(file: &Path) {
    fs::File::open(file)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
}

pub fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}
