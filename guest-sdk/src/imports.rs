//! The one door to the host: every call that the typed modules make goes through a name of this file.
//!
//! It is a seam. In a component the calls are those that wit-bindgen generates. Natively there is no host to call, and
//! the same names lead to the one in memory: see [`testing`](crate::testing).

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::{
    warren::agent::{hub, metrics},
    wasi::{config::store as config, keyvalue::store as keyvalue, logging::logging},
};
#[cfg(target_family = "wasm")]
pub(crate) use std::time::SystemTime as clock;
#[cfg(target_family = "wasm")]
pub(crate) mod workspace {
    /// Where hosts put it.
    pub(crate) fn root() -> std::path::PathBuf {
        "/".into()
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::calls::{clock, config, hub, keyvalue, logging, metrics, workspace};
