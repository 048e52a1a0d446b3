//! This host's part in the election, seen from outside: where it stands, and what it can be asked to do.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::LeaderTerm;
use crate::{
    domain::{
        ids::{HostName, Term},
        preference::Score,
    },
    ports::leadership::Leader,
};

/// Orders that wait for the election's attention; more are refused.
const ORDERS: usize = 4;

/// What this host knows of the leadership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not yet heard of.
    Unknown,
    Following(Option<Leader>),
    Leading(Term),
}

/// How much this host is wanted as the leader now.
pub type Scoring = Arc<dyn Fn() -> Score + Send + Sync>;

/// How a handover went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Who leads now; nothing if nobody took over while this host held back.
    pub leader: Option<Leader>,
    /// From the order until the new leader was seen, the end of leader-only work included.
    pub took: Duration,
}

/// Why the election did not do what it was asked.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    #[error("this host does not lead")]
    NotLeading,
    #[error("this host is stopping, or busy with another order; ask again")]
    Busy,
}

/// To hand over, `to` one host if it is named.
pub(super) struct Order {
    pub(super) to: Option<HostName>,
    answer: oneshot::Sender<Result<HandedOver, Refused>>,
}

impl Order {
    pub(super) fn answer(self, answer: Result<HandedOver, Refused>) {
        // Whoever has stopped waiting for the answer does not need it.
        let _ = self.answer.send(answer);
    }
}

/// The outer side: for the API, metrics, and whoever watches the store.
#[derive(Clone)]
pub struct Office {
    standing: watch::Receiver<Standing>,
    term: watch::Receiver<Option<Arc<LeaderTerm>>>,
    orders: mpsc::Sender<Order>,
    scoring: Scoring,
}

/// The inner side: what the election writes and reads.
pub struct Seat {
    pub standing: watch::Sender<Standing>,
    pub(super) term: watch::Sender<Option<Arc<LeaderTerm>>>,
    pub(super) orders: Mutex<mpsc::Receiver<Order>>,
    pub(super) scoring: Scoring,
}

/// Both sides of one host's part in one election.
pub fn open(scoring: Scoring) -> (Office, Seat) {
    let (standing, stands) = watch::channel(Standing::Unknown);
    let (term, terms) = watch::channel(None);
    let (orders, ordered) = mpsc::channel(ORDERS);
    let office = Office {
        standing: stands,
        term: terms,
        orders,
        scoring: Arc::clone(&scoring),
    };
    let seat = Seat {
        standing,
        term,
        orders: Mutex::new(ordered),
        scoring,
    };
    (office, seat)
}

impl Office {
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// What is left until the local deadline; zero if this host does not lead. Asked of the clock, so a host that was
    /// stopped for longer than its lease never says that it leads, not even before its election has noticed.
    pub fn lease_left(&self) -> Duration {
        match &*self.term.borrow() {
            Some(term) => term.usable(),
            None => Duration::ZERO,
        }
    }

    pub fn leads(&self) -> bool {
        !self.lease_left().is_zero()
    }

    pub fn score(&self) -> Score {
        (self.scoring)()
    }

    /// Stop leading and let another host lead, `to` if it is named. Returns once another leads, or once nobody took over for
    /// a while; then this host bids again.
    pub async fn hand_over(&self, to: Option<HostName>) -> Result<HandedOver, Refused> {
        let (answer, answered) = oneshot::channel();
        self.orders.try_send(Order { to, answer }).map_err(|_| Refused::Busy)?;
        answered.await.unwrap_or(Err(Refused::Busy))
    }
}

impl Seat {
    /// The next order. Safe to cancel.
    pub(super) async fn next_order(&self) -> Order {
        match self.orders.lock().await.recv().await {
            Some(order) => order,
            // Nobody is left who could give one.
            None => std::future::pending().await,
        }
    }

    pub(super) fn score(&self) -> Score {
        (self.scoring)()
    }
}
