use std::time::Duration;

use serde_json::json;

use super::*;
use crate::app::config::{host::Role, hub::Idempotency};

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("warren.toml");
    fs::write(&path, toml).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    Sources {
        file: Some(path),
        environment,
    }
    .load()
}

fn problems(toml: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match load(toml, environment) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let example = include_str!("../../../../warren.example.toml");
    let is_key = |line: &str| {
        line.split_once(" = ")
            .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let uncommented: String = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let table: toml::Table = uncommented.parse().unwrap();
    assert_eq!(table.clone().try_into::<Config>().unwrap(), Config::default());

    let shown = serde_json::to_value(&table).unwrap();
    for (key, _) in schema::leaves(&Config::default()) {
        let pointer = format!("/{}", key.replace('.', "/"));
        assert!(shown.pointer(&pointer).is_some(), "warren.example.toml lacks {key}");
    }
    // As it stands, all commented out, it sets nothing.
    let loaded = load(example, &[]).unwrap();
    assert!(
        loaded.entries.iter().all(|entry| entry.source == "default"),
        "{:?}",
        loaded.entries
    );
}

#[test]
fn an_empty_file_is_the_defaults_with_what_follows_from_them() {
    let loaded = load("", &[]).unwrap();
    assert_eq!(loaded.config.queue.item_lease, Duration::from_secs(30));
    assert_eq!(
        loaded.config.store.path.as_deref(),
        Some(Path::new("warren-data/warren.db"))
    );
    assert!(loaded.config.host.name.is_some_and(|name| !name.is_empty()));
}

#[test]
fn layers_override_each_other_and_are_remembered() {
    let file = "[hub]\nurl = \"http://file\"\npoll_timeout = \"20s\"\npoll_batch = 7\n[host]\nname = \"from-file\"\n";
    let environment = [
        ("HUB_URL", "http://familiar"),
        ("HUB_API_KEY", "12345"),
        ("HOSTNAME", "container"),
        ("WARREN_HUB_POLL_TIMEOUT", "40s"),
        ("WARREN_RUNNER_SLOTS", "8"),
        ("WARREN_HOST_ROLES", "runner, coordinator"),
        ("WARREN_BREAKER_JITTER", "0.2"),
        ("WARREN_API_HOSTS", "[\"warren.local\"]"),
        ("WARREN_HUB_IDEMPOTENCY", "yes"),
    ];
    let loaded = load(file, &environment).unwrap();
    let config = &loaded.config;
    assert_eq!(config.hub.url.as_deref(), Some("http://familiar"));
    assert_eq!(config.hub.api_key.as_ref().unwrap().expose(), "12345");
    assert_eq!(config.hub.poll_timeout, Duration::from_secs(40));
    assert_eq!(
        (config.hub.poll_batch, config.runner.slots, config.breaker.jitter),
        (7, 8, 0.2)
    );
    assert_eq!(config.host.roles, [Role::Runner, Role::Coordinator]);
    assert_eq!(config.host.name.as_deref(), Some("from-file"));
    assert_eq!(config.api.hosts, ["warren.local"]);
    assert_eq!(config.hub.idempotency, Idempotency::Yes);

    let entry = |key: &str| loaded.entries.iter().find(|entry| entry.key == key).unwrap();
    assert_eq!(entry("hub.url").source, "HUB_URL");
    assert_eq!(entry("hub.poll_timeout").source, "WARREN_HUB_POLL_TIMEOUT");
    assert_eq!(entry("hub.poll_timeout").value, json!("40s"));
    assert!(entry("hub.poll_batch").source.ends_with("warren.toml"));
    assert_eq!(entry("leader.ttl").source, "default");
    assert_eq!(
        load("", &[("HOSTNAME", "container")])
            .unwrap()
            .config
            .host
            .name
            .as_deref(),
        Some("container")
    );
}

#[test]
fn labels_are_one_value_however_they_are_written() {
    let labels = |toml: &str, environment: &[(&str, &str)]| {
        let loaded = load(toml, environment).unwrap();
        let entry = loaded.entries.iter().find(|entry| entry.key == "host.labels").unwrap();
        (entry.value.clone(), entry.source == "WARREN_HOST_LABELS")
    };
    let file = "[host.labels]\nzone = \"a\"\n";
    assert_eq!(labels("", &[]), (json!(""), false));
    assert_eq!(labels(file, &[]), (json!("zone=a"), false));
    assert_eq!(
        labels("[host]\nlabels = { zone = \"a\", b = \"c\" }\n", &[]).0,
        json!("b=c,zone=a")
    );
    // As a whole: nothing of the file's is left.
    assert_eq!(
        labels(file, &[("WARREN_HOST_LABELS", "disk=ssd, rack=7")]),
        (json!("disk=ssd,rack=7"), true)
    );
    assert_eq!(
        labels(file, &[("WARREN_HOST_LABELS", "{\"disk\":\"ssd\"}")]).0,
        json!("disk=ssd")
    );
    assert_eq!(labels(file, &[("WARREN_HOST_LABELS", "")]), (json!(""), true));

    for (toml, expected) in [
        (
            "[host.labels]\nzone = 3\n",
            "host.labels.zone: 3 is not allowed: a text in quotes",
        ),
        (
            "[host.labels]\nzone = \"a,b=c\"\n",
            "host.labels.zone: \"a,b=c\" is not allowed: commas",
        ),
        (
            "[host.labels]\nzone = \"a b\"\n",
            "host.labels: zone=a b is not allowed: name and value",
        ),
        (
            "[host]\nlabels = \"zone\"\n",
            "host.labels: \"zone\" is not allowed: labels such as",
        ),
        (
            "[host]\nheartbeat = \"0s\"\n",
            "host.heartbeat: 0s is outside 500ms to 1m",
        ),
    ] {
        let found = problems(toml, &[]);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn an_empty_variable_unsets() {
    let loaded = load("[hub]\nurl = \"http://file\"\n", &[("WARREN_HUB_URL", "")]).unwrap();
    assert_eq!(loaded.config.hub.url, None);
    let problem = loaded.require_hub().unwrap_err().to_string();
    assert!(problem.contains("hub.url") && problem.contains("HUB_URL"), "{problem}");
}

#[test]
fn everything_wrong_is_reported_at_once_with_place_key_value_and_what_is_allowed() {
    let file = r#"
        poll_timeout = "3s"
        [hub]
        poll_timeout = "soon"
        idempotency = "maybe"
        pol_batch = 3
        [queue]
        item_lease = "5s"
        [runner]
        slots = -1
        [limits]
        memory = "1TB"
        [leader]
        ttl = "7s"
        [log]
        level = "warren=loud"
        [nonsense]
    "#;
    let found = problems(file, &[("WARREN_API_LISTEN", "9090"), ("WARREN_HUB_POL_BATCH", "3")]);
    for (place, expected) in [
        (
            "warren.toml",
            "poll_timeout: there is no such key; did you mean hub.poll_timeout?",
        ),
        (
            "warren.toml",
            "hub.poll_timeout: \"soon\" is not allowed: a duration such as",
        ),
        (
            "warren.toml",
            "hub.idempotency: \"maybe\" is not allowed: allowed is \"detect\" or \"yes\" or \"no\"",
        ),
        (
            "warren.toml",
            "hub.pol_batch: there is no such key; did you mean hub.poll_batch?",
        ),
        ("warren.toml", "queue.item_lease: 5s is too short"),
        ("warren.toml", "runner.slots: -1 is not allowed: a whole number from 0"),
        (
            "warren.toml",
            "limits.memory: \"1TB\" is not allowed: a size such as \"64MiB\"",
        ),
        ("warren.toml", "leader.ttl: 7s is too short"),
        ("warren.toml", "log.level: \"warren=loud\" is not a list of levels"),
        ("warren.toml", "nonsense: there is no such key"),
        (
            "WARREN_API_LISTEN",
            "api.listen: \"9090\" is not allowed: an IP address with a port",
        ),
        ("WARREN_HUB_POL_BATCH", "did you mean WARREN_HUB_POLL_BATCH?"),
    ] {
        assert!(
            found.iter().any(|p| p.contains(place) && p.contains(expected)),
            "{expected}\nnot in {found:#?}"
        );
    }
    assert_eq!(found.len(), 12, "{found:#?}");
}

#[test]
fn rules_between_keys_name_the_key_that_was_written() {
    let found = problems("[limits]\ncpu = \"2m\"\n", &[]);
    assert!(
        found.len() == 1 && found[0].contains("warren.toml: limits.cpu: 2m is more than limits.max.cpu"),
        "{found:?}"
    );
    let found = problems("[limits.max]\nmemory = \"1MiB\"\n", &[]);
    assert!(
        found.len() == 1 && found[0].contains("warren.toml: limits.memory: 64MiB is more than"),
        "{found:?}"
    );
    let found = problems("", &[("WARREN_LEADER_RENEW_EVERY", "4s")]);
    assert!(
        found.len() == 1 && found[0].starts_with("WARREN_LEADER_RENEW_EVERY: leader.ttl: 9s is too short"),
        "{found:?}"
    );
}

#[test]
fn shapes_that_don_t_fit_are_told_apart() {
    assert!(problems("hub = 3\n", &[])[0].contains("hub: it is a section"));
    assert!(problems("[hub.url]\nx = 1\n", &[])[0].contains("hub.url is a value, not a section"));
    assert!(problems("[hub]\nurl = \n", &[])[0].contains("line 2 is not TOML"));
    let missing = Sources {
        file: Some("/nowhere/warren.toml".into()),
        environment: Vec::new(),
    };
    assert_eq!(
        missing.load().unwrap_err().0[0].to_string(),
        "/nowhere/warren.toml: there is no such file"
    );
}

#[test]
fn secrets_are_shown_nowhere() {
    const SECRET: &str = "hunter2-hunter2-hunter2";
    let file = format!("[hub]\napi_key = \"{SECRET}\"\n[api]\ntoken = \"{SECRET}\"\n");
    let loaded = load(&file, &[]).unwrap();
    let shown = format!(
        "{loaded:?} {:?} {}",
        loaded.config,
        serde_json::to_string(&loaded.entries).unwrap()
    );
    assert!(!shown.contains("hunter2") && shown.contains("(set)"), "{shown}");

    let wrong = [
        format!("[hub]\napi_key = [\"{SECRET}\"]\n"),
        format!("[api]\ntoken = {{ a = \"{SECRET}\" }}\n"),
        format!("[hub]\napi_key = \"{SECRET}\n"),
        format!("[hub]\nurl = \"http://user:{SECRET}@hub\"\n"),
        "[api]\ntoken = \"hunter2\"\n".to_owned(),
    ];
    for file in wrong {
        let found = problems(&file, &[]);
        assert!(
            !found.is_empty() && !format!("{found:?}").contains("hunter2"),
            "{found:?}"
        );
    }
}

#[test]
fn a_key_comes_from_a_file_where_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let file = format!("[hub]\napi_key_file = {:?}\n", key.display().to_string());
    assert!(
        problems(&file, &[])[0].contains("hub.api_key_file"),
        "{:?}",
        problems(&file, &[])
    );
    fs::write(&key, "from-the-file\n").unwrap();
    let loaded = load(&file, &[]).unwrap();
    assert_eq!(
        loaded.config.hub.load_api_key().unwrap().unwrap().expose(),
        "from-the-file"
    );
    assert!(problems(&file, &[("HUB_API_KEY", "other")])[0].contains("keep one of the two"));
}
