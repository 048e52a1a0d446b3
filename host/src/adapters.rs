//! How the ports meet the world: stores, the Hub over HTTP, the sandbox. Adapters implement ports and know no service.

pub mod sqlite;
