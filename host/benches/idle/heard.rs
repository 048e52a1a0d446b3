//! Who asks Redis for what: `MONITOR`, which shows each command with the connection that sent it, and after a script the
//! commands that it executed. Each host has a Redis user of its own, so that its connections are known.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use warren_tests::{interrupt, redis::RedisServer};

/// How many commands of one kind, and how many more were executed inside of them.
#[derive(Clone, Copy, Default)]
pub struct Count {
    pub sent: usize,
    pub inside: usize,
}

/// By user, what was asked for: the script's name, or the command.
pub type Heard = BTreeMap<String, BTreeMap<String, Count>>;

/// Listens for so long.
pub fn listen(server: &RedisServer, span: Duration) -> Heard {
    let mut users = users(server);
    let mut stream = TcpStream::connect(server.address()).expect("Redis takes connections");
    stream.write_all(b"MONITOR\r\n").expect("Redis takes a command");
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a stream has a timeout");
    let (mut heard, mut last) = (Heard::new(), None);
    let (mut reader, mut line) = (BufReader::new(stream), String::new());
    let began = Instant::now();
    while began.elapsed() < span {
        assert!(!interrupt::interrupted(), "interrupted while listening to Redis");
        match reader.read_line(&mut line) {
            Ok(0) => panic!("Redis has closed the connection of MONITOR"),
            Ok(_) => {
                if let Some((address, words)) = parse(&line) {
                    if !address.starts_with("lua") && !users.contains_key(address) {
                        users = self::users(server);
                    }
                    count(&mut heard, &mut last, &users, address, &words);
                }
                line.clear();
            }
            // Half a line stays in `line`.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("MONITOR: {error}"),
        }
    }
    heard
}

/// Users by the addresses of their connections.
fn users(server: &RedisServer) -> BTreeMap<String, String> {
    let list: String = server.command(&["CLIENT", "LIST"]);
    let field = |line: &str, name: &str| {
        let words = line
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        words.unwrap_or_default().to_owned()
    };
    list.lines()
        .map(|line| (field(line, "addr"), field(line, "user")))
        .collect()
}

/// `+1700000000.123456 [0 127.0.0.1:5000] "GET" "key"`, or `[0 lua]`.
fn parse(line: &str) -> Option<(&str, Vec<&str>)> {
    let (head, rest) = line.split_once("] ")?;
    let (_, address) = head.split_once(" [")?.1.split_once(' ')?;
    let words = rest.trim().split("\" \"").map(|word| word.trim_matches('"')).collect();
    Some((address, words))
}

fn count<'a>(
    heard: &mut Heard,
    last: &mut Option<(String, String)>,
    users: &BTreeMap<String, String>,
    address: &'a str,
    words: &[&'a str],
) {
    if address.starts_with("lua") {
        if let Some((user, what)) = last {
            heard
                .entry(user.clone())
                .or_default()
                .entry(what.clone())
                .or_default()
                .inside += 1;
        }
        return;
    }
    let user = users.get(address).cloned().unwrap_or_else(|| "gone".to_owned());
    let what = match words {
        // `warren_<digest>_<script>`.
        [command, name, ..] if command.to_lowercase().starts_with("fcall") => {
            name.splitn(3, '_').last().unwrap_or(name).to_owned()
        }
        [command, ..] => command.to_uppercase(),
        [] => return,
    };
    heard
        .entry(user.clone())
        .or_default()
        .entry(what.clone())
        .or_default()
        .sent += 1;
    *last = Some((user, what));
}
