//! Leaders that go: handing over, and killed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use warren_tests::{SOON, eventually};

use super::{hosts, member::Member, table::Column, watch::Watch};

/// `times` handovers; every other one names the successor.
pub fn handovers(members: &[Member], times: usize) {
    let (mut until_led, mut nobody, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..times {
        let old = hosts::leader(members);
        let api = members[old].api();
        eventually("that all other hosts wait for the leadership", SOON, || {
            let shown = api.get("/api/v1/leader").expect(200).json();
            (shown["candidates"].as_array().map(Vec::len) == Some(members.len() - 1)).then_some(())
        });
        let to = (n % 2 == 1).then(|| &members[(old + 1 + n / 2 % (members.len() - 1)) % members.len()].name);
        let watch = Watch::start(members, old);
        let asked = Instant::now();
        let answer = api
            .post("/api/v1/leader/handover", &json!({ "to": to }))
            .expect(200)
            .json();
        let change = watch.change(asked, old);
        assert!(
            to.is_none_or(|to| *to == members[change.to].name),
            "{to:?} was to lead, and {} does",
            members[change.to].name
        );
        until_led.push(change.led - asked);
        nobody.push(change.led - change.gave_up);
        told.push(Duration::from_secs_f64(seconds(&answer["took_seconds"])));
    }
    Column::header(&format!("{times} handovers, half of them to a named host (ms)"));
    Column::of("from the request until another host says that it leads", &until_led)
        .print(Some(Duration::from_millis(100)));
    Column::of("  of it, from the old one's last yes on", &nobody).print(None);
    Column::of("until another leads, as the handover's answer says", &told).print(None);
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().expect("a number of seconds")
}

/// `times` times the leading host is killed, and started again.
pub fn crashes(members: &mut [Member], times: usize, ttl: Duration) {
    let mut took = Vec::new();
    for _ in 0..times {
        let old = hosts::leader(members);
        let watch = Watch::start(members, old);
        let killed = Instant::now();
        members[old].process.kill9();
        took.push(watch.change(killed, old).led - killed);
        members[old].process.restart();
        members[old].process.wait_ready();
    }
    Column::header(&format!("{times} leaders killed, lease {ttl:?} (ms)"));
    Column::of("from the kill until another host says that it leads", &took).print(Some(ttl + Duration::from_secs(1)));
}
