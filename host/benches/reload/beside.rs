//! Activations at a steady rate, each on what runs at that moment, while something else goes on.

use std::{
    hint,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{self, Instant, MissedTickBehavior},
};
use warren::{adapters::wasm::compiling, services::plugins::Plugins};

use super::{
    ASKED,
    place::{Place, activate},
};

/// One in so much time, whether those before are done or not.
const EVERY: Duration = Duration::from_millis(5);

pub struct Beside {
    plugins: Arc<Plugins>,
}

/// Threads that spin until this is dropped: as many as the compiler has, and standing back as they do.
pub struct Spinning {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinning {
    pub fn start() -> Spinning {
        let over = Arc::new(AtomicBool::new(false));
        let spin = |over: Arc<AtomicBool>| {
            move || {
                compiling::step_back();
                while !over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            }
        };
        let threads = (0..compiling::threads(true)).map(|_| thread::spawn(spin(Arc::clone(&over))));
        Spinning {
            threads: threads.collect(),
            over,
        }
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Beside {
    pub fn new(place: &Place) -> Beside {
        assert_eq!(place.current().generation.manifest.name.as_str(), "p");
        Beside {
            plugins: Arc::clone(&place.plugins),
        }
    }

    /// How long each activation took, from when it was due, while `work` went on.
    pub async fn watch(&self, work: impl Future) -> Vec<Duration> {
        let over = Arc::new(AtomicBool::new(false));
        let watching = tokio::spawn(steady(Arc::clone(&self.plugins), Arc::clone(&over)));
        work.await;
        over.store(true, Ordering::Relaxed);
        watching.await.unwrap()
    }
}

async fn steady(plugins: Arc<Plugins>, over: Arc<AtomicBool>) -> Vec<Duration> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let mut running = JoinSet::new();
    let mut due = time::interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !over.load(Ordering::Relaxed) {
        let due: Instant = due.tick().await;
        let (plugins, times) = (Arc::clone(&plugins), Arc::clone(&times));
        running.spawn(async move {
            let loaded = plugins.list().remove(0).loaded.unwrap().in_use();
            activate(&*loaded.prepared, ASKED).await;
            times.lock().unwrap().push(due.elapsed());
        });
        while running.try_join_next().is_some() {}
    }
    running.join_all().await;
    Arc::into_inner(times).unwrap().into_inner().unwrap()
}
