//! Every effect happens once (I9, I12): each mention is answered once, each item that comments has commented once.

use std::collections::HashMap;

use super::Violation;
use crate::history::{Record, What};

pub(super) fn check(history: &[Record]) -> Vec<Violation> {
    let mut comments: HashMap<(&str, &str), Vec<(&str, &Record)>> = HashMap::new();
    let mut ended_well: HashMap<&str, bool> = HashMap::new();
    for record in history {
        match &record.what {
            What::Comment { post, agent, text } => {
                comments.entry((post, agent)).or_default().push((text, record));
            }
            What::Became { item, state, reason } => {
                ended_well.insert(item, state.as_deref() == Some("done") && reason == "ok");
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for record in history {
        match &record.what {
            What::Mentioned { post, agent } if !agent.is_empty() => {
                let answers = comments
                    .get(&(post.as_str(), agent.as_str()))
                    .map_or(&[][..], Vec::as_slice);
                if answers.len() != 1 {
                    let why = format!("{agent} answered {post} {} times", answers.len());
                    found.push(excerpt(why, record, answers.iter().map(|(_, comment)| *comment)));
                }
            }
            What::Effect(effect) if effect.effect == "comment" && effect.key.is_none() => {
                let why = format!("{} commented without a key that would tell a repeat", effect.agent);
                found.push(Violation::new("I9", why, &[record]));
            }
            What::Submitted { item, agent, payload } if !seen.contains(&item.as_str()) => {
                seen.push(item);
                let Some((post, text)) = payload.strip_prefix("comment ").and_then(|rest| rest.split_once(' ')) else {
                    continue;
                };
                let said = comments.get(&(post, agent.as_str())).map_or(&[][..], Vec::as_slice);
                let made: Vec<&Record> = said
                    .iter()
                    .filter(|(said, _)| *said == text)
                    .map(|(_, comment)| *comment)
                    .collect();
                let missing = made.is_empty() && ended_well.get(item.as_str()) == Some(&true);
                if missing || made.len() > 1 {
                    let why = format!("item {item} had its effect {} times", made.len());
                    found.push(excerpt(why, record, made.into_iter()));
                }
            }
            _ => {}
        }
    }
    found
}

fn excerpt<'a>(why: String, first: &'a Record, rest: impl Iterator<Item = &'a Record>) -> Violation {
    let records: Vec<&Record> = [first].into_iter().chain(rest).collect();
    Violation::new("I9", why, &records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_missing_or_twice_is_found() {
        let record = |what| Record {
            from: std::time::Duration::ZERO,
            until: std::time::Duration::ZERO,
            host: String::new(),
            what,
        };
        let text = |text: &str| text.to_owned();
        let mention = record(What::Mentioned {
            post: text("p"),
            agent: text("a"),
        });
        let answer = record(What::Comment {
            post: text("p"),
            agent: text("a"),
            text: text("hello"),
        });
        let histories = [
            vec![mention.clone()],
            vec![mention.clone(), answer.clone(), answer.clone()],
        ];
        for history in histories {
            assert_eq!(check(&history)[0].promise, "I9");
        }
        assert!(check(&[mention, answer]).is_empty());
    }
}
