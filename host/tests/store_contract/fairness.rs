//! The share of claims that lower priorities get (I5).

use warren::{
    domain::work_item::{Priority, WorkItem},
    ports::store::StorePolicy,
};

use super::{harness::Harness, support::*};

fn with(name: String, priority: Priority) -> WorkItem {
    WorkItem {
        priority,
        ..direct(&name)
    }
}

fn one_in(fairness: u32) -> StorePolicy {
    StorePolicy { fairness, ..policy() }
}

pub async fn one_in_n_goes_to_the_oldest_lower<H: Harness>() {
    let harness = H::fresh(one_in(4)).await;
    let store = harness.store();
    // The low one is older than the normal ones: of the lower priorities, age decides.
    let mut items = vec![with("low".to_owned(), Priority::Low)];
    items.extend((0..3).map(|n| with(format!("n{n}"), Priority::Normal)));
    items.extend((0..20).map(|n| with(format!("h{n}"), Priority::High)));
    store.queue.enqueue(None, items).await.unwrap();
    // In batches or one by one: the share is of claims, not of calls.
    let mut names = Vec::new();
    for most in [1, 1, 1, 1, 5, 7] {
        names.extend(
            claim(&store, most)
                .await
                .into_iter()
                .map(|c| c.item.agent_name.to_string()),
        );
    }
    let expected = "h0 h1 h2 low h3 h4 h5 n0 h6 h7 h8 n1 h9 h10 h11 n2";
    assert_eq!(names.join(" "), expected);
    assert_eq!(
        claim(&store, 4).await.len(),
        4,
        "and where nobody of lower priority waits, high has all"
    );
}

pub async fn share_counts_only_while_somebody_waits<H: Harness>() {
    let harness = H::fresh(one_in(4)).await;
    let store = harness.store();
    let high = |range: std::ops::Range<u32>| range.map(|n| with(format!("h{n}"), Priority::High)).collect::<Vec<_>>();
    store.queue.enqueue(None, high(0..10)).await.unwrap();
    assert_eq!(claim(&store, 9).await.len(), 9);
    let mut late = high(10..20);
    late.push(with("n0".to_owned(), Priority::Normal));
    store.queue.enqueue(None, late).await.unwrap();
    let claims = claim(&store, 4).await;
    let names: Vec<_> = claims.iter().map(|c| c.item.agent_name.as_str()).collect();
    assert_eq!(
        names,
        ["h9", "h10", "h11", "n0"],
        "claims before it came gave it no turn"
    );
}
