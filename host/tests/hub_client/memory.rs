//! A list of a million agents must not need the memory of a million agents. Measured in a process of its own, since the
//! other tests need memory too.

use std::fs;

use super::{
    player::{Play, Player},
    *,
};

const AGENTS: usize = 1_000_000;

/// More than the client, its parser thread and this test's server need together, and far less than the list.
const ALLOWED: u64 = 16 << 20;

/// Tells the process that it is the one that measures itself.
const ALONE: &str = "WARREN_TEST_MEASURE_MEMORY";

/// A field of `/proc/self/status`, in bytes.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    1024 * line
        .trim_matches([':', '\t', ' '])
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap()
}

#[test]
fn a_million_agents_fit_into_a_little_memory() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(read_a_million());
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "memory::a_million_agents_fit_into_a_little_memory",
            "--nocapture",
        ])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn read_a_million() {
    let entry = r#"{"id":"0123456789abcdef","name":"agent-0123456","notification_count":3},"#;
    let entries = entry.repeat(1000);
    let last = r#"{"id":"last","name":"last"}]}"#;
    let play = Play::Repeat {
        head: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"agents\":[\r\n".to_vec(),
        piece: format!("{:x}\r\n{entries}\r\n", entries.len()).into_bytes(),
        times: AGENTS / 1000,
        pause: Duration::ZERO,
        end: format!("{:x}\r\n{last}\r\n0\r\n\r\n", last.len()).into_bytes(),
    };
    let player = Player::start([play]).await;
    let mut config = HubClientConfig::new(player.url());
    config.max_body = 128 << 20;
    config.request_timeout = Duration::from_secs(120);
    config.call_budget = config.request_timeout;
    let client = HubClient::new(config).unwrap();

    let before = memory("VmRSS");
    // Sets the high-water mark back to what is used now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let mut seen = 0;
    let mut sink = |_| {
        seen += 1;
        ControlFlow::Continue(())
    };
    let polled = client.poll_plain(&mut sink).await.unwrap();
    assert_eq!((polled.agents, seen), (AGENTS + 1, AGENTS + 1));
    let grown = memory("VmHWM").saturating_sub(before);
    assert!(
        grown < ALLOWED,
        "{} KiB more for {} KiB of answer",
        grown >> 10,
        (entry.len() * AGENTS) >> 10
    );
}
