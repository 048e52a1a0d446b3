//! Which host is wanted as the leader: on a vacancy a better one goes first, by a head start that is short enough to cost
//! a cluster nothing if the better one never comes.

use std::{collections::BTreeMap, time::Duration};

/// The head start for each point that a bidder is behind the best that waits.
pub const HEAD_START: Duration = Duration::from_millis(50);
/// The longest head start: far less than a bid's interval.
pub const LONGEST_HEAD_START: Duration = Duration::from_millis(250);

/// What a host that is not ready (its Hub does not answer, none of its plugins runs) loses: more than any weight makes up.
const UNREADY: i32 = 10_000;

/// How much a host is wanted; more is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(pub i32);

impl Score {
    /// How long after the beginning of a vacancy a bidder of this score lets one go first that waits with `best`.
    pub fn lets_go_first(self, best: Score) -> Duration {
        let behind = u32::try_from(best.0.saturating_sub(self.0)).unwrap_or(0);
        HEAD_START.saturating_mul(behind).min(LONGEST_HEAD_START)
    }
}

/// One label that a leader should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub label: String,
    pub value: String,
}

impl Wanted {
    /// Read `label=value`; nothing if it is not written so.
    pub fn parse(text: &str) -> Option<Wanted> {
        let (label, value) = text.split_once('=')?;
        let (label, value) = (label.trim(), value.trim());
        (!label.is_empty() && !value.is_empty()).then(|| Wanted {
            label: label.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// What a host's score is made of, readiness apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preference {
    points: i32,
}

impl Preference {
    /// `weight`, and a point for each wanted label that the host has.
    pub fn new(weight: i32, wanted: &[Wanted], labels: &BTreeMap<String, String>) -> Preference {
        let has = |wanted: &&Wanted| labels.get(&wanted.label) == Some(&wanted.value);
        let met = i32::try_from(wanted.iter().filter(has).count()).unwrap_or(i32::MAX);
        Preference {
            points: weight.saturating_add(met),
        }
    }

    pub fn score(self, ready: bool) -> Score {
        Score(if ready {
            self.points
        } else {
            self.points.saturating_sub(UNREADY)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_start_grows_by_points_and_is_bounded() {
        let after = |own: i32, best: i32| Score(own).lets_go_first(Score(best)).as_millis();
        assert_eq!([after(0, 0), after(3, 1), after(0, 1), after(0, 3)], [0, 0, 50, 150]);
        assert_eq!([after(0, 1000), after(i32::MIN, i32::MAX)], [250, 250]);
    }

    #[test]
    fn weight_labels_and_readiness_add_up() {
        let labels = BTreeMap::from([
            ("zone".to_owned(), "a".to_owned()),
            ("disk".to_owned(), "ssd".to_owned()),
        ]);
        let wanted: Vec<Wanted> = ["zone=a", "disk = ssd", "zone=b", "rack=7"]
            .into_iter()
            .filter_map(Wanted::parse)
            .collect();
        let preference = Preference::new(5, &wanted, &labels);
        assert_eq!(preference.score(true), Score(7));
        assert!(preference.score(false) < Preference::new(-1000, &[], &labels).score(true));
        for bad in ["", "zone", "=a", "zone=", " = "] {
            assert_eq!(Wanted::parse(bad), None, "{bad}");
        }
    }
}
