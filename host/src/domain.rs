//! What Warren means, apart from how it is stored, run or shown: words of the design as types, and the rules that can be
//! decided from values alone.
//!
//! Nothing here knows about tokio, serde, files, sockets or clocks: `now` and random numbers are passed in.

pub mod agent;
pub mod backoff;
pub mod breaker;
pub mod capability;
pub mod effect;
pub mod ending;
pub mod event;
pub mod host;
pub mod hub;
pub mod ids;
pub mod lease;
pub mod limits;
pub mod plugin;
pub mod preference;
pub mod secret;
pub mod time;
pub mod work_item;
