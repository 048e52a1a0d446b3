//! The host in memory, where `tests/tests/authors.rs` can't compare it with a real one: outages, deaths, days.

use std::time::{Duration, UNIX_EPOCH};

use warren_guest_sdk::{
    ErrorKind,
    prelude::*,
    testing::{Capability, Effect, Ended, Host, Limits, Reason},
};

const DAY: Duration = Duration::from_secs(86_400);

/// Answers everything in its inbox, and counts in its state.
struct Answering;

impl Agent for Answering {
    fn activate(item: WorkItem) -> Result<Outcome> {
        let mut outcome = Outcome::new();
        for notification in hub::inbox()? {
            hub::reply(&notification, format!("attempt {}", item.attempt))?;
            let count: u32 = state::get_text("count")?.map_or(Ok(0), |text| text.parse())?;
            state::set("count", (count + 1).to_string())?;
            outcome.mark_handled(&notification);
        }
        Ok(outcome)
    }
}

/// Does what its payload says.
struct Told;

impl Agent for Told {
    fn activate(item: WorkItem) -> Result<Outcome> {
        let summary = match item.payload.as_deref() {
            Some("time") => clock::now().duration_since(UNIX_EPOCH)?.as_secs().to_string(),
            Some("blame") => return Err(Error::upstream("not me")),
            Some("panic") => panic!("on purpose"),
            Some("post") => hub::create_post(&hub::NewPost::new("news"))?.id,
            Some("log") => {
                log::info!("said");
                String::new()
            }
            _ => format!("attempt {}", item.attempt),
        };
        Ok(Outcome::new().summary(summary))
    }
}

fn mentioned(text: &str) -> (Host, String) {
    let mut host = Host::new("tested");
    let post = host.post("ada", text);
    (host, post.id)
}

#[test]
fn what_was_done_before_the_host_died_is_not_done_again() {
    let (mut host, post) = mentioned("@tested");
    host.dies_after(1);
    let run = host.activate::<Answering>();
    assert_eq!((run.reason, run.comments().len()), (Reason::LeaseLost, 1));
    assert_eq!(host.unread().len(), 1, "nothing is marked read");
    assert_eq!(host.state_text("count"), None, "the agent went no further");

    let run = host.repeat::<Answering>();
    assert_eq!((run.item.attempt, run.reason), (1, Reason::Ok));
    assert!(run.comments().is_empty(), "{:?}", run.effects);
    let effect = Effect::Set {
        key: "count".into(),
        value: b"1".to_vec(),
    };
    assert_eq!(run.effects, [effect]);
    assert_eq!((host.comments(&post).len(), host.unread().len()), (1, 0));
}

#[test]
fn a_later_item_finds_the_answer_of_the_first_one() {
    let (mut host, post) = mentioned("@tested");
    host.dies_after(1);
    host.activate::<Answering>();
    let run = host.activate::<Answering>();
    assert_ne!(run.item.id, "item-1");
    assert_eq!(host.comments(&post).len(), 1);
}

#[test]
fn an_outage_of_the_hub_is_not_the_agents_fault() {
    let (mut host, post) = mentioned("@tested");
    host.hub_answers(1);
    let run = host.activate::<Answering>();
    assert_eq!((run.reason, run.hub_calls), (Reason::Upstream, 2));
    assert!(run.cools_down && host.comments(&post).is_empty());
    host.hub_recovers();
    assert_eq!(host.activate::<Answering>().comments(), ["attempt 1"]);
}

#[test]
fn a_store_that_fails_is_transient() {
    let (mut host, _) = mentioned("@tested");
    host.state_fails(true);
    let run = host.activate::<Answering>();
    assert_eq!(run.error().kind(), ErrorKind::Transient);
    assert_eq!(host.unread().len(), 1);
    host.state_fails(false);
    host.repeat::<Answering>().outcome();
    assert_eq!(host.state_text("count"), Some("1"));
}

#[test]
fn who_blames_the_hub_without_reason_is_not_believed() {
    let mut host = Host::new("tested");
    let run = host.submit::<Told>("blame");
    assert_eq!(
        (run.reason, run.error().kind()),
        (Reason::GuestError, ErrorKind::Upstream)
    );
}

#[test]
fn a_repeated_direct_item_counts_its_attempts() {
    let mut host = Host::new("tested");
    assert_eq!(host.submit::<Told>("").outcome().summary, "attempt 1");
    assert_eq!(host.repeat::<Told>().outcome().summary, "attempt 2");
}

#[test]
fn daily_limits_end_with_the_day() {
    let limits = Limits {
        max_daily_posts: 1,
        ..Limits::default()
    };
    let mut host = Host::new("tested").limits(limits);
    assert_eq!(host.submit::<Told>("post").posts(), ["news"]);
    let run = host.submit::<Told>("post");
    assert_eq!(
        run.error().message(),
        "a limit was reached: max_daily_posts of 1 per UTC day is used up"
    );
    host.advance(DAY);
    host.submit::<Told>("post").outcome();
    assert_eq!(host.posts().len(), 2);
}

#[test]
fn the_test_says_what_time_it_is() {
    let mut host = Host::new("tested");
    host.advance(Duration::from_secs(5));
    let seconds = host.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(host.submit::<Told>("time").outcome().summary, seconds.to_string());
    assert_eq!(host.post("ada", "x").created_at, "2026-01-01T00:00:05Z");
}

#[test]
fn a_panic_is_a_trap_and_the_next_activation_works() {
    let mut host = Host::new("tested");
    let run = host.submit::<Told>("panic");
    assert_eq!(
        (run.reason, run.ended),
        (Reason::Trap, Ended::Stopped("on purpose".into()))
    );
    host.submit::<Told>("").outcome();
}

#[test]
fn what_is_not_granted_at_all_keeps_the_agent_from_running() {
    let mut host = Host::new("tested").grants([Capability::HubRead]);
    let run = host.submit::<Told>("log");
    assert_eq!(run.reason, Reason::PluginUnavailable);
    let Ended::Stopped(why) = &run.ended else {
        panic!("{run:?}")
    };
    assert!(why.contains("not granted: logging"), "{why}");
}

#[test]
fn another_kind_of_notification_is_handed_over_as_it_is() {
    let mut host = Host::new("tested");
    let follow = host.notify(NotificationKind::Follow, "ada", None, "");
    let run = host.activate::<Answering>();
    assert!(run.error().message().contains(&follow.id), "{run:?}");
}

#[test]
#[should_panic(expected = "testing::Host")]
fn a_call_outside_of_an_activation_says_what_to_do() {
    drop(hub::inbox());
}

#[test]
#[should_panic(expected = "was to succeed, but ended with guest_error")]
fn an_outcome_that_is_not_there_says_what_is() {
    Host::new("tested").submit::<Told>("blame").outcome();
}

#[test]
#[should_panic(expected = "\"No Name\" is no agent's name")]
fn an_agent_has_a_name_that_the_hub_takes() {
    Host::new("No Name");
}
