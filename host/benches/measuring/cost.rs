//! What work costs: wall-clock time, and CPU time of this whole process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall: Duration,
    pub cpu: Duration,
}

/// Do it and measure it.
pub async fn of<T>(work: impl Future<Output = T>) -> (T, Cost) {
    let (cpu, began) = (cpu_time(), Instant::now());
    let done = work.await;
    let wall = began.elapsed();
    let cpu = cpu_time().saturating_sub(cpu);
    (done, Cost { wall, cpu })
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
