//! The leader's lease: the key that everybody sees, and a record of ours beside it with the term.

use std::{cmp::Reverse, time::Duration};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{RedisStore, items::millis, reply::Reply};
use crate::{
    domain::{
        ids::{HolderId, HostName, Term},
        preference::Score,
        time::UnixMillis,
    },
    ports::{
        leadership::{Acquired, Bid, Candidate, Inherited, Leader, Leadership},
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

fn candidate(reply: &mut Reply) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        holder: reply.text()?,
        host: HostName::new(reply.text()?).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        score: Score(i32::try_from(reply.number()?).map_err(|error| StoreError::Corrupt(error.to_string()))?),
    })
}

#[async_trait]
impl Leadership for RedisStore {
    async fn acquire(&self, bid: &Bid) -> Result<Acquired, StoreError> {
        let call = self.calls.script(&self.calls.scripts.leader_acquire);
        let call = call
            .arg(bid.holder.to_string())
            .arg(bid.holder.host.as_str())
            .arg(&bid.address)
            .arg(millis(bid.ttl))
            .arg(bid.score.0)
            .arg(bid.known.0)
            .arg(millis(bid.waits));
        let mut reply = Reply::new(call.run().await?)?;
        Ok(match reply.text()?.as_str() {
            "won" => Acquired::Won(Term(reply.count()?)),
            "wait" => Acquired::Wait(Duration::from_millis(reply.count()?)),
            _ => {
                let leader = leader(reply)?;
                self.rest.beside(leader.is_foreign());
                Acquired::Held(leader)
            }
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
        let reply = Reply::new(self.calls.script(&self.calls.scripts.leader_show).run().await?)?;
        if reply.len() == 0 {
            return Ok(None);
        }
        leader(reply).map(Some)
    }

    fn vacancies(&self) -> watch::Receiver<()> {
        self.signals.vacancies()
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, StoreError> {
        let mut reply = Reply::new(self.calls.script(&self.calls.scripts.leader_candidates).run().await?)?;
        let mut list = Vec::with_capacity(reply.len() / 3);
        while reply.len() > 0 {
            list.push(candidate(&mut reply)?);
        }
        list.sort_by_key(|candidate| Reverse(candidate.score));
        Ok(list)
    }

    async fn withdraw(&self, holder: &HolderId) -> Result<(), StoreError> {
        let mut command = redis::cmd("HDEL");
        command.arg(self.calls.keys.of("candidates")).arg(holder.to_string());
        let _: u64 = self.calls.command(&command).await?;
        Ok(())
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
