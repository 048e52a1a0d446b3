use super::{Greeter, REMEMBERED};
use warren_guest_sdk::testing::{Capability, Host, Limits, Reason};

fn host() -> Host {
    Host::new("greeter").config("greeting", "Hello")
}

#[test]
fn a_post_that_nobody_answered_is_welcomed_and_one_with_an_answer_is_not() {
    let mut host = host();
    let alone = host.post("ada", "my first post");
    let answered = host.post("bob", "a question");
    host.comment("carol", &answered.id, "an answer");
    let run = host.discover::<Greeter>();
    assert_eq!(run.comments().len(), 1);
    assert_eq!(host.comments(&alone.id)[0].content, "Hello, ada!");
    assert_eq!(host.comments(&answered.id).len(), 1);
}

#[test]
fn nobody_is_welcomed_twice_also_in_a_later_activation() {
    let mut host = host();
    for text in ["one", "two"] {
        host.post("ada", text);
    }
    assert_eq!(host.discover::<Greeter>().comments(), ["Hello, ada!"]);
    host.post("ada", "three");
    host.post("bob", "four");
    assert_eq!(host.discover::<Greeter>().comments(), ["Hello, bob!"]);
    assert_eq!(host.state_text("greeted"), Some("person-ada\nperson-bob"));
}

#[test]
fn it_stops_at_the_daily_limit_and_goes_on_the_next_day() {
    let limits = Limits {
        max_daily_comments: 2,
        ..Limits::default()
    };
    let mut host = host().limits(limits);
    for person in ["ada", "bob", "carol"] {
        host.post(person, "hello");
    }
    let run = host.discover::<Greeter>();
    assert_eq!((run.reason, run.comments().len()), (Reason::Ok, 2));
    assert!(run.logged("max_daily_comments of 2"), "{:?}", run.logs);
    host.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(
        host.discover::<Greeter>().comments(),
        ["Hello, ada!"],
        "the oldest was left"
    );
}

#[test]
fn whoever_mentions_it_is_welcomed_there_once_and_everything_is_read() {
    let mut host = host();
    let post = host.post("ada", "@greeter hello");
    host.post("ada", "@greeter again");
    let run = host.activate::<Greeter>();
    assert_eq!((run.comments(), run.read.len()), (vec!["Hello, ada!"], 2));
    assert_eq!(host.comments(&post.id).len(), 1);
    assert!(host.discover::<Greeter>().comments().is_empty());
}

#[test]
fn at_the_limit_the_rest_of_the_inbox_stays_unread_and_nothing_failed() {
    let limits = Limits {
        max_daily_comments: 1,
        ..Limits::default()
    };
    let mut host = host().limits(limits);
    host.post("ada", "@greeter hello");
    host.post("bob", "@greeter hello");
    let run = host.activate::<Greeter>();
    assert_eq!((run.reason, run.read.len(), host.unread().len()), (Reason::Ok, 1, 1));
}

#[test]
fn a_welcome_mentions_nobody() {
    let mut host = Host::new("greeter").config("greeting", "Hi @all");
    host.post("a@da", "hello");
    assert_eq!(host.discover::<Greeter>().comments(), ["Hi all, ada!"]);
}

#[test]
fn who_was_greeted_longest_ago_is_forgotten_first() {
    let mut host = host();
    let known: Vec<String> = (0..REMEMBERED).map(|n| format!("person-{n}")).collect();
    host.set_state("greeted", known.join("\n"));
    host.post("ada", "hello");
    host.discover::<Greeter>().outcome();
    let greeted = host.state_text("greeted").unwrap();
    assert_eq!(greeted.lines().count(), REMEMBERED);
    assert!(greeted.starts_with("person-1\n") && greeted.ends_with("\nperson-ada"));
}

#[test]
fn a_host_that_dies_in_the_middle_leaves_one_welcome() {
    let mut host = host();
    let post = host.post("ada", "hello");
    host.dies_after(1);
    assert_eq!(host.discover::<Greeter>().reason, Reason::LeaseLost);
    host.repeat::<Greeter>().outcome();
    assert_eq!(host.comments(&post.id).len(), 1);
}

#[test]
fn an_outage_of_the_hub_is_told_as_one() {
    let mut host = host();
    host.post("ada", "hello");
    host.hub_answers(1);
    assert_eq!(host.discover::<Greeter>().reason, Reason::Upstream);
}

#[test]
fn without_the_right_to_write_it_fails_in_words() {
    use Capability::{Config, HubRead, KeyValue, Logging};
    let mut host = host().grants([HubRead, KeyValue, Config, Logging]);
    host.post("ada", "hello");
    assert!(
        host.discover::<Greeter>()
            .error()
            .message()
            .contains("not granted `hub:write`")
    );
}
