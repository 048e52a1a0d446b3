//! Who leads, asked of every host as often as they answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use warren_tests::{
    SOON,
    cluster::{hasty, leads},
    interrupt,
};

use super::member::Member;

/// Between two questions to one host: short against what is measured, long enough to leave it the machine.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Threads that ask each host for its gauge `botburrow_coordinator_is_leader`.
pub struct Watch {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Option<Instant>>>,
    won: Receiver<(usize, Instant)>,
}

/// A change of leaders, as it was seen from outside.
pub struct Change {
    pub to: usize,
    /// When another host was first heard to lead.
    pub led: Instant,
    /// When the old one was last asked and said that it leads.
    pub gave_up: Instant,
}

impl Watch {
    /// Every host is watched, `old` is the one that leads.
    pub fn start(members: &[Member], old: usize) -> Watch {
        let (stop, (heard, won)) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
        let threads = members
            .iter()
            .enumerate()
            .map(|(at, member)| {
                let (stop, heard) = (stop.clone(), heard.clone());
                let (name, api) = (member.name.clone(), hasty(&member.process.url()));
                thread::spawn(move || {
                    let mut last = None;
                    while !stop.load(Ordering::Relaxed) {
                        let asked = Instant::now();
                        if leads(&api, &name) == Some(true) {
                            last = Some(asked);
                            if at != old {
                                // Who waits for it may have heard of another one already.
                                let _ = heard.send((at, Instant::now()));
                                break;
                            }
                        }
                        thread::sleep(LOOK_EVERY);
                    }
                    last
                })
            })
            .collect();
        Watch { stop, threads, won }
    }

    /// Waits until another host than the old one leads. `began` is when the old one led for certain.
    #[track_caller]
    pub fn change(self, began: Instant, old: usize) -> Change {
        let waiting = Instant::now();
        let (to, led) = loop {
            if let Ok(seen) = self.won.recv_timeout(Duration::from_millis(100)) {
                break seen;
            }
            assert!(
                !interrupt::interrupted(),
                "interrupted while waiting for another leader"
            );
            assert!(waiting.elapsed() < SOON, "within {SOON:?} not seen: another leader");
        };
        self.stop.store(true, Ordering::Relaxed);
        let mut gave_up = began;
        for (at, thread) in self.threads.into_iter().enumerate() {
            let last = thread.join().expect("a watch ends well");
            if let Some(last) = last.filter(|_| at == old) {
                gave_up = last.max(began);
            }
        }
        Change { to, led, gave_up }
    }
}
