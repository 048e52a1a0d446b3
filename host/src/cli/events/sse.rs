//! Reading server-sent events, as they come in pieces of any size.

/// One event, or only a number that is to be remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub id: Option<String>,
    /// Its type; empty for the usual one.
    pub event: String,
    /// Empty: nothing to show.
    pub data: String,
}

/// The longest line that is read, in bytes: far more than an event has.
const LONGEST: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line.
    line: Vec<u8>,
    message: Message,
    begun: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Parser {
    /// The messages that end in this piece.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut ended = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.message.data.len() > LONGEST {
                return Err(TooLong);
            }
            if self.line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                ended.extend(self.take(line.trim_end_matches(['\r', '\n'])));
            }
        }
        Ok(ended)
    }

    fn take(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return std::mem::take(&mut self.begun).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.message.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.message.event),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            // A comment, or what a later version says besides.
            _ => return None,
        }
        self.begun = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": hello\nretry: 1000\n\nid: 7\ndata: {\"a\":\ndata: 1}\n\r\n:\nid: 8\n\nevent: lost\ndata: gone\n\n";

    fn message(id: Option<&str>, event: &str, data: &str) -> Message {
        Message {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn pieces_of_any_size_make_the_same_messages() {
        let expected = [
            message(Some("7"), "", "{\"a\":\n1}"),
            message(Some("8"), "", ""),
            message(None, "lost", "gone"),
        ];
        for size in 1..STREAM.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for piece in STREAM.as_bytes().chunks(size) {
                found.extend(parser.feed(piece).unwrap());
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_read_for_ever() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&vec![b'x'; LONGEST + 1]), Err(TooLong));
    }
}
