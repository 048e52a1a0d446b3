//! This machine's clock.

use crate::domain::time::BootTime;

/// Where local deadlines come from. The only host clock that promises may lean on.
pub trait Clock: Send + Sync {
    /// Time since boot, suspend included.
    fn now(&self) -> BootTime;
}
