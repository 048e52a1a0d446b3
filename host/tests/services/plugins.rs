//! Loading plugins, and loading them again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use tokio::sync::Notify;
use warren::{
    domain::{ending::Reason, ids::PluginName, plugin::Digest},
    ports::{plugin_store::PluginStore, store::StoreError},
    services::plugins::{Change, Plugins, Refusal, ReloadError},
};

use super::{
    rig::Rig,
    sandbox::{Folder, ScriptedSandbox},
};

async fn loaded() -> (Rig, Arc<Folder>, Plugins) {
    let (rig, folder, plugins, _) = loaded_in(Arc::default()).await;
    (rig, folder, plugins)
}

async fn loaded_in(sandbox: Arc<ScriptedSandbox>) -> (Rig, Arc<Folder>, Plugins, Arc<ScriptedSandbox>) {
    let rig = Rig::start().await;
    let folder = Arc::new(Folder::default());
    folder.put("one", "echo", 1);
    let plugins = Plugins::new(sandbox.clone(), rig.store.plugins.clone(), folder.clone());
    plugins.load_all().await.unwrap();
    (rig, folder, plugins, sandbox)
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

#[tokio::test]
async fn what_is_in_use_drains_and_what_nobody_uses_goes_at_once() {
    let (_rig, folder, plugins) = loaded().await;
    let first = plugins.current(&echo()).unwrap().in_use();
    first.activated();
    folder.put("one", "echo", 2);
    let reloaded = plugins.reload(Some(&echo())).await.unwrap();
    assert!(matches!(reloaded[0].change, Ok(Change::From(1))));
    drop(reloaded);
    let draining = plugins.draining();
    assert_eq!(
        (draining[0].name.as_str(), draining[0].generation.generation.number),
        ("echo", 1)
    );
    assert_eq!(draining[0].generation.running(), 1);
    drop(draining);
    first.ended(Reason::Trap);
    first.ended(Reason::Ok);
    assert_eq!(first.failures(), BTreeMap::from([(Reason::Trap, 1)]));
    drop(first);
    assert!(plugins.draining().is_empty());

    let second = Arc::downgrade(&plugins.current(&echo()).unwrap());
    folder.remove("one");
    let gone = plugins.reload(None).await.unwrap().remove(0);
    assert_eq!(gone.change.unwrap(), Change::Gone);
    assert!(second.upgrade().is_none(), "nobody runs it, and it is still kept");
}

/// A host that stops replaces nothing: neither what is asked for then nor what was under way.
#[tokio::test]
async fn a_reload_during_shutdown_is_refused_in_words() {
    let (_rig, folder, plugins, sandbox) = loaded_in(Arc::default()).await;
    let ring = Arc::new(Notify::new());
    *sandbox.held.lock().unwrap() = Some((2, Arc::clone(&ring)));
    folder.put("one", "echo", 2);
    let only = echo();
    let mut under_way = Box::pin(plugins.reload(Some(&only)));
    tokio::select! {
        _ = &mut under_way => panic!("it is still being compiled"),
        () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
    }
    plugins.close();
    ring.notify_one();
    for ended in [under_way.await, plugins.reload(None).await] {
        let error = ended.err().unwrap();
        assert!(
            matches!(error, ReloadError::Stopping) && error.to_string().contains("stopping"),
            "{error}"
        );
    }
    assert_eq!(plugins.current(&echo()).unwrap().generation.number, 1);
    // Also what does not come from an operator.
    plugins.load_all().await.unwrap();
    assert_eq!(plugins.current(&echo()).unwrap().generation.number, 1);
}

/// Who compiles for a minute keeps nobody waiting but who wants the same.
#[tokio::test]
async fn a_plugin_that_takes_long_does_not_hold_up_another() {
    let (_rig, folder, plugins, sandbox) = loaded_in(Arc::default()).await;
    folder.put("two", "other", 3);
    let ring = Arc::new(Notify::new());
    *sandbox.held.lock().unwrap() = Some((2, Arc::clone(&ring)));
    folder.put("one", "echo", 2);
    let (slow, other) = (echo(), PluginName::new("other").unwrap());
    let (mut first, mut second) = (
        Box::pin(plugins.reload(Some(&slow))),
        Box::pin(plugins.reload(Some(&slow))),
    );
    let third = tokio::select! {
        _ = &mut first => panic!("it is still being compiled"),
        _ = &mut second => panic!("it waits for the first"),
        reloaded = plugins.reload(Some(&other)) => reloaded.unwrap().remove(0),
    };
    assert_eq!(third.change.unwrap(), Change::New);
    *sandbox.held.lock().unwrap() = None;
    ring.notify_one();
    let (first, second) = tokio::join!(first, second);
    let change = |reloaded: Result<Vec<warren::services::plugins::Reloaded>, ReloadError>| {
        reloaded.unwrap().remove(0).change.unwrap()
    };
    // Whichever came first.
    let changes = [change(first), change(second)];
    assert!(
        changes.contains(&Change::From(1)) && changes.contains(&Change::Unchanged),
        "{changes:?}"
    );
}

/// Counts by itself, or does not answer.
struct Numbers(AtomicU32);

#[async_trait]
impl PluginStore for Numbers {
    async fn generation(&self, _: &PluginName, _: &Digest) -> Result<u32, StoreError> {
        match self.0.load(Relaxed) {
            0 => Err(StoreError::Unavailable("it is away".to_owned())),
            number => Ok(number),
        }
    }
}

#[tokio::test]
async fn the_store_numbers_also_what_has_not_changed_and_while_it_is_away_nothing_is_replaced() {
    let numbers = Arc::new(Numbers(AtomicU32::new(4)));
    let folder = Arc::new(Folder::default());
    folder.put("one", "echo", 1);
    let plugins = Plugins::new(Arc::new(ScriptedSandbox::default()), numbers.clone(), folder.clone());
    plugins.load_all().await.unwrap();
    assert_eq!(plugins.current(&echo()).unwrap().generation.number, 4);

    numbers.0.store(0, Relaxed);
    folder.put("one", "echo", 2);
    let refused = plugins.reload(None).await.unwrap().remove(0);
    assert!(matches!(refused.change, Err(Refusal::Store(_))));
    assert_eq!(refused.running.unwrap().generation.number, 4);
    let error = plugins.load_all().await.unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(StoreError::Unavailable(_))),
        "{error:#}"
    );

    // A store that has lost its data counts anew.
    folder.put("one", "echo", 1);
    numbers.0.store(1, Relaxed);
    let renumbered = plugins.reload(None).await.unwrap().remove(0);
    assert_eq!(renumbered.change.unwrap(), Change::From(4));
}

#[tokio::test]
async fn a_name_that_nothing_has_is_refused_with_those_that_there_are() {
    let (_rig, folder, plugins) = loaded().await;
    folder.spoil("two");
    let unknown = plugins
        .reload(Some(&PluginName::new("ecko").unwrap()))
        .await
        .err()
        .unwrap();
    assert!(unknown.to_string().contains("holds echo, two"), "{unknown}");
}
