//! Calls of scripts and commands: each with its own timeout, on one connection that many calls share and that is made
//! anew by itself. A failure is told in the words of the port, with what a person can do about it.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, ToRedisArgs, Value};
use tokio::time::timeout;
use tracing::debug;

use super::{
    StoreClock,
    connection::Connection,
    keys::{Keys, Kind},
    scripts::{Library, Prepared, Scripts},
};
use crate::{
    domain::ids::Term,
    ports::{store::StoreError, work_queue::Fence},
};

#[derive(Clone)]
pub(super) struct Calls {
    pub connection: Connection,
    pub scripts: Arc<Scripts>,
    pub keys: Keys,
    pub timeout: Duration,
    pub clock: StoreClock,
}

/// One call of a script, being put together.
pub(super) struct Call<'a> {
    calls: &'a Calls,
    prepared: &'a Prepared,
    /// The key that depends on the call, and its type.
    own: Option<(String, Kind)>,
    command: Cmd,
    term: Term,
}

impl Calls {
    /// A call of a script with its keys and the time; what follows are its own arguments.
    pub fn script<'a>(&'a self, prepared: &'a Prepared) -> Call<'a> {
        self.script_on(prepared, None)
    }

    /// The same, with the one key that depends on the call, and its type.
    pub fn script_on<'a>(&'a self, prepared: &'a Prepared, own: Option<(String, Kind)>) -> Call<'a> {
        let mut command = redis::cmd("FCALL");
        // The keys of a prefix are in one place: the first says which, the others have their names in the script.
        let first = prepared.keys.first().map_or("", |(key, _)| key);
        command
            .arg(&prepared.function)
            .arg(1 + u8::from(own.is_some()))
            .arg(first);
        if let Some((key, _)) = &own {
            command.arg(key);
        }
        match &self.clock {
            StoreClock::Redis => command.arg(""),
            StoreClock::ByHand(now) => command.arg(now().0),
        };
        Call {
            calls: self,
            prepared,
            own,
            command,
            term: Term(0),
        }
    }

    /// A command that is one atomic step by itself.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        match timeout(self.timeout, command.query_async(&mut connection)).await {
            Ok(answer) => answer.map_err(|error| sorted(&error, Term(0))),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// Give Redis the scripts, if it has not got them. Whether it had not.
    pub async fn load_library(&self) -> Result<bool, StoreError> {
        let Library { name, text, .. } = &self.scripts.library;
        let mut list = redis::cmd("FUNCTION");
        list.arg("LIST").arg("LIBRARYNAME").arg(name);
        let found: Vec<Value> = self.command(&list).await?;
        if !found.is_empty() {
            return Ok(false);
        }
        // Another host may do so at the same time, with the same text.
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(text);
        let mut connection = self.connection.clone();
        let loaded: Result<(), RedisError> = timeout(self.timeout, load.query_async(&mut connection))
            .await
            .map_err(|_| self.too_slow())?;
        loaded.map_err(|error| match error.code() {
            Some("OOM") => StoreError::Unavailable(format!(
                "Redis has lost Warren's functions and is at its maxmemory, where it takes no others (library {name}, {} KB): give \
                 it more (CONFIG SET maxmemory) or delete what is not needed; hosts go on by themselves then",
                text.len() / 1024
            )),
            _ => sorted(&error, Term(0)),
        })?;
        Ok(true)
    }

    /// Remove the libraries of this prefix but our own: an upgrade or a change of policy has left them. Best effort: who still
    /// uses one loads it again, and what can't be removed is only memory.
    ///
    /// Only for whoever starts: two hosts that load theirs again would go on removing each other's.
    pub async fn remove_other_libraries(&self) -> Result<(), StoreError> {
        let Library { name, family, .. } = &self.scripts.library;
        let mut list = redis::cmd("FUNCTION");
        list.arg("LIST").arg("LIBRARYNAME").arg(format!("{family}*"));
        let found: Vec<Vec<Value>> = self.command(&list).await?;
        for library in found {
            let old = library
                .get(1)
                .cloned()
                .and_then(|name| String::from_redis_value(name).ok());
            let Some(old) = old.filter(|old| old != name) else {
                continue;
            };
            if let Err(error) = self.command::<()>(redis::cmd("FUNCTION").arg("DELETE").arg(&old)).await {
                debug!(library = old, %error, "store_library_not_removed");
            }
        }
        Ok(())
    }

    /// A command on one key, of the type that Warren gives it.
    pub async fn command_on<T: FromRedisValue>(&self, command: &Cmd, key: &str, kind: Kind) -> Result<T, StoreError> {
        match self.command(command).await {
            Err(StoreError::Corrupt(words)) => {
                Err(StoreError::Corrupt(self.misplaced(key, kind).await.unwrap_or(words)))
            }
            answer => answer,
        }
    }

    /// That a key is of another type, if it is.
    async fn misplaced(&self, key: &str, kind: Kind) -> Option<String> {
        let found: String = self.command(redis::cmd("TYPE").arg(key)).await.ok()?;
        (found != "none" && found != kind).then(|| {
            format!("the key {key} holds a {found}, but Warren keeps a {kind} there; rename or delete that key")
        })
    }

    pub fn too_slow(&self) -> StoreError {
        StoreError::Unavailable(format!("Redis did not answer within {} ms", self.timeout.as_millis()))
    }
}

impl Call<'_> {
    pub fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl ToRedisArgs>) -> Self {
        for arg in args {
            self.command.arg(arg);
        }
        self
    }

    /// Holder and term, which the script checks.
    pub fn fenced(mut self, fence: &Fence) -> Self {
        self.term = fence.term;
        let holder = fence.holder.to_string();
        self.arg(holder).arg(fence.term.0)
    }

    /// Call it. A script that Redis has forgotten is loaded again.
    pub async fn run(self) -> Result<Value, StoreError> {
        let answer = match self.sent().await? {
            Err(error) if error.detail() == Some("Function not found") => {
                self.calls.load_library().await?;
                self.sent().await?
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) if error.code() == Some("WRONGTYPE") => {
                let found = self.wrong_type().await;
                Err(StoreError::Corrupt(found.unwrap_or_else(|| format!("Redis: {error}"))))
            }
            Err(error) => Err(sorted(&error, self.term)),
        }
    }

    /// The key of this call whose type is not what Warren made it, for the operator.
    async fn wrong_type(&self) -> Option<String> {
        for (key, kind) in self.prepared.keys.iter().chain(&self.own) {
            if let Some(words) = self.calls.misplaced(key, kind).await {
                return Some(words);
            }
        }
        None
    }

    async fn sent(&self) -> Result<Result<Value, RedisError>, StoreError> {
        let mut connection = self.calls.connection.clone();
        timeout(self.calls.timeout, self.command.query_async(&mut connection))
            .await
            .map_err(|_| self.calls.too_slow())
    }
}

const NO_PASSWORD: &str = "; check the user and the password of the store's address";
const NO_RIGHTS: &str = "; give this user the commands, keys and channels that Warren uses: warren.example.toml lists them at \
     store.url, and ACL LOG tells what was missing";

/// A failure in the words of the port.
pub(super) fn sorted(error: &RedisError, term: Term) -> StoreError {
    let next = match error.code() {
        Some("STALE") => return StoreError::StaleClaim,
        Some("FENCED") => return StoreError::Fenced { term },
        Some("CORRUPT") => return StoreError::Corrupt(error.detail().unwrap_or_default().to_owned()),
        Some("WRONGTYPE") => return StoreError::Corrupt(format!("Redis: {error}")),
        Some("OOM") => "; Redis is at its maxmemory: give it more, or let it drain",
        Some("NOAUTH" | "WRONGPASS") => NO_PASSWORD,
        Some("BUSY") => {
            "; another client's script runs for too long: wait for it, or end it with SCRIPT KILL or FUNCTION KILL (one that has \
             written answers UNKILLABLE: only SHUTDOWN NOSAVE ends it, and what it wrote is not kept)"
        }
        Some("NOREPLICAS") => "; fewer replicas than min-replicas-to-write keep up: INFO replication tells which",
        Some("MISCONF") => "; Redis can't write its data to the disk: see its log",
        _ => match error.kind() {
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                "; this is a read-only replica: use the address of the primary"
            }
            ErrorKind::Server(ServerErrorKind::BusyLoading) => "; Redis is reading its data from the disk, wait for it",
            ErrorKind::Server(ServerErrorKind::NoPerm) => NO_RIGHTS,
            // These two have no code of their own: a long command before a password, and what a script may not do.
            _ if error.to_string().contains("unauthenticated") => NO_PASSWORD,
            _ if error.to_string().contains("user executing the script") => NO_RIGHTS,
            // Newer servers say it so.
            _ if error.to_string().contains("ACL failure in script") => NO_RIGHTS,
            _ if error.is_timeout() => "; there was no answer in time",
            ErrorKind::Io if error.to_string().contains("certificate") => {
                "; check the server's certificate, or name the one that signed it in store.ca_file"
            }
            ErrorKind::AuthenticationFailed => NO_PASSWORD,
            _ => "",
        },
    };
    StoreError::Unavailable(format!("Redis: {error}{next}"))
}
