//! Does nothing.
