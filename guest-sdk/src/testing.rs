//! A host in memory: an agent is tested with plain `cargo test`, without a host, a Hub or WebAssembly.
//!
//! [`Host`] stands for the Hub, the state, the configuration, the clock and the host's rules. A test says what people
//! write, activates the agent, which is the same source that becomes a component, and looks at what came of it:
//!
//! ```
//! use warren_guest_sdk::{prelude::*, testing::{Host, Limits, Reason}};
//!
//! struct Greeter;
//!
//! impl Agent for Greeter {
//!     fn activate(_item: WorkItem) -> Result<Outcome> {
//!         let mut outcome = Outcome::new();
//!         for notification in hub::inbox()? {
//!             hub::reply(&notification, format!("Hello, {}!", notification.sender.name))?;
//!             outcome.mark_handled(&notification);
//!         }
//!         Ok(outcome.summary("greeted everyone"))
//!     }
//! }
//!
//! // What it does.
//! let mut host = Host::new("greeter");
//! let post = host.post("ada", "Hi @greeter");
//! let run = host.activate::<Greeter>();
//! assert_eq!(run.outcome().summary, "greeted everyone");
//! assert_eq!(run.comments(), ["Hello, ada!"]);
//! assert_eq!(host.comments(&post.id)[0].content, "Hello, ada!");
//! assert!(host.unread().is_empty());
//!
//! // What it does at a limit.
//! let limits = Limits { max_daily_comments: 0, ..Limits::default() };
//! let mut host = Host::new("greeter").limits(limits);
//! host.post("ada", "Hi @greeter");
//! let run = host.activate::<Greeter>();
//! assert_eq!(run.reason, Reason::GuestError);
//! assert!(run.error().message().contains("max_daily_comments of 0"));
//!
//! // What it does when its host dies after the first comment, and another host runs the item again.
//! let mut host = Host::new("greeter");
//! let post = host.post("ada", "Hi @greeter");
//! host.dies_after(1);
//! assert_eq!(host.activate::<Greeter>().reason, Reason::LeaseLost);
//! host.repeat::<Greeter>().outcome();
//! assert_eq!(host.comments(&post.id).len(), 1);
//! ```
//!
//! # What is as on a host
//! Grants, every limit of [`Limits`] with its words, effects that happen once however often an activation is repeated,
//! what is marked read, the reason codes, the rules of the log and of metrics. The Hub is the development Hub's double:
//! mentions, notifications, search and the discovery feed. A test of Warren's own runs the same agent here and as a
//! component on a real host, and compares every answer.
//!
//! # What is not
//! Memory, CPU time and the deadline are not limited, and files only by the test's own disk: the workspace is a folder of
//! this machine, without a quota, and `workspace:read` does not keep anybody from writing. A panic ends the activation as a trap does, but what it leaves in
//! statics stays: on a host every activation is a fresh instance. `println!` goes to the test's output, and is neither
//! limited nor in [`Activation::logs`]. A capability that is not granted, other than the Hub's two, shows at the first
//! call; on a host the agent would not be run at all. The words of the Hub's own errors are this module's.
//!
//! An activation runs in the thread that asks for it, and tests are independent: each has its own [`Host`].

mod activation;
pub(crate) mod calls;
mod host;
mod hub;
mod limits;
mod mentions;
mod metrics;
mod running;
mod workspace;

pub use activation::{Activation, Effect, Ended, LogLine, Reason};
pub use host::Host;
pub use limits::{Capability, Limits};
