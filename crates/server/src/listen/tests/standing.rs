//! Connections that stand while what they were judged by changes: whoever is not accepted any more is cut, with the reason, and
//! everybody else goes on.

use crate::listen::testing::*;
use crate::listen::{Address, Serves, tests::written};
use crate::tls::{Clients, Manner, Settings, Source};
use ::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The bound on being cut, from the moment that a revocation is known.
const CUT_MAX: Duration = Duration::from_secs(1);

fn with_list(directory: &Path, ca: &Ca, clients: Clients) -> Settings {
    std::fs::write(directory.join("list.crl"), ca.revoking(1, &[])).unwrap();
    let crl = Some(Source::File(directory.join("list.crl")));
    Settings { crl, clients, ..written(directory, &ca.server(), ca) }
}

fn hanging(where_: &str) -> Request<Full<Bytes>> {
    let mut request = range("a");
    request.headers_mut().insert("hang", where_.parse().unwrap());
    request
}

async fn connected(client: &Client<'_>, server: &Server) -> Box<dyn Stream> {
    secured(client, server).await.0.unwrap()
}

/// A revoked certificate must not go on working because its connection was made before: whatever stands on it, a request
/// under way, a stream, the JSON gateway, an idle connection, ends within a second, on every kind of listener, with the reason. A
/// connection of another certificate does not notice.
#[test]
fn revocation_cuts_what_stands_on_every_listener() {
    block_on(async {
        for (serves, clients, unix) in [
            (Serves::Everything, Clients::Explained, false),
            (Serves::Everything, Clients::Required, false),
            (Serves::Grpc, Clients::Explained, false),
            (Serves::Http, Clients::Explained, false),
            (Serves::Everything, Clients::Explained, true),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let ca = Ca::new("ca");
            let plan = Plan { serves, ..Plan::tls(with_list(directory.path(), &ca, clients)) };
            let server = match unix {
                true => plan.start_at(Address::Unix(directory.path().join("socket"))),
                false => plan.start(),
            };
            let leaf = ca.client("to be revoked", Good::Now);
            let bad = Client::new(&ca, Some(leaf.clone()));
            let good = Client::new(&ca, Some(ca.client("good", Good::Now)));

            let mut waiting = tokio::task::JoinSet::new();
            if serves != Serves::Http {
                for where_ in ["before", "behind"] {
                    let mut sender = http2(connected(&bad, &server).await).await;
                    waiting.spawn(async move { call(&mut sender, hanging(where_)).await.unwrap() });
                }
            }
            let mut page = connected(&bad, &server).await;
            if serves != Serves::Grpc {
                let body = "{\"key\":\"aGFuZw==\"}"; // "hang"
                let length = body.len();
                let head = "POST /v3/kv/range HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
                let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
                page.write_all(request.as_bytes()).await.unwrap();
            }
            let mut idle = connected(&bad, &server).await;
            let mut still_good = http2(connected(&good, &server).await).await;
            let beginning = call(&mut still_good, range("a")).await.unwrap().code;
            tokio::time::sleep(Duration::from_millis(100)).await;

            std::fs::write(directory.path().join("list.crl"), ca.revoking(2, &[&leaf])).unwrap();
            let (_, took) = timed(async {
                drop(server.running.as_ref().unwrap().reload());
                while let Some(called) = waiting.join_next().await {
                    let called = called.unwrap();
                    assert_eq!(called.code, 16, "{called:?}");
                    let words =
                        "connection cut: the client certificate was revoked: issue a new one for this client";
                    assert_eq!(called.message, words);
                }
                let mut answer = Vec::new();
                let _ = page.read_to_end(&mut answer).await;
                if serves != Serves::Grpc {
                    let answer = Answer::parse(&answer);
                    assert_eq!(answer.status, 401, "{answer:?}");
                    assert!(answer.body.contains("the client certificate was revoked"), "{answer:?}");
                }
                let _ = idle.read_to_end(&mut Vec::new()).await;
            })
            .await;
            assert!(took < CUT_MAX, "{took:?}");
            let cut = if serves == Serves::Http { 2 } else { 4 };
            assert_eq!(server.metrics.connections_cut.with(["revoked"]).value(), cut);
            assert_eq!(call(&mut still_good, range("a")).await.unwrap().code, beginning, "others go on");
        }
    });
}

/// Whoever takes nothing of its answer is never told anything more: the connection ends all the same, within the second, and
/// gives its place back.
#[test]
fn a_client_that_takes_nothing_is_cut_too() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let ca = Ca::new("ca");
        let server = Plan::tls(with_list(directory.path(), &ca, Clients::Explained)).start();
        let leaf = ca.client("silent", Good::Now);
        let stream = Client::new(&ca, Some(leaf.clone())).connect(&server).await.0.unwrap();
        // Without any window: nothing of an answer's body may be sent, its last words neither.
        let (mut sender, connection) =
            hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                .initial_stream_window_size(0)
                .handshake(hyper_util::rt::TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(hanging("behind")).await.unwrap();
        std::fs::write(directory.path().join("list.crl"), ca.revoking(2, &[&leaf])).unwrap();
        let (_, took) = timed(async {
            drop(server.running.as_ref().unwrap().reload());
            while server.running.as_ref().unwrap().connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert!(took < CUT_MAX, "{took:?}");
        drop(response);
    });
}

/// When the CA is swapped, whoever came by the old one is cut, so that a stolen CA is out of the house when it is replaced, and
/// is told to come again; while both are in the bundle, as in every careful swap, nobody notices.
#[test]
fn a_swapped_ca_cuts_the_connections_of_the_old_one() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (Ca::new("old"), Ca::new("new"));
        let server = Plan::tls(Settings {
            clients: Clients::Explained,
            ..written(directory.path(), &old.server(), &old)
        })
        .start();
        let client = Client::new(&old, Some(old.client("x", Good::Now)));
        let mut sender = http2(client.connect(&server).await.0.unwrap()).await;
        let lay = |pem: &str| std::fs::write(directory.path().join("ca.crt"), pem).unwrap();
        let reload = || server.running.as_ref().unwrap().reload();
        lay(&format!("{}{}", old.pem, new.pem));
        assert!(matches!(reload()[0].result, Ok(crate::tls::Exchange::Replaced)));
        assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0, "both are trusted");
        let standing = tokio::spawn(async move { call(&mut sender, hanging("behind")).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(100)).await;
        lay(&new.pem);
        assert!(matches!(reload()[0].result, Ok(crate::tls::Exchange::Replaced)));
        let called = tokio::time::timeout(CUT_MAX, standing).await.unwrap().unwrap();
        assert_eq!(called.code, 14, "a code that makes clients connect anew: {called:?}");
        assert!(called.message.contains("CA is no longer trusted here"), "{called:?}");
        assert_eq!(server.metrics.connections_cut.with(["unknown_issuer"]).value(), 1);
    });
}

fn now() -> i64 {
    i64::try_from(rustls::pki_types::UnixTime::now().as_secs()).unwrap()
}

/// A certificate that has ended proves nothing any more, and neither does the connection made with it: a strongroom cuts it at
/// its end. etcd's clients do not notice their certificate's end until they connect anew, and as etcd that stays so, at the
/// end and at every exchange after it.
#[test]
fn a_connection_ends_with_its_certificate_unless_as_etcd() {
    block_on(async {
        for manner in [Manner::Strict, Manner::AsEtcd] {
            let directory = tempfile::tempdir().unwrap();
            let ca = Ca::new("ca");
            let mut plan =
                Plan::tls(Settings { manner, ..with_list(directory.path(), &ca, Clients::Explained) });
            plan.limits.reload_interval = Duration::from_millis(50);
            let server = plan.start();
            let ends = now() + 2;
            let leaf = ca.client_between("short", now() - 60, ends);
            let client = Client::new(&ca, Some(leaf));
            let mut sender = http2(client.connect(&server).await.0.unwrap()).await;
            let mut other = sender.clone();
            let standing = tokio::spawn(async move { call(&mut other, hanging("behind")).await });
            if manner == Manner::Strict {
                let called = standing.await.unwrap().unwrap();
                assert!(now() > ends && now() <= ends + 3, "cut {} s after its end", now() - ends);
                assert_eq!(called.code, 14, "{called:?}");
                assert!(called.message.contains("the client certificate has ended"), "{called:?}");
                assert_eq!(server.metrics.connections_cut.with(["expired"]).value(), 1);
                continue;
            }
            tokio::time::sleep(Duration::from_millis(3_500)).await;
            std::fs::write(directory.path().join("list.crl"), ca.revoking(2, &[])).unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(server.metrics.certificate_reloads.with(["replaced"]).value(), 1);
            assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0, "it goes on");
            assert_eq!(client.http(&server, "/health").await.status, 400, "and does not come again");
            assert!(!standing.is_finished());
        }
    });
}

/// Thousands of connections are judged on a thread that serves nobody, each certificate once: a request meanwhile is answered
/// as ever, and the last connection is cut within the second.
#[test]
fn many_connections_are_cut_in_a_second_and_stall_nobody() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let ca = Ca::new("ca");
        let mut plan = Plan::tls(with_list(directory.path(), &ca, Clients::Explained));
        plan.limits.workers = 1;
        let server = plan.start();
        let (bad, good) = (ca.client("bad", Good::Now), ca.client("good", Good::Now));
        let client = Client::new(&ca, Some(bad.clone()));
        let mut streams = Vec::new();
        for _ in 0..200 {
            streams.push(client.connect(&server).await.0.unwrap());
        }
        let mut sender = http2(Client::new(&ca, Some(good)).connect(&server).await.0.unwrap()).await;
        assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0);
        std::fs::write(directory.path().join("list.crl"), ca.revoking(2, &[&bad])).unwrap();
        let (_, took) = timed(async {
            drop(server.running.as_ref().unwrap().reload());
            assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0);
            for stream in &mut streams {
                let _ = stream.read(&mut [0; 1]).await;
            }
        })
        .await;
        assert!(took < CUT_MAX, "{took:?}");
        assert_eq!(server.metrics.connections_cut.sum(), 200);
    });
}
