use super::*;
use crate::{
    app::api::types::{QueueView, RunView},
    cli::verify::{cluster::Leads, report::Verdict},
};

fn fails(judged: &Judged, words: &str) {
    assert_eq!(judged.verdict, Verdict::Fail, "{}", judged.seen);
    assert!(judged.seen.contains(words), "{words:?} is not in: {}", judged.seen);
}

fn handed_over() -> Recovery {
    let leads = |host: &str, term| Leads {
        host: host.to_owned(),
        term,
    };
    Recovery {
        from: leads("h1", 3),
        to: leads("h2", 4),
        told: Duration::from_millis(20),
        seen: Duration::from_millis(30),
        gauges: Some(Duration::from_millis(40)),
        polled: Some(Duration::from_secs(2)),
    }
}

#[test]
fn recovery_needs_another_host_a_higher_term_and_its_polls() {
    let judged = recovery(&handed_over());
    assert_eq!(judged.verdict, Verdict::Pass, "{}", judged.seen);
    assert!(judged.seen.contains("in 20 ms"), "{}", judged.seen);
    assert_eq!(judged.measured["handover_seconds"], 0.02);
    let broken = |change: fn(&mut Recovery)| {
        let mut seen = handed_over();
        change(&mut seen);
        recovery(&seen)
    };
    fails(&broken(|seen| seen.to.host = "h1".to_owned()), "h1 leads again");
    fails(&broken(|seen| seen.to.term = 3), "the term did not grow");
    fails(&broken(|seen| seen.seen = Duration::from_secs(6)), "it took 6000 ms");
    fails(&broken(|seen| seen.gauges = None), "gauges did not change");
    fails(&broken(|seen| seen.polled = None), "h2 finished no poll");
}

fn run(item: &str, agent: &str, host: &str, began: i64, ended: i64) -> RunOn {
    RunOn {
        host: host.to_owned(),
        run: RunView {
            item: item.to_owned(),
            agent: agent.to_owned(),
            began_micros: began,
            ended_micros: ended,
            ending: "ok".to_owned(),
        },
        clock_error_micros: 1000,
    }
}

fn queue() -> QueueView {
    QueueView {
        queued: BTreeMap::new(),
        waiting: 0,
        delayed: 0,
        held: 0,
        active: 0,
        done: 2,
        dead: 0,
        agents_in_backoff: 0,
        oldest_queued_seconds: None,
        oldest_dead_seconds: None,
    }
}

fn load() -> Load {
    Load {
        accepted: vec!["i1".to_owned(), "i2".to_owned()],
        left_over: Some(queue()),
        ..Load::default()
    }
}

fn runs(all: Vec<RunOn>) -> Runs {
    Runs {
        all,
        hosts: 2,
        problems: Vec::new(),
    }
}

#[test]
fn every_accepted_item_runs_once_and_no_agent_twice_at_once() {
    let once = || vec![run("i1", "a", "h1", 0, 10_000), run("i2", "a", "h2", 12_000, 20_000)];
    let judged = duplicates(&load(), &runs(once()));
    assert_eq!(judged.verdict, Verdict::Pass, "{}", judged.seen);
    assert!(judged.seen.contains("2 ran (h1 1, h2 1)"), "{}", judged.seen);

    let mut again = once();
    again.push(run("i1", "a", "h2", 30_000, 31_000));
    fails(
        &duplicates(&load(), &runs(again)),
        "1 ran more than once: i1 (on h1, h2)",
    );
    fails(&duplicates(&load(), &runs(once()[..1].to_vec())), "1 never ran: i2");
    let mut bad = once();
    bad[1].run.ending = "cut".to_owned();
    fails(&duplicates(&load(), &runs(bad)), "1 did not end well: i2 (cut)");
    let mut unfinished = load();
    unfinished.left_over = Some(QueueView { waiting: 3, ..queue() });
    fails(&duplicates(&unfinished, &runs(once())), "3 items are unfinished");
    fails(
        &duplicates(&Load::default(), &runs(Vec::new())),
        "no probe came into the queue",
    );
    let mut silent = runs(once());
    silent.problems.push("h3 does not tell what it ran: gone".to_owned());
    fails(&duplicates(&load(), &silent), "h3 does not tell");
}

#[test]
fn overlaps_are_told_as_far_as_the_clocks_can() {
    // Another host, 1.5 ms too early, of which the clocks explain 2 ms.
    let close = vec![run("i1", "a", "h1", 0, 10_000), run("i2", "a", "h2", 8_500, 20_000)];
    assert!(overlaps(&runs(close.clone())).is_empty());
    let mut same_host = close;
    same_host[1].host = "h1".to_owned();
    assert_eq!(overlaps(&runs(same_host)).len(), 1);
    let within = vec![
        run("i1", "a", "h1", 0, 100_000),
        run("i2", "b", "h2", 10_000, 20_000),
        run("i3", "a", "h2", 30_000, 40_000),
        run("i4", "a", "h2", 50_000, 60_000),
    ];
    let found = overlaps(&runs(within.clone()));
    assert_eq!(found.len(), 2, "{found:?}");
    fails(
        &duplicates(&load(), &runs(within)),
        "2 ran while their agent ran already: i3 (on h2, beside h1)",
    );
}

fn sight(ending: &str, state: &str, failures: u32, open_seconds: Option<f64>) -> BreakerSight {
    BreakerSight {
        ending: ending.to_owned(),
        state: state.to_owned(),
        failures,
        open_seconds,
    }
}

fn exercise() -> BreakerExercise {
    BreakerExercise {
        agent: "probe".to_owned(),
        threshold: 3,
        open_seconds: 1.5,
        failing: vec![
            sight("trap", "closed", 1, None),
            sight("trap", "closed", 2, None),
            sight("trap", "open", 3, Some(1.48)),
        ],
        while_open: "skipped".to_owned(),
        half_open_after_seconds: 1.49,
        at_half_open: vec!["added".to_owned(), "added".to_owned()],
        failed_probe: sight("trap", "open", 4, Some(2.9)),
        beside_failed_probe: "delayed".to_owned(),
        good_probe: sight("ok", "closed", 0, None),
        good_probe_after_seconds: 3.0,
    }
}

fn five_runs() -> Runs {
    runs((0..5).map(|n| run(&format!("i{n}"), "probe", "h1", n, n)).collect())
}

#[test]
fn a_breaker_opens_at_its_threshold_probes_once_at_a_time_and_recovers() {
    let judged = breaker(&exercise(), &five_runs());
    assert_eq!(judged.verdict, Verdict::Pass, "{}", judged.seen);
    let broken = |change: fn(&mut BreakerExercise)| {
        let mut seen = exercise();
        change(&mut seen);
        breaker(&seen, &five_runs())
    };
    fails(
        &broken(|seen| seen.failing[0].state = "open".to_owned()),
        "after failure 1 it should be closed",
    );
    fails(
        &broken(|seen| seen.failing[2].state = "closed".to_owned()),
        "after failure 3 it should be open",
    );
    fails(&broken(|seen| seen.failing[1].failures = 1), "after failure 2");
    fails(
        &broken(|seen| seen.while_open = "added".to_owned()),
        "was added, not skipped",
    );
    fails(
        &broken(|seen| seen.half_open_after_seconds = 0.2),
        "half open after 0.2 s",
    );
    fails(
        &broken(|seen| seen.failed_probe.open_seconds = Some(1.4)),
        "open it for longer than 1.5 s",
    );
    fails(
        &broken(|seen| seen.beside_failed_probe = "done".to_owned()),
        "another item ran: it is done",
    );
    fails(&broken(|seen| seen.good_probe.failures = 4), "zero the failures");
    fails(
        &broken(|seen| seen.good_probe_after_seconds = 0.1),
        "the next probe ran after 0.1 s",
    );
    let mut six = five_runs();
    six.all.push(run("i9", "probe", "h2", 9, 9));
    fails(&breaker(&exercise(), &six), "6 activations ran in all, not 5");
}

#[test]
fn what_is_left_behind_is_said_with_what_to_do() {
    let remains = |left| Remains {
        scope: "s".to_owned(),
        kept_in: "warren:verify:s:*".to_owned(),
        left,
    };
    let back: Result<String, String> = Ok("h1".to_owned());
    let judged = cleaned(&remains(Ok(0)), &back);
    assert_eq!(
        (judged.verdict, judged.seen.as_str()),
        (Verdict::Pass, "nothing is left of scope s; h1 leads, as before")
    );
    fails(&cleaned(&remains(Ok(2)), &back), "2 keys of scope s are left");
    fails(
        &cleaned(&remains(Err("no answer".to_owned())), &back),
        "else delete warren:verify:s:*",
    );
    fails(
        &cleaned(&remains(Ok(0)), &Err("h2 leads".to_owned())),
        "not where it was: h2 leads",
    );
}
