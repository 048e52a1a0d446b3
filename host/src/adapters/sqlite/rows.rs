//! Rows and values: how an item is read, and what is made of a row that Warren can't have written.

use std::{fmt::Display, str::FromStr, time::Duration};

use rusqlite::{ErrorCode, Row};

use crate::{
    domain::{
        ids::{AgentId, AgentName, ClaimToken, HostName, InvalidName, ItemId},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, Priority, TaskType, WorkItem},
    },
    ports::store::StoreError,
};

/// A failure of SQLite, in the words of the port, with what a person can do about it where that is known.
pub(super) fn unavailable(error: rusqlite::Error) -> StoreError {
    let next = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free some space, the store goes on by itself",
        Some(ErrorCode::ReadOnly) => "; make the file and its folder writable for this user",
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "; check the permissions of the file and its folder"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another program holds a lock on the file",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return StoreError::Corrupt(format!("SQLite: {error}; restore the file from a backup"));
        }
        _ => "",
    };
    StoreError::Unavailable(format!("SQLite: {error}{next}"))
}

/// An unsigned number as SQLite keeps it.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A small number back; what somebody wrote that is out of range becomes the nearest that is in range.
pub(super) fn small(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

pub(super) fn large(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn span(millis: i64) -> Duration {
    Duration::from_millis(large(millis))
}

pub(super) fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

pub(super) fn priority(rank: i64) -> Option<Priority> {
    Priority::ALL.iter().copied().find(|p| self::rank(*p) == rank)
}

pub(super) const ITEM: &str = "seq, id, agent_id, agent_name, task_type, priority, inbox_count, created_at, attempt, \
     payload, min_interval, trace_context, state, note, due_at, host, reason, ended_at, generation, token, probe, waited, \
     ready_at, resumed, lease_until";

/// An item with what only the store needs to know of it.
pub(super) struct StoredItem {
    pub seq: i64,
    pub record: ItemRecord,
    pub token: Option<ClaimToken>,
    pub probe: bool,
    pub waited: Duration,
    pub ready_at: UnixMillis,
    pub resumed: bool,
    /// Why Warren can't have written this row. Then `record` is what the item becomes: dead, with valid values where the
    /// row's are not.
    pub problem: Option<String>,
}

/// Read the columns [`ITEM`].
pub(super) fn stored_item(row: &Row<'_>) -> rusqlite::Result<StoredItem> {
    let mut problems = Problems(Vec::new());
    let text = |column: &str| row.get_ref(column).and_then(|v| Ok(v.as_str()?));
    let unreadable = || "unreadable".to_owned();
    let rank: i64 = row.get("priority")?;
    let item = WorkItem {
        id: problems.fix(ItemId::parse(text("id")?), ItemId::fresh),
        agent_id: problems.name(AgentId::new(text("agent_id")?), || AgentId::new(unreadable()))?,
        agent_name: problems.name(AgentName::new(text("agent_name")?), || AgentName::new(unreadable()))?,
        task_type: problems.fix(TaskType::from_str(text("task_type")?), || TaskType::Direct),
        priority: problems.fix(
            priority(rank).ok_or(format!("{rank} is not a priority: 0, 1, 2 are")),
            || Priority::Low,
        ),
        inbox_count: small(row.get("inbox_count")?),
        created_at: UnixMillis(row.get("created_at")?),
        attempt: small(row.get("attempt")?).max(1),
        payload: row.get("payload")?,
        min_interval: span(row.get("min_interval")?),
        trace_context: row.get("trace_context")?,
    };
    let optional = |column: &str| -> rusqlite::Result<Option<String>> { row.get(column) };
    let state = problems.fix(ItemState::from_str(text("state")?), || ItemState::Dead);
    let host = optional("host")?.and_then(|host| problems.keep(HostName::new(host)));
    let reason = optional("reason")?.and_then(|reason| problems.keep(reason.parse()));
    let token = optional("token")?.and_then(|token| problems.keep(ClaimToken::parse(&token)));
    let time = |column: &str| -> rusqlite::Result<Option<UnixMillis>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(UnixMillis))
    };
    if state == ItemState::Active && (token.is_none() || host.is_none() || time("lease_until")?.is_none()) {
        problems
            .0
            .push("it is active without a host, a token or a lease".to_owned());
    }
    if state == ItemState::Delayed && time("due_at")?.is_none() {
        problems.0.push("it is delayed without a time".to_owned());
    }
    let problem = (!problems.0.is_empty()).then(|| format!("unreadable entry: {}", problems.0.join("; ")));
    let record = ItemRecord {
        item,
        state: if problem.is_some() { ItemState::Dead } else { state },
        note: match &problem {
            Some(problem) => problem.clone(),
            None => row.get("note")?,
        },
        due_at: time("due_at")?,
        host,
        reason,
        ended_at: time("ended_at")?,
        generation: row.get("generation")?,
    };
    Ok(StoredItem {
        seq: row.get("seq")?,
        record,
        token,
        probe: row.get("probe")?,
        waited: span(row.get("waited")?),
        ready_at: UnixMillis(row.get("ready_at")?),
        resumed: row.get("resumed")?,
        problem,
    })
}

/// What is wrong with a row, gathered.
struct Problems(Vec<String>);

impl Problems {
    fn fix<T, E: Display>(&mut self, value: Result<T, E>, instead: impl FnOnce() -> T) -> T {
        self.keep(value).unwrap_or_else(instead)
    }

    fn keep<T, E: Display>(&mut self, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.0.push(error.to_string())).ok()
    }

    fn name<T>(
        &mut self,
        value: Result<T, InvalidName>,
        instead: impl FnOnce() -> Result<T, InvalidName>,
    ) -> rusqlite::Result<T> {
        match self.keep(value) {
            Some(value) => Ok(value),
            None => instead().map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into())),
        }
    }
}
