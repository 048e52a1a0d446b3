//! What wit-bindgen generates from `wit/0.1.0`: the types of the contract and the raw calls.
//!
//! Public only because [`export!`](crate::export) expands to it in the agent's crate; agents use the typed modules.
//! Types are re-exported from there, calls reach them through `imports`.
#![allow(
    clippy::all,
    missing_docs,
    unsafe_code,
    unused_qualifications,
    reason = "generated: the comments are those of the WIT, the unsafe code is the canonical ABI"
)]

wit_bindgen::generate!({
    path: "../wit/0.1.0",
    world: "agent",
    generate_all,
    additional_derives: [PartialEq, Eq],
    pub_export_macro: true,
    export_macro_name: "__export_agent",
    default_bindings_module: "::warren_guest_sdk::bindings",
});
