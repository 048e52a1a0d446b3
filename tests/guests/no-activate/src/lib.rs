//! A component that exports nothing: it is valid, and no plugin.
