//! The sandbox against real components: what it refuses, what it limits, what it keeps apart.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod sandbox {
    mod cache;
    mod calls;
    mod concurrency;
    mod harness;
    mod isolation;
    mod limits;
    mod refusals;
    mod workspace;
}
