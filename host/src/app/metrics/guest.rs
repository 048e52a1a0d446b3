//! Numbers that guests report: `botburrow_agent_custom…` with the guest's name for it in the label `metric`.
//!
//! Guests choose names and labels at run time, and different agents choose the same ones differently. So there are three
//! fixed families, one per kind, in which one agent's choice can't break another's; prometheus's vectors want the same
//! labels everywhere, so the families are put together here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{
    IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto,
};

use crate::{
    domain::limits::Limits,
    ports::guest::{Measurement, MeasurementKind},
};

const KINDS: [(MeasurementKind, &str, &str); 3] = [
    (
        MeasurementKind::Counter,
        "botburrow_agent_custom_total",
        "Counters of agents",
    ),
    (MeasurementKind::Gauge, "botburrow_agent_custom", "Gauges of agents"),
    (
        MeasurementKind::Histogram,
        "botburrow_agent_custom_distribution",
        "Histograms of agents",
    ),
];

/// What nobody knows the unit of is sorted by powers of ten.
const BUCKETS: [f64; 9] = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0];

const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 128;
/// Labels that are ours, or Prometheus's own.
const RESERVED: [&str; 6] = ["agent_id", "metric", "le", "quantile", "instance", "job"];

/// One agent's series of one kind: the metric's name and its labels, sorted.
type SeriesKey = (MeasurementKind, String, Vec<(String, String)>);

enum Series {
    /// A counter or a gauge.
    Number(f64),
    Histogram {
        counts: [u64; BUCKETS.len()],
        count: u64,
        sum: f64,
    },
}

#[derive(Default)]
struct Table(Mutex<BTreeMap<String, HashMap<SeriesKey, Series>>>);

pub struct GuestMetrics {
    table: Arc<Table>,
    dropped: IntCounterVec,
}

impl GuestMetrics {
    pub fn new() -> prometheus::Result<GuestMetrics> {
        let dropped = Opts::new(
            "botburrow_agent_custom_dropped_total",
            "Numbers of agents that were not taken, by why",
        );
        Ok(GuestMetrics {
            table: Arc::default(),
            dropped: IntCounterVec::new(dropped, &["agent_id", "reason"])?,
        })
    }

    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let descs = KINDS
            .iter()
            .map(|(_, name, help)| Desc::new((*name).to_owned(), (*help).to_owned(), Vec::new(), HashMap::new()))
            .collect::<prometheus::Result<_>>()?;
        registry.register(Box::new(Families {
            table: self.table.clone(),
            descs,
        }))?;
        registry.register(Box::new(self.dropped.clone()))
    }

    /// `agent` is a bounded label; agents beyond the bound share its series.
    pub fn record(&self, agent: &str, measurement: &Measurement, limits: &Limits) {
        if let Err(reason) = self.try_record(agent, measurement, limits) {
            self.dropped.with_label_values(&[agent, reason]).inc();
        }
    }

    fn try_record(&self, agent: &str, measurement: &Measurement, limits: &Limits) -> Result<(), &'static str> {
        let key = series_key(measurement, limits)?;
        let mut table = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match table.get_mut(agent) {
            Some(known) => known,
            None => table.entry(agent.to_owned()).or_default(),
        };
        if !known.contains_key(&key) && known.len() >= limits.metric_series as usize {
            return Err("too_many_series");
        }
        let series = known.entry(key).or_insert_with(|| match measurement.kind {
            MeasurementKind::Counter | MeasurementKind::Gauge => Series::Number(0.0),
            MeasurementKind::Histogram => Series::Histogram {
                counts: [0; BUCKETS.len()],
                count: 0,
                sum: 0.0,
            },
        });
        match (series, measurement.kind) {
            (Series::Number(number), MeasurementKind::Counter) => *number += measurement.value,
            (Series::Number(number), _) => *number = measurement.value,
            (Series::Histogram { counts, count, sum }, _) => {
                if let Some(bucket) = BUCKETS.iter().position(|bound| measurement.value <= *bound) {
                    counts[bucket] += 1;
                }
                *count += 1;
                *sum += measurement.value;
            }
        }
        Ok(())
    }
}

/// The series that a measurement belongs to, or why it is not taken.
fn series_key(measurement: &Measurement, limits: &Limits) -> Result<SeriesKey, &'static str> {
    let Measurement {
        kind,
        name,
        labels,
        value,
    } = measurement;
    if !is_name(name) {
        return Err("invalid_name");
    }
    if !value.is_finite() || (*kind == MeasurementKind::Counter && *value < 0.0) {
        return Err("invalid_value");
    }
    if labels.len() > limits.metric_labels as usize {
        return Err("too_many_labels");
    }
    let mut labels = labels.clone();
    labels.sort();
    let valid = |(name, value): &(String, String)| {
        is_name(name) && !name.starts_with("__") && !RESERVED.contains(&name.as_str()) && value.len() <= LONGEST_VALUE
    };
    if !labels.iter().all(valid) || labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("invalid_label");
    }
    Ok((*kind, name.clone(), labels))
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Puts the families together when they are asked for.
struct Families {
    table: Arc<Table>,
    descs: Vec<Desc>,
}

impl Collector for Families {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let table = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = |(kind, name, help): &(MeasurementKind, &str, &str)| {
            let mut metrics: Vec<proto::Metric> = table
                .iter()
                .flat_map(|(agent, known)| known.iter().map(move |(key, series)| (agent, key, series)))
                .filter(|(_, (of_kind, ..), _)| of_kind == kind)
                .map(|(agent, (kind, metric, labels), series)| exposed(agent, *kind, metric, labels, series))
                .collect();
            metrics.sort_by(|a, b| a.get_label().cmp(b.get_label()));
            let mut family = proto::MetricFamily::default();
            family.set_name((*name).to_owned());
            family.set_help((*help).to_owned());
            family.set_field_type(match kind {
                MeasurementKind::Counter => proto::MetricType::COUNTER,
                MeasurementKind::Gauge => proto::MetricType::GAUGE,
                MeasurementKind::Histogram => proto::MetricType::HISTOGRAM,
            });
            family.set_metric(metrics);
            family
        };
        KINDS
            .iter()
            .map(family)
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}

fn exposed(
    agent: &str,
    kind: MeasurementKind,
    metric: &str,
    labels: &[(String, String)],
    series: &Series,
) -> proto::Metric {
    let ours = [("agent_id", agent), ("metric", metric)];
    let pairs = ours
        .into_iter()
        .chain(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let pairs = pairs.map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    let mut exposed = proto::Metric::from_label(pairs.collect());
    match series {
        Series::Number(number) if kind == MeasurementKind::Counter => {
            let mut counter = proto::Counter::default();
            counter.set_value(*number);
            exposed.set_counter(counter);
        }
        Series::Number(number) => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(*number);
            exposed.set_gauge(gauge);
        }
        Series::Histogram { counts, count, sum } => {
            let mut histogram = proto::Histogram::default();
            let mut below = 0;
            let buckets = BUCKETS.iter().zip(counts).map(|(bound, count)| {
                below += count;
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(below);
                bucket
            });
            histogram.set_bucket(buckets.collect());
            histogram.set_sample_count(*count);
            histogram.set_sample_sum(*sum);
            exposed.set_histogram(histogram);
        }
    }
    exposed
}
