//! What a guest finds of the world around it, and of those before it: nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use super::harness::{run, summary};

#[tokio::test]
async fn no_memory_outlives_an_activation() {
    for _ in 0..3 {
        assert_eq!(summary(&run("counter").await), "1");
    }
}

#[tokio::test]
async fn there_is_no_environment_and_no_file() {
    assert_eq!(summary(&run("env").await), "env=[] args=[]");
    for path in ["/etc/passwd", "Cargo.toml", "."] {
        let activated = run(&format!("read-file {path}")).await;
        let words = summary(&activated);
        assert!(words.starts_with("refused"), "{path}: {words}");
    }
}

#[tokio::test]
async fn sockets_refuse() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for address in [address.to_string(), "localhost:80".to_owned()] {
        let activated = run(&format!("connect {address}")).await;
        let words = summary(&activated);
        assert!(words.starts_with("refused"), "{address}: {words}");
    }
}

#[tokio::test]
async fn clocks_tell_the_time_and_randomness_differs() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let clock: u64 = summary(&run("clock").await).parse().unwrap();
    assert!(clock.abs_diff(now) < 60, "{clock} is not {now}");
    assert_ne!(summary(&run("random").await), summary(&run("random").await));
}
