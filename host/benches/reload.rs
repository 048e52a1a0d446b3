//! What a reload costs: from the command to the first activation on the new generation, by stage, compiled and from what
//! is kept; what activations notice of it; and in `warren dev`, from the saving of a source to the reply of what it became.
//!
//! `cargo bench -p warren --bench reload`; after `--`, `stages`, `beside` and `saving` run these parts alone, and a number
//! generates a large component of so many MB instead of 10. Host, store and guests share this machine with the compiler,
//! as they do in operation.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{
    env, fs,
    time::{Duration, Instant},
};

use tokio::{runtime::Builder, time};
use warren_tests::{binary, components::laborious, guests};

use self::{
    beside::{Beside, Spinning},
    place::{Kept, Place, Stages},
    spread::Spread,
};

#[path = "reload/beside.rs"]
mod beside;
#[path = "measuring/no_host.rs"]
mod no_host;
#[path = "reload/place.rs"]
mod place;
#[path = "reload/saving.rs"]
mod saving;
#[path = "measuring/spread.rs"]
mod spread;
#[path = "measuring/store.rs"]
mod store;

/// Reloads of the small component, compiled and kept; a large one takes long enough to be measured fewer times.
const SMALL: usize = 30;
const LARGE: usize = 3;

/// About so much does one of the large component's functions add, in bytes.
const A_FUNCTION: usize = 4_600;

/// How long activations are watched at a time: with each kind of reload in turn, several times over, so that all have the
/// same share of what else the machine does.
const WATCH: Duration = Duration::from_secs(4);
const ROUNDS: usize = 4;

/// Between two reloads beside activations: nobody reloads hundreds of times a second.
const PAUSE: Duration = Duration::from_millis(200);

/// What a guest that has everything is asked, and what it costs nothing to answer.
const ASKED: &str = "sleep 0";

fn main() {
    binary::built_by_cargo(env!("CARGO_BIN_EXE_warren"));
    let megabytes: usize = env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let named = |part: &str| env::args().any(|argument| argument == part);
    let all = !["stages", "beside", "saving"].into_iter().any(named);
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
        if all || named("stages") {
            stages(&place, &small, &large).await;
        }
        if all || named("beside") {
            notice(&place, &small, &large).await;
        }
    });
    if all || named("saving") {
        saving::measure();
    }
}

async fn stages(place: &Place, small: &[u8], large: &[u8]) {
    println!("{}", Stages::header());
    let python = python();
    let mut components = vec![("small", small, SMALL), ("large", large, LARGE)];
    components.extend(python.as_deref().map(|python| ("Python", python, LARGE)));
    for (name, component, times) in components {
        let size = component.len() / 1000;
        let mut compiled = Vec::new();
        for _ in 0..times {
            compiled.push(place.compiled(component).await);
        }
        println!("{}", Stages::row(&format!("{name}, {size} KB, compiled"), &compiled));
        let versions = place.keep(component).await;
        let mut kept = Vec::new();
        for _ in 0..times.max(10) {
            kept.push(place.kept(&versions).await);
        }
        println!("{}", Stages::row(&format!("{name}, {size} KB, kept"), &kept));
    }
    println!();
}

/// The bundled agent in Python, if it was built.
fn python() -> Option<Vec<u8>> {
    let file = guests::target_dir().join("foreign/echo-py/echo-py.wasm");
    match fs::read(&file) {
        Ok(component) => Some(component),
        Err(error) => {
            let why = format!("SKIPPED: the component in Python: {}: {error}", file.display());
            println!("{why}; `cargo xtask foreign` builds it where Python and PyPI are there");
            None
        }
    }
}

/// What goes on beside activations.
#[derive(Clone, Copy)]
enum Work<'a> {
    Nothing,
    /// Threads like the compiler's that only spin: what such work costs on this machine, whatever it is about.
    Spinning,
    Kept(&'a Kept),
    Compiled(&'a [u8]),
}

/// Activations that come at a steady rate, with and without reloads beside them.
async fn notice(place: &Place, small: &[u8], large: &[u8]) {
    let (small_kept, large_kept) = (place.keep(small).await, place.keep(large).await);
    let works = [
        ("nothing", Work::Nothing),
        ("threads like the compiler's that spin", Work::Spinning),
        ("reloads: small ones, kept", Work::Kept(&small_kept)),
        ("reloads: a large one, kept", Work::Kept(&large_kept)),
        ("reloads: small ones, compiled", Work::Compiled(small)),
        ("reloads: a large one, compiled", Work::Compiled(large)),
    ];
    let beside = Beside::new(place);
    let mut times = vec![Vec::new(); works.len()];
    for _ in 0..ROUNDS {
        for ((_, work), times) in works.iter().zip(&mut times) {
            times.extend(beside.watch(go_on(place, *work)).await);
        }
    }
    println!(
        "{:<44} {:>9} {:>9} {:>9}   (ms, from when it was due)",
        "activations beside …", "median", "p99", "each"
    );
    let mut calm = None;
    for ((name, _), times) in works.iter().zip(&times) {
        let spread = Spread::of(times.iter().copied());
        let (median, p99) = (spread.median() / 1e3, spread.p99() / 1e3);
        let calm = *calm.get_or_insert(p99);
        println!(
            "{name:<44} {median:>9.2} {p99:>9.2} {:>9}   p99 {:.2} ×",
            times.len(),
            p99 / calm
        );
    }
    println!();
}

async fn go_on(place: &Place, work: Work<'_>) {
    let end = Instant::now() + WATCH;
    let _spinning = matches!(work, Work::Spinning).then(Spinning::start);
    while Instant::now() < end {
        match work {
            Work::Nothing | Work::Spinning => {}
            Work::Kept(versions) => {
                place.kept(versions).await;
            }
            Work::Compiled(component) => {
                place.compiled(component).await;
            }
        }
        time::sleep(PAUSE).await;
    }
}
