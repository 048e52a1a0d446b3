//! Every limit of the design's table, each with a guest that hits it.

use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use warren::{
    adapters::wasm::SandboxConfig,
    domain::{agent::BehaviorLimits, ending::Reason, limits::Limits},
    ports::{guest::LogLevel, sandbox::Activation},
};
use warren_tests::{
    components::{Plugin, handwritten},
    guests,
};

use super::harness::{FakeHost, Hub, activation, hostile, prepare, run, run_within, sandbox, small, stop, summary};

const MIB: u64 = 1024 * 1024;

/// What authors test against is what a host gives an agent that says nothing.
#[test]
fn the_limits_of_the_sdks_host_in_memory_are_these() {
    let bytes = |size: u64| usize::try_from(size).unwrap();
    let (limits, behavior) = (Limits::default(), BehaviorLimits::default());
    let expected = warren_guest_sdk::testing::Limits {
        max_daily_posts: behavior.max_daily_posts,
        max_daily_comments: behavior.max_daily_comments,
        max_responses_per_thread: behavior.max_responses_per_thread,
        hub_calls: limits.hub_calls,
        copy: bytes(limits.copy),
        outcome: bytes(limits.outcome),
        log_lines: limits.log_lines,
        log_bytes: bytes(limits.log_bytes),
        metric_series: limits.metric_series as usize,
        metric_labels: limits.metric_labels as usize,
        state_bytes: bytes(limits.state_bytes),
        state_keys: limits.state_keys as usize,
        state_value: bytes(limits.state_value),
    };
    assert_eq!(warren_guest_sdk::testing::Limits::default(), expected);
}

#[tokio::test]
async fn memory_is_bounded_however_it_is_taken() {
    // The limit may be the pool's maximum or less.
    for (deed, memory) in [("grow", 16), ("grow-quietly", 16), ("grow", 64), ("grow-quietly", 64)] {
        let memory = memory * MIB;
        let activated = run_within(
            deed,
            Limits {
                memory,
                ..Limits::default()
            },
        )
        .await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::MemoryLimit, "{deed}: {detail}");
        assert!(
            detail.contains("`memory`") && detail.contains(&memory.to_string()),
            "{detail}"
        );
        let used = activated.usage.memory;
        assert!((memory - 2 * MIB..=memory).contains(&used), "{deed} used {used}");
    }
}

#[tokio::test]
async fn starting_with_too_much_memory_table_instances_or_memories_is_a_memory_limit() {
    let sandbox = sandbox(small());
    let cases = [
        (
            "(memory 64)",
            Limits {
                memory: MIB,
                ..Limits::default()
            },
        ),
        (
            "(table 500 funcref)",
            Limits {
                table_elements: 100,
                ..Limits::default()
            },
        ),
        (
            "(memory 1) (memory 1) (memory 1)",
            Limits {
                memories: 2,
                ..Limits::default()
            },
        ),
    ];
    for (contents, limits) in cases {
        let prepared = prepare(&sandbox, handwritten(contents, "unreachable")).await;
        let host = FakeHost::new(Hub::Answers);
        let activated = prepared
            .activate(Activation {
                limits,
                ..activation(&host, "")
            })
            .await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::MemoryLimit, "{contents}: {detail}");
    }

    let one_instance = handwritten("", "unreachable");
    let prepared = prepare(&sandbox, one_instance).await;
    let limits = Limits {
        instances: 0,
        ..Limits::default()
    };
    let host = FakeHost::new(Hub::Answers);
    let activated = prepared
        .activate(Activation {
            limits,
            ..activation(&host, "")
        })
        .await;
    assert_eq!(stop(&activated).0, Reason::MemoryLimit, "{:?}", activated.verdict);
}

#[tokio::test]
async fn growing_a_table_without_end_is_a_memory_limit() {
    let sandbox = sandbox(small());
    let grow = "(loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)) unreachable";
    let prepared = prepare(&sandbox, handwritten("(table $t 1 funcref)", grow)).await;
    let activated = prepared.activate(activation(&FakeHost::new(Hub::Answers), "")).await;
    let (reason, detail) = stop(&activated);
    assert_eq!(reason, Reason::MemoryLimit, "{detail}");
    assert!(detail.contains("100000"), "{detail}");
}

#[tokio::test]
async fn cpu_time_is_bounded_and_waiting_costs_none() {
    let limits = Limits {
        cpu: Duration::from_millis(200),
        ..Limits::default()
    };
    let began = Instant::now();
    let spun = run_within("spin", limits.clone()).await;
    let (reason, detail) = stop(&spun);
    assert_eq!(reason, Reason::CpuLimit, "{detail}");
    assert!(detail.contains("`cpu`") && detail.contains("200ms"), "{detail}");
    assert!(spun.usage.cpu >= Duration::from_millis(200), "{:?}", spun.usage);
    assert!(began.elapsed() < Duration::from_secs(20));

    let slept = run_within("sleep 400", limits).await;
    assert_eq!(summary(&slept), "slept 400 ms");
    assert!(slept.usage.wall >= Duration::from_millis(400), "{:?}", slept.usage);
    assert!(slept.usage.cpu < Duration::from_millis(200), "{:?}", slept.usage);
}

#[tokio::test]
async fn cpu_time_of_starting_counts() {
    let sandbox = sandbox(small());
    let spin = "(func $spin (loop $again (br $again))) (start $spin)";
    let prepared = prepare(&sandbox, handwritten(spin, "unreachable")).await;
    let limits = Limits {
        cpu: Duration::from_millis(100),
        ..Limits::default()
    };
    let host = FakeHost::new(Hub::Answers);
    let activated = prepared
        .activate(Activation {
            limits,
            ..activation(&host, "")
        })
        .await;
    assert_eq!(stop(&activated).0, Reason::CpuLimit, "{:?}", activated.verdict);
}

#[tokio::test]
async fn the_deadline_cuts_a_guest_that_runs_and_one_that_blocks_in_the_host() {
    for deed in ["sleep 60000", "spin"] {
        let limits = Limits {
            deadline: Duration::from_millis(200),
            ..Limits::default()
        };
        let began = Instant::now();
        let activated = run_within(deed, limits).await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::Deadline, "{deed}: {detail}");
        assert!(detail.contains("`deadline`"), "{detail}");
        assert!(began.elapsed() < Duration::from_secs(5), "{deed} was cut late");
    }
}

#[tokio::test]
async fn a_deadline_inside_a_call_to_the_hub_is_upstreams() {
    let host = FakeHost::new(Hub::NeverAnswers);
    let limits = Limits {
        deadline: Duration::from_millis(200),
        ..Limits::default()
    };
    let activated = hostile()
        .await
        .activate(Activation {
            limits,
            ..activation(&host, "inbox")
        })
        .await;
    let (reason, detail) = stop(&activated);
    assert_eq!(reason, Reason::Upstream, "{detail}");
}

#[tokio::test]
async fn what_one_call_copies_is_bounded() {
    for deed in ["copy 5000000", "copy-search 5000000"] {
        let activated = run(deed).await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::CopyLimit, "{deed}: {detail}");
        assert!(detail.contains("`copy`"), "{detail}");
    }
    assert_eq!(summary(&run("copy-search 4000000").await), "found 0");
}

#[tokio::test]
async fn the_outcome_is_bounded() {
    for deed in ["return-big 10000000", "return-big 262145"] {
        let activated = run(deed).await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::OutputLimit, "{deed}: {detail}");
        assert!(detail.contains("`outcome`"), "{detail}");
    }
    assert_eq!(summary(&run("return-big 262144").await).len(), 262_144);
}

#[tokio::test]
async fn an_outcome_of_aliases_costs_neither_time_nor_memory() {
    let activated = run("return-aliased").await;
    let (reason, detail) = stop(&activated);
    assert_eq!(reason, Reason::OutputLimit, "{detail}");
    assert!(activated.usage.cpu < Duration::from_secs(2), "{:?}", activated.usage);
}

#[tokio::test]
async fn log_lines_are_bounded_in_number_and_bytes_and_the_loss_is_told_once() {
    // 1,000 lines, then 256 KiB, whichever comes first.
    for (deed, kept) in [("log 1500 10", 1_000), ("log 500 1024", 254)] {
        let host = FakeHost::new(Hub::Answers);
        let activated = hostile().await.activate(activation(&host, deed)).await;
        summary(&activated);
        let logs = host.logs.lock().unwrap();
        let warnings = logs
            .iter()
            .filter(|(level, context, _)| *level == LogLevel::Warn && context == "warren");
        assert_eq!(warnings.count(), 1, "{deed}");
        assert_eq!(logs.len() - 1, kept, "{deed}");
        let lines: u64 = deed.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(activated.usage.log_lines_dropped, lines - kept as u64, "{deed}");
    }
}

#[tokio::test]
async fn streams_without_end_are_cut_into_lines_and_bounded() {
    for (deed, level) in [("stdout 20000000", LogLevel::Info), ("stderr 20000000", LogLevel::Warn)] {
        let host = FakeHost::new(Hub::Answers);
        let activated = hostile().await.activate(activation(&host, deed)).await;
        assert_eq!(summary(&activated), "wrote 20000000 bytes");
        assert!(activated.usage.log_lines_dropped > 0);
        let logs = host.logs.lock().unwrap();
        let bytes: usize = logs.iter().map(|(_, context, line)| context.len() + line.len()).sum();
        assert!((200_000..=263_000).contains(&bytes), "{bytes} bytes were logged");
        assert_eq!(logs[0].0, level);
    }
}

#[tokio::test]
async fn calls_to_the_hub_are_bounded_with_an_error_to_the_guest() {
    let host = FakeHost::new(Hub::Answers);
    let activated = hostile().await.activate(activation(&host, "hub-loop 250")).await;
    assert_eq!(summary(&activated), "ok=200 limit=50");
    assert_eq!(host.calls.load(SeqCst), 200);
}

#[tokio::test]
async fn recursion_without_end_traps() {
    for deed in ["recurse", "recurse-frames"] {
        let activated = run(deed).await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::Trap, "{deed}: {detail}");
    }
}

#[tokio::test]
async fn resources_and_handles_are_bounded() {
    let subscribes_without_end = Plugin {
        imports: r#"
            (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
            (alias export $poll "pollable" (type $pollable))
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
              (alias outer 1 $pollable (type $outer))
              (export "pollable" (type $pollable (eq $outer)))
              (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
            (core func $subscribe (canon lower (func $clock "subscribe-duration")))
            (core instance $imports (export "subscribe" (func $subscribe)))"#,
        with: r#"(with "clock" (instance $imports))"#,
        contents: r#"(import "clock" "subscribe" (func $subscribe (param i64) (result i32)))"#,
        body: "(loop $again (drop (call $subscribe (i64.const 0))) (br $again)) unreachable",
    };
    let makes_its_own_without_end = Plugin {
        imports: r#"
            (type $own (resource (rep i32)))
            (core func $new (canon resource.new $own))
            (core instance $imports (export "new" (func $new)))"#,
        with: r#"(with "own" (instance $imports))"#,
        contents: r#"(import "own" "new" (func $new (param i32) (result i32)))"#,
        body: "(loop $again (drop (call $new (i32.const 0))) (br $again)) unreachable",
    };
    let sandbox = sandbox(small());
    for guest in [subscribes_without_end, makes_its_own_without_end] {
        let prepared = prepare(&sandbox, guest.component()).await;
        let activated = prepared.activate(activation(&FakeHost::new(Hub::Answers), "")).await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::MemoryLimit, "{detail}");
    }
}

#[tokio::test]
async fn limits_of_an_activation_are_cut_to_the_operators_maxima() {
    let maxima = Limits {
        memory: 8 * MIB,
        cpu: Duration::from_millis(100),
        ..Limits::default()
    };
    let sandbox = sandbox(SandboxConfig { maxima, ..small() });
    let prepared = prepare(&sandbox, guests::component("guest-hostile")).await;
    for (deed, reason) in [("spin", Reason::CpuLimit), ("grow", Reason::MemoryLimit)] {
        let activated = prepared.activate(activation(&FakeHost::new(Hub::Answers), deed)).await;
        assert_eq!(stop(&activated).0, reason, "{:?}", activated.verdict);
        assert!(activated.usage.memory <= 8 * MIB);
    }
}
