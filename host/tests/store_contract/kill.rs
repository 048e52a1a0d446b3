//! `kill -9` of a process that uses a SQLite store, at a random moment: what it was answered is there.
//!
//! The process is this test binary again, told by a variable to be the victim.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write, stdout},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use warren::{
    adapters::sqlite::{SqliteConfig, SqliteStore},
    domain::{
        ending::Reason,
        ids::ItemId,
        time::{BootTime, UnixMillis},
        work_item::ItemState,
    },
    ports::{clock::Clock, work_queue::ItemFilter},
};

use super::support::*;

const VICTIM: &str = "WARREN_TEST_VICTIM_STORE";
/// Kills, each of the next process on the same file.
const ROUNDS: u32 = 3;

struct RunningClock(Instant);

impl Clock for RunningClock {
    fn now(&self) -> BootTime {
        BootTime(self.0.elapsed())
    }
}

fn open(path: &Path) -> SqliteStore {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    SqliteStore::open(SqliteConfig {
        path: path.to_owned(),
        owner: host("h1"),
        policy: policy(),
        clock: Arc::new(RunningClock(Instant::now())),
        wall: UnixMillis(wall.as_millis() as i64),
    })
    .unwrap()
}

/// The victim: works for ever and tells, a line each, what it was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(path) = env::var_os(VICTIM) else { return };
    let opened = open(Path::new(&path));
    let store = opened.store();
    let tell = |word: &str, item: ItemId| writeln!(stdout(), "{word} {item}").unwrap();
    for n in 0u32.. {
        let item = direct(&format!("a{}", n % 50));
        add(&store, &item).await;
        tell("enqueued", item.id);
        if n % 2 == 0 {
            for claimed in claim(&store, 1).await {
                tell("claimed", claimed.item.id);
                if n % 3 != 0 {
                    end(&store, &claimed, Reason::Ok).await;
                    tell("done", claimed.item.id);
                }
            }
        }
    }
}

#[derive(Default)]
struct Told {
    enqueued: BTreeSet<ItemId>,
    claimed: BTreeSet<ItemId>,
    done: BTreeSet<ItemId>,
}

/// Run a victim until it has told `lines`, kill it, and note all that it told.
fn kill_after(path: &Path, lines: u32, told: &mut Told) {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([
            "store_contract::kill::victim",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(VICTIM, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((word, id)) = line.split_once(' ') else {
            continue;
        };
        let Ok(id) = ItemId::parse(id) else { continue };
        match word {
            "enqueued" => told.enqueued.insert(id),
            "claimed" => told.claimed.insert(id),
            "done" => told.done.insert(id),
            _ => continue,
        };
        seen += 1;
        if seen == lines {
            victim.kill().unwrap();
        }
    }
    assert!(seen >= lines, "the victim ended by itself");
    victim.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut told = Told::default();
    for _ in 0..ROUNDS {
        let lines = rand::random_range(5..200);
        kill_after(&path, lines, &mut told);
        let opened = open(&path);
        let store = opened.store();
        for id in &told.enqueued {
            let kept = record(&store, *id).await;
            if told.done.contains(id) {
                assert_eq!(kept.state, ItemState::Done);
            }
        }
        // In one state each: the list and the statistics agree.
        let filter = ItemFilter {
            limit: 100_000,
            ..ItemFilter::default()
        };
        let listed = store.queue.items(&filter).await.unwrap();
        let stats = store.queue.stats().await.unwrap();
        let unready = stats.waiting + stats.delayed + stats.held + stats.active + stats.done + stats.dead;
        assert_eq!(listed.len() as u64, stats.queued.values().sum::<u64>() + unready);
        let active = listed.iter().filter(|r| r.state == ItemState::Active).count() as u64;
        // The only owner of the file knows that the claims of before are dead.
        assert_eq!(opened.take_over().await.unwrap(), active);
        assert!(
            listed
                .iter()
                .filter(|r| r.state == ItemState::Active)
                .all(|r| !told.done.contains(&r.item.id))
        );
        drop(store);
        tokio::time::timeout(Duration::from_secs(10), opened.close())
            .await
            .unwrap();
    }
    assert!(!told.claimed.is_empty() && told.claimed.is_superset(&told.done));
}
