//! Opening the file: one owner, the right schema, a store that says who it is.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig};
use thiserror::Error;
use uuid::Uuid;

use super::rows::unavailable;
use crate::{
    domain::{ids::HostName, time::UnixMillis},
    ports::store::StoreError,
};

/// The schema that this version writes. A minor step is one that the version before can live with.
const SCHEMA: (u32, u32) = (1, 0);
/// How long a statement waits for another program's lock on the file (a backup, the `sqlite3` shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 128;

/// Why the store could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process owns the file.
    #[error(
        "{file} is in use by {owner}: a SQLite store serves one host. Stop that host, choose another file, or use a Redis \
         store for more than one host"
    )]
    InUse { file: PathBuf, owner: String },
    /// A newer Warren has made it.
    #[error("{file} has schema {found}, but this Warren knows {known} at most: use the newer Warren, or another file")]
    Newer {
        file: PathBuf,
        found: String,
        known: String,
    },
    /// It is something else.
    #[error("{file} is not a store of Warren's ({reason}): choose another file, or move this one away")]
    NotAStore { file: PathBuf, reason: String },
    /// It can't be read or written.
    #[error(
        "{file} can't be used as the store: {reason}. Check that its folder exists, is writable and has space left"
    )]
    Unusable { file: PathBuf, reason: String },
}

/// The exclusive right to the file; given up when dropped, and by the kernel when the process dies.
pub(super) struct Ownership {
    lock: File,
}

pub(super) struct Opened {
    pub writer: Connection,
    pub reader: Connection,
    pub incarnation: String,
    /// The latest time that the store has seen.
    pub seen: UnixMillis,
    pub last_event: u64,
}

impl Ownership {
    /// Take the lock file beside `file`, which names the owner for whoever comes second.
    pub fn take(file: &Path, owner: &HostName) -> Result<Ownership, OpenError> {
        let path = lock_path(file);
        let unusable = |error: std::io::Error| OpenError::Unusable {
            file: file.to_owned(),
            reason: format!("{}: {error}", path.display()),
        };
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let named = lock.read_to_string(&mut text).is_ok() && !text.trim().is_empty();
                return Err(OpenError::InUse {
                    file: file.to_owned(),
                    owner: if named {
                        text.trim().to_owned()
                    } else {
                        "another process".to_owned()
                    },
                });
            }
        }
        let text = format!("host {owner} (process {})\n", std::process::id());
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(text.as_bytes()))
            .map_err(unusable)?;
        Ok(Ownership { lock })
    }

    pub fn give_up(self) {
        // Closing the file unlocks it all the same.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "store_unlock_failed");
        }
    }
}

fn lock_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Open or create the file, which must be owned.
pub(super) fn open(file: &Path, wall: UnixMillis) -> Result<Opened, OpenError> {
    let sorted = |error: rusqlite::Error| {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(NotADatabase | DatabaseCorrupt) => OpenError::NotAStore {
                file: file.to_owned(),
                reason: error.to_string(),
            },
            _ => OpenError::Unusable {
                file: file.to_owned(),
                reason: unavailable(error).to_string(),
            },
        }
    };
    let mut writer = Connection::open(file).map_err(sorted)?;
    configure(&writer).map_err(sorted)?;
    match schema_of(&writer).map_err(sorted)? {
        Found::Nothing => create(&mut writer, wall).map_err(sorted)?,
        Found::Schema(text) => check_schema(file, &text)?,
        Found::SomethingElse(reason) => {
            return Err(OpenError::NotAStore {
                file: file.to_owned(),
                reason,
            });
        }
    }
    let meta = |key: &str| meta(&writer, key).map_err(sorted);
    let incarnation = meta("incarnation")?.unwrap_or_default();
    let seen = meta("last_seen")?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let last_event = super::events::latest(&writer).map_err(|error| OpenError::Unusable {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    // A file or folder that can't be written is found now, not at the first claim.
    writer
        .execute_batch("BEGIN IMMEDIATE; UPDATE meta SET value = value WHERE key = 'schema'; COMMIT")
        .map_err(sorted)?;
    let reader = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(sorted)?;
    set_up(&reader).map_err(sorted)?;
    Ok(Opened {
        writer,
        reader,
        incarnation,
        seen: UnixMillis(seen),
        last_event,
    })
}

/// What both connections are given.
fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // One plan per statement. Otherwise SQLite compiles a statement anew whenever a bound value changes that might suggest
    // another plan, which is at every enqueue, renewal and effect; no plan here is to depend on a value.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    set_up(db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Every commit is on the disk before it is answered.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "temp_store", "MEMORY")
}

enum Found {
    Nothing,
    Schema(String),
    SomethingElse(String),
}

fn schema_of(db: &Connection) -> rusqlite::Result<Found> {
    let mut statement = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if tables.is_empty() {
        return Ok(Found::Nothing);
    }
    let ours = ["items", "meta"]
        .iter()
        .all(|name| tables.iter().any(|table| table == name));
    match if ours { meta(db, "schema")? } else { None } {
        Some(version) => Ok(Found::Schema(version)),
        None => Ok(Found::SomethingElse(format!(
            "it is a SQLite database with the table {:?}",
            tables[0]
        ))),
    }
}

fn meta(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
}

fn check_schema(file: &Path, found: &str) -> Result<(), OpenError> {
    let major = found.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major <= SCHEMA.0 => Ok(()),
        Some(_) => Err(OpenError::Newer {
            file: file.to_owned(),
            found: found.to_owned(),
            known: format!("{}.{}", SCHEMA.0, SCHEMA.1),
        }),
        None => Err(OpenError::NotAStore {
            file: file.to_owned(),
            reason: format!("{found:?} is not a schema version"),
        }),
    }
}

/// Make all tables, in one transaction: a crash leaves nothing or everything.
fn create(db: &mut Connection, wall: UnixMillis) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    for (key, value) in [
        ("schema", format!("{}.{}", SCHEMA.0, SCHEMA.1)),
        ("incarnation", Uuid::new_v4().to_string()),
        ("last_seen", wall.0.to_string()),
        ("passed_over", "0".to_owned()),
    ] {
        transaction.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [key, &value])?;
    }
    transaction.commit()
}

/// Which file was opened, so that its disappearance is noticed: SQLite goes on writing into a file that has no name any
/// more, and everything would be gone with the process.
pub(super) struct OpenFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OpenFile {
    pub fn at(path: &Path) -> Result<OpenFile, OpenError> {
        let found = fs::metadata(path).map_err(|error| OpenError::Unusable {
            file: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(OpenFile {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Whether the path still leads to the file that is open.
    pub fn check(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Ok(()),
            _ => Err(StoreError::Unavailable(format!(
                "{} was deleted, moved or replaced under the running host, which keeps working on the old file until it \
                 stops: put the old file back, or stop the host and start it on the new one",
                self.path.display()
            ))),
        }
    }
}
