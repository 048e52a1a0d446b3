//! The leader's lease: the key that everybody sees, and a record of ours beside it with the term.

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{
    RedisStore,
    items::millis,
    reply::Reply,
    signals::{Signal, told},
};
use crate::{
    domain::{
        ids::{HostName, Term},
        time::UnixMillis,
    },
    ports::{
        leadership::{Acquired, Bid, Inherited, Leader, Leadership},
        store::StoreError,
        work_queue::Fence,
    },
};

/// What is left of an answer: the leader. Another system's word has no host of ours: it is shown as the host.
fn leader(mut reply: Reply) -> Result<Leader, StoreError> {
    let (holder, host) = (reply.text()?, reply.text()?);
    let shown = match host.as_str() {
        "" => holder.chars().filter(|c| !c.is_control()).take(64).collect(),
        _ => host,
    };
    Ok(Leader {
        host: HostName::new(shown)
            .or_else(|_| HostName::new("unknown"))
            .map_err(|error| StoreError::Corrupt(error.to_string()))?,
        holder,
        term: Term(reply.count()?),
        address: reply.text()?,
        since: UnixMillis(reply.number()?),
        remaining: Duration::from_millis(reply.count()?),
    })
}

fn checksum(body: &str) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl RedisStore {
    /// How long until the lease can be free for everybody, as far as is known, and who leads.
    async fn seen(&self) -> Result<(Duration, Option<Leader>), StoreError> {
        let mut reply = Reply::new(self.calls.script(&self.calls.scripts.leader_show).run().await?)?;
        let left = Duration::from_millis(reply.count()?);
        Ok((left, if reply.len() == 0 { None } else { Some(leader(reply)?) }))
    }
}

#[async_trait]
impl Leadership for RedisStore {
    async fn acquire(&self, bid: &Bid) -> Result<Acquired, StoreError> {
        let call = self.calls.script(&self.calls.scripts.leader_acquire);
        let call = call
            .arg(bid.holder.to_string())
            .arg(bid.holder.host.as_str())
            .arg(&bid.address)
            .arg(millis(bid.ttl));
        let mut reply = Reply::new(call.run().await?)?;
        Ok(match reply.text()?.as_str() {
            "won" => Acquired::Won(Term(reply.count()?)),
            _ if reply.len() == 0 => Acquired::Held(None),
            _ => Acquired::Held(Some(leader(reply)?)),
        })
    }

    async fn renew(&self, fence: &Fence, ttl: Duration) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.leader_renew);
        call.fenced(fence).arg(millis(ttl)).run().await?;
        Ok(())
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.calls
            .script(&self.calls.scripts.leader_release)
            .fenced(fence)
            .run()
            .await?;
        Ok(())
    }

    async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        Ok(self.seen().await?.1)
    }

    async fn wait_for_vacancy(&self, at_most: Duration) {
        // Listen first, look second.
        let mut signals = self.signals.listen().await;
        // A store that doesn't answer is asked again by the bid, after the full wait.
        let left = self.seen().await.map_or(at_most, |(left, _)| left);
        told(&mut signals, left.min(at_most), |signal| signal == Signal::Vacant).await;
    }

    async fn reserve(&self, fence: &Fence, host: &HostName, span: Duration) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.leader_reserve);
        call.fenced(fence).arg(host.as_str()).arg(millis(span)).run().await?;
        Ok(())
    }

    async fn save_state(&self, fence: &Fence, body: &str) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.leader_save);
        call.fenced(fence).arg(body).arg(checksum(body)).run().await?;
        Ok(())
    }

    async fn load_state(&self) -> Result<Inherited, StoreError> {
        let mut command = redis::cmd("HMGET");
        let key = self.calls.keys.of("leader");
        command.arg(key).arg(&["state", "state_term", "state_sha256"]);
        let kept: (Option<Vec<u8>>, Option<String>, Option<String>) = self.calls.command(&command).await?;
        let (Some(bytes), term, expected) = kept else {
            return Ok(Inherited::Nothing);
        };
        // Bytes that are no text match no checksum either.
        let body = String::from_utf8_lossy(&bytes).into_owned();
        let (found, expected) = (checksum(&body), expected.unwrap_or_default());
        let term = term.and_then(|term| term.parse().ok()).unwrap_or(0);
        Ok(if found == expected {
            Inherited::State { term: Term(term), body }
        } else {
            Inherited::Damaged {
                detail: format!("its SHA-256 is {found}, but {expected} was kept with it (term {term})"),
            }
        })
    }
}
