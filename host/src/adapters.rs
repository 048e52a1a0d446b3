//! The ports' other sides: each module reaches one piece of the world, and none knows another or a service.

pub mod boot_clock;
pub mod files;
pub mod hub_http;
pub mod redis;
pub mod sqlite;
pub mod wasm;
