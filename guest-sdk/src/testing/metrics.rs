//! The numbers that an agent reports, taken or dropped as a host does.

use std::collections::BTreeMap;

use super::Limits;

const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 128;
/// Labels that are the host's, or Prometheus's own.
const RESERVED: [&str; 6] = ["agent_id", "metric", "le", "quantile", "instance", "job"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

type Series = (Kind, String, Vec<(String, String)>);

#[derive(Default)]
pub(super) struct Metrics {
    /// A counter's and a gauge's value is the only one.
    series: BTreeMap<Series, Vec<f64>>,
    pub(super) dropped: u32,
}

impl Metrics {
    pub(super) fn record(&mut self, kind: Kind, name: &str, labels: &[(String, String)], value: f64, limits: &Limits) {
        let Some(key) = series(kind, name, labels, value, limits) else {
            self.dropped += 1;
            return;
        };
        if !self.series.contains_key(&key) && self.series.len() >= limits.metric_series {
            self.dropped += 1;
            return;
        }
        let values = self.series.entry(key).or_default();
        match (kind, values.as_mut_slice()) {
            (Kind::Counter, [sum]) => *sum += value,
            (Kind::Gauge, [last]) => *last = value,
            _ => values.push(value),
        }
    }

    pub(super) fn values(&self, kind: Kind, name: &str, labels: &[(&str, &str)]) -> &[f64] {
        let mut labels: Vec<_> = labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        labels.sort();
        self.series
            .get(&(kind, name.to_owned(), labels))
            .map_or(&[], Vec::as_slice)
    }
}

/// The series that a measurement belongs to, if it is taken.
fn series(kind: Kind, name: &str, labels: &[(String, String)], value: f64, limits: &Limits) -> Option<Series> {
    let mut labels = labels.to_vec();
    labels.sort();
    let valid = |(name, value): &(String, String)| {
        is_name(name) && !name.starts_with("__") && !RESERVED.contains(&name.as_str()) && value.len() <= LONGEST_VALUE
    };
    let taken = is_name(name)
        && value.is_finite()
        && (kind != Kind::Counter || value >= 0.0)
        && labels.len() <= limits.metric_labels
        && labels.iter().all(valid)
        && labels.windows(2).all(|pair| pair[0].0 != pair[1].0);
    taken.then(|| (kind, name.to_owned(), labels))
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
