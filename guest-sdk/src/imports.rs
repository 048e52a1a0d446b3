//! The one door to the host: every call that the typed modules make goes through a name of this file.
//!
//! It is a seam. Natively the generated calls panic; a test harness that answers them instead has only these five
//! names to replace.

pub(crate) use crate::bindings::warren::agent::{hub, metrics};
pub(crate) use crate::bindings::wasi::config::store as config;
pub(crate) use crate::bindings::wasi::keyvalue::store as keyvalue;
pub(crate) use crate::bindings::wasi::logging::logging;
