//! The checkers are shown to work: a script that is wrong on purpose, loaded only here, makes the checker of the promise
//! that it breaks find it. The proxies change the script on its way, so the hosts are those that users run.

use std::time::Duration;

use warren_tests::{
    SOON,
    checkers::{Rules, Violation, judge},
    cluster::{Cluster, ClusterSetup, ITEM_LEASE},
    eventually,
    history::{Claim, Ended, Record, StoreCall, What},
    host::Agent,
};

fn cluster(hosts: usize, broken: &[(&str, &str, &str)]) -> Cluster {
    let setup = ClusterSetup::new(hosts)
        .agent(Agent::hostile("ann", "answer"))
        .agent(Agent::hostile("bob", "answer"))
        .agent(Agent::hostile("cat", "answer"));
    let setup = setup.set("runner.slots", "1");
    let break_one =
        |setup: ClusterSetup, (script, right, wrong): &(&str, &str, &str)| setup.broken(script, right, wrong);
    broken.iter().fold(setup, break_one).start()
}

/// The history proves this promise broken; and the scripts were indeed the wrong ones.
#[track_caller]
fn found(cluster: &Cluster, promise: &str) {
    cluster.scripts.assert_broken();
    let history = cluster.recorder.history();
    let violations = judge(&history, &Rules::of_the_harness());
    assert!(
        violations.iter().any(|violation| violation.promise == promise),
        "no proof that {promise} is broken: {violations:#?}"
    );
}

fn seen(cluster: &Cluster, what: &str, fits: impl Fn(&StoreCall) -> bool) {
    let fits = |record: &Record| matches!(&record.what, What::Store(call) if fits(call));
    eventually(what, SOON, || cluster.recorder.has(fits).then_some(()));
}

fn claimed(cluster: &Cluster, item: &str, times: usize) {
    let is_of = |claim: &Claim| claim.item == item;
    eventually(format!("{times} claims of {item}"), SOON, || {
        let count = cluster.recorder.count(
            |record| matches!(&record.what, What::Store(StoreCall::Claim { claims, .. }) if claims.iter().any(is_of)),
        );
        (count >= times).then_some(())
    });
}

/// Which host has claimed an item.
fn runs(cluster: &Cluster, item: &str) -> usize {
    claimed(cluster, item, 1);
    let history = cluster.recorder.history();
    let has = |record: &&Record| matches!(&record.what, What::Store(StoreCall::Claim { claims, .. }) if claims.iter().any(|claim| claim.item == item));
    let host = &history.iter().find(has).expect("it was claimed").host;
    let at = cluster.members.iter().position(|member| member.name == *host);
    at.expect("a host of this cluster has claimed it")
}

#[test]
fn i1_an_enqueue_without_the_fence() {
    let cluster = cluster(
        2,
        &[("enqueue", "if ARGV[2] ~= '' then check_fence(ARGV[2], ARGV[3]) end", "")],
    );
    let old = cluster.leader();
    cluster.members[old].to_redis.hold_at("enqueue");
    cluster.mention("ann", "hello");
    cluster.members[old].to_redis.wait_caught();
    cluster.new_leader(old);
    cluster.members[old].to_redis.heal();
    let name = cluster.members[old].name.clone();
    eventually("the late enqueue", SOON, || {
        let late = |record: &Record| {
            record.host == name
                && matches!(&record.what, What::Store(StoreCall::Fenced { script, term: 1, .. }) if script == "enqueue")
        };
        cluster.recorder.has(late).then_some(())
    });
    found(&cluster, "I1");
}

#[test]
fn i1_a_lease_without_a_new_term() {
    let next = "term = math.max(tonumber(kept[1] or 0), known_term) + 1";
    let mut cluster = cluster(2, &[("leader_acquire", next, "term = 1")]);
    let old = cluster.leader();
    cluster.terminate(old);
    cluster.new_leader(old);
    found(&cluster, "I1");
}

/// A host that keeps its office longer than the promise allows: its margin is far smaller than the one that it is judged by.
#[test]
fn i2_a_leader_that_stops_too_late() {
    let setup = ClusterSetup::new(2)
        .agent(Agent::hostile("ann", "answer"))
        .set("leader.ttl", "\"9s\"")
        .set("leader.margin", "\"100ms\"");
    let cluster = setup.start();
    let old = cluster.leader();
    cluster.members[old].to_redis.hold();
    eventually("that it steps down", SOON, || {
        let leads = cluster.members[old].leads();
        cluster
            .recorder
            .note(&cluster.members[old].name, What::Leads(leads == Some(true)));
        (leads == Some(false)).then_some(())
    });
    cluster.members[old].to_redis.heal();
    let history = cluster.recorder.history();
    let with = |margin| Rules {
        margin,
        ..Rules::of_the_harness()
    };
    let broken = |rules: &Rules| judge(&history, rules).iter().any(|violation| violation.promise == "I2");
    assert!(broken(&with(Duration::from_secs(5))), "no proof that I2 is broken");
    assert!(
        !broken(&with(Duration::from_millis(100))),
        "by its own margin it stopped in time"
    );
}

#[test]
fn i3_a_pause_that_holds_nobody() {
    let held = "if a[2] == 1 then return 'h', 'the agent is paused', 0, 0 end";
    let cluster = cluster(1, &[("claim", held, ""), ("enqueue", held, "")]);
    let first = cluster.submit(0, "ann", "clock");
    claimed(&cluster, &first, 1);
    assert!(cluster.set_paused(0, "ann", true));
    let second = cluster.submit(0, "ann", "clock");
    claimed(&cluster, &second, 1);
    found(&cluster, "I3");
}

#[test]
fn i3_a_sweep_that_forgets_what_it_recovers() {
    let mut cluster = cluster(2, &[("sweep", "lose(id, m)\nelse", "else")]);
    let item = cluster.submit(0, "ann", "sleep 60000");
    let at = runs(&cluster, &item);
    cluster.kill9(at);
    seen(
        &cluster,
        "the sweep that finds it",
        |call| matches!(call, StoreCall::Sweep { recovered, .. } if recovered.contains(&item)),
    );
    cluster.restart(at);
    cluster.wait_ready();
    cluster.take_stock();
    found(&cluster, "I3");
}

#[test]
fn i4_claims_that_do_not_ask_whether_the_agent_is_busy() {
    let busy = "if a[17] ~= '' then return 'w', '', 0, 0 end";
    let listed = "if state == 'q' and others[agent] then";
    let cluster = cluster(
        2,
        &[
            ("enqueue", busy, ""),
            ("claim", busy, ""),
            ("claim", listed, "if false then"),
        ],
    );
    for _ in 0..2 {
        let item = cluster.submit(0, "ann", "sleep 1500");
        claimed(&cluster, &item, 1);
    }
    found(&cluster, "I4");
}

#[test]
fn i4_a_completion_that_does_not_ask_whose_claim_it_is() {
    let cluster = cluster(2, &[("complete", "~= 'a\\t' .. token", "== ''")]);
    let item = cluster.submit(0, "ann", "sleep 500");
    let at = runs(&cluster, &item);
    cluster.members[at].to_redis.hold_at("complete");
    cluster.members[at].to_redis.wait_caught();
    // Nobody has it any more, so another one takes it.
    claimed(&cluster, &item, 2);
    cluster.members[at].to_redis.heal();
    let name = cluster.members[at].name.clone();
    eventually("the late completion", SOON, || {
        let late = |record: &Record| {
            record.host == name
                && matches!(
                    &record.what,
                    What::Store(StoreCall::Complete { ended: Ended::Done, .. })
                )
        };
        cluster.recorder.has(late).then_some(())
    });
    found(&cluster, "I4");
}

#[test]
fn i5_claims_that_take_the_lowest_priority_first() {
    let right = "turn and lower_rank or first_rank, turn and lower or first, token";
    let wrong = "lower and lower_rank or first_rank, lower or first, token";
    // Plain items are claimed without it.
    let (plain, never) = ("4 + wanted and claim_all_plain()", "4 + wanted and nil");
    let cluster = cluster(1, &[("claim", right, wrong), ("claim", plain, never)]);
    let first = cluster.submit(0, "cat", "sleep 1500");
    claimed(&cluster, &first, 1);
    // Only one item runs at a time: all of these wait for it, and are ready.
    let api = cluster.members[0].host.api();
    let agents = ["ann", "bob"];
    for (agent, priority) in agents.into_iter().zip(["high", "low"]) {
        let item = serde_json::json!({ "agent": agent, "agent_id": agent, "payload": "clock", "priority": priority });
        api.post("/api/v1/items", &item).expect(201);
    }
    eventually("that both have run", SOON, || cluster.is_idle().then_some(()));
    cluster.scripts.assert_broken();
    let rules = Rules {
        // Few items, so no share.
        fairness: 0,
        ..Rules::of_the_harness()
    };
    let violations = judge(&cluster.recorder.history(), &rules);
    assert!(
        violations.iter().any(|violation| violation.promise == "I5"),
        "{violations:#?}"
    );
}

#[test]
fn i6_a_sweep_that_passes_over_what_ran_out() {
    let mut cluster = cluster(2, &[("sweep", "lose(id, m)\nelse", "recovered = {}\nelse")]);
    let item = cluster.submit(0, "ann", "sleep 60000");
    let at = runs(&cluster, &item);
    cluster.kill9(at);
    let (killed, other) = (cluster.recorder.now(), &cluster.members[1 - at].name);
    // The last renewal's lease, and a sweep after it.
    let late = killed + ITEM_LEASE + Duration::from_secs(1);
    eventually("a sweep after the lease", SOON, || {
        let swept = |record: &Record| {
            let whole = matches!(record.what, What::Store(StoreCall::Sweep { whole: true, .. }));
            record.host == *other && record.from > late && whole
        };
        cluster.recorder.has(swept).then_some(())
    });
    found(&cluster, "I6");
}

/// The store comes back empty, and the old leader renews a lease of which the store knows nothing.
#[test]
fn i7_a_renewal_that_does_not_ask_what_the_store_has() {
    let mut cluster = cluster(2, &[("leader_renew", "check_fence(ARGV[2], ARGV[3])", "")]);
    cluster.leader();
    let before = cluster.recorder.now();
    cluster.flush();
    eventually("a renewal", SOON, || {
        let renewed = |record: &Record| {
            let renews = |script: &str| script == "leader_renew";
            record.from > before
                && matches!(&record.what, What::Store(StoreCall::Fenced { script, applied: true, .. }) if renews(script))
        };
        cluster.recorder.has(renewed).then_some(())
    });
    found(&cluster, "I7");
}

#[test]
fn i8_claims_that_do_not_ask_the_breaker() {
    let open = "if state == 'open' then return 'd', 'the breaker is open'";
    let never = "if state == 'never' then return 'd', 'the breaker is open'";
    let cluster = cluster(1, &[("claim", open, never), ("enqueue", open, never)]);
    for _ in 0..5 {
        let item = cluster.submit(0, "ann", "fail permanent no");
        claimed(&cluster, &item, 1);
    }
    found(&cluster, "I8");
}

/// On a Hub that does not tell repeats, the store's own record is what keeps an effect from happening twice.
#[test]
fn i9_an_effect_that_is_begun_again() {
    let slow = Agent::hostile("slow", "answer-slow 1500");
    let setup = ClusterSetup::new(2).agent(slow).set("hub.idempotency", "\"no\"");
    let mut cluster = setup.broken("effect_begin", "if known then", "if false then").start();
    cluster.hub.faults(serde_json::json!({ "idempotency": false }));
    let post = cluster.mention("slow", "take your time");
    cluster.hub.wait_for_reply(&post, "slow");
    let has =
        |record: &Record| matches!(&record.what, What::Store(StoreCall::Claim { claims, .. }) if !claims.is_empty());
    let history = cluster.recorder.history();
    let runs = &history.iter().find(|record| has(record)).expect("it was claimed").host;
    let at = cluster.members.iter().position(|member| member.name == *runs);
    let at = at.expect("a host of this cluster has claimed it");
    cluster.kill9(at);
    eventually("a second reply", SOON, || {
        (cluster.hub.replies(&post, "slow") > 1).then_some(())
    });
    cluster.restart(at);
    cluster.hub.wait_until_read("slow");
    cluster.wait_ready();
    cluster.take_stock();
    cluster.scripts.assert_broken();
    let violations = judge(&cluster.recorder.history(), &Rules::of_the_harness());
    let twice = |violation: &Violation| violation.promise == "I9" && violation.why.contains("2 times");
    assert!(violations.iter().any(twice), "{violations:#?}");
}

#[test]
fn i12_an_effect_that_does_not_ask_for_the_claim() {
    let cluster = cluster(2, &[("effect_begin", "check_claim(ARGV[2], token, agent)", "")]);
    let post = cluster.hub.post("the board");
    // Whichever of the two takes the item.
    for member in &cluster.members {
        member.to_redis.hold_at("effect_begin");
    }
    let item = cluster.submit(0, "ann", &format!("comment {post} hello"));
    let at = runs(&cluster, &item);
    cluster.members[at].to_redis.wait_caught();
    claimed(&cluster, &item, 2);
    cluster.members[at].to_redis.heal();
    eventually("the late effect", SOON, || {
        let late = |record: &Record| {
            record.host == cluster.members[at].name
                && matches!(&record.what, What::Store(StoreCall::Claimed { applied: true, .. }))
        };
        cluster.recorder.has(late).then_some(())
    });
    found(&cluster, "I12");
}
