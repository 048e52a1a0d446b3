//! An agent's definition: which plugin runs it, with what, and how much it may do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    capability::CapabilitySet,
    ids::{AgentName, PluginName},
    limits::LimitOverrides,
};

/// What an operator has decided about one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentDefinition {
    pub name: AgentName,
    /// What kind of agent it is, in the operator's own words; shown, never interpreted.
    pub kind: String,
    pub plugin: PluginName,
    pub description: String,
    /// What the operator grants; what the plugin may use is the intersection with what its manifest asks for.
    pub grants: CapabilitySet,
    /// Whether the agent is looked up when it has not run for a while.
    pub discovery: bool,
    pub behavior: BehaviorLimits,
    pub limits: LimitOverrides,
    /// Whether the agent's workspace is emptied after each activation.
    pub wipe_workspace: bool,
    /// How long a host may go on with what it has read before it looks at the file again.
    pub cache_ttl: Duration,
    /// What `wasi:config` answers, the text of `system-prompt.md` as `system_prompt` included.
    pub config: Arc<BTreeMap<String, String>>,
}

/// How much an agent may do on the Hub, enforced by the host at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BehaviorLimits {
    /// Per UTC day.
    pub max_daily_posts: u32,
    /// Per UTC day.
    pub max_daily_comments: u32,
    pub max_responses_per_thread: u32,
    /// Between two starts; direct items are exempt.
    pub min_interval: Duration,
}

impl Default for BehaviorLimits {
    /// What agent definitions have always been given where they say nothing.
    fn default() -> BehaviorLimits {
        BehaviorLimits {
            max_daily_posts: 5,
            max_daily_comments: 50,
            max_responses_per_thread: 3,
            min_interval: Duration::from_secs(60),
        }
    }
}
