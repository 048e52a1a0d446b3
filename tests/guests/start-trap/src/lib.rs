//! Traps in a static constructor, so before the host can call anything.

use warren_guest_sdk::{Agent, Outcome, Result, WorkItem};

struct StartTrap;

impl Agent for StartTrap {
    fn activate(_item: WorkItem) -> Result<Outcome> {
        Ok(Outcome::new().summary("the static constructor did not run"))
    }
}

warren_guest_sdk::export!(StartTrap);

/// wasm-ld gathers the pointers of this section into `__wasm_call_ctors`, which `_initialize` calls.
#[cfg(target_family = "wasm")]
#[used]
#[allow(
    unsafe_code,
    reason = "a constructor that the linker finds by its section has no safe form"
)]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn trap() {
        std::arch::wasm32::unreachable()
    }
    trap
};
