//! The component in Warren's sandbox.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{runtime::Runtime, task::JoinSet};
use warren::{
    adapters::wasm::{SandboxConfig, WasmSandbox},
    domain::{
        capability::CapabilitySet,
        ids::{AgentId, AgentName, ItemId, PluginName},
        limits::Limits,
        plugin::{Manifest, WORLD},
        time::UnixMillis,
        work_item::{Priority, TaskType, WorkItem},
    },
    ports::{
        guest::GuestHost,
        sandbox::{Activation, Prepared, Sandbox, Verdict},
    },
};

use super::{A_ROUND, IN_FLIGHT, no_host::NoHost};

/// A sandbox with the component prepared.
pub struct Warren {
    prepared: Arc<dyn Prepared>,
    config: Arc<BTreeMap<String, String>>,
    host: Arc<dyn GuestHost>,
    _sandbox: WasmSandbox,
}

impl Warren {
    pub fn new(runtime: &Runtime, component: Vec<u8>) -> Warren {
        let sandbox = WasmSandbox::new(SandboxConfig {
            guest_threads: 1,
            ..SandboxConfig::default()
        })
        .unwrap();
        let manifest = Manifest {
            name: PluginName::new("idle").unwrap(),
            version: "1".to_owned(),
            world: WORLD.to_owned(),
            description: String::new(),
            capabilities: CapabilitySet::default(),
            limits: Default::default(),
        };
        Warren {
            prepared: runtime.block_on(sandbox.prepare(&manifest, component)).unwrap(),
            config: Arc::default(),
            host: Arc::new(NoHost),
            _sandbox: sandbox,
        }
    }

    fn activation(&self) -> Activation {
        Activation {
            item: WorkItem {
                id: ItemId::fresh(),
                agent_id: AgentId::new("agent-1").unwrap(),
                agent_name: AgentName::new("tester").unwrap(),
                task_type: TaskType::Inbox,
                priority: Priority::High,
                inbox_count: 1,
                created_at: UnixMillis(1_700_000_000_000),
                attempt: 1,
                payload: None,
                min_interval: Duration::ZERO,
                trace_context: None,
            },
            capabilities: CapabilitySet::default(),
            limits: Limits::default(),
            wipe_workspace: false,
            config: Arc::clone(&self.config),
            host: Arc::clone(&self.host),
        }
    }

    /// How long the activation itself took, without the way to its thread and back.
    pub async fn activate(&self) -> Duration {
        let activated = self.prepared.activate(self.activation()).await;
        assert!(matches!(activated.verdict, Verdict::Outcome { .. }), "{activated:?}");
        activated.usage.wall
    }

    pub async fn activate_many(&self) {
        let mut running = JoinSet::new();
        for _ in 0..A_ROUND {
            if running.len() == IN_FLIGHT {
                running.join_next().await;
            }
            let (prepared, activation) = (Arc::clone(&self.prepared), self.activation());
            running.spawn(async move { prepared.activate(activation).await });
        }
        running.join_all().await;
    }
}
