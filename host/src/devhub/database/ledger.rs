//! Accounts: the record of every write effect, consumption, and budgets.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::values::Moment;
use super::{Change, agents};
use crate::devhub::problem::Problem;

/// One write effect, to be recorded.
#[derive(Clone, Copy, Debug)]
pub(in crate::devhub) struct Effect<'a> {
    pub(in crate::devhub) effect: &'a str,
    pub(in crate::devhub) agent_id: Option<&'a str>,
    pub(in crate::devhub) target: Option<&'a str>,
    pub(in crate::devhub) idempotency_key: Option<&'a str>,
    pub(in crate::devhub) repeat: bool,
    /// JSON.
    pub(in crate::devhub) detail: Option<&'a str>,
}

impl<'a> Effect<'a> {
    pub(in crate::devhub) fn new(effect: &'a str) -> Self {
        Self {
            effect,
            agent_id: None,
            target: None,
            idempotency_key: None,
            repeat: false,
            detail: None,
        }
    }
}

/// A recorded effect, as `/admin/log` shows it.
#[derive(Debug, Serialize)]
pub(in crate::devhub) struct Recorded {
    pub(in crate::devhub) seq: i64,
    at: Moment,
    /// `post`, `comment`, `notifications_read`, `activated`, `registered`, `consumption`, `budget` or `seed`.
    effect: String,
    /// The agent, or the person who wrote.
    agent_id: Option<String>,
    /// The post or comment.
    target: Option<String>,
    idempotency_key: Option<String>,
    /// True if the first answer was given again and nothing was written.
    repeat: bool,
    /// The notification ids for `notifications_read`, the request for `seed`.
    detail: Option<serde_json::Value>,
}

/// Records an effect in the transaction that does it.
pub(in crate::devhub) fn record(change: &Change<'_>, effect: Effect<'_>) -> Result<(), Problem> {
    let sql = "INSERT INTO effects (at, effect, agent_id, target, idempotency_key, repeat, detail)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let Effect {
        effect,
        agent_id,
        target,
        idempotency_key,
        repeat,
        detail,
    } = effect;
    let row = params![change.now, effect, agent_id, target, idempotency_key, repeat, detail];
    change.tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// The effects after a sequence number, in the order in which they took place.
pub(in crate::devhub) fn effects(connection: &Connection, after: i64, limit: u32) -> Result<Vec<Recorded>, Problem> {
    let sql = "SELECT seq, at, effect, agent_id, target, idempotency_key, repeat, detail FROM effects
               WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((after, limit), |row| {
        let detail: Option<String> = row.get(7)?;
        Ok(Recorded {
            seq: row.get(0)?,
            at: row.get(1)?,
            effect: row.get(2)?,
            agent_id: row.get(3)?,
            target: row.get(4)?,
            idempotency_key: row.get(5)?,
            repeat: row.get(6)?,
            detail: detail.and_then(|json| serde_json::from_str(&json).ok()),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What model calls of an agent used.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::devhub) struct Consumption {
    pub(in crate::devhub) agent_id: String,
    pub(in crate::devhub) tokens_input: u32,
    pub(in crate::devhub) tokens_output: u32,
    /// US dollars; finite and not negative.
    pub(in crate::devhub) cost_usd: f64,
}

/// Reported consumption, as `/admin/consumption` shows it.
#[derive(Debug, Serialize)]
pub(in crate::devhub) struct Reported {
    pub(in crate::devhub) seq: i64,
    created_at: Moment,
    #[serde(flatten)]
    consumption: Consumption,
}

/// Records consumption.
pub(in crate::devhub) fn consume(change: &mut Change<'_>, used: &Consumption) -> Result<(), Problem> {
    check_amount("cost_usd", Some(used.cost_usd))?;
    agents::must_exist(&change.tx, &used.agent_id)?;
    let sql = "INSERT INTO consumption (agent_id, tokens_input, tokens_output, cost_usd, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let Consumption {
        agent_id,
        tokens_input,
        tokens_output,
        cost_usd,
    } = used;
    change.tx.execute(
        sql,
        params![agent_id, tokens_input, tokens_output, cost_usd, change.now],
    )?;
    record(
        change,
        Effect {
            agent_id: Some(agent_id),
            ..Effect::new("consumption")
        },
    )
}

/// Consumption after a sequence number, of one agent or all.
pub(in crate::devhub) fn consumed(
    connection: &Connection,
    agent_id: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<Reported>, Problem> {
    let sql = "SELECT seq, created_at, agent_id, tokens_input, tokens_output, cost_usd FROM consumption
               WHERE seq > ?1 AND (?2 IS NULL OR agent_id = ?2) ORDER BY seq LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![after, agent_id, limit], |row| {
        let (agent_id, tokens_input, tokens_output) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let consumption = Consumption {
            agent_id,
            tokens_input,
            tokens_output,
            cost_usd: row.get(5)?,
        };
        Ok(Reported {
            seq: row.get(0)?,
            created_at: row.get(1)?,
            consumption,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An agent's budget in US dollars, as an admin sets it: what is absent is derived or unlimited.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::devhub) struct Budget {
    pub(in crate::devhub) daily_limit: Option<f64>,
    /// Default: what was reported as consumed since the UTC day began.
    pub(in crate::devhub) daily_used: Option<f64>,
    pub(in crate::devhub) monthly_limit: Option<f64>,
    /// Default: what was reported as consumed since the UTC month began.
    pub(in crate::devhub) monthly_used: Option<f64>,
    /// Default: whether no limit is reached.
    pub(in crate::devhub) healthy: Option<bool>,
}

/// Sets an agent's budget, replacing what was set before.
pub(in crate::devhub) fn set_budget(change: &mut Change<'_>, agent_id: &str, budget: &Budget) -> Result<(), Problem> {
    agents::must_exist(&change.tx, agent_id)?;
    let Budget {
        daily_limit,
        daily_used,
        monthly_limit,
        monthly_used,
        healthy,
    } = budget;
    check_amount("daily_limit", *daily_limit)?;
    check_amount("daily_used", *daily_used)?;
    check_amount("monthly_limit", *monthly_limit)?;
    check_amount("monthly_used", *monthly_used)?;
    let sql = "INSERT OR REPLACE INTO budgets (agent_id, daily_limit, daily_used, monthly_limit, monthly_used, healthy)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    change.tx.execute(
        sql,
        params![agent_id, daily_limit, daily_used, monthly_limit, monthly_used, healthy],
    )?;
    record(
        change,
        Effect {
            agent_id: Some(agent_id),
            ..Effect::new("budget")
        },
    )
}

/// What `budget-health` answers: every field but the limits is filled in.
pub(in crate::devhub) fn budget_health(connection: &Connection, agent_id: &str) -> Result<Budget, Problem> {
    agents::must_exist(connection, agent_id)?;
    let sql = "SELECT daily_limit, daily_used, monthly_limit, monthly_used, healthy FROM budgets WHERE agent_id = ?1";
    let set = connection.query_row(sql, [agent_id], |row| {
        let (daily_limit, daily_used, monthly_limit) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Budget {
            daily_limit,
            daily_used,
            monthly_limit,
            monthly_used: row.get(3)?,
            healthy: row.get(4)?,
        })
    });
    let set = set.optional()?.unwrap_or_default();
    let (day, month) = Moment::now().day_and_month_start();
    let used = |since: i64| {
        let sql = "SELECT coalesce(sum(cost_usd), 0.0) FROM consumption WHERE agent_id = ?1 AND created_at >= ?2";
        connection.query_row(sql, params![agent_id, since], |row| row.get::<_, f64>(0))
    };
    let daily_used = set.daily_used.map_or_else(|| used(day), Ok)?;
    let monthly_used = set.monthly_used.map_or_else(|| used(month), Ok)?;
    let within = |used: f64, limit: Option<f64>| limit.is_none_or(|limit| used < limit);
    let healthy = within(daily_used, set.daily_limit) && within(monthly_used, set.monthly_limit);
    Ok(Budget {
        daily_used: Some(daily_used),
        monthly_used: Some(monthly_used),
        healthy: Some(set.healthy.unwrap_or(healthy)),
        ..set
    })
}

fn check_amount(field: &'static str, amount: Option<f64>) -> Result<(), Problem> {
    match amount {
        Some(amount) if !(amount.is_finite() && amount >= 0.0) => Err(Problem::invalid(
            field,
            format!("{field} is {amount}; it must be 0 or more US dollars"),
        )),
        _ => Ok(()),
    }
}
