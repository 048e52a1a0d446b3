//! Reloads of plugins and definitions, in numbers.

use prometheus::{Histogram, IntCounterVec, IntGauge, IntGaugeVec};

use super::{
    Maker,
    bounded::{BoundedLabel, OTHER},
};
use crate::ports::telemetry::PluginReload;

/// The label of a plugin whose manifest can't be read: no plugin has this name.
const UNREADABLE: &str = "(unreadable)";

pub struct ReloadMetrics {
    names: BoundedLabel,
    plugins: IntCounterVec,
    duration: Histogram,
    generation: IntGaugeVec,
    pub draining: IntGauge,
    pub definitions: IntCounterVec,
}

impl ReloadMetrics {
    pub(super) fn new(of_host: &Maker<'_>) -> prometheus::Result<ReloadMetrics> {
        Ok(ReloadMetrics {
            names: BoundedLabel::default(),
            plugins: of_host.counters(
                "botburrow_plugin_reloads_total",
                "What became of plugins that were read, at the start and again",
                &["plugin", "result"],
            )?,
            duration: of_host.seconds(
                "botburrow_plugin_reload_duration_seconds",
                "From a reload's command to the plugin's swap or refusal, other reloads of the plugin and compiling included",
            )?,
            generation: of_host.gauges(
                "botburrow_plugin_generation",
                "The generation that this host runs",
                &["plugin"],
            )?,
            draining: of_host.gauge(
                "botburrow_plugin_generations_draining",
                "Generations that were replaced or removed and are still in use",
            )?,
            definitions: of_host.counters(
                "botburrow_definition_reloads_total",
                "What became of agents' definitions that were read again at somebody's word, and changes that were found without",
                &["result"],
            )?,
        })
    }

    pub fn plugin(&self, reload: &PluginReload<'_>) {
        let name = reload.plugin.map(|plugin| self.names.bound(plugin.as_str()));
        let plugin = name.unwrap_or(UNREADABLE);
        self.plugins.with_label_values(&[plugin, reload.result]).inc();
        self.duration.observe(reload.took.as_secs_f64());
        match reload.generation {
            _ if plugin == OTHER || plugin == UNREADABLE => {}
            Some(number) => self.generation.with_label_values(&[plugin]).set(number.into()),
            // An error is that there is none to remove.
            None => drop(self.generation.remove_label_values(&[plugin])),
        }
    }
}
