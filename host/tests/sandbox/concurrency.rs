//! Many activations at once: places, cancelling, fairness.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};
use warren::{
    adapters::wasm::SandboxConfig,
    domain::{ending::Reason, limits::Limits},
    ports::sandbox::{Activation, Prepared},
};
use warren_tests::{components::Plugin, guests};

use super::harness::{FakeHost, Hub, activation, prepare, sandbox, small, stop, summary};

async fn with_slots(slots: u32) -> Arc<dyn Prepared> {
    let sandbox = sandbox(SandboxConfig { slots, ..small() });
    prepare(&sandbox, guests::component("guest-hostile")).await
}

#[tokio::test]
async fn more_activations_than_places_all_succeed() {
    let prepared = with_slots(4).await;
    let mut running = JoinSet::new();
    for _ in 0..60 {
        let prepared = Arc::clone(&prepared);
        running.spawn(async move {
            prepared
                .activate(activation(&FakeHost::new(Hub::Answers), "sleep 5"))
                .await
        });
    }
    while let Some(activated) = running.join_next().await {
        assert_eq!(summary(&activated.unwrap()), "slept 5 ms");
    }
}

#[tokio::test]
async fn the_pool_holds_all_places_at_the_maxima() {
    let maxima = Limits {
        memory: 16 * 1024 * 1024,
        ..Limits::default()
    };
    let sandbox = sandbox(SandboxConfig {
        slots: 6,
        maxima,
        guest_threads: 2,
        tick: Duration::from_millis(1),
        ..small()
    });
    let others = "(core instance (instantiate $other))".repeat(63);
    let greedy = Plugin {
        imports: &format!("(core module $other) {others}"),
        contents: &format!("{} {}", "(table 3000 funcref)".repeat(32), "(memory 1)".repeat(7)),
        // Takes all memory there is, works for some ticks so that the others start meanwhile, and returns `ok` of nothing.
        body: "(local $n i32)
            (if (i32.eq (memory.grow $main (i32.const 248)) (i32.const -1)) (then unreachable))
            (loop $again
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $n) (i32.const 20000000))))
            (i32.const 2048)",
        ..Plugin::default()
    };
    let prepared = prepare(&sandbox, greedy.component()).await;
    let mut running = JoinSet::new();
    for _ in 0..20 {
        let prepared = Arc::clone(&prepared);
        running.spawn(async move { prepared.activate(activation(&FakeHost::new(Hub::Answers), "")).await });
    }
    while let Some(activated) = running.join_next().await {
        let activated = activated.unwrap();
        assert_eq!(summary(&activated), "");
        assert_eq!(activated.usage.memory, 16 * 1024 * 1024);
    }
}

#[tokio::test]
async fn dropping_an_activation_ends_its_guest_and_frees_its_place() {
    let prepared = with_slots(1).await;
    // In the guest, in a host call, in a call to the Hub.
    for (deed, hub) in [
        ("spin", Hub::Answers),
        ("sleep 60000", Hub::Answers),
        ("inbox", Hub::NeverAnswers),
    ] {
        let host = FakeHost::new(hub);
        let cut = timeout(Duration::from_millis(200), prepared.activate(activation(&host, deed))).await;
        assert!(cut.is_err(), "{deed} should have gone on");
        let next = prepared.activate(activation(&FakeHost::new(Hub::Answers), "counter"));
        let next = timeout(Duration::from_secs(5), next).await;
        assert_eq!(summary(&next.expect("the place should be free")), "1");
        let deadline = Instant::now() + Duration::from_secs(5);
        while Arc::strong_count(&host) > 1 {
            assert!(Instant::now() < deadline, "{deed} still holds its host");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn waiting_for_a_place_can_be_given_up() {
    let prepared = with_slots(1).await;
    let host = FakeHost::new(Hub::NeverAnswers);
    let holder = tokio::spawn({
        let prepared = Arc::clone(&prepared);
        let host = Arc::clone(&host);
        async move { prepared.activate(activation(&host, "inbox")).await }
    });
    let deadline = Instant::now() + Duration::from_secs(5);
    while host.calls.load(SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the first guest does not start");
        tokio::task::yield_now().await;
    }
    let waiting = prepared.activate(activation(&FakeHost::new(Hub::Answers), "counter"));
    assert!(timeout(Duration::from_millis(100), waiting).await.is_err());
    holder.abort();
    let next = prepared.activate(activation(&FakeHost::new(Hub::Answers), "counter"));
    assert_eq!(summary(&timeout(Duration::from_secs(5), next).await.unwrap()), "1");
}

#[tokio::test]
async fn spinning_guests_share_their_threads_and_delay_nobody_else() {
    let prepared = with_slots(17).await;
    let mut spinning = JoinSet::new();
    for _ in 0..16 {
        let prepared = Arc::clone(&prepared);
        let limits = Limits {
            cpu: Duration::from_millis(100),
            ..Limits::default()
        };
        spinning.spawn(async move {
            let host = FakeHost::new(Hub::Answers);
            prepared
                .activate(Activation {
                    limits,
                    ..activation(&host, "spin")
                })
                .await
        });
    }
    // A guest beside them, that asks the host: it is served in turns, not after them.
    let host = FakeHost::new(Hub::Answers);
    let beside = prepared.activate(activation(&host, "hub-loop 3")).await;
    assert_eq!(summary(&beside), "ok=3");
    assert_eq!(host.calls.load(SeqCst), 3);
    assert!(!spinning.is_empty());
    // This runtime is another than the guests'.
    let mut longest = Duration::ZERO;
    while !spinning.is_empty() {
        let began = Instant::now();
        if let Ok(Some(spun)) = timeout(Duration::from_millis(5), spinning.join_next()).await {
            let spun = spun.unwrap();
            assert_eq!(stop(&spun).0, Reason::CpuLimit);
            assert!(spun.usage.cpu < Duration::from_millis(1_000), "{:?}", spun.usage);
        }
        longest = longest.max(began.elapsed());
    }
    assert!(
        longest < Duration::from_millis(500),
        "a timer of another runtime came {longest:?} late"
    );
}
