//! Effects happen once: what identifies an effect across retries, hosts and generations.

use std::{collections::HashMap, fmt};

use super::ids::{AgentId, ItemId};

/// What an effect does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectKind {
    Post,
    Comment,
}

impl EffectKind {
    pub fn as_str(self) -> &'static str {
        match self {
            EffectKind::Post => "post",
            EffectKind::Comment => "comment",
        }
    }
}

/// The identity of an effect: (agent, notification it answers, n-th effect on it) where the guest names the notification,
/// else (item, operation, target, n-th on that target). Not its body: a repeat gets the first result whatever it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectKey(String);

impl EffectKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Numbers the effects of one activation, so that the n-th effect of a repeated activation has the key of the first
/// one's n-th. Only what happened counts: a guest that tries again what failed asks for the same effect, not for one more.
#[derive(Debug, Default)]
pub struct EffectKeys {
    happened: HashMap<String, u32>,
}

impl EffectKeys {
    /// The key of the next effect on the notification `about`, or on `target` where it answers none.
    pub fn next(
        &self,
        agent: &AgentId,
        item: ItemId,
        kind: EffectKind,
        target: &str,
        about: Option<&str>,
    ) -> EffectKey {
        // Lengths in front keep (a, b:c) and (a:b, c) apart: ids are opaque and may contain anything.
        let scope = match about {
            Some(notification) => {
                format!(
                    "n:{}:{}:{}:{}",
                    agent.as_str().len(),
                    agent,
                    notification.len(),
                    notification
                )
            }
            None => format!("i:{item}:{}:{}:{}", kind.as_str(), target.len(), target),
        };
        let n = self.happened.get(&scope).copied().unwrap_or(0) + 1;
        EffectKey(format!("{scope}:{n}"))
    }

    /// The effect of a key from [`EffectKeys::next`] has happened, now or in an earlier activation.
    pub fn happened(&mut self, key: &EffectKey) {
        if let Some((scope, _)) = key.0.rsplit_once(':') {
            *self.happened.entry(scope.to_owned()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_activation_makes_the_same_keys() {
        let agent = AgentId::new("a").unwrap();
        let (first_item, second_item) = (ItemId::fresh(), ItemId::fresh());
        let run = |item| {
            let mut keys = EffectKeys::default();
            [Some("n1"), Some("n1"), Some("n2"), None, None].map(|about| {
                let key = keys.next(&agent, item, EffectKind::Comment, "p1", about);
                keys.happened(&key);
                key
            })
        };
        let (first, again, other) = (run(first_item), run(first_item), run(second_item));
        assert_eq!(first, again);
        assert_eq!(
            first[..3],
            other[..3],
            "a notification is answered once, whichever item does it"
        );
        assert_ne!(first[3], other[3]);
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), first.len());
    }

    #[test]
    fn what_failed_is_asked_for_again_under_the_same_key() {
        let (agent, item) = (AgentId::new("a").unwrap(), ItemId::fresh());
        let mut keys = EffectKeys::default();
        let next = |keys: &EffectKeys| keys.next(&agent, item, EffectKind::Comment, "p", Some("n"));
        let first = next(&keys);
        assert_eq!(next(&keys), first, "it has not happened yet");
        keys.happened(&first);
        assert_ne!(next(&keys), first);
    }

    #[test]
    fn ids_with_separators_do_not_collide() {
        let key = |agent: &str, about| {
            EffectKeys::default().next(
                &AgentId::new(agent).unwrap(),
                ItemId::fresh(),
                EffectKind::Post,
                "",
                Some(about),
            )
        };
        assert_ne!(key("a", "b:1:c"), key("a:1:b", "c"));
    }
}
