//! The development Hub.
