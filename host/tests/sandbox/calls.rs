//! What guests can call, and what comes of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use warren::{
    domain::{ending::Reason, work_item::TaskType},
    ports::{
        guest::{LogLevel, MeasurementKind},
        sandbox::{Activated, Activation, FailureKind, Verdict},
    },
};

use warren_tests::guests;

use super::harness::{FakeHost, Hub, activation, hostile, prepare, run, sandbox, small, stop, summary};

async fn run_on(host: &Arc<FakeHost>, payload: &str) -> Activated {
    hostile().await.activate(activation(host, payload)).await
}

#[tokio::test]
async fn the_hub_answers_and_a_reply_names_what_it_answers() {
    let host = FakeHost::new(Hub::Answers);
    assert_eq!(summary(&run_on(&host, "inbox").await), "notification-1");
    let answered = run_on(&host, "answer").await;
    let Verdict::Outcome {
        summary: words,
        handled,
    } = &answered.verdict
    else {
        panic!("{:?}", answered.verdict)
    };
    assert_eq!(
        (words.as_str(), handled.as_slice()),
        ("answered 1", ["notification-1".to_owned()].as_slice())
    );
    let commented = run_on(&host, "comment-about post-9 notification-9 hello").await;
    assert_eq!(summary(&commented), r#"comment on post-9 about Some("notification-9")"#);
    assert!(!commented.upstream_seen);
}

#[tokio::test]
async fn the_bundled_echo_answers() {
    let sandbox = sandbox(small());
    let prepared = prepare(&sandbox, guests::component("echo")).await;
    let host = FakeHost::new(Hub::Answers);
    let mut inbox = activation(&host, "");
    inbox.item.task_type = TaskType::Inbox;
    inbox.item.payload = None;
    let activated = prepared.activate(inbox).await;
    let Verdict::Outcome { handled, .. } = &activated.verdict else {
        panic!("{:?}", activated.verdict)
    };
    assert_eq!(*handled, ["notification-1"]);
    assert!(host.calls.load(SeqCst) >= 2, "it read and replied");
}

#[tokio::test]
async fn the_bundled_greeter_welcomes_once_and_remembers_it() {
    let sandbox = sandbox(small());
    let prepared = prepare(&sandbox, guests::component("greeter")).await;
    let host = FakeHost::new(Hub::Answers);
    for calls in [3, 2] {
        host.calls.store(0, SeqCst);
        let mut inbox = activation(&host, "");
        inbox.item.task_type = TaskType::Inbox;
        inbox.item.payload = None;
        let activated = prepared.activate(inbox).await;
        let Verdict::Outcome { handled, .. } = &activated.verdict else {
            panic!("{:?}", activated.verdict)
        };
        assert_eq!(*handled, ["notification-1"]);
        assert_eq!(
            host.calls.load(SeqCst),
            calls,
            "inbox and feed, and the first time a comment"
        );
        assert_eq!(host.state.lock().unwrap()["greeted"], b"author-1");
    }
}

#[tokio::test]
async fn an_upstream_failure_is_seen_by_guest_and_host() {
    let host = FakeHost::new(Hub::Fails);
    let activated = run_on(&host, "hub-loop 3").await;
    assert_eq!(summary(&activated), "upstream=3");
    assert!(activated.upstream_seen);
}

#[tokio::test]
async fn a_lost_claim_ends_the_guest_whatever_it_would_do() {
    let host = FakeHost::new(Hub::LosesTheClaim);
    let activated = run_on(&host, "hub-loop 3").await;
    let (reason, detail) = stop(&activated);
    assert_eq!(reason, Reason::LeaseLost);
    assert!(detail.contains("somebody else"), "{detail}");
    assert_eq!(host.calls.load(SeqCst), 1);
}

#[tokio::test]
async fn a_panic_in_a_host_call_is_the_hosts_fault_and_nobody_elses() {
    for deed in ["inbox", "metrics 1"] {
        let activated = run_on(&FakeHost::new(Hub::Panics), deed).await;
        assert_eq!(stop(&activated).0, Reason::HostFault, "{:?}", activated.verdict);
    }
    assert_eq!(summary(&run("counter").await), "1");
}

#[tokio::test]
async fn failures_keep_their_kind_and_words() {
    for (kind, expected) in [
        ("transient", FailureKind::Transient),
        ("permanent", FailureKind::Permanent),
        ("upstream", FailureKind::Upstream),
    ] {
        let activated = run(&format!("fail {kind} no luck today")).await;
        let Verdict::Failure { kind, message } = &activated.verdict else {
            panic!("{:?}", activated.verdict)
        };
        assert_eq!((*kind, message.as_str()), (expected, "no luck today"));
    }
}

#[tokio::test]
async fn traps_panics_and_exits_are_traps() {
    for (deed, words) in [
        ("trap", "unreachable"),
        ("panic", ""),
        ("exit 0", "exit code 0"),
        ("exit 3", "exit code"),
    ] {
        let host = FakeHost::new(Hub::Answers);
        let activated = run_on(&host, deed).await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::Trap, "{deed}: {detail}");
        assert!(detail.contains(words), "{deed}: {detail}");
        if deed == "panic" {
            let lines = host.lines();
            assert!(lines.iter().any(|line| line.contains("as asked")), "{lines:?}");
        }
    }
}

#[tokio::test]
async fn state_lasts_in_the_host_only() {
    let host = FakeHost::new(Hub::Answers);
    assert_eq!(summary(&run_on(&host, "kv-get greeting").await), "none");
    assert_eq!(summary(&run_on(&host, "kv-set greeting hello there").await), "set");
    assert_eq!(summary(&run_on(&host, "kv-get greeting").await), "some=hello there");
    for n in 0..2_500 {
        host.state.lock().unwrap().insert(format!("key-{n:04}"), Vec::new());
    }
    let keys = run_on(&host, "kv-keys").await;
    assert_eq!(summary(&keys).split(' ').count(), 2_501);
}

#[tokio::test]
async fn configuration_logs_and_metrics_reach_their_ends() {
    let host = FakeHost::new(Hub::Answers);
    let mut configured = activation(&host, "");
    configured.item.payload = None;
    configured.config = Arc::new(BTreeMap::from([("mode".to_owned(), "log 1 5".to_owned())]));
    let activated = hostile().await.activate(Activation { ..configured }).await;
    assert_eq!(summary(&activated), "logged 1 lines of 5 bytes");
    let logged = [(LogLevel::Info, "hostile".to_owned(), "xxxxx".to_owned())];
    assert_eq!(*host.logs.lock().unwrap(), logged);

    summary(&run_on(&host, "metrics 2").await);
    let measured = host.measurements.lock().unwrap();
    assert_eq!(measured.len(), 2);
    assert_eq!(measured[1].kind, MeasurementKind::Gauge);
    assert_eq!(measured[1].labels, [("n".to_owned(), "1".to_owned())]);
}
