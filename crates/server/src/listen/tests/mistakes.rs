//! The mistakes clients make with TLS: each has its answer, its log line, and a second as its bound.

use crate::listen::testing::*;
use crate::tls::{Clients, Settings, Version};
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

/// A wrong certificate costs etcd's clients five silent seconds; here each request is answered with what is wrong with it,
/// over gRPC and HTTP, and nothing of the member is reached. Where nothing is explained, the alert is all.
#[test]
fn wrong_certificates_are_refused_with_their_reason() {
    block_on(async {
        let (ca, other) = (Ca::new("ca"), Ca::new("other"));
        let wrong_use = ca.leaf("x", &["x"], ExtendedKeyUsagePurpose::ServerAuth, Good::Now);
        for (leaf, alert, cause, hint) in [
            (
                other.client("root", Good::Now),
                "UnknownCA",
                "signed by unknown authority",
                "--trusted-ca-file",
            ),
            (ca.client("root", Good::InThePast), "CertificateExpired", "has expired", "renew it"),
            (ca.client("root", Good::InTheFuture), "CertificateExpired", "not yet valid", "clocks"),
            (wrong_use, "UnsupportedCertificate", "incompatible key usage", "clientAuth"),
        ] {
            let server = Plan::tls(settings(&ca, Clients::Required)).start();
            let client = Client::new(&ca, Some(leaf));
            let ((error, peer), took) = timed(client.refused(&server)).await;
            assert!(error.contains(alert), "{error} is not {alert}");
            assert!(took < AT_ONCE, "{took:?}");
            let line = line_about(&server, &peer).await;
            assert!(line["error"].as_str().unwrap().contains(cause), "{line}");
            assert!(line["hint"].as_str().unwrap().contains(hint), "{line}");

            let server = Plan::tls(settings(&ca, Clients::Explained)).start();
            let (stream, peer) = client.connect(&server).await;
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
                let answer = client.http(&server, path).await;
                assert_eq!(answer.status, 400, "{path}");
                assert!(answer.body.contains(cause) && answer.body.contains(hint), "{}", answer.body);
            }
            assert_eq!(server.metrics.client_received_bytes.value(), 0);
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
