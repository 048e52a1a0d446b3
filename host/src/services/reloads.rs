//! Tells of every reload of a plugin or a definition on this host: counts it, puts it on the event stream, and wakes those who
//! wait for one.
//!
//! Events are written by a task of their own ([`Herald`]): no reload waits for the store because of them, and the end of a
//! replaced generation, which comes with the last activation that uses it, is told from a `drop`.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::plugins::{Change, Refusal, Reloaded};
use crate::{
    domain::{
        ending::brief,
        event::NewEvent,
        ids::{HostName, PluginName},
        plugin::Generation,
    },
    ports::{
        definitions::Reread,
        events::Events,
        store::StoreError,
        telemetry::{PluginReload, Telemetry, Unmeasured},
    },
};

/// Events that wait to be written; those beyond are only logged.
const WAITING: usize = 1_000;

/// How long a host that stops goes on writing what was told last.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Whoever reloads something tells it here.
#[derive(Clone)]
pub struct Reloads {
    host: Option<HostName>,
    events: mpsc::Sender<NewEvent>,
    telemetry: Arc<dyn Telemetry>,
    /// How often something has come that was not there before.
    changes: Arc<watch::Sender<u64>>,
}

/// Writes the events.
pub struct Herald {
    told: mpsc::Receiver<NewEvent>,
}

/// Both ends, for this host.
pub fn open(host: HostName, telemetry: Arc<dyn Telemetry>) -> (Reloads, Herald) {
    let (events, told) = mpsc::channel(WAITING);
    let reloads = Reloads {
        host: Some(host),
        events,
        telemetry,
        changes: Arc::new(watch::Sender::new(0)),
    };
    (reloads, Herald { told })
}

impl Reloads {
    /// For whoever has no operators to tell.
    pub fn unheard() -> Reloads {
        Reloads {
            host: None,
            events: mpsc::channel(1).0,
            telemetry: Arc::new(Unmeasured),
            changes: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Changes with everything that this host may be able to run from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Something has come, or may have come unseen.
    pub fn changed(&self) {
        self.changes.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// What became of a plugin. What a host finds at its start is no event, unless it is refused.
    pub fn plugin(&self, reloaded: &Reloaded, at_start: bool) {
        // It says nothing of the plugin: whoever asked is told, or asks again.
        if matches!(reloaded.change, Err(Refusal::Store(_) | Refusal::Stopping)) {
            return;
        }
        let generation = reloaded.running.as_ref().map(|running| running.generation.number);
        let name = PluginName::new(reloaded.name.as_str()).ok();
        self.telemetry.plugin_reloaded(&PluginReload {
            plugin: name.as_ref(),
            result: reloaded.word(),
            generation,
            took: reloaded.took.total,
        });
        let name = &reloaded.name;
        let now = generation.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let how = if reloaded.took.making.cached {
            "compiled before"
        } else {
            "compiled"
        };
        let took = format!("{how}, {:.0} ms", reloaded.took.total.as_secs_f64() * 1e3);
        match &reloaded.change {
            Ok(Change::New) if at_start => {}
            Ok(Change::New) => self.tell("plugin_loaded", format!("{name}: generation {now} ({took})")),
            Ok(Change::From(was)) => {
                self.tell("plugin_reloaded", format!("{name}: generation {was} -> {now} ({took})"))
            }
            Ok(Change::Manifest) => self.tell(
                "plugin_reloaded",
                format!("{name}: generation {now}, with another manifest"),
            ),
            Ok(Change::Gone) => self.tell("plugin_removed", format!("{name}: its files are gone")),
            Ok(Change::Unchanged) => {}
            Err(Refusal::Plugin(why)) => {
                let goes_on = match generation {
                    Some(number) => format!("generation {number} goes on"),
                    None => "nothing of it runs".to_owned(),
                };
                self.tell("plugin_refused", format!("{name}: {}; {goes_on}", brief(why)));
            }
            Err(Refusal::Store(_) | Refusal::Stopping) => {}
        }
        if matches!(reloaded.change, Ok(Change::New | Change::From(_) | Change::Manifest)) {
            self.changed();
        }
    }

    /// A generation is given to nobody any more.
    pub(super) fn retired(&self) {
        self.telemetry.plugin_retired();
    }

    /// The last one that used a retired generation is done with it, so long after.
    pub(super) fn drained(&self, generation: &Generation, after: Duration, activations: u64) {
        self.telemetry.plugin_drained();
        let (plugin, number) = (&generation.manifest.name, generation.number);
        info!(%plugin, generation = number, ?after, activations, "a replaced generation is drained");
        let after = after.as_secs_f64();
        let detail =
            format!("{plugin}: generation {number}, {after:.1} s after it was replaced; it ran {activations} times");
        self.tell("plugin_drained", detail);
    }

    /// What became of an agent's definition.
    pub fn definition(&self, agent: &str, reread: &Reread) {
        self.telemetry.definition_reread(reread.word());
        match reread {
            Reread::Changed | Reread::New => {
                info!(agent, "definition reloaded");
                let how = if *reread == Reread::New {
                    "read for the first time"
                } else {
                    "changed"
                };
                self.tell("definition_reloaded", format!("{agent}: {how}"));
                self.changed();
            }
            Reread::Gone => {
                warn!(agent, "its definition is gone");
                self.tell("definition_removed", format!("{agent}: its files are gone"));
            }
            Reread::Refused { why, kept } => {
                error!(agent, why, still_used = kept, "can't use a definition");
                let goes_on = if *kept {
                    "the last good one stays in use"
                } else {
                    "it can't run"
                };
                self.tell("definition_refused", format!("{agent}: {}; {goes_on}", brief(why)));
            }
            Reread::Unchanged | Reread::Unknown { .. } => {}
        }
    }

    fn tell(&self, kind: &'static str, detail: String) {
        let event = NewEvent {
            kind,
            host: self.host.clone(),
            agent: None,
            item: None,
            detail,
        };
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            warn!(
                kind,
                detail = event.detail,
                "too many events wait for the store; this one is not recorded"
            );
        }
    }
}

impl Herald {
    /// Write what is told until `shutdown`, and then the little that was told last.
    pub async fn run(
        mut self,
        events: Arc<dyn Events>,
        call_timeout: Duration,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        while let Some(Some(event)) = shutdown.run_until_cancelled(self.told.recv()).await {
            write(&*events, event, call_timeout).await;
        }
        shutdown.cancelled().await;
        let last_words = async {
            while let Ok(event) = self.told.try_recv() {
                write(&*events, event, call_timeout).await;
            }
        };
        if time::timeout(LAST_WORDS, last_words).await.is_err() {
            warn!("stopping; the last events of reloads are not recorded");
        }
        Ok(())
    }
}

async fn write(events: &dyn Events, event: NewEvent, call_timeout: Duration) {
    let kind = event.kind;
    let written = time::timeout(call_timeout, events.append(event)).await;
    if let Err(error) = written.unwrap_or_else(|_| Err(StoreError::no_answer(call_timeout))) {
        warn!(kind, %error, "could not record an event");
    }
}
