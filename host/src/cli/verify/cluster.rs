//! The live hosts of a cluster, and what they say at one moment.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time;

use super::metrics::Metrics;
use crate::{
    app::api::types::{HostList, HostView, QueueStatsView, StatusView, VerifyFacts},
    cli::{
        client::Client,
        exit::{Exit, Failure},
    },
};

const IS_LEADER: &str = "botburrow_coordinator_is_leader";

pub struct Cluster {
    /// The host that the command was told to ask.
    pub asked: Client,
    pub facts: VerifyFacts,
    pub store: String,
    pub members: Vec<Member>,
    /// Those that don't live.
    pub others: Vec<HostView>,
}

/// A live host.
#[derive(Clone)]
pub struct Member {
    pub view: HostView,
    pub client: Client,
}

impl Member {
    pub fn name(&self) -> &str {
        &self.view.name
    }

    pub fn has(&self, role: &str) -> bool {
        self.view.roles.iter().any(|known| known == role)
    }
}

/// Who leads, as the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leads {
    pub host: String,
    pub term: u64,
}

/// What all say at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Or why that can't be asked.
    pub leader: Result<Option<Leads>, String>,
    pub scrapes: Vec<Scrape>,
}

#[derive(Clone, Debug)]
pub struct Scrape {
    pub host: String,
    pub metrics: Result<Metrics, String>,
}

impl Scrape {
    /// Whether the host says that it leads.
    pub fn leads(&self) -> bool {
        let gauge = self.metrics.as_ref().ok().and_then(|metrics| metrics.value(IS_LEADER));
        gauge == Some(1.0)
    }
}

impl Cluster {
    pub async fn find(asked: &Client) -> Result<Cluster, Failure> {
        let list: HostList = asked.get(&["hosts"], Duration::ZERO).await?;
        let facts = asked.get(&["verify"], Duration::ZERO).await?;
        let status: StatusView = asked.get(&["status"], Duration::ZERO).await?;
        let (live, others): (Vec<_>, Vec<_>) = list.hosts.into_iter().partition(|host| host.state == "live");
        let members: Vec<Member> = live
            .into_iter()
            .map(|view| {
                let client = asked.at(&view.address).map_err(|failure| {
                    let message = format!("host {} advertises a wrong address: {}", view.name, failure.message);
                    Failure::new(Exit::Failed, message)
                })?;
                Ok(Member { view, client })
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Cluster {
            asked: asked.clone(),
            facts,
            store: status.store.description,
            members,
            others,
        })
    }

    pub fn coordinators(&self) -> usize {
        self.members.iter().filter(|member| member.has("coordinator")).count()
    }

    pub async fn sample(&self) -> Sample {
        let leader = leads(&self.asked).await.map_err(|failure| failure.message);
        let scrapes = join_all(self.members.iter().map(|member| async {
            let text = member.client.metrics().await;
            Scrape {
                host: member.name().to_owned(),
                metrics: text
                    .map(|text| Metrics::parse(&text))
                    .map_err(|failure| failure.message),
            }
        }));
        Sample {
            leader,
            scrapes: scrapes.await,
        }
    }

    /// So many samples, so far apart.
    pub async fn samples(&self, count: usize, every: Duration) -> Vec<Sample> {
        let mut samples = Vec::new();
        for n in 0..count {
            if n > 0 {
                time::sleep(every).await;
            }
            samples.push(self.sample().await);
        }
        samples
    }

    /// Sample until something is as it should be, or for so long; the last sample, and what was found in it.
    pub async fn until<T>(&self, within: Duration, mut found: impl FnMut(&Sample) -> Option<T>) -> (Sample, Option<T>) {
        let deadline = Instant::now() + within;
        loop {
            let sample = self.sample().await;
            let seen = found(&sample);
            if seen.is_some() || Instant::now() > deadline {
                return (sample, seen);
            }
            time::sleep(LOOK_EVERY).await;
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who leads, asked of one host.
pub async fn leads(client: &Client) -> Result<Option<Leads>, Failure> {
    let status: StatusView = client.get(&["status"], Duration::ZERO).await?;
    Ok(status.leader.map(|leader| Leads {
        host: leader.host,
        term: leader.term,
    }))
}

/// Ready items per priority, as the store counts them.
pub async fn depths(client: &Client) -> Result<Vec<(String, u64)>, Failure> {
    let stats: QueueStatsView = client.get(&["queue"], Duration::ZERO).await?;
    let rows = stats.priorities.into_iter();
    Ok(rows.map(|row| (row.priority, row.ready)).collect())
}
