//! The ports' other sides: each module reaches one piece of the world, and none knows another or a service.

pub mod boot_clock;
pub mod files;
pub mod hub_http;
pub mod wasm;
//! How the ports meet the world: stores, the Hub over HTTP, the sandbox. Adapters implement ports and know no service.
pub mod sqlite;
