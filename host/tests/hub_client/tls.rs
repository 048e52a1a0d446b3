//! https, with the certificates that this machine trusts. `SSL_CERT_FILE` says which these are, and it is read once per
//! process: so the client runs in a process of its own.

use std::{process::Command, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// Names the server to the test below, which does nothing without it.
const SERVER: &str = "WARREN_TEST_TLS_SERVER";

#[test]
fn the_client_of_the_tests_around() {
    let Ok(url) = std::env::var(SERVER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let health = runtime.block_on(async { client(&url).budget(&agent("a")).await });
    println!("ANSWER {health:?}");
}

/// What a process that trusts `certificates` gets from `url`.
async fn asked_with(certificates: &str, url: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificates).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "tls::the_client_of_the_tests_around", "--nocapture"])
        .env("SSL_CERT_FILE", file.path())
        .env_remove("SSL_CERT_DIR")
        .env(SERVER, url);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn https_trusts_what_the_machine_trusts_and_nothing_else() {
    let certified = || generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let CertifiedKey { cert, signing_key } = certified();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            let _size = stream.read(&mut request).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{\"healthy\":false}";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let output = asked_with(&cert.pem(), &url).await;
    assert!(output.contains("ANSWER Ok(BudgetHealth { healthy: false"), "{output}");
    let output = asked_with(&certified().cert.pem(), &url).await;
    assert!(
        output.contains("ANSWER Err(Unavailable(") && output.contains("certificate"),
        "{output}"
    );
    serving.abort();
}
