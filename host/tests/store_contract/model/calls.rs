//! A call as it is made, of the store and of the reference alike, and what is answered.

use std::{fmt, time::Duration};

use warren::{
    domain::{
        breaker::Transition,
        ids::{AgentId, AgentName, ClaimToken, HostName, ItemId},
        time::BootTime,
        work_item::WorkItem,
    },
    ports::{
        agent_records::BreakerCommand,
        store::{Store, StoreError},
        work_queue::{ClaimRequest, Claimed, Completed, Completion, Enqueued, GiveBack, Renewal, Requeued},
    },
};

use super::{super::support::sweep, reference::Reference};

#[derive(Clone, Debug)]
pub enum Call {
    Enqueue(Vec<WorkItem>),
    /// With a claim that goes along, where the store has that.
    EnqueueClaiming(Vec<WorkItem>, ClaimRequest),
    Claim(ClaimRequest),
    Renew(Vec<Renewal>, Duration),
    Complete(Completion),
    GiveBack(ItemId, ClaimToken, GiveBack),
    Sweep,
    Pause(AgentId, bool),
    /// Of an agent that the store may not know yet.
    PauseAhead(AgentName, bool),
    Command(AgentId, BreakerCommand),
    Requeue(Vec<ItemId>),
    Purge(Vec<ItemId>),
    /// Nothing is called; time passes.
    Wait(Duration),
}

#[derive(Debug, PartialEq)]
pub enum Answer {
    Enqueued(Vec<Enqueued>),
    EnqueuedClaiming(Vec<Enqueued>, Vec<Claimed>),
    Claimed(Vec<Claimed>),
    Renewed(Vec<bool>),
    Completed(Result<Completed, StoreError>),
    GivenBack(Result<(), StoreError>),
    Swept {
        recovered: Vec<(ItemId, AgentId, HostName)>,
        promoted: u64,
    },
    Many(u64),
    Requeued(Vec<Requeued>),
    Known(bool),
    Commanded(Option<Transition>),
    Nothing,
}

impl Call {
    pub async fn of(&self, store: &Store) -> Answer {
        let (queue, agents) = (&store.queue, &store.agents);
        match self.clone() {
            Call::Enqueue(items) => Answer::Enqueued(queue.enqueue(None, items).await.unwrap()),
            Call::EnqueueClaiming(items, request) => {
                let standing = queue.stand(request, Box::new(|| Some(BootTime::default())));
                let enqueued = queue.enqueue(None, items).await.unwrap();
                let brought = standing.end().await.transpose().unwrap();
                Answer::EnqueuedClaiming(enqueued, brought.map(|(_, claimed)| claimed).unwrap_or_default())
            }
            Call::Claim(request) => Answer::Claimed(queue.claim(&request).await.unwrap()),
            Call::Renew(renewals, lease) => Answer::Renewed(queue.renew(&renewals, lease).await.unwrap()),
            Call::Complete(completion) => Answer::Completed(queue.complete(&completion).await),
            Call::GiveBack(item, token, why) => Answer::GivenBack(queue.give_back(item, token, why).await),
            Call::Sweep => {
                let mut swept = sweep(store).await;
                swept.recovered.sort_by_key(|(item, ..)| *item);
                Answer::Swept {
                    recovered: swept.recovered,
                    promoted: swept.promoted,
                }
            }
            Call::PauseAhead(name, paused) => Answer::Known(agents.set_paused_ahead(&name, paused).await.unwrap()),
            Call::Pause(agent, paused) => Answer::Known(agents.set_paused(&agent, paused).await.unwrap()),
            Call::Command(agent, command) => Answer::Commanded(agents.command_breaker(&agent, command).await.unwrap()),
            Call::Requeue(items) => Answer::Requeued(queue.requeue_dead(&items).await.unwrap()),
            Call::Purge(items) => Answer::Many(queue.purge_dead(&items).await.unwrap()),
            Call::Wait(_) => Answer::Nothing,
        }
    }

    /// What the store has `answered` tells whether a claim went along: it need not.
    pub fn of_reference(&self, reference: &mut Reference, answered: &Answer) -> Answer {
        match self {
            Call::Enqueue(items) => Answer::Enqueued(reference.enqueue(items)),
            Call::EnqueueClaiming(items, request) => {
                let enqueued = reference.enqueue(items);
                let claimed = match answered {
                    Answer::EnqueuedClaiming(_, claimed) if !claimed.is_empty() => reference.claim(request),
                    _ => Vec::new(),
                };
                Answer::EnqueuedClaiming(enqueued, claimed)
            }
            Call::Claim(request) => Answer::Claimed(reference.claim(request)),
            Call::Renew(renewals, lease) => Answer::Renewed(reference.renew(renewals, *lease)),
            Call::Complete(completion) => Answer::Completed(reference.complete(completion)),
            Call::GiveBack(item, token, why) => Answer::GivenBack(reference.give_back(*item, *token, *why)),
            Call::Sweep => {
                let (mut recovered, promoted) = reference.sweep();
                recovered.sort_by_key(|(item, ..)| *item);
                Answer::Swept { recovered, promoted }
            }
            Call::PauseAhead(name, paused) => Answer::Known(reference.pause_ahead(name, *paused)),
            Call::Pause(agent, paused) => Answer::Known(reference.pause(agent, *paused)),
            Call::Command(agent, command) => Answer::Commanded(reference.command(agent, *command)),
            Call::Requeue(items) => Answer::Requeued(reference.requeue(items)),
            Call::Purge(items) => Answer::Many(reference.purge(items)),
            Call::Wait(span) => {
                reference.now = reference.now + *span;
                Answer::Nothing
            }
        }
    }
}

/// In words that fit a line: a counterexample is a list of these.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Enqueue(items) => show_items(f, items),
            Call::EnqueueClaiming(items, request) => {
                show_items(f, items)?;
                f.write_str(", and ")?;
                show_claim(f, request)
            }
            Call::Claim(request) => show_claim(f, request),
            Call::Renew(renewals, lease) => {
                write!(f, "renew for {lease:?}")?;
                renewals
                    .iter()
                    .try_for_each(|r| write!(f, " [{} with {}, generation {:?}]", r.item, r.token, r.generation))
            }
            Call::Complete(Completion {
                item,
                token,
                ending,
                generation,
            }) => {
                write!(f, "complete {item} with {token}: {}", ending.reason)?;
                for (word, is) in [
                    ("permanent", ending.permanent),
                    ("handled nothing", ending.handled_nothing),
                ] {
                    if is {
                        write!(f, ", {word}")?;
                    }
                }
                generation
                    .iter()
                    .try_for_each(|generation| write!(f, ", generation {generation}"))
            }
            Call::GiveBack(item, token, why) => write!(f, "give back {item} with {token}: {why:?}"),
            Call::Sweep => f.write_str("sweep"),
            Call::PauseAhead(name, paused) => write!(f, "pause {name} ahead: {paused}"),
            Call::Pause(agent, paused) => write!(f, "pause {agent}: {paused}"),
            Call::Command(agent, command) => write!(f, "breaker of {agent}: {command:?}"),
            Call::Requeue(items) | Call::Purge(items) => {
                f.write_str(if matches!(self, Call::Requeue(_)) {
                    "requeue"
                } else {
                    "purge"
                })?;
                items.iter().try_for_each(|item| write!(f, " {item}"))
            }
            Call::Wait(span) => write!(f, "{span:?} later"),
        }
    }
}

fn show_items(f: &mut fmt::Formatter<'_>, items: &[WorkItem]) -> fmt::Result {
    f.write_str("enqueue")?;
    for item in items {
        let WorkItem {
            id,
            agent_id,
            agent_name,
            task_type,
            priority,
            inbox_count,
            ..
        } = item;
        write!(
            f,
            " [{id}: {task_type} of {agent_id} ({agent_name}), {priority}, count {inbox_count}"
        )?;
        if !item.min_interval.is_zero() {
            write!(f, ", interval {:?}", item.min_interval)?;
        }
        f.write_str("]")?;
    }
    Ok(())
}

fn show_claim(f: &mut fmt::Formatter<'_>, request: &ClaimRequest) -> fmt::Result {
    let ClaimRequest {
        host,
        tokens,
        lease,
        avoid,
    } = request;
    let tokens: Vec<_> = tokens.iter().map(ToString::to_string).collect();
    write!(f, "claim by {host} for {lease:?} with tokens {}", tokens.join(" "))?;
    avoid.iter().try_for_each(|agent| write!(f, ", not of {agent}"))
}
