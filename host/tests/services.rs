//! The services against the promises of the design and the defects of the system that Warren replaces: a real SQLite store
//! in paused time, with faults put between it and the services; the Hub and the sandbox are scripted.
#[cfg(test)]
mod services {
    pub mod claims;
    pub mod clock;
    pub mod dispatch;
    pub mod effects;
    pub mod election;
    pub mod faults;
    pub mod hub;
    pub mod intake;
    pub mod plugins;
    pub mod poller;
    pub mod rig;
    pub mod runner;
    pub mod sandbox;
    pub mod seen;
    pub mod sweeps;
}
