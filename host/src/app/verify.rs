//! Scopes: a store beside the cluster's own, in which a verification may let agents fail and pile up load.
//!
//! `warren verify --disruptive` asks every live host to join one scope. Each opens the same scoped store (in Redis other
//! keys, in SQLite another file) and runs a real dispatch over it: claims, leases, sweeps, breaker and sandbox are those of
//! every day. Only the Hub is none, the agents are made up, and what ran is written down. A scope belongs to whoever calls
//! it: after [`IDLE`] without a call, because the command was killed, each host leaves it and destroys it.

mod breaker;
mod no_hub;
mod place;
mod probe;
mod runs;
mod scope;

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{sync::Mutex, time};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use self::scope::{Scope, Shared};
pub use self::{place::Place, probe::MOST_AGENTS};
use super::api::types::{BreakerExercise, LeftScope, LoadAnswer, ProbeItem, QueueView, VerifyFacts};
use crate::{
    domain::{
        ids::{HostName, InvalidName},
        lease::LeaseTerms,
        limits::Limits,
    },
    ports::{clock::Clock, sandbox::Sandbox, store::StoreError},
};

/// How long a scope is kept without a call.
pub const IDLE: Duration = Duration::from_secs(120);

/// Items that one call may bring.
pub const MOST_ITEMS: usize = 200;

/// How often it is looked whether a scope has been forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What scopes are made of on this host.
pub struct Wiring {
    pub host: HostName,
    /// Whether this host runs items at all.
    pub runner: bool,
    pub place: Place,
    /// The host's own: a scope's activations take places in the same pool.
    pub sandbox: Arc<dyn Sandbox>,
    pub clock: Arc<dyn Clock>,
    /// Of items, as in the cluster's own store.
    pub lease: LeaseTerms,
    pub call_timeout: Duration,
    pub limits: Limits,
    pub max_limits: Limits,
}

/// A scope's name: made by whoever verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopeId(Uuid);

impl ScopeId {
    pub fn fresh() -> ScopeId {
        ScopeId(Uuid::new_v4())
    }

    pub fn parse(text: &str) -> Result<ScopeId, InvalidName> {
        Uuid::try_parse(text).map(ScopeId).map_err(|_| InvalidName::Uuid {
            kind: "scope",
            value: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Error)]
pub enum VerifyError {
    /// This host is in another one.
    #[error(
        "this host is in scope {0} of another verification: wait for its end, at most {wait} s after its last call",
        wait = IDLE.as_secs()
    )]
    Busy(ScopeId),
    #[error("this host is not in scope {0}: join it first; without a call it ends after {wait} s", wait = IDLE.as_secs())]
    NotJoined(ScopeId),
    #[error("this host runs no items: it lacks the role runner")]
    NoRunner,
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something did not come in time, or can't be.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// The scopes of one host, of which it is in one at most.
pub struct Verification {
    wiring: Wiring,
    current: Mutex<Option<Scope>>,
}

impl Verification {
    pub fn new(wiring: Wiring) -> Verification {
        Verification {
            wiring,
            current: Mutex::default(),
        }
    }

    /// What a person needs to look by hand.
    pub async fn facts(&self) -> VerifyFacts {
        VerifyFacts {
            host: self.wiring.host.to_string(),
            redis_cli: self.wiring.place.redis_cli(),
            key_prefix: self.wiring.place.key_prefix().to_owned(),
            scope: self.current.lock().await.as_ref().map(|scope| scope.id.to_string()),
        }
    }

    /// Open the scoped store and run what is in it. A repeat is fine. What the scope is called where it is kept.
    pub async fn join(&self, id: ScopeId) -> Result<String, VerifyError> {
        let mut current = self.current.lock().await;
        match &mut *current {
            Some(scope) if scope.id == id => {
                scope.touch();
                return Ok(self.wiring.place.name_of(id));
            }
            Some(scope) => return Err(VerifyError::Busy(scope.id)),
            None if !self.wiring.runner => return Err(VerifyError::NoRunner),
            None => {}
        }
        *current = Some(Scope::open(id, &self.wiring).await?);
        info!(scope = %id, "joined a scope of a verification");
        Ok(self.wiring.place.name_of(id))
    }

    /// Enqueue these; those that the answer names are in the queue. A repeat is answered the same.
    pub async fn load(&self, id: ScopeId, items: &[ProbeItem]) -> Result<LoadAnswer, VerifyError> {
        if items.len() > MOST_ITEMS {
            let message = format!(
                "{} items are too many for one call: {MOST_ITEMS} are allowed",
                items.len()
            );
            return Err(VerifyError::Invalid(message));
        }
        let items = items.iter().map(probe::item).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(VerifyError::Invalid)?;
        self.shared(id).await?.load(items).await
    }

    /// How much is where in the scope.
    pub async fn state(&self, id: ScopeId) -> Result<QueueView, VerifyError> {
        self.shared(id).await?.stats().await
    }

    /// Let a probe agent fail until its breaker opens, and recover. Takes some seconds.
    pub async fn breaker(&self, id: ScopeId) -> Result<BreakerExercise, VerifyError> {
        let shared = self.shared(id).await?;
        breaker::exercise(&shared).await
    }

    /// Stop running what is in the scope; what ran on this host.
    pub async fn leave(&self, id: ScopeId) -> Result<LeftScope, VerifyError> {
        let mut current = self.current.lock().await;
        match current.take() {
            Some(scope) if scope.id == id => {
                let (left, store) = scope.end().await;
                store.close().await;
                info!(scope = %id, runs = left.runs.len(), "left a scope");
                Ok(left)
            }
            other => {
                *current = other;
                Err(VerifyError::NotJoined(id))
            }
        }
    }

    /// Destroy what is left of a scope, whether or not this host is in it. How many keys or files of it are still there:
    /// other hosts that are in it may make some anew.
    pub async fn destroy(&self, id: ScopeId) -> Result<u64, VerifyError> {
        let mut current = self.current.lock().await;
        let store = match current.take() {
            Some(scope) if scope.id == id => Some(scope.end().await.1),
            other => {
                *current = other;
                None
            }
        };
        Ok(self.wiring.place.destroy(id, store, &self.wiring).await?)
    }

    /// Destroy a scope that has been forgotten; at the host's end, the one that it is in: without this host its
    /// verification has failed, and nobody else may be there to clean up.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = time::sleep(LOOK_EVERY) => {}
            }
            let mut current = self.current.lock().await;
            if let Some(forgotten) = current.take_if(|scope| scope.is_forgotten()) {
                warn!(scope = %forgotten.id, "nobody has called for {IDLE:?}: the scope is destroyed");
                self.end(forgotten).await;
            }
        }
        if let Some(scope) = self.current.lock().await.take() {
            self.end(scope).await;
        }
        Ok(())
    }

    async fn end(&self, scope: Scope) {
        let id = scope.id;
        let store = scope.end().await.1;
        if let Err(error) = self.wiring.place.destroy(id, Some(store), &self.wiring).await {
            let name = self.wiring.place.name_of(id);
            warn!(scope = %id, error = format!("{error:#}"), "can't destroy a scope; delete {name} by hand");
        }
    }

    async fn shared(&self, id: ScopeId) -> Result<Arc<Shared>, VerifyError> {
        match &mut *self.current.lock().await {
            Some(scope) if scope.id == id => {
                scope.touch();
                Ok(Arc::clone(&scope.shared))
            }
            _ => Err(VerifyError::NotJoined(id)),
        }
    }
}
