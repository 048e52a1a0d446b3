//! I3, of items that are held: an agent that an operator has paused is not claimed until somebody lets it run again.

use super::{Violation, claims::lives};
use crate::history::{NEVER, Record, What};

pub(super) fn check(epoch: &[&Record]) -> Vec<Violation> {
    let lives = lives(epoch);
    let mut found = Vec::new();
    for pause in epoch {
        let What::Paused {
            agent: paused,
            known: true,
        } = &pause.what
        else {
            continue;
        };
        let resumed = epoch
            .iter()
            .filter(|record| {
                record.from > pause.until && matches!(&record.what, What::Resumed { agent } if agent == paused)
            })
            .map(|record| record.from)
            .min();
        let held = |at| at > pause.until && at < resumed.unwrap_or(NEVER);
        // A repeated call is answered with what the first one claimed.
        let broken = lives
            .iter()
            .find(|life| life.claim.agent == *paused && held(life.asked()) && held(life.record.until));
        if let Some(life) = broken {
            let why = format!("{paused} was claimed while it was paused");
            found.push(Violation::new("I3", why, &[pause, life.record]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::{Claim, StoreCall};

    #[test]
    fn a_claim_of_a_paused_agent_is_found() {
        let record = |seconds, what| Record {
            from: Duration::from_secs(seconds),
            until: Duration::from_secs(seconds),
            host: "h1".to_owned(),
            what,
        };
        let agent = || "a".to_owned();
        let claim = Claim {
            token: "t".to_owned(),
            item: "i".to_owned(),
            agent: agent(),
            rank: 0,
            probe: false,
        };
        let (lease, tokens) = (Duration::from_secs(3), vec!["t".to_owned()]);
        let claims = vec![claim];
        let claimed = |seconds| {
            let (tokens, claims) = (tokens.clone(), claims.clone());
            record(seconds, What::Store(StoreCall::Claim { lease, tokens, claims }))
        };
        let pause = |known| record(2, What::Paused { agent: agent(), known });
        let resume = record(5, What::Resumed { agent: agent() });
        let (before, within, after, asked) = (claimed(1), claimed(3), claimed(6), claimed(1));
        assert_eq!(check(&[&pause(true), &within, &resume])[0].promise, "I3");
        assert_eq!(check(&[&pause(true), &within])[0].promise, "I3");
        for good in [
            vec![&pause(false), &within, &resume],
            vec![&before, &pause(true), &resume, &after],
            vec![&asked, &pause(true), &within, &resume],
        ] {
            assert!(check(&good).is_empty(), "{good:?}");
        }
    }
}
