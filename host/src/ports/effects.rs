//! Effects happen once, and only as often as the agent may.

use async_trait::async_trait;

use super::store::StoreError;
use crate::domain::{
    agent::BehaviorLimits,
    effect::{EffectKey, EffectKind},
    ids::{AgentId, ClaimToken, ItemId},
};

/// An effect about to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectIntent {
    pub key: EffectKey,
    pub kind: EffectKind,
    pub item: ItemId,
    pub token: ClaimToken,
    pub agent: AgentId,
    /// The post that a comment is written under.
    pub thread: Option<String>,
    pub limits: BehaviorLimits,
}

/// Whether to go ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectStart {
    /// Nobody has tried it: counted against the limits, go ahead.
    Fresh,
    /// It was started before and nothing is known of how that ended. Counted then, not again.
    Unknown,
    /// It happened: here is its first result.
    Done { result: String },
    /// It would be over a limit, which these words name. Nothing was counted.
    LimitReached { limit: String },
}

#[async_trait]
pub trait Effects: Send + Sync {
    /// Record that an effect is about to happen. `StaleClaim` if the claim is not held with the token.
    async fn begin(&self, intent: &EffectIntent) -> Result<EffectStart, StoreError>;

    /// Record what came of it. Accepted also when the claim has been lost meanwhile: it *did* happen.
    async fn finish(&self, key: &EffectKey, result: &str) -> Result<(), StoreError>;

    /// Record that it certainly did not happen: it is forgotten and its count given back.
    async fn abandon(&self, intent: &EffectIntent) -> Result<(), StoreError>;

    /// Remember whether the Hub at `address` honours idempotency keys: whoever comes upon an effect of unknown outcome
    /// needs it, and can't find out without writing.
    async fn note_keys(&self, address: &str, honoured: bool) -> Result<(), StoreError>;

    /// What was last noted; false if nothing was.
    async fn keys_honoured(&self, address: &str) -> Result<bool, StoreError>;
}
