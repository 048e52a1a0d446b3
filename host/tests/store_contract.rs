//! The contract of a store: what every adapter of `ports::store` must do, written against the ports alone.
//!
//! An adapter brings a [`Harness`](store_contract::harness::Harness) and one line of `contract!`. Cases never sleep: they
//! move the store's clock, or wait for a condition with a deadline.

// A test binary is nothing but tests: said here once, so that the lints know it of every helper.
#[cfg(test)]
mod store_contract {
    pub mod agents;
    pub mod bounds;
    pub mod breaker;
    pub mod claims;
    pub mod delays;
    pub mod effects;
    pub mod events;
    pub mod fairness;
    pub mod harness;
    pub mod hosts;
    pub mod kill;
    pub mod leadership;
    pub mod leases;
    pub mod merging;
    pub mod model;
    pub mod queue;
    pub mod races;
    pub mod redis;
    pub mod redis_access;
    pub mod redis_cuts;
    pub mod redis_days;
    pub mod redis_election;
    pub mod redis_entries;
    pub mod redis_failover;
    pub mod redis_familiar;
    pub mod redis_forwarder;
    pub mod redis_hosts;
    pub mod redis_idle;
    pub mod redis_lists;
    pub mod redis_shows;
    pub mod redis_sizes;
    pub mod redis_tls;
    pub mod redis_together;
    pub mod redis_types;
    pub mod reopen;
    pub mod sqlite;
    pub mod state;
    pub mod support;
}

contract!(sqlite, store_contract::sqlite::SqliteHarness);
contract!(redis, store_contract::redis::RedisHarness);
