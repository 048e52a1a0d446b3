//! What a reload costs: from the command to the first activation on the new generation, by stage, compiled and from what
//! is kept; and what activations notice of it.
//!
//! `cargo bench -p warren --bench reload`; `-- 30` generates a large component of about 30 MB instead of 10. Host, store
//! and guests share this machine with the compiler, as they do in operation.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{
    env,
    time::{Duration, Instant},
};

use tokio::{runtime::Builder, time};
use warren_tests::{components::laborious, guests};

use self::{
    beside::{Beside, Calm},
    place::{Place, Stages},
    spread::Spread,
};

#[path = "reload/beside.rs"]
mod beside;
#[path = "measuring/no_host.rs"]
mod no_host;
#[path = "reload/place.rs"]
mod place;
#[path = "measuring/spread.rs"]
mod spread;
#[path = "measuring/store.rs"]
mod store;

/// Reloads of the small component, compiled and kept; a large one takes long enough to be measured fewer times.
const SMALL: usize = 30;
const LARGE: usize = 3;

/// About so much does one of the large component's functions add, in bytes.
const A_FUNCTION: usize = 4_600;

/// How long activations are watched without reloads, and at least with them.
const WATCH: Duration = Duration::from_secs(10);

/// Between two pairs of reloads beside activations: nobody reloads hundreds of times a second.
const PAUSE: Duration = Duration::from_millis(200);

fn main() {
    let megabytes: usize = env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let small = guests::component("guest-hostile");
    let large = laborious("large", megabytes * 1_000_000 / A_FUNCTION);
    // As many threads as a host has.
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let place = Place::new().await;
        println!("{}", Stages::header());
        for (name, component, times) in [("small", &small, SMALL), ("large", &large, LARGE)] {
            let size = component.len() / 1000;
            let compiled = place.reload(component, times, false).await;
            println!("{}", Stages::row(&format!("{name}, {size} KB, compiled"), &compiled));
            let kept = place.reload(component, times.max(10), true).await;
            println!("{}", Stages::row(&format!("{name}, {size} KB, kept"), &kept));
        }
        println!();
        notice(&place, &small, &large).await;
    });
}

/// Activations that come at a steady rate, with and without reloads beside them.
async fn notice(place: &Place, small: &[u8], large: &[u8]) {
    let beside = Beside::new(place);
    println!(
        "{:<44} {:>9} {:>9} {:>9}   (ms, from when it was due)",
        "activations", "median", "p99", "each"
    );
    let before = beside.watch(time::sleep(WATCH)).await;
    let calm = row("without reloads", &before, None);
    let until = |work: &'static str| (work, Instant::now() + WATCH);
    for work in [
        "small ones, kept",
        "small ones, compiled",
        "a large one, kept",
        "a large one, compiled",
    ] {
        let (work, end) = until(work);
        let component = if work.starts_with("small") { small } else { large };
        let during = beside.watch(async {
            while Instant::now() < end {
                place.reload(component, 2, work.ends_with("kept")).await;
                time::sleep(PAUSE).await;
            }
        });
        row(&format!("beside reloads: {work}"), &during.await, Some(&calm));
    }
    let after = beside.watch(time::sleep(WATCH)).await;
    row("without reloads, again", &after, Some(&calm));
}

fn row(name: &str, times: &[Duration], calm: Option<&Calm>) -> Calm {
    let spread = Spread::of(times.iter().copied());
    let (median, p99) = (spread.median() / 1e3, spread.p99() / 1e3);
    let against = calm.map_or_else(String::new, |calm| format!("   p99 {:.2} ×", p99 / calm.p99));
    println!("{name:<44} {median:>9.2} {p99:>9.2} {:>9}{against}", times.len());
    Calm { p99 }
}
