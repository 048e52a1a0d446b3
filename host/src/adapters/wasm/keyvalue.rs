//! `wasi:keyvalue/store`: the agent's own state, in one bucket.

use std::{future::Future, sync::Arc};

use wasmtime::{Result, component::Resource};

use super::{
    bindings::wasi::keyvalue::store::{Error, Host, HostBucket, KeyResponse},
    guest::Guest,
};
use crate::ports::guest::{GuestHost, Refusal};

/// How many keys the host is asked for at a time.
const PAGE: u32 = 1_000;

/// The one bucket that an agent has, called `default` or nothing.
pub struct Bucket;

impl Guest {
    async fn state<T, F>(&mut self, call: impl FnOnce(Arc<dyn GuestHost>) -> F) -> Result<Result<T, Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let question = call(Arc::clone(&self.host));
        Ok(self.ask(question).await?.map_err(Error::from))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Denied(_) => Error::AccessDenied,
            Refusal::NotFound(words)
            | Refusal::Invalid(words)
            | Refusal::LimitReached(words)
            | Refusal::Upstream(words)
            // A lost claim ends the activation before this (`Guest::ask`).
            | Refusal::ClaimLost(words) => Error::Other(words),
        }
    }
}

impl Host for Guest {
    fn open(&mut self, identifier: String) -> Result<Result<Resource<Bucket>, Error>> {
        match identifier.as_str() {
            "" | "default" => Ok(Ok(self.table.push(Bucket)?)),
            _ => Ok(Err(Error::NoSuchStore)),
        }
    }
}

impl HostBucket for Guest {
    async fn get(&mut self, _: Resource<Bucket>, key: String) -> Result<Result<Option<Vec<u8>>, Error>> {
        self.state(|host| async move { host.state_get(key).await }).await
    }

    async fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<Result<(), Error>> {
        self.state(|host| async move { host.state_set(key, value).await }).await
    }

    async fn delete(&mut self, _: Resource<Bucket>, key: String) -> Result<Result<(), Error>> {
        self.state(|host| async move { host.state_delete(key).await }).await
    }

    async fn exists(&mut self, _: Resource<Bucket>, key: String) -> Result<Result<bool, Error>> {
        let value = self.state(|host| async move { host.state_get(key).await }).await?;
        Ok(value.map(|value| value.is_some()))
    }

    /// All keys at once: the quota bounds their number, and a cursor would go stale under a guest that deletes as it goes.
    async fn list_keys(&mut self, _: Resource<Bucket>, cursor: Option<u64>) -> Result<Result<KeyResponse, Error>> {
        if let Some(cursor) = cursor {
            return Ok(Err(Error::Other(format!(
                "{cursor} is no cursor: the first answer held all keys"
            ))));
        }
        let keys = self.state(|host| async move { every_key(&*host).await }).await?;
        Ok(keys.map(|keys| KeyResponse { keys, cursor: None }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

async fn every_key(host: &dyn GuestHost) -> Result<Vec<String>, Refusal> {
    let mut keys = host.state_keys(None, PAGE).await?;
    let mut found = keys.len();
    while found == PAGE as usize {
        let page = host.state_keys(keys.last().cloned(), PAGE).await?;
        found = page.len();
        keys.extend(page);
    }
    Ok(keys)
}
