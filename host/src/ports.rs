//! What the services need of the world, one trait and its error per file. Adapters implement, services call; neither
//! knows the other.

pub mod agent_records;
pub mod agent_state;
pub mod clock;
pub mod definitions;
pub mod effects;
pub mod events;
pub mod guest;
pub mod hosts;
pub mod hub;
pub mod leadership;
pub mod plugin_source;
pub mod plugin_store;
pub mod sandbox;
pub mod standing_claim;
pub mod store;
pub mod telemetry;
pub mod work_queue;
pub mod workspaces;
