//! What is generated: steps that name what they are about by where it stands, so that every sequence of them makes sense
//! and stays sensible while it shrinks. Which items and claims they mean is decided when they are taken.

use std::{ops::Range, time::Duration};

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
};
use warren::{
    domain::{
        backoff::Backoff,
        ending::Reason,
        work_item::{Priority, TaskType},
    },
    ports::{agent_records::BreakerCommand, store::StorePolicy},
};

use super::super::support::policy;

pub const AGENTS: [&str; 3] = ["a", "b", "c"];
pub const HOSTS: [&str; 2] = ["h1", "h2"];

/// One of several, counted from the newest; what is beyond the oldest begins anew.
pub type Nth = u8;

/// A claim with tokens that nobody has used yet.
#[derive(Clone, Debug)]
pub struct NewClaim {
    pub tokens: usize,
    pub host: usize,
    pub lease: u64,
    pub avoid: Vec<usize>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Enqueue(Vec<New>),
    EnqueueAgain(Vec<Nth>),
    EnqueueClaiming {
        items: Vec<New>,
        claim: NewClaim,
    },
    Claim(NewClaim),
    /// With the tokens of an earlier call, and some more.
    ClaimAgain {
        earlier: Nth,
        more: usize,
        host: usize,
    },
    Renew {
        claims: Vec<Which>,
        lease: u64,
        generation: bool,
    },
    Complete {
        claim: Which,
        ending: Reason,
        permanent: bool,
        handled_nothing: bool,
        generation: bool,
    },
    CompleteAgain(Nth),
    /// With the token of a claim of another item.
    CompleteAnother {
        claim: Which,
        of: Which,
    },
    GiveBack {
        claim: Which,
        delay: Option<u64>,
    },
    Sweep,
    Pause {
        agent: usize,
        paused: bool,
    },
    PauseAhead {
        agent: usize,
        paused: bool,
    },
    Command(usize, BreakerCommand),
    Requeue(Vec<Nth>),
    Purge(Vec<Nth>),
    Wait {
        millis: u64,
    },
    /// Until the next moment at which something is due: just before, at, or just after it.
    WaitUntilDue {
        offset: i64,
    },
}

/// Which claim: of those that last, or of all that ever were.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    Lasting(Nth),
    Any(Nth),
}

#[derive(Clone, Debug)]
pub struct New {
    pub agent: usize,
    pub renamed: bool,
    pub task_type: TaskType,
    pub priority: Priority,
    pub inbox_count: u32,
    pub interval: u64,
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        6 => any::<Nth>().prop_map(Which::Lasting),
        1 => any::<Nth>().prop_map(Which::Any),
    ]
}

fn new() -> impl Strategy<Value = New> {
    let task_type = select(TaskType::ALL);
    let priority = select(Priority::ALL);
    let interval = prop_oneof![3 => Just(0), 1 => Just(20)];
    (
        0..AGENTS.len(),
        prop_oneof![9 => Just(false), 1 => Just(true)],
        task_type,
        priority,
        0..4u32,
        interval,
    )
        .prop_map(|(agent, renamed, task_type, priority, inbox_count, interval)| New {
            agent,
            renamed,
            task_type,
            priority,
            inbox_count,
            interval,
        })
}

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        3 => Just(Reason::Ok),
        4 => Just(Reason::Trap),
        4 => select(&Reason::ALL[..]),
    ]
}

fn command() -> impl Strategy<Value = BreakerCommand> {
    use BreakerCommand::{Disable, ForceOpen, Reset};
    select(&[Reset, ForceOpen, Disable][..])
}

/// Leases are short enough to run out now and then, and long enough not to do so always.
fn lease() -> impl Strategy<Value = u64> {
    select(&[30, 5][..])
}

fn wait() -> impl Strategy<Value = Step> {
    let millis = prop_oneof![0..1000u64, 1000..10_000u64, 10_000..70_000u64, 290_000..310_000u64];
    prop_oneof![
        millis.prop_map(|millis| Step::Wait { millis }),
        (-1..2i64).prop_map(|offset| Step::WaitUntilDue { offset }),
    ]
}

fn complete() -> impl Strategy<Value = Step> {
    let sometimes = || prop_oneof![7 => Just(false), 1 => Just(true)];
    (which(), reason(), sometimes(), sometimes(), sometimes()).prop_map(
        |(claim, ending, permanent, handled_nothing, generation)| Step::Complete {
            claim,
            ending,
            permanent,
            handled_nothing,
            generation,
        },
    )
}

fn new_claim(tokens: Range<usize>) -> impl Strategy<Value = NewClaim> {
    (tokens, 0..HOSTS.len(), lease(), vec(0..AGENTS.len(), 0..2)).prop_map(|(tokens, host, lease, avoid)| NewClaim {
        tokens,
        host,
        lease,
        avoid,
    })
}

pub fn step() -> impl Strategy<Value = Step> {
    let agent = 0..AGENTS.len();
    let host = 0..HOSTS.len();
    prop_oneof![
        8 => vec(new(), 1..4).prop_map(Step::Enqueue),
        1 => vec(any::<Nth>(), 1..3).prop_map(Step::EnqueueAgain),
        4 => (vec(new(), 1..4), new_claim(1..2)).prop_map(|(items, claim)| Step::EnqueueClaiming { items, claim }),
        8 => new_claim(1..4).prop_map(Step::Claim),
        1 => (any::<Nth>(), 0..2usize, host)
            .prop_map(|(earlier, more, host)| Step::ClaimAgain { earlier, more, host }),
        2 => (vec(which(), 1..3), lease(), any::<bool>())
            .prop_map(|(claims, lease, generation)| Step::Renew { claims, lease, generation }),
        8 => complete(),
        1 => any::<Nth>().prop_map(Step::CompleteAgain),
        1 => (which(), which()).prop_map(|(claim, of)| Step::CompleteAnother { claim, of }),
        2 => (which(), select(&[None, Some(10)][..])).prop_map(|(claim, delay)| Step::GiveBack { claim, delay }),
        4 => Just(Step::Sweep),
        2 => (agent.clone(), any::<bool>()).prop_map(|(agent, paused)| Step::Pause { agent, paused }),
        1 => (agent.clone(), any::<bool>()).prop_map(|(agent, paused)| Step::PauseAhead { agent, paused }),
        2 => (agent, command()).prop_map(|(agent, command)| Step::Command(agent, command)),
        1 => vec(any::<Nth>(), 1..4).prop_map(Step::Requeue),
        1 => vec(any::<Nth>(), 1..4).prop_map(Step::Purge),
        6 => wait(),
    ]
}

/// A long life of one agent's breaker: one item after the other, which ends in all ways, or whose lease runs out.
pub fn breaker_steps() -> impl Strategy<Value = Vec<Step>> {
    let direct = New {
        agent: 0,
        renamed: false,
        task_type: TaskType::Direct,
        priority: Priority::High,
        inbox_count: 0,
        interval: 0,
    };
    let end = prop_oneof![
        6 => complete(),
        3 => (0..100u64).prop_map(|_| Step::WaitUntilDue { offset: 0 }),
    ];
    let life = (end, 0..200_000u64, 0..4u8).prop_map(move |(end, millis, pauses)| {
        let claim = Step::Claim(NewClaim {
            tokens: 1,
            host: 0,
            lease: 30,
            avoid: Vec::new(),
        });
        let pause = match pauses {
            0 => Step::Wait { millis },
            _ => Step::WaitUntilDue { offset: 0 },
        };
        [Step::Enqueue(vec![direct.clone()]), claim, end, pause, Step::Sweep]
    });
    vec(life, 1..30).prop_map(|lives| lives.into_iter().flatten().collect())
}

/// Policies whose numbers are small enough that a short sequence meets them all.
pub fn policies() -> impl Strategy<Value = StorePolicy> {
    let fairness = select(&[0, 1, 2, 3][..]);
    let most = select(&[100, 3][..]);
    let jitter = select(&[0.0, 0.1][..]);
    (fairness, most, jitter, 1..4u32).prop_map(|(fairness, max_queue, jitter, threshold)| {
        let mut policy = StorePolicy {
            fairness,
            max_queue,
            retry: Backoff {
                base: Duration::from_secs(5),
                max: Duration::from_secs(8),
            },
            max_attempts: 3,
            cool_down: Backoff {
                base: Duration::from_secs(5),
                max: Duration::from_secs(12),
            },
            keep_done: Duration::from_secs(300),
            ..policy()
        };
        policy.breaker.jitter = jitter;
        policy.breaker.threshold = threshold;
        policy.breaker.base = Duration::from_secs(10);
        policy.breaker.max = Duration::from_secs(35);
        policy.breaker.decay = Duration::from_secs(60);
        policy.breaker.lease_losses = 2;
        policy
    })
}
