//! Each object by itself: whether Kubernetes knows its fields, and whether its pods have no more rights than they need.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    manifests::{Manifests, list, name_of, text},
    pods::{Workload, workloads},
};

/// Everything that Kubernetes would refuse, ignore or should not be asked for.
pub fn problems(manifests: &Manifests) -> Vec<String> {
    let mut problems: Vec<String> = manifests.0.iter().filter_map(|object| unknown(object).err()).collect();
    for workload in workloads(manifests) {
        let mut wrong = rights(workload);
        for container in workload.containers() {
            wrong.extend(container_rights(container));
            wrong.extend(image(text(&container["image"])));
            if container["resources"]["limits"]["memory"].is_null() {
                wrong.push("its memory is not limited".to_owned());
            }
        }
        problems.extend(wrong.into_iter().map(|why| format!("{}: {why}", workload.name())));
    }
    problems
}

/// Kubernetes' own types, read and written again: a field that they don't know is lost on the way.
fn unknown(object: &Value) -> Result<(), String> {
    match text(&object["kind"]) {
        "ConfigMap" => through::<ConfigMap>(object),
        "Deployment" => through::<Deployment>(object),
        "Namespace" => through::<Namespace>(object),
        "NetworkPolicy" => through::<NetworkPolicy>(object),
        "PodDisruptionBudget" => through::<PodDisruptionBudget>(object),
        "Secret" => through::<Secret>(object),
        "Service" => through::<Service>(object),
        "ServiceAccount" => through::<ServiceAccount>(object),
        "StatefulSet" => through::<StatefulSet>(object),
        // A Role or RoleBinding, for example, would be a right that nobody has asked for so far.
        other => Err(format!(
            "{} {}: no object of this kind is expected",
            other,
            name_of(object)
        )),
    }
}

fn through<K: DeserializeOwned + Serialize>(object: &Value) -> Result<(), String> {
    let of = || format!("{} {}", text(&object["kind"]), name_of(object));
    let known: K = serde_json::from_value(object.clone()).map_err(|error| format!("{}: {error}", of()))?;
    let known = serde_json::to_value(known).map_err(|error| format!("{}: {error}", of()))?;
    match lost("", object, &known) {
        Some(path) => Err(format!("{}: Kubernetes knows no {path}", of())),
        None => Ok(()),
    }
}

/// The first value that is in one and not in the other.
fn lost(path: &str, from: &Value, to: &Value) -> Option<String> {
    match (from, to) {
        (Value::Object(from), to) => from
            .iter()
            .find_map(|(key, value)| lost(&format!("{path}/{key}"), value, &to[key])),
        (Value::Array(from), to) => from
            .iter()
            .enumerate()
            .find_map(|(at, value)| lost(&format!("{path}/{at}"), value, &to[at])),
        (from, to) => (from != to).then(|| path.to_owned()),
    }
}

/// What the profile `restricted` of Kubernetes demands of a pod, and no token of the cluster's.
fn rights(workload: Workload<'_>) -> Vec<String> {
    let pod = workload.pod;
    let wanted = [
        ("/automountServiceAccountToken", json!(false)),
        // Variables of services are called like those of the configuration.
        ("/enableServiceLinks", json!(false)),
        ("/securityContext/runAsNonRoot", json!(true)),
        ("/securityContext/seccompProfile/type", json!("RuntimeDefault")),
        ("/hostNetwork", Value::Null),
        ("/hostPID", Value::Null),
    ];
    let mut problems = missing(pod, &wanted);
    if pod["securityContext"]["runAsUser"].as_u64().unwrap_or(0) == 0 {
        problems.push("it runs as root".to_owned());
    }
    let hostile = list(pod, "/volumes")
        .iter()
        .filter(|volume| volume.get("hostPath").is_some());
    problems.extend(hostile.map(|volume| format!("volume {} is the node's", volume["name"])));
    problems
}

fn container_rights(container: &Value) -> Vec<String> {
    let wanted = [
        ("/securityContext/allowPrivilegeEscalation", json!(false)),
        ("/securityContext/readOnlyRootFilesystem", json!(true)),
        ("/securityContext/capabilities", json!({ "drop": ["ALL"] })),
        ("/securityContext/privileged", Value::Null),
    ];
    missing(container, &wanted)
}

fn missing(value: &Value, wanted: &[(&str, Value)]) -> Vec<String> {
    let is = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
    let wrong = wanted.iter().filter(|(pointer, wanted)| is(pointer) != *wanted);
    wrong
        .map(|(pointer, wanted)| format!("{pointer} should be {wanted} and is {}", is(pointer)))
        .collect()
}

/// An image without a version is another one tomorrow.
fn image(image: &str) -> Option<String> {
    let name = image.rsplit('/').next().unwrap_or(image);
    let pinned = image.contains("@sha256:")
        || name
            .split_once(':')
            .is_some_and(|(_, tag)| tag.starts_with(|c: char| c.is_ascii_digit()));
    (!pinned).then(|| format!("image {image} has no version"))
}
