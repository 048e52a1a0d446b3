//! `wasi:filesystem` without any library in between.
#![allow(
    clippy::all,
    unsafe_code,
    unused_qualifications,
    reason = "generated: the unsafe code is the canonical ABI"
)]

wit_bindgen::generate!({
    path: "../../../wit/wasi-0.2.12",
    world: "imports",
    generate_all,
});

pub use wasi::filesystem::{preopens, types};
pub use wasi::io::streams;
