//! The Rust SDK for Warren agents.
