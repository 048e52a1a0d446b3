//! Uses what every guest has (CPU, clocks, randomness) without end, and looks for what none should find.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::spin_loop;
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, thread};

use warren_guest_sdk::prelude::*;

#[cfg(target_family = "wasm")]
pub fn trap() -> ! {
    std::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
pub fn trap() -> ! {
    std::process::abort()
}

pub fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// Keeps the CPU busy for about so long, then returns.
pub fn burn(ms: u64) -> Result<Outcome> {
    let start = Instant::now();
    let mut rounds = 0_u64;
    while start.elapsed() < Duration::from_millis(ms) {
        (0..10_000).for_each(|_| spin_loop());
        rounds += 1;
    }
    Ok(Outcome::new().summary(format!("burned {ms} ms in {rounds} rounds")))
}

/// Blocks in a host call.
pub fn sleep(ms: u64) -> Result<Outcome> {
    thread::sleep(Duration::from_millis(ms));
    Ok(Outcome::new().summary(format!("slept {ms} ms")))
}

/// The environment and the arguments, which a guest has none of.
pub fn env() -> Result<Outcome> {
    let variables: Vec<_> = env::vars_os().collect();
    let arguments: Vec<_> = env::args_os().collect();
    Ok(Outcome::new().summary(format!("env={variables:?} args={arguments:?}")))
}

pub fn read_file(path: &str) -> Result<Outcome> {
    Ok(Outcome::new().summary(match fs::read(path) {
        Ok(content) => format!("read {} bytes", content.len()),
        Err(error) => format!("refused: {error}"),
    }))
}

pub fn connect(address: &str) -> Result<Outcome> {
    Ok(Outcome::new().summary(match TcpStream::connect(address) {
        Ok(_) => "connected".into(),
        Err(error) => format!("refused: {error}"),
    }))
}

/// A number that should differ each time, from the seed that the host gives std's hash maps.
pub fn random() -> Result<Outcome> {
    Ok(Outcome::new().summary(format!("{:016x}", RandomState::new().hash_one(0))))
}

/// Seconds since 1970.
pub fn clock() -> Result<Outcome> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Outcome::new().summary(now.as_secs().to_string()))
}
