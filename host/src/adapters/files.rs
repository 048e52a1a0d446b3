//! What operators and authors write into files: the definitions of agents ([`AgentFiles`]) and plugins with their
//! manifests ([`PluginFolder`]). A mistake in one file is reported with file, line, field, value and what is allowed, and
//! the other files count all the same.
//!
//! Files are read whole, up to a limit; links are followed, because mounted configuration is made of them. Nothing here
//! watches files or compiles plugins.

mod agents;
mod bounded;
mod definition;
mod manifest;
mod plugins;
mod settled;
mod values;

pub use agents::AgentFiles;
pub use plugins::{PluginFileError, PluginFolder, component_name, read_component, read_plugin};
