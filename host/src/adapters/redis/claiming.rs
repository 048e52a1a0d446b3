//! Claiming: what is ready, what another system has pushed, and what it has left behind.

use super::{
    RedisStore,
    items::{Known, from_json, item_id, millis},
    reply::{Reply, number},
};
use crate::{
    domain::ids::{AgentId, ClaimToken, ItemId},
    ports::{
        store::StoreError,
        work_queue::{ClaimRequest, Claimed},
    },
};

/// Entries of other systems that one call adopts.
const ADOPTED_AT_ONCE: usize = 100;
/// Calls in a row, each of which looks at a part of the lists: the next sweep goes on.
const ADOPTIONS: usize = 10;

/// What the claim script has answered.
#[derive(Default)]
struct Claims {
    claimed: Vec<Claimed>,
    more: bool,
    foreign: bool,
}

impl RedisStore {
    /// Claim until there is something, or nothing is ready.
    pub(super) async fn claim_ready(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        if request.tokens.is_empty() {
            return Ok(Vec::new());
        }
        loop {
            let claims = self.claim_some(request).await?;
            // What is claimed is not to be lost over what others have put there: that is seen again by the next call.
            if claims.foreign && claims.claimed.is_empty() {
                self.adopt().await?;
            }
            // Others get their turn between two bounded steps; an empty answer is given only when nothing is ready.
            if !claims.claimed.is_empty() || !(claims.more || claims.foreign) {
                return Ok(claims.claimed);
            }
        }
    }

    async fn claim_some(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let stirred = self.rest.stirred();
        // An idle host that looks again without having been woken: one command is enough for that.
        if self.rest.is_quiet(&self.calls.clock) && self.is_idle().await? {
            self.rest.found_nothing(&self.calls.clock, request.lease, stirred);
            return Ok(Claims::default());
        }
        let call = self
            .calls
            .script(&self.calls.scripts.claim)
            .arg(request.host.as_str())
            .arg(millis(request.lease))
            .arg(request.tokens.len())
            .args(request.tokens.iter().map(ToString::to_string))
            .args(request.avoid.iter().map(AgentId::as_str));
        let mut reply = Reply::new(call.run().await?)?;
        if reply.len() == 0 {
            self.rest.found_nothing(&self.calls.clock, request.lease, stirred);
            return Ok(Claims::default());
        }
        self.rest.stir();
        let mut claims = Claims {
            more: reply.flag()?,
            foreign: reply.flag()?,
            ..Claims::default()
        };
        let mut unreadable = Vec::new();
        while reply.len() > 0 {
            let (id, json, text) = (reply.text()?, reply.text()?, reply.text()?);
            match claimed(&id, &json, &text)? {
                Ok(claim) => claims.claimed.push(claim),
                Err(words) => unreadable.extend(words),
            }
        }
        if !unreadable.is_empty() {
            self.calls
                .script(&self.calls.scripts.bury)
                .args(unreadable)
                .run()
                .await?;
            claims.more = true;
        }
        Ok(claims)
    }

    /// Take what another system has pushed into the queue, and have the lists of old show what is ready.
    pub(super) async fn adopt(&self) -> Result<(), StoreError> {
        for _ in 0..ADOPTIONS {
            let ids = (0..ADOPTED_AT_ONCE).map(|_| ItemId::fresh().to_string());
            let call = self.calls.script(&self.calls.scripts.adopt).args(ids);
            if number(call.run().await?)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Free agents whose entry of `work:active` another system has left behind.
    pub(super) async fn free_from_strangers(&self) -> Result<(), StoreError> {
        let mut strangers = Reply::new(self.calls.script(&self.calls.scripts.strangers).run().await?)?;
        while strangers.len() > 0 {
            let (agent, runner) = (strangers.text()?, strangers.text()?);
            let heartbeat = self.calls.keys.heartbeat_of(&runner);
            let call = self
                .calls
                .script_on(&self.calls.scripts.stranger, Some((heartbeat, "string")));
            call.arg(agent).arg(runner).run().await?;
        }
        Ok(())
    }
}

/// A claim; or item, token and problem of one whose item can't be read.
pub(super) fn claimed(id: &str, json: &str, text: &str) -> Result<Result<Claimed, [String; 3]>, StoreError> {
    let known = Known::of(text)?;
    Ok(match from_json(json, &known.beside(item_id(id)?)) {
        Ok(item) => Ok(Claimed {
            token: ClaimToken::parse(known.token()).map_err(|error| StoreError::Corrupt(error.to_string()))?,
            item,
            probe: known.probe(),
            waited: known.waited(),
        }),
        Err(problem) => Err([id.to_owned(), known.token().to_owned(), problem]),
    })
}
