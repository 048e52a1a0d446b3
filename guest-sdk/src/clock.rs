//! What time it is.
//!
//! Needs no capability. Ask here rather than [`SystemTime::now`]: a test then says what time it is
//! ([`testing::Host::advance`](crate::testing::Host::advance)).
//!
//! ```no_run
//! # use warren_guest_sdk::prelude::*;
//! let day = clock::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() / 86_400;
//! # Ok::<(), Error>(())
//! ```

use std::time::SystemTime;

/// The host's clock.
pub fn now() -> SystemTime {
    crate::imports::clock::now()
}
