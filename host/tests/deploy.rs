//! `host/deploy`: the image and the Kubernetes objects, checked as far as that goes without an engine and a cluster.
//!
//! Always: each object against Kubernetes' own types, the references between them, the rights of their pods, the variables
//! against the program's configuration, the Dockerfile against the workspace; and two hosts as deployed, on a store as
//! deployed, as processes. With a kubectl: what it renders, under the same checks.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "deploy/configuration.rs"]
mod configuration;
#[path = "deploy/image.rs"]
mod image;
#[path = "deploy/manifests.rs"]
mod manifests;
#[path = "deploy/pods.rs"]
mod pods;
#[path = "deploy/references.rs"]
mod references;
#[path = "deploy/rendering.rs"]
mod rendering;
#[path = "deploy/running.rs"]
mod running;
#[path = "deploy/shape.rs"]
mod shape;
#[path = "deploy/store.rs"]
mod store;

use serde_json::{Value, json};

use self::{
    manifests::{Manifests, list},
    pods::workload,
};

/// Everything that is wrong with objects, by themselves and together.
fn problems(manifests: &Manifests) -> Vec<String> {
    let mut problems = shape::problems(manifests);
    problems.extend(references::problems(manifests));
    problems
}

#[test]
fn the_objects_fit_together() {
    assert_eq!(problems(&Manifests::base()), [""; 0]);
    assert_eq!(problems(&Manifests::example()), [""; 0]);
}

#[test]
fn two_hosts_stay_through_a_rollout_and_a_drain() {
    let manifests = Manifests::base();
    let spec = &workload(&manifests, "warren").object["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(
        spec["strategy"]["rollingUpdate"],
        json!({ "maxSurge": 1, "maxUnavailable": 0 })
    );
    assert_eq!(manifests.of_kind("PodDisruptionBudget").count(), 1);
}

#[test]
fn the_account_can_do_nothing() {
    let manifests = Manifests::base();
    assert_eq!(
        manifests.get("ServiceAccount", "warren")["automountServiceAccountToken"],
        false
    );
    assert!(
        !manifests
            .0
            .iter()
            .any(|object| object["kind"].to_string().contains("Role"))
    );
}

/// One thing that is wrong, in one place.
type Slip = (&'static str, fn(&mut Value));

const SLIPS: &[Slip] = &[
    ("Deployment", |d| d["spec"]["terminationGracePeriod"] = json!(5)),
    ("Deployment", |d| {
        d["spec"]["template"]["metadata"]["labels"] = json!({ "app": "warren" })
    }),
    ("Deployment", |d| {
        d["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] = json!("9091")
    }),
    ("Deployment", |d| {
        d["spec"]["template"]["spec"]["enableServiceLinks"] = Value::Null
    }),
    ("Deployment", |d| {
        d["spec"]["template"]["spec"]["serviceAccountName"] = json!("default-warren")
    }),
    ("Deployment", |d| {
        d["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = json!(0)
    }),
    ("Deployment", |d| {
        d["spec"]["template"]["spec"]["volumes"][0]["name"] = json!("cache")
    }),
    ("Deployment", |d| container(d)["image"] = json!("warren:latest")),
    ("Deployment", |d| container(d)["image"] = json!("registry:5000/warren")),
    ("Deployment", |d| {
        container(d)["livenessProbe"]["httpGet"]["port"] = json!("api")
    }),
    ("Deployment", |d| {
        container(d)["readinessProbe"]["timeoutSeconds"] = json!("5")
    }),
    ("Deployment", |d| {
        container(d)["envFrom"][1]["secretRef"]["name"] = json!("warren-secret")
    }),
    ("Deployment", |d| {
        container(d)["env"][2]["value"] = json!("http://$(HOST_IP):9090")
    }),
    ("Deployment", |d| {
        container(d)["securityContext"]["readOnlyRootFilesystem"] = json!(false)
    }),
    ("StatefulSet", |s| s["spec"]["serviceName"] = json!("redis")),
    ("StatefulSet", |s| {
        container(s)["env"][0]["valueFrom"]["secretKeyRef"]["key"] = json!("password")
    }),
    ("ConfigMap", |c| c["data"]["WARREN_RUNNER_SLOTS"] = json!(16)),
    ("Service", |s| {
        s["spec"]["selector"] = json!({ "app.kubernetes.io/name": "hosts" })
    }),
    ("Service", |s| s["spec"]["ports"][0]["targetPort"] = json!("metrics")),
    ("PodDisruptionBudget", |p| p["spec"]["maxUnavailable"] = json!(0)),
    ("PodDisruptionBudget", |p| {
        p["spec"]["selector"]["matchLabels"] = json!({ "app": "warren" })
    }),
    ("NetworkPolicy", |p| {
        p["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"] = json!({ "app": "x" })
    }),
    ("ServiceAccount", |a| a["kind"] = json!("ClusterRoleBinding")),
];

#[test]
fn a_slip_is_found() {
    for (at, (kind, slip)) in SLIPS.iter().enumerate() {
        let mut manifests = Manifests::base();
        manifests.change(kind, slip);
        // A value of the wrong type is Kubernetes' to refuse, and nothing that the other checks could read.
        let found = shape::problems(&manifests);
        let found = if found.is_empty() {
            references::problems(&manifests)
        } else {
            found
        };
        assert!(!found.is_empty(), "slip {at} of {kind} is not found");
    }
}

/// The first container of a workload.
fn container(workload: &mut Value) -> &mut Value {
    assert_eq!(list(workload, "/spec/template/spec/containers").len(), 1);
    &mut workload["spec"]["template"]["spec"]["containers"][0]
}
