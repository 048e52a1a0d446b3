//! The pods that a manifest starts: their containers, and the variables that these get.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifests::{Manifests, contents, list, name_of, text};

/// A Deployment or StatefulSet, and what its pods are made from.
#[derive(Clone, Copy)]
pub struct Workload<'m> {
    pub object: &'m Value,
    pub labels: &'m Value,
    pub pod: &'m Value,
}

pub fn workloads(manifests: &Manifests) -> Vec<Workload<'_>> {
    let objects = manifests.of_kind("Deployment").chain(manifests.of_kind("StatefulSet"));
    objects
        .map(|object| Workload {
            object,
            labels: &object["spec"]["template"]["metadata"]["labels"],
            pod: &object["spec"]["template"]["spec"],
        })
        .collect()
}

/// The workload of this name.
#[track_caller]
pub fn workload<'m>(manifests: &'m Manifests, name: &str) -> Workload<'m> {
    let found = workloads(manifests).into_iter().find(|one| one.name() == name);
    found.unwrap_or_else(|| panic!("there is no workload {name}"))
}

impl<'m> Workload<'m> {
    pub fn name(self) -> &'m str {
        name_of(self.object)
    }

    pub fn containers(self) -> &'m [Value] {
        list(self.pod, "/containers")
    }

    /// Its only container.
    #[track_caller]
    pub fn container(self) -> &'m Value {
        assert_eq!(self.containers().len(), 1, "{}", self.name());
        &self.containers()[0]
    }

    /// The arguments, with what Kubernetes puts in for variables.
    pub fn arguments(self, manifests: &Manifests) -> Vec<String> {
        let container = self.container();
        let environment = environment(manifests, container).expect("good variables");
        let words = list(container, "/command").iter().chain(list(container, "/args"));
        words.map(|word| expand(text(word), &environment)).collect()
    }
}

/// The variables of a container, as Kubernetes makes them: `envFrom` first, then `env` in order, each of which may name
/// those before it. The error says what can't be made.
pub fn environment(manifests: &Manifests, container: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for source in list(container, "/envFrom") {
        let (kind, field) = match source.get("configMapRef") {
            Some(_) => ("ConfigMap", "configMapRef"),
            None => ("Secret", "secretRef"),
        };
        let name = &source[field]["name"];
        let object = manifests
            .named(kind, name)
            .ok_or_else(|| format!("envFrom: there is no {kind} {name}"))?;
        all.extend(contents(object));
    }
    for variable in list(container, "/env") {
        let name = text(&variable["name"]);
        let value = match (&variable["value"], &variable["valueFrom"]) {
            (Value::String(value), Value::Null) => expand(value, &all),
            (Value::Null, from) => taken_from(manifests, from).map_err(|why| format!("{name}: {why}"))?,
            (value, _) => return Err(format!("{name}: {value} is not a text")),
        };
        if let Some(at) = value.find("$(") {
            return Err(format!("{name}: {} is not set before it", &value[at..]));
        }
        all.insert(name.to_owned(), value);
    }
    Ok(all)
}

fn taken_from(manifests: &Manifests, from: &Value) -> Result<String, String> {
    if let Some(field) = from.pointer("/fieldRef/fieldPath") {
        return match text(field) {
            "status.podIP" => Ok("10.1.2.3".to_owned()),
            "metadata.namespace" => Ok("warren".to_owned()),
            other => Err(format!("this test does not know the field {other}")),
        };
    }
    let (kind, reference) = match from.get("secretKeyRef") {
        Some(reference) => ("Secret", reference),
        None => ("ConfigMap", &from["configMapKeyRef"]),
    };
    let (name, key) = (&reference["name"], text(&reference["key"]));
    let object = manifests
        .named(kind, name)
        .ok_or_else(|| format!("there is no {kind} {name}"))?;
    let value = contents(object).remove(key);
    value.ok_or_else(|| format!("{kind} {name} has no {key}"))
}

/// `$(NAME)` as the value of that variable; one that is not set stays as it is.
fn expand(value: &str, known: &BTreeMap<String, String>) -> String {
    known.iter().fold(value.to_owned(), |text, (name, value)| {
        text.replace(&format!("$({name})"), value)
    })
}
