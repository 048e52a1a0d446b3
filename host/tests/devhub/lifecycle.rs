//! Start, stop, kill, and start again.

use super::*;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use warren::devhub::{Data, Error};

#[tokio::test]
async fn shutdown_cuts_long_polls_streams_and_hanging_requests() {
    let hub = Hub::start().await;
    hub.put(
        "/admin/faults",
        json!([{ "path": "/api/v1/search", "kind": "hang" }]),
        200,
    )
    .await;
    let poll = tokio::spawn(hub.request(Method::GET, "/api/v1/notifications/poll?timeout=60").send());
    let hang = tokio::spawn(hub.request(Method::GET, "/api/v1/search?q=x").send());
    let mut stream = hub.request(Method::GET, "/api/v1/events").send().await.unwrap();
    // A connection that never finishes its request must not hold the Hub up either.
    let mut idle = tokio::net::TcpStream::connect(hub.running.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut idle, b"GET / HTTP/1.1\r\nHo")
        .await
        .unwrap();
    eventually("all have arrived", async || {
        hub.requests("GET /api/v1/notifications/poll").await == 1 && hub.requests("GET /api/v1/search").await == 1
    })
    .await;
    let address = hub.running.address();
    let started = Instant::now();
    hub.running.shutdown().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(answer(poll.await.unwrap().unwrap(), 200).await, json!({ "agents": [] }));
    assert!(hang.await.unwrap().is_err());
    while let Ok(Some(_)) = stream.chunk().await {}
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "it still listens"
    );
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let hub = Hub::start().await;
    let address = hub.running.address();
    let error = DevHub::start(DevHubConfig::new(address)).await.err().unwrap();
    assert!(matches!(error, Error::Bind { .. }));
    let message = error.to_string();
    assert!(
        message.contains(&address.to_string()) && message.contains("choose another address"),
        "{message}"
    );
}

#[tokio::test]
async fn a_bad_agent_in_the_configuration_is_an_error() {
    let mut config = DevHubConfig::new(loopback());
    config.agents = vec![("1".to_owned(), "No Good".to_owned())];
    let message = DevHub::start(config).await.err().unwrap().to_string();
    assert!(message.contains("No Good") && message.contains("a-z"), "{message}");
}

#[tokio::test]
async fn data_files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(
        &text,
        "this is not a database, and it is long enough to have a header of its own".repeat(20),
    )
    .unwrap();
    let foreign = folder.path().join("foreign");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE mine (x)")
        .unwrap();
    let cases = [
        (folder.path().join("missing/hub.db"), "create its folder"),
        (text, "not a SQLite file"),
        (foreign, "another program"),
    ];
    for (path, expected) in cases {
        let error = start_on(&path).await.err().unwrap();
        let message = error.to_string();
        assert!(
            message.contains(expected) && message.contains(path.to_str().unwrap()),
            "{message}"
        );
    }
}

async fn start_on(path: &Path) -> Result<RunningHub, Error> {
    let mut config = DevHubConfig::new(loopback());
    config.data = Data::File(path.to_owned());
    config.agents = vec![("echo".to_owned(), "echo".to_owned())];
    DevHub::start(config).await
}

#[tokio::test]
async fn a_file_keeps_everything_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let hub = Hub {
        running: start_on(&path).await.unwrap(),
        client: client(),
        key: None,
    };
    let post = hub.ada_posts("@echo").await;
    hub.comments(&post, json!({ "agent_id": "echo" }), "kept").await;
    let before = hub.get(&format!("/api/v1/posts/{post}?include_comments=true")).await;
    hub.running.shutdown().await.unwrap();

    let hub = Hub {
        running: start_on(&path).await.unwrap(),
        client: client(),
        key: None,
    };
    assert_eq!(
        hub.get(&format!("/api/v1/posts/{post}?include_comments=true")).await,
        before
    );
    assert_eq!(hub.unread("echo").await.len(), 1);
    assert_eq!(hub.effects("comment").await.len(), 1);
    assert_eq!(
        hub.effects("registered").await.len(),
        1,
        "the configured agent was registered twice"
    );
    hub.ada_posts("a person of before writes again").await;
}

const CHILD_FILE: &str = "WARREN_TEST_DEVHUB_FILE";

/// Not a test: the process that [`a_kill_loses_nothing_that_was_answered`] kills.
#[tokio::test]
#[ignore = "runs only as the child process of another test"]
async fn child() {
    let Ok(path) = std::env::var(CHILD_FILE) else { return };
    let mut hub = start_on(&PathBuf::from(path)).await.unwrap();
    println!("\naddress {}", hub.address());
    hub.stopped().await.unwrap();
}

fn spawn_child(path: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["lifecycle::child", "--exact", "--ignored", "--nocapture"])
        .env(CHILD_FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("address ").map(str::to_owned));
    (
        child,
        address.expect("the child should print its address").parse().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let (mut child, address) = spawn_child(&path);

    let other = start_on(&path)
        .await
        .err()
        .expect("a second Hub on the same file should be refused");
    assert!(other.to_string().contains("another process has it open"), "{other}");

    let client = client();
    let writer = tokio::spawn(async move {
        let mut written = Vec::new();
        for n in 0.. {
            let body = json!({ "agent_id": "echo", "content": format!("post {n}") });
            let request = client
                .post(format!("http://{address}/api/v1/posts"))
                .header("Idempotency-Key", n.to_string());
            let Ok(response) = request.json(&body).send().await else {
                break;
            };
            let Ok(post) = response.json::<Value>().await else {
                break;
            };
            written.push(text(&post["id"]));
        }
        written
    });
    let watcher = self::client();
    eventually("a hundred posts are written", async || {
        let log: Value = watcher
            .get(format!("http://{address}/admin/log"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        log["last"].as_u64().unwrap() > 100
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let written = writer.await.unwrap();
    assert!(written.len() >= 99, "{}", written.len());

    let hub = Hub {
        running: start_on(&path).await.unwrap(),
        client: self::client(),
        key: None,
    };
    for id in &written {
        hub.get(&format!("/api/v1/posts/{id}")).await;
    }
    // The keys are kept too: a repeat after the kill is still a repeat.
    let repeat = hub
        .request(Method::POST, "/api/v1/posts")
        .header("Idempotency-Key", "0");
    let repeat = repeat
        .json(&json!({ "agent_id": "echo", "content": "again" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer(repeat, 201).await["id"], *written[0]);
}
