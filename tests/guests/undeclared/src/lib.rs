//! Imports `wasi:keyvalue`, which its manifest does not declare: the host must refuse to load it.

use warren_guest_sdk::prelude::*;

struct Undeclared;

impl Agent for Undeclared {
    fn activate(_item: WorkItem) -> Result<Outcome> {
        let keys = state::keys()?;
        Ok(Outcome::new().summary(keys.join(" ")))
    }
}

warren_guest_sdk::export!(Undeclared);
