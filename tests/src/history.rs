//! What happened, seen from outside: one list of typed records that the checkers judge.
//!
//! Recorded are calls to Redis and requests to the Hub where they pass a proxy of the harness, the Hub's own account of
//! effects, what submits were answered, and what the nemesis did. All times are of one clock, the harness's. A call took
//! effect somewhere between `from`, when it was passed on to the server, and `until`, when the answer came back: checkers
//! say "before" only of what had been answered before the other was sent.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Since the recording began.
pub type At = Duration;

/// When something happened that was never answered: it may have taken effect at any later moment, or never.
pub const NEVER: At = Duration::MAX;

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub from: At,
    pub until: At,
    /// The host that did it, or that it was done to; empty for what is about no host.
    pub host: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A call to Redis that was answered, and not with an error that is nobody's business here.
    Store(StoreCall),
    /// A call to Redis whose answer is not known.
    Unknown(StoreCall),
    /// A request to the Hub, when the host sent it. `agent` is whom it writes for.
    Request {
        method: String,
        path: String,
        agent: String,
    },
    /// A write that the Hub did, in the order in which it did them.
    Effect(HubEffect),
    /// A comment of an agent that stood under a post in the end.
    Comment {
        post: String,
        agent: String,
        text: String,
    },
    /// A person wrote a post that mentions an agent.
    Mentioned {
        post: String,
        agent: String,
    },
    /// A submit was acknowledged (again).
    Submitted {
        item: String,
        agent: String,
        payload: String,
    },
    /// What became of a submitted item, asked when all had calmed down. `None`: nobody knows it.
    Became {
        item: String,
        state: Option<String>,
        reason: String,
    },
    /// How many notifications of an agent were unread in the end.
    Unread {
        agent: String,
        count: usize,
    },
    /// An operator has paused an agent, as far as known.
    Paused {
        agent: String,
        known: bool,
    },
    /// An operator lets an agent run again.
    Resumed {
        agent: String,
    },
    /// An event of the cluster's own, in the order in which the store has them.
    Event {
        kind: String,
        detail: String,
    },
    /// What `/metrics` of a host says.
    Leads(bool),
    /// A host's process began to run, or is ready again.
    Ready,
    Nemesis(Nemesis),
}

/// What the nemesis did.
#[derive(Clone, Debug, PartialEq)]
pub enum Nemesis {
    Killed,
    Stopped,
    Continued,
    /// Asked to end by SIGTERM, and whether it ended with exit code 0.
    Terminated {
        clean: bool,
    },
    Started,
    /// The store lost what it had: what came before says nothing about what follows.
    DataLost,
    /// A replica took the store's place: of what was written from when this began until it ended, nothing is left.
    FailedOver {
        /// From then on it was certainly told nothing more; of what was written before that it may know.
        alone: At,
    },
    /// From here on all is well: no fault is at work any more.
    Calm,
    /// Anything else, in words.
    Other(String),
}

/// A script of the store, and what it answered.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreCall {
    Acquire {
        holder: String,
        lease: Duration,
        /// There if the bid won.
        term: Option<u64>,
        /// It lost because somebody holds the lease; not because another one is to go first.
        held: bool,
    },
    /// Any leader-only write: an enqueue, a renewal, a note of the leader's.
    Fenced {
        script: String,
        holder: String,
        term: u64,
        lease: Option<Duration>,
        applied: bool,
    },
    Release {
        holder: String,
        term: u64,
        applied: bool,
    },
    Enqueue {
        items: Vec<NewItem>,
    },
    Claim {
        lease: Duration,
        /// What the host asked for. A call without an answer is repeated with the same tokens.
        tokens: Vec<String>,
        claims: Vec<Claim>,
    },
    Renew {
        lease: Duration,
        claims: Vec<(String, String)>,
        held: Vec<bool>,
    },
    Complete {
        item: String,
        token: String,
        reason: String,
        counted: bool,
        ended: Ended,
    },
    GiveBack {
        item: String,
        token: String,
        applied: bool,
    },
    /// Claims that had run out, by item. `whole`: it found all there were.
    Sweep {
        recovered: Vec<String>,
        whole: bool,
    },
    /// A write for an activation: an effect begun, a state changed.
    Claimed {
        script: String,
        item: String,
        token: String,
        applied: bool,
    },
}

impl StoreCall {
    /// As if nobody knew how it was answered: it may have been done.
    pub fn of_unknown_outcome(self) -> StoreCall {
        match self {
            StoreCall::Acquire { holder, lease, .. } => StoreCall::Acquire {
                holder,
                lease,
                term: None,
                held: false,
            },
            call => call,
        }
    }
}

/// An item that an enqueue added; those that were merged or skipped are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    pub id: String,
    pub agent: String,
    pub task_type: String,
    /// 0 is high, 2 is low.
    pub rank: u8,
    pub queued: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub token: String,
    pub item: String,
    pub agent: String,
    pub rank: u8,
    pub probe: bool,
}

/// How a completion was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done,
    Dead,
    Retry,
    Stale,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HubEffect {
    /// `comment`, `post`, `notifications_read`, `activated`.
    pub effect: String,
    pub agent: String,
    /// The post, for a comment.
    pub target: String,
    pub key: Option<String>,
    /// The Hub knew the key and did nothing.
    pub repeat: bool,
    /// JSON: the ids, for notifications that were read.
    pub detail: String,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}", self.from.as_secs_f64())?;
        match self.until {
            until if until == self.from => write!(f, "          ")?,
            NEVER => write!(f, "–?        ")?,
            until => write!(f, "–{:<9.3}", until.as_secs_f64())?,
        }
        write!(f, " {:<8} {:?}", self.host, self.what)
    }
}

/// Takes records from any thread.
#[derive(Clone)]
pub struct Recorder {
    began: Instant,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            began: Instant::now(),
            records: Arc::default(),
        }
    }
}

impl Recorder {
    pub fn now(&self) -> At {
        self.began.elapsed()
    }

    pub fn add(&self, record: Record) {
        self.lock().push(record);
    }

    /// Something that happens now, at once.
    pub fn note(&self, host: &str, what: What) {
        let now = self.now();
        self.span(host, now, now, what);
    }

    pub fn span(&self, host: &str, from: At, until: At, what: What) {
        let host = host.to_owned();
        self.add(Record {
            from,
            until,
            host,
            what,
        });
    }

    /// Whether one of the records so far is what is looked for.
    pub fn has(&self, fits: impl Fn(&Record) -> bool) -> bool {
        self.lock().iter().any(fits)
    }

    pub fn count(&self, fits: impl Fn(&Record) -> bool) -> usize {
        self.lock().iter().filter(|record| fits(record)).count()
    }

    /// All so far, by the time at which they began.
    pub fn history(&self) -> Vec<Record> {
        let mut records = self.lock().clone();
        records.sort_by_key(|record| record.from);
        records
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        // Records are only pushed: a panic elsewhere leaves the list whole.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
