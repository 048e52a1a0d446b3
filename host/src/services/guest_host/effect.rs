//! One effect, from the intent to the record of its result: it happens once, and nobody else takes it for what it is not.

use std::{sync::Arc, time::Duration};

use tokio::time;
use tracing::{debug, warn};

use super::{
    GuestServices, hub_refusal, refused,
    written::{Recorded, idempotency_key},
};
use crate::{
    domain::effect::EffectKey,
    ports::{
        effects::{EffectIntent, EffectStart},
        guest::Refusal,
        hub::HubError,
        store::StoreError,
    },
    services::claims::HeldClaim,
};

/// One effect, from the intent to the record of its result.
pub(super) struct Effect {
    pub services: GuestServices,
    pub claim: Arc<HeldClaim>,
    pub intent: EffectIntent,
    /// This activation has tried it before and does not know what came of it.
    pub tried: bool,
}

/// How trying an effect ended.
pub(super) enum Tried {
    /// Now, or in an earlier activation.
    Happened,
    DidNotHappen,
    Unknown,
}

impl Effect {
    /// Do it unless it has been done. `write` gets the idempotency key and whether an earlier try's outcome is unknown.
    pub async fn once<T, W>(self, write: impl FnOnce(String, bool) -> W) -> (Tried, Result<T, Refusal>)
    where
        T: Recorded,
        W: Future<Output = Result<T, HubError>>,
    {
        let Effect {
            services,
            claim,
            intent,
            tried,
        } = self;
        let unsure = match services.effects.begin(&intent).await {
            Ok(EffectStart::Fresh) => tried,
            Ok(EffectStart::Unknown) => true,
            Ok(EffectStart::Done { result }) => {
                debug!(effect = %intent.key, "already done; answering with the first result");
                return (Tried::Happened, T::from_record(&result).map_err(Refusal::Upstream));
            }
            Ok(EffectStart::LimitReached { limit }) => return (Tried::DidNotHappen, Err(Refusal::LimitReached(limit))),
            Err(error) => return (Tried::DidNotHappen, Err(refused(error))),
        };
        if let Err(lost) = claim.check() {
            // Begun and certainly not sent: forgotten, unless an earlier try of it may have been.
            if !unsure {
                abandon(&services, &intent).await;
            }
            return (Tried::DidNotHappen, Err(Refusal::ClaimLost(lost.to_string())));
        }
        let honoured = known_honoured(&services, unsure).await;
        let (tried, answer) = match write(idempotency_key(&intent.key), unsure).await {
            Ok(done) => {
                record(&services, &intent.key, &done.to_record()).await;
                (Tried::Happened, Ok(done))
            }
            Err(error) => {
                // Only what certainly did not happen is forgotten; an earlier try of unknown outcome stays unknown.
                let unknown = unsure || matches!(error, HubError::Ambiguous(_) | HubError::Malformed(_));
                if !unknown {
                    abandon(&services, &intent).await;
                }
                let tried = if unknown { Tried::Unknown } else { Tried::DidNotHappen };
                (tried, Err(hub_refusal(error)))
            }
        };
        note_keys(&services, honoured).await;
        (tried, answer)
    }
}

/// Whether the Hub is known to honour keys. Before an effect of unknown outcome the store is asked, too: this process may
/// never have written to the Hub, but others have.
async fn known_honoured(services: &GuestServices, unsure: bool) -> bool {
    let known = services.hub.honours_keys();
    if known || !unsure {
        return known;
    }
    match services.effects.keys_honoured(services.hub.address()).await {
        Ok(noted) => {
            if noted {
                services.hub.believe_honours_keys();
            }
            noted
        }
        Err(error) => {
            warn!(%error, "could not find out whether the Hub honours idempotency keys");
            false
        }
    }
}

/// Tell the others if an answer has just shown whether the Hub honours keys.
async fn note_keys(services: &GuestServices, before: bool) {
    let honoured = services.hub.honours_keys();
    if honoured != before
        && let Err(error) = services.effects.note_keys(services.hub.address(), honoured).await
    {
        warn!(%error, "could not note whether the Hub honours idempotency keys");
    }
}

/// How often the record of an effect that happened is tried: without it the effect counts as unknown.
const RECORD_TRIES: u32 = 6;

/// Before the second try; each pause doubles the one before, so that all of them last some three seconds.
const RECORD_AGAIN: Duration = Duration::from_millis(100);

async fn record(services: &GuestServices, key: &EffectKey, result: &str) {
    let mut pause = RECORD_AGAIN;
    for attempt in 1..=RECORD_TRIES {
        match services.effects.finish(key, result).await {
            Ok(()) => return,
            Err(error @ StoreError::Unavailable(_)) if attempt < RECORD_TRIES => {
                debug!(effect = %key, %error, attempt, "could not record an effect yet");
                time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => {
                warn!(effect = %key, %error, "could not record an effect that happened; a repeat will ask the Hub again");
                return;
            }
        }
    }
}

async fn abandon(services: &GuestServices, intent: &EffectIntent) {
    if let Err(error) = services.effects.abandon(intent).await {
        warn!(effect = %intent.key, %error, "could not forget an effect that did not happen; it stays counted");
    }
}
