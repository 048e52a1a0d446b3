//! What makes services and adapters a process: configuration, telemetry, the API, and the wiring of it all.

pub mod api;
pub mod config;
pub mod dev;
pub mod host;
pub mod metrics;
mod nearest;
mod observed_hub;
mod open_files;
mod parts;
pub mod plain_http;
pub mod run;
pub mod signals;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod verify;
