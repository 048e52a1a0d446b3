//! Agent definitions and plugins in real folders.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

mod files {
    mod definitions;
    mod folder;
    mod plugins;
}
