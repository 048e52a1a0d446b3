//! `rediss://`: the right certificates only, and what is said of the others.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use warren::adapters::redis::{RedisConfig, RedisStore, StoreClock};

use super::{
    redis::{Server, config, connect, free_port},
    redis_access::everything_works,
    support::*,
};

struct Certificates {
    folder: TempDir,
    ca: PathBuf,
}

/// A CA, and of it a certificate of `localhost`.
fn certificates() -> Certificates {
    let folder = TempDir::new().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    write("server.pem", certificate.pem());
    write("server.key", key.serialize_pem());
    Certificates {
        ca: write("ca.pem", AsRef::<Certificate>::as_ref(&ca).pem()),
        folder,
    }
}

#[tokio::test]
async fn tls_with_the_right_certificates_only() {
    let (folder, known) = (TempDir::new().unwrap(), certificates());
    let port = free_port();
    let path = |name: &str| known.folder.path().join(name).display().to_string();
    let tls = [
        "--tls-port",
        &port,
        "--bind",
        "127.0.0.1",
        "--tls-cert-file",
        &path("server.pem"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "hidden",
    ];
    let _server = Server::start(folder.path(), &tls);
    let with = |host: &str, ca_file: Option<&Path>| RedisConfig {
        url: format!("rediss://:hidden@{host}:{port}").into(),
        ca_file: ca_file.map(Path::to_owned),
        ..config(folder.path(), &policy(), StoreClock::Redis)
    };
    everything_works(&connect(with("localhost", Some(&known.ca))).await.store()).await;

    let (unknown, nothing) = (certificates(), known.folder.path().join("nothing"));
    let empty = known.folder.path().join("server.key");
    let plain = RedisConfig {
        url: format!("redis://:hidden@localhost:{port}").into(),
        ca_file: None,
        ..with("localhost", None)
    };
    for (wrong, expected) in [
        (
            with("localhost", Some(&unknown.ca)),
            &["certificate", "store.ca_file", "localhost"][..],
        ),
        (with("localhost", None), &["UnknownIssuer", "store.ca_file"]),
        (with("127.0.0.1", Some(&known.ca)), &["certificate", "127.0.0.1"]),
        (
            with("localhost", Some(&nothing)),
            &["store.ca_file", "nothing", "No such file"],
        ),
        (
            with("localhost", Some(&empty)),
            &["store.ca_file", "server.key", "no certificate"],
        ),
        (plain, &["localhost"]),
    ] {
        let words = RedisStore::connect(wrong)
            .await
            .err()
            .expect("it is refused")
            .to_string();
        assert!(
            expected.iter().all(|word| words.contains(word)),
            "{expected:?}: {words}"
        );
        assert!(!words.contains("hidden"), "{words}");
    }
}
