//! What a host says of plugins that it can't run, and of what they are.

use super::*;

/// A name, what lies in the plugin's folder, and words about it.
fn broken_plugins() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let core = b"\0asm\x01\0\0\0".to_vec();
    let mut cut = guests::component("echo");
    cut.truncate(cut.len() / 2);
    vec![
        ("text", b"no component at all".to_vec(), "this is not WebAssembly"),
        ("empty", Vec::new(), "this is not WebAssembly"),
        ("core", core, "this is a core module, not a component"),
        ("cut", cut, "the file is cut off"),
        (
            "other-world",
            guests::component("guest-other-world"),
            "the component was built against",
        ),
        (
            "undeclared",
            guests::component("guest-undeclared"),
            "which its manifest does not declare",
        ),
        ("no-activate", guests::component("guest-no-activate"), "activate"),
    ]
}

fn manifest(name: &str, component: &str) -> String {
    format!(
        "name = \"{name}\"\nversion = \"1\"\nworld = \"warren:agent/agent@0.1.0\"\ncomponent = \"{component}\"\n\
         capabilities = []\n"
    )
}

#[test]
fn broken_plugins_are_listed_with_their_reasons_and_the_good_one_runs() {
    let hub = HubProcess::start(&["echo", "lame"]);
    let mut setup = HostSetup::new(&hub)
        .agent(&Agent::echo("echo"))
        .agent(&Agent::echo("lame").plugin("core"))
        .file("plugins/no-manifest-value/plugin.toml", "name = \"x\"\n")
        .file("plugins/absent/plugin.toml", manifest("absent", "absent.wasm"));
    for (name, component, _) in broken_plugins() {
        setup = setup
            .file(&format!("plugins/{name}/plugin.toml"), manifest(name, "plugin.wasm"))
            .file(&format!("plugins/{name}/plugin.wasm"), component);
    }
    let host = setup.start_ready();
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");

    let list: Value = serde_json::from_str(host.cli(&["plugin", "list", "--json"]).expect(0)).unwrap();
    let plugins = list["plugins"].as_array().unwrap();
    let words_of = |name: &str| {
        let ends = |text: &Value| text.as_str().is_some_and(|text| text.ends_with(name));
        let plugin = plugins.iter().find(|plugin| ends(&plugin["name"]));
        let plugin = plugin.unwrap_or_else(|| panic!("{name} is not in {list:#}"));
        assert!(plugin["running"].is_null(), "{plugin}");
        plugin["error"].as_str().expect("words").to_owned()
    };
    for (name, _, expected) in broken_plugins() {
        let words = words_of(name);
        assert!(words.contains(expected), "{name}: {words}");
        let folder = host.setup().path(&format!("plugins/{name}"));
        let inspected = host.setup().cli(&["plugin", "inspect", folder.to_str().unwrap()]);
        assert_eq!(inspected.code, Some(1), "{inspected:?}");
        let said = format!("{}{}", inspected.stdout, inspected.stderr);
        assert!(said.contains(expected), "inspect {name}: {said}");
    }
    assert!(
        words_of("no-manifest-value/plugin.toml").contains("missing field"),
        "{list:#}"
    );
    assert!(words_of("absent").contains("absent.wasm"), "{list:#}");

    let table = host.cli(&["plugin", "list"]).expect(0).to_owned();
    assert!(
        table.contains("FAILED") && table.contains("core: this is a core module"),
        "{table}"
    );
    let why = host.why("lame");
    assert!(
        why.contains("It can't run on this host: plugin core could not be loaded: this is a core module"),
        "{why}"
    );
    let status = host.status();
    assert_eq!(
        (&status["plugins"]["ready"], &status["ready"]["ready"]),
        (&json!(1), &json!(true)),
        "{status}"
    );
}

#[test]
fn a_folder_of_plugins_that_is_not_there_is_named() {
    let hub = HubProcess::start(&[]);
    let setup = HostSetup::new(&hub).set("host.plugin_dir", "\"nowhere/plugins\"");
    let words = setup.cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains("nowhere/plugins: the folder of plugins can't be read"),
        "{words}"
    );
}

#[test]
fn a_component_on_its_own_can_be_inspected() {
    let setup = HostSetup::without_hub()
        .file("core.wasm", b"\0asm\x01\0\0\0")
        .file("text.wasm", "text");
    let inspect = |file: &std::path::Path| setup.cli(&["plugin", "inspect", file.to_str().unwrap()]);
    let words = inspect(&setup.path("core.wasm")).refused(1).to_owned();
    assert!(words.contains("core.wasm: this is a core module"), "{words}");
    assert!(inspect(&setup.path("text.wasm")).refused(1).contains("not WebAssembly"));
    assert!(
        inspect(&setup.path("none.wasm"))
            .refused(3)
            .contains("none.wasm can't be read")
    );
    let good = inspect(&guests::path("echo"));
    let shown = good.expect(0);
    assert!(
        shown.contains("needs      hub:read") && shown.contains("warren:agent/hub@0.1.0"),
        "{shown}"
    );
}

#[test]
fn an_agent_that_is_not_granted_what_its_plugin_imports_is_told_so() {
    let hub = HubProcess::start(&["echo"]);
    let host = HostSetup::new(&hub)
        .agent(&Agent::echo("echo").grants("hub:read, config"))
        .start_ready();
    hub.post("@echo hello");
    host.wait_logged("can't run this agent here");
    let why = host.why("echo");
    assert!(
        why.contains("plugin echo imports what agent echo is not granted: "),
        "{why}"
    );
    assert!(
        why.contains("metrics") && why.contains("`capabilities.grants` in the agent's config.yaml"),
        "{why}"
    );
    let item = host.cli(&["submit", "echo", "--payload", "x", "--wait=1"]);
    assert!(
        item.expect(5).contains("ask again with `warren agent show echo`"),
        "{item:?}"
    );
}

#[test]
fn inspect_shows_what_a_component_imports_beside_what_its_manifest_declares() {
    let hub = HubProcess::start(&[]);
    let setup = HostSetup::new(&hub).plugin("echo").plugin("undeclared");
    let setup = setup.set("limits.hub_calls", "7");
    let folder = |name: &str| setup.path(&format!("plugins/{name}")).display().to_string();
    let good = setup.cli(&["plugin", "inspect", &folder("echo")]).expect(0).to_owned();
    for part in [
        "world      0.1.0; declares warren:agent/agent@0.1.0",
        "declares   hub:read, hub:write, config, logging, metrics",
        "imports    ",
        "warren:agent/hub@0.1.0",
        "exports    activate",
        "memory 64.0 MiB, cpu 5s",
        "hub_calls 7",
        "difference none",
        "verdict    a host runs it",
    ] {
        assert!(good.contains(part), "{part:?}: {good}");
    }
    let manifest = setup.path("plugins/echo/plugin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("\"metrics\"", "\"keyvalue\"") + "[limits]\nhub_calls = 8\n",
    )
    .unwrap();
    let wrong = setup.cli(&["plugin", "inspect", &folder("echo")]);
    wrong.expect(1);
    for part in [
        "difference imports what needs `metrics`, and does not declare it",
        "declares `keyvalue`, and imports nothing that needs it",
        "REFUSED    the component imports `warren:agent/metrics@0.1.0`",
    ] {
        assert!(wrong.stdout.contains(part), "{part:?}: {}", wrong.stdout);
    }
    let refused = setup.cli(&["plugin", "inspect", &folder("undeclared"), "--json"]);
    let shown: Value = serde_json::from_str(refused.expect(1)).unwrap();
    assert_eq!(shown["differences"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["limits"]["hub_calls"], 7, "{shown}");
}
