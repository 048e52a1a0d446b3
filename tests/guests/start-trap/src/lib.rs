//! Traps while it is instantiated, so before the host can call anything.

use warren_guest_sdk::{Agent, Outcome, Result, WorkItem};

struct StartTrap;

impl Agent for StartTrap {
    fn activate(_item: WorkItem) -> Result<Outcome> {
        Ok(Outcome::new().summary("the component was instantiated without running its initialisation"))
    }
}

warren_guest_sdk::export!(StartTrap);

/// A core module's export of this name runs when the component is instantiated. A static constructor would be too late:
/// in such a guest it runs with the first call.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "the name is what the component's linker looks for")]
#[unsafe(export_name = "_initialize")]
extern "C" fn initialize() {
    std::arch::wasm32::unreachable()
}
