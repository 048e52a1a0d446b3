//! The sandbox against real components: what it refuses, what it limits, what it keeps apart.

mod sandbox {
    mod cache;
    mod calls;
    mod concurrency;
    mod harness;
    mod isolation;
    mod limits;
    mod plugin;
    mod refusals;
}
