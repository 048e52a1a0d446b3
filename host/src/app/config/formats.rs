//! How values are written in the configuration: durations as `30s`, sizes as `64MiB`, what is not set as `""`.
//!
//! Each module is for serde's `with`, so that fields have the types their readers want.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A duration in the largest unit that holds it exactly: what the configuration reads back.
pub fn format_span(span: Duration) -> String {
    let millis = span.as_millis();
    match [("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        .into_iter()
        .find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// A size in the largest unit that holds it exactly: what the configuration reads back.
pub fn format_size(bytes: u64) -> String {
    let (name, unit) = UNITS
        .into_iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, name) = text.split_at(digits);
    let unit = match name.trim() {
        "" => 1,
        name => UNITS.into_iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name))?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Durations.
pub mod span {
    use super::*;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_span(*span))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        const EXPECTED: &str = "a duration such as \"500ms\", \"30s\", \"10m\" or \"1h\" is expected";
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(EXPECTED))?;
        jiff::fmt::friendly::SpanParser::new()
            .parse_unsigned_duration(text.trim())
            .map_err(|_| D::Error::custom(EXPECTED))
    }
}

/// Sizes in bytes.
pub mod size {
    use super::*;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bytes(u64),
        Text(String),
    }

    pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_size(*bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let parsed = match Written::deserialize(deserializer) {
            Ok(Written::Bytes(bytes)) => Some(bytes),
            Ok(Written::Text(text)) => parse_size(&text),
            Err(_) => None,
        };
        parsed.ok_or_else(|| D::Error::custom("a size such as \"64MiB\", \"256KiB\" or a number of bytes is expected"))
    }
}

/// Labels: a table, or as one text `zone=a,disk=ssd`, which is also how an environment variable says it.
pub mod labels {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const EXPECTED: &str = "labels such as { zone = \"a\" } are expected, or as one text \"zone=a,disk=ssd\"";

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Table(BTreeMap<String, String>),
        Text(String),
    }

    pub fn serialize<S: Serializer>(labels: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
        let parts: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        serializer.serialize_str(&parts.join(","))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
        let written = Written::deserialize(deserializer).map_err(|_| D::Error::custom(EXPECTED))?;
        let text = match written {
            Written::Table(labels) => return Ok(labels),
            Written::Text(text) => text,
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (name, value) = part.split_once('=').ok_or_else(|| D::Error::custom(EXPECTED))?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect()
    }
}

/// What may be left unset: written as an empty string, which is also how an environment variable says it.
pub mod optional {
    use std::fmt::Display;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_str(""),
        }
    }

    pub fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("a text in quotes is expected"))?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }
}

/// Paths that may be left unset.
pub mod optional_path {
    use std::path::PathBuf;

    use serde::{Deserializer, Serializer};

    use super::optional;

    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        optional::serialize(&path.as_ref().map(|path| path.display()), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        optional::deserialize(deserializer)
    }
}

/// The address that is listened on.
pub mod address {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
        let text = String::deserialize(deserializer).unwrap_or_default();
        text.parse().map_err(|_| {
            D::Error::custom("an IP address with a port such as \"127.0.0.1:9090\" or \"[::]:9090\" is expected")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_back() {
        for bytes in [0, 1, 1023, 1024, 64 << 20, 3 << 30, (1 << 20) + 1] {
            assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }
        assert_eq!(parse_size("64 mib"), Some(64 << 20));
        for bad in ["", "MiB", "1.5MiB", "-1", "64MB", "99999999999GiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn spans_are_written_in_the_largest_exact_unit() {
        let written = [0, 250, 1000, 90_000, 600_000, 3_600_000].map(|ms| format_span(Duration::from_millis(ms)));
        assert_eq!(written, ["0s", "250ms", "1s", "90s", "10m", "1h"]);
    }
}
