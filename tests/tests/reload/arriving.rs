//! What a reload brings to agents that waited for it.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use warren_tests::{
    SOON,
    components::{manifest, saying},
    eventually,
    host::{Agent, HostProcess},
    hub::HubProcess,
};

use super::{host, put};

/// How long a host leaves items that it can't run to others.
const LEFT: Duration = Duration::from_secs(30);

/// Hand an item to an agent that can't run, and wait until the host has put it back.
fn stuck(host: &HostProcess, agent: &str) -> String {
    let item = host.enqueue(agent, "x");
    host.wait_item(&item, "delayed");
    item
}

#[test]
fn items_that_waited_for_a_plugin_or_a_definition_run_as_soon_as_it_is_reloaded() {
    let hub = HubProcess::start(&["a", "late", "lost"]);
    let mut host = host(&hub, &["a"])
        .agent(&Agent::echo("late").plugin("late").grants(""))
        .agent(&Agent::echo("lost").plugin("nowhere").grants(""))
        .start_ready();
    let began = Instant::now();
    let (late, lost) = (stuck(&host, "late"), stuck(&host, "lost"));

    // Others' reloads change nothing for them.
    put(&host.setup().path("plugins/p/plugin.wasm"), &saying("two"));
    host.cli(&["plugin", "reload", "p"]).expect(0);
    let folder = host.setup().path("plugins/late");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("plugin.toml"), manifest("late")).unwrap();
    put(&folder.join("plugin.wasm"), &saying("here"));
    host.cli(&["plugin", "reload", "--all"]).expect(0);
    let done = host.wait_item(&late, "done");
    assert_eq!(
        (&done["note"], &done["attempt"]),
        (&"ok: here".into(), &1.into()),
        "{done}"
    );
    assert_eq!(host.item(&lost)["state"], "delayed");
    assert_eq!(
        host.submit("late", "x").expect(0),
        "done: ok: here",
        "nothing of it is left to others"
    );

    let definition = host.setup().path("agents/lost/config.yaml");
    let text = fs::read_to_string(&definition).unwrap();
    put(&definition, text.replace("nowhere", "p").as_bytes());
    assert_eq!(host.cli(&["agent", "reload", "lost"]).expect(0), "lost: changed");
    assert_eq!(host.wait_item(&lost, "done")["note"], "ok: two");
    assert!(
        began.elapsed() < LEFT,
        "that may be the end of the delay: {:?}",
        began.elapsed()
    );

    host.signal(Signal::TERM);
    assert_eq!(host.wait_exit(SOON).code(), Some(0), "{}", host.log_text());
}

/// The plugin comes while the host is busy with something else, and while items are being put back.
#[test]
fn a_plugin_that_comes_in_the_middle_of_it_leaves_no_item_behind() {
    let names: Vec<String> = (0..8).map(|n| format!("late{n}")).collect();
    let agents: Vec<&str> = names.iter().map(String::as_str).collect();
    let hub = HubProcess::start(&agents);
    let setup = agents.iter().fold(host(&hub, &[]), |setup, name| {
        setup.agent(&Agent::echo(name).plugin("late").grants(""))
    });
    let host = setup.start_ready();
    let folder = host.setup().path("plugins/late");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("plugin.toml"), manifest("late")).unwrap();
    put(&folder.join("plugin.wasm"), &saying("here"));
    let began = Instant::now();
    let items: Vec<String> = std::thread::scope(|scope| {
        let reloading = scope.spawn(|| host.cli(&["plugin", "reload", "late"]));
        let items = agents.iter().map(|agent| host.enqueue(agent, "x")).collect();
        reloading.join().unwrap().expect(0);
        items
    });
    for item in &items {
        eventually("that it is done", SOON, || {
            (host.item(item)["state"] == "done").then_some(())
        });
    }
    assert!(
        began.elapsed() < LEFT,
        "that may be the end of the delay: {:?}",
        began.elapsed()
    );
}
