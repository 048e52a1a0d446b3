//! The `warren` host as a library: the binary is `cli` and nothing else.
//!
//! One direction: `domain ← ports ← {adapters, services} ← app ← cli`. Adapters and services don't import each other, and
//! `devhub` imports nothing of the rest (`tests/layers.rs` holds this).

pub mod adapters;
pub mod app;
pub mod cli;
pub mod devhub;
pub mod domain;
pub mod ports;
pub mod services;
