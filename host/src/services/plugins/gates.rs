//! One at a time through each of any number of gates, which exist as long as somebody is at them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

#[derive(Default)]
pub struct Gates(SyncMutex<HashMap<String, Arc<Mutex<()>>>>);

impl Gates {
    /// Wait for the turn; it lasts until what is returned is dropped.
    pub async fn pass(&self, name: &str) -> OwnedMutexGuard<()> {
        let gate = {
            let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever passes or waits holds a second reference.
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(gates.entry(name.to_owned()).or_default())
        };
        gate.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_passes_a_gate_and_each_gate_is_its_own() {
        let gates = Gates::default();
        let first = gates.pass("a").await;
        drop(gates.pass("b").await);
        let mut second = Box::pin(gates.pass("a"));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        drop(second.await);
        drop(gates.pass("c").await);
        assert_eq!(gates.0.lock().unwrap().len(), 1, "those that nobody is at are gone");
    }
}
