//! How long a leader's renewal and `GET /health` take while 64 guests spin, against the same without guests: whether what
//! keeps a host alive gets a core when guests want all of them.
//!
//! `cargo bench -p warren --bench renewals`. A renewal's delay is the time from when it was due until the store's answer was
//! there, so it includes the disk. Renewals come every 50 ms here, instead of every 3 s, so that there are enough of them.
//! The guests run once on a thread per core, which is the default, and once with a core left to the host; all three take
//! turns.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Builder, time};
use warren_tests::guests;

use self::{health::Asker, services::Services, spinning::Spinners, spread::Spread};

#[path = "renewals/health.rs"]
mod health;
#[path = "measuring/items.rs"]
mod items;
#[path = "measuring/no_host.rs"]
mod no_host;
#[path = "renewals/services.rs"]
mod services;
#[path = "renewals/spinning.rs"]
mod spinning;
#[path = "measuring/spread.rs"]
mod spread;
#[path = "measuring/store.rs"]
mod store;
#[path = "measuring/threads.rs"]
mod threads;

const GUESTS: usize = 64;
const RENEW_EVERY: Duration = Duration::from_millis(50);
/// Of each variant, so often and so long.
const ROUNDS: usize = 4;
const A_ROUND: Duration = Duration::from_secs(5);
/// Until guests that were started spin.
const SETTLE: Duration = Duration::from_millis(300);

fn main() {
    // As many threads, and named, as a host has.
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("warren-host")
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let component = guests::component("guest-hostile");
        let everywhere = Spinners::new(component.clone(), cores()).await;
        let one_left = Spinners::new(component, (cores() - 1).max(1)).await;
        let services = Services::start(&everywhere.sandbox).await;
        let asker = Asker::start(services.address);
        let variants = [None, Some(&everywhere), Some(&one_left)];
        let mut measured = [Delays::default(), Delays::default(), Delays::default()];
        for _ in 0..ROUNDS {
            for (spinners, delays) in variants.iter().zip(&mut measured) {
                delays.measure(*spinners, &services, &asker).await;
            }
        }
        asker.stop();
        services.stop().await;
        print(&measured);
    });
}

#[derive(Default)]
struct Delays {
    renewals: Vec<Duration>,
    health: Vec<Duration>,
    guests: Duration,
    took: Duration,
}

impl Delays {
    async fn measure(&mut self, spinners: Option<&Spinners>, services: &Services, asker: &Asker) {
        let running = spinners.map(|spinners| (spinners, spinners.start()));
        time::sleep(SETTLE).await;
        drop((services.renewals.take(), asker.take()));
        let (before, began) = (guests_cpu(), Instant::now());
        time::sleep(A_ROUND).await;
        self.guests += guests_cpu() - before;
        self.took += began.elapsed();
        self.renewals.extend(services.renewals.take());
        self.health.extend(asker.take());
        if let Some((spinners, running)) = running {
            spinners.stop(running).await;
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().unwrap().get()
}

fn guests_cpu() -> Duration {
    threads::cpu().get("warren-guest").copied().unwrap_or_default()
}

fn print(measured: &[Delays; 3]) {
    let names = [
        "no guests".to_owned(),
        format!("{GUESTS} spinning, a thread per core (the default)"),
        format!("{GUESTS} spinning, on all cores but one"),
    ];
    let renewals = measured.each_ref().map(|delays| &delays.renewals[..]);
    print_table("a renewal, from due to answered", &names, renewals);
    let health = measured.each_ref().map(|delays| &delays.health[..]);
    print_table("GET /health, from asked to answered", &names, health);
    for (name, delays) in names.iter().zip(measured).skip(1) {
        let used = delays.guests.as_secs_f64() / delays.took.as_secs_f64();
        println!("cores that guests had, {name}: {used:.2} of {}", cores());
    }
    println!("(times in µs)\n");
}

fn print_table(title: &str, names: &[String; 3], delays: [&[Duration]; 3]) {
    println!(
        "{title:<48} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "median", "p99", "longest", "samples", "× p99"
    );
    let alone = Spread::of(delays[0].iter().copied()).p99();
    for (name, delays) in names.iter().zip(delays) {
        let spread = Spread::of(delays.iter().copied());
        let longest = delays.iter().max().map_or(0, Duration::as_micros);
        println!(
            "{name:<48} {:>9.0} {:>9.0} {longest:>9} {:>9} {:>7.2}",
            spread.median(),
            spread.p99(),
            delays.len(),
            spread.p99() / alone
        );
    }
    println!();
}
