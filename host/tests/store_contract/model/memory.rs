//! What has been sent and answered in a case: it tells what a step is about, and so which call it makes.

use std::time::Duration;

use uuid::Uuid;
use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::{AgentName, ClaimToken, ItemId},
        time::UnixMillis,
        work_item::WorkItem,
    },
    ports::work_queue::{ClaimRequest, Claimed, Completion, GiveBack, Renewal},
};

use super::{
    super::support::{agent, host},
    calls::{Answer, Call},
    reference::Reference,
    steps::{AGENTS, HOSTS, New, NewClaim, Nth, Step, Which},
};

#[derive(Default)]
pub struct Memory {
    items: Vec<WorkItem>,
    /// With the moment of the first call.
    requests: Vec<(UnixMillis, ClaimRequest)>,
    claims: Vec<Claimed>,
    completions: Vec<Completion>,
    made: u128,
}

fn nth<T: Clone>(list: &[T], n: Nth) -> Option<T> {
    let back = usize::from(n) % list.len().max(1);
    list.iter().rev().nth(back).cloned()
}

impl Memory {
    /// The next of the ids: small numbers, which are easy to read in a counterexample.
    fn number(&mut self) -> u128 {
        self.made += 1;
        self.made
    }

    fn tokens(&mut self, many: usize) -> Vec<ClaimToken> {
        (0..many)
            .map(|_| ClaimToken(Uuid::from_u128(self.number() | 1 << 127)))
            .collect()
    }

    fn item(&mut self, new: &New) -> WorkItem {
        let name = AGENTS[new.agent];
        let item = WorkItem {
            id: ItemId(Uuid::from_u128(self.number())),
            agent_id: agent(name),
            agent_name: AgentName::new(if new.renamed {
                format!("{name}-new")
            } else {
                name.to_owned()
            })
            .unwrap(),
            task_type: new.task_type,
            priority: new.priority,
            inbox_count: new.inbox_count,
            created_at: UnixMillis(1_700_000_000_000),
            attempt: 1,
            payload: Some("{}".to_owned()),
            min_interval: Duration::from_secs(new.interval),
            trace_context: None,
        };
        self.items.push(item.clone());
        item
    }

    fn request(&mut self, claim: &NewClaim, reference: &Reference) -> ClaimRequest {
        let request = ClaimRequest {
            host: host(HOSTS[claim.host]),
            tokens: self.tokens(claim.tokens),
            lease: Duration::from_secs(claim.lease),
            avoid: claim.avoid.iter().map(|n| agent(AGENTS[*n])).collect(),
        };
        self.requests.push((reference.now, request.clone()));
        request
    }

    fn claim(&self, which: Which, reference: &Reference) -> Option<Claimed> {
        match which {
            Which::Any(n) => nth(&self.claims, n),
            Which::Lasting(n) => {
                let lasting: Vec<_> = self
                    .claims
                    .iter()
                    .filter(|c| reference.is_held(c.token))
                    .cloned()
                    .collect();
                nth(&lasting, n)
            }
        }
    }

    fn ids(&self, items: &[Nth]) -> Vec<ItemId> {
        items
            .iter()
            .filter_map(|n| nth(&self.items, *n))
            .map(|item| item.id)
            .collect()
    }

    /// The call that a step makes here; nothing if there is nothing that it could be about.
    pub fn call(&mut self, step: &Step, reference: &Reference) -> Option<Call> {
        Some(match step {
            Step::Enqueue(new) => Call::Enqueue(new.iter().map(|new| self.item(new)).collect()),
            Step::EnqueueAgain(items) => {
                Call::Enqueue(items.iter().map(|n| nth(&self.items, *n)).collect::<Option<_>>()?)
            }
            Step::EnqueueClaiming { items, claim } => {
                let items = items.iter().map(|new| self.item(new)).collect();
                Call::EnqueueClaiming(items, self.request(claim, reference))
            }
            Step::Claim(claim) => Call::Claim(self.request(claim, reference)),
            Step::ClaimAgain {
                earlier,
                more,
                host: by,
            } => {
                let (first_made, mut request) = nth(&self.requests, *earlier)?;
                // Nobody repeats a claim for longer than its records are kept: then its tokens are as good as new.
                if reference.now.since(first_made) > reference.policy.keep_done {
                    return None;
                }
                request.host = host(HOSTS[*by]);
                request.tokens.extend(self.tokens(*more));
                Call::Claim(request)
            }
            Step::Renew {
                claims,
                lease,
                generation,
            } => {
                let renewal = |which: &Which| {
                    let Claimed { token, item, .. } = self.claim(*which, reference)?;
                    let generation = generation.then(|| "echo@2".to_owned());
                    Some(Renewal {
                        item: item.id,
                        token,
                        generation,
                    })
                };
                Call::Renew(
                    claims.iter().map(renewal).collect::<Option<_>>()?,
                    Duration::from_secs(*lease),
                )
            }
            Step::Complete { .. } | Step::CompleteAgain(_) | Step::CompleteAnother { .. } => {
                Call::Complete(self.completion(step, reference)?)
            }
            Step::GiveBack { claim, delay } => {
                let claim = self.claim(*claim, reference)?;
                let why = delay.map_or(GiveBack::Shutdown, |seconds| GiveBack::PluginUnavailable {
                    retry_after: Duration::from_secs(seconds),
                });
                Call::GiveBack(claim.item.id, claim.token, why)
            }
            Step::Sweep => Call::Sweep,
            Step::Pause { agent: n, paused } => Call::Pause(agent(AGENTS[*n]), *paused),
            Step::PauseAhead { agent: n, paused } => Call::PauseAhead(AgentName::new(AGENTS[*n]).unwrap(), *paused),
            Step::Command(n, command) => Call::Command(agent(AGENTS[*n]), *command),
            Step::Requeue(items) => Call::Requeue(self.ids(items)),
            Step::Purge(items) => Call::Purge(self.ids(items)),
            Step::Wait { millis } => Call::Wait(Duration::from_millis(*millis)),
            Step::WaitUntilDue { offset } => {
                let until = reference.next_moment()?.0 + offset;
                Call::Wait(UnixMillis(until).since(reference.now))
            }
        })
    }

    fn completion(&mut self, step: &Step, reference: &Reference) -> Option<Completion> {
        let completion = match step {
            Step::Complete {
                claim,
                ending,
                permanent,
                handled_nothing,
                generation,
            } => {
                let claim = self.claim(*claim, reference)?;
                let mut ending = Ending::new(*ending, "words");
                ending.permanent = *permanent;
                ending.handled_nothing = *handled_nothing;
                Completion {
                    item: claim.item.id,
                    token: claim.token,
                    ending,
                    generation: generation.then(|| "echo@3".to_owned()),
                }
            }
            Step::CompleteAnother { claim, of } => Completion {
                item: self.claim(*of, reference)?.item.id,
                token: self.claim(*claim, reference)?.token,
                ending: Ending::new(Reason::Ok, ""),
                generation: None,
            },
            Step::CompleteAgain(n) => return nth(&self.completions, *n),
            _ => return None,
        };
        self.completions.push(completion.clone());
        Some(completion)
    }

    /// What was answered: later steps may be about it.
    pub fn keep(&mut self, answer: &Answer) {
        if let Answer::Claimed(claims) | Answer::EnqueuedClaiming(_, claims) = answer {
            for claim in claims {
                if !self.claims.iter().any(|known| known.token == claim.token) {
                    self.claims.push(claim.clone());
                }
            }
        }
    }
}
