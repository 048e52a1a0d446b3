//! Heartbeats: what the cluster hears of a host from its start to its departure.

use std::{
    future::pending,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;
use warren::{
    domain::{
        host::{HostState, KnownHost},
        ids::HolderId,
        work_item::{ItemState, TaskType},
    },
    ports::clock::Clock,
    services::{
        heartbeat::{Appearance, Heartbeat},
        roster,
    },
};

use super::{
    faults::{Fault, away},
    rig::{Rig, STORE_TIMEOUT, eventually, host, item, seconds},
};

const EVERY: Duration = Duration::from_secs(3);

/// A host's heartbeat, and what stops it.
struct Beating {
    holder: HolderId,
    draining: CancellationToken,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

fn start(rig: &Rig, name: &str) -> Beating {
    let (draining, stop) = (CancellationToken::new(), CancellationToken::new());
    let holder = HolderId::fresh(host(name));
    let heartbeat = Heartbeat {
        hosts: rig.faulty.clone(),
        claims: rig.claims.clone(),
        plugins: rig.plugins.clone(),
        clock: rig.clock.clone(),
        holder: holder.clone(),
        appearance: Appearance {
            version: "1.2.3".to_owned(),
            roles: vec!["runner".to_owned()],
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            address: "http://h:9090".to_owned(),
            slots: 4,
            started: rig.clock.now(),
        },
        every: EVERY,
        call_timeout: STORE_TIMEOUT,
        draining: draining.clone(),
    };
    Beating {
        holder,
        draining,
        task: tokio::spawn(heartbeat.run(stop.clone())),
        stop,
    }
}

async fn known(rig: &Rig) -> Vec<KnownHost> {
    roster::all(&*rig.store.hosts).await.unwrap()
}

/// What is logged from warnings on, while the guard lives. The test's runtime has one thread.
fn logged() -> (Arc<Mutex<Vec<u8>>>, DefaultGuard) {
    #[derive(Clone)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Lines(lines.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

fn warnings(lines: &Mutex<Vec<u8>>, words: &str) -> usize {
    String::from_utf8_lossy(&lines.lock().unwrap())
        .lines()
        .filter(|line| line.contains(words))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_host_says_what_it_is_and_how_it_does() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let beating = start(&rig, "h1");
    eventually("it beats at the start", || rig.faulty.calls("beat") == 1).await;
    let _running = rig.run(4);
    rig.reaches(&item, ItemState::Active).await;
    time::sleep(seconds(30)).await;
    let beats = rig.faulty.calls("beat");
    assert!((10..=12).contains(&beats), "{beats}");

    let host = known(&rig).await.remove(0);
    assert_eq!(
        (host.holder.as_str(), host.state),
        (beating.holder.to_string().as_str(), HostState::Live)
    );
    assert!(host.silent <= EVERY);
    let report = host.report.unwrap();
    assert_eq!(
        (report.version.as_str(), report.slots, report.in_flight, report.draining),
        ("1.2.3", 4, 1, false)
    );
    assert_eq!(
        (report.labels["zone"].as_str(), report.roles.join("+")),
        ("a", "runner".to_owned())
    );
    let plugin = &report.plugins[0];
    assert_eq!(
        (plugin.name.as_str(), plugin.generation, plugin.digest.len()),
        ("scripted", 1, 64)
    );
    assert!((27..=31).contains(&report.up.as_secs()), "{:?}", report.up);
}

/// Not at the next beat: others may count on this host until they hear of it.
#[tokio::test(start_paused = true)]
async fn a_host_that_drains_says_so_at_once() {
    let rig = Rig::start().await;
    let beating = start(&rig, "h1");
    eventually("it beats", || rig.faulty.calls("beat") == 1).await;
    beating.draining.cancel();
    let since = Instant::now();
    eventually("it beats again", || rig.faulty.calls("beat") == 2).await;
    assert!(since.elapsed() < seconds(1));
    assert_eq!(known(&rig).await[0].state, HostState::Draining);
    time::sleep(seconds(9)).await;
    assert!(rig.faulty.calls("beat") <= 6, "and goes on at its pace");
    assert_eq!(known(&rig).await[0].state, HostState::Draining);
}

/// A store that is away is told of once, and heartbeats go on when it is back; also if its calls hang.
#[tokio::test(start_paused = true)]
async fn an_outage_is_told_once_and_survived() {
    let rig = Rig::start().await;
    let (lines, _guard) = logged();
    let _beating = start(&rig, "h1");
    eventually("it beats", || rig.faulty.calls("beat") == 1).await;
    for (outage, fault) in [away(), Fault::Hang].into_iter().enumerate() {
        rig.faulty.set("beat", fault);
        time::sleep(seconds(60)).await;
        assert_eq!(known(&rig).await[0].state, HostState::Gone);
        assert_eq!(warnings(&lines, "does not take this host's heartbeat"), outage + 1);
        rig.faulty.heal();
        time::sleep(seconds(6)).await;
        assert_eq!(known(&rig).await[0].state, HostState::Live);
    }
}

/// The end of a clean departure: claims are given back, and nobody counts this host as missing.
#[tokio::test(start_paused = true)]
async fn a_host_that_stops_gives_back_what_it_holds_and_leaves() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let beating = start(&rig, "h1");
    eventually("it beats", || rig.faulty.calls("beat") == 1).await;
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    running.abort();
    beating.stop.cancel();
    beating.task.await.unwrap().unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Queued);
    let known = known(&rig).await;
    assert_eq!((known.len(), known[0].state), (1, HostState::Left));
    let beats = rig.faulty.calls("beat");
    time::sleep(seconds(30)).await;
    assert_eq!(rig.faulty.calls("beat"), beats);
}

/// A store that is gone does not hold up a departure for longer than its bounds.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_up_the_departure() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let items: Vec<_> = (0..200).map(|n| item(&format!("a{n}"), TaskType::Direct)).collect();
    for item in &items {
        rig.submit(item).await;
    }
    let beating = start(&rig, "h1");
    eventually("it beats", || rig.faulty.calls("beat") == 1).await;
    let _running = rig.run(200);
    for item in &items {
        rig.reaches(item, ItemState::Active).await;
    }
    rig.faulty.set("give_back", Fault::Hang);
    rig.faulty.set("leave", Fault::Hang);
    let since = Instant::now();
    beating.stop.cancel();
    beating.task.await.unwrap().unwrap();
    assert!(since.elapsed() <= seconds(5) + STORE_TIMEOUT, "{:?}", since.elapsed());
}

/// Two processes of one name are two entries, and the second says that there is a first; each leaves alone.
#[tokio::test(start_paused = true)]
async fn a_namesake_is_warned_about_and_not_touched() {
    let rig = Rig::start().await;
    let (lines, _guard) = logged();
    let first = start(&rig, "h1");
    eventually("the first beats", || rig.faulty.calls("beat") == 1).await;
    let other = start(&rig, "h2");
    time::sleep(seconds(4)).await;
    assert_eq!(warnings(&lines, "another process of this host's name"), 0);
    let second = start(&rig, "h1");
    time::sleep(seconds(30)).await;
    assert_eq!(warnings(&lines, "another process of this host's name"), 1);
    assert!(warnings(&lines, &first.holder.to_string()) == 1, "it names the other");
    second.stop.cancel();
    second.task.await.unwrap().unwrap();
    let state = |known: &[KnownHost], beating: &Beating| {
        let holder = beating.holder.to_string();
        known.iter().find(|host| host.holder == holder).unwrap().state
    };
    let known = known(&rig).await;
    assert_eq!(
        (state(&known, &first), state(&known, &other)),
        (HostState::Live, HostState::Live)
    );
    assert_eq!(known.iter().filter(|host| host.state == HostState::Left).count(), 1);
}

/// An entry that nobody can read spoils nothing.
#[tokio::test(start_paused = true)]
async fn an_unreadable_entry_is_shown_as_such() {
    let rig = Rig::start().await;
    let odd = HolderId::fresh(host("h0"));
    rig.store
        .hosts
        .beat(&odd, "{\"slots\": \"many\"}", seconds(9))
        .await
        .unwrap();
    let _beating = start(&rig, "h1");
    eventually("it beats", || rig.faulty.calls("beat") == 1).await;
    let known = known(&rig).await;
    assert_eq!((known.len(), known[0].name()), (2, "h0"));
    assert!(known[0].report.as_ref().unwrap_err().contains("can't be read"));
    assert!(known[1].report.is_ok());
}
