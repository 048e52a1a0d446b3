//! Calls of one kind that come at the same time go as one: while a call is on its way, later ones gather and go together
//! as the next. Whoever comes alone waits for nobody.
//!
//! The calls are made by a task of their own: a caller that goes away takes nothing with it, and each waits no longer than
//! it would alone.

use std::{
    future::Future,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::yield_now,
    time::{Instant, timeout},
};

use crate::ports::store::StoreError;

/// Calls that go as one, at most: so that one script keeps nobody waiting for long.
const MOST: usize = 128;

/// How often others get their turn before a call goes, where calls follow each other…
const PASSES: usize = 3;
/// …as soon as this: who comes after a longer silence comes alone, most likely, and goes at once.
const FOLLOWING: Duration = Duration::from_millis(1);

type Answer<R> = Result<R, StoreError>;
/// Calls that go as one, and where each is answered.
type Batch<T, R> = (Arc<[T]>, Vec<oneshot::Sender<Answer<R>>>);

struct Gathered<T, R> {
    calls: Vec<(T, oneshot::Sender<Answer<R>>)>,
    /// Somebody is making calls, and will come for what is gathered.
    going: bool,
    /// When the last call was answered.
    answered: Option<Instant>,
}

/// Gathers calls with a `T` that are answered with an `R`.
pub(super) struct Combine<T, R>(Mutex<Gathered<T, R>>);

impl<T: Clone + Send + Sync + 'static, R: Send + 'static> Combine<T, R> {
    pub fn new() -> Arc<Combine<T, R>> {
        Arc::new(Combine(Mutex::new(Gathered {
            calls: Vec::new(),
            going: false,
            answered: None,
        })))
    }

    /// Make one call, together with others. `send` makes the common call and gives each its answer, in order; nothing if
    /// the caller's time is over first.
    pub async fn call<S, F>(self: &Arc<Self>, call: T, at_most: Duration, send: S) -> Option<Answer<R>>
    where
        S: Fn(Arc<[T]>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<Answer<R>>, StoreError>> + Send + 'static,
    {
        let (told, answer) = oneshot::channel();
        let (first, alone) = {
            let mut gathered = self.lock();
            gathered.calls.push((call, told));
            let follows = gathered.answered.is_some_and(|at| at.elapsed() < FOLLOWING);
            (!mem::replace(&mut gathered.going, true), !follows)
        };
        if first {
            tokio::spawn(Arc::clone(self).go(send, alone));
        }
        let cut = |_| StoreError::Unavailable("the process is ending".to_owned());
        let answer = timeout(at_most, answer).await.ok()?;
        Some(answer.map_err(cut).and_then(|answer| answer))
    }

    async fn go<S, F>(self: Arc<Self>, send: S, alone: bool)
    where
        S: Fn(Arc<[T]>) -> F,
        F: Future<Output = Result<Vec<Answer<R>>, StoreError>>,
    {
        let mut passes = if alone { 0 } else { PASSES };
        loop {
            // Those who come in the same instant go along.
            for _ in 0..passes {
                yield_now().await;
            }
            passes = PASSES;
            let (calls, told) = self.next();
            let answers = match send(Arc::clone(&calls)).await {
                Ok(answers) => answers,
                // The store is the same for all of them.
                Err(error @ StoreError::Unavailable(_)) => calls.iter().map(|_| Err(error.clone())).collect(),
                // What is wrong with one is not wrong with the others.
                Err(error) if calls.len() == 1 => vec![Err(error)],
                Err(_) => {
                    let mut answers = Vec::with_capacity(calls.len());
                    for call in calls.iter() {
                        let alone = send(Arc::from([call.clone()])).await;
                        answers.push(alone.and_then(|mut answers| answers.pop().unwrap_or_else(|| Err(short()))));
                    }
                    answers
                }
            };
            let mut answers = answers.into_iter();
            for told in told {
                // Whoever has gone away needs no answer.
                let _ = told.send(answers.next().unwrap_or_else(|| Err(short())));
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gathered<T, R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has gathered, as far as it goes as one.
    fn next(&self) -> Batch<T, R> {
        let mut gathered = self.lock();
        let most = gathered.calls.len().min(MOST);
        let (calls, told): (Vec<T>, Vec<_>) = gathered.calls.drain(..most).unzip();
        (calls.into(), told)
    }

    /// Whether nothing has gathered; then the next caller goes by itself.
    fn is_over(&self) -> bool {
        let mut gathered = self.lock();
        gathered.going = !gathered.calls.is_empty();
        gathered.answered = Some(Instant::now());
        !gathered.going
    }
}

fn short() -> StoreError {
    StoreError::Corrupt("Redis gave fewer answers than there were questions".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Doubles numbers; 13 spoils the call that it is in. Each call waits for a permit.
    #[derive(Clone)]
    struct Doubler {
        combine: Arc<Combine<u32, u32>>,
        sent: Arc<Mutex<Vec<usize>>>,
        permits: Arc<Semaphore>,
    }

    impl Doubler {
        fn new(permits: usize) -> Doubler {
            Doubler {
                combine: Combine::new(),
                sent: Arc::default(),
                permits: Arc::new(Semaphore::new(permits)),
            }
        }

        async fn call(&self, number: u32, at_most: Duration) -> Option<Answer<u32>> {
            let (sent, permits) = (self.sent.clone(), self.permits.clone());
            let send = move |numbers: Arc<[u32]>| {
                sent.lock().unwrap().push(numbers.len());
                let permits = permits.clone();
                async move {
                    permits.acquire().await.unwrap().forget();
                    match numbers.contains(&13) {
                        true => Err(StoreError::Corrupt("13".to_owned())),
                        false => Ok(numbers.iter().map(|number| Ok(number * 2)).collect()),
                    }
                }
            };
            self.combine.call(number, at_most, send).await
        }

        fn sent(&self) -> Vec<usize> {
            self.sent.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn what_comes_meanwhile_goes_together() {
        let doubler = Doubler::new(1000);
        let answers = join_all((20..320).map(|n| doubler.call(n, LONG))).await;
        for (n, answer) in (20u32..).zip(answers) {
            assert_eq!(answer, Some(Ok(n * 2)));
        }
        assert!(doubler.sent().len() <= 4, "{:?}", doubler.sent());
        assert_eq!(doubler.call(7, LONG).await, Some(Ok(14)), "alone again");
    }

    #[tokio::test]
    async fn what_is_wrong_with_one_is_not_wrong_with_the_others() {
        let doubler = Doubler::new(1000);
        let answers = join_all((10..16).map(|n| doubler.call(n, LONG))).await;
        for (n, answer) in (10u32..).zip(answers) {
            match n {
                13 => assert!(matches!(answer, Some(Err(StoreError::Corrupt(_)))), "{answer:?}"),
                n => assert_eq!(answer, Some(Ok(n * 2))),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_takes_nothing_along_and_nobody_waits_longer_than_its_time() {
        let doubler = Doubler::new(0);
        let finished = Arc::new(AtomicUsize::new(0));
        let late = tokio::spawn({
            let (doubler, finished) = (doubler.clone(), finished.clone());
            async move {
                assert_eq!(doubler.call(1, LONG).await, Some(Ok(2)));
                finished.fetch_add(1, Ordering::SeqCst);
            }
        });
        // Its call is made, but not answered in time.
        assert_eq!(doubler.call(2, Duration::from_secs(1)).await, None);
        let gone = tokio::spawn({
            let doubler = doubler.clone();
            async move { doubler.call(3, LONG).await }
        });
        yield_now().await;
        gone.abort();
        assert_eq!(finished.load(Ordering::SeqCst), 0);
        doubler.permits.add_permits(10);
        late.await.unwrap();
        assert_eq!(doubler.call(4, LONG).await, Some(Ok(8)));
    }
}
