//! A claim that stands: it goes along with what this process enqueues next, in the same step. An idle host so has the first
//! of what it enqueues itself without being woken for it, and the store has one call to answer instead of two.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    store::StoreError,
    work_queue::{ClaimRequest, Claimed},
};
use crate::domain::{ids::AgentId, time::BootTime};

/// What it brought, with the time from which the leases count: maybe nothing. After an error it may have claimed
/// something: the same tokens tell.
pub type Brought = Result<(BootTime, Vec<Claimed>), StoreError>;

/// Asked just before the claim goes: the time, or nothing if the host has something else to do.
type Departs = Box<dyn Fn() -> Option<BootTime> + Send + Sync>;

struct Stands {
    /// The same as that of who waits.
    mark: Arc<()>,
    request: ClaimRequest,
    departs: Departs,
    gone: oneshot::Sender<()>,
    answer: oneshot::Sender<Brought>,
}

/// Where at most one claim stands.
#[derive(Clone, Default)]
pub struct Standing(Arc<Mutex<Option<Stands>>>);

/// For who waits. It stands until this is dropped or the claim has gone.
pub struct StandingClaim {
    place: Standing,
    mark: Arc<()>,
    gone: oneshot::Receiver<()>,
    answer: oneshot::Receiver<Brought>,
}

/// A claim that goes now. Who drops it without an answer leaves open what it has claimed.
pub struct DepartingClaim {
    pub request: ClaimRequest,
    sent: BootTime,
    answer: oneshot::Sender<Brought>,
}

impl Standing {
    /// Have a claim stand, instead of another that may stand here.
    pub fn stand(
        &self,
        request: ClaimRequest,
        departs: impl Fn() -> Option<BootTime> + Send + Sync + 'static,
    ) -> StandingClaim {
        let (told, answer) = oneshot::channel();
        let (goes, gone) = oneshot::channel();
        let mark = Arc::new(());
        *self.lock() = Some(Stands {
            mark: Arc::clone(&mark),
            request,
            departs: Box::new(departs),
            gone: goes,
            answer: told,
        });
        StandingClaim {
            place: self.clone(),
            mark,
            gone,
            answer,
        }
    }

    /// The claim that stands here, if it is to go along with an item of this agent.
    pub fn depart(&self, agent: &AgentId) -> Option<DepartingClaim> {
        let mut place = self.lock();
        let stands = place.take_if(|stands| !stands.request.avoid.contains(agent))?;
        let Some(sent) = (stands.departs)() else {
            *place = Some(stands);
            return None;
        };
        // Who waits may be about to end it.
        let _ = stands.gone.send(());
        Some(DepartingClaim {
            request: stands.request,
            sent,
            answer: stands.answer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stands>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DepartingClaim {
    /// Tell who waits what became of it.
    pub fn tell(self, claimed: Result<Vec<Claimed>, StoreError>) {
        // Who is gone has withdrawn before it went, or asks again with the same tokens.
        let _ = self.answer.send(claimed.map(|claimed| (self.sent, claimed)));
    }
}

impl StandingClaim {
    /// One that goes nowhere: for stores where a wake-up takes no time anyway.
    pub fn never(request: ClaimRequest) -> StandingClaim {
        Standing::default().stand(request, || None)
    }

    /// Return as soon as it goes, before it is answered: what it brings is next. Safe to cancel; not to be called again once
    /// it has returned.
    pub async fn gone(&mut self) {
        if (&mut self.gone).await.is_err() {
            // Another stands in its place.
            pending().await
        }
    }

    /// Let it stand no longer. What it has brought if it has gone, which is waited for.
    pub async fn end(mut self) -> Option<Brought> {
        if self.withdraw() {
            return None;
        }
        let cut = |_| {
            Err(StoreError::Unavailable(
                "the call that it went along with was given up".to_owned(),
            ))
        };
        Some((&mut self.answer).await.unwrap_or_else(cut))
    }

    /// Whether it still stood.
    fn withdraw(&self) -> bool {
        let mut place = self.place.lock();
        place.take_if(|stands| Arc::ptr_eq(&stands.mark, &self.mark)).is_some()
    }
}

impl Drop for StandingClaim {
    fn drop(&mut self) {
        self.withdraw();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

    use futures_util::{FutureExt, poll};

    use super::*;
    use crate::domain::ids::{ClaimToken, HostName};

    fn request(avoid: &[&str]) -> ClaimRequest {
        ClaimRequest {
            host: HostName::new("h").unwrap(),
            tokens: vec![ClaimToken::fresh()],
            lease: Duration::from_secs(1),
            avoid: avoid.iter().map(|agent| AgentId::new(*agent).unwrap()).collect(),
        }
    }

    fn agent(name: &str) -> AgentId {
        AgentId::new(name).unwrap()
    }

    const NOW: BootTime = BootTime(Duration::from_secs(7));

    #[tokio::test]
    async fn it_goes_once_and_who_waits_is_told() {
        let place = Standing::default();
        let request = request(&[]);
        let mut waits = place.stand(request.clone(), || Some(NOW));
        assert!(poll!(Box::pin(waits.gone())).is_pending());
        let departs = place.depart(&agent("a")).unwrap();
        waits.gone().await;
        assert_eq!(departs.request.tokens, request.tokens);
        assert!(place.depart(&agent("a")).is_none(), "it has gone");
        departs.tell(Ok(Vec::new()));
        assert_eq!(waits.end().await, Some(Ok((NOW, Vec::new()))));
    }

    #[tokio::test]
    async fn it_stays_for_agents_that_are_left_to_others_and_while_the_host_has_something_else_to_do() {
        let place = Standing::default();
        let idle = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&idle);
        let waits = place.stand(request(&["b"]), move || asked.load(Ordering::SeqCst).then_some(NOW));
        assert!(place.depart(&agent("a")).is_none());
        idle.store(true, Ordering::SeqCst);
        assert!(place.depart(&agent("b")).is_none());
        assert!(place.depart(&agent("a")).is_some());
        assert!(waits.end().await.unwrap().is_err(), "it was given up unanswered");
    }

    #[tokio::test]
    async fn it_stands_no_longer_than_somebody_waits() {
        let place = Standing::default();
        drop(place.stand(request(&[]), || Some(NOW)));
        assert!(place.depart(&agent("a")).is_none());
        assert_eq!(place.stand(request(&[]), || Some(NOW)).end().await, None);
        assert!(place.depart(&agent("a")).is_none());

        // One that has gone is seen through.
        let waits = place.stand(request(&[]), || Some(NOW));
        let departs = place.depart(&agent("a")).unwrap();
        let later = place.stand(request(&[]), || Some(NOW));
        let mut ended = Box::pin(waits.end());
        assert!(ended.as_mut().now_or_never().is_none());
        departs.tell(Ok(Vec::new()));
        assert_eq!(ended.await, Some(Ok((NOW, Vec::new()))));
        assert!(place.depart(&agent("a")).is_some(), "another's is not withdrawn");
        drop(later);
    }
}
