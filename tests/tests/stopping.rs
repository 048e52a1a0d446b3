//! How a host stops: in order, in time, and without losing anything.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

/// What a host may take that has nothing to finish.
const PROMPTLY: Duration = Duration::from_secs(5);
/// What shells report for a process that SIGINT ended: an exit at once.
const AT_ONCE: i32 = 130;

fn busy_host(hub: &HubProcess, grace: &str) -> HostProcess {
    HostSetup::new(hub)
        .agent(&Agent::hostile("busy", "trap"))
        .set("host.grace_period", grace)
        .start_ready()
}

#[test]
fn a_running_activation_is_finished_and_the_next_start_leads_at_once() {
    let hub = HubProcess::start(&["busy"]);
    let mut host = busy_host(&hub, "\"60s\"");
    let running = host.enqueue("busy", "sleep 2500");
    host.wait_activating("busy");
    let waiting = host.enqueue("busy", "clock");
    host.sigterm();
    let checks = eventually("a red /ready", SOON, || {
        let ready = host.ready();
        (ready.status == 503).then(|| ready.json())
    });
    assert!(checks.to_string().contains("this host is stopping"), "{checks}");
    assert_eq!(
        host.item(&running)["state"],
        "active",
        "the activation was over too soon for this test"
    );
    assert_eq!(host.wait_exit(SOON).code(), Some(0));
    assert_eq!(host.logged("released_leadership").len(), 1);
    let ended = host.logged("activation ended");
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(
        (&ended[0]["item"], &ended[0]["reason"]),
        (&json!(running), &json!("ok"))
    );

    let restarted = Instant::now();
    host.restart();
    host.wait_logged("became_leader");
    // Far less than the lease of nine seconds that a crash would have left behind, also on a slow machine.
    assert!(
        restarted.elapsed() < Duration::from_secs(8),
        "{:?}",
        restarted.elapsed()
    );
    assert!(host.logged("not_leader_skipping_poll").is_empty());
    assert_eq!(host.wait_item(&running, "done")["attempt"], 1);
    host.wait_item(&waiting, "done");
}

#[test]
fn what_outlasts_the_grace_period_is_handed_back_and_run_again() {
    let hub = HubProcess::start(&["busy"]);
    let mut host = busy_host(&hub, "\"500ms\"");
    let id = host.enqueue("busy", "sleep 10000");
    host.wait_activating("busy");
    let asked = Instant::now();
    host.sigterm();
    assert_eq!(host.wait_exit(SOON).code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(9),
        "it waited for the activation: {:?}",
        asked.elapsed()
    );
    host.wait_logged("the grace period is over");
    assert_eq!(host.logged("handed back").len(), 1);
    host.restart();
    host.wait_activating("busy");
    let item = host.item(&id);
    assert_eq!(
        (&item["state"], &item["attempt"]),
        (&json!("active"), &json!(1)),
        "{item}"
    );
    assert!(
        host.logged("items were running when the store was last in use")
            .is_empty(),
        "it was given back, not recovered"
    );
}

#[test]
fn a_second_signal_exits_at_once_and_loses_nothing() {
    let hub = HubProcess::start(&["busy"]);
    let mut host = busy_host(&hub, "\"60s\"");
    let id = host.enqueue("busy", "sleep 3000");
    host.wait_activating("busy");
    host.sigterm();
    host.wait_logged("draining");
    host.signal(Signal::INT);
    assert_eq!(host.wait_exit(PROMPTLY).code(), Some(AT_ONCE));
    host.wait_logged("a second signal");
    host.restart();
    assert_eq!(host.wait_item(&id, "done")["reason"], "ok");
}

#[test]
fn an_idle_host_stops_promptly_on_either_signal() {
    let hub = HubProcess::start(&["echo"]);
    let mut host = HostSetup::new(&hub).agent(&Agent::echo("echo")).start_ready();
    for signal in [Signal::TERM, Signal::INT] {
        // Once it is ready, a long poll is under way or about to be, which the Hub would hold for half a minute.
        host.wait_ready();
        host.signal(signal);
        assert_eq!(host.wait_exit(PROMPTLY).code(), Some(0), "{signal:?}");
        assert_eq!(host.logged("stopped").len(), 1);
        assert!(host.logged("could not").is_empty(), "{:?}", host.logged("could not"));
        host.restart();
    }
}

#[test]
fn a_host_whose_hub_hangs_stops_promptly() {
    let hub = HubProcess::start(&["echo"]);
    hub.faults(json!([{ "path": "/api", "kind": "hang" }]));
    let mut host = HostSetup::new(&hub).agent(&Agent::echo("echo")).start();
    eventually("a poll that hangs", SOON, || (hub.struck(0) > 0).then_some(()));
    host.sigterm();
    assert_eq!(host.wait_exit(PROMPTLY).code(), Some(0));
}

#[test]
fn a_host_that_was_stopped_and_continued_goes_on() {
    let hub = HubProcess::start(&["echo"]);
    let mut host = HostSetup::new(&hub)
        .agent(&Agent::echo("echo"))
        .set("leader.ttl", "\"3s\"")
        .set("leader.renew_every", "\"500ms\"")
        .set("leader.margin", "\"500ms\"")
        .set("leader.store_timeout", "\"1s\"")
        .start_ready();
    host.signal(Signal::STOP);
    let post = hub.post("@echo are you awake?");
    // Longer than the lease: what it still believes when it wakes up is wrong.
    let until = Instant::now() + Duration::from_secs(4);
    eventually("the end of the lease", SOON, || (Instant::now() >= until).then_some(()));
    host.signal(Signal::CONT);
    hub.wait_for_reply(&post, "echo");
    hub.wait_until_read("echo");
    assert_eq!(hub.replies(&post, "echo"), 1);
    eventually("leadership", SOON, || {
        (host.metric("botburrow_coordinator_is_leader{instance_id=\"tested\"}") == Some(1.0)).then_some(())
    });
}
