//! Polls the Hub for agents with unread notifications, in the leader's name.
//!
//! The Hub answers at once as long as *any* agent has unread notifications, also those already queued. So the poller paces
//! itself: at once after news, backing off without. And since the poll's batch is cut by count, a full batch without news
//! is followed by a plain poll, so that a hundred stuck agents do not hide the next one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};
use tracing::{debug, info, warn};

use super::{
    election::{LeaderTask, LeaderTerm},
    intake::{Intake, Pace, Taken},
};
use crate::{
    domain::{backoff::Backoff, work_item::TaskType},
    ports::{
        hub::{Hub, HubError, Polled},
        telemetry::{PollOutcome, Telemetry},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollerConfig {
    /// How long the Hub may block a long poll.
    pub long_poll: Duration,
    /// The same for the first one of a leadership: a quiet Hub is seen soon, and the host is ready, not only half a minute
    /// later.
    pub first_poll: Duration,
    pub batch_size: u32,
    /// Between plain polls where the Hub has no long poll.
    pub plain_every: Duration,
    /// The first and the longest pause between polls that bring no news.
    pub pace_first: Duration,
    pub pace_longest: Duration,
    /// After failed polls.
    pub failure: Backoff,
}

impl Default for PollerConfig {
    fn default() -> PollerConfig {
        PollerConfig {
            long_poll: Duration::from_secs(30),
            first_poll: Duration::from_secs(1),
            batch_size: 100,
            plain_every: Duration::from_secs(30),
            pace_first: Duration::from_millis(100),
            pace_longest: Duration::from_secs(5),
            failure: Backoff {
                base: Duration::from_secs(1),
                max: Duration::from_secs(30),
            },
        }
    }
}

pub struct Poller {
    pub hub: Arc<dyn Hub>,
    pub intake: Arc<Intake>,
    pub telemetry: Arc<dyn Telemetry>,
    pub config: PollerConfig,
    /// Rung by this host's runner when an activation ended: what waited behind it may be news now.
    pub ended: Arc<Notify>,
}

/// How the next poll is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Long,
    /// The Hub has no long poll.
    Plain,
    /// A full batch was all old: look at the whole list once.
    Whole,
}

#[async_trait]
impl LeaderTask for Poller {
    fn name(&self) -> &'static str {
        "poller"
    }

    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()> {
        let ended = term.ended().clone();
        tokio::select! {
            // Dropping the poll cuts its connection, however long it still had to block.
            () = ended.cancelled() => Ok(()),
            result = self.poll_forever(&term) => match result {
                // Fenced, or past the deadline: the election notices by itself.
                Err(error) if error.is::<super::election::SteppedDown>() => {
                    ended.cancelled().await;
                    Ok(())
                }
                other => other,
            },
        }
    }
}

impl Poller {
    async fn poll_forever(&self, term: &LeaderTerm) -> anyhow::Result<()> {
        let mut pace = Pace::new(self.config.pace_first, self.config.pace_longest);
        let mut mode = Mode::Long;
        let mut block = self.config.first_poll.min(self.config.long_poll);
        let mut failures = 0;
        loop {
            term.check()?;
            if self.wait_while_full().await {
                continue;
            }
            let started = Instant::now();
            let polled = self.poll(term, mode, block).await;
            let took = started.elapsed();
            match polled {
                Ok((polled, taken)) => {
                    block = self.config.long_poll;
                    if failures > 0 {
                        info!(failures, "the Hub answers again");
                        failures = 0;
                    }
                    self.telemetry.polled(
                        if taken.news > 0 {
                            PollOutcome::News
                        } else {
                            PollOutcome::Nothing
                        },
                        took,
                    );
                    mode = self.after(mode, polled, taken, &mut pace).await;
                }
                Err(PollFailure::Hub(HubError::NotFound(error))) if mode == Mode::Long => {
                    warn!(error, every = ?self.config.plain_every, "the Hub has no long poll; falling back to the plain one");
                    mode = Mode::Plain;
                }
                Err(failure) => {
                    self.telemetry.polled(PollOutcome::Failed, took);
                    failure.log(failures)?;
                    let wait = self
                        .config
                        .failure
                        .ceiling(failures)
                        .mul_f64(0.5 + rand::random::<f64>() / 2.0);
                    failures += 1;
                    time::sleep(wait).await;
                }
            }
        }
    }

    /// Backpressure: while high-priority items are at their limit the Hub keeps what it has.
    async fn wait_while_full(&self) -> bool {
        match self.intake.room(TaskType::Inbox).await {
            Ok(0) => {
                warn!("the queue is full; not polling until there is room");
                self.pause(self.config.pace_longest).await;
                true
            }
            Ok(_) => false,
            Err(error) => {
                warn!(%error, "can't ask the queue for room");
                self.pause(self.config.failure.base).await;
                true
            }
        }
    }

    async fn poll(&self, term: &LeaderTerm, mode: Mode, block: Duration) -> Result<(Polled, Taken), PollFailure> {
        let mut collector = self.intake.collector(TaskType::Inbox);
        let mut sink = |agent| collector.take(agent);
        let polled = match mode {
            Mode::Long => self.hub.poll(block, self.config.batch_size, &mut sink).await,
            Mode::Plain | Mode::Whole => self.hub.poll_plain(&mut sink).await,
        }
        .map_err(PollFailure::Hub)?;
        let taken = self
            .intake
            .enqueue(term, collector.into_items())
            .await
            .map_err(PollFailure::Enqueue)?;
        debug!(?mode, agents = polled.agents, news = taken.news, "polled");
        Ok((polled, taken))
    }

    /// Pause as the answer asks for, and decide how to poll next.
    async fn after(&self, mode: Mode, polled: Polled, taken: Taken, pace: &mut Pace) -> Mode {
        if taken.news > 0 {
            pace.news();
        }
        match mode {
            Mode::Plain => {
                self.pause(self.config.plain_every).await;
                Mode::Plain
            }
            Mode::Long | Mode::Whole => {
                if taken.news == 0 && polled.agents > 0 {
                    self.pause(pace.pause()).await;
                }
                let full_of_old = mode == Mode::Long
                    && taken.news == 0
                    && u32::try_from(polled.agents).is_ok_and(|n| n >= self.config.batch_size);
                if full_of_old { Mode::Whole } else { Mode::Long }
            }
        }
    }

    /// Sleep, but no longer than until an activation ends here.
    async fn pause(&self, span: Duration) {
        tokio::select! {
            () = time::sleep(span) => {}
            () = self.ended.notified() => {}
        }
    }
}

enum PollFailure {
    Hub(HubError),
    Enqueue(anyhow::Error),
}

impl PollFailure {
    /// Once per outage as a warning, then quietly; losing the leadership is passed on.
    fn log(self, failures: u32) -> anyhow::Result<()> {
        let error = match self {
            PollFailure::Hub(error) => error.to_string(),
            PollFailure::Enqueue(error) if error.is::<super::election::SteppedDown>() => return Err(error),
            PollFailure::Enqueue(error) => format!("{error:#}"),
        };
        if failures == 0 {
            warn!(error, "polling the Hub failed; trying again with backoff");
        } else {
            debug!(error, failures, "polling the Hub failed again");
        }
        Ok(())
    }
}
