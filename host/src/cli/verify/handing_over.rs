//! Handing the leadership over, as a third party sees it, and back.

use std::time::{Duration, Instant};

use tokio::time;

use super::{
    cluster::{Cluster, Leads, Sample, leads},
    looking::polls,
};
use crate::{
    app::api::types::{HandoverRequest, HandoverView},
    cli::{client::Client, exit::Failure},
};

/// The old leader joins its work first.
const TAKES: Duration = Duration::from_secs(30);
/// Between two looks at who leads: finer than what is measured, coarser than a call takes.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const GAUGES_WITHIN: Duration = Duration::from_secs(10);
/// The new leader's first long poll takes 30 s if there is nothing new, unless configured otherwise.
const POLLS_WITHIN: Duration = Duration::from_secs(60);

/// One handover. Times are from the request.
#[derive(Clone, Debug)]
pub struct Recovery {
    pub from: Leads,
    pub to: Leads,
    /// As the old leader measured it.
    pub told: Duration,
    /// Until a host that takes no part saw the new term.
    pub seen: Duration,
    /// Until the old leader's gauge was 0 and the new one's 1.
    pub gauges: Option<Duration>,
    /// Until the new leader had finished a poll.
    pub polled: Option<Duration>,
}

pub async fn hand_over(cluster: &Cluster) -> Result<Recovery, String> {
    let before = cluster.sample().await;
    let from = before.leader.clone()?.ok_or("nobody leads, so nobody can hand over")?;
    // Not the leader, which would only tell of itself.
    let watcher = cluster.members.iter().find(|member| member.name() != from.host);
    let watcher = &watcher.ok_or("there is no host to watch the handover")?.client;
    let began = Instant::now();
    let (told, seen) = tokio::join!(
        ask(watcher, None),
        time::timeout(TAKES, watch(watcher, from.term, began))
    );
    let told = told.map_err(|failure| format!("the handover failed: {}", failure.message))?;
    let (to, seen) = seen.map_err(|_| format!("no other host saw a term above {} within {TAKES:?}", from.term))?;
    let gauges = cluster.until(GAUGES_WITHIN, |sample| {
        swapped(sample, &from, &to).then(|| began.elapsed())
    });
    let gauges = gauges.await.1;
    let polled = cluster.until(POLLS_WITHIN, |sample| {
        (polls_of(sample, &to.host) > polls_of(&before, &to.host)).then(|| began.elapsed())
    });
    Ok(Recovery {
        polled: polled.await.1,
        from,
        to,
        told: Duration::from_secs_f64(told.took_seconds.max(0.0)),
        seen,
        gauges,
    })
}

/// Give the leadership back to who had it; where it is then.
pub async fn back(cluster: &Cluster, to: Option<&str>) -> Result<String, String> {
    let Some(to) = to else {
        return Err("nobody led before".to_owned());
    };
    let now = leads(&cluster.asked).await.map_err(|failure| failure.message)?;
    if now.is_some_and(|leader| leader.host == to) {
        return Ok(to.to_owned());
    }
    let handed = ask(&cluster.asked, Some(to)).await;
    match handed.map_err(|failure| failure.message)?.leader.host {
        host if host == to => Ok(host),
        host => Err(format!("{to} did not take the leadership back; {host} leads")),
    }
}

async fn ask(client: &Client, to: Option<&str>) -> Result<HandoverView, Failure> {
    let request = HandoverRequest {
        to: to.map(str::to_owned),
    };
    client.post_for(&["leader", "handover"], &request, TAKES).await
}

async fn watch(client: &Client, above: u64, began: Instant) -> (Leads, Duration) {
    loop {
        // A call that fails is made again: the end of the time tells.
        if let Ok(Some(leader)) = leads(client).await
            && leader.term > above
        {
            return (leader, began.elapsed());
        }
        time::sleep(LOOK_EVERY).await;
    }
}

fn swapped(sample: &Sample, from: &Leads, to: &Leads) -> bool {
    let leads = |host: &str| {
        sample
            .scrapes
            .iter()
            .any(|scrape| scrape.host == host && scrape.leads())
    };
    leads(&to.host) && !leads(&from.host)
}

fn polls_of(sample: &Sample, host: &str) -> f64 {
    let scrape = sample.scrapes.iter().find(|scrape| scrape.host == host);
    let metrics = scrape.and_then(|scrape| scrape.metrics.as_ref().ok());
    metrics.map_or(f64::INFINITY, polls)
}
