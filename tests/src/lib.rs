//! End-to-end tests, and what the tests of other packages share with them.

pub mod guests;
