//! Plugins.

use std::{fs, io::Write, path::Path, time::Duration};

use warren::{
    adapters::files::{PluginFolder, read_plugin},
    ports::plugin_source::PluginSource,
};

use super::folder::Folder;

const MANIFEST: &str = "name = 'echo'\nversion = '1'\nworld = 'warren:agent/agent@0.1.0'\ncomponent = 'c.wasm'\n";

#[test]
fn a_plugin_is_read_by_its_folder_or_its_manifest() {
    let folder = Folder::new();
    let manifest = folder.write("echo/plugin.toml", MANIFEST);
    folder.write("echo/c.wasm", b"\0asm bytes");
    for path in [manifest.parent().unwrap(), &manifest] {
        let (read, bytes) = read_plugin(path).unwrap();
        assert_eq!(
            (read.name.as_str(), bytes.as_slice()),
            ("echo", b"\0asm bytes".as_slice())
        );
        assert_eq!(
            PluginFolder::new(path).manifests().unwrap(),
            std::slice::from_ref(&manifest)
        );
    }
}

#[tokio::test]
async fn a_scan_finds_plugins_and_reports_each_that_is_wrong() {
    let folder = Folder::new();
    folder.write("a/plugin.toml", MANIFEST);
    folder.write("b/plugin.toml", MANIFEST);
    folder.write("c/plugin.toml", MANIFEST.replace("'echo'", "'Bad Name'"));
    folder.write("d/plugin.toml", b"name = '\xff'\n");
    folder.write("e/plugin.toml", vec![b'#'; (1 << 20) + 1]);
    folder.write("f/README.md", "no plugin");
    let places = PluginFolder::new(folder.dir.path()).places().await.unwrap();
    let errors: Vec<String> = places
        .into_iter()
        .map(|place| {
            place
                .manifest
                .map_or_else(|why| why, |manifest| manifest.name.to_string())
        })
        .collect();
    let parts = [
        "echo",
        "echo",
        "c/plugin.toml: name: plugin name \"Bad Name\"",
        "d/plugin.toml:1: is not UTF-8",
        "e/plugin.toml: is larger than",
    ];
    assert_eq!(errors.len(), parts.len());
    for (error, part) in errors.iter().zip(parts) {
        assert!(error.contains(part), "{error:?} should contain {part:?}");
    }
    let error = PluginFolder::new("/nonexistent/plugins").places().await.unwrap_err();
    assert!(error.contains("/nonexistent/plugins"), "{error}");
}

#[tokio::test]
async fn a_component_that_is_being_copied_is_read_whole() {
    let folder = Folder::new();
    let manifest = folder.write("echo/plugin.toml", MANIFEST);
    let mut component = fs::File::create(manifest.with_file_name("c.wasm")).unwrap();
    let writing = std::thread::spawn(move || {
        for _ in 0..20 {
            component.write_all(&[7; 1000]).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let source = PluginFolder::new(folder.dir.path());
    let origin = manifest.display().to_string();
    let (_, bytes) = source.read(&origin, Duration::from_millis(100)).await.unwrap();
    writing.join().unwrap();
    assert_eq!(bytes.len(), 20_000);
}

#[test]
fn a_component_that_is_absent_or_too_large_is_named() {
    let folder = Folder::new();
    let manifest = folder.write("echo/plugin.toml", MANIFEST);
    let error = read_plugin(&manifest).unwrap_err().to_string();
    assert!(
        error.contains("echo/c.wasm: there is no such file") && error.contains("build the plugin"),
        "{error}"
    );
    // A sparse file: its size is all that matters.
    let component = fs::File::create(manifest.with_file_name("c.wasm")).unwrap();
    component.set_len(256 * 1024 * 1024 + 1).unwrap();
    let error = read_plugin(&manifest).unwrap_err().to_string();
    assert!(error.contains("c.wasm: is larger than the 268435456 bytes"), "{error}");
    let error = read_plugin(Path::new("/nonexistent")).unwrap_err().to_string();
    assert!(
        error.contains("/nonexistent/plugin.toml: there is no such file"),
        "{error}"
    );
}
