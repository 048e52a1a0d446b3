//! The definitions of agents.

use std::fs;

use warren_tests::{
    components::{manifest, saying},
    hub::HubProcess,
};

use super::{host, put};

#[test]
fn definitions_are_read_again_at_a_word_and_by_the_familiar_call() {
    let hub = HubProcess::start(&["a"]);
    let definition = |more: &str| {
        format!("name: a\nplugin: p\ncache_ttl: 3600\nbehavior:\n  limits: {{min_interval_seconds: 0}}\n{more}")
    };
    let setup = host(&hub, &[]).file("agents/a/config.yaml", definition(""));
    let host = setup.start_ready();
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: one");
    let file = host.setup().path("agents/a/config.yaml");
    put(&file, definition("colour: red\n").as_bytes());
    let refused = host.cli(&["agent", "reload", "a"]);
    let words = refused.refused(1);
    assert!(
        words.contains("colour") && words.contains("the last good one stays in use"),
        "{words}"
    );
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: one");

    // Another plugin: the next item runs on that.
    let other = host.setup().path("plugins/other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("plugin.toml"), manifest("other")).unwrap();
    put(&other.join("plugin.wasm"), &saying("other"));
    host.cli(&["plugin", "reload", "--all"]).expect(0);
    put(&file, definition("").replace("plugin: p", "plugin: other").as_bytes());
    assert_eq!(
        host.submit("a", "x").expect(0),
        "done: ok: one",
        "nobody has asked for it"
    );
    let answer = host
        .api()
        .send("POST", "/api/v1/cache/invalidate?agent=a", None)
        .expect(200)
        .json();
    assert_eq!(answer["agents"][0]["result"], "changed", "{answer}");
    assert_eq!(host.submit("a", "x").expect(0), "done: ok: other");
    assert_eq!(host.cli(&["agent", "reload", "--all"]).expect(0), "a: unchanged");
    let unknown = host.cli(&["agent", "reload", "nobody"]);
    assert!(
        unknown.refused(3).contains("agent nobody has no definition"),
        "{unknown:?}"
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(
        host.cli(&["agent", "reload", "a"]).expect(0),
        "a: its definition is gone"
    );
}
