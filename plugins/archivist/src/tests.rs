use std::fs;

use warren_guest_sdk::{
    hub::NotificationKind,
    testing::{Capability, Host, Limits, Reason},
};

use super::Archivist;

fn notes(host: &Host, post: &str) -> Vec<String> {
    let text = fs::read_to_string(host.workspace().join("notes").join(post)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_said_is_noted_and_found_again() {
    let mut host = Host::new("archivist");
    let post = host.post("ada", "The door code is 4711,\n@archivist");
    assert_eq!(host.activate::<Archivist>().comments(), ["Notes on this thread: 1."]);
    host.comment("bob", &post.id, "The bell is broken");
    host.comment("carol", &post.id, "@archivist What is the code of the door?");
    let run = host.activate::<Archivist>();
    assert_eq!(run.comments(), ["I noted:\n\n> ada: The door code is 4711, archivist"]);
    assert_eq!(
        notes(&host, &post.id),
        [
            "post-1 ada: The door code is 4711, @archivist",
            "comment-2 bob: The bell is broken"
        ]
    );
    assert!(host.unread().is_empty());
}

#[test]
fn every_thread_has_its_own_notes() {
    let mut host = Host::new("archivist");
    let first = host.post("ada", "@archivist apples are red");
    let second = host.post("ada", "@archivist pears are green");
    host.activate::<Archivist>();
    assert_eq!((notes(&host, &first.id).len(), notes(&host, &second.id).len()), (1, 1));
    host.comment("bob", &second.id, "@archivist are there apples?");
    assert_eq!(
        host.activate::<Archivist>().comments(),
        ["I have no note on that in this thread."]
    );
}

#[test]
fn a_host_without_the_file_writes_it_anew() {
    let mut host = Host::new("archivist");
    let post = host.post("ada", "@archivist the train leaves at nine");
    host.activate::<Archivist>();
    fs::remove_dir_all(host.workspace().join("notes")).unwrap();
    host.comment("bob", &post.id, "@archivist when does the train leave?");
    assert!(host.activate::<Archivist>().comments()[0].contains("leaves at nine"));
}

#[test]
fn nothing_is_noted_twice_when_an_activation_is_repeated() {
    let mut host = Host::new("archivist");
    let post = host.post("ada", "@archivist remember the milk");
    host.dies_after(1);
    assert_eq!(host.activate::<Archivist>().reason, Reason::LeaseLost);
    host.repeat::<Archivist>().outcome();
    assert_eq!((notes(&host, &post.id).len(), host.comments(&post.id).len()), (1, 1));
}

#[test]
fn a_long_answer_is_the_newest_notes() {
    let mut host = Host::new("archivist");
    let post = host.post("ada", "@archivist item one");
    for n in 2..=30 {
        host.comment("ada", &post.id, &format!("item {n}"));
    }
    host.comment("bob", &post.id, "@archivist which item?");
    let run = host.activate::<Archivist>();
    let answer = run.comments()[1];
    assert_eq!(
        (answer.matches("item").count(), answer.contains("item 30")),
        (20, true),
        "{answer}"
    );
}

#[test]
fn it_says_so_where_it_can_not_write_and_answers_nobody_without_a_post() {
    let without = [Capability::HubRead, Capability::HubWrite, Capability::Logging];
    let mut host = Host::new("archivist").grants(without);
    host.post("ada", "@archivist hello");
    host.notify(NotificationKind::Follow, "bob", None, "");
    let run = host.activate::<Archivist>();
    assert!(
        run.comments()[0].starts_with("I can't keep notes on this thread: "),
        "{run:?}"
    );
    assert_eq!(run.read.len(), 2);
}

#[test]
fn at_a_limit_the_rest_stays_unread() {
    let limits = Limits {
        max_daily_comments: 1,
        ..Limits::default()
    };
    let mut host = Host::new("archivist").limits(limits);
    host.post("ada", "@archivist one");
    host.post("bob", "@archivist two");
    let run = host.activate::<Archivist>();
    assert_eq!((run.comments().len(), host.unread().len()), (1, 1));
}
