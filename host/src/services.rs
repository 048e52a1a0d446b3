//! The long-lived tasks of a host, one per file, and what they share. A service takes ports and configuration when it is
//! made and knows no adapter; what starts and stops in which order is decided in `app`.

pub mod budget;
pub mod census;
pub mod claims;
pub mod discovery;
pub mod dispatch;
pub mod election;
pub mod guest_host;
pub mod heartbeat;
pub mod intake;
pub mod leader_state;
pub mod plugins;
pub mod poller;
pub mod python_runners;
pub mod reclaim;
pub mod reloads;
pub mod roster;
pub mod runner;
pub mod store_watch;
