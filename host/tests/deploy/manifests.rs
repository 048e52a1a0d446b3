//! The objects of `host/deploy`, as files say them or as kustomize renders them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::{
    DeepMerge,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Secret},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn deploy() -> PathBuf {
    workspace().join("host/deploy")
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines `NAME=value` of a file of variables, as kustomize reads them.
pub fn variables(path: &Path) -> BTreeMap<String, String> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let pair = line.split_once('=');
            let (name, value) = pair.unwrap_or_else(|| panic!("{}: {line:?} is no NAME=value", path.display()));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// Objects that belong together.
#[derive(Clone)]
pub struct Manifests(pub Vec<Value>);

impl Manifests {
    /// What the base is made of, with what its generators make, and with the secrets that the templates describe.
    pub fn base() -> Manifests {
        let folder = deploy().join("base");
        let kustomization = &Manifests::parse(&read(&folder.join("kustomization.yaml"))).0[0];
        let mut objects = Vec::new();
        for file in list(kustomization, "/resources") {
            objects.extend(Manifests::parse(&read(&folder.join(text(file)))).0);
        }
        for generator in list(kustomization, "/configMapGenerator") {
            let mut data = BTreeMap::new();
            for file in list(generator, "/envs") {
                data.extend(variables(&folder.join(text(file))));
            }
            objects.push(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": generator["name"] }, "data": data,
            }));
        }
        for name in ["warren", "valkey"] {
            let template = deploy().join(format!("example/{name}-secret.example.env"));
            objects.push(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": variables(&template),
            }));
        }
        Manifests(objects)
    }

    /// The base with what the example adds to it: its variables, its agents, its patch of the hosts.
    pub fn example() -> Manifests {
        let folder = deploy().join("example");
        let kustomization = &Manifests::parse(&read(&folder.join("kustomization.yaml"))).0[0];
        let mut all = Manifests::base();
        for generator in list(kustomization, "/configMapGenerator") {
            let mut data = BTreeMap::new();
            for literal in list(generator, "/literals") {
                let (name, value) = text(literal).split_once('=').expect("NAME=value");
                data.insert(name.to_owned(), value.to_owned());
            }
            for file in list(generator, "/files") {
                let (key, path) = text(file).split_once('=').expect("key=path");
                data.insert(key.to_owned(), read(&folder.join(path)));
            }
            let made = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": generator["name"] }, "data": data,
            });
            match generator["behavior"].as_str() {
                Some("merge") => all.merge::<ConfigMap>(made),
                _ => all.0.push(made),
            }
        }
        for patch in list(kustomization, "/patches") {
            for change in Manifests::parse(&read(&folder.join(text(&patch["path"])))).0 {
                all.merge::<Deployment>(change);
            }
        }
        all
    }

    /// Lay one object over its namesake.
    fn merge<K: DeepMerge + DeserializeOwned + Serialize>(&mut self, change: Value) {
        let same = |object: &&mut Value| object["kind"] == change["kind"] && name_of(object) == name_of(&change);
        let object = self.0.iter_mut().find(same).expect("an object of this name");
        let mut merged: K = serde_json::from_value(object.clone()).expect("an object of Kubernetes");
        merged.merge_from(serde_json::from_value(change).expect("an object of Kubernetes"));
        *object = serde_json::to_value(merged).expect("an object of Kubernetes");
    }

    /// The objects of a YAML stream.
    pub fn parse(yaml: &str) -> Manifests {
        Manifests(serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}")))
    }

    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The only object of a kind whose name begins so: generated names end in a hash.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        let found: Vec<&Value> = self
            .of_kind(kind)
            .filter(|object| name_of(object).starts_with(name))
            .collect();
        assert_eq!(found.len(), 1, "there should be one {kind} {name}");
        found[0]
    }

    /// The object that another one names.
    pub fn named(&self, kind: &str, name: &Value) -> Option<&Value> {
        self.of_kind(kind).find(|object| &object["metadata"]["name"] == name)
    }

    pub fn change(&mut self, kind: &str, change: impl Fn(&mut Value)) {
        let objects = self.0.iter_mut().filter(|object| object["kind"] == kind);
        objects.for_each(change);
    }
}

/// What a ConfigMap or Secret holds, in clear.
pub fn contents(object: &Value) -> BTreeMap<String, String> {
    let strings = |value: &Value| -> BTreeMap<String, String> {
        let fields = value.as_object().into_iter().flatten();
        fields
            .map(|(key, value)| (key.clone(), text(value).to_owned()))
            .collect()
    };
    if object["kind"] != "Secret" {
        return strings(&object["data"]);
    }
    let mut all = strings(&object["stringData"]);
    let secret: Secret = serde_json::from_value(object.clone()).expect("a Secret");
    for (key, value) in secret.data.unwrap_or_default() {
        all.insert(key, String::from_utf8(value.0).expect("UTF-8"));
    }
    all
}

pub fn name_of(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// The elements of a list, none if it is not there.
pub fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[track_caller]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}

/// A quantity in bytes, such as `512Mi`.
#[track_caller]
pub fn bytes(quantity: &Value) -> u64 {
    let quantity = text(quantity);
    let (number, unit) = quantity.split_at(quantity.find(char::is_alphabetic).unwrap_or(quantity.len()));
    let shift = match unit {
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        _ => panic!("{quantity}: write it in Ki, Mi or Gi"),
    };
    number.parse::<u64>().expect("a whole number") << shift
}
