//! Does with files whatever a workspace must survive.
//!
//! The payload is a script, a command a line; the outcome's summary has a line for each, `ok` with what was found or the
//! error's code. Most commands are one raw call of `wasi:filesystem` each (`script`), so that no library's good manners come
//! between a bad path and the host; `std` does what ordinary programs do, through the standard library (`ordinary`).

mod ordinary;
mod raw;
mod script;

use warren_guest_sdk::prelude::*;

struct Files;

impl Agent for Files {
    fn activate(item: WorkItem) -> Result<Outcome> {
        let script = item.payload.unwrap_or_default();
        Ok(Outcome::new().summary(script::run(&script)))
    }
}

warren_guest_sdk::export!(Files);
