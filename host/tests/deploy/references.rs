//! What objects say of each other: a name that nothing has is an object that never starts, or a service that nobody answers.

use serde_json::Value;

use super::{
    manifests::{Manifests, list, name_of},
    pods::{Workload, environment, workloads},
};

/// Everything that doesn't fit together.
pub fn problems(manifests: &Manifests) -> Vec<String> {
    let mut problems = twice(manifests);
    for workload in workloads(manifests) {
        let mut wrong = Vec::from_iter(selector(workload));
        wrong.extend(volumes(manifests, workload));
        wrong.extend(surroundings(manifests, workload));
        for container in workload.containers() {
            wrong.extend(environment(manifests, container).err());
            wrong.extend(probes(container));
        }
        problems.extend(wrong.into_iter().map(|why| format!("{}: {why}", workload.name())));
    }
    problems.extend(services(manifests));
    problems.extend(budgets(manifests));
    problems.extend(policies(manifests));
    problems
}

fn twice(manifests: &Manifests) -> Vec<String> {
    let again = |(at, object): (usize, &Value)| {
        let same = |other: &Value| other["kind"] == object["kind"] && name_of(other) == name_of(object);
        manifests.0[..at]
            .iter()
            .any(same)
            .then(|| format!("{} {} is there twice", object["kind"], name_of(object)))
    };
    manifests.0.iter().enumerate().filter_map(again).collect()
}

/// Whether all of these labels are among those.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().filter(|wanted| !wanted.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| &labels[key] == value))
}

fn selector(workload: Workload<'_>) -> Option<String> {
    let selector = &workload.object["spec"]["selector"]["matchLabels"];
    let own = selects(selector, workload.labels);
    (!own).then(|| format!("its selector {selector} does not find its own pods {}", workload.labels))
}

fn volumes(manifests: &Manifests, workload: Workload<'_>) -> Vec<String> {
    let claims = list(workload.object, "/spec/volumeClaimTemplates").iter().map(name_of);
    let plain = list(workload.pod, "/volumes")
        .iter()
        .filter_map(|volume| volume["name"].as_str());
    let there: Vec<&str> = claims.chain(plain).collect();
    let mounts = workload
        .containers()
        .iter()
        .flat_map(|container| list(container, "/volumeMounts"));
    let mounted: Vec<&str> = mounts.filter_map(|mount| mount["name"].as_str()).collect();
    let mut problems = Vec::new();
    problems.extend(
        mounted
            .iter()
            .filter(|name| !there.contains(name))
            .map(|name| format!("there is no volume {name}")),
    );
    problems.extend(
        there
            .iter()
            .filter(|name| !mounted.contains(name))
            .map(|name| format!("volume {name} is not mounted")),
    );
    for volume in list(workload.pod, "/volumes") {
        let Some(source) = volume.get("configMap") else {
            continue;
        };
        let Some(object) = manifests.named("ConfigMap", &source["name"]) else {
            problems.push(format!("there is no ConfigMap {}", source["name"]));
            continue;
        };
        let keys = list(source, "/items").iter().filter_map(|item| item["key"].as_str());
        problems.extend(
            keys.filter(|key| object["data"].get(key).is_none())
                .map(|key| format!("no key {key} is in {}", source["name"])),
        );
    }
    problems
}

/// Accounts, services and constraints that it names.
fn surroundings(manifests: &Manifests, workload: Workload<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let named = [
        ("ServiceAccount", &workload.pod["serviceAccountName"]),
        ("Service", &workload.object["spec"]["serviceName"]),
    ];
    for (kind, name) in named {
        if !name.is_null() && manifests.named(kind, name).is_none() {
            problems.push(format!("there is no {kind} {name}"));
        }
    }
    for constraint in list(workload.pod, "/topologySpreadConstraints") {
        if !selects(&constraint["labelSelector"]["matchLabels"], workload.labels) {
            problems.push(format!(
                "it is spread by {}, not by its own labels",
                constraint["labelSelector"]
            ));
        }
    }
    let port = &workload.object["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"];
    let open = |container: &Value| {
        list(container, "/ports")
            .iter()
            .any(|open| Some(open["containerPort"].to_string().as_str()) == port.as_str())
    };
    if !port.is_null() && !workload.containers().iter().any(open) {
        problems.push(format!("prometheus.io/port {port} is none of its ports"));
    }
    problems
}

fn probes(container: &Value) -> Vec<String> {
    let wrong = |name: &&str| {
        let get = container.get(*name)?.get("httpGet")?;
        let known = list(container, "/ports").iter().any(|port| port["name"] == get["port"]);
        (!known).then(|| format!("{name} asks port {}, which it has not", get["port"]))
    };
    ["startupProbe", "livenessProbe", "readinessProbe"]
        .iter()
        .filter_map(wrong)
        .collect()
}

fn has_port(workload: Workload<'_>, port: &Value) -> bool {
    let ports = workload
        .containers()
        .iter()
        .flat_map(|container| list(container, "/ports"));
    ports
        .into_iter()
        .any(|known| &known["name"] == port || &known["containerPort"] == port)
}

fn services(manifests: &Manifests) -> Vec<String> {
    let mut problems = Vec::new();
    for service in manifests.of_kind("Service") {
        let found: Vec<Workload<'_>> = workloads(manifests)
            .into_iter()
            .filter(|workload| selects(&service["spec"]["selector"], workload.labels))
            .collect();
        if found.len() != 1 {
            problems.push(format!(
                "service {} leads to {} workloads",
                name_of(service),
                found.len()
            ));
        }
        for port in list(service, "/spec/ports") {
            if !found.iter().all(|workload| has_port(*workload, &port["targetPort"])) {
                problems.push(format!(
                    "service {}: nobody has port {}",
                    name_of(service),
                    port["targetPort"]
                ));
            }
        }
    }
    problems
}

/// A budget that allows no disruption blocks the draining of a node for ever.
fn budgets(manifests: &Manifests) -> Vec<String> {
    let wrong = |budget: &Value| {
        let name = name_of(budget);
        let mut all = workloads(manifests).into_iter();
        let guarded = all.find(|workload| selects(&budget["spec"]["selector"]["matchLabels"], workload.labels));
        let Some(guarded) = guarded else {
            return Some(format!("budget {name} guards nothing"));
        };
        let replicas = guarded.object["spec"]["replicas"].as_u64().unwrap_or(1);
        let allowed = match (&budget["spec"]["maxUnavailable"], &budget["spec"]["minAvailable"]) {
            (most, Value::Null) => most.as_u64().unwrap_or(0),
            (_, least) => replicas.saturating_sub(least.as_u64().unwrap_or(replicas)),
        };
        (allowed == 0 || allowed >= replicas)
            .then(|| format!("budget {name} lets {allowed} of {replicas} be away at once"))
    };
    manifests.of_kind("PodDisruptionBudget").filter_map(wrong).collect()
}

fn policies(manifests: &Manifests) -> Vec<String> {
    let mut problems = Vec::new();
    for policy in manifests.of_kind("NetworkPolicy") {
        let find = |selector: &Value| {
            let mut all = workloads(manifests).into_iter();
            all.find(|workload| selects(&selector["matchLabels"], workload.labels))
        };
        let name = name_of(policy);
        let Some(guarded) = find(&policy["spec"]["podSelector"]) else {
            problems.push(format!("policy {name} guards nothing"));
            continue;
        };
        for rule in list(policy, "/spec/ingress") {
            let from = list(rule, "/from")
                .iter()
                .filter(|from| find(&from["podSelector"]).is_none());
            problems.extend(from.map(|from| format!("policy {name} lets in {from}, which nobody is")));
            let ports = list(rule, "/ports")
                .iter()
                .filter(|port| !has_port(guarded, &port["port"]));
            problems.extend(ports.map(|port| format!("policy {name} opens {port}, which nobody has")));
        }
    }
    problems
}
