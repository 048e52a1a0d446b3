//! A generation of a plugin, compiled and linked once: any number of activations start from it.
//!
//! A component's imports are resolved when it is linked, so there is one `InstancePre` for all sets of capabilities: it
//! holds what the component imports and nothing else, and an activation whose capabilities don't cover that is refused.
//! The Hub's two, which one interface needs, are told apart at each call.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::{
    Engine, Result,
    component::{Component, HasSelf, Linker},
};

use super::{
    Shared, activation,
    bindings::{
        AgentPre,
        warren::agent::{hub, metrics, types},
        wasi::{config, keyvalue, logging},
    },
    facts,
    guest::Guest,
    pool, workspace,
};
use crate::{
    domain::{
        capability::{Capability, CapabilitySet},
        ending::Reason,
    },
    ports::sandbox::{Activated, Activation, ComponentFacts, Making, Prepared, Usage, Verdict},
};

pub struct WasmPrepared {
    facts: ComponentFacts,
    making: Making,
    agent: AgentPre<Guest>,
    shared: Arc<Shared>,
}

impl WasmPrepared {
    /// Link a component. The error is the component's: an export or a type that is not the world's.
    pub fn link(
        facts: ComponentFacts,
        component: &Component,
        made: Making,
        shared: Arc<Shared>,
    ) -> Result<WasmPrepared> {
        let began = Instant::now();
        let linker = linker(&shared.engine, &facts.needs)?;
        let agent = AgentPre::new(linker.instantiate_pre(component)?)?;
        Ok(WasmPrepared {
            facts,
            making: Making {
                linked: began.elapsed(),
                ..made
            },
            agent,
            shared,
        })
    }
}

/// Unmapping code and the images of memories takes too long for whoever happens to let go of them last.
impl Drop for WasmPrepared {
    fn drop(&mut self) {
        let last = self.agent.clone();
        self.shared.guests.spawn_blocking(move || drop(last));
    }
}

/// The inert baseline, and what the needed capabilities stand for.
fn linker(engine: &Engine, needs: &CapabilitySet) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    workspace::add_to_linker(&mut linker)?;
    types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    for capability in needs.iter() {
        match capability {
            Capability::HubRead | Capability::HubWrite => {
                hub::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?
            }
            Capability::KeyValue => keyvalue::store::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?,
            Capability::Config => config::store::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?,
            Capability::Logging => logging::logging::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?,
            Capability::Metrics => metrics::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?,
            // Files are always linked; an activation that is not granted any finds none.
            Capability::WorkspaceRead | Capability::WorkspaceWrite => {}
        }
    }
    Ok(linker)
}

#[async_trait]
impl Prepared for WasmPrepared {
    fn facts(&self) -> &ComponentFacts {
        &self.facts
    }

    fn making(&self) -> Making {
        self.making
    }

    fn missing(&self, capabilities: &CapabilitySet) -> CapabilitySet {
        facts::missing(&self.facts.needs, capabilities)
    }

    async fn activate(&self, activation: Activation) -> Activated {
        let missing = self.missing(&activation.capabilities);
        if !missing.is_empty() {
            return stopped(
                Reason::PluginUnavailable,
                format!("the plugin imports what the agent is not granted: {missing}"),
            );
        }
        let Ok(place) = Arc::clone(&self.shared.places).acquire_owned().await else {
            return stopped(Reason::HostFault, "the sandbox is closed".to_owned());
        };
        self.shared.compiler.beside_activations();
        let guests = &self.shared.guests;
        // Where the activation's host calls run: the asker's runtime.
        let io = Handle::try_current().unwrap_or_else(|_| guests.clone());
        let limits = pool::within(&activation.limits, &self.shared.maxima);
        let workspaces = self.shared.workspaces.clone();
        let activation = Activation { limits, ..activation };
        let work = activation::run(self.agent.clone(), activation, workspaces, io, place);
        match AbortOnDropHandle::new(guests.spawn(work)).await {
            Ok(activated) => activated,
            Err(error) => stopped(Reason::HostFault, format!("the activation's task failed: {error}")),
        }
    }
}

fn stopped(reason: Reason, detail: String) -> Activated {
    Activated {
        verdict: Verdict::Stopped { reason, detail },
        usage: Usage::default(),
        upstream_seen: false,
    }
}
