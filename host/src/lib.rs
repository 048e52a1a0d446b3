//! The `warren` host as a library: the binary is `cli` and nothing else.

pub mod devhub;
