//! The event stream: followed over restarts, bounded, told when something was lost.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc,
};

use tokio::time::timeout;
use warren::domain::event::NewEvent;

use super::{
    commands::{assert_ends, wait_until, warren},
    *,
};

async fn tell(served: &Served, count: usize, detail: &str) {
    for n in 0..count {
        let event = NewEvent {
            kind: "test_told",
            host: Some(HostName::new("host-1").unwrap()),
            agent: None,
            item: None,
            detail: format!("{detail}{n}"),
        };
        served.store.events.append(event).await.unwrap();
    }
}

/// A stream, read until it has said so.
async fn read_until(response: &mut reqwest::Response, end: &str) -> String {
    let mut said = String::new();
    while !said.contains(end) {
        let piece = timeout(DEADLINE, response.chunk())
            .await
            .expect("it says more")
            .unwrap();
        said.push_str(&String::from_utf8_lossy(&piece.expect("it has not ended")));
    }
    said
}

async fn stream(served: &Served, path: &str, seen: Option<u64>) -> reqwest::Response {
    let mut request = served.request(Method::GET, path);
    if let Some(seen) = seen {
        request = request.header("last-event-id", seen);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response
}

#[tokio::test]
async fn a_stream_tells_what_is_kept_and_what_happens_and_goes_on_from_where_one_was() {
    let served = Served::start().await;
    tell(&served, 3, "before ").await;
    let mut all = stream(&served, "/api/v1/events/stream?after=0", None).await;
    let said = read_until(&mut all, "before 2").await;
    assert!(
        said.contains("id: 1\n") && said.contains("before 0") && said.contains("\"kind\":\"test_told\""),
        "{said}"
    );
    let mut now = stream(&served, "/api/v1/events/stream", None).await;
    let mut again = stream(&served, "/api/v1/events/stream?after=0", Some(2)).await;
    tell(&served, 1, "after ").await;
    read_until(&mut all, "after 0").await;
    let said = read_until(&mut now, "after 0").await;
    assert!(!said.contains("before"), "{said}");
    let said = read_until(&mut again, "after 0").await;
    assert!(
        said.contains("id: 3\n") && !said.contains("id: 2\n"),
        "the header goes before the parameter: {said}"
    );
    assert!(!said.contains("event: lost"), "{said}");
}

#[tokio::test]
async fn kinds_and_agents_select() {
    let served = Served::start().await;
    served.kill(2).await;
    for n in 0..2 {
        served
            .store
            .agents
            .set_paused(&AgentId::new(format!("id-a{n}")).unwrap(), true)
            .await
            .unwrap();
    }
    tell(&served, 1, "other ").await;
    let kind = served.command(&["events", "--kind", "agent,nothing"], "").await;
    assert_ends(&kind, 0, &["agent_paused", "a0", "a1"]);
    assert!(!String::from_utf8_lossy(&kind.stdout).contains("other"));
    let (_, list) = served.get("/api/v1/events?agent=a1").await;
    assert_eq!(list["events"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(
        (&list["events"][0]["agent"], &list["events"][0]["agent_id"]),
        (&"a1".into(), &"id-a1".into())
    );
    let mut by_id = stream(&served, "/api/v1/events/stream?after=0&agent=id-a0", None).await;
    let said = read_until(&mut by_id, "agent_paused").await;
    assert!(said.contains("\"agent\":\"a0\"") && !said.contains("a1"), "{said}");
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_told() {
    let served = Served::with(StorePolicy {
        keep_events: 10,
        ..StorePolicy::default()
    })
    .await;
    tell(&served, 25, "n ").await;
    let mut late = stream(&served, "/api/v1/events/stream", Some(5)).await;
    let said = read_until(&mut late, "n 24").await;
    assert!(
        said.contains("event: lost") && said.contains("\"from\":6,\"to\":15") && said.contains("id: 16\n"),
        "{said}"
    );
    let mut whole = stream(&served, "/api/v1/events/stream?after=0", None).await;
    assert!(
        !read_until(&mut whole, "n 24").await.contains("event: lost"),
        "0 is all that are kept"
    );
    let (_, list) = served.get("/api/v1/events?after=5").await;
    assert_eq!((&list["lost"]["from"], &list["lost"]["to"]), (&6.into(), &15.into()));
    let shown = served.command(&["events", "--after", "5"], "").await;
    assert_ends(&shown, 0, &["the events 6 to 15 are not kept any more", "n 24"]);

    // A store that was made anew counts from 1: whoever comes with a number of before is not left waiting.
    let mut ahead = stream(&served, "/api/v1/events/stream", Some(1_000)).await;
    let said = read_until(&mut ahead, "n 24").await;
    assert!(said.contains("event: lost") && said.contains("begins anew"), "{said}");
}

#[tokio::test]
async fn streams_end_when_the_host_stops() {
    let mut served = Served::start().await;
    let mut open = stream(&served, "/api/v1/events/stream", None).await;
    let started = Instant::now();
    served.restart(async || {}).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    while let Some(piece) = open.chunk().await.unwrap() {
        assert!(piece.starts_with(b":") || piece.starts_with(b"retry"), "{piece:?}");
    }
}

/// A command that goes on printing; killed when it is dropped.
struct Following {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Following {
    fn start(served: &Served, args: &[&str]) -> Following {
        let mut child = warren(served.folder.path())
            .args(args)
            .env("WARREN_API_LISTEN", served.address.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Following { child, lines }
    }

    /// All lines up to one that says this.
    async fn until(&self, end: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let deadline = Instant::now() + DEADLINE;
        while !lines.last().is_some_and(|line| line.contains(end)) {
            assert!(Instant::now() < deadline, "{end:?} does not come: {lines:?}");
            match self.lines.try_recv() {
                Ok(line) => lines.push(line),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        lines
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }
}

#[tokio::test]
async fn who_follows_misses_nothing_and_sees_nothing_twice_over_a_restart() {
    let mut served = Served::start().await;
    tell(&served, 2, "before ").await;
    let following = Following::start(&served, &["events", "--follow", "--json"]);
    let people = Following::start(&served, &["events", "-f", "--after", "1"]);
    following.until("before 1").await;
    tell(&served, 5, "running ").await;
    following.until("running 4").await;
    let store = served.store.clone();
    served
        .restart(async || {
            let event = NewEvent {
                kind: "test_told",
                host: None,
                agent: None,
                item: None,
                detail: "while nobody served".to_owned(),
            };
            store.events.append(event).await.unwrap();
        })
        .await;
    let lines = following.until("while nobody served").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    tell(&served, 2, "again ").await;
    let seqs: Vec<_> = following
        .until("again 1")
        .await
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(seqs, [9, 10]);
    let lines = people.until("again 1").await;
    let details: Vec<_> = lines
        .iter()
        .map(|line| line.split_whitespace().skip(4).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        details,
        [
            "before 1",
            "running 0",
            "running 1",
            "running 2",
            "running 3",
            "running 4",
            "while nobody served",
            "again 0",
            "again 1"
        ]
    );
}

#[tokio::test]
async fn following_a_host_that_is_not_there_or_refuses_is_an_error() {
    let served = Served::start().await;
    let refused = served.command(&["events", "--follow", "--agent", "ehco"], "").await;
    assert_ends(&refused, 3, &["did you mean echo?"]);
    let nobody = served
        .command(&["events", "--follow", "--host", "http://127.0.0.1:1"], "")
        .await;
    assert_ends(&nobody, 4, &["no host answers"]);
}

/// More followers than may be: the surplus is told, and everybody else is still answered.
#[tokio::test]
async fn many_followers_starve_neither_probes_nor_commands() {
    let served = Served::start().await;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..210 {
        let response = served
            .request(Method::GET, "/api/v1/events/stream")
            .send()
            .await
            .unwrap();
        match response.status().as_u16() {
            200 => open.push(response),
            503 => {
                assert!(
                    response
                        .text()
                        .await
                        .unwrap()
                        .contains("requests wait on this host already")
                );
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((open.len(), refused), (192, 18));
    assert_eq!(served.get("/api/v1/status").await.0, 200);
    assert_ends(&served.command(&["queue", "stats"], "").await, 0, &["high"]);

    // And with every connection taken: what monitoring asks is answered, the rest is told to come again.
    let mut idle = Vec::new();
    for _ in 0..80 {
        idle.push(tokio::net::TcpStream::connect(served.address).await.unwrap());
    }
    for path in ["/health", "/metrics"] {
        let response = served.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    let (status, error) = served.get("/api/v1/status").await;
    assert!(
        status == 503 && error.to_string().contains("256 connections already"),
        "{error}"
    );
    drop((open, idle));
    wait_until(|| async { served.get("/api/v1/status").await.0 == 200 }).await;
}

#[tokio::test]
async fn a_follower_that_reads_nothing_is_cut() {
    let served = Served::start().await;
    tell(&served, 2_000, &"x".repeat(4_000)).await;
    let mut slow = tokio::net::TcpStream::connect(served.address).await.unwrap();
    let request = b"GET /api/v1/events/stream?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut slow, request).await.unwrap();
    // Nothing is read; once the host has cut the connection, what is written to it is refused.
    let cut = async {
        while tokio::io::AsyncWriteExt::write_all(&mut slow, b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(2 * DEADLINE, cut)
        .await
        .expect("it is cut after some ten seconds");
    assert_eq!(served.get("/health").await.0, 200);
}
