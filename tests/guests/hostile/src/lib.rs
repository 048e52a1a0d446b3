//! Does whatever a sandbox must survive.
//!
//! One component for all of it: the first word of a `direct` item's payload says what to do, the rest are arguments (see
//! `perform`, which lists them all). For other items the configuration value `mode` is taken for the payload.

mod calls;
mod memory;
mod output;
mod surroundings;

use std::fmt::Display;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use warren_guest_sdk::prelude::*;

struct Hostile;

impl Agent for Hostile {
    fn activate(item: WorkItem) -> Result<Outcome> {
        let order = match item.payload {
            Some(payload) => payload,
            None => config::require("mode")?,
        };
        perform(Order::new(order.trim()))
    }
}

warren_guest_sdk::export!(Hostile);

/// What is left of the payload; each argument is taken off its front.
struct Order<'a>(&'a str);

impl<'a> Order<'a> {
    fn new(text: &'a str) -> Self {
        Self(text)
    }

    fn word(&mut self, name: &str) -> Result<&'a str> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        if word.is_empty() {
            return Err(Error::permanent(format!("the payload lacks {name}")));
        }
        Ok(word)
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<T>
    where
        T::Err: Display,
    {
        let word = self.word(name)?;
        word.parse()
            .map_err(|error| Error::permanent(format!("{name} is `{word}`: {error}")))
    }

    fn rest(self) -> &'a str {
        self.0
    }
}

fn perform(mut order: Order<'_>) -> Result<Outcome> {
    let deed = order.word("what to do")?;
    match deed {
        // Ends itself.
        "trap" => surroundings::trap(),
        "panic" => panic!("as asked"),
        "exit" => std::process::exit(order.number("CODE")?),
        "fail" => fail(order),
        // Takes CPU time, wall-clock time, stack.
        "spin" => surroundings::spin(),
        "burn" => surroundings::burn(order.number("MS")?),
        "sleep" => surroundings::sleep(order.number("MS")?),
        "recurse" => memory::recurse(),
        "recurse-frames" => memory::recurse_frames(),
        // Takes memory, here or in the host.
        "grow" => memory::grow(),
        "grow-quietly" => memory::grow_quietly(),
        "return-big" => Ok(Outcome::new().summary("x".repeat(order.number("BYTES")?))),
        "return-aliased" => Ok(memory::aliased()),
        "copy" => output::copy(order.number("BYTES")?),
        "copy-search" => calls::copy_search(order.number("BYTES")?),
        // Writes a lot.
        "log" => output::log(order.number("LINES")?, order.number("BYTES")?),
        "stdout" => output::stdout(order.number("BYTES")?),
        "stderr" => output::stderr(order.number("BYTES")?),
        "metrics" => output::metrics(order.number("SERIES")?),
        "labels" => output::labels(order.number("LABELS")?),
        // Calls the host.
        "hub-loop" => calls::hub_loop(order.number("CALLS")?),
        "inbox" => calls::inbox(),
        "answer" => calls::answer(0),
        "answer-slow" => calls::answer(order.number("MS")?),
        "post" => calls::post(order.rest()),
        "comment" => calls::comment(order.word("POST_ID")?, None, order.rest()),
        "comment-about" => calls::comment(
            order.word("POST_ID")?,
            Some(order.word("NOTIFICATION_ID")?),
            order.rest(),
        ),
        "handled-unknown" => calls::handled_unknown(order.word("ID")?),
        "kv-fill" => calls::kv_fill(order.number("KEYS")?, order.number("BYTES")?),
        "kv-big" => calls::kv_big(order.number("BYTES")?),
        "kv-get" => calls::kv_get(order.word("KEY")?),
        "kv-set" => calls::kv_set(order.word("KEY")?, order.rest()),
        "kv-keys" => calls::kv_keys(),
        // Looks for what it should not find.
        "env" => surroundings::env(),
        "read-file" => surroundings::read_file(order.rest()),
        "connect" => surroundings::connect(order.word("ADDRESS")?),
        "random" => surroundings::random(),
        "clock" => surroundings::clock(),
        "counter" => Ok(count_activations()),
        unknown => Err(Error::permanent(format!("no such deed: `{unknown}`"))),
    }
}

fn fail(mut order: Order<'_>) -> Result<Outcome> {
    let kind = order.word("transient, permanent or upstream")?;
    let message = order.rest();
    Err(match kind {
        "transient" => Error::transient(message),
        "permanent" => Error::permanent(message),
        "upstream" => Error::upstream(message),
        other => Error::permanent(format!("no such kind of failure: `{other}`")),
    })
}

/// More than 1 would mean that memory outlived an activation.
fn count_activations() -> Outcome {
    static ACTIVATIONS: AtomicU32 = AtomicU32::new(0);
    let count = ACTIVATIONS.fetch_add(1, Ordering::Relaxed) + 1;
    Outcome::new().summary(count.to_string())
}
