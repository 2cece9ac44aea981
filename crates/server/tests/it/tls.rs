//! TLS on the server's own sockets: real handshakes, hostile first bytes, certificates replaced while it runs.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use tokensmith_server::config::Config;
use tokensmith_testkit::{Authority, Identity, Names, TestServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer},
};

const METADATA: &str = "/.well-known/oauth-authorization-server";

async fn socket(server: &TestServer) -> TcpStream {
    let address = server.base().split("//").nth(1).unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// What the server sends until it closes, and when that is.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, Duration) {
    let started = Instant::now();
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "the connection stays open after {bytes:?}");
    (bytes, started.elapsed())
}

async fn is_served(server: &TestServer) {
    let anonymous = server.anonymous();
    anonymous
        .send(anonymous.request(Method::GET, METADATA))
        .await
        .expect(200);
}

/// A new connection by a client that trusts this authority alone.
async fn trusts(server: &TestServer, authority: &Authority) -> bool {
    let certificate = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    client
        .get(format!("{}{METADATA}", server.base()))
        .send()
        .await
        .is_ok()
}

async fn comes_to_trust(server: &TestServer, authority: &Authority) {
    let came = async {
        while !trusts(server, authority).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        timeout(Duration::from_secs(10), came).await.is_ok(),
        "the new certificate is not taken up"
    );
}

fn reloads_quickly(config: &mut Config) {
    config.tls.reload_interval = Duration::from_millis(20);
}

#[tokio::test]
async fn requests_are_answered_over_tls_with_and_without_a_client_certificate() {
    let server = TestServer::start_tls(|_| {}).await;
    is_served(&server).await;
    let service = server.service("billing", "groups:read").await;
    assert!(!service.access_token.is_empty());
    let identity = Identity::self_signed(Names::of("anybody"));
    let with = server.with_certificate(&identity);
    with.send(with.request(Method::GET, METADATA))
        .await
        .expect(200);
    let certificate =
        reqwest::Certificate::from_pem(server.tls().server_authority.pem().as_bytes()).unwrap();
    let without = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    let answer = without
        .get(format!("{}{METADATA}", server.tls().mtls_base))
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn row_307_older_versions_and_early_data_are_refused() {
    let server = TestServer::start_tls(|_| {}).await;
    is_served(&server).await;
    // TLS 1.0 and 1.1: the alert protocol_version (RFC 8446 section 6.2). The same hello of TLS 1.2 is answered.
    for (version, answered) in [(1, [21, 70]), (2, [21, 70]), (3, [22, 2])] {
        let mut stream = socket(&server).await;
        stream.write_all(&client_hello(version)).await.unwrap();
        stream.shutdown().await.unwrap();
        let (answer, _) = rest(&mut stream).await;
        let word = if answer[0] == 21 {
            answer[6]
        } else {
            answer[5]
        };
        assert_eq!(
            [answer[0], word],
            answered,
            "version 3.{version}: {answer:?}"
        );
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&server))
        .with_no_client_auth();
    config.enable_early_data = true;
    let connector = TlsConnector::from(Arc::new(config));
    for _ in 0..2 {
        let stream = socket(&server).await;
        let name = std::net::IpAddr::from([127, 0, 0, 1]).into();
        let mut stream = connector
            .connect_with(name, stream, |client| {
                assert!(client.early_data().is_none())
            })
            .await
            .unwrap();
        let request = format!("GET {METADATA} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
    is_served(&server).await;
}

/// A ClientHello of version 3.x without `supported_versions` (RFC 5246 section 7.4.1.2).
fn client_hello(version: u8) -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 0, 77, 1, 0, 0, 73, 3, version];
    hello.extend([7u8; 32]); // random
    hello.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x09, 1, 0]); // session id, two suites, no compression
    hello.extend([0, 28, 0, 10, 0, 4, 0, 2, 0, 0x17, 0, 11, 0, 2, 1, 0]); // groups, point formats
    hello.extend([0, 13, 0, 6, 0, 4, 4, 3, 8, 4, 0, 0x17, 0, 0]); // signatures, extended master secret
    hello
}

fn roots(server: &TestServer) -> RootCertStore {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    let pem = server.tls().server_authority.pem();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    roots
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_to_use_https() {
    let server = TestServer::start_tls(|_| {}).await;
    let mut stream = socket(&server).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let (answer, _) = rest(&mut stream).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("use https"),
        "{answer}"
    );
    is_served(&server).await;
}

#[tokio::test]
async fn a_slow_handshake_is_closed_in_time_and_delays_nobody() {
    let server =
        TestServer::start_tls(|config| config.tls.handshake_timeout = Duration::from_millis(400))
            .await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = socket(&server).await;
        stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        slow.push(stream);
    }
    let mut silent = socket(&server).await;
    is_served(&server).await;
    for stream in &mut slow {
        let (_, took) = rest(stream).await;
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    rest(&mut silent).await;
    is_served(&server).await;
}

#[tokio::test]
async fn rubbish_instead_of_a_handshake_harms_nobody() {
    let server = TestServer::start_tls(|_| {}).await;
    for first in [
        &[22u8][..],
        &[22, 3, 3, 0xff, 0xff],
        &[22, 3, 3, 0, 4, 1, 0, 0, 0],
        &[0x80, 46, 1, 0, 2],
        b"\0",
    ] {
        let mut stream = socket(&server).await;
        stream.write_all(first).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = rest(&mut stream).await;
    }
    is_served(&server).await;
}

#[tokio::test]
async fn a_changed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let server = TestServer::start_tls(reloads_quickly).await;
    let old = &server.tls().server_authority;
    assert!(trusts(&server, old).await);
    let (certificate, key) = (
        server.directory().join("server.pem"),
        server.directory().join("server.key"),
    );
    let next = Authority::new("next servers");
    let successor = next.certifies(Names::of("server").ip([127, 0, 0, 1].into()));

    // The certificate without its key: a pair that does not fit, as between two writes of a rotation.
    std::fs::write(&certificate, successor.certificate_pem()).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(trusts(&server, old).await && !trusts(&server, &next).await);
    std::fs::write(&key, successor.key_pem()).unwrap();
    comes_to_trust(&server, &next).await;
    assert!(!trusts(&server, old).await);

    for broken in [
        "",
        "rubbish",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&certificate, broken).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(trusts(&server, &next).await, "{broken:?}");
    }
    std::fs::remove_file(&certificate).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(trusts(&server, &next).await);
}
