//! What fulfils the ports with real things. Adapters don't know each other.

pub mod wasm;
