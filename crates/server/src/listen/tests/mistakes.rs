//! The mistakes clients make with TLS: each has its answer, its log line, and a second as its bound.

use crate::listen::testing::*;
use crate::listen::{Address, Serves};
use crate::tls::{Clients, Manner, Settings, Version};
use rcgen::ExtendedKeyUsagePurpose;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The one path that must work: both sides prove who they are, gRPC arrives with the client's name as evidence.
#[test]
fn mutual_tls_hands_the_clients_name_to_the_service() {
    block_on(async {
        let ca = Ca::new("ca");
        for clients in [Clients::Required, Clients::Explained] {
            let server = Plan::tls(settings(&ca, clients)).start();
            let client = Client::new(&ca, Some(ca.client("root", Good::Now)));
            let stream = client.connect(&server).await.0.unwrap();
            let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
            assert_eq!(group, rustls::NamedGroup::X25519MLKEM768, "post-quantum by default");
            let mut sender = http2(stream).await;
            let called = call(&mut sender, range("who")).await.unwrap();
            assert_eq!(called.code, 0, "{called:?}");
            let who = called.value();
            assert!(who.contains("common_name: \"root\"") && who.contains("via_tls: true"), "{who}");
            assert!(who.contains("peer: \"127.0.0.1:"), "{who}");
        }
    });
}

/// Without a certificate etcd's clients hang for five seconds; here each request is answered with what is missing, in
/// gRPC and in HTTP, and the log says it too. A command that prints a client's settings is named where there is one.
#[test]
fn a_client_without_certificate_is_told_what_is_missing() {
    block_on(async {
        let ca = Ca::new("the issuer");
        for command in [None, Some("eval the settings")] {
            let explained = Settings { client_settings: command, ..settings(&ca, Clients::Explained) };
            let server = Plan::tls(explained).start();
            let client = Client::new(&ca, None);
            let (stream, peer) = client.connect(&server).await;
            let (called, took) = timed(async {
                let mut sender = http2(stream.unwrap()).await;
                call(&mut sender, range("a")).await.unwrap()
            })
            .await;
            let names = |text: &str| {
                text.contains("no client certificate")
                    && text.contains("--cert")
                    && text.contains("eval") == command.is_some()
            };
            assert_eq!(called.code, 16, "{called:?}");
            assert!(names(&called.message), "{called:?}");
            assert!(called.body.is_empty() && took < AT_ONCE, "{took:?}");
            let line = line_about(&server, &peer).await;
            assert_eq!(line["msg"], "rejected connection on client endpoint");
            assert_eq!(line["error"], "tls: client didn't provide a certificate");
            let hint = line["hint"].as_str().unwrap();
            assert!(hint.contains("--cert") && hint.contains("CN=the issuer"), "{hint}");
            for path in ["/health", "/v3/kv/range", "/metrics", "/version"] {
                let answer = client.http(&server, path).await;
                assert_eq!(answer.status, 400, "{path}");
                assert!(names(&answer.body), "{}", answer.body);
            }
            assert_eq!(server.metrics.requests_refused.value(), 5);
        }
    });
}

/// Where a certificate is required and nothing is explained, as between members, the handshake itself fails; the log says why.
#[test]
fn a_required_certificate_that_is_missing_ends_the_handshake() {
    block_on(async {
        let ca = Ca::new("ca");
        let server = Plan::tls(settings(&ca, Clients::Required)).start();
        let ((error, peer), took) = timed(Client::new(&ca, None).refused(&server)).await;
        assert!(error.contains("CertificateRequired"), "{error}");
        assert!(took < AT_ONCE, "{took:?}");
        assert!(line_about(&server, &peer).await["hint"].as_str().unwrap().contains("--cert"));
    });
}

/// A wrong certificate, with what it has to be told as.
struct Wrong {
    leaf: Leaf,
    /// The alert where nothing is explained.
    alert: &'static str,
    reason: &'static str,
    cause: &'static str,
    hint: &'static str,
}

/// Everything that can be wrong with a certificate that a client shows.
fn wrong_certificates(ca: &Ca) -> Vec<Wrong> {
    let (other, same_name) = (Ca::new("other"), Ca::new("ca"));
    let usage = |usage| move |params: &mut rcgen::CertificateParams| params.extended_key_usages = vec![usage];
    let names = |count: usize| {
        move |params: &mut rcgen::CertificateParams| {
            let name = |at| {
                rcgen::SanType::DnsName(format!("a-name-of-some-length-{at}.example").try_into().unwrap())
            };
            params.subject_alt_names = (0..count).map(name).collect();
        }
    };
    let uris = ca.made("root", |params| {
        let uri = |text: &str| rcgen::SanType::URI(text.try_into().unwrap());
        params.subject_alt_names = vec![uri("spiffe://a/b"), uri("spiffe://a/c")];
    });
    let mut long = ca.client("root", Good::Now);
    long.certificate = format!("{}{}", long.certificate, other.pem.repeat(10));
    let wrong = |leaf, alert, reason, cause, hint| Wrong { leaf, alert, reason, cause, hint };
    vec![
        wrong(
            other.client("root", Good::Now),
            "UnknownCA",
            "unknown_issuer",
            "signed by unknown authority",
            "--trusted-ca-file",
        ),
        wrong(
            same_name.client("root", Good::Now),
            "",
            "forged",
            "signature is not that of the CA that it names",
            "openssl verify",
        ),
        wrong(ca.client("root", Good::InThePast), "CertificateExpired", "expired", "has expired", "renew it"),
        wrong(
            ca.client("root", Good::InTheFuture),
            "CertificateExpired",
            "not_yet_valid",
            "not yet valid",
            "clocks",
        ),
        wrong(
            ca.made("x", usage(ExtendedKeyUsagePurpose::ServerAuth)),
            "UnsupportedCertificate",
            "wrong_purpose",
            "incompatible key usage",
            "clientAuth",
        ),
        wrong(
            ca.made("x", usage(ExtendedKeyUsagePurpose::CodeSigning)),
            "UnsupportedCertificate",
            "wrong_purpose",
            "incompatible key usage",
            "clientAuth",
        ),
        wrong(uris, "", "several_uris", "carries 2 URIs", "one URI"),
        wrong(
            ca.made("x", names(1_400)),
            "",
            "too_large",
            "at most 10 of together 49152 bytes",
            "not a whole bundle",
        ),
        wrong(long, "", "too_large", "at most 10 of together 49152 bytes", "not a whole bundle"),
    ]
}

/// A wrong certificate costs etcd's clients five silent seconds; here each request is answered with what is wrong with it,
/// over gRPC and HTTP, on every kind of listener, at once, and nothing of the member is reached. Where nothing is explained, the
/// alert is all. Each is counted by its reason.
#[test]
fn wrong_certificates_are_refused_with_their_reason() {
    block_on(async {
        let ca = Ca::new("ca");
        let directory = tempfile::tempdir().unwrap();
        for Wrong { leaf, alert, reason, cause, hint } in wrong_certificates(&ca) {
            let client = Client::new(&ca, Some(leaf));
            for serves in [Serves::Everything, Serves::Grpc, Serves::Http] {
                let server = Plan { serves, ..Plan::tls(settings(&ca, Clients::Required)) }.start();
                let ((error, peer), took) = timed(client.refused(&server)).await;
                assert!(error.contains("alert") && error.contains(alert), "{error} is not {alert}");
                assert!(took < AT_ONCE, "{took:?}");
                let line = line_about(&server, &peer).await;
                assert!(line["error"].as_str().unwrap().contains(cause), "{line}");
                assert!(line["hint"].as_str().unwrap().contains(hint), "{line}");
                assert_eq!(server.metrics.handshakes_failed.with([reason]).value(), 1, "{reason}");
                assert_eq!(server.metrics.handshakes_failed.sum(), 1);
            }
            for (serves, is_unix) in [
                (Serves::Everything, false),
                (Serves::Grpc, false),
                (Serves::Http, false),
                (Serves::Everything, true),
            ] {
                let plan = Plan { serves, ..Plan::tls(settings(&ca, Clients::Explained)) };
                let server = match is_unix {
                    true => plan.start_at(Address::Unix(directory.path().join(reason))),
                    false => plan.start(),
                };
                let (stream, peer) = secured(&client, &server).await;
                let (called, took) = timed(async {
                    let mut sender = http2(stream.unwrap()).await;
                    call(&mut sender, range("who")).await.unwrap()
                })
                .await;
                assert!(called.code == 16 && called.body.is_empty(), "{called:?}");
                assert!(called.message.contains(cause) && called.message.contains(hint), "{called:?}");
                assert!(took < AT_ONCE, "{took:?}");
                assert!(line_about(&server, &peer).await["hint"].as_str().unwrap().contains(hint));
                for path in ["/health", "/metrics", "/v3/kv/range"] {
                    let mut stream = secured(&client, &server).await.0.unwrap();
                    let request =
                        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let mut answer = Vec::new();
                    let _ = stream.read_to_end(&mut answer).await;
                    let answer = Answer::parse(&answer);
                    assert_eq!(answer.status, 400, "{path}");
                    assert!(answer.body.contains(cause) && answer.body.contains(hint), "{}", answer.body);
                }
                assert_eq!(server.metrics.client_received_bytes.value(), 0);
                assert_eq!(server.metrics.handshakes_failed.with([reason]).value(), 4, "{reason}");
            }
        }
    });
}

/// Certificates above what the transport takes in one message end the handshake with the same words in the log, whatever is
/// explained otherwise.
#[test]
fn a_certificate_beyond_every_bound_is_named_too() {
    block_on(async {
        let ca = Ca::new("ca");
        let huge = ca.made("x", |params| {
            let name = |at| {
                rcgen::SanType::DnsName(format!("a-name-of-some-length-{at}.example").try_into().unwrap())
            };
            params.subject_alt_names = (0..4_000).map(name).collect();
        });
        for clients in [Clients::Required, Clients::Explained] {
            let server = Plan::tls(settings(&ca, clients)).start();
            let ((_, peer), took) = timed(Client::new(&ca, Some(huge.clone())).refused(&server)).await;
            assert!(took < AT_ONCE, "{took:?}");
            let line = line_about(&server, &peer).await;
            assert!(line["error"].as_str().unwrap().contains("certificates are too large"), "{line}");
            assert_eq!(server.metrics.handshakes_failed.with(["too_large"]).value(), 1);
        }
    });
}

/// etcd looks at no URI: a foreign certificate with several is good there for its common name, and stays so.
#[test]
fn several_uris_are_nothing_to_etcd() {
    block_on(async {
        let ca = Ca::new("ca");
        let uris = ca.made("root", |params| {
            let uri = |text: &str| rcgen::SanType::URI(text.try_into().unwrap());
            params.subject_alt_names = vec![uri("spiffe://a/b"), uri("spiffe://a/c")];
        });
        let as_etcd = Settings { manner: Manner::AsEtcd, ..settings(&ca, Clients::Explained) };
        let server = Plan::tls(as_etcd).start();
        let mut sender = http2(Client::new(&ca, Some(uris)).connect(&server).await.0.unwrap()).await;
        let called = call(&mut sender, range("who")).await.unwrap();
        assert!(called.value().contains("common_name: \"root\""), "{called:?}");
        assert!(called.value().contains("uri: None"), "{called:?}");
    });
}

/// kubeadm's server.crt and peer.crt are for servers and clients both: a certificate that somebody brought is judged by its CA,
/// time and purpose, and not by what its name seems to be for.
#[test]
fn a_certificate_for_both_purposes_is_a_clients_too() {
    block_on(async {
        let ca = Ca::new("etcd-ca");
        let kubeadms = ca.made("control-plane-1", |params| {
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            params.subject_alt_names = vec![
                rcgen::SanType::DnsName("localhost".try_into().unwrap()),
                rcgen::SanType::IpAddress("10.0.0.1".parse().unwrap()),
            ];
        });
        let without_usage = ca.made("plain", |_| {});
        for manner in [Manner::Strict, Manner::AsEtcd] {
            for leaf in [&kubeadms, &without_usage] {
                let served = Settings {
                    client_ca: Some(held("ca.crt", &ca.pem)),
                    clients: Clients::Explained,
                    manner,
                    ..Settings::new(
                        held("server.crt", &kubeadms.certificate),
                        held("server.key", &kubeadms.key),
                    )
                };
                let server = Plan::tls(served).start();
                let client = Client::new(&ca, Some(leaf.clone()));
                assert_eq!(client.http(&server, "/health").await.status, 200);
            }
        }
    });
}

/// Whoever controls the name server of an address must not thereby control who is let in: allowed names are those that the
/// certificate carries. The test's clients come from 127.0.0.1, which every resolver calls localhost.
#[test]
fn no_address_is_looked_up_to_let_somebody_in() {
    block_on(async {
        let ca = Ca::new("ca");
        for allowed in ["localhost", "127.0.0.1"] {
            let allowed =
                Settings { allowed_hostnames: vec![allowed.into()], ..settings(&ca, Clients::Required) };
            let server = Plan::tls(allowed).start();
            let stranger =
                ca.leaf("localhost", &["elsewhere.example"], ExtendedKeyUsagePurpose::ClientAuth, Good::Now);
            let (_, peer) = Client::new(&ca, Some(stranger)).refused(&server).await;
            let line = line_about(&server, &peer).await;
            assert!(line["error"].as_str().unwrap().contains("none of the allowed names"), "{line}");
            let named =
                ca.leaf("x", &["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ClientAuth, Good::Now);
            assert_eq!(Client::new(&ca, Some(named)).http(&server, "/health").await.status, 200);
        }
    });
}

/// To Go a CA of the bundle is a client too when it comes itself, and etcd's own tests do so; it could have issued itself any
/// other certificate. Another's CA stays outside, with whatever name.
#[test]
fn a_ca_of_the_bundle_is_let_in_itself() {
    block_on(async {
        let (ca, other) = (Ca::new("root"), Ca::new("root"));
        let itself = |ca: &Ca| Leaf {
            certificate: ca.pem.clone(),
            key: ca.issuer.key().serialize_pem(),
            serial: Vec::new(),
        };
        for clients in [Clients::Required, Clients::Explained] {
            let server = Plan::tls(settings(&ca, clients)).start();
            let mut sender =
                http2(Client::new(&ca, Some(itself(&ca))).connect(&server).await.0.unwrap()).await;
            let called = call(&mut sender, range("who")).await.unwrap();
            assert!(called.code == 0 && called.value().contains("common_name: \"root\""), "{called:?}");
        }
        let server = Plan::tls(settings(&ca, Clients::Required)).start();
        let (error, _) = Client::new(&ca, Some(itself(&other))).refused(&server).await;
        assert!(error.contains("CertificateUnknown"), "{error}");
    });
}

/// A client that shows a certificate without holding its key is nobody's: the handshake ends, even where wrong
/// certificates are explained.
#[test]
fn a_certificate_without_its_key_ends_the_handshake() {
    block_on(async {
        let ca = Ca::new("ca");
        let (stolen, own) = (ca.client("root", Good::Now), ca.client("app", Good::Now));
        let forged = Leaf { certificate: stolen.certificate, ..own };
        for clients in [Clients::Required, Clients::Explained] {
            let server = Plan::tls(settings(&ca, clients)).start();
            let client = Client::new(&ca, Some(forged.clone()));
            let (error, peer) = client.refused(&server).await;
            assert!(error.contains("alert"), "{error}");
            assert!(line_about(&server, &peer).await["error"].is_string());
        }
    });
}

/// A resumed session would carry a certificate past its end, its revocation and its issuer's removal: each connection
/// makes a whole handshake.
#[test]
fn no_session_is_resumed() {
    block_on(async {
        let ca = Ca::new("ca");
        let asked = Settings { min_version: Version::Tls12, ..settings(&ca, Clients::Required) };
        let server = Plan::tls(asked).start();
        static TLS12: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        for versions in [rustls::DEFAULT_VERSIONS, &TLS12] {
            let client = Client { versions, ..Client::new(&ca, Some(ca.client("root", Good::Now))) };
            let connector = tokio_rustls::TlsConnector::from(client.config());
            for _ in 0..3 {
                let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
                let mut stream = connector.connect(name, server.tcp().await).await.unwrap();
                let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                stream.write_all(request).await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
                let kind = stream.get_ref().1.handshake_kind().unwrap();
                assert!(!matches!(kind, rustls::HandshakeKind::Resumed), "{kind:?}");
            }
        }
    });
}

/// A connection that is refused is not kept: it has its answer, and its place is free again within seconds.
#[test]
fn a_refused_connection_is_not_kept() {
    block_on(async {
        let ca = Ca::new("ca");
        let server = Plan::tls(settings(&ca, Clients::Explained)).start();
        let mut stream = Client::new(&ca, None).connect(&server).await.0.unwrap();
        let (read, took) = timed(stream.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
}

/// A client that does not trust us tells us so: the log shows which names would have been right.
#[test]
fn a_client_that_dials_the_wrong_name_leaves_a_hint_in_the_log() {
    block_on(async {
        let (ca, other) = (Ca::new("ca"), Ca::new("other"));
        let server = Plan::tls(settings(&ca, Clients::Explained)).start();
        let wrong_name = Client { dials: "db.example", ..Client::new(&ca, None) };
        let ((connected, peer), took) = timed(wrong_name.connect(&server)).await;
        assert!(connected.is_err() && took < AT_ONCE, "{took:?}");
        let line = line_about(&server, &peer).await;
        let hint = line["hint"].as_str().unwrap();
        assert!(hint.contains("localhost, 127.0.0.1") && hint.contains("db.example"), "{hint}");
        assert_eq!(line["server-name"], "db.example");
        let (connected, peer) = Client::new(&other, None).connect(&server).await;
        assert!(connected.is_err());
        let line = line_about(&server, &peer).await;
        assert_eq!(line["error"], "remote error: tls: unknown certificate authority");
        assert!(line["hint"].as_str().unwrap().contains("--cacert"), "{line}");
    });
}

/// curl http:// on the TLS port: a page that says what is wrong, whole, before the connection closes.
#[test]
fn clear_http_on_the_tls_port_is_explained() {
    block_on(async {
        let ca = Ca::new("ca");
        let server = Plan::tls(settings(&ca, Clients::Required)).start();
        let body = "x".repeat(8_000);
        let request =
            format!("POST /v3/kv/range HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000\r\n\r\n{body}");
        let mut stream = server.tcp().await;
        let peer = stream.local_addr().unwrap().to_string();
        let (answer, took) = timed(async {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !String::from_utf8_lossy(&answer).contains("--cacert with an https:// endpoint") {
                let mut buffer = [0; 1024];
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "closed early");
                answer.extend_from_slice(&buffer[..read]);
            }
            answer
        })
        .await;
        let answer = Answer::parse(&answer);
        assert_eq!(answer.status, 400);
        assert!(
            answer.body.starts_with("Client sent an HTTP request to an HTTPS server.\n"),
            "{}",
            answer.body
        );
        assert!(took < AT_ONCE, "{took:?}");
        let line = line_about(&server, &peer).await;
        assert_eq!(line["error"], "tls: first record does not look like a TLS handshake");
        assert!(line["hint"].as_str().unwrap().contains("https://"), "{line}");
    });
}

/// etcdctl with http:// on the TLS port: a gRPC status with the fix instead of silence, for every call it makes.
#[test]
fn clear_grpc_on_the_tls_port_is_explained() {
    block_on(async {
        let ca = Ca::new("ca");
        let server = Plan::tls(settings(&ca, Clients::Required)).start();
        let (called, took) = timed(async {
            let mut sender = http2(server.tcp().await).await;
            call(&mut sender, range("a")).await.unwrap()
        })
        .await;
        assert_eq!(called.code, 9, "a code that clients do not retry: {called:?}");
        assert!(called.message.contains("https://") && called.message.contains("--cacert"), "{called:?}");
        assert!(took < AT_ONCE, "{took:?}");
    });
}

/// A TLS client on a clear port gets an answer that Go's and curl's messages show, instead of a broken pipe.
#[test]
fn tls_on_a_clear_port_is_explained() {
    block_on(async {
        let server = Plan::clear().start();
        let hello = [0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x00];
        let mut stream = server.tcp().await;
        let peer = stream.local_addr().unwrap().to_string();
        stream.write_all(&hello).await.unwrap();
        let mut answer = vec![0; 512];
        let (read, took) = timed(stream.read(&mut answer)).await;
        let answer = Answer::parse(&answer[..read.unwrap()]);
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("http://") && took < AT_ONCE, "{took:?} {}", answer.body);
        assert!(line_about(&server, &peer).await["hint"].as_str().unwrap().contains("clear-text port"));
    });
}
