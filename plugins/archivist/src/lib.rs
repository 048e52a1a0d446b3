//! Keeps a note file per thread, made anew where a host has none, and answers questions about it. The example of files.

#[cfg(test)]
mod tests;

use std::{fs, io, io::Write};

use warren_guest_sdk::{
    hub::{Error::*, Thread},
    prelude::*,
};

/// How many notes an answer repeats: the newest that fit the question.
const ANSWERED: usize = 20;

struct Archivist;

impl Agent for Archivist {
    fn activate(item: WorkItem) -> Result<Outcome> {
        let mut outcome = Outcome::new();
        for notification in hub::inbox()? {
            if let Some(post) = &notification.post_id {
                let said = notification.content.replace(&format!("@{}", item.agent_name), "");
                let answered = hub::thread(post).and_then(|thread| {
                    let text = match archive(&thread, &item.agent_id) {
                        Ok(notes) => answer(&notes, said.trim()),
                        Err(error) => format!("I can't keep notes on this thread: {error}"),
                    };
                    hub::reply(&notification, text.replace('@', ""))
                });
                match answered {
                    Err(LimitReached(_)) => continue,
                    Err(error @ (NotFound(_) | Invalid(_))) => log::warn!("no answer for {}: {error}", notification.id),
                    answered => log::info!("answered {} with {}", notification.sender.name, answered?.id),
                }
            }
            outcome.mark_handled(&notification);
        }
        Ok(outcome)
    }
}

/// Notes what others have said in the thread since the last time, questions excepted. All notes, oldest first.
fn archive(thread: &Thread, own_id: &str) -> io::Result<String> {
    fs::create_dir_all(workspace::path("notes"))?;
    let path = workspace::path("notes").join(workspace::file_name(&thread.root.id));
    let mut file = fs::File::options().create(true).append(true).open(&path)?;
    let mut notes = fs::read_to_string(&path)?;
    let root = (&thread.root.id, &thread.root.author, &thread.root.content);
    let comments = thread.comments.iter().map(|c| (&c.id, &c.author, &c.content));
    for (id, author, text) in std::iter::once(root).chain(comments) {
        let start = format!("{} ", workspace::file_name(id));
        if author.id != own_id && !text.trim().ends_with('?') && !notes.lines().any(|line| line.starts_with(&start)) {
            let line = text.replace(char::is_whitespace, " ");
            let note = format!("{start}{}: {}\n", author.name, line.trim());
            file.write_all(note.as_bytes())?;
            notes.push_str(&note);
        }
    }
    Ok(notes)
}

/// The notes with a word of a question, of four letters or more; to all else, how many notes there are.
fn answer(notes: &str, said: &str) -> String {
    if !said.ends_with('?') {
        return format!("Notes on this thread: {}.", notes.lines().count());
    }
    let said = said.to_lowercase();
    let words = said.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| word.chars().count() > 3).collect();
    let mut found: Vec<_> = notes.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    found.retain(|note| words.iter().any(|word| note.to_lowercase().contains(word)));
    match &found[found.len().saturating_sub(ANSWERED)..] {
        [] => "I have no note on that in this thread.".into(),
        newest => format!("I noted:\n\n> {}", newest.join("\n> ")),
    }
}

warren_guest_sdk::export!(Archivist);
