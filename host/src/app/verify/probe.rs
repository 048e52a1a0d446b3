//! What runs in a scope: a plugin that traps when its item's `inbox_count` is odd and succeeds when it is even, and as many
//! agents of it as somebody names.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context;
use async_trait::async_trait;

use crate::{
    app::{api::types::ProbeItem, store::wall_clock},
    domain::{
        agent::{AgentDefinition, BehaviorLimits},
        capability::CapabilitySet,
        ids::{AgentId, AgentName, ItemId, PluginName},
        plugin::{Manifest, WORLD},
        work_item::{TaskType, WorkItem},
    },
    ports::{
        definitions::{DefinitionError, Definitions},
        plugin_source::{Place, PluginSource},
    },
};

/// The plugin's name, and how its agents' names begin.
const NAME: &str = "warren-verify";

/// Agents that a load may have.
pub const MOST_AGENTS: u32 = 1_000;

/// Written by hand: it needs nothing, and there is no compiler on a host. The parameters of `activate` are the fields of
/// a work item one after the other, a string as address and length; the ninth is `inbox-count`. All zeros at 64 is an
/// outcome without summary and without handled notifications.
const COMPONENT: &str = r#"(component
  (import "warren:agent/types@0.1.0" (instance $types
    (type $task (enum "inbox" "discovery" "direct"))
    (export "task-type" (type $task-type (eq $task)))
    (type $item' (record (field "id" string) (field "agent-id" string) (field "agent-name" string)
      (field "task-type" $task-type) (field "attempt" u32) (field "inbox-count" u32) (field "created-at" string)
      (field "payload" (option string))))
    (export "work-item" (type $item (eq $item')))
    (type $outcome' (record (field "summary" string) (field "handled" (list string))))
    (export "outcome" (type $outcome (eq $outcome')))
    (type $failure' (variant (case "transient" string) (case "permanent" string) (case "upstream" string)))
    (export "failure" (type $failure (eq $failure')))))
  (alias export $types "work-item" (type $item))
  (alias export $types "outcome" (type $outcome))
  (alias export $types "failure" (type $failure))
  (core module $main
    (memory $main 1)
    (export "main" (memory $main))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "activate")
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (if (i32.and (local.get 8) (i32.const 1)) (then unreachable))
      (i32.const 64)))
  (core instance $instance (instantiate $main))
  (func $activate (param "item" $item) (result (result $outcome (error $failure)))
    (canon lift (core func $instance "activate") (memory (core memory $instance "main"))
      (realloc (core func $instance "realloc"))))
  (export "activate" (func $activate)))"#;

/// Whether an activation fails, as the component understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaves {
    Well = 0,
    Traps = 1,
}

pub struct ProbePlugin;

impl ProbePlugin {
    fn manifest() -> Result<Manifest, String> {
        Ok(Manifest {
            name: plugin_name()?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            world: WORLD.to_owned(),
            description: "fails when it is told to".to_owned(),
            capabilities: CapabilitySet::default(),
            limits: Default::default(),
        })
    }
}

#[async_trait]
impl PluginSource for ProbePlugin {
    async fn places(&self) -> Result<Vec<Place>, String> {
        Ok(vec![Place {
            origin: "warren verify".to_owned(),
            manifest: ProbePlugin::manifest(),
        }])
    }

    async fn read(&self, _: &str, _: Duration) -> Result<(Manifest, Vec<u8>), String> {
        let component = wat::parse_str(COMPONENT).map_err(|error| error.to_string())?;
        Ok((ProbePlugin::manifest()?, component))
    }
}

/// Every agent there is in a scope has the same.
pub struct ProbeAgents;

impl Definitions for ProbeAgents {
    fn agent(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
        Ok(Arc::new(AgentDefinition {
            name: name.clone(),
            kind: String::new(),
            plugin: plugin_name().map_err(DefinitionError::Invalid)?,
            description: String::new(),
            grants: CapabilitySet::default(),
            discovery: false,
            behavior: BehaviorLimits {
                min_interval: Duration::ZERO,
                ..BehaviorLimits::default()
            },
            limits: Default::default(),
            wipe_workspace: false,
            cache_ttl: Duration::from_secs(60),
            config: Arc::default(),
        }))
    }

    fn names(&self) -> Option<HashSet<String>> {
        None
    }

    fn all(&self) -> Vec<(String, Result<Arc<AgentDefinition>, DefinitionError>)> {
        Vec::new()
    }
}

fn plugin_name() -> Result<PluginName, String> {
    PluginName::new(NAME).map_err(|error| error.to_string())
}

/// An agent of a scope, and the id of the same words.
pub struct ProbeAgent {
    pub id: AgentId,
    pub name: AgentName,
}

impl ProbeAgent {
    pub fn new(which: &str) -> anyhow::Result<ProbeAgent> {
        let name = format!("{NAME}-{which}");
        Ok(ProbeAgent {
            id: AgentId::new(name.as_str()).context("the name of a probe")?,
            name: AgentName::new(name).context("the name of a probe")?,
        })
    }

    /// An item of it that behaves so.
    pub fn item(&self, id: ItemId, task_type: TaskType, behaves: Behaves) -> WorkItem {
        WorkItem {
            id,
            agent_id: self.id.clone(),
            agent_name: self.name.clone(),
            task_type,
            priority: task_type.default_priority(),
            inbox_count: behaves as u32,
            created_at: wall_clock(),
            attempt: 1,
            payload: (task_type == TaskType::Direct).then(String::new),
            min_interval: Duration::ZERO,
            trace_context: None,
        }
    }
}

/// What was asked for, as an item that succeeds. Direct items never merge: each runs.
pub fn item(asked: &ProbeItem) -> Result<WorkItem, String> {
    if asked.agent >= MOST_AGENTS {
        return Err(format!(
            "agent {} is too many: there are {MOST_AGENTS}, from 0",
            asked.agent
        ));
    }
    let id = ItemId::parse(&asked.id).map_err(|error| error.to_string())?;
    let agent = ProbeAgent::new(&asked.agent.to_string()).map_err(|error| format!("{error:#}"))?;
    Ok(agent.item(id, TaskType::Direct, Behaves::Well))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_probe_is_a_component_and_its_items_name_agents_that_may_be() {
        let place = ProbePlugin.places().await.unwrap().remove(0);
        assert!(place.manifest.is_ok() && ProbePlugin.read(&place.origin, Duration::ZERO).await.is_ok());
        let id = ItemId::fresh().to_string();
        let asked = |agent| ProbeItem { id: id.clone(), agent };
        let last = item(&asked(MOST_AGENTS - 1)).unwrap();
        assert_eq!(last.agent_name.as_str(), "warren-verify-999");
        assert_eq!(last.inbox_count % 2, 0);
        assert!(item(&asked(MOST_AGENTS)).unwrap_err().contains("1000"));
    }
}
