//! Enqueueing and completing: what comes at the same time goes as one call of a script, which answers each by itself.

use std::sync::Arc;

use redis::Value;

use super::{
    RedisStore,
    calls::Calls,
    claiming::claimed,
    items::{described, flag, item_id, millis, rank, state, to_json},
    queue::AT_ONCE,
    reply::{Reply, text},
};
use crate::{
    domain::{ids::AgentId, time::UnixMillis, work_item::WorkItem},
    ports::{
        standing_claim::{DepartingClaim, Standing},
        store::StoreError,
        work_queue::{Claimed, Completed, Completion, Enqueued, Fence, end_note},
    },
};

/// An item as the script `enqueue` takes it.
#[derive(Clone)]
pub(super) struct NewItem {
    agent: AgentId,
    rank: u8,
    fields: [String; 6],
}

/// An end as the script `complete` takes it.
#[derive(Clone)]
pub(super) struct End([String; 6]);

impl NewItem {
    fn of(item: &WorkItem) -> Result<NewItem, StoreError> {
        Ok(NewItem {
            agent: item.agent_id.clone(),
            rank: rank(item.priority),
            fields: [
                item.id.to_string(),
                item.agent_id.to_string(),
                item.agent_name.to_string(),
                flag(item),
                to_json(item)?,
                described(item),
            ],
        })
    }

    /// What a claim that went along has got, as the store knows it.
    fn claimed(&self, known: Value) -> Result<Claimed, StoreError> {
        let [id, _, _, _, json, _] = &self.fields;
        claimed(id, json, &text(known)?)?.map_err(|[_, _, problem]| StoreError::Corrupt(problem))
    }
}

impl End {
    fn of(completion: &Completion) -> End {
        let ending = &completion.ending;
        let flags = [
            ending.reason.counted(),
            ending.reason.uses_attempt(),
            ending.permanent,
            ending.cools_down(),
        ];
        let mut how: String = flags.map(|flag| if flag { '1' } else { '0' }).iter().collect();
        how.push_str(ending.reason.as_str());
        End([
            completion.item.to_string(),
            completion.token.to_string(),
            how,
            ending.detail.clone(),
            end_note(ending.reason, &ending.detail),
            completion.generation.clone().unwrap_or_default(),
        ])
    }
}

impl RedisStore {
    /// What a leader enqueues carries its fence, and goes by itself; so does what comes as many.
    pub(super) async fn enqueue_all(
        &self,
        fence: Option<&Fence>,
        items: Vec<WorkItem>,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let answers = self.enqueue_each(fence, items).await;
        self.rest.stir();
        answers
    }

    async fn enqueue_each(&self, fence: Option<&Fence>, items: Vec<WorkItem>) -> Result<Vec<Enqueued>, StoreError> {
        let items: Vec<NewItem> = items.iter().map(NewItem::of).collect::<Result<_, _>>()?;
        if let (None, [item]) = (fence, items.as_slice()) {
            return Ok(vec![self.submit(item.clone()).await?]);
        }
        let mut answers = Vec::with_capacity(items.len());
        for part in items.chunks(AT_ONCE) {
            for answer in self.calls.enqueue_some(fence, part, &self.standing).await? {
                answers.push(answer?);
            }
        }
        Ok(answers)
    }

    async fn submit(&self, item: NewItem) -> Result<Enqueued, StoreError> {
        let (calls, standing) = (self.calls.clone(), self.standing.clone());
        let send = move |items: Arc<[NewItem]>| {
            let (calls, standing) = (calls.clone(), standing.clone());
            async move { calls.enqueue_some(None, &items, &standing).await }
        };
        let answer = self.submits.call(item, self.calls.timeout, send).await;
        answer.unwrap_or_else(|| Err(self.calls.too_slow()))
    }

    pub(super) async fn complete_one(&self, completion: &Completion) -> Result<Completed, StoreError> {
        let calls = self.calls.clone();
        let send = move |ends: Arc<[End]>| {
            let calls = calls.clone();
            async move { calls.complete_some(&ends).await }
        };
        let answer = self.ends.call(End::of(completion), self.calls.timeout, send).await;
        self.rest.stir();
        answer.unwrap_or_else(|| Err(self.calls.too_slow()))
    }
}

impl Calls {
    async fn enqueue_some(
        &self,
        fence: Option<&Fence>,
        items: &[NewItem],
        standing: &Standing,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let call = self.script(&self.scripts.enqueue);
        let call = match fence {
            Some(fence) => call.fenced(fence),
            None => call.arg("").arg(""),
        };
        // The best of them goes to a claim that stands; the first of several that are as good.
        let best = items.iter().enumerate().min_by_key(|(_, item)| item.rank);
        let claim = best.and_then(|(at, item)| Some((at, standing.depart(&item.agent)?)));
        let call = match &claim {
            Some((at, DepartingClaim { request, .. })) => call
                .arg(request.host.as_str())
                .arg(millis(request.lease))
                .arg(request.tokens.first().map(ToString::to_string).unwrap_or_default())
                .arg(at + 1),
            None => call.args([""; 4]),
        };
        let mut reply = match call
            .args(items.iter().flat_map(|item| &item.fields))
            .run()
            .await
            .and_then(Reply::new)
        {
            Ok(reply) => reply,
            Err(error) => {
                if let Some((_, claim)) = claim {
                    claim.tell(Err(error.clone()));
                }
                return Err(error);
            }
        };
        let answers = items.iter().map(|_| Ok(enqueued(reply.value()?))).collect();
        if let Some((at, claim)) = claim {
            claim.tell(
                reply
                    .next()
                    .map(|known| items[at].claimed(known))
                    .transpose()
                    .map(Vec::from_iter),
            );
        }
        answers
    }

    async fn complete_some(&self, ends: &[End]) -> Result<Vec<Result<Completed, StoreError>>, StoreError> {
        let call = self.script(&self.scripts.complete).arg(rand::random::<i32>());
        let call = call.args(ends.iter().flat_map(|end| &end.0));
        let mut reply = Reply::new(call.run().await?)?;
        ends.iter().map(|_| Ok(completed(reply.value()?))).collect()
    }
}

fn enqueued(value: Value) -> Result<Enqueued, StoreError> {
    // The common answer is short.
    if let Value::BulkString(letter) = &value {
        return Ok(Enqueued::Added(state(&String::from_utf8_lossy(letter))?));
    }
    let mut reply = Reply::new(value)?;
    Ok(match reply.text()?.as_str() {
        "added" => Enqueued::Added(state(&reply.text()?)?),
        "merged" => Enqueued::Merged {
            into: item_id(&reply.text()?)?,
            news: reply.flag()?,
        },
        "skipped" => Enqueued::Skipped { reason: reply.text()? },
        "full" => Enqueued::Full { limit: reply.count()? },
        other => return Err(StoreError::Corrupt(format!("{other:?} is no answer to an enqueue"))),
    })
}

fn completed(value: Value) -> Result<Completed, StoreError> {
    if !matches!(value, Value::Array(_)) {
        return match text(value)?.as_str() {
            "done" => Ok(Completed::Done),
            "stale" => Err(StoreError::StaleClaim),
            other => Err(unknown(other)),
        };
    }
    let mut reply = Reply::new(value)?;
    Ok(match reply.text()?.as_str() {
        "dead" => Completed::Dead,
        "retry" => Completed::Retry {
            at: UnixMillis(reply.number()?),
            attempt: reply.small()?,
        },
        other => return Err(unknown(other)),
    })
}

fn unknown(answer: &str) -> StoreError {
    StoreError::Corrupt(format!("{answer:?} is no answer to a completion"))
}
