//! The Dockerfile, read as what it says: there is no container engine in the tests.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, process::Command};

use super::{
    manifests::{Manifests, deploy, list, read, workspace},
    pods::workload,
};

struct Stage {
    from: String,
    instructions: Vec<(String, String)>,
}

/// The stages of the Dockerfile, each an image and what is done to it.
fn stages() -> Vec<Stage> {
    let text = read(&deploy().join("Dockerfile"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let whole = lines.fold(String::new(), |text, line| match line.strip_suffix('\\') {
        Some(line) => text + line,
        None => text + line + "\n",
    });
    let mut stages = Vec::new();
    for line in whole.lines().filter(|line| !line.trim().is_empty()) {
        let (word, rest) = line
            .split_once(' ')
            .unwrap_or_else(|| panic!("{line:?} is no instruction"));
        let words = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        match (word, stages.last_mut()) {
            ("FROM", _) => stages.push(Stage {
                from: words,
                instructions: Vec::new(),
            }),
            (_, Some(Stage { instructions, .. })) => instructions.push((word.to_owned(), words)),
            (_, None) => panic!("{line:?} stands before the first FROM"),
        }
    }
    stages
}

impl Stage {
    fn all<'s>(&'s self, word: &'s str) -> impl Iterator<Item = &'s str> {
        let instructions = self.instructions.iter();
        instructions
            .filter(move |(known, _)| known == word)
            .map(|(_, rest)| rest.as_str())
    }

    #[track_caller]
    fn only<'s>(&'s self, word: &'s str) -> &'s str {
        let found: Vec<&str> = self.all(word).collect();
        assert_eq!(found.len(), 1, "{word}: {found:?}");
        found[0]
    }
}

/// The last stage is the image.
fn image() -> Stage {
    stages().pop().expect("a stage")
}

/// The variables that the image sets.
pub fn image_variables() -> BTreeMap<String, String> {
    let pairs = image()
        .all("ENV")
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Where the image's files are copied to.
pub fn destinations() -> Vec<String> {
    let copies = image();
    let last = copies.all("COPY").filter_map(|copy| copy.rsplit(' ').next());
    last.map(str::to_owned).collect()
}

/// The entries of the build's context: the allowed ones of `.dockerignore`.
fn context() -> Vec<String> {
    let text = read(&workspace().join(".dockerignore"));
    let rules: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(rules[0], "*", "nothing is let in that is not named");
    let allowed = rules.iter().filter_map(|rule| rule.strip_prefix('!'));
    allowed.map(str::to_owned).collect()
}

#[test]
fn the_builder_has_the_rust_of_the_workspace_and_the_debian_of_the_image() {
    let manifest: toml::Table = read(&workspace().join("Cargo.toml")).parse().unwrap();
    let package = &manifest["workspace"]["package"];
    let rust = package["rust-version"].as_str().unwrap();
    let builder = &stages()[0].from;
    assert_eq!(builder, &format!("rust:{rust}-slim-bookworm AS build"));
    // Bookworm is Debian 12: a binary for a newer glibc would not start.
    assert_eq!(image().from, "gcr.io/distroless/cc-debian12:nonroot");
    let version = package["version"].as_str().unwrap();
    let image = workload(&Manifests::base(), "warren").container()["image"].clone();
    assert_eq!(image, format!("warren:{version}"));
}

#[test]
fn everything_that_is_copied_is_there() {
    let (stages, context) = (stages(), context());
    let made = stages[0].all("RUN").last().unwrap();
    for copy in image().all("COPY") {
        let words: Vec<&str> = copy.split(' ').filter(|word| !word.starts_with("--")).collect();
        let from_build = copy.contains("--from=build");
        for source in &words[..words.len() - 1] {
            let there = match from_build {
                true => made.contains(source),
                false => context.contains(&source.to_string()) && workspace().join(source).exists(),
            };
            assert!(there, "COPY {copy}: there is no {source}");
        }
    }
    for entry in context {
        assert!(
            workspace().join(&entry).exists(),
            ".dockerignore lets in {entry}, which is not there"
        );
    }
}

#[test]
fn the_context_is_a_whole_workspace() {
    let folder = tempfile::tempdir().unwrap();
    for entry in context() {
        let from = fs::canonicalize(workspace().join(&entry)).unwrap();
        symlink(from, folder.path().join(entry)).unwrap();
    }
    let cargo = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version",
            "1",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let names: Vec<&str> = list(&metadata, "/packages")
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    assert!(
        ["warren", "xtask", "echo"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
}

#[test]
fn the_image_runs_a_host_as_nobody_special() {
    let (image, manifests) = (image(), Manifests::base());
    let host = workload(&manifests, "warren");
    let security = &host.pod["securityContext"];
    assert_eq!(
        image.only("USER"),
        format!("{}:{}", security["runAsUser"], security["runAsGroup"])
    );
    assert_eq!(
        image.only("EXPOSE"),
        list(host.container(), "/ports")[0]["containerPort"].to_string()
    );
    assert_eq!(image.only("ENTRYPOINT"), r#"["warren"]"#);
    assert_eq!(image.only("CMD"), r#"["run"]"#);
    // The folder of data belongs to the user.
    let data = image
        .all("COPY")
        .find(|copy| copy.ends_with(" /var/lib/warren"))
        .unwrap();
    assert!(data.contains(&format!("--chown={}", image.only("USER"))), "{data}");
}

#[test]
fn no_secret_gets_into_a_layer_or_into_git() {
    for stage in stages() {
        assert_eq!(
            stage.all("ARG").count(),
            0,
            "build arguments are kept in the image's history"
        );
        for variable in stage.all("ENV") {
            let name = variable.to_ascii_uppercase();
            assert!(
                !["KEY", "TOKEN", "PASSWORD", "SECRET"]
                    .iter()
                    .any(|word| name.contains(word)),
                "{variable}"
            );
        }
    }
    let ignored = read(&workspace().join(".dockerignore"));
    assert!(
        ignored.lines().last() == Some("host/deploy"),
        "filled-in secrets lie in host/deploy"
    );
    let ignored = read(&deploy().join(".gitignore"));
    assert!(ignored.lines().any(|line| line == "*-secret.env"), "{ignored}");
}
