//! What only this store has: query plans, rows written by hand, full disks, dead threads; `file` has what is about the
//! file itself. The rest is held by the contract suite (`tests/store_contract`).

mod file;

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    OpenError, SqliteConfig, SqliteStore,
    records::{FORCED_OPEN, OPEN, of_backoff},
    sweep,
};
use crate::{
    domain::{
        breaker::BreakerState,
        ids::{AgentId, AgentName, ClaimToken, HolderId, HostName, ItemId, Term},
        preference::Score,
        time::{BootTime, UnixMillis},
        work_item::{ItemState, TaskType, WorkItem},
    },
    ports::{
        clock::Clock,
        leadership::{Acquired, Bid, Inherited, Leadership},
        store::{StoreError, StorePolicy},
        work_queue::{ClaimRequest, Claimed, Enqueued, ItemFilter, WorkQueue},
    },
};

struct Still;

impl Clock for Still {
    fn now(&self) -> BootTime {
        BootTime(Duration::ZERO)
    }
}

const WALL: UnixMillis = UnixMillis(1_750_000_000_000);

fn host() -> HostName {
    HostName::new("the-owner").unwrap()
}

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    open_at(path, WALL)
}

fn open_at(path: &Path, wall: UnixMillis) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(SqliteConfig {
        path: path.to_owned(),
        owner: host(),
        policy: StorePolicy::default(),
        clock: Arc::new(Still),
        wall,
    })
}

fn fresh() -> (TempDir, SqliteStore) {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("store.db")).unwrap();
    (folder, store)
}

/// A connection of somebody else, as an operator's `sqlite3` has it.
fn by_hand(folder: &TempDir) -> Connection {
    let db = Connection::open(folder.path().join("store.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db
}

fn item(agent: &str) -> WorkItem {
    WorkItem {
        id: ItemId::fresh(),
        agent_id: AgentId::new(agent).unwrap(),
        agent_name: AgentName::new(agent).unwrap(),
        task_type: TaskType::Direct,
        priority: TaskType::Direct.default_priority(),
        inbox_count: 0,
        created_at: WALL,
        attempt: 1,
        payload: None,
        min_interval: Duration::ZERO,
        trace_context: None,
    }
}

async fn add(store: &SqliteStore, item: &WorkItem) {
    let answers = store.enqueue(None, vec![item.clone()]).await.unwrap();
    assert_eq!(answers, [Enqueued::Added(ItemState::Queued)]);
}

async fn claim(store: &SqliteStore) -> Vec<Claimed> {
    let request = ClaimRequest {
        host: host(),
        tokens: (0..16).map(|_| ClaimToken::fresh()).collect(),
        lease: Duration::from_secs(60),
        avoid: Vec::new(),
    };
    store.claim(&request).await.unwrap()
}

#[tokio::test]
async fn claims_and_sweeps_scan_nothing() {
    let (folder, _store) = fresh();
    let db = by_hand(&folder);
    let mut queries: Vec<String> = sweep::OLD.iter().map(|sql| (*sql).to_owned()).collect();
    queries.extend([
        super::claim::HEAD.to_owned(),
        format!("SELECT seq FROM items INDEXED BY items_lease WHERE {}", sweep::EXPIRED),
        format!("SELECT seq FROM items INDEXED BY items_due WHERE {}", sweep::DUE),
        super::agents::BUSY.to_owned(),
        super::places::NEXT_WAITING.to_owned(),
        super::enqueue::MERGEABLE.to_owned(),
        super::enqueue::MERGEABLE_ACTIVE.to_owned(),
        format!("SELECT id FROM agents WHERE {}", of_backoff(OPEN)),
        format!("SELECT id FROM agents WHERE {}", of_backoff(FORCED_OPEN)),
        "SELECT seq FROM items WHERE seq = ?1".to_owned(),
        "SELECT item FROM claims WHERE token = ?1".to_owned(),
        "SELECT id FROM agents WHERE id = ?1".to_owned(),
    ]);
    for sql in queries {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let unbound =
            rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, statement.parameter_count()));
        let plan: Vec<String> = statement
            .query_map(unbound, |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let walks = plan.iter().any(|line| line.contains("SCAN"));
        assert!(!walks && !plan.is_empty(), "{sql}\n{plan:#?}");
    }
}

#[tokio::test]
async fn entries_that_nobody_can_read_end_as_dead_letters() {
    let (folder, store) = fresh();
    let by_hand = by_hand(&folder);
    let spoil = [
        "state = 'floating'",
        "priority = 9",
        "id = 'not-a-uuid'",
        "agent_name = 'Not A Name'",
        "task_type = 'song'",
        "state = 'delayed', due_at = NULL",
        "state = 'active', lease_until = NULL",
    ];
    for (n, spoil) in spoil.iter().enumerate() {
        let item = item(&format!("a{n}"));
        add(&store, &item).await;
        by_hand
            .execute(
                &format!("UPDATE items SET {spoil} WHERE id = ?1"),
                [item.id.to_string()],
            )
            .unwrap();
    }
    let broken = item("broken");
    add(&store, &broken).await;
    by_hand
        .execute("UPDATE agents SET mode = 'ajar' WHERE id = 'broken'", [])
        .unwrap();
    let good = item("good");
    add(&store, &good).await;
    let claims = claim(&store).await;
    assert_eq!(claims.iter().map(|c| c.item.id).collect::<Vec<_>>(), [good.id]);
    store.sweep().await.unwrap();
    let dead = ItemFilter {
        state: Some(ItemState::Dead),
        limit: 100,
        ..ItemFilter::default()
    };
    let notes: Vec<String> = store
        .items(&dead)
        .await
        .unwrap()
        .into_iter()
        .map(|record| record.note)
        .collect();
    assert_eq!(notes.len(), spoil.len() + 1, "{notes:#?}");
    for word in [
        "floating",
        "9",
        "not-a-uuid",
        "Not A Name",
        "song",
        "without a time",
        "lease",
        "ajar",
    ] {
        assert!(notes.iter().any(|note| note.contains(word)), "{word}: {notes:#?}");
    }
    let stats = store.stats().await.unwrap();
    assert_eq!(
        (stats.dead, stats.active, stats.queued.values().sum::<u64>()),
        (spoil.len() as u64 + 1, 1, 0)
    );
}

#[tokio::test]
async fn damaged_leader_state_is_reported() {
    let (folder, store) = fresh();
    let change = "UPDATE leadership SET state = 'forged', state_term = 1, state_sha256 = 'abc'";
    by_hand(&folder).execute(change, []).unwrap();
    let found = store.load_state().await.unwrap();
    assert!(
        matches!(&found, Inherited::Damaged { detail } if detail.contains("abc")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_without_a_restart() {
    let (_folder, store) = fresh();
    let kept = item("kept");
    add(&store, &kept).await;
    let pages = |limit: &'static str| {
        store.workers.write(move |step| {
            step.first(limit, [], |_| Ok(()))?;
            Ok(())
        })
    };
    // SQLite answers SQLITE_FULL at this limit as it does at the disk's.
    pages("PRAGMA max_page_count = 1").await.unwrap();
    let large = WorkItem {
        payload: Some("x".repeat(300_000)),
        ..item("large")
    };
    let error = store.enqueue(None, vec![large.clone()]).await.unwrap_err();
    let StoreError::Unavailable(reason) = &error else {
        panic!("{error:?}")
    };
    assert!(reason.contains("full") && reason.contains("space"), "{reason}");
    assert_eq!(store.item(large.id).await.unwrap(), None, "nothing was half done");
    assert!(store.item(kept.id).await.unwrap().is_some());
    pages("PRAGMA max_page_count = 1000000").await.unwrap();
    add(&store, &large).await;
    assert_eq!(claim(&store).await.len(), 2);
}

#[tokio::test]
async fn a_failing_job_undoes_itself_only() {
    let (_folder, store) = fresh();
    let (first, second) = (item("a"), item("b"));
    let failing = store.workers.write(|step| {
        step.run("DELETE FROM items", [])?;
        step.signals.ready += 1;
        Err::<(), _>(StoreError::StaleClaim)
    });
    let (one, failed, two) = tokio::join!(
        store.enqueue(None, vec![first]),
        failing,
        store.enqueue(None, vec![second])
    );
    assert_eq!(
        (one.is_ok(), failed, two.is_ok()),
        (true, Err(StoreError::StaleClaim), true)
    );
    assert_eq!(claim(&store).await.len(), 2);
}

#[tokio::test]
async fn a_dead_thread_is_noticed() {
    for reader in [false, true] {
        let (_folder, store) = fresh();
        let ended = store.ended();
        let answer = if reader {
            store
                .workers
                .read(|_, _| -> Result<(), StoreError> { panic!("on purpose") })
                .await
        } else {
            store
                .workers
                .write(|_| -> Result<(), StoreError> { panic!("on purpose") })
                .await
        };
        assert!(
            matches!(&answer, Err(StoreError::Unavailable(why)) if why.contains("on purpose")),
            "{answer:?}"
        );
        let reason = tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
        assert!(reason.contains("panicked: on purpose"), "{reason}");
        let later = if reader {
            store.stats().await.err()
        } else {
            store.health().await.err()
        };
        assert_eq!(later, answer.err(), "told again, not left hanging");
    }
}

#[tokio::test]
async fn the_breaker_survives_in_the_file() {
    let (folder, store) = fresh();
    add(&store, &item("a")).await;
    by_hand(&folder)
        .execute(
            "UPDATE agents SET open_until = ?1, failures = 5 WHERE id = 'a'",
            [WALL.0 + 60_000],
        )
        .unwrap();
    assert!(claim(&store).await.is_empty());
    let until = UnixMillis(WALL.0 + 60_000);
    let agent = crate::ports::agent_records::AgentRecords::agent(&store, "a")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(agent.breaker.state(agent.now), BreakerState::Open { until });
}
