//! Starts long-lived tasks in stages, and stops the stages in order.
//!
//! A task that ends although nobody asked it to is a fault of the host: the process ends with the reason, and whoever
//! supervises the process starts it anew. No loop dies silently.

use std::{future::Future, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

/// Tasks that are stopped together.
pub struct Stage {
    name: &'static str,
    stop: CancellationToken,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
}

impl Stage {
    pub fn new(name: &'static str) -> Stage {
        Stage {
            name,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Start a task that runs until the token it is given is cancelled.
    pub fn spawn<F>(&mut self, task: &'static str, start: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let running = start(self.stop.child_token());
        self.tasks.spawn(async move { (task, running.await) });
    }

    /// Cancelled when the stage is asked to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Resolves when a task has ended by itself, with what there is to say about it. Safe to cancel.
    pub async fn fault(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(Ok((task, Ok(())))) => anyhow!("task {task} ended by itself"),
            Some(Ok((task, Err(error)))) => error.context(format!("task {task} failed")),
            Some(Err(panic)) => anyhow!("a task of stage {} panicked: {panic}", self.name),
        }
    }

    /// Ask every task to stop and wait for all of them, `at_most` so long. The first error is returned, the others logged.
    pub async fn stop(mut self, at_most: Duration) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut first = Ok(());
        let joined = time::timeout(at_most, async {
            while let Some(ended) = self.tasks.join_next().await {
                let result = match ended {
                    Ok((task, result)) => result.with_context(|| format!("task {task} failed while stopping")),
                    Err(panic) => Err(anyhow!(
                        "a task of stage {} panicked while stopping: {panic}",
                        self.name
                    )),
                };
                match (result, &first) {
                    (Ok(()), _) => {}
                    (Err(error), Ok(())) => first = Err(error),
                    (Err(error), Err(_)) => error!(error = format!("{error:#}"), "another task failed while stopping"),
                }
            }
        });
        if joined.await.is_err() {
            self.tasks.abort_all();
            return Err(anyhow!(
                "stage {} did not stop within {at_most:?} and was aborted",
                self.name
            ));
        }
        debug!(stage = self.name, "stopped");
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_a_fault_with_its_name() {
        let mut stage = Stage::new("test");
        stage.spawn("steady", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        stage.spawn("quitter", |_| async { Ok(()) });
        assert!(stage.fault().await.to_string().contains("quitter"));
    }

    #[tokio::test]
    async fn a_panic_is_a_fault() {
        let mut stage = Stage::new("test");
        stage.spawn("panicker", |_| async { panic!("on purpose") });
        assert!(stage.fault().await.to_string().contains("panicked"));
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_every_task_and_aborts_what_hangs() {
        let mut stage = Stage::new("polite");
        stage.spawn("slow", |stop| async move {
            stop.cancelled().await;
            time::sleep(Duration::from_secs(3)).await;
            Ok(())
        });
        stage.stop(Duration::from_secs(5)).await.unwrap();

        let mut stage = Stage::new("rude");
        stage.spawn("deaf", |_| std::future::pending());
        let error = stage.stop(Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(error.contains("rude") && error.contains("5s"), "{error}");
    }
}
