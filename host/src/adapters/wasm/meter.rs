//! CPU time and wall-clock time of one activation.
//!
//! CPU time is the time of whatever thread polls the activation, summed over the polls: waiting costs nothing, and what
//! the host does on a guest's behalf in between (instantiation, copying) counts, as does what it does with the guest's files
//! on threads that may wait. The epoch callback compares it, the
//! deadline is looked at whenever the guest has yielded.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, Sleep, sleep_until};

/// The time that an activation takes. Shared by the poll loop around the guest and the host functions inside of it,
/// which run on the same thread one after the other: relaxed atomics are enough.
#[derive(Default)]
pub struct Meter {
    /// Nanoseconds of finished polls.
    cpu: AtomicU64,
    /// Nanoseconds of what other threads did for it.
    elsewhere: AtomicU64,
    /// The thread's time when the present poll began.
    poll_began: AtomicU64,
    /// Whether the guest waits for the Hub or the store.
    upstream: AtomicBool,
    upstream_failed: AtomicBool,
}

/// The deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// It passed while the guest waited for the Hub or the store.
    pub upstream: bool,
}

impl Meter {
    /// CPU time up to now; to be asked from inside a poll.
    pub fn cpu_so_far(&self) -> Duration {
        let now = thread_time().saturating_sub(self.poll_began.load(Relaxed));
        self.cpu() + Duration::from_nanos(now)
    }

    /// CPU time of the finished polls, and of what was charged.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu.load(Relaxed) + self.elsewhere.load(Relaxed))
    }

    /// Do something for the guest on this thread, at the guest's expense.
    pub fn charge<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = thread_time();
        let done = work();
        self.elsewhere.fetch_add(thread_time().saturating_sub(began), Relaxed);
        done
    }

    /// Marks the guest as waiting for the Hub or the store until the answer is dropped.
    pub fn waits_upstream(&self) -> impl Drop + use<'_> {
        struct Waiting<'a>(&'a AtomicBool);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.store(false, Relaxed);
            }
        }
        self.upstream.store(true, Relaxed);
        Waiting(&self.upstream)
    }

    pub fn note_upstream_failure(&self) {
        self.upstream_failed.store(true, Relaxed);
    }

    pub fn upstream_failed(&self) -> bool {
        self.upstream_failed.load(Relaxed)
    }

    /// Run `work` to its end or to the deadline, whichever is first, and measure it. It is large: it stays where it is.
    pub async fn measure<T>(&self, deadline: Instant, mut work: Pin<&mut impl Future<Output = T>>) -> Result<T, Cut> {
        // Most activations end in their first poll; a timer costs more than some of them.
        let mut alarm: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            self.poll_began.store(thread_time(), Relaxed);
            let polled = work.as_mut().poll(context);
            let took = thread_time().saturating_sub(self.poll_began.load(Relaxed));
            self.cpu.fetch_add(took, Relaxed);
            if let Poll::Ready(value) = polled {
                return Poll::Ready(Ok(value));
            }
            let upstream = self.upstream.load(Relaxed);
            // The alarm alone would not do: tokio keeps it from firing while the work uses up its share of every poll.
            if Instant::now() >= deadline {
                return Poll::Ready(Err(Cut { upstream }));
            }
            let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            alarm.as_mut().poll(context).map(|()| Err(Cut { upstream }))
        })
        .await
    }
}

/// CPU time of this thread in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn what_another_thread_does_for_a_guest_is_the_guests() {
        let meter = Arc::new(Meter::default());
        let other = Arc::clone(&meter);
        let spin = || {
            let began = thread_time();
            while thread_time() - began < 20_000_000 {}
        };
        thread::spawn(move || other.charge(spin)).join().unwrap();
        assert!(meter.cpu() >= Duration::from_millis(20), "{:?}", meter.cpu());
        let before = meter.cpu();
        meter.charge(|| thread::sleep(Duration::from_millis(100)));
        assert!(
            meter.cpu() - before < Duration::from_millis(50),
            "waiting costs nothing"
        );
    }
}
