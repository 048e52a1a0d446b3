//! Values that definitions and manifests have in common: sizes, spans of time, capabilities, limits. Each says in its error
//! what it may look like.

use std::{fmt, time::Duration};

use bytesize::ByteSize;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use crate::domain::{capability::Capability, limits::LimitOverrides};

/// A number of bytes: `64MiB`, `100kB`, or a plain number.
pub(super) struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Size, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64MiB or 4096 (bytes)")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                match text.parse::<ByteSize>() {
                    Ok(size) => Ok(Size(size.as_u64())),
                    Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
            }
        }
        from.deserialize_any(SizeVisitor)
    }
}

/// A span of time with its unit: `5s`, `2m 30s`.
pub(super) struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span of time with its unit, such as 500ms, 5s or 2m")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                match humantime::parse_duration(text) {
                    Ok(span) => Ok(Span(span)),
                    Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        from.deserialize_any(SpanVisitor)
    }
}

/// A capability by its name.
pub(super) struct CapabilityName(pub(super) Capability);

impl<'de> Deserialize<'de> for CapabilityName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<CapabilityName, D::Error> {
        String::deserialize(from)?
            .parse()
            .map(CapabilityName)
            .map_err(D::Error::custom)
    }
}

/// The limits that may be changed, by the names that `domain::limits` gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    memory: Option<Size>,
    cpu: Option<Span>,
    deadline: Option<Span>,
    outcome: Option<Size>,
    log_lines: Option<u32>,
    log_bytes: Option<Size>,
    hub_calls: Option<u32>,
    state_bytes: Option<Size>,
    state_keys: Option<u32>,
    state_value: Option<Size>,
    workspace_bytes: Option<Size>,
    workspace_entries: Option<u32>,
}

impl From<Limits> for LimitOverrides {
    fn from(limits: Limits) -> LimitOverrides {
        let bytes = |size: Option<Size>| size.map(|Size(bytes)| bytes);
        let span = |span: Option<Span>| span.map(|Span(span)| span);
        LimitOverrides {
            memory: bytes(limits.memory),
            cpu: span(limits.cpu),
            deadline: span(limits.deadline),
            outcome: bytes(limits.outcome),
            log_lines: limits.log_lines,
            log_bytes: bytes(limits.log_bytes),
            hub_calls: limits.hub_calls,
            state_bytes: bytes(limits.state_bytes),
            state_keys: limits.state_keys,
            state_value: bytes(limits.state_value),
            workspace_bytes: bytes(limits.workspace_bytes),
            workspace_entries: limits.workspace_entries,
        }
    }
}

/// `file:line: field: what`, with the parts that are known.
pub(super) fn located(file: &std::path::Path, line: Option<u64>, field: &str, what: &str) -> String {
    let mut message = file.display().to_string();
    if let Some(line) = line {
        message.push_str(&format!(":{line}"));
    }
    if !field.is_empty() && field != "." {
        message.push_str(&format!(": {field}"));
    }
    format!("{message}: {what}")
}
