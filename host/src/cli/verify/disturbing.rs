//! The checks that disturb: load in a scope while the leadership is handed over, a breaker that is made to open, and
//! everything put back as it was.

use std::time::{Duration, Instant};

use tokio::signal;

use super::{
    by_hand::Hands,
    cluster::Cluster,
    handing_over::{self, Recovery},
    judging,
    probing::{self, Load, Probes},
    report::{Judged, Planned, Row},
};
use crate::{
    app::api::types::BreakerExercise,
    cli::exit::{Exit, Failure},
};

/// In this order they stand in the report.
pub fn plan(hands: &Hands) -> [Planned; 4] {
    let mut recovery = hands.redis("GET", "coordinator:leader");
    recovery.extend(hands.redis("PTTL", "coordinator:leader"));
    recovery.extend([hands.warren("leader handover"), hands.warren("leader show")]);
    let mut breaker = hands.redis("HGETALL", "work:failures");
    breaker.extend(hands.redis("HGETALL", "work:backoff"));
    breaker.push(hands.warren("agent list"));
    let mut duplicates = hands.redis("HGETALL", "work:active");
    duplicates.extend([hands.warren("queue stats"), hands.warren("hosts")]);
    let mut cleaned: Vec<String> = hands.redis("--scan --pattern", "warren:verify:*");
    cleaned.push(hands.warren("leader show"));
    [
        Planned {
            check: "recovery when the leader goes",
            expected: format!(
                "after a handover another host leads in a higher term within {:?}, the old one's gauge is 0, and the new one polls \
                 the Hub",
                judging::HANDED_OVER_WITHIN
            ),
            by_hand: recovery,
        },
        Planned {
            check: "the breaker",
            expected: "a failing agent's breaker stays closed until the threshold, then opens; while it is open further inbox items \
                       are skipped; then one probe runs at a time: a failed one opens it for longer, a good one closes it and \
                       zeroes the failures"
                .to_owned(),
            by_hand: breaker,
        },
        Planned {
            check: "no duplicate processing",
            expected: format!(
                "of {} probes that {} agents get through all runners, the leadership being handed over meanwhile, each runs \
                 to its end exactly once, no agent twice at once, and nothing is left",
                probing::ITEMS,
                probing::AGENTS
            ),
            by_hand: duplicates,
        },
        Planned {
            check: "cleaned up",
            expected: "nothing of the probes is left in the store, and the leadership is where it was".to_owned(),
            by_hand: cleaned,
        },
    ]
}

/// What was seen while the probes ran; nothing where it did not come to it.
#[derive(Default)]
struct Worked {
    recovery: Option<Result<Recovery, String>>,
    load: Load,
    breaker: Option<Result<BreakerExercise, String>>,
}

pub async fn rows(cluster: &Cluster, hands: &Hands) -> Result<Vec<Row>, Failure> {
    let before = cluster.sample().await;
    let mut probes = Probes::join(cluster).await;
    eprintln!("warren: {} hosts run probes in scope {}", probes.joined(), probes.scope);
    // Whatever happens, what was begun is ended.
    let worked = tokio::select! {
        worked = work(cluster, &probes) => Some(worked),
        _ = signal::ctrl_c() => None,
    };
    let runs = probes.leave().await;
    let left = probes.destroy().await;
    let led = before.leader.ok().flatten().map(|leader| leader.host);
    let back = handing_over::back(cluster, led.as_deref()).await;
    let Some(worked) = worked else {
        return Err(Failure::new(
            Exit::Failed,
            format!("interrupted; {}", judging::cleaned(&left, &back).seen),
        ));
    };
    let [recovery, breaker, duplicates, cleaned] = plan(hands);
    Ok(vec![
        recovery.row(match worked.recovery {
            Some(Ok(seen)) => judging::recovery(&seen),
            Some(Err(why)) => Judged::failed(why),
            None => Judged::failed("it was not tried"),
        }),
        breaker.row(match worked.breaker {
            Some(Ok(exercise)) => judging::breaker(&exercise, &runs),
            Some(Err(why)) => Judged::failed(why),
            None => Judged::failed("it was not tried"),
        }),
        duplicates.row(judging::duplicates(&worked.load, &runs)),
        cleaned.row(judging::cleaned(&left, &back)),
    ])
}

async fn work(cluster: &Cluster, probes: &Probes) -> Worked {
    let began = Instant::now();
    let handover = async {
        if cluster.coordinators() < 2 {
            let missing = "only one live host has the role coordinator, so nobody can take over: start a second one";
            return Err(missing.to_owned());
        }
        // Into the load, not before it.
        probes.loaded_some().await;
        eprintln!("warren: handing the leadership over while probes run");
        handing_over::hand_over(cluster).await
    };
    let (recovery, load) = tokio::join!(handover, async {
        let mut load = probes.load().await;
        load.left_over = probes.run_dry().await;
        load.took = began.elapsed();
        load
    });
    eprintln!("warren: a probe agent goes through its breaker");
    let breaker = probes.breaker(BREAKER_TAKES).await;
    Worked {
        recovery: Some(recovery),
        load,
        breaker: Some(breaker),
    }
}

/// The exercise waits for two spans of an open breaker and for some activations.
const BREAKER_TAKES: Duration = Duration::from_secs(60);
