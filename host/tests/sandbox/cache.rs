//! Compiled components on disk: used where they are sound, replaced where they are not, never a reason to fail.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use warren::adapters::wasm::SandboxConfig;
use warren_tests::components::handwritten;
use wasmtime::Engine;

use super::harness::{FakeHost, Hub, activation, prepare, sandbox, small, stop};

/// Prepare and run a small component with a cache; it ends in a trap, as it should.
async fn prepare_with(folder: &Path) {
    prepare_in(SandboxConfig {
        cache_dir: Some(folder.to_path_buf()),
        ..small()
    })
    .await;
}

async fn prepare_in(config: SandboxConfig) {
    let sandbox = sandbox(config);
    let prepared = prepare(&sandbox, handwritten("", "unreachable")).await;
    let activated = prepared.activate(activation(&FakeHost::new(Hub::Answers), "")).await;
    assert!(stop(&activated).1.contains("unreachable"), "{:?}", activated.verdict);
}

fn artifacts(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .collect();
    found.sort();
    found
}

/// A folder with one artifact in it.
async fn filled() -> (TempDir, PathBuf, PathBuf) {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("compiled");
    prepare_with(&folder).await;
    let found = artifacts(&folder);
    assert_eq!(found.len(), 1);
    (parent, folder, found[0].clone())
}

/// What tells a file that was written anew from one that was not.
fn identity(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().ino()
}

#[tokio::test]
async fn a_sound_artifact_is_used_again() {
    let (_parent, folder, artifact) = filled().await;
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&artifact).unwrap().permissions().mode() & 0o777, 0o600);
    let written = identity(&artifact);
    fs::File::open(&artifact)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    prepare_with(&folder).await;
    assert_eq!(identity(&artifact), written);
    let used = fs::metadata(&artifact).unwrap().modified().unwrap();
    assert!(used > SystemTime::UNIX_EPOCH, "its use was not marked");
}

#[tokio::test]
async fn an_unsound_artifact_is_replaced() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 5] = [
        ("a changed byte", |artifact| {
            let mut bytes = fs::read(artifact).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(artifact, bytes).unwrap();
        }),
        ("cut off", |artifact| {
            let bytes = fs::read(artifact).unwrap();
            fs::write(artifact, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("empty", |artifact| fs::write(artifact, b"").unwrap()),
        ("no checksum", |artifact| {
            fs::remove_file(artifact.with_extension("sha256")).unwrap()
        }),
        ("writable by others", |artifact| {
            fs::set_permissions(artifact, fs::Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (what, spoil) in spoils {
        let (_parent, folder, artifact) = filled().await;
        let sound = fs::read(&artifact).unwrap();
        let written = identity(&artifact);
        spoil(&artifact);
        prepare_with(&folder).await;
        assert!(identity(&artifact) != written, "{what}: it was not replaced");
        assert_eq!(
            fs::read(&artifact).unwrap(),
            sound,
            "{what}: it was replaced by something else"
        );
        assert_eq!(
            fs::metadata(&artifact).unwrap().permissions().mode() & 0o777,
            0o600,
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_is_no_artifact_of_this_engine_is_replaced_even_with_a_true_checksum() {
    let other_engine = Engine::default()
        .precompile_component(&handwritten("", "unreachable"))
        .unwrap();
    for foreign in [b"not machine code at all".to_vec(), other_engine] {
        let (_parent, folder, artifact) = filled().await;
        let sound = fs::read(&artifact).unwrap();
        let checksum: String = Sha256::digest(&foreign)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::write(&artifact, foreign).unwrap();
        fs::write(artifact.with_extension("sha256"), checksum).unwrap();
        prepare_with(&folder).await;
        assert_eq!(fs::read(&artifact).unwrap(), sound);
    }
}

#[tokio::test]
async fn only_the_artifacts_used_last_are_kept() {
    let (_parent, folder, artifact) = filled().await;
    for n in 0..70 {
        let older = folder.join(format!("{n:064x}-0000000000000000.cwasm"));
        fs::write(older.with_extension("sha256"), b"").unwrap();
        fs::write(&older, b"").unwrap();
        let used = SystemTime::UNIX_EPOCH + Duration::from_secs(n);
        fs::File::open(&older).unwrap().set_modified(used).unwrap();
    }
    let unfinished = folder.join(".unfinished");
    fs::write(&unfinished, b"").unwrap();
    fs::File::open(&unfinished)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    fs::remove_file(&artifact).unwrap();
    prepare_with(&folder).await;
    let kept = artifacts(&folder);
    assert_eq!(kept.len(), 64);
    assert!(kept.contains(&artifact));
    assert!(!kept[0].display().to_string().contains(&format!("{:064x}", 6)));
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_link_in_place_of_an_artifact_is_not_followed() {
    let (parent, folder, artifact) = filled().await;
    let elsewhere = parent.path().join("elsewhere");
    fs::rename(&artifact, &elsewhere).unwrap();
    symlink(&elsewhere, &artifact).unwrap();
    prepare_with(&folder).await;
    assert!(fs::symlink_metadata(&artifact).unwrap().is_file());
}

#[tokio::test]
async fn a_folder_that_others_can_open_is_not_used() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("open");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    prepare_with(&folder).await;
    assert_eq!(artifacts(&folder), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_done_without() {
    let parent = TempDir::new().unwrap();
    // Permissions don't bind a privileged user; a file where the folder should be does.
    let file = parent.path().join("file");
    fs::write(&file, b"").unwrap();
    prepare_with(&file.join("compiled")).await;

    let (_parent, folder, artifact) = filled().await;
    fs::remove_file(&artifact).unwrap();
    fs::create_dir(&artifact).unwrap();
    prepare_with(&folder).await;
}
