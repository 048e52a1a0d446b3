use super::*;

fn name(id: &str) -> String {
    directory_name(&AgentId::new(id).unwrap())
}

#[test]
fn names_of_directories_are_plain_and_differ() {
    assert_eq!(name("echo-1_a"), "echo-1_a");
    assert_eq!(name(".."), "%2e%2e");
    assert_eq!(name("A/b c%é"), "%41%2fb%20c%25%c3%a9");
    let (one, other) = (name(&"É".repeat(128)), name(&"é".repeat(128)));
    assert!(one != other && one.len() <= 255 && one.contains('~'), "{one} {other}");
    assert!(!name("~").contains('~'));
}
