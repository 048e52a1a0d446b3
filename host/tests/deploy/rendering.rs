//! What `kubectl kustomize` makes of it, under the same checks. Without a kubectl whose kustomize is version 5 or newer the
//! tests are skipped and say so; with `WARREN_REQUIRE_KUBECTL=1` they fail.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
};

use tempfile::TempDir;

use super::{
    configuration::{configuration, unread},
    manifests::{Manifests, contents, deploy, name_of, text},
    problems,
};

const OLDEST: u32 = 5;

/// Whether there is a kubectl that can render; says so once if there is none.
fn kubectl() -> bool {
    let Err(missing) = version() else { return true };
    let wanted = std::env::var_os("WARREN_REQUIRE_KUBECTL").is_some_and(|value| value == "1");
    assert!(!wanted, "{missing}, and WARREN_REQUIRE_KUBECTL=1 demands one");
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let notice = format!("SKIPPED: the rendering of host/deploy: {missing}\n");
        // Not `eprintln!`: the test harness would hide it, since the test passes.
        std::io::stderr().write_all(notice.as_bytes()).unwrap();
    });
    false
}

fn version() -> Result<(), String> {
    let asked = Command::new("kubectl")
        .args(["version", "--client", "--output=json"])
        .output();
    let answer = asked.map_err(|error| format!("there is no kubectl ({error})"))?;
    let version: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    // Kubectls before 1.26 don't tell: theirs is older.
    let text = version["kustomizeVersion"].as_str().unwrap_or("unknown");
    let major = text
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST => Ok(()),
        _ => Err(format!("kubectl's kustomize is {text}; {OLDEST} or newer is needed")),
    }
}

fn render(folder: &Path) -> Result<Manifests, String> {
    let output = Command::new("kubectl").arg("kustomize").arg(folder).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if !output.status.success() {
        return Err(err.into_owned());
    }
    let mut rendered = Manifests::parse(&out);
    // Kustomize breaks long secrets into lines; Kubernetes, unlike its types in Rust, reads over the breaks.
    rendered.change("Secret", |secret| {
        for value in secret["data"]
            .as_object_mut()
            .into_iter()
            .flat_map(|data| data.values_mut())
        {
            *value = text(value).replace('\n', "").into();
        }
    });
    Ok(rendered)
}

/// A copy of `host/deploy` in which the secrets of the example are as an operator fills them in.
fn filled_in() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(deploy())
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(copied.success());
    let example = folder.path().join("deploy/example");
    for name in ["warren", "valkey"] {
        let template = example.join(format!("{name}-secret.example.env"));
        let text = fs::read_to_string(template)
            .unwrap()
            .replace("replace-me", &"0123456789abcdef".repeat(2));
        fs::write(example.join(format!("{name}-secret.env")), text).unwrap();
    }
    (folder, example)
}

#[test]
fn the_base_renders_to_what_its_files_say() {
    if !kubectl() {
        return;
    }
    let mut rendered = render(&deploy().join("base")).unwrap();
    let base = Manifests::base();
    let mut secrets: Vec<_> = base.of_kind("Secret").cloned().collect();
    rendered.0.append(&mut secrets);
    assert_eq!(problems(&rendered), [""; 0]);
    let kinds = |manifests: &Manifests| {
        let mut kinds: Vec<String> = manifests.0.iter().map(|object| object["kind"].to_string()).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&rendered), kinds(&base));
    assert_eq!(configuration(&rendered), configuration(&base));
}

#[test]
fn the_example_renders_to_a_whole_cluster() {
    if !kubectl() {
        return;
    }
    let (_folder, example) = filled_in();
    let rendered = render(&example).unwrap();
    assert_eq!(problems(&rendered), [""; 0]);
    assert_eq!(unread(&rendered), [""; 0]);
    let everywhere = |object: &&serde_json::Value| object["metadata"]["namespace"] == "warren";
    assert_eq!(
        rendered.0.iter().filter(everywhere).count(),
        rendered.0.len() - 1,
        "all but the namespace are in it"
    );
    // What changes gets another name, so that a change rolls the pods.
    for (kind, name) in [
        ("ConfigMap", "warren-agents-"),
        ("Secret", "warren-"),
        ("Secret", "valkey-"),
    ] {
        assert_ne!(name_of(rendered.get(kind, name)), name);
    }
    let mut plain = configuration(&Manifests::example());
    let rendered = configuration(&rendered);
    plain.store.url.clone_from(&rendered.store.url);
    plain.hub.api_key.clone_from(&rendered.hub.api_key);
    assert_eq!(rendered, plain);
}

#[test]
fn without_secrets_nothing_renders() {
    if !kubectl() {
        return;
    }
    let (_folder, example) = filled_in();
    for name in ["warren", "valkey"] {
        fs::remove_file(example.join(format!("{name}-secret.env"))).unwrap();
    }
    let refused = render(&example).err().unwrap();
    assert!(refused.contains("-secret.env"), "{refused}");
}

#[test]
fn a_redis_of_ones_own_leaves_the_hosts_alone() {
    if !kubectl() {
        return;
    }
    let (_folder, example) = filled_in();
    let kustomization = example.join("kustomization.yaml");
    let text = fs::read_to_string(&kustomization).unwrap() + "components: [../external-redis]\n";
    let text = text.replace("  - name: valkey\n    envs: [valkey-secret.env]\n", "");
    fs::write(kustomization, text).unwrap();
    let secret =
        "HUB_API_KEY=key\nWARREN_API_TOKEN=0123456789abcdef\nREDIS_URL=rediss://warren:secret@redis.example.org\n";
    fs::write(example.join("warren-secret.env"), secret).unwrap();
    let rendered = render(&example).unwrap();
    assert_eq!(problems(&rendered), [""; 0]);
    assert_eq!(unread(&rendered), [""; 0]);
    assert!(
        !rendered.0.iter().any(|object| name_of(object).starts_with("valkey")),
        "{:?}",
        rendered.0
    );
    assert_eq!(
        contents(rendered.get("Secret", "warren"))["REDIS_URL"],
        "rediss://warren:secret@redis.example.org"
    );
}
