//! What hosts write of themselves into the registry, and how it is read by others, of neighbouring versions too: fields that
//! a reader does not know are ignored, missing ones have their defaults, and what can't be read at all is shown as that.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::host::{HostPlugin, HostReport, HostState, KnownHost},
    ports::{
        hosts::{Hosts, Presence, SeenHost},
        store::StoreError,
    },
};

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Body {
    version: String,
    roles: Vec<String>,
    labels: BTreeMap<String, String>,
    address: String,
    slots: u32,
    in_flight: u32,
    plugins: Vec<Plugin>,
    draining: bool,
    up_seconds: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Plugin {
    name: String,
    generation: u32,
    digest: String,
}

/// The text that the store keeps.
pub fn written(report: &HostReport) -> Result<String, StoreError> {
    let body = Body {
        version: report.version.clone(),
        roles: report.roles.clone(),
        labels: report.labels.clone(),
        address: report.address.clone(),
        slots: report.slots,
        in_flight: report.in_flight,
        plugins: report
            .plugins
            .iter()
            .map(|plugin| Plugin {
                name: plugin.name.clone(),
                generation: plugin.generation,
                digest: plugin.digest.clone(),
            })
            .collect(),
        draining: report.draining,
        up_seconds: report.up.as_secs(),
    };
    serde_json::to_string(&body).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn read(text: &str) -> Result<HostReport, String> {
    let body: Body =
        serde_json::from_str(text).map_err(|error| format!("what it says of itself can't be read: {error}"))?;
    let plugin = |plugin: Plugin| HostPlugin {
        name: plugin.name,
        generation: plugin.generation,
        digest: plugin.digest,
    };
    Ok(HostReport {
        version: body.version,
        roles: body.roles,
        labels: body.labels,
        address: body.address,
        slots: body.slots,
        in_flight: body.in_flight,
        plugins: body.plugins.into_iter().map(plugin).collect(),
        draining: body.draining,
        up: Duration::from_secs(body.up_seconds),
    })
}

fn known(seen: SeenHost) -> KnownHost {
    let report = read(&seen.body);
    let draining = report.as_ref().is_ok_and(|report| report.draining);
    KnownHost {
        holder: seen.holder,
        state: match seen.presence {
            Presence::Beating if draining => HostState::Draining,
            Presence::Beating => HostState::Live,
            Presence::Silent => HostState::Gone,
            Presence::Left => HostState::Left,
        },
        silent: seen.ago,
        report,
    }
}

/// The hosts that live, and those that did within the last hour; by name and start.
pub async fn all(hosts: &dyn Hosts) -> Result<Vec<KnownHost>, StoreError> {
    Ok(hosts.list().await?.into_iter().map(known).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(presence: Presence, body: &str) -> KnownHost {
        known(SeenHost {
            holder: "h1/0".to_owned(),
            presence,
            ago: Duration::from_secs(1),
            body: body.to_owned(),
        })
    }

    #[test]
    fn what_is_written_is_read_back() {
        let report = HostReport {
            version: "1.2.3".to_owned(),
            roles: vec!["runner".to_owned()],
            labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            address: "http://h1:9090".to_owned(),
            slots: 32,
            in_flight: 3,
            plugins: vec![HostPlugin {
                name: "echo".to_owned(),
                generation: 2,
                digest: "ab".repeat(32),
            }],
            draining: false,
            up: Duration::from_secs(61),
        };
        assert_eq!(read(&written(&report).unwrap()), Ok(report));
    }

    #[test]
    fn neighbouring_versions_are_understood_and_nonsense_is_shown_as_that() {
        let newer = seen(Presence::Beating, r#"{"slots":4,"moon":{"phase":1},"draining":true}"#);
        assert_eq!(newer.state, HostState::Draining);
        assert_eq!(newer.report.unwrap().slots, 4);
        for body in ["", "nonsense", r#"{"slots":-1}"#, "[]\u{0}"] {
            let odd = seen(Presence::Beating, body);
            assert_eq!(odd.state, HostState::Live, "{body}");
            assert!(odd.report.unwrap_err().contains("can't be read"), "{body}");
        }
        assert_eq!(seen(Presence::Left, "{}").state, HostState::Left);
        assert_eq!(seen(Presence::Silent, r#"{"draining":true}"#).state, HostState::Gone);
    }
}
