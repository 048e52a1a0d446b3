//! Connecting: the right server, the right schema, a store that says who it is.

use std::{fs, path::Path, sync::Arc};

use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, TlsCertificates, io::tcp::TcpSettings};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use thiserror::Error;
use uuid::Uuid;

use super::{
    RedisConfig,
    calls::{Calls, sorted},
    connection::Connection,
    keys::Keys,
    reply::Reply,
    scripts::Scripts,
};
use crate::{
    domain::{ids::Term, time::UnixMillis},
    ports::store::StoreError,
};

/// The schema that this version writes. A minor step is one that the version before can live with.
const SCHEMA: (u32, u32) = (1, 0);
/// The oldest Redis whose scripts may write when memory is short (`allow-oom`).
const OLDEST: (u32, u32) = (7, 0);
/// Why there is no store.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address can't be read. It is not shown, because it may hold a password.
    #[error(
        "the store's address is not valid: {reason}. redis://[user:password@]host[:port][/database] is expected, or \
         rediss:// for TLS"
    )]
    Address { reason: String },
    /// The certificates to trust can't be used.
    #[error("store.ca_file {path} can't be used: {reason}. A file of certificates in PEM is expected")]
    Certificates { path: String, reason: String },
    /// It does not answer as it should: trying again may help.
    #[error("the store at {address} can't be used now: {reason}")]
    Unavailable { address: String, reason: StoreError },
    #[error(
        "the Redis at {address} has version {found}, but {}.{} is the oldest that Warren can use: upgrade it, or use Valkey",
        OLDEST.0,
        OLDEST.1
    )]
    TooOld { address: String, found: String },
    /// A newer Warren has made it.
    #[error(
        "the store at {address} has schema {found}, but this Warren knows {known} at most: use the newer Warren, or another \
         key_prefix"
    )]
    Newer {
        address: String,
        found: String,
        known: String,
    },
}

pub(super) struct Opened {
    pub client: Client,
    pub calls: Calls,
    pub description: String,
}

/// What a store says of itself.
pub(super) struct Identity {
    pub schema: String,
    pub incarnation: String,
    pub now: UnixMillis,
}

pub(super) async fn open(config: &RedisConfig) -> Result<Opened, ConnectError> {
    let client = client(config)?;
    let address = client.get_connection_info().addr().to_string();
    let unavailable = |reason| ConnectError::Unavailable {
        address: address.clone(),
        reason,
    };
    // Every call has a timeout of its own (`calls`): a second timer for each would only cost.
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.call_timeout))
        .set_response_timeout(None);
    let connection = Connection::open(client.clone(), limits)
        .await
        .map_err(|error| unavailable(sorted(&error, Term(0))))?;
    let keys = Keys::new(&config.key_prefix);
    let calls = Calls {
        connection,
        scripts: Arc::new(Scripts::prepare(&keys, &config.policy)),
        keys,
        timeout: config.call_timeout,
        clock: config.clock.clone(),
    };
    let version = version(&calls).await.map_err(unavailable)?;
    if number(&version).is_none_or(|found| found < OLDEST) {
        return Err(ConnectError::TooOld {
            address,
            found: version,
        });
    }
    // Before anything is done: a Redis that is out of memory takes no scripts.
    if calls.load_library().await.map_err(unavailable)? {
        calls.remove_other_libraries().await.map_err(unavailable)?;
    }
    let identity = identify(&calls).await.map_err(unavailable)?;
    if number(&identity.schema).is_none_or(|(major, _)| major > SCHEMA.0) {
        return Err(ConnectError::Newer {
            address,
            found: identity.schema,
            known: format!("{}.{}", SCHEMA.0, SCHEMA.1),
        });
    }
    let description = match config.key_prefix.as_str() {
        "" => format!("Redis {version} at {address}"),
        prefix => format!("Redis {version} at {address}, keys {prefix}…"),
    };
    Ok(Opened {
        client,
        calls,
        description,
    })
}

fn client(config: &RedisConfig) -> Result<Client, ConnectError> {
    let invalid = |error: redis::RedisError| ConnectError::Address {
        reason: error
            .detail()
            .map_or_else(|| error.category().to_owned(), str::to_owned),
    };
    let info = config.url.expose().into_connection_info().map_err(invalid)?;
    // Small packets that wait for each other would cost every call tens of milliseconds.
    let settings = TcpSettings::default().set_nodelay(true);
    // Without an answer from the network a connection is given up, instead of waiting for the kernel's many minutes.
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(config.call_timeout * 2);
    let info = info.set_tcp_settings(settings);
    match &config.ca_file {
        None => Client::open(info),
        Some(file) => Client::build_with_tls(
            info,
            TlsCertificates {
                client_tls: None,
                root_cert: Some(certificates(file)?),
            },
        ),
    }
    .map_err(invalid)
}

/// The text of a file that holds at least one certificate, and nothing broken.
fn certificates(file: &Path) -> Result<Vec<u8>, ConnectError> {
    let refused = |reason: String| ConnectError::Certificates {
        path: file.display().to_string(),
        reason,
    };
    let pem = fs::read(file).map_err(|error| refused(error.to_string()))?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|error| refused(error.to_string()))?;
        found += 1;
    }
    match found {
        0 => Err(refused("there is no certificate in it".to_owned())),
        _ => Ok(pem),
    }
}

/// Who the store is, which is made if it is not there: data that was lost comes back under another incarnation.
pub(super) async fn identify(calls: &Calls) -> Result<Identity, StoreError> {
    let call = calls.script(&calls.scripts.open);
    let schema = format!("{}.{}", SCHEMA.0, SCHEMA.1);
    let mut reply = Reply::new(call.arg(schema).arg(Uuid::new_v4().to_string()).run().await?)?;
    Ok(Identity {
        schema: reply.text()?,
        incarnation: reply.text()?,
        now: UnixMillis(reply.number()?),
    })
}

async fn version(calls: &Calls) -> Result<String, StoreError> {
    let info: String = calls.command(redis::cmd("INFO").arg("server")).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}

/// Major and minor of a version.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(number("7.0.15") >= Some(OLDEST) && number("10.2") > Some(OLDEST));
        assert!(number("6.2.14") < Some(OLDEST));
        assert_eq!(number("unknown"), None);
    }
}
