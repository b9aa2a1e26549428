//! The gateway under TLS: which handshakes end in a connection, how long they may take, and that a certificate is
//! exchanged while connections go on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::tls::Version;
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

mod support;
use support::certificates::{Authority, Pair};
use support::{Ended, House, copy_tenants, until};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: house.example\r\n\r\n";
const LIMITS: &str = "[limits]\nhead_timeout_ms = 1000\nkeep_alive_ms = 1000\n";

struct Scene {
    folder: tempfile::TempDir,
    authority: Authority,
    house: Ended,
}

impl Scene {
    /// A gateway with a certificate of its own authority; `more` goes on in `[tls]`.
    fn new(more: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_tenants(folder.path());
        let authority = Authority::new("the gateway's");
        let (certificate, key) = authority.gateway().files(folder.path(), "gateway");
        let config = format!("{LIMITS}[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n{}", more(folder.path()));
        let house = Ended(Some(House::start_on(folder.path(), Some(&config))));
        Self { folder, authority, house }
    }

    fn trusting(&self) -> ClientBuilder {
        trusting(&self.authority)
    }

    fn address(&self) -> &str {
        self.house.url.strip_prefix("https://").expect("it says that it speaks TLS")
    }

    /// The command line against this gateway.
    fn command(&self, arguments: &[&str]) -> (bool, String) {
        let run = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args(["tenant", "list", "--server", &self.house.url, "--key", &self.house.operator_key()])
            .args(arguments)
            .output()
            .unwrap();
        (run.status.success(), String::from_utf8([run.stdout, run.stderr].concat()).unwrap())
    }
}

fn trusting(authority: &Authority) -> ClientBuilder {
    Client::builder().tls_certs_only([Certificate::from_pem(authority.pem.as_bytes()).unwrap()])
}

fn identity(pair: &Pair) -> Identity {
    Identity::from_pem(&pair.both()).unwrap()
}

/// Whether a client is served.
async fn is_served(client: ClientBuilder, url: &str) -> bool {
    let answer = client.build().unwrap().get(format!("{url}/healthz")).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn a_gateway_speaks_tls_13_to_those_who_trust_its_authority() {
    let scene = Scene::new(|_| String::new());
    let url = &scene.house.url;
    assert!(is_served(scene.trusting().tls_version_min(Version::TLS_1_3), url).await);
    assert!(!is_served(scene.trusting().tls_version_max(Version::TLS_1_2), url).await, "TLS 1.2");
    assert!(!is_served(trusting(&Authority::new("somebody else's")), url).await, "another authority");
    assert!(!is_served(Client::builder(), url).await, "the system's authorities");
    let plain = format!("http://{}", scene.address());
    assert!(!is_served(Client::builder(), &plain).await, "without TLS");
    // a whole answer under it
    let answer = scene.trusting().build().unwrap().get(format!("{url}/openapi.json")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_11));
    assert!(answer.text().await.unwrap().contains("/v1/ask"));
    let authority = scene.authority.file(scene.folder.path(), "authority.pem");
    let (done, said) = scene.command(&["--ca", authority.to_str().unwrap()]);
    assert!(done && said.contains("acme-corp"), "{said}");
    let (done, said) = scene.command(&[]);
    assert!(!done && said.contains("calling https://"), "{said}");
}

#[tokio::test]
async fn whoever_has_to_show_a_certificate_shows_one_of_the_right_authority() {
    let clients = Authority::new("the clients'");
    let required = Scene::new(|folder| format!("client_ca = {:?}\n", clients.file(folder, "clients.pem")));
    let optional = Scene::new(|folder| {
        format!("client_ca = {:?}\nclient_certificates = \"optional\"\n", clients.file(folder, "clients.pem"))
    });
    let (own, strange) = (clients.client(), Authority::new("a stranger's").client());
    for (scene, served_without) in [(&required, false), (&optional, true)] {
        let url = &scene.house.url;
        assert_eq!(is_served(scene.trusting(), url).await, served_without, "without one");
        assert!(is_served(scene.trusting().identity(identity(&own)), url).await, "with one");
        assert!(!is_served(scene.trusting().identity(identity(&strange)), url).await, "with a stranger's");
        // signed by the right one, for a gateway
        assert!(!is_served(scene.trusting().identity(identity(&clients.gateway())), url).await, "with a gateway's");
    }
    let folder = required.folder.path();
    let (authority, (certificate, key)) = (required.authority.file(folder, "ca.pem"), own.files(folder, "client"));
    let trust = ["--ca", authority.to_str().unwrap()];
    let (done, said) = required.command(&trust);
    assert!(!done, "{said}");
    let whole =
        [trust.as_slice(), &["--client-cert", certificate.to_str().unwrap(), "--client-key", key.to_str().unwrap()]];
    let (done, said) = required.command(&whole.concat());
    assert!(done && said.contains("acme-corp"), "{said}");
}

/// Reads to the end, which must come.
fn end_of(mut stream: impl Read) -> Vec<u8> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 1_024]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return seen,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("the server keeps a connection open that it should have ended")
            }
            Err(_reset) => return seen,
        }
    }
}

fn connected(address: &str) -> std::net::TcpStream {
    let socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

/// A TLS connection whose every byte is ours.
fn under_tls(scene: &Scene) -> rustls::StreamOwned<rustls::ClientConnection, std::net::TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(scene.authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::StreamOwned::new(client, connected(scene.address()))
}

#[tokio::test]
async fn a_slow_handshake_and_a_slow_client_behind_one_are_ended() {
    let scene = Scene::new(|_| String::new());
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut socket = connected(scene.address());
        socket.write_all(begun).unwrap();
        assert!(!end_of(socket).starts_with(b"HTTP"), "{begun:?}");
    }
    // served once, then a head that never ends: nobody but the second handle of its socket ends it
    let mut stream = under_tls(&scene);
    stream.write_all(HEALTH).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        let mut buffer = [0; 1_024];
        let read = stream.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..read]);
    }
    assert!(seen.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&seen));
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]), "of two protocols the one there is");
    assert_eq!(stream.conn.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    stream.write_all(b"G").unwrap();
    end_of(stream);
    assert!(is_served(scene.trusting(), &scene.house.url).await, "others are served");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_while_connections_go_on() {
    let scene = Scene::new(|_| String::new());
    let url = format!("{}/healthz", scene.house.url);
    let before = scene.trusting().pool_max_idle_per_host(1).build().unwrap();
    let asked = async || before.get(&url).send().await.map(|answer| answer.status().as_u16());
    assert_eq!(asked().await.unwrap(), 200);
    let successor = Authority::new("the next");
    successor.gateway().files(scene.folder.path(), "gateway");
    until("the new certificate is shown", async || {
        // keeps the connection from before from falling asleep: it could not be opened anew
        assert_eq!(asked().await.expect("the connection from before goes on"), 200);
        is_served(trusting(&successor), &scene.house.url).await.then_some(())
    })
    .await;
    assert_eq!(asked().await.expect("the connection from before goes on"), 200);
    assert!(!is_served(scene.trusting(), &scene.house.url).await, "new connections are shown the new one alone");
}

#[test]
fn nothing_starts_with_a_pair_that_does_not_belong_together_and_doctor_says_why() {
    let folder = tempfile::tempdir().unwrap();
    copy_tenants(folder.path());
    let authority = Authority::new("an authority");
    let (one, other) = (authority.gateway(), authority.gateway());
    let (certificate, _) = one.files(folder.path(), "one");
    let (_, key) = other.files(folder.path(), "other");
    let config = folder.path().join("config.toml");
    let run = |verb: &str| {
        let run = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args([verb, "--config"])
            .arg(&config)
            .arg("--tenants")
            .arg(folder.path().join("tenants"))
            .arg("--data")
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        (run.status.success(), String::from_utf8([run.stdout, run.stderr].concat()).unwrap())
    };
    let write = |key: &Path| {
        std::fs::write(&config, format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")).unwrap();
    };
    write(&key);
    for verb in ["serve", "doctor"] {
        let (done, said) = run(verb);
        assert!(!done && said.contains("write a pair that belongs together"), "{verb}: {said}");
    }
    let own = folder.path().join("one.key");
    write(&own);
    let (_, said) = run("doctor");
    assert!(said.contains("belong together") && said.contains("is valid until"), "{said}");
    assert!(said.contains("others can read it; chmod go-rwx it"), "{said}");
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (done, said) = run("doctor");
    assert!(done && said.contains("one.key is readable by its owner only"), "{said}");
}
