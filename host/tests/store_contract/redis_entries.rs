//! What other systems, and other versions of Warren, leave in the lists of old and in the store: kept word by word if it
//! can be used, in the dead letters if it can't be, and never lost.

use serde_json::{Value, json};
use warren::{
    domain::{ending::Reason, ids::ItemId, work_item::ItemState},
    ports::{
        store::Store,
        work_queue::{GiveBack, ItemFilter},
    },
};

use super::{
    harness::Harness,
    redis::{PREFIX, RedisHarness},
    support::*,
};

const LISTS: [&str; 3] = ["work:queue:high", "work:queue:normal", "work:queue:low"];

async fn list(harness: &RedisHarness, name: &str) -> Vec<String> {
    harness.redis(&["LRANGE", &format!("{PREFIX}{name}"), "0", "-1"]).await
}

async fn push(harness: &RedisHarness, name: &str, entry: &[u8]) {
    let mut push = redis::cmd("LPUSH");
    push.arg(format!("{PREFIX}{name}")).arg(entry);
    push.query_async::<()>(&mut harness.beside().await).await.unwrap();
}

/// An entry of a coordinator that is newer than we are.
fn newer(name: &str) -> Value {
    json!({
        "schema": 3, "agent_id": format!("id-{name}"), "agent_name": name, "task_type": "inbox", "priority": "high",
        "inbox_count": 2, "created_at": 1_700_000_000.5, "labels": { "zone": ["a", null, 1.5e300] }, "id": "of-another-system",
        "deadline": "soon",
    })
}

fn assert_kept(shown: &str, entry: &Value, id: ItemId) {
    let rest = shown.strip_prefix(&format!("{{\"id\":\"{id}\","));
    assert_eq!(rest, Some(&entry.to_string()[1..]), "{shown}");
}

#[tokio::test]
async fn fields_that_are_not_known_stay_with_their_item() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let entry = newer("p");
    push(&harness, LISTS[0], entry.to_string().as_bytes()).await;
    let claimed = claim_one(&store).await;
    assert_eq!((claimed.item.agent_name.as_str(), claimed.item.inbox_count), ("p", 2));
    let id = claimed.item.id;
    // Given back, recovered, held and released: it is shown as it came.
    store
        .queue
        .give_back(id, claimed.token, GiveBack::Shutdown)
        .await
        .unwrap();
    assert_kept(&list(&harness, LISTS[0]).await[0], &entry, id);
    claim_one(&store).await;
    harness.advance(LEASE + seconds(1));
    sweep(&store).await;
    assert_kept(&list(&harness, LISTS[0]).await[0], &entry, id);
    for paused in [true, false] {
        store.agents.set_paused(&agent("p"), paused).await.unwrap();
    }
    assert_kept(&list(&harness, LISTS[0]).await[0], &entry, id);
    let claimed = claim_one(&store).await;
    end(&store, &claimed, Reason::Ok).await;
    assert_eq!(record(&store, id).await.state, ItemState::Done);
}

/// Fields of an item that a newer Warren has written: those that we don't know are kept, a value that we don't know is
/// told.
#[tokio::test]
async fn items_of_a_newer_warren_are_run_or_refused_and_never_lost() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let (known, unknown, good) = (inbox("a", 1), direct("b"), direct("c"));
    for item in [&known, &unknown, &good] {
        add_ready(&store, item).await;
    }
    let data = format!("{PREFIX}warren:data");
    let change = async |id: ItemId, from: &str, to: &str| {
        let field = format!("i{id}");
        let text: String = harness.redis(&["HGET", &data, &field]).await;
        assert!(text.contains(from), "{text}");
        let text = text.replace(from, to);
        let _: i64 = harness.redis(&["HSET", &data, &field, &text]).await;
        text
    };
    let with_more = change(known.id, "\"inbox_count\"", "\"urgency\":{\"of\":[1]},\"inbox_count\"").await;
    let of_a_kind = change(unknown.id, "\"direct\"", "\"webhook\"").await;
    let claims = claim(&store, 3).await;
    let run: Vec<_> = claims.iter().map(|claimed| claimed.item.id).collect();
    assert!(
        run.contains(&known.id) && run.contains(&good.id) && run.len() == 2,
        "{run:?}"
    );
    let kept: String = harness.redis(&["HGET", &data, &format!("i{}", known.id)]).await;
    assert_eq!(kept, with_more);
    let letter = record(&store, unknown.id).await;
    assert_eq!(letter.state, ItemState::Dead);
    assert!(letter.note.contains("webhook"), "{}", letter.note);
    let kept: String = harness.redis(&["HGET", &data, &format!("i{}", unknown.id)]).await;
    assert_eq!(kept, of_a_kind, "for the Warren that knows it");
}

async fn dead(store: &Store) -> u64 {
    store.queue.stats().await.unwrap().dead
}

/// Entries of all kinds, few of which are items.
fn entries() -> Vec<Vec<u8>> {
    let of = |name: &str, from: &str, to: &str| {
        let plain = json!({
            "agent_id": format!("id-{name}"), "agent_name": name, "task_type": "discovery", "priority": "normal",
            "inbox_count": 0, "created_at": 1_700_000_000.5,
        });
        let text = plain.to_string();
        assert!(text.contains(from), "{text}");
        text.replace(from, to).into_bytes()
    };
    let time = "1700000000.5";
    let nested = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let mut entries: Vec<Vec<u8>> = vec![
        b"\xff\xfe\x00\x01".to_vec(),
        b"null".to_vec(),
        b"\"text\"".to_vec(),
        b"{\"agent_id\":\"x\"".to_vec(),
        nested.clone().into_bytes(),
        of("n1", time, "1e999"),
        of("n2", time, "-1e999"),
        of("n3", time, "NaN"),
        of("n4", time, "-5"),
        of("n28", time, "-1e300"),
        of("n5", time, "1e300"),
        of("n6", time, "0x10"),
        of("n7", time, "\"soon\""),
        of("n8", "\"inbox_count\":0", "\"inbox_count\":4294967295"),
        of("n9", "\"inbox_count\":0", "\"inbox_count\":1.5"),
        of("n10", "\"inbox_count\":0", "\"inbox_count\":1e999"),
        of("n11", "\"priority\":\"normal\"", "\"priority\":7"),
        of("n12", "{", "{\"agent_id\":\"id-twice\","),
        of("n13", "{", "{\"more\":1,\"more\":2,"),
        of("n14", "id-n14", "\\u0000"),
        of("n15", "id-n15", "\\ud800"),
        of("n16", "id-n16", "with\\ttab"),
        of("n17", "id-n17", "quote\\\" and \\\\ and 'more'"),
        of("n18", "{", &format!("{{\"more\":{nested},")),
        of("n19", "{", " \n\t { "),
        of("n20", "}", "} "),
        of("n21", "}", "} trailing"),
        [&of("n22", "id-n22", "XX")[..], b""].concat(),
        of("n23", "id-n23", &"y".repeat(257)),
        of("n24", "\"n24\"", "\"..\""),
        of("n25", "\"n25\"", "null"),
        of("n26", "{", &format!("{{\"more\":\"{}\",", "z".repeat(300_000))),
    ];
    let mut raw = of("n27", "id-n27", "XX");
    let at = raw.windows(2).position(|pair| pair == b"XX").unwrap();
    raw[at] = 0xff;
    entries.push(raw);
    entries
}

/// Whatever bytes are pushed: each is an item that runs, or a dead letter.
#[tokio::test]
async fn no_bytes_stop_the_queue() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let entries = entries();
    for (n, entry) in entries.iter().enumerate() {
        push(&harness, LISTS[n % 3], entry).await;
    }
    let pushed = entries.len() as u64;
    let good = direct("good");
    add_ready(&store, &good).await;
    let (mut ran, mut rounds) = (Vec::new(), 0);
    while !ran.contains(&good.id) || rounds < 3 {
        sweep(&store).await;
        for claimed in claim(&store, 100).await {
            ran.push(claimed.item.id);
            end(&store, &claimed, Reason::Ok).await;
        }
        rounds += 1;
        assert!(rounds < 20, "{ran:?}");
    }
    // Nothing is left, nothing is lost.
    let events = store.events.after(0, 1000, std::time::Duration::ZERO).await.unwrap();
    assert!(events.iter().all(|event| event.kind != "item_dropped"), "{events:?}");
    assert_eq!(dead(&store).await + ran.len() as u64, pushed + 1);
    for name in LISTS {
        assert!(list(&harness, name).await.is_empty(), "{name}");
    }
    let letters = ItemFilter {
        state: Some(ItemState::Dead),
        limit: 100,
        ..ItemFilter::default()
    };
    for letter in store.queue.items(&letters).await.unwrap() {
        assert!(!letter.note.is_empty(), "{letter:?}");
    }
    assert!(dead(&store).await >= 10, "most of it is no item");
}
