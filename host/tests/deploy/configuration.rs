//! Defect 27: the manifests set variables without the prefix that the program reads, so pods talk to `localhost`. Here the
//! program's own configuration reads what the pods get, and each variable has to be where some value came from.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use reqwest::Url;
use warren::app::{
    config::{Config, Loaded, Problems, Sources, store::StoreKind},
    host::longest_stop,
};

use super::{
    image::{destinations, image_variables},
    manifests::{Manifests, bytes, contents, deploy, list, name_of, text, variables},
    pods::{environment, workload},
};

/// What compiled plugins, warm pages of the pool and the host itself may take beside the guests' memory.
const HOST_MEMORY: u64 = 256 << 20;

/// The variables of a host, with a token as an operator would fill it in.
#[track_caller]
pub fn host_variables(manifests: &Manifests) -> BTreeMap<String, String> {
    let mut all = image_variables();
    all.extend(environment(manifests, workload(manifests, "warren").container()).expect("good variables"));
    all.insert("WARREN_API_TOKEN".to_owned(), "0123456789abcdef".repeat(4));
    all
}

pub fn load(variables: &BTreeMap<String, String>) -> Result<Loaded, Problems> {
    let environment = variables
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Sources {
        file: None,
        environment,
    }
    .load()
}

#[track_caller]
pub fn configuration(manifests: &Manifests) -> Config {
    load(&host_variables(manifests))
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

/// Variables from which no value came, and which are no part of another one either.
pub fn unread(manifests: &Manifests) -> Vec<String> {
    let all = host_variables(manifests);
    let loaded = match load(&all) {
        Ok(loaded) => loaded,
        Err(problems) => return problems.0.iter().map(ToString::to_string).collect(),
    };
    let container = workload(manifests, "warren").container();
    let composed: Vec<&str> = list(container, "/env")
        .iter()
        .filter_map(|one| one["value"].as_str())
        .collect();
    let read = |name: &String| loaded.entries.iter().any(|entry| entry.source == **name);
    let named = |name: &String| composed.iter().any(|value| value.contains(&format!("$({name})")));
    let unread = all.keys().filter(|name| !read(name) && !named(name));
    unread.map(|name| format!("nothing reads {name}")).collect()
}

#[test]
fn each_variable_is_one_that_the_program_reads() {
    for manifests in [Manifests::base(), Manifests::example()] {
        assert_eq!(unread(&manifests), [""; 0]);
    }
}

#[test]
fn a_variable_without_the_prefix_or_with_a_slip_is_found() {
    for (right, wrong) in [
        ("WARREN_API_LISTEN", "API_LISTEN"),
        ("WARREN_RUNNER_SLOTS", "WARREN_RUNER_SLOTS"),
        ("WARREN_STORE_URL", "STORE_URL"),
        ("WARREN_STORE_URL", "BOTBURROW_REDIS_URL"),
        ("HUB_API_KEY", "BOTBURROW_HUB_API_KEY"),
    ] {
        let mut manifests = Manifests::base();
        for (kind, field) in [("ConfigMap", "data"), ("Secret", "stringData")] {
            manifests.change(kind, |object| {
                if let Some(data) = object[field].as_object_mut()
                    && let Some(value) = data.remove(right)
                {
                    data.insert(wrong.to_owned(), value);
                }
            });
        }
        assert_ne!(unread(&manifests), [""; 0], "{wrong}");
    }
}

#[test]
fn a_host_without_the_address_of_its_store_does_not_start_on_a_store_of_its_own() {
    let mut all = host_variables(&Manifests::base());
    all.remove("WARREN_STORE_URL");
    let problems = load(&all).unwrap_err().to_string();
    assert!(problems.contains("store.url"), "{problems}");
}

#[test]
fn the_templates_of_secrets_hold_none_and_do_not_start_a_host() {
    let all = environment(
        &Manifests::example(),
        workload(&Manifests::example(), "warren").container(),
    )
    .unwrap();
    let problems = load(&all).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert_eq!(problems.0[0].key, "api.token", "{problems}");
    for file in ["warren-secret.example.env", "valkey-secret.example.env"] {
        for (name, value) in variables(&deploy().join("example").join(file)) {
            assert!(value.contains("replace-me"), "{file}: {name} looks filled in");
        }
    }
}

#[test]
fn an_example_is_all_that_a_host_needs() {
    let loaded = load(&host_variables(&Manifests::example())).unwrap();
    loaded.require_hub().unwrap();
    assert_eq!(loaded.config.store.effective_kind(), StoreKind::Redis);
}

#[test]
fn hosts_find_the_store_under_the_name_port_and_password_that_it_has() {
    let manifests = Manifests::base();
    let all = host_variables(&manifests);
    let url: Url = all["WARREN_STORE_URL"].parse().unwrap();
    let service = manifests.get("Service", url.host_str().unwrap());
    assert_eq!(list(service, "/spec/ports")[0]["port"], url.port().unwrap_or(6379));
    let secret = contents(manifests.get("Secret", "valkey"));
    assert_eq!(url.password(), secret.get("VALKEY_PASSWORD").map(String::as_str));
}

#[test]
fn the_api_is_where_probes_services_and_other_hosts_look_for_it() {
    let manifests = Manifests::base();
    let config = configuration(&manifests);
    let container = workload(&manifests, "warren").container();
    let port = &list(container, "/ports")[0]["containerPort"];
    assert!(config.api.listen.ip().is_unspecified(), "{}", config.api.listen);
    assert_eq!(*port, config.api.listen.port());
    assert_eq!(
        config.advertised_address(SocketAddr::from(([0, 0, 0, 0], 1))),
        format!("http://10.1.2.3:{port}")
    );
    let service = name_of(manifests.get("Service", "warren"));
    for suffix in ["", ".warren", ".warren.svc", ".warren.svc.cluster.local"] {
        assert!(
            config.api.hosts.contains(&format!("{service}{suffix}")),
            "{:?}",
            config.api.hosts
        );
    }
}

#[test]
fn the_grace_period_of_a_pod_outlasts_the_drain() {
    let manifests = Manifests::base();
    let config = configuration(&manifests);
    let grace = &workload(&manifests, "warren").pod["terminationGracePeriodSeconds"];
    let grace = Duration::from_secs(grace.as_u64().unwrap());
    let needed = longest_stop(config.host.grace_period);
    assert!(needed < grace, "{grace:?} is too short: stopping may take {needed:?}");
    assert!(
        grace < needed + Duration::from_secs(60),
        "{grace:?} is much longer than stopping takes, {needed:?}"
    );
}

#[test]
fn a_probe_waits_longer_than_the_host_waits_for_the_store() {
    let manifests = Manifests::base();
    let config = configuration(&manifests);
    let probe = &workload(&manifests, "warren").container()["readinessProbe"];
    assert!(Duration::from_secs(probe["timeoutSeconds"].as_u64().unwrap()) > config.leader.store_timeout);
}

#[test]
fn the_memory_is_enough_for_every_slot() {
    let manifests = Manifests::base();
    let config = configuration(&manifests);
    let limit = bytes(&workload(&manifests, "warren").container()["resources"]["limits"]["memory"]);
    let needed = u64::from(config.runner.slots) * config.limits.limits().memory + HOST_MEMORY;
    assert!(limit >= needed, "{limit} bytes are less than {needed}");
    // Without a CPU limit the threads of guests are what keeps them from taking the node.
    assert_ne!(config.runner.guest_threads, 0);
}

#[test]
fn what_a_host_writes_goes_to_a_volume_and_what_it_reads_is_there() {
    for manifests in [Manifests::base(), Manifests::example()] {
        let config = configuration(&manifests);
        let host = workload(&manifests, "warren");
        let mount = |path: &Path| {
            let mut mounts = list(host.container(), "/volumeMounts").iter();
            mounts.find(|mount| path.starts_with(text(&mount["mountPath"])))
        };
        let data = mount(&config.host.data_dir).expect("the folder of data is on a volume");
        assert_ne!(data["readOnly"], true);
        // Whoever may write to the mounted folder itself, a host's own is made below it, for it alone.
        assert!(config.host.data_dir != Path::new(text(&data["mountPath"])));
        for folder in [&config.host.plugin_dir, &config.host.agents_dir] {
            let copied = destinations().iter().any(|known| folder == Path::new(known));
            assert!(
                copied || mount(folder).is_some(),
                "{} is in no image and on no volume",
                folder.display()
            );
        }
    }
}
