use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::domain::{
    agent::BehaviorLimits,
    breaker::{Breaker, BreakerMode},
    capability::CapabilitySet,
    ending::Reason,
    ids::{AgentId, AgentName, HostName, ItemId, PluginName},
    limits::LimitOverrides,
    work_item::{Priority, WorkItem},
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn definition() -> AgentDefinition {
    AgentDefinition {
        name: AgentName::new("echo").unwrap(),
        kind: "native".into(),
        plugin: PluginName::new("echo").unwrap(),
        description: String::new(),
        grants: CapabilitySet::default(),
        discovery: false,
        behavior: BehaviorLimits {
            min_interval: Duration::ZERO,
            ..BehaviorLimits::default()
        },
        limits: LimitOverrides::default(),
        wipe_workspace: false,
        cache_ttl: Duration::ZERO,
        config: BTreeMap::new().into(),
    }
}

fn record() -> AgentRecord {
    AgentRecord {
        id: AgentId::new("a1").unwrap(),
        name: AgentName::new("echo").unwrap(),
        paused: false,
        breaker: Breaker::default(),
        cool_until: None,
        cool_downs: 0,
        last_started: None,
        last_ended: None,
        last_reason: None,
        last_detail: String::new(),
        endings: BTreeMap::new(),
        posts_today: 0,
        comments_today: 0,
        items: AgentItems::default(),
        now: NOW,
    }
}

fn item(state: ItemState) -> ItemRecord {
    ItemRecord {
        item: WorkItem {
            id: ItemId::fresh(),
            agent_id: AgentId::new("a1").unwrap(),
            agent_name: AgentName::new("echo").unwrap(),
            task_type: TaskType::Inbox,
            priority: Priority::High,
            inbox_count: 1,
            created_at: NOW,
            attempt: 2,
            payload: None,
            min_interval: Duration::ZERO,
            trace_context: None,
        },
        state,
        note: String::new(),
        due_at: None,
        host: Some(HostName::new("host-1").unwrap()),
        reason: None,
        ended_at: None,
        generation: None,
    }
}

fn why(record: Option<&AgentRecord>, items: &[ItemRecord]) -> String {
    sentences(&Facts {
        definition: Ok(&definition()),
        plugin: None,
        record,
        paused_ahead: false,
        items,
    })
    .join("\n")
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn what_can_t_run_at_all_says_so_first() {
    let facts = Facts {
        definition: Err("agents/echo/config.yaml: plugin: missing"),
        plugin: None,
        record: None,
        paused_ahead: false,
        items: &[],
    };
    assert!(sentences(&facts)[0].starts_with("It can't run: agents/echo/config.yaml: plugin: missing"));
    let missing = Err("this host has no plugin echo".to_owned());
    let (record, definition) = (record(), definition());
    let facts = Facts {
        definition: Ok(&definition),
        plugin: Some(&missing),
        record: Some(&record),
        paused_ahead: false,
        items: &[],
    };
    assert_eq!(
        sentences(&facts),
        ["It can't run on this host: this host has no plugin echo."]
    );
    assert_says(&why(None, &[]), &["has not named it"]);
}

#[test]
fn breakers_say_since_what_and_until_when() {
    let mut open = record();
    open.breaker = Breaker {
        failures: 5,
        open_until: Some(NOW + Duration::from_millis(39_001)),
        ..Breaker::default()
    };
    open.last_reason = Some(Reason::CpuLimit);
    open.last_detail = "used 5 s of 5 s".into();
    assert_says(
        &why(Some(&open), &[]),
        &[
            "open after 5 failures in a row",
            "cpu_limit: used 5 s of 5 s",
            "in 40 s (2027-01-15T08:00:39Z)",
        ],
    );
    open.breaker.open_until = Some(NOW);
    assert_says(&why(Some(&open), &[]), &["half open", "The next item is the one probe"]);
    open.breaker.mode = BreakerMode::ForcedOpen;
    assert_says(&why(Some(&open), &[]), &["forced its breaker open"]);
}

#[test]
fn rests_pauses_and_used_up_days_are_told() {
    let mut tired = record();
    tired.paused = true;
    tired.cool_until = Some(NOW + Duration::from_secs(10));
    tired.cool_downs = 2;
    tired.last_reason = Some(Reason::Upstream);
    tired.last_started = Some(NOW);
    tired.posts_today = 5;
    let slow = AgentDefinition {
        behavior: BehaviorLimits {
            min_interval: Duration::from_secs(60),
            ..BehaviorLimits::default()
        },
        ..definition()
    };
    let facts = Facts {
        definition: Ok(&slow),
        plugin: None,
        record: Some(&tired),
        paused_ahead: false,
        items: &[],
    };
    assert_says(
        &sentences(&facts).join("\n"),
        &[
            "paused it",
            "for the 2nd time in a row; it last ended with upstream",
            "in 10 s",
            "60 s between",
            "5 of 5",
        ],
    );
    // Both are over: nothing is said of them.
    tired.now = NOW + Duration::from_secs(3600);
    let facts = Facts {
        definition: Ok(&slow),
        plugin: None,
        record: Some(&tired),
        paused_ahead: false,
        items: &[],
    };
    let said = sentences(&facts).join("\n");
    assert!(
        !said.contains("cools down") && !said.contains("between two starts"),
        "{said}"
    );
}

#[test]
fn items_say_where_they_are() {
    let record = record();
    let mut delayed = item(ItemState::Delayed);
    delayed.due_at = Some(NOW);
    delayed.note = "retry after trap".into();
    let items = [
        item(ItemState::Active),
        item(ItemState::Waiting),
        delayed,
        item(ItemState::Queued),
        item(ItemState::Done),
    ];
    let said = why(Some(&record), &items);
    assert_says(
        &said,
        &[
            "being run by host-1, attempt 2",
            "waits behind",
            "due at 2027-01-15T08:00:00Z: retry after trap",
            "is ready",
        ],
    );
    assert!(!said.contains("Nothing stands in its way"), "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn an_idle_agent_is_told_to_be_idle() {
    let mut idle = record();
    idle.last_reason = Some(Reason::Ok);
    idle.last_ended = Some(NOW);
    idle.last_detail = "answered 1".into();
    assert_says(
        &why(Some(&idle), &[item(ItemState::Done)]),
        &["ended with ok: answered 1", "Nothing stands in its way"],
    );
}

#[test]
fn ordinals_read_as_people_say_them() {
    let said = [1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111].map(ordinal);
    assert_eq!(
        said,
        [
            "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "103rd", "111th"
        ]
    );
}

#[test]
fn items_that_were_not_found_are_told_of() {
    let mut record = record();
    record.items.queued = 3;
    let said = why(Some(&record), &[item(ItemState::Queued)]);
    assert_says(
        &said,
        &["3 of its items are not done; 1 are shown", "warren queue list --agent"],
    );
    let said = why(Some(&record), &[]);
    assert_says(&said, &["3 of its items are not done; 0 are shown"]);
    assert!(!said.contains("Nothing stands in its way"), "{said}");
    assert!(
        !why(Some(&record), &[const { ItemState::Queued }; 3].map(item)).contains("are shown"),
        "{said}"
    );
}
