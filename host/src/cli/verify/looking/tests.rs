use super::*;
use crate::cli::verify::{cluster::Leads, report::Verdict};

/// What a leader exports.
fn leading(polls: u32, depth: &str) -> String {
    let mut text = format!(
        "botburrow_coordinator_is_leader{{instance_id=\"x\"}} 1\nbotburrow_poll_duration_seconds_count {polls}\n\
         botburrow_hub_requests_total{{endpoint=\"poll\",outcome=\"ok\"}} {polls}\n{depth}"
    );
    for name in &ON_LEADER[2..] {
        text += &format!("{name} 0\n");
    }
    text
}

fn following(polls: u32) -> String {
    format!(
        "botburrow_coordinator_is_leader{{instance_id=\"y\"}} 0\nbotburrow_poll_duration_seconds_count 0\n\
         botburrow_hub_requests_total{{endpoint=\"poll\",outcome=\"ok\"}} {polls}\n\
         botburrow_hub_requests_total{{endpoint=\"notifications\",outcome=\"ok\"}} 99\n"
    )
}

/// Hosts `h1`, `h2`, … that say this.
fn sample(leader: Option<(&str, u64)>, hosts: &[String]) -> Sample {
    let scrapes = (1..).zip(hosts).map(|(n, text)| Scrape {
        host: format!("h{n}"),
        metrics: Ok(Metrics::parse(text)),
    });
    Sample {
        leader: Ok(leader.map(|(host, term)| Leads {
            host: host.to_owned(),
            term,
        })),
        scrapes: scrapes.collect(),
    }
}

fn fails(judged: &Judged, words: &str) {
    assert_eq!(judged.verdict, Verdict::Fail, "{}", judged.seen);
    assert!(judged.seen.contains(words), "{words:?} is not in: {}", judged.seen);
}

#[test]
fn one_leader_is_the_store_s_in_every_sample() {
    let good = sample(Some(("h1", 3)), &[leading(1, ""), following(0)]);
    let judged = one_leader(&[good.clone(), good.clone()]);
    assert_eq!(
        (judged.verdict, judged.seen.as_str()),
        (Verdict::Pass, "h1 led in term 3 in 2 samples")
    );

    let two = sample(Some(("h1", 3)), &[leading(1, ""), leading(1, "")]);
    fails(&one_leader(&[good.clone(), two]), "h1 and h2 say at once");
    let other = sample(Some(("h2", 3)), &[leading(1, ""), following(0)]);
    fails(&one_leader(&[other]), "the store names h2");
    let nobody = sample(None, &[following(0), following(0)]);
    fails(&one_leader(&[nobody]), "nobody leads");
    let silent = sample(Some(("h9", 3)), &[following(0)]);
    fails(&one_leader(&[silent]), "the store names h9, but no live host");
    let older = sample(Some(("h1", 2)), &[leading(1, ""), following(0)]);
    fails(&one_leader(&[good.clone(), older]), "the term fell from 3 to 2");
    let mut stopped = good.clone();
    stopped.scrapes[1].metrics = Err("no answer in time".to_owned());
    fails(
        &one_leader(&[good, stopped]),
        "live host h2 can't be asked: no answer in time",
    );
}

#[test]
fn followers_do_not_poll_and_the_leader_has() {
    let at =
        |leader_polls, follower_polls| sample(Some(("h1", 3)), &[leading(leader_polls, ""), following(follower_polls)]);
    // It may have polled while it led, before.
    let judged = followers(&[at(5, 7), at(6, 7)], &at(6, 7));
    assert_eq!(judged.verdict, Verdict::Pass, "{}", judged.seen);
    assert_eq!(judged.seen, "h2 did not poll; h1, the leader, has, 6 times");
    fails(
        &followers(&[at(5, 7), at(6, 9)], &at(6, 9)),
        "h2 polled 2 times without leading",
    );
    fails(
        &followers(&[at(0, 7), at(0, 7)], &at(0, 7)),
        "h1 has not finished a poll",
    );
    let nobody = sample(None, &[following(0), following(0)]);
    fails(&followers(std::slice::from_ref(&nobody), &nobody), "nobody leads");
}

#[test]
fn the_leader_s_metrics_are_there_and_only_there() {
    let depth = "botburrow_queue_depth{priority=\"high\"} 0\n";
    let good = sample(Some(("h1", 3)), &[leading(1, depth), following(0)]);
    assert_eq!(
        leader_metrics(&good).verdict,
        Verdict::Pass,
        "{}",
        leader_metrics(&good).seen
    );
    let lacks = leading(1, depth).replace("botburrow_queue_wait_seconds 0\n", "");
    fails(
        &leader_metrics(&sample(None, &[lacks, following(0)])),
        "h1 lacks botburrow_queue_wait_seconds",
    );
    let double = following(0) + depth;
    fails(
        &leader_metrics(&sample(None, &[leading(1, depth), double])),
        "h2, which does not lead, exports botburrow_queue_depth",
    );
}

#[test]
fn the_exported_depths_are_those_of_the_store() {
    let exported = |high: u32| {
        let depth = format!(
            "botburrow_queue_depth{{priority=\"high\"}} {high}\nbotburrow_queue_depth{{priority=\"normal\"}} 0\n\
             botburrow_queue_depth{{priority=\"low\"}} 0\n"
        );
        sample(Some(("h1", 3)), &[leading(1, &depth)])
    };
    let counted = |high: u64| {
        let depths = [("high", high), ("normal", 0), ("low", 0)].map(|(name, ready)| (name.to_owned(), ready));
        (Instant::now(), depths.to_vec())
    };
    let quiet = summed(&[counted(4)], &exported(4), None);
    assert!(quiet.agrees());
    assert_eq!(distribution(&quiet).seen, "ready: 4 high, 0 normal, 0 low");
    // Under load the leader's count is some seconds old.
    let busy = summed(&[counted(9), counted(2)], &exported(5), None);
    assert!(busy.agrees());
    assert_eq!(distribution(&busy).verdict, Verdict::Pass);
    let wrong = summed(&[counted(9), counted(2)], &exported(1), None);
    assert!(!wrong.agrees());
    fails(&distribution(&wrong), "the leader exports 1 high, the store had 2 to 9");
    let leaderless = summed(&[counted(0)], &sample(None, &[following(0)]), None);
    fails(&distribution(&leaderless), "exports no depth of high");
    fails(
        &distribution(&summed(&[], &exported(0), Some("no answer".to_owned()))),
        "no answer",
    );
}
