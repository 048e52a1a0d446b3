//! Components that are refused, each with words that help.

use warren::{
    adapters::wasm::{SandboxConfig, WasmSandbox},
    domain::{
        capability::{Capability, CapabilitySet},
        ending::Reason,
        limits::Limits,
        plugin::WORLD,
    },
    ports::sandbox::{Activation, PrepareError, Sandbox},
};
use warren_tests::{components::handwritten, guests};

use super::harness::{FakeHost, Hub, activation, all, hostile, item, manifest, prepare, sandbox, small, stop, summary};

async fn refused(component: Vec<u8>, capabilities: CapabilitySet) -> PrepareError {
    match sandbox(small()).prepare(&manifest(capabilities), component).await {
        Err(error) => error,
        Ok(_) => panic!("it should have been refused"),
    }
}

#[tokio::test]
async fn what_is_not_a_component_is_refused_by_what_it_is() {
    let whole = guests::component("guest-idle");
    let core = wat::parse_str("(module (memory 1))").unwrap();
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 200].fill(0xff);
    let cases = [
        (b"#!/bin/sh\n".to_vec(), "not WebAssembly"),
        (Vec::new(), "not WebAssembly"),
        (core, "core module"),
        (whole[..whole.len() - 100].to_vec(), "cut off"),
        (whole[..6].to_vec(), "cut off"),
        (broken, "not a"),
    ];
    for (bytes, words) in cases {
        match refused(bytes, all()).await {
            PrepareError::Invalid(message) => assert!(message.contains(words), "{message} lacks {words}"),
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn another_version_of_the_world_is_refused_with_both_named() {
    let PrepareError::WrongWorld(message) = refused(guests::component("guest-other-world"), all()).await else {
        panic!("the component's imports should have given it away");
    };
    assert!(
        message.contains(WORLD) && message.contains("warren:agent/"),
        "{message}"
    );
    assert!(message.contains("0.2.0") || message.contains("0.9"), "{message}");

    let mut other = manifest(all());
    other.world = "warren:agent/agent@7.0.0".to_owned();
    let sandbox = sandbox(small());
    let Err(PrepareError::WrongWorld(message)) = sandbox.prepare(&other, guests::component("guest-idle")).await else {
        panic!("the manifest should have given it away");
    };
    assert!(message.contains(WORLD) && message.contains("7.0.0"), "{message}");
}

#[tokio::test]
async fn an_undeclared_import_is_refused_with_the_way_out() {
    let PrepareError::Undeclared(message) =
        refused(guests::component("guest-undeclared"), CapabilitySet::default()).await
    else {
        panic!("the import is not declared");
    };
    for words in ["wasi:keyvalue/store@0.2.0-draft", "`keyvalue`", "plugin.toml"] {
        assert!(message.contains(words), "{message} lacks {words}");
    }
}

#[tokio::test]
async fn an_import_that_nobody_offers_is_refused() {
    for import in ["wasi:nn/graph@0.2.0", "wasi:cli/environment@0.3.0", "print"] {
        let stranger = wat::parse_str(format!(r#"(component (import "{import}" (instance)))"#)).unwrap();
        let PrepareError::Undeclared(message) = refused(stranger, all()).await else {
            panic!("nobody offers {import}");
        };
        assert!(message.contains(import), "{message}");
    }
}

#[tokio::test]
async fn without_the_right_export_it_is_no_plugin() {
    let PrepareError::WrongWorld(message) = refused(guests::component("guest-no-activate"), all()).await else {
        panic!("there is no `activate`");
    };
    assert!(message.contains("activate"), "{message}");

    let wrong_type = r#"(component
      (core module $m (func (export "activate") (result i32) (i32.const 1)))
      (core instance $i (instantiate $m))
      (func $f (result u32) (canon lift (core func $i "activate")))
      (export "activate" (func $f)))"#;
    let PrepareError::WrongWorld(message) = refused(wat::parse_str(wrong_type).unwrap(), all()).await else {
        panic!("`activate` has another type");
    };
    assert!(message.contains("activate"), "{message}");
}

#[tokio::test]
async fn more_memory_than_the_pool_has_is_refused_before_any_activation() {
    let maxima = Limits {
        memory: 1024 * 1024,
        ..Limits::default()
    };
    let sandbox = sandbox(SandboxConfig { maxima, ..small() });
    let Err(error) = sandbox
        .prepare(&manifest(all()), handwritten("(memory 100)", "unreachable"))
        .await
    else {
        panic!("it can't fit");
    };
    assert!(
        matches!(&error, PrepareError::TooLarge(words) if words.contains("1048576")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_trap_while_starting_ends_the_activation() {
    let sandbox = sandbox(small());
    let prepared = prepare(&sandbox, guests::component("guest-start-trap")).await;
    let activated = prepared.activate(activation(&FakeHost::new(Hub::Answers), "")).await;
    assert_eq!(stop(&activated).0, Reason::Trap);
}

#[tokio::test]
async fn facts_are_read_without_compiling() {
    let sandbox = sandbox(small());
    let facts = sandbox.inspect(&guests::component("guest-undeclared")).unwrap();
    assert_eq!(facts.world_version.as_deref(), Some("0.1.0"));
    assert_eq!(facts.needs.to_string(), "keyvalue");
    assert_eq!(facts.exports, ["activate"]);
    assert!(facts.unknown.is_empty(), "{:?}", facts.unknown);
    assert!(
        facts.imports.contains(&"wasi:keyvalue/store@0.2.0-draft".to_owned()),
        "{:?}",
        facts.imports
    );
    assert!(facts.imports.is_sorted());

    let facts = sandbox.inspect(&guests::component("guest-other-world")).unwrap();
    assert_ne!(facts.world_version.as_deref(), Some("0.1.0"));
    assert!(!facts.unknown.is_empty());
}

#[tokio::test]
async fn an_agent_that_is_not_granted_what_its_plugin_imports_does_not_run() {
    let prepared = hostile().await;
    let granted: CapabilitySet = Capability::ALL
        .into_iter()
        .filter(|c| *c != Capability::KeyValue)
        .collect();
    assert_eq!(prepared.missing(&granted).to_string(), "keyvalue");
    assert_eq!(prepared.missing(&all()).to_string(), "none");
    let host = FakeHost::new(Hub::Answers);
    let activation = Activation {
        capabilities: granted,
        ..activation(&host, "counter")
    };
    let activated = prepared.activate(activation).await;
    let (reason, detail) = stop(&activated);
    assert_eq!(reason, Reason::PluginUnavailable);
    assert!(detail.contains("keyvalue"), "{detail}");
}

#[tokio::test]
async fn reading_and_writing_the_hub_are_granted_apart() {
    let without =
        |left_out: Capability| -> CapabilitySet { Capability::ALL.into_iter().filter(|c| *c != left_out).collect() };
    let cases = [
        (Capability::HubWrite, "hub-loop 2", "ok=2"),
        (Capability::HubRead, "hub-loop 2", "denied=2"),
        (Capability::HubRead, "post hello", "made"),
    ];
    for (left_out, deed, expected) in cases {
        let host = FakeHost::new(Hub::Answers);
        let activation = Activation {
            capabilities: without(left_out),
            item: item(deed),
            ..activation(&host, deed)
        };
        let activated = hostile().await.activate(activation).await;
        assert_eq!(summary(&activated), expected, "{deed} without {left_out}");
        let denials = if expected == "denied=2" {
            vec![left_out; 2]
        } else {
            Vec::new()
        };
        assert_eq!(*host.denials.lock().unwrap(), denials, "{deed} without {left_out}");
    }
}

#[test]
fn a_pool_that_no_machine_has_is_refused_in_words() {
    for slots in [0, 10_000_000] {
        let Err(error) = WasmSandbox::new(SandboxConfig { slots, ..small() }) else {
            panic!("there can't be {slots} places");
        };
        assert!(
            error.to_string().contains("place") || error.to_string().contains("slots"),
            "{error}"
        );
    }
}
