//! The frames of Redis's protocol, as far as a proxy needs to know them: where one ends, and how a command is written.

use redis::Value;

/// The bytes of the first value, if all of it is there.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    let elements = match bytes[0] {
        b'$' | b'=' | b'!' => {
            let size = usize::try_from(count()?).map_or(0, |size| size + 2);
            return (bytes.len() >= line + size).then_some(line + size);
        }
        b'*' | b'~' | b'>' => count()?.max(0),
        b'%' => count()?.max(0) * 2,
        _ => 0,
    };
    let mut end = line;
    for _ in 0..elements {
        end += length(&bytes[end..])?;
    }
    Some(end)
}

/// Takes the first value off a buffer, if all of it is there.
pub fn take(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = length(buffer)?;
    Some(buffer.drain(..length).collect())
}

/// A command's words; empty if it is none.
pub fn words(frame: &[u8]) -> Vec<Vec<u8>> {
    match redis::parse_redis_value(frame) {
        Ok(Value::Array(values)) => values.into_iter().filter_map(bytes).collect(),
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

/// A command as it is sent.
pub fn command(words: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        frame.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        frame.extend_from_slice(word);
        frame.extend_from_slice(b"\r\n");
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_when_all_of_it_is_there() {
        let whole = b"*3\r\n$4\r\nEVAL\r\n$2\r\n\r\n\r\n*2\r\n:7\r\n$-1\r\n";
        for cut in 1..whole.len() {
            assert_eq!(length(&whole[..cut]), None, "{cut}");
        }
        let mut buffer = [whole.as_slice(), b"+OK\r\n-ERR no\r\n*-1\r\n"].concat();
        assert_eq!(take(&mut buffer).as_deref(), Some(whole.as_slice()));
        assert_eq!(take(&mut buffer).as_deref(), Some(b"+OK\r\n".as_slice()));
        assert_eq!(take(&mut buffer).as_deref(), Some(b"-ERR no\r\n".as_slice()));
        assert_eq!(take(&mut buffer).as_deref(), Some(b"*-1\r\n".as_slice()));
        assert_eq!(take(&mut buffer), None);
    }

    #[test]
    fn words_and_commands_are_each_others_inverse() {
        let said = vec![b"SET".to_vec(), b"a b\r\n".to_vec(), Vec::new()];
        assert_eq!(words(&command(&said)), said);
    }
}
