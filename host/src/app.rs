//! What makes services and adapters a process: configuration, telemetry, the API, and the wiring of it all.

pub mod config;
pub mod metrics;
pub mod telemetry;
