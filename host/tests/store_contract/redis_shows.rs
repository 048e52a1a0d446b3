//! The familiar keys must say what the store says, after every step.

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;
use serde_json::Value;
use warren::domain::work_item::{ItemRecord, ItemState, Priority, TaskType};

use super::{
    model::seen::{Seen, difference},
    redis::PREFIX,
};

/// What an operator of old sees.
#[derive(Debug, PartialEq)]
struct Familiar {
    /// The ids of the items in each list, sorted: what is put back stands at the other end than what is new.
    queues: [Vec<String>; 3],
    active: BTreeMap<String, String>,
    failures: BTreeMap<String, String>,
    backoff: BTreeMap<String, String>,
}

/// Far in the future: what `work:backoff` says of an agent that is forced open.
const FORCED: i64 = 4_102_444_800;

pub async fn agree(mut connection: MultiplexedConnection, seen: &Seen) -> Result<(), String> {
    let mut asked = redis::pipe();
    for priority in Priority::ALL {
        asked
            .cmd("LRANGE")
            .arg(format!("{PREFIX}work:queue:{priority}"))
            .arg(0)
            .arg(-1);
    }
    for hash in ["active", "failures", "backoff"] {
        asked.cmd("HGETALL").arg(format!("{PREFIX}work:{hash}"));
    }
    type List = Vec<String>;
    type Hash = BTreeMap<String, String>;
    let (high, normal, low, active, failures, backoff): (List, List, List, Hash, Hash, Hash) =
        asked.query_async(&mut connection).await.unwrap();
    let found = Familiar {
        queues: [ids(high)?, ids(normal)?, ids(low)?],
        active,
        failures,
        backoff,
    };
    let expected = expected(seen);
    if found == expected {
        return Ok(());
    }
    Err(difference(&expected, &found))
}

fn ids(entries: Vec<String>) -> Result<Vec<String>, String> {
    let id = |entry: String| match serde_json::from_str::<Value>(&entry) {
        Ok(item) => item["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or(format!("{entry} has no id")),
        Err(error) => Err(format!("{entry} is no JSON: {error}")),
    };
    let mut ids: Vec<String> = entries.into_iter().map(id).collect::<Result<_, _>>()?;
    ids.sort();
    Ok(ids)
}

fn expected(seen: &Seen) -> Familiar {
    let queue = |priority: &Priority| {
        let shows = |item: &&ItemRecord| {
            item.state == ItemState::Queued
                && item.item.priority == *priority
                && item.item.task_type != TaskType::Direct
        };
        let mut ids: Vec<_> = seen
            .items
            .iter()
            .filter(shows)
            .map(|item| item.item.id.to_string())
            .collect();
        ids.sort();
        ids
    };
    let agents = || seen.agents.iter().map(|(id, agent)| (id.to_string(), agent));
    Familiar {
        queues: [Priority::High, Priority::Normal, Priority::Low].each_ref().map(queue),
        active: (seen.items.iter())
            .filter_map(|item| Some((item.item.agent_id.to_string(), item.host.as_ref()?.to_string())))
            .collect(),
        failures: agents()
            .filter(|(_, agent)| agent.failures > 0)
            .map(|(id, agent)| (id, agent.failures.to_string()))
            .collect(),
        backoff: agents()
            .filter_map(|(id, agent)| {
                let seconds = agent.shut()?.map_or(FORCED, |until| (until.0 + 999).div_euclid(1000));
                Some((id, seconds.to_string()))
            })
            .collect(),
    }
}
