use super::*;
use crate::domain::{capability::Capability, limits::LimitOverrides};

fn parse_echo(text: &str) -> Result<AgentDefinition, String> {
    parse(
        Path::new("agents/echo/config.yaml"),
        &AgentName::new("echo").unwrap(),
        text,
        None,
    )
}

#[test]
fn a_definition_says_what_it_says() {
    let text = "
name: echo            # must equal the folder's name
type: warren
plugin: parrot
description: Says it again
cache_ttl: 7
capabilities: { grants: [hub:read, config] }
behavior:
  discovery: { enabled: true }
  limits: { max_daily_posts: 1, max_daily_comments: 2, max_responses_per_thread: 4, min_interval_seconds: 0 }
limits: { memory: 32MiB, cpu: 2s, deadline: 1m 30s, hub_calls: 9, workspace_bytes: 1MiB, workspace_entries: 7 }
workspace: { wipe: true }
config: { greeting: hi, volume: 1.50, loud: true, code: 007, none: '' }
";
    let prompt = Some("Be brief.\n".to_owned());
    let name = AgentName::new("echo").unwrap();
    let values = [
        ("code", "007"),
        ("greeting", "hi"),
        ("loud", "true"),
        ("none", ""),
        ("system_prompt", "Be brief.\n"),
        ("volume", "1.50"),
    ];
    let expected = AgentDefinition {
        name: name.clone(),
        kind: "warren".to_owned(),
        plugin: PluginName::new("parrot").unwrap(),
        description: "Says it again".to_owned(),
        grants: [Capability::HubRead, Capability::Config].into_iter().collect(),
        discovery: true,
        behavior: BehaviorLimits {
            max_daily_posts: 1,
            max_daily_comments: 2,
            max_responses_per_thread: 4,
            min_interval: Duration::ZERO,
        },
        limits: LimitOverrides {
            memory: Some(32 << 20),
            cpu: Some(Duration::from_secs(2)),
            deadline: Some(Duration::from_secs(90)),
            hub_calls: Some(9),
            workspace_bytes: Some(1 << 20),
            workspace_entries: Some(7),
            ..LimitOverrides::default()
        },
        wipe_workspace: true,
        cache_ttl: Duration::from_secs(7),
        config: values
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<BTreeMap<_, _>>()
            .into(),
    };
    assert_eq!(parse(Path::new("f"), &name, text, prompt), Ok(expected));
}

#[test]
fn what_is_left_out_or_left_empty_has_its_default() {
    let short = parse_echo("name: echo\nplugin: echo\n").unwrap();
    assert_eq!(short.behavior, BehaviorLimits::default());
    assert_eq!(short.cache_ttl, Duration::from_secs(300));
    assert!(!short.discovery && short.config.is_empty() && short.grants.iter().next().is_none());
    assert!(!short.wipe_workspace);
    let empty = "name: echo\nplugin: echo\ncapabilities:\nbehavior:\n  limits:\nlimits:\nworkspace:\nconfig:\n";
    assert_eq!(parse_echo(empty), Ok(short));
}

#[test]
fn errors_name_file_line_field_value_and_what_is_allowed() {
    let cases: [(&str, &[&str]); 15] = [
        (
            "colour: red",
            &[
                "agents/echo/config.yaml:3: colour: unknown field `colour`",
                "cache_ttl",
                "`colour: red`",
            ],
        ),
        (
            "behavior:\n  limits:\n    max_daily_posts: many",
            &[":5: behavior.limits.max_daily_posts: ", "whole number", "many"],
        ),
        (
            "behavior:\n  limits: { max_daily_posts: -1 }",
            &[":4: behavior.limits.max_daily_posts: ", "from 0", "-1"],
        ),
        (
            "behavior:\n  discovery: { enabled: maybe }",
            &[":4: behavior.discovery.enabled: ", "true and false", "maybe"],
        ),
        (
            "behavior:\n  max_daily_posts: 4",
            &[":4: behavior.max_daily_posts: ", "moved into behavior.limits"],
        ),
        ("interests:\n  keywords: [a]", &[":3: interests: ", "under `config`"]),
        (
            "capabilities: { grants: [hub:read, hub] }",
            &[":3: capabilities.grants[1]: \"hub\"", "hub:write"],
        ),
        (
            "capabilities: { grants: hub:read }",
            &[":3: capabilities.grants: ", "list"],
        ),
        (
            "limits: { memory: lots }",
            &[":3: limits.memory: ", "\"lots\"", "64MiB"],
        ),
        (
            "workspace: { wipe: sometimes }",
            &[":3: workspace.wipe: ", "true and false", "sometimes"],
        ),
        ("limits: { cpu: 5 }", &[":3: limits.cpu: ", "`5`", "5s"]),
        (
            "config: { a: 1, b: { c: 1 } }",
            &[":3: config.b: ", "not a list or a mapping"],
        ),
        ("config:\n  a:", &[":4: config.a: ", "has no value"]),
        ("plugin: other", &[":3: ", "plugin", "twice"]),
        ("cache_ttl: soon", &[":3: cache_ttl: ", "whole number", "soon"]),
    ];
    for (more, parts) in cases {
        let error = parse_echo(&format!("name: echo\nplugin: echo\n{more}\n")).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{error:?} should contain {part:?}");
        }
        assert!(!error.contains(" at line "), "{error}");
    }
    let whole: [(&str, &[&str]); 6] = [
        ("", &["config.yaml:1: ", "no content"]),
        ("- a", &["config.yaml:1: ", "`key: value`"]),
        ("name: echo", &["missing field `plugin`"]),
        (
            "name: other\nplugin: echo",
            &["config.yaml: name: \"other\"", "\"echo\""],
        ),
        ("name: echo\nplugin: Echo!", &["plugin: plugin name \"Echo!\"", "a-z"]),
        ("name: [\n", &["config.yaml:1: name: "]),
    ];
    for (text, parts) in whole {
        let error = parse_echo(text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{error:?} should contain {part:?}");
        }
    }
}

#[test]
fn a_prompt_has_one_place() {
    let text = "name: echo\nplugin: echo\nconfig: { system_prompt: a }\n";
    assert_eq!(parse_echo(text).unwrap().config["system_prompt"], "a");
    let error = parse(
        Path::new("f"),
        &AgentName::new("echo").unwrap(),
        text,
        Some("b".to_owned()),
    )
    .unwrap_err();
    assert!(
        error.contains("config.system_prompt") && error.contains("system-prompt.md"),
        "{error}"
    );
}

#[test]
fn a_file_that_multiplies_itself_is_refused() {
    let mut text = "name: echo\nplugin: echo\nconfig:\n  a0: &a0 xxxxxxxxxx\n".to_owned();
    for n in 1..40 {
        let before = n - 1;
        text.push_str(&format!(
            "  a{n}: &a{n} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n"
        ));
    }
    assert!(parse_echo(&text).is_err());
}
