//! The registry of hosts: one hash, a field per process.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;

use super::{RedisStore, items::millis, reply::Reply};
use crate::{
    domain::{ids::HolderId, time::UnixMillis},
    ports::{
        hosts::{ForeignRunners, Hosts, MOST_HOSTS, Presence, REMEMBERED, SeenHost},
        store::StoreError,
    },
};

/// What stands in front of the name of a process that has left.
const LEFT: &str = "left:";
/// Keys that one step of a look passes over: well under a millisecond of Redis's time.
const KEYS_A_STEP: usize = 1_000;
/// Steps of a look: a keyspace of up to 20,000 keys is seen whole, one of a million in fifty looks.
const STEPS: usize = 20;
/// Runners of one look, and characters of each one's name.
const MOST_RUNNERS: usize = 100;
const NAME: usize = 64;

/// What is kept of a host, as the script `host_beat` writes it. What can't be read is shown with all that is there.
fn seen(holder: String, kept: String, now: UnixMillis) -> SeenHost {
    let holder = holder.strip_prefix(LEFT).map(str::to_owned).unwrap_or(holder);
    let parts = || {
        let mut parts = kept.splitn(4, ' ');
        let (word, at, span) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let ago = now.since(UnixMillis(at));
        let presence = match word {
            "b" if ago < Duration::from_millis(span) => Presence::Beating,
            "b" => Presence::Silent,
            "l" => Presence::Left,
            _ => return None,
        };
        Some((presence, ago, parts.next()?.to_owned()))
    };
    let (presence, ago, body) = parts().unwrap_or_else(|| (Presence::Silent, Duration::ZERO, kept.clone()));
    SeenHost {
        holder,
        presence,
        ago,
        body,
    }
}

/// A pattern that matches keys which begin so, whatever signs are in it.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "*"
}

#[async_trait]
impl Hosts for RedisStore {
    async fn beat(&self, host: &HolderId, body: &str, ttl: Duration) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.host_beat);
        call.arg(host.to_string())
            .arg(millis(ttl))
            .arg(body)
            .arg(millis(REMEMBERED))
            .arg(MOST_HOSTS)
            .run()
            .await?;
        Ok(())
    }

    async fn leave(&self, host: &HolderId) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.host_leave);
        call.arg(host.to_string()).run().await?;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<SeenHost>, StoreError> {
        let mut reply = Reply::new(self.calls.script(&self.calls.scripts.host_list).run().await?)?;
        let now = UnixMillis(reply.number()?);
        let mut hosts = Vec::new();
        while reply.len() > 0 {
            let host = seen(reply.text()?, reply.text()?, now);
            if host.ago <= REMEMBERED {
                hosts.push(host);
            }
        }
        hosts.sort_by(|a, b| a.holder.cmp(&b.holder));
        hosts.truncate(MOST_HOSTS);
        Ok(hosts)
    }

    async fn foreign_runners(&self, from: &str) -> Result<ForeignRunners, StoreError> {
        let prefix = self.calls.keys.heartbeat_of("");
        let (mut ids, mut cursor) = (BTreeSet::new(), if from.is_empty() { "0" } else { from }.to_owned());
        for _ in 0..STEPS {
            let mut command = redis::cmd("SCAN");
            command.arg(&cursor).arg("MATCH").arg(pattern(&prefix));
            command.arg("COUNT").arg(KEYS_A_STEP);
            let (next, keys): (String, Vec<Vec<u8>>) = self.calls.command(&command).await?;
            cursor = next;
            for key in keys {
                let key = String::from_utf8_lossy(&key);
                let id = key.strip_prefix(&prefix).unwrap_or_default();
                ids.insert(id.chars().filter(|c| !c.is_control()).take(NAME).collect::<String>());
            }
            if cursor == "0" {
                cursor.clear();
                break;
            }
        }
        Ok(ForeignRunners {
            ids: ids.into_iter().filter(|id| !id.is_empty()).take(MOST_RUNNERS).collect(),
            next: cursor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_by_hand_is_shown_as_it_is() {
        for odd in ["", "b", "b x 1 {}", "z 1 2 {}", "{\"a\":1}"] {
            let host = seen("h".to_owned(), odd.to_owned(), UnixMillis(10));
            assert_eq!((host.presence, host.body.as_str()), (Presence::Silent, odd));
        }
        let host = seen("h".to_owned(), "b 5 6 {\"a b\": 1}".to_owned(), UnixMillis(10));
        assert_eq!((host.presence, host.ago), (Presence::Beating, Duration::from_millis(5)));
        assert_eq!(host.body, "{\"a b\": 1}");
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(pattern("a*[b]{c}:"), "a\\*\\[b\\]{c}:*");
    }
}
