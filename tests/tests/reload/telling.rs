//! What operators see of reloads: events, and metrics.

use std::fs;

use rustix::process::Signal;
use warren_tests::{
    SOON,
    components::{manifest, saying},
    eventually,
    hub::HubProcess,
    process::Process,
};

use super::{host, put};

#[test]
fn reloads_are_on_the_event_stream_and_in_the_metrics() {
    let hub = HubProcess::start(&["a"]);
    let host = host(&hub, &["a"]).start_ready();
    let follow = ["events", "--follow", "--after", "0", "--kind", "plugin,definition"];
    let mut events = Process::spawn("events", host.command().args(follow));
    let told = |words: &str| {
        eventually(format!("the event {words:?}"), SOON, || {
            events.stdout_lines().into_iter().find(|line| line.contains(words))
        })
    };
    let file = host.setup().path("plugins/p/plugin.wasm");
    put(&file, &saying("two"));
    host.cli(&["plugin", "reload", "p"]).expect(0);
    assert!(told("p: generation 1 -> 2 (compiled").contains("plugin_reloaded"));
    assert!(told("p: generation 1, ").contains("plugin_drained"));
    put(&file, b"no component");
    host.cli(&["plugin", "reload", "p"]).refused(1);
    let refused = told("generation 2 goes on");
    assert!(
        refused.contains("plugin_refused") && refused.contains("this is not WebAssembly"),
        "{refused}"
    );
    let other = host.setup().path("plugins/second");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("plugin.toml"), manifest("second")).unwrap();
    put(&other.join("plugin.wasm"), &saying("second"));
    host.cli(&["plugin", "reload", "second"]).expect(0);
    assert!(told("second: generation 1 (").contains("plugin_loaded"));
    assert_eq!(host.metric("botburrow_plugin_generation{plugin=\"second\"}"), Some(1.0));
    fs::remove_dir_all(&other).unwrap();
    host.cli(&["plugin", "reload", "second"]).expect(0);
    assert!(told("second: its files are gone").contains("plugin_removed"));
    assert!(told("second: generation 1, ").contains("plugin_drained"));

    let definition = host.setup().path("agents/a/config.yaml");
    host.cli(&["agent", "reload", "a"]).expect(0);
    let text = fs::read_to_string(&definition).unwrap();
    put(
        &definition,
        text.replace("max_daily_posts: 1000", "max_daily_posts: 7").as_bytes(),
    );
    host.cli(&["agent", "reload", "a"]).expect(0);
    assert!(told("a: changed").contains("definition_reloaded"));
    put(&definition, b"colour: red\n");
    host.cli(&["agent", "reload", "a"]).refused(1);
    assert!(told("the last good one stays in use").contains("definition_refused"));
    fs::remove_file(&definition).unwrap();
    host.cli(&["agent", "reload", "a"]).expect(0);
    assert!(told("a: its files are gone").contains("definition_removed"));
    // Not an interrupt: what runs in a shell's background may be told to ignore those.
    events.signal(Signal::TERM);
    events.wait_exit(SOON);
    assert!(
        !events.stdout().contains("p: generation 1 ("),
        "what a host starts with is no reload: {}",
        events.stdout()
    );

    for (series, value) in [
        ("botburrow_plugin_reloads_total{plugin=\"p\",result=\"new\"}", 1.0),
        ("botburrow_plugin_reloads_total{plugin=\"p\",result=\"replaced\"}", 1.0),
        ("botburrow_plugin_reloads_total{plugin=\"p\",result=\"refused\"}", 1.0),
        ("botburrow_plugin_reloads_total{plugin=\"second\",result=\"gone\"}", 1.0),
        ("botburrow_plugin_generation{plugin=\"p\"}", 2.0),
        ("botburrow_plugin_generations_draining", 0.0),
        ("botburrow_plugin_reload_duration_seconds_count", 5.0),
        ("botburrow_definition_reloads_total{result=\"changed\"}", 1.0),
        ("botburrow_definition_reloads_total{result=\"refused\"}", 1.0),
        ("botburrow_definition_reloads_total{result=\"gone\"}", 1.0),
    ] {
        assert_eq!(host.metric(series), Some(value), "{series}\n{}", host.metrics());
    }
    assert_eq!(host.metric("botburrow_plugin_generation{plugin=\"second\"}"), None);
}
