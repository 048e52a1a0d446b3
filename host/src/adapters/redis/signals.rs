//! What else is waited for: a vacancy, an event, an item's end. Scripts publish on channels that are named like the key
//! that changed; one task with a connection of its own listens, and tells whoever waits here.
//!
//! Who waits registers, makes sure that Redis has the subscription, and only then looks.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{
    Client, RedisResult,
    aio::{PubSubSink, PubSubStream},
};
use tokio::{
    sync::{broadcast, watch},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::calls::Calls;
use crate::domain::ids::ItemId;

/// Signals that a slow waiter may miss before it looks for itself.
const BACKLOG: usize = 1024;
/// Between tries to connect.
const RETRY: Duration = Duration::from_millis(500);
/// A connection that says nothing for so long is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Event,
    Ended(ItemId),
    /// Redis was not listened to for a moment: anything may have happened meanwhile.
    Anything,
}

/// What Redis is known to send us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heard {
    connected: bool,
    ends: bool,
}

pub(super) struct Signals {
    told: broadcast::Sender<Signal>,
    /// Marked whenever the leader's lease may have become free.
    vacant: watch::Sender<()>,
    heard: watch::Sender<Heard>,
    /// How many wait for ends: they are many, and listened to only for somebody.
    wanted: watch::Sender<usize>,
    call_timeout: Duration,
}

/// Counts somebody as waiting for ends, until it is dropped.
pub(super) struct WantsEnds<'a>(&'a watch::Sender<usize>);

impl Drop for WantsEnds<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|wanted| *wanted -= 1);
    }
}

impl Signals {
    /// Told from now on; also once Redis can be heard again.
    pub fn vacancies(&self) -> watch::Receiver<()> {
        self.vacant.subscribe()
    }

    /// Register for events. When it returns, none is missed, or Redis can't be reached anyway.
    pub async fn listen(&self) -> broadcast::Receiver<Signal> {
        let receiver = self.told.subscribe();
        self.until(|heard| heard.connected).await;
        receiver
    }

    /// Register for ends, for as long as what is returned is kept.
    pub async fn listen_for_ends(&self) -> (broadcast::Receiver<Signal>, WantsEnds<'_>) {
        let receiver = self.told.subscribe();
        self.wanted.send_modify(|wanted| *wanted += 1);
        let wants = WantsEnds(&self.wanted);
        self.until(|heard| heard.connected && heard.ends).await;
        (receiver, wants)
    }

    async fn until(&self, condition: impl FnMut(&Heard) -> bool) {
        let mut heard = self.heard.subscribe();
        // Not heard in time: whoever waits looks, and is told `Anything` once Redis is back.
        let _ = timeout(self.call_timeout, heard.wait_for(condition)).await;
    }
}

/// Wait for a signal that fits, at most so long; true if there was one, or may have been.
pub(super) async fn told(
    receiver: &mut broadcast::Receiver<Signal>,
    at_most: Duration,
    mut fits: impl FnMut(Signal) -> bool,
) -> bool {
    let wait = async {
        loop {
            match receiver.recv().await {
                Ok(signal) if signal == Signal::Anything || fits(signal) => return,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The store is being closed: there is nothing to wait for but the time.
                Err(broadcast::error::RecvError::Closed) => std::future::pending::<()>().await,
            }
        }
    };
    timeout(at_most, wait).await.is_ok()
}

pub(super) fn start(client: Client, calls: &Calls) -> (Arc<Signals>, AbortOnDropHandle<()>) {
    let signals = Arc::new(Signals {
        told: broadcast::Sender::new(BACKLOG),
        vacant: watch::Sender::new(()),
        heard: watch::Sender::new(Heard::default()),
        wanted: watch::Sender::new(0),
        call_timeout: calls.timeout,
    });
    let listener = Listener {
        signals: signals.clone(),
        client,
        vacancies: calls.keys.of("leader"),
        events: calls.keys.of("events"),
        ends: calls.keys.of("data"),
    };
    (signals, AbortOnDropHandle::new(tokio::spawn(listener.run())))
}

struct Listener {
    signals: Arc<Signals>,
    client: Client,
    vacancies: String,
    events: String,
    ends: String,
}

impl Listener {
    async fn run(self) {
        let mut failing = false;
        loop {
            match self.connect().await {
                Ok((sink, stream)) => {
                    failing = false;
                    self.serve(sink, stream).await;
                }
                // Told once per outage: whoever waits looks by itself at the end of its time.
                Err(error) if !failing => {
                    failing = true;
                    warn!(%error, "store_signals_interrupted");
                }
                Err(error) => debug!(%error, "store_signals_interrupted"),
            }
            self.signals.heard.send_replace(Heard::default());
            sleep(RETRY).await;
        }
    }

    async fn connect(&self) -> RedisResult<(PubSubSink, PubSubStream)> {
        let connecting = async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(&[&self.vacancies, &self.events]).await?;
            Ok((sink, stream))
        };
        match timeout(self.signals.call_timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err((redis::ErrorKind::Io, "no answer in time").into()),
        }
    }

    /// Tell what is heard, until the connection ends.
    async fn serve(&self, mut sink: PubSubSink, mut stream: PubSubStream) {
        let mut heard = Heard {
            connected: true,
            ends: false,
        };
        let mut wanted = self.signals.wanted.subscribe();
        self.signals.heard.send_replace(heard);
        // Nobody waiting is not an error, here and below.
        let _ = self.signals.told.send(Signal::Anything);
        self.signals.vacant.send_replace(());
        loop {
            let wants = *wanted.borrow_and_update() > 0;
            if wants != heard.ends {
                let done = match wants {
                    true => timeout(self.signals.call_timeout, sink.subscribe(&self.ends)).await,
                    false => timeout(self.signals.call_timeout, sink.unsubscribe(&self.ends)).await,
                };
                if !matches!(done, Ok(Ok(()))) {
                    return;
                }
                heard.ends = wants;
                self.signals.heard.send_replace(heard);
                if wants {
                    // Who came while the subscription was being ended was told that it stands: ends may have been missed.
                    let _ = self.signals.told.send(Signal::Anything);
                }
            }
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                message = timeout(SILENCE, stream.next()) => match message {
                    Ok(Some(message)) => self.tell(&message),
                    Ok(None) => return,
                    Err(_) => {
                        let alive = timeout(self.signals.call_timeout, sink.ping::<redis::Value>()).await;
                        if !matches!(alive, Ok(Ok(_))) {
                            return;
                        }
                    }
                },
            }
        }
    }

    fn tell(&self, message: &redis::Msg) {
        let channel = message.get_channel_name();
        let signal = if channel == self.vacancies {
            self.signals.vacant.send_replace(());
            return;
        } else if channel == self.events {
            Signal::Event
        } else {
            match message
                .get_payload::<String>()
                .ok()
                .and_then(|id| ItemId::parse(&id).ok())
            {
                Some(item) => Signal::Ended(item),
                None => return,
            }
        };
        let _ = self.signals.told.send(signal);
    }
}
