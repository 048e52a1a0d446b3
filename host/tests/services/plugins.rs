//! Loading plugins, and loading them again.

use std::sync::Arc;

use warren::{domain::ids::PluginName, services::plugins::Plugins};

use super::{
    rig::Rig,
    sandbox::{Folder, ScriptedSandbox},
};

async fn loaded() -> (Rig, Arc<Folder>, Plugins) {
    let rig = Rig::start().await;
    let folder = Arc::new(Folder::default());
    folder.put("one", "echo", 1);
    let plugins = Plugins::new(
        Arc::new(ScriptedSandbox::default()),
        rig.store.plugins.clone(),
        folder.clone(),
    );
    plugins.load_all().await.unwrap();
    (rig, folder, plugins)
}

fn echo() -> PluginName {
    PluginName::new("echo").unwrap()
}

fn names(plugins: &Plugins) -> Vec<String> {
    plugins.list().into_iter().map(|status| status.name).collect()
}

/// Whatever is wrong with the new file, what runs goes on, and the mistake is shown.
#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let (_rig, folder, plugins) = loaded().await;
    let first = plugins.current(&echo()).unwrap();
    for spoil in [
        |folder: &Folder| folder.put("one", "echo", 0),
        |folder: &Folder| folder.spoil("one"),
    ] {
        spoil(&folder);
        plugins.load_all().await.unwrap();
        assert!(Arc::ptr_eq(&first, &plugins.current(&echo()).unwrap()));
        let status = plugins.list().remove(0);
        assert!(status.error.is_some() && status.name == "echo");
    }
    folder.put("one", "echo", 2);
    plugins.load_all().await.unwrap();
    assert_eq!(plugins.current(&echo()).unwrap().generation.number, 2);
    assert_eq!(plugins.list().remove(0).error, None);
}

/// What is unchanged stays the same generation, with its count of activations.
#[tokio::test]
async fn an_unchanged_plugin_is_left_alone() {
    let (_rig, _folder, plugins) = loaded().await;
    let first = plugins.current(&echo()).unwrap();
    plugins.load_all().await.unwrap();
    assert!(Arc::ptr_eq(&first, &plugins.current(&echo()).unwrap()));
}

/// Neither a plugin that was removed nor a place that was repaired leaves an entry behind.
#[tokio::test]
async fn nothing_stale_is_listed() {
    let (_rig, folder, plugins) = loaded().await;
    folder.spoil("two");
    plugins.load_all().await.unwrap();
    assert_eq!(names(&plugins), ["echo", "two"]);
    folder.put("two", "other", 3);
    plugins.load_all().await.unwrap();
    assert_eq!(names(&plugins), ["echo", "other"]);
    folder.remove("one");
    plugins.load_all().await.unwrap();
    assert_eq!(names(&plugins), ["other"]);
    assert!(plugins.current(&echo()).err().unwrap().contains("plugin list"));
}

/// Two places with one plugin: the first is it, the second is reported instead of silently replacing it.
#[tokio::test]
async fn a_second_place_with_the_same_plugin_is_reported() {
    let (_rig, folder, plugins) = loaded().await;
    folder.put("two", "echo", 2);
    plugins.load_all().await.unwrap();
    assert_eq!(plugins.current(&echo()).unwrap().generation.number, 1);
    let second = plugins.list().into_iter().find(|status| status.name == "two").unwrap();
    assert!(second.error.unwrap().contains("one"));
}
