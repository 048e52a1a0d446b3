//! A host's metrics as Prometheus reads them.

use std::collections::BTreeMap;

/// Every series with its value, by name and labels as they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub fn parse(text: &str) -> Metrics {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        Metrics(samples.filter_map(sample).collect())
    }

    /// The values of all series of this name.
    pub fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = (&'m str, f64)> {
        let of_name = move |series: &str| match series.strip_prefix(name) {
            Some(rest) => rest.is_empty() || rest.starts_with('{'),
            None => false,
        };
        let all = self.0.iter().map(|(series, value)| (series.as_str(), *value));
        all.filter(move |(series, _)| of_name(series))
    }

    /// The sum over all series of this name that have one of these values of the label; nothing if there are none.
    pub fn sum(&self, name: &str, label: &str, values: &[&str]) -> Option<f64> {
        let wanted: Vec<String> = values.iter().map(|value| format!("{label}=\"{value}\"")).collect();
        let all = self.all(name);
        let found: Vec<f64> = all
            .filter(|(series, _)| wanted.iter().any(|label| series.contains(label)))
            .map(|(_, value)| value)
            .collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// Whether there is a metric of this name, a histogram's included.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some() || self.all(&format!("{name}_count")).next().is_some()
    }

    /// The number of a metric that is one series.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.all(name).next().map(|(_, value)| value)
    }
}

fn sample(line: &str) -> Option<(String, f64)> {
    // Label values may hold spaces; nothing stands behind the value here.
    let (series, value) = line.trim().rsplit_once(' ')?;
    Some((series.to_owned(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_name_and_label() {
        let metrics = Metrics::parse(
            "# HELP a Words 7\na{x=\"one two\"} 1\na{x=\"b\"} 2\nab 3\nh_bucket{le=\"+Inf\"} 4\nh_count 4\nbad\n",
        );
        assert_eq!(metrics.all("a").count(), 2);
        assert_eq!(metrics.sum("a", "x", &["one two", "b"]), Some(3.0));
        assert_eq!(metrics.sum("a", "x", &["c"]), None);
        assert_eq!(metrics.value("ab"), Some(3.0));
        assert!(metrics.has("h") && !metrics.has("b"));
    }
}
