//! Several things at once: reloads, a long compilation, a shutdown.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::json;
use warren_tests::{
    SOON,
    components::{laborious, manifest, saying},
    eventually,
    hub::HubProcess,
    process::Process,
};

use super::{host, plugins, put, reload};

#[test]
fn a_component_that_takes_long_to_compile_keeps_nobody_waiting_and_neither_does_it_a_shutdown() {
    let hub = HubProcess::start(&["a"]);
    let mut host = host(&hub, &["a"])
        .file("plugins/slow/plugin.toml", manifest("slow"))
        .file("plugins/slow/plugin.wasm", saying("quick so far"))
        .start_ready();
    // A minute's work for an unoptimised compiler; it never comes to its end here.
    put(&host.setup().path("plugins/slow/plugin.wasm"), &laborious("slow", 500));
    let mut slow = Process::spawn("reload", host.command().args(["plugin", "reload", "slow"]));
    eventually("that the compiler works", SOON, || {
        let threads = fs::read_dir(format!("/proc/{}/task", host.process_id())).unwrap();
        let mut names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.any(|name| name.starts_with("warren-compile")).then_some(())
    });
    // Others are reloaded, compiled and run meanwhile, and the old one as well.
    put(&host.setup().path("plugins/p/plugin.wasm"), &saying("two"));
    let began = Instant::now();
    assert_eq!(reload(&host, "p")["result"], "replaced");
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: two");
    assert!(host.ready().status == 200);
    assert_eq!(plugins(&host)["plugins"][1]["running"]["generation"], 1);
    let took = began.elapsed();
    assert_eq!(
        slow.exited(),
        None,
        "it was to take longer: {took:?}\n{}",
        slow.stderr()
    );
    assert!(took < SOON / 2, "{took:?}");

    host.sigterm();
    assert_eq!(slow.wait_exit(SOON).code(), Some(1), "{}", slow.stderr());
    assert!(
        slow.stderr().contains("this host is stopping and replaces no plugins"),
        "{}",
        slow.stderr()
    );
    let began = Instant::now();
    assert_eq!(host.wait_exit(SOON).code(), Some(0), "{}", host.log_text());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn reloads_of_one_plugin_at_once_take_turns_and_agree() {
    let hub = HubProcess::start(&["a"]);
    let host = host(&hub, &["a"]).start_ready();
    put(&host.setup().path("plugins/p/plugin.wasm"), &saying("two"));
    let reloads = thread::scope(|scope| {
        let reloading: Vec<_> = (0..8).map(|_| scope.spawn(|| reload(&host, "p"))).collect();
        reloading.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let count = |result: &str| reloads.iter().filter(|reloaded| reloaded["result"] == result).count();
    assert_eq!((count("replaced"), count("unchanged")), (1, 7), "{reloads:?}");
    assert!(
        reloads.iter().all(|reloaded| reloaded["generation"] == 2),
        "{reloads:?}"
    );
    assert_eq!(host.logged("plugin reloaded").len(), 1);
    // What came before has its number for ever.
    put(&host.setup().path("plugins/p/plugin.wasm"), &saying("one"));
    let back = reload(&host, "p");
    assert_eq!(
        (&back["was"], &back["generation"], &back["cached"]),
        (&json!(2), &json!(1), &json!(true))
    );
}
