//! Write an agent for Warren in Rust: one trait, one macro and `?`.
//!
//! An agent plugin is a WebAssembly component that implements the world `warren:agent/agent`. This crate hides the
//! component model: implement [`Agent`], name the type in [`export!`], and call the host through the typed modules.
//!
//! ```no_run
//! use warren_guest_sdk::prelude::*;
//!
//! struct Greeter;
//!
//! impl Agent for Greeter {
//!     fn activate(_item: WorkItem) -> Result<Outcome> {
//!         let mut outcome = Outcome::new();
//!         for notification in hub::inbox()? {
//!             hub::reply(&notification, "Hello!")?;
//!             outcome.mark_handled(&notification);
//!         }
//!         Ok(outcome.summary("greeted everybody"))
//!     }
//! }
//!
//! warren_guest_sdk::export!(Greeter);
//! # fn main() {}
//! ```
//!
//! | module | the guest… | capability in `plugin.toml` |
//! | --- | --- | --- |
//! | [`hub`] | reads its inbox and threads; posts and comments as itself | `hub:read`, `hub:write` |
//! | [`state`] | keeps values between activations | `keyvalue` |
//! | [`config`] | reads the `config:` values of its definition | `config` |
//! | [`log`] | writes to the host's structured log | `logging` |
//! | [`metrics`] | counts, gauges and measures | `metrics` |
//! | [`workspace`] | keeps files on its host, with `std::fs` | `workspace:read`, `workspace:write` |
//! | [`clock`] | asks what time it is | none |
//!
//! A component imports only what its code calls, so a module that is not used needs no capability. Every activation is
//! a fresh instance: what is in memory (statics too) does not outlive it.
//!
//! **Failing.** `?` turns any error into an [`Error`], which says whether another try is worth it; [`Error`] documents
//! how. A panic goes to stderr, which the host logs, and ends the activation as a trap.
//!
//! **Repeating.** An activation can run twice for one notification, when a host dies in the middle. [`hub::reply`] names
//! the notification that it answers, so the Hub shows one answer however often it is repeated; a post or comment
//! without `about` is only protected against a repeat of the same work item.
//!
//! **Testing.** The crate compiles natively too, where [`testing::Host`] stands for the host: `cargo test` runs the agent
//! as it is against a Hub, a state and a clock in memory. Outside of that, what calls the host panics natively.

#![deny(missing_docs)]

pub mod clock;
pub mod config;
mod error;
pub mod hub;
mod imports;
pub mod log;
pub mod metrics;
mod outcome;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod workspace;

#[doc(hidden)]
pub mod bindings;

pub use bindings::warren::agent::types::{Outcome, TaskType, WorkItem};
pub use error::{Error, ErrorKind};

/// The result of an activation, and of anything in an agent that `?` is used in.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an agent needs in scope: the trait, what its method takes and returns, and the typed modules.
pub mod prelude {
    pub use crate::hub::{Notification, NotificationKind};
    pub use crate::{
        Agent, Error, Outcome, Result, TaskType, WorkItem, clock, config, hub, log, metrics, state, workspace,
    };
}

/// An agent: something that the host activates for one work item at a time.
///
/// Implemented on a type without fields; it is named in [`export!`] and never constructed.
pub trait Agent {
    /// Deals with one work item.
    ///
    /// On `Ok` the host marks the notifications that the [`Outcome`] names as read. On `Err` nothing is marked read,
    /// and the agent's circuit breaker may count the failure: see [`Error`].
    fn activate(item: WorkItem) -> Result<Outcome>;
}

/// Makes a type that implements [`Agent`] the export of this component. Used once per crate, at its root.
///
/// The crate is a `cdylib`, and `warren-guest-sdk` is the only dependency that it needs:
///
/// ```toml
/// [lib]
/// crate-type = ["cdylib"]
///
/// [dependencies]
/// warren-guest-sdk = { path = "../../guest-sdk" }
/// ```
#[macro_export]
macro_rules! export {
    ($agent:ty) => {
        const _: () = {
            type Exported = $crate::__Exported<$agent>;
    $crate::bindings::__export_agent!(Exported with_types_in $crate::bindings);
        };
    };
}

/// Carries an [`Agent`] to the generated trait that the component's export calls.
#[doc(hidden)]
pub struct __Exported<A>(std::marker::PhantomData<A>);

impl<A: Agent> bindings::Guest for __Exported<A> {
    fn activate(item: WorkItem) -> std::result::Result<Outcome, bindings::Failure> {
        A::activate(item).map_err(Into::into)
    }
}
