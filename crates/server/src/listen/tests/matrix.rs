//! Every method against certificates that are good no longer: the rows of the access matrix that are decided before a request is
//! looked at. Methods come from the services' descriptors, so a new one is in.

use crate::listen::testing::*;
use crate::metrics;
use crate::tls::{Clients, Settings, Source};
use ::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use std::time::Duration;

fn paths() -> Vec<String> {
    let methods = metrics::methods(proto::DESCRIPTORS).unwrap();
    let paths: Vec<_> =
        methods.into_iter().map(|name| format!("/{}/{}", name.service, name.method)).collect();
    assert!(paths.len() > 50 && paths.iter().any(|path| path == "/v3lockpb.Lock/Lock"), "{paths:?}");
    paths
}

fn request(path: &str, hang: &str) -> Request<Full<Bytes>> {
    let mut request = range("a");
    *request.uri_mut() = format!("http://localhost{path}").parse().unwrap();
    request.headers_mut().insert("hang", hang.parse().unwrap());
    request
}

const EXPIRED: &str = "client certificate refused: failed to verify certificate: x509: certificate has expired: the client's certificate has ended: renew it; if it is new, compare the clocks";
const REVOKED: &str = "connection cut: the client certificate was revoked: issue a new one for this client";
const ENDED: &str = "connection cut: the client certificate has ended: connect anew with a renewed one";

/// An ended certificate reaches no method; each answers with the code that clients do not retry, and what to do.
#[test]
fn an_expired_certificate_reaches_no_method() {
    block_on(async {
        let ca = Ca::new("ca");
        let server = Plan::tls(settings(&ca, Clients::Explained)).start();
        let client = Client::new(&ca, Some(ca.client("root", Good::InThePast)));
        let mut sender = http2(client.connect(&server).await.0.unwrap()).await;
        for path in paths() {
            let called = match call(&mut sender, request(&path, "")).await {
                Ok(called) => called,
                // A refused connection is not kept for more than two seconds.
                Err(_) => {
                    sender = http2(client.connect(&server).await.0.unwrap()).await;
                    call(&mut sender, request(&path, "")).await.unwrap()
                }
            };
            assert_eq!((called.code, called.message.as_str()), (16, EXPIRED), "{path}");
            assert!(called.body.is_empty());
        }
        assert_eq!(server.metrics.client_received_bytes.value(), 0);
    });
}

/// Who shows no certificate reaches exactly the two requests by which one comes to a certificate, and these only where the
/// cluster has an authority; whatever else it asks for, it is told what is missing.
#[test]
fn a_stranger_reaches_the_way_to_a_certificate_and_nothing_else() {
    block_on(async {
        let ca = Ca::new("ca");
        for gives_certificates in [true, false] {
            let plan = Plan { gives_certificates, ..Plan::tls(settings(&ca, Clients::Explained)) };
            let server = plan.start();
            let client = Client::new(&ca, None);
            let mut reached = Vec::new();
            let methods = crate::rpc::surface::METHODS.iter().map(|method| method.path);
            for path in methods.chain(["/version", "/strongroom.v1.Pki/enroll"]) {
                let mut sender = http2(client.connect(&server).await.0.unwrap()).await;
                let called = call(&mut sender, request(path, "")).await.unwrap();
                if called.code == 16 && called.message.starts_with("no client certificate: ") {
                    assert!(called.body.is_empty());
                } else {
                    reached.push(path.to_owned());
                }
            }
            let way = ["/strongroom.v1.Pki/Enroll", "/strongroom.v1.Pki/Roots"];
            let expected = if gives_certificates { &way[..] } else { &[] };
            assert_eq!(reached, expected);
        }
    });
}

/// A revoked certificate gets no further than the handshake, for whatever method its owner comes.
#[test]
fn a_revoked_certificate_reaches_no_method() {
    block_on(async {
        let ca = Ca::new("ca");
        let leaf = ca.client("root", Good::Now);
        let crl = Some(held("list.crl", &ca.revoking(1, &[&leaf])));
        let server = Plan::tls(Settings { crl, ..settings(&ca, Clients::Explained) }).start();
        let client = Client::new(&ca, Some(leaf));
        let config = client.config();
        for path in paths() {
            let stream = server.tcp().await;
            let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
            let stream =
                tokio_rustls::TlsConnector::from(config.clone()).connect(name, stream).await.unwrap();
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
            let ended = tokio::spawn(connection);
            assert!(sender.send_request(request(&path, "")).await.is_err(), "{path}");
            let error = ended.await.unwrap().unwrap_err();
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(why.contains("received fatal alert: CertificateRevoked"), "{path}: {why}");
        }
        assert_eq!(server.metrics.client_received_bytes.value(), 0);
    });
}

/// Whatever method was under way when the certificate was revoked, or ended, ends with the exact words; nothing is left open.
#[test]
fn every_method_under_way_ends_with_its_certificate() {
    block_on(async {
        for (code, words) in [(16, REVOKED), (14, ENDED)] {
            let directory = tempfile::tempdir().unwrap();
            let ca = Ca::new("ca");
            let now = i64::try_from(rustls::pki_types::UnixTime::now().as_secs()).unwrap();
            let ends = if code == 14 { now + 3 } else { now + 3_600 };
            let leaf = ca.client_between("root", now - 60, ends);
            let list = directory.path().join("list.crl");
            std::fs::write(&list, ca.revoking(1, &[])).unwrap();
            let crl = Some(Source::File(list.clone()));
            let server = Plan::tls(Settings { crl, ..settings(&ca, Clients::Explained) }).start();
            let client = Client::new(&ca, Some(leaf.clone()));
            let sender = http2(client.connect(&server).await.0.unwrap()).await;
            let mut under_way = tokio::task::JoinSet::new();
            for path in paths() {
                for hang in ["before", "behind"] {
                    let (mut sender, request) = (sender.clone(), request(&path, hang));
                    let path = path.clone();
                    under_way.spawn(async move { (path, call(&mut sender, request).await) });
                }
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            if code == 16 {
                std::fs::write(&list, ca.revoking(2, &[&leaf])).unwrap();
                drop(server.running.as_ref().unwrap().reload());
            }
            let mut seen = 0;
            while let Some(ended) = under_way.join_next().await {
                let (path, called) = ended.unwrap();
                let called = called.unwrap();
                // Services that the stand-in has not are answered at once.
                if called.code == 12 {
                    continue;
                }
                seen += 1;
                assert_eq!((called.code, called.message.as_str()), (code, words), "{path}");
            }
            assert!(seen > 2 * 40, "{seen} calls were under way");
        }
    });
}
