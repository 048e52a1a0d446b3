//! What agent authors rely on: the host in memory of the SDK's `testing` answers as a real one does. One agent goes
//! through lists of calls in both, natively and as a component, and every answer is compared.

use guest_script::Script;
use serde_json::{Value, json};
use warren_guest_sdk::testing::{Activation, Capability, Host, Limits, Reason};
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

/// How the script marks a line of its transcript.
const MARK: &str = "answer: ";

/// The script's definition with these limits of behaviour, and what else is to stand in it. One activation an hour, but for
/// direct items: what a second one does is not compared.
fn agent(behaviour: &str, more: &str) -> Agent {
    Agent::echo("script")
        .plugin("script")
        .grants("hub:read, hub:write, keyvalue, config, logging, metrics")
        .without_limits()
        .with(&format!(
            "behavior:\n  limits: {{min_interval_seconds: 0, {behaviour}}}\n{more}"
        ))
}

/// Posts and comments that both hosts have, in this order: (who, community, text), then (who, number of the post, text).
const POSTS: [(&str, Option<&str>, &str); 4] = [
    ("ada", Some("news"), "Good MORNING, @script, you are tested"),
    ("bob", None, "a quiet thread"),
    ("carol", Some("news"), "no morning without coffee"),
    ("dave", None, "nobody is meant, not even a@script"),
];
const COMMENTS: [(&str, usize, &str); 3] = [
    ("bob", 0, "I say nothing"),
    ("carol", 1, "what does @Script. say?"),
    ("ada", 1, "@script @script: once"),
];

fn tell_native(host: &mut Host) {
    use warren_guest_sdk::hub::NewPost;
    let ids: Vec<String> = POSTS
        .iter()
        .map(|(who, community, text)| {
            // Of two posts of one moment nobody says which is newer.
            host.advance(std::time::Duration::from_millis(1));
            let mut post = NewPost::new(*text);
            post.community = community.map(str::to_owned);
            host.post(who, post).id
        })
        .collect();
    for (who, at, text) in COMMENTS {
        host.comment(who, &ids[at], text);
    }
    host.advance(std::time::Duration::from_millis(1));
}

fn tell_hub(hub: &HubProcess) {
    let create = |path: &str, body: &Value| hub.client.post(path, body).expect(201).json();
    let ids: Vec<String> = POSTS
        .iter()
        .map(|(who, community, text)| {
            let mut body = json!({ "author_name": who, "content": text });
            if let Some(community) = community {
                body["community"] = json!(community);
            }
            create("/api/v1/posts", &body)["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    for (who, at, text) in COMMENTS {
        let body = json!({ "author_name": who, "content": text });
        create(&format!("/api/v1/posts/{}/comments", ids[at]), &body);
    }
}

fn native_answers(run: &Activation) -> Vec<String> {
    let lines = run.logs.iter().filter_map(|line| line.message.strip_prefix(MARK));
    lines.map(str::to_owned).collect()
}

fn real_answers(host: &HostProcess) -> Vec<String> {
    let lines = host.logged(MARK);
    let message = |line: &Value| line["message"].as_str()?.strip_prefix(MARK).map(str::to_owned);
    lines.iter().filter_map(message).collect()
}

#[track_caller]
fn assert_same(native: &[String], real: &[String]) {
    for (at, (native, real)) in native.iter().zip(real).enumerate() {
        assert_eq!(
            native, real,
            "answer {at} differs: in memory (left), on a real host (right)"
        );
    }
    assert_eq!(native.len(), real.len());
    assert!(!native.is_empty(), "nothing was compared");
}

/// Runs a scenario for the inbox in both, compares every answer and what is left unread.
#[track_caller]
fn compare_inbox(scenario: &str, native: Host, real: Agent) -> (Activation, HostProcess, HubProcess) {
    let mut native = native.config("scenario", scenario);
    tell_native(&mut native);
    let run = native.activate::<Script>();
    run.outcome();

    let hub = HubProcess::start(&["script"]);
    tell_hub(&hub);
    let host = HostSetup::new(&hub)
        .agent(&real.with(&format!("config:\n  scenario: {scenario}")))
        .start_ready();
    let ended = host.wait_logged("activation ended");
    assert_eq!(ended["reason"], "ok", "{ended}");
    assert_same(&native_answers(&run), &real_answers(&host));
    assert_eq!(native.unread().len(), hub.unread("script"));
    (run, host, hub)
}

#[test]
fn what_is_read_on_the_hub_is_the_same() {
    compare_inbox("reading", Host::new("script"), agent("max_daily_posts: 5", ""));
}

#[test]
fn what_is_written_and_what_is_over_a_limit_is_the_same() {
    let limits = Limits {
        max_daily_posts: 1,
        max_daily_comments: 4,
        max_responses_per_thread: 3,
        ..Limits::default()
    };
    let behaviour = "max_daily_posts: 1, max_daily_comments: 4, max_responses_per_thread: 3";
    let native = Host::new("script").limits(limits);
    let (run, _host, hub) = compare_inbox("writing", native, agent(behaviour, ""));
    assert_eq!((run.posts().len(), run.comments().len()), (1, 4));
    assert_eq!(
        (run.read.len(), hub.unread("script")),
        (1, 2),
        "one was handled, one forged"
    );
}

#[test]
fn what_is_not_granted_is_denied_in_the_same_words() {
    use Capability::{Config, HubRead, KeyValue, Logging, Metrics};
    let native = Host::new("script").grants([Config, HubRead, KeyValue, Logging, Metrics]);
    let real = agent("max_daily_posts: 5", "").grants("hub:read, keyvalue, config, logging, metrics");
    let (run, ..) = compare_inbox("refused", native, real);
    assert_eq!(run.denied, [Capability::HubWrite; 2]);
}

#[test]
fn calls_are_counted_in_the_same_way() {
    let limits = Limits {
        hub_calls: 3,
        ..Limits::default()
    };
    let native = Host::new("script").limits(limits);
    let (run, ..) = compare_inbox(
        "few-calls",
        native,
        agent("max_daily_posts: 5", "limits: {hub_calls: 3}"),
    );
    assert_eq!(run.hub_calls, 3);
}

/// A host for direct items.
fn real_host(more: &str) -> (HubProcess, HostProcess) {
    let hub = HubProcess::start(&["script"]);
    let host = HostSetup::new(&hub)
        .agent(&agent("max_daily_posts: 5", more))
        // What failed is tried again by itself, and counts each time.
        .set("breaker.threshold", "100")
        .start_ready();
    (hub, host)
}

/// Runs a scenario as a direct item on a real host, once; the item.
#[track_caller]
fn submit(host: &HostProcess, scenario: &str) -> Value {
    let done = host.cli(&[
        "submit",
        "script",
        "--agent-id",
        "script",
        "--payload",
        scenario,
        "--json",
    ]);
    let item: Value = serde_json::from_str(done.expect(0)).expect("an item");
    let id = item["id"].as_str().expect("an id").to_owned();
    eventually(format!("the first end of {scenario}"), SOON, || {
        let ended = host.logged("activation ended");
        ended.into_iter().find(|line| line["item"] == id.as_str())
    })
}

#[test]
fn state_configuration_log_and_metrics_are_the_same() {
    let limits = Limits {
        state_bytes: 100,
        state_keys: 3,
        state_value: 40,
        ..Limits::default()
    };
    let mut native = Host::new("script").limits(limits).config("greeting", "Hi");
    let (_hub, host) = real_host("limits: {state_bytes: 100, state_keys: 3, state_value: 40}\nconfig: {greeting: Hi}");
    let mut answers = Vec::new();
    for scenario in ["state", "config", "metrics"] {
        let run = native.submit::<Script>(scenario);
        run.outcome();
        answers.extend(native_answers(&run));
        assert_eq!(submit(&host, scenario)["reason"], "ok");
    }
    assert_same(&answers, &real_answers(&host));

    let series = |metric: &str, labels: &str| {
        let kind = if metric == "parts_total" { "_total" } else { "" };
        host.metric(&format!(
            "botburrow_agent_custom{kind}{{agent_id=\"script\",metric=\"{metric}\"{labels}}}"
        ))
    };
    assert_eq!(
        series("parts_total", ",kind=\"a\""),
        Some(native.counter("parts_total", &[("kind", "a")]))
    );
    assert_eq!(series("parts_total", ",kind=\"b\""), None);
    assert_eq!(native.counter("parts_total", &[("kind", "b")]), 0.0);
    assert_eq!(series("level", ""), native.gauge("level", &[]));
    let sum = "botburrow_agent_custom_distribution_sum{agent_id=\"script\",metric=\"took_seconds\"}";
    assert_eq!(
        host.metric(sum),
        Some(native.observations("took_seconds", &[]).iter().sum())
    );
    let metrics = host.metrics();
    let dropped = metrics
        .lines()
        .filter(|line| line.starts_with("botburrow_agent_custom_dropped_total{agent_id=\"script\""))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    assert_eq!(dropped.sum::<f64>(), f64::from(native.measurements_dropped()));
}

#[test]
fn what_is_logged_over_the_limit_is_dropped_in_the_same_way() {
    let limits = Limits {
        log_lines: 5,
        ..Limits::default()
    };
    let run = Host::new("script").limits(limits).submit::<Script>("logs");
    let (_hub, host) = real_host("limits: {log_lines: 5}");
    submit(&host, "logs");
    let lines = host.logged("").into_iter().filter(|line| line["target"] == "guest");
    let real: Vec<(String, String, String)> = lines
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("level").to_lowercase(), text("context"), text("message"))
        })
        .collect();
    let native: Vec<_> = run
        .logs
        .iter()
        .map(|line| {
            let level = format!("{:?}", line.level)
                .rsplit("::")
                .next()
                .unwrap_or_default()
                .to_lowercase();
            (level, line.context.clone(), line.message.clone())
        })
        .collect();
    assert_eq!(native, real);
    assert_eq!(
        (real.len(), run.log_lines_dropped),
        (6, 2),
        "five, and one that tells of the others"
    );
}

#[test]
fn endings_have_the_same_reason_codes() {
    let (_hub, host) = real_host("");
    for (scenario, reason) in [
        ("permanent", Reason::GuestError),
        ("upstream", Reason::GuestError),
        ("no-such-scenario", Reason::GuestError),
        ("panic", Reason::Trap),
        ("copy", Reason::CopyLimit),
        ("long-outcome", Reason::OutputLimit),
        ("long-list", Reason::OutputLimit),
    ] {
        compare_ending(&host, scenario, reason);
    }
}

#[track_caller]
fn compare_ending(host: &HostProcess, scenario: &str, reason: Reason) {
    let run = Host::new("script").submit::<Script>(scenario);
    assert_eq!(run.reason, reason, "{scenario} in memory");
    let ended = submit(host, scenario);
    assert_eq!(ended["reason"], reason.as_str(), "{scenario} on a real host: {ended}");
    let detail = ended["detail"].as_str().unwrap_or_default();
    match &run.ended {
        warren_guest_sdk::testing::Ended::Failed(error) => assert_eq!(detail, error.message()),
        // A trap's words are the engine's, a panic's are in the log.
        warren_guest_sdk::testing::Ended::Stopped(_) if reason == Reason::Trap => {}
        warren_guest_sdk::testing::Ended::Stopped(words) => assert_eq!(detail, words),
        other => panic!("{scenario} was not to succeed: {other:?}"),
    }
}

#[test]
fn greeter_welcomes_whoever_nobody_answered_until_its_daily_limit() {
    let hub = HubProcess::start(&["greeter"]);
    let alone = hub.post("my first post");
    let answered = hub.post("a question");
    let comment = json!({ "author_name": "bob", "content": "an answer" });
    hub.client
        .post(&format!("/api/v1/posts/{answered}/comments"), &comment)
        .expect(201);
    let greeter = Agent::echo("greeter")
        .plugin("greeter")
        .grants("hub:read, hub:write, keyvalue, config, logging")
        .without_limits()
        .with(
            "behavior:\n  discovery: {enabled: true}\n  \
             limits: {max_daily_comments: 2, max_responses_per_thread: 50, min_interval_seconds: 0}\n\
             config: {greeting: Hello}",
        );
    let host = HostSetup::new(&hub)
        .agent(&greeter)
        .set("hub.staleness", "\"1s\"")
        .set("hub.discovery_interval", "\"1s\"")
        .start_ready();
    hub.wait_for_reply(&alone, "greeter");
    assert_eq!(hub.comments(&alone)[0].1, "Hello, ada!");

    let say = |who: &str| {
        let post = json!({ "author_name": who, "content": "hello" });
        let created = hub.client.post("/api/v1/posts", &post).expect(201).json();
        created["id"].as_str().unwrap().to_owned()
    };
    let (again, carol) = (say("ada"), say("carol"));
    hub.wait_for_reply(&carol, "greeter");
    let dave = say("dave");
    host.wait_logged("leaves the others for another time: max_daily_comments of 2");
    assert_eq!(hub.replies(&dave, "greeter"), 0, "over the daily limit");
    assert_eq!(hub.replies(&again, "greeter"), 0, "ada has been welcomed");
    assert_eq!(hub.replies(&answered, "greeter"), 0, "somebody has answered");
    assert_eq!(hub.replies(&alone, "greeter"), 1);
}
