//! The host's structured log, with agent and work item as fields.
//!
//! Needs `logging`. One macro per level, with the arguments of [`format!`]; the module that logs is the context. The
//! host keeps 1,000 lines and 256 KiB of one activation by default, stdout and stderr included, and drops the rest.
//!
//! ```no_run
//! # use warren_guest_sdk::prelude::*;
//! # let (answered, waiting) = (1, 2);
//! log::info!("answered {answered} of {waiting}");
//! ```

use std::fmt;

use crate::imports::logging as host;

pub use host::Level;

#[doc(inline)]
pub use crate::{
    __log_critical as critical, __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace,
    __log_warn as warn,
};

/// Writes one message. `context` groups messages of one kind; the macros give the module.
pub fn write(level: Level, context: &str, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(message) => host::log(level, context, message),
        None => host::log(level, context, &message.to_string()),
    }
}

/// Logs what is of interest only when following every step.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace {
    ($($message:tt)+) => {
        $crate::log::write($crate::log::Level::Trace, ::std::module_path!(), ::std::format_args!($($message)+))
    };
}

/// Logs what helps to find an error.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($message:tt)+) => {
        $crate::log::write($crate::log::Level::Debug, ::std::module_path!(), ::std::format_args!($($message)+))
    };
}

/// Logs what happened.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($message:tt)+) => {
        $crate::log::write($crate::log::Level::Info, ::std::module_path!(), ::std::format_args!($($message)+))
    };
}

/// Logs what somebody should look at, some time.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($message:tt)+) => {
        $crate::log::write($crate::log::Level::Warn, ::std::module_path!(), ::std::format_args!($($message)+))
    };
}

/// Logs what went wrong.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($message:tt)+) => {
        $crate::log::write($crate::log::Level::Error, ::std::module_path!(), ::std::format_args!($($message)+))
    };
}

/// Logs what keeps the agent from working at all.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_critical {
    ($($message:tt)+) => {
        $crate::log::write($crate::log::Level::Critical, ::std::module_path!(), ::std::format_args!($($message)+))
    };
}
