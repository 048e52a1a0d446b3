//! The small interfaces that answer at once: `wasi:config`, `wasi:logging`, `warren:agent/metrics`.

use wasmtime::Result;

use super::{
    bindings::{
        warren::agent::{metrics, types},
        wasi::{config::store as config, logging::logging},
    },
    guest::Guest,
};
use crate::ports::guest::{LogLevel, Measurement, MeasurementKind};

/// Types only.
impl types::Host for Guest {}

impl config::Host for Guest {
    fn get(&mut self, key: String) -> Result<Result<Option<String>, config::Error>> {
        Ok(Ok(self.config.get(&key).cloned()))
    }

    fn get_all(&mut self) -> Result<Result<Vec<(String, String)>, config::Error>> {
        let pairs = self.config.iter().map(|(key, value)| (key.clone(), value.clone()));
        Ok(Ok(pairs.collect()))
    }
}

impl logging::Host for Guest {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> Result<()> {
        let level = match level {
            logging::Level::Trace => LogLevel::Trace,
            logging::Level::Debug => LogLevel::Debug,
            logging::Level::Info => LogLevel::Info,
            logging::Level::Warn => LogLevel::Warn,
            logging::Level::Error => LogLevel::Error,
            logging::Level::Critical => LogLevel::Critical,
        };
        self.account.log.line(level, &context, &message);
        Ok(())
    }
}

impl Guest {
    fn measure(&self, kind: MeasurementKind, name: String, labels: Vec<(String, String)>, value: f64) -> Result<()> {
        self.host.measure(Measurement {
            kind,
            name,
            labels,
            value,
        });
        Ok(())
    }
}

impl metrics::Host for Guest {
    fn counter_add(&mut self, name: String, labels: Vec<metrics::Label>, amount: f64) -> Result<()> {
        self.measure(MeasurementKind::Counter, name, labels, amount)
    }

    fn gauge_set(&mut self, name: String, labels: Vec<metrics::Label>, value: f64) -> Result<()> {
        self.measure(MeasurementKind::Gauge, name, labels, value)
    }

    fn histogram_observe(&mut self, name: String, labels: Vec<metrics::Label>, value: f64) -> Result<()> {
        self.measure(MeasurementKind::Histogram, name, labels, value)
    }
}
