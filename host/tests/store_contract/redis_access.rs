//! Who may use a Redis, and which: passwords, users with few rights, versions. What is refused says what is missing, and no
//! secret.

use std::{
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use warren::{
    adapters::redis::{ConnectError, RedisConfig, RedisStore, StoreClock},
    domain::{ending::Reason, event::NewEvent, ids::PluginName, plugin::Digest, work_item::ItemState},
    ports::{
        agent_records::BreakerCommand,
        agent_state::{StateQuota, StateScope},
        leadership::Acquired,
        store::Store,
        work_queue::{Fence, GiveBack, ItemFilter},
    },
};

use super::{
    leadership::bid,
    redis::{Operator, PREFIX, Server, config, connect, free_port, url},
    support::*,
};

/// Use every part of a store once.
pub async fn everything_works(store: &Store) {
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.queue.wait_for_work(DEADLINE).await }
    });
    for item in [inbox("a", 1), inbox("a", 2), discovery("b"), direct("c"), direct("c")] {
        add(store, &item).await;
    }
    timeout(DEADLINE / 2, waiting).await.expect("a wake-up came").unwrap();
    let claims = claim(store, 3).await;
    assert_eq!(claims.len(), 3);
    assert!(renew(store, &claims[0]).await);
    let scope = StateScope {
        agent: claims[0].item.agent_id.clone(),
        item: claims[0].item.id,
        token: claims[0].token,
    };
    let quota = StateQuota {
        bytes: 100,
        keys: 3,
        value: 60,
    };
    store.agent_state.set(&scope, "k", b"v", &quota).await.unwrap();
    assert_eq!(
        store.agent_state.get(&scope, "k").await.unwrap().as_deref(),
        Some(&b"v"[..])
    );
    assert_eq!(store.agent_state.keys(&scope, None, 10).await.unwrap(), ["k"]);
    store.agent_state.delete(&scope, "k").await.unwrap();
    super::effects::one_comes_and_goes(store, &claims[0]).await;
    store.effects.note_keys("hub", true).await.unwrap();
    assert!(store.effects.keys_honoured("hub").await.unwrap());
    let ended = tokio::spawn({
        let (store, id) = (store.clone(), claims[0].item.id);
        async move { store.queue.wait_for_end(id, DEADLINE).await }
    });
    end(store, &claims[0], Reason::Ok).await;
    let record = timeout(DEADLINE / 2, ended)
        .await
        .expect("the end was heard of")
        .unwrap()
        .unwrap();
    assert_eq!(record.unwrap().state, ItemState::Done);
    store
        .queue
        .give_back(claims[1].item.id, claims[1].token, GiveBack::Shutdown)
        .await
        .unwrap();
    end(store, &claims[2], Reason::Trap).await;
    sweep(store).await;
    store.queue.requeue_dead(&[claims[0].item.id]).await.unwrap();
    store.queue.purge_dead(&[claims[0].item.id]).await.unwrap();
    store
        .queue
        .items(&ItemFilter {
            limit: 10,
            ..ItemFilter::default()
        })
        .await
        .unwrap();
    store.queue.stats().await.unwrap();
    store.queue.health().await.unwrap();
    for command in [BreakerCommand::ForceOpen, BreakerCommand::Reset] {
        store.agents.command_breaker(&agent("b"), command).await.unwrap();
    }
    store.agents.set_paused(&agent("b"), true).await.unwrap();
    store.agents.in_backoff(10).await.unwrap();
    store.agents.agents(None, 10).await.unwrap();
    let bidder = bid("h1");
    let Acquired::Won(term) = store.leadership.acquire(&bidder).await.unwrap() else {
        panic!("it is free")
    };
    let fence = Fence {
        holder: bidder.holder.clone(),
        term,
    };
    store.leadership.renew(&fence, seconds(9)).await.unwrap();
    store.leadership.reserve(&fence, &host("h2"), seconds(1)).await.unwrap();
    store.leadership.save_state(&fence, "{}").await.unwrap();
    store.leadership.load_state().await.unwrap();
    store.leadership.leader().await.unwrap();
    store.leadership.release(&fence).await.unwrap();
    let event = NewEvent {
        kind: "became_leader",
        host: None,
        agent: None,
        item: None,
        detail: String::new(),
    };
    store.events.append(event).await.unwrap();
    assert!(!store.events.after(0, 10, DEADLINE).await.unwrap().is_empty());
    let plugin = PluginName::new("echo").unwrap();
    store.plugins.generation(&plugin, &Digest([7; 32])).await.unwrap();
}

/// The rights that warren.example.toml tells an operator to give, for keys with this prefix.
fn rights() -> Vec<String> {
    let example = include_str!("../../warren.example.toml");
    let lines = example
        .lines()
        .skip_while(|line| !line.contains("ACL SETUSER warren on"));
    let text: Vec<&str> = lines.map_while(|line| line.strip_prefix("#   ")).collect();
    let words = text.join(" ");
    let words = words.split_whitespace().skip(3).map(|word| match word {
        ">PASSWORD" => ">hidden".to_owned(),
        "~*" => format!("~{PREFIX}*"),
        "&*" => format!("&{PREFIX}*"),
        word => word.to_owned(),
    });
    words.collect()
}

async fn set_user(operator: &mut Operator, rights: &[String]) {
    let mut command = vec!["ACL", "SETUSER", "warren", "reset"];
    command.extend(rights.iter().map(String::as_str));
    operator.ask::<()>(&command).await;
}

fn as_user(folder: &Path) -> RedisConfig {
    RedisConfig {
        url: format!("{}?user=warren&pass=hidden", url(folder)).into(),
        ..config(folder, &policy(), StoreClock::Redis)
    }
}

#[tokio::test]
async fn the_documented_rights_are_enough() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &[]);
    connect(config(folder.path(), &policy(), StoreClock::Redis)).await;
    let mut operator = Operator::of(folder.path()).await;
    set_user(&mut operator, &rights()).await;
    everything_works(&connect(as_user(folder.path())).await.store()).await;
    let denied: redis::Value = operator.ask(&["ACL", "LOG"]).await;
    assert_eq!(denied, redis::Value::Array(Vec::new()));
}

#[tokio::test]
async fn missing_rights_are_named() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &[]);
    connect(config(folder.path(), &policy(), StoreClock::Redis)).await;
    let mut operator = Operator::of(folder.path()).await;
    let enough = rights();
    // What is taken away, and what the operator is told of it.
    for (less, named) in [
        (&["-evalsha", "-fcall"][..], "permissions"),
        (&["-info"][..], "info"),
        (&["-@hash"][..], "script"),
        (&["resetkeys", "~other:*"][..], "key"),
        (&["off"][..], "password"),
    ] {
        let rights: Vec<String> = enough
            .iter()
            .cloned()
            .chain(less.iter().map(|w| (*w).to_owned()))
            .collect();
        set_user(&mut operator, &rights).await;
        let error = RedisStore::connect(as_user(folder.path())).await.err().expect(named);
        let words = error.to_string();
        assert!(matches!(error, ConnectError::Unavailable { .. }), "{words}");
        assert!(
            words.contains(named) && words.contains("redis.sock"),
            "{less:?}: {words}"
        );
        assert!(words.contains("store.url") || less == ["off"], "{less:?}: {words}");
        assert!(!words.contains("hidden"), "{words}");
    }
    set_user(&mut operator, &enough).await;
    connect(as_user(folder.path())).await;
}

/// Says that it is an old Redis, whatever it is asked.
async fn old_redis(listener: TcpListener) {
    let info = "# Server\r\nredis_version:6.2.14\r\n";
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        while let Ok(n @ 1..) = client.read(&mut request).await {
            let text = String::from_utf8_lossy(&request[..n]).to_uppercase();
            let commands = text.matches('*').count();
            let answer = match text.contains("INFO") && !text.contains("SETINFO") {
                true => format!("${}\r\n{info}\r\n", info.len()),
                false => "+OK\r\n".repeat(commands),
            };
            if client.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_old_redis_is_refused() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(old_redis(listener));
    let error = RedisStore::connect(RedisConfig {
        url: format!("redis://{address}").into(),
        ..config(folder.path(), &policy(), StoreClock::Redis)
    })
    .await
    .err()
    .expect("it is too old");
    server.abort();
    let words = error.to_string();
    assert!(matches!(error, ConnectError::TooOld { .. }), "{words}");
    for word in ["6.2.14", "7.0", "Valkey", &address.to_string()] {
        assert!(words.contains(word), "{word}: {words}");
    }
}

/// Lines of a log, kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_are_shown_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let server = Server::start(
        folder.path(),
        &["--port", &port, "--bind", "127.0.0.1", "--requirepass", "s3cret/pass"],
    );
    let settings = RedisConfig {
        url: format!("redis://default:s3cret%2Fpass@127.0.0.1:{port}").into(),
        ..config(folder.path(), &policy(), StoreClock::Redis)
    };
    let store = connect(settings.clone()).await;
    let mut shown = vec![format!("{settings:?}"), store.description().to_owned()];
    shown.push(format!("{:?}", store.store().queue.health().await.unwrap()));
    drop(server);
    let error = store.store().queue.stats().await.unwrap_err();
    shown.push(format!("{error} {error:?}"));
    // The tasks that wait log that they were interrupted.
    let deadline = Instant::now() + DEADLINE;
    while !log.text().contains("store_signals_interrupted") {
        assert!(Instant::now() < deadline, "{}", log.text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for address in [
        "redis://default:s3cret@127.0.0.1:1",
        "redis://default:s3cret@127.0.0.1:notaport",
        "redis://default:s3cret@127.0.0.1/notanumber",
        "redis://default:s3cret@",
        "redis://default:s3cret/pass@host",
        "rediss://default:s3cret@127.0.0.1:1#s3cret",
        "redis+unix:///nowhere/redis.sock?user=default&pass=s3cret",
        "s3cret",
        "http://s3cret@host",
    ] {
        let wrong = RedisConfig {
            url: address.to_owned().into(),
            ..settings.clone()
        };
        shown.push(format!("{wrong:?}"));
        let error = RedisStore::connect(wrong).await.err().expect(address);
        shown.push(format!("{error} {error:?}"));
    }
    shown.push(log.text());
    for words in shown {
        assert!(!words.contains("s3cret"), "{words}");
    }
}
