//! Polls the Hub for agents with unread notifications, in the leader's name.
//!
//! The Hub answers at once as long as *any* agent has unread notifications, also those already queued. So the poller paces
//! itself: at once after news, backing off without. And since the poll's batch is cut by count, a full batch without news
//! is followed by a plain poll, so that a hundred stuck agents do not hide the next one. An activation that ends here cuts
//! a pause short, but not below a floor of its own: however many end, the Hub is asked about once a second.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};
use tracing::{debug, info, warn};

use super::{
    election::{LeaderTask, LeaderTerm, SteppedDown},
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
    /// The longest pause that nothing cuts short.
    pub pace_floor: Duration,
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
            pace_floor: Duration::from_secs(1),
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

/// Where one leadership's polling stands.
struct Progress {
    mode: Mode,
    /// How long the next long poll may block.
    block: Duration,
    pace: Pace,
    floor: Pace,
    /// Failed polls in a row.
    failures: u32,
    /// Why it does not poll now, once that was logged.
    held_up: Option<HeldUp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldUp {
    Full,
    StoreAway,
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
                Err(error) if error.is::<SteppedDown>() => {
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
        let mut progress = Progress {
            mode: Mode::Long,
            block: self.config.first_poll.min(self.config.long_poll),
            pace: Pace::new(self.config.pace_first, self.config.pace_longest),
            floor: Pace::new(self.config.pace_first, self.config.pace_floor),
            failures: 0,
            held_up: None,
        };
        loop {
            term.check()?;
            if self.wait_while_full(&mut progress).await {
                continue;
            }
            let started = Instant::now();
            let polled = self.poll(term, progress.mode, progress.block).await;
            let took = started.elapsed();
            match polled {
                Ok((polled, taken)) => {
                    progress.block = self.config.long_poll;
                    if progress.failures > 0 {
                        info!(failures = progress.failures, "polling the Hub works again");
                        progress.failures = 0;
                    }
                    let outcome = if taken.news > 0 {
                        PollOutcome::News
                    } else {
                        PollOutcome::Nothing
                    };
                    self.telemetry.polled(outcome, took);
                    self.after(&mut progress, polled, taken, took).await;
                }
                Err(PollFailure::Hub(HubError::NotFound(error))) if progress.mode == Mode::Long => {
                    warn!(error, every = ?self.config.plain_every, "the Hub has no long poll; falling back to the plain one");
                    progress.mode = Mode::Plain;
                }
                Err(failure) => {
                    self.telemetry.polled(PollOutcome::Failed, took);
                    failure.log(progress.failures)?;
                    self.after_failure(&mut progress).await;
                }
            }
        }
    }

    /// Backpressure: while high-priority items are at their limit the Hub keeps what it has.
    async fn wait_while_full(&self, progress: &mut Progress) -> bool {
        let (why, error) = match self.intake.room(TaskType::Inbox).await {
            Ok(0) => (HeldUp::Full, None),
            Ok(_) => {
                if progress.held_up.take().is_some() {
                    info!("there is room in the queue again");
                }
                return false;
            }
            Err(error) => (HeldUp::StoreAway, Some(error)),
        };
        if progress.held_up.replace(why) != Some(why) {
            match error {
                None => warn!("the queue is full; not polling until there is room"),
                Some(error) => warn!(%error, "can't ask the queue for room; not polling until it answers"),
            }
        }
        time::sleep(self.config.failure.base).await;
        true
    }

    async fn poll(&self, term: &LeaderTerm, mode: Mode, block: Duration) -> Result<(Polled, Taken), PollFailure> {
        let mut collector = self.intake.collector().await.map_err(PollFailure::Enqueue)?;
        let mut sink = |agent| collector.take(agent);
        let polled = match mode {
            Mode::Long => self.hub.poll(block, self.config.batch_size, &mut sink).await,
            Mode::Plain | Mode::Whole => self.hub.poll_plain(&mut sink).await,
        }
        .map_err(PollFailure::Hub)?;
        let taken = self
            .intake
            .enqueue(term, TaskType::Inbox, collector)
            .await
            .map_err(PollFailure::Enqueue)?;
        debug!(?mode, agents = polled.agents, news = taken.news, "polled");
        Ok((polled, taken))
    }

    /// Pause as the answer asks for, and decide how to poll next.
    async fn after(&self, progress: &mut Progress, polled: Polled, taken: Taken, took: Duration) {
        if progress.mode == Mode::Plain {
            // The whole list each time: nothing makes it come sooner.
            time::sleep(self.config.plain_every).await;
            return;
        }
        // An empty answer that the Hub took its time for is a pause already; one that comes at once is not.
        let blocked = polled.agents == 0 && took >= (self.config.long_poll / 2).max(self.config.pace_first);
        if taken.news > 0 || blocked {
            progress.pace.news();
            progress.floor.news();
        } else {
            self.pause(progress).await;
        }
        let full_of_old = progress.mode == Mode::Long
            && taken.news == 0
            && u32::try_from(polled.agents).is_ok_and(|n| n >= self.config.batch_size);
        progress.mode = if full_of_old { Mode::Whole } else { Mode::Long };
    }

    async fn after_failure(&self, progress: &mut Progress) {
        let longest = self.config.failure.ceiling(progress.failures);
        progress.failures = progress.failures.saturating_add(1);
        if progress.mode == Mode::Whole {
            // One look at the whole list is a help, not a need: the long poll goes on without it.
            progress.mode = Mode::Long;
        }
        time::sleep(longest.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
    }

    /// Pause, but beyond the floor no longer than until an activation ends here.
    async fn pause(&self, progress: &mut Progress) {
        let (span, floor) = (progress.pace.pause(), progress.floor.pause());
        time::sleep(floor.min(span)).await;
        tokio::select! {
            () = time::sleep(span.saturating_sub(floor)) => {}
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
        let (what, error) = match self {
            PollFailure::Hub(error) => ("polling the Hub failed", error.to_string()),
            PollFailure::Enqueue(error) if error.is::<SteppedDown>() => return Err(error),
            PollFailure::Enqueue(error) => ("what the Hub named could not be enqueued", format!("{error:#}")),
        };
        if failures == 0 {
            warn!(error, "{what}; trying again with backoff");
        } else {
            debug!(error, failures, "{what} again");
        }
        Ok(())
    }
}
