//! The file: who owns it, which files are taken, and what becomes of them.

use super::*;

#[tokio::test]
async fn a_second_owner_is_refused_by_name() {
    let (folder, store) = fresh();
    let path = folder.path().join("store.db");
    let error = open(&path).err().unwrap().to_string();
    let pid = std::process::id().to_string();
    for word in [path.to_str().unwrap(), "the-owner", &pid, "Redis"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let handle = store.clone();
    store.close().await;
    let again = open(&path).unwrap();
    assert!(matches!(handle.health().await, Err(StoreError::Unavailable(reason)) if reason.contains("closed")));
    let ended = again.ended();
    drop(again);
    ended.await;
    open(&path).unwrap();
}

#[tokio::test]
async fn a_clean_close_leaves_one_file() {
    let (folder, store) = fresh();
    add(&store, &item("a")).await;
    store.close().await;
    assert!(!folder.path().join("store.db-wal").exists());
    assert_eq!(claim(&open(&folder.path().join("store.db")).unwrap()).await.len(), 1);
}

#[tokio::test]
async fn newer_schemas_and_other_files_are_refused() {
    let (folder, store) = fresh();
    store.close().await;
    let path = folder.path().join("store.db");
    by_hand(&folder)
        .execute("UPDATE meta SET value = '1.7' WHERE key = 'schema'", [])
        .unwrap();
    open(&path).expect("a newer minor version is fine").close().await;
    by_hand(&folder)
        .execute("UPDATE meta SET value = '2.0' WHERE key = 'schema'", [])
        .unwrap();
    let error = open(&path).err().unwrap();
    assert!(
        matches!(&error, OpenError::Newer { found, .. } if found == "2.0"),
        "{error}"
    );

    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database, but long enough to be taken for one at first sight".repeat(20),
    )
    .unwrap();
    let error = open(&text).err().unwrap();
    assert!(matches!(&error, OpenError::NotAStore { .. }), "{error}");
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE songs (name TEXT)")
        .unwrap();
    let error = open(&foreign).err().unwrap();
    assert!(
        matches!(&error, OpenError::NotAStore { reason, .. } if reason.contains("songs")),
        "{error}"
    );
    for bad in [
        folder.path().to_owned(),
        folder.path().join("missing/store.db"),
        text.join("store.db"),
    ] {
        let error = open(&bad).err().unwrap();
        assert!(matches!(&error, OpenError::Unusable { .. }), "{error}");
        assert!(error.to_string().contains(bad.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused_with_the_next_step() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let (folder, store) = fresh();
    store.close().await;
    let path = folder.path().join("store.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        // The superuser may write what nobody may: there is nothing to refuse.
        open(&path).unwrap();
        return;
    }
    let error = open(&path).err().unwrap();
    assert!(matches!(&error, OpenError::Unusable { .. }), "{error}");
    for word in [path.to_str().unwrap(), "readonly", "writable"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[tokio::test]
async fn time_never_goes_back_between_two_runs() {
    let (folder, store) = fresh();
    add(&store, &item("a")).await;
    store.close().await;
    let path = folder.path().join("store.db");
    let earlier = open_at(&path, UnixMillis(WALL.0 - 1_000_000)).unwrap();
    assert_eq!(earlier.health().await.unwrap().now, WALL);
    earlier.close().await;
    let later = open_at(&path, UnixMillis(WALL.0 + 1_000_000)).unwrap();
    assert_eq!(later.health().await.unwrap().now, UnixMillis(WALL.0 + 1_000_000));
}

#[tokio::test]
async fn a_new_owner_ends_what_a_dead_one_of_any_name_held() {
    let (_folder, store) = fresh();
    add(&store, &item("a")).await;
    assert_eq!(claim(&store).await.len(), 1);
    let bid = |name: &str| Bid {
        holder: HolderId::fresh(HostName::new(name).unwrap()),
        address: String::new(),
        ttl: Duration::from_secs(9),
        score: Score(0),
        known: Term(0),
        waits: Duration::from_secs(9),
    };
    assert_eq!(store.acquire(&bid("dead")).await, Ok(Acquired::Won(Term(1))));
    assert!(matches!(store.acquire(&bid("new")).await, Ok(Acquired::Held(_))));
    assert_eq!(store.take_over().await, Ok(1));
    assert_eq!(store.acquire(&bid("new")).await, Ok(Acquired::Won(Term(2))));
    assert_eq!(claim(&store).await.len(), 1, "the item is ready again at once");
    assert_eq!(store.take_over().await, Ok(1));
}

#[tokio::test]
async fn a_file_that_was_taken_away_is_not_healthy() {
    let (folder, store) = fresh();
    let (path, aside) = (folder.path().join("store.db"), folder.path().join("aside.db"));
    store.health().await.unwrap();
    std::fs::rename(&path, &aside).unwrap();
    let error = store.health().await.unwrap_err().to_string();
    assert!(error.contains("store.db") && error.contains("deleted"), "{error}");
    std::fs::write(&path, "another").unwrap();
    store.health().await.unwrap_err();
    std::fs::rename(&aside, &path).unwrap();
    store.health().await.unwrap();
}
