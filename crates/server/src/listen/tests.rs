//! The listeners over loopback: their bounds, the exchange of certificates, what each kind serves, and their end.

mod files;
mod matrix;
mod mistakes;
mod revocation;
mod standing;

use super::testing::*;
use super::*;
use crate::tls::{Clients, Settings, Source, Version};
use rcgen::ExtendedKeyUsagePurpose;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Garbage ends in an alert and a line, and the next client is served.
#[test]
fn garbage_on_the_port_is_refused_and_harms_nobody() {
    block_on(async {
        let ca = Ca::new("ca");
        let server = Plan::tls(settings(&ca, Clients::Anyone)).start();
        for garbage in
            [&b"\x00\x01\x02\x03"[..], b"SSH-2.0-OpenSSH\r\n", &[0xff; 4096], b"\x16\x03\x01\xff\xff\xff\xff"]
        {
            let mut stream = server.tcp().await;
            let peer = stream.local_addr().unwrap().to_string();
            stream.write_all(garbage).await.unwrap();
            let mut answer = [0; 7];
            let (read, took) = timed(stream.read_exact(&mut answer)).await;
            assert!(read.is_ok() && answer[0] == 0x15, "an alert: {answer:?}");
            assert!(took < AT_ONCE, "{took:?}");
            assert!(line_about(&server, &peer).await["hint"].is_string());
        }
        assert_eq!(Client::new(&ca, None).http(&server, "/health").await.status, 200);
        assert_eq!(server.metrics.handshakes_failed.sum(), 4);
    });
}

/// A TLS record cut into single bytes is still a handshake: sniffing must not lose or reorder one.
#[test]
fn a_handshake_that_arrives_byte_by_byte_succeeds() {
    block_on(async {
        let ca = Ca::new("ca");
        let server = Plan::clear().start();
        let mut stream = server.tcp().await;
        for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(Answer::parse(&answer).status, 200);
        drop(ca);
    });
}

/// A connection that never finishes its handshake is closed in its time, with a line that says which limit it was
/// (CVE-2026-73500), wherever in the handshake it stops; others are served meanwhile.
#[test]
fn a_slow_handshake_is_cut_at_its_deadline() {
    block_on(async {
        let ca = Ca::new("ca");
        let mut plan = Plan::tls(settings(&ca, Clients::Anyone));
        plan.limits.handshake_deadline = Duration::from_millis(300);
        let server = plan.start();
        for opening in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01", b"PRI * HT"] {
            let mut stream = server.tcp().await;
            let peer = stream.local_addr().unwrap().to_string();
            stream.write_all(opening).await.unwrap();
            assert_eq!(Client::new(&ca, None).http(&server, "/health").await.status, 200);
            let (read, took) = timed(stream.read(&mut [0; 16])).await;
            assert!(matches!(read, Ok(0) | Err(_)) && took < Duration::from_secs(5), "{read:?} {took:?}");
            let line = line_about(&server, &peer).await;
            assert_eq!(line["error"], "tls handshake not finished within 300ms");
        }
    });
}

/// Thousands of idle connections must not keep out a client that means it: the oldest unfinished handshake goes first.
#[test]
fn too_many_unfinished_handshakes_cost_the_oldest() {
    block_on(async {
        let ca = Ca::new("ca");
        let mut plan = Plan::tls(settings(&ca, Clients::Anyone));
        plan.limits.workers = 1;
        plan.limits.handshakes = 3;
        let server = plan.start();
        let mut idle = Vec::new();
        for _ in 0..4 {
            idle.push(server.tcp().await);
        }
        let mut buffer = [0; 1];
        assert!(matches!(idle[0].read(&mut buffer).await, Ok(0) | Err(_)), "the oldest is cut");
        assert_eq!(Client::new(&ca, None).http(&server, "/health").await.status, 200);
        let last = tokio::time::timeout(Duration::from_millis(50), idle[3].read(&mut buffer)).await;
        assert!(last.is_err(), "the youngest still has its time");
    });
}

/// Established connections are not handshakes: however many there are, they are never cut by that bound.
#[test]
fn finished_handshakes_do_not_count_as_unfinished() {
    block_on(async {
        let mut plan = Plan::clear();
        plan.limits.workers = 1;
        plan.limits.handshakes = 2;
        let server = plan.start();
        let mut senders = Vec::new();
        for _ in 0..6 {
            let mut sender = http2(server.tcp().await).await;
            assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0);
            senders.push(sender);
        }
        for sender in &mut senders {
            assert_eq!(call(sender, range("a")).await.unwrap().code, 0);
        }
    });
}

/// Beyond the limit a connection is closed at once, and the log says why; room that is freed is given again.
#[test]
fn connections_are_bounded() {
    block_on(async {
        let mut plan = Plan::clear();
        plan.limits.connections = 2;
        let server = plan.start();
        let mut first = http2(server.tcp().await).await;
        assert_eq!(call(&mut first, range("a")).await.unwrap().code, 0);
        let second = server.tcp().await;
        let mut third = server.tcp().await;
        let peer = third.local_addr().unwrap().to_string();
        assert!(matches!(third.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        let line = line_about(&server, &peer).await;
        assert_eq!(line["limit"], 2, "{line}");
        assert_eq!(server.metrics.connections_refused.value(), 1);
        drop(second);
        while server.running.as_ref().unwrap().connections() == 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(server.http("GET", "/health", "").await.status, 200);
    });
}

/// Headers without end are refused, in HTTP/1 and HTTP/2, before they fill the memory.
#[test]
fn oversized_headers_are_refused() {
    block_on(async {
        let mut plan = Plan::clear();
        plan.limits.header_bytes = 8 * 1024;
        let server = plan.start();
        let long = "x".repeat(64 * 1024);
        let answer = server.http_with("GET", "/health", "", &format!("X-Long: {long}\r\n")).await;
        assert_eq!(answer.status, 431);
        let mut sender = http2(server.tcp().await).await;
        let mut request = range("a");
        // Less than the library's own 16 KiB.
        for number in 0..10 {
            request.headers_mut().insert(
                ::http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap(),
                long[..1000].parse().unwrap(),
            );
        }
        let refused = call(&mut sender, request).await;
        assert!(refused.as_ref().map_or(true, |called| called.code != 0), "{refused:?}");
        assert_eq!(server.http("GET", "/health", "").await.status, 200);
    });
}

/// Headers that trickle in are cut at their deadline (slowloris).
#[test]
fn headers_that_never_end_are_cut() {
    block_on(async {
        let mut plan = Plan::clear();
        plan.limits.header_deadline = Duration::from_millis(300);
        let server = plan.start();
        let mut stream = server.tcp().await;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
        let mut answer = Vec::new();
        let (_, took) = timed(stream.read_to_end(&mut answer)).await;
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(answer.is_empty() || Answer::parse(&answer).status == 408);
    });
}

/// A frame of HTTP/2.
fn h2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Opens an HTTP/2 connection, sends these bytes and reads until the member ends it; nothing else may suffer.
async fn is_cut(server: &Server, frames: &[u8]) -> Vec<u8> {
    let (mut reads, mut writes) = server.tcp().await.into_split();
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    all.extend_from_slice(frames);
    // The member need not read it all.
    let writing = tokio::spawn(async move { drop(writes.write_all(&all).await) });
    let mut answer = Vec::new();
    // An answer that was cut short by a reset is an end as well.
    let (read, took) = timed(reads.read_to_end(&mut answer)).await;
    assert!(took < Duration::from_secs(5), "{read:?} after {took:?}");
    writing.abort();
    let mut other = http2(server.tcp().await).await;
    assert_eq!(call(&mut other, range("a")).await.unwrap().code, 0);
    answer
}

/// Streams that are opened and taken back at once cost the client nothing and the member a request each: too many end the
/// connection (CVE-2023-44487).
#[test]
fn streams_that_are_opened_and_reset_end_the_connection() {
    block_on(async {
        let server = Plan::clear().start();
        let post = [0x83, 0x86, 0x84];
        let pair =
            |n: u32| [h2_frame(1, 5, 2 * n + 1, &post), h2_frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat();
        let answer = is_cut(&server, &(0..20_000).flat_map(pair).collect::<Vec<u8>>()).await;
        let calm = [0, 0, 0, 0x0b];
        assert!(answer.windows(4).any(|window| window == calm), "told to be calm: {}", answer.escape_ascii());
    });
}

/// Headers that go on in frame after frame are cut before they fill the memory (CVE-2023-45288).
#[test]
fn headers_that_go_on_in_frames_without_end_are_cut() {
    block_on(async {
        let server = Plan::clear().start();
        let begun = h2_frame(1, 1, 1, &[0x83, 0x86, 0x84]);
        // A header of a hundred bytes that nobody keeps: literal, never indexed.
        let header = [&[0x10, 1, b'x', 100][..], &[b'y'; 100]].concat();
        for (piece, number) in [(header, 100_000), (Vec::new(), 1_000_000)] {
            let more = h2_frame(9, 0, 1, &piece).repeat(number);
            is_cut(&server, &[begun.clone(), more].concat()).await;
        }
    });
}

/// A client that pings without end costs the member a frame each; gRPC's clients know the answer and slow down, so it has to
/// be grpc-go's to the byte: GOAWAY, ENHANCE_YOUR_CALM, `too_many_pings`, then the end.
#[test]
fn too_many_pings_end_the_connection_in_grpcs_words() {
    block_on(async {
        let server = Plan::clear().start();
        let mut stream = server.tcp().await;
        let peer = stream.local_addr().unwrap().to_string();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        for _ in 0..4 {
            stream.write_all(b"\0\0\x08\x06\0\0\0\0\0pingping").await.unwrap();
        }
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let last = b"\0\0\x16\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_pings";
        assert!(answer.ends_with(last), "{}", answer.escape_ascii());
        let line = line_about(&server, &peer).await;
        assert!(line["hint"].as_str().unwrap().contains("keepalive time to 5s"), "{line}");
        let mut other = http2(server.tcp().await).await;
        assert_eq!(call(&mut other, range("a")).await.unwrap().code, 0, "nobody else is concerned");
    });
}

/// One connection has a bounded number of requests under way; the next waits, and other connections are not concerned.
#[test]
fn streams_are_bounded() {
    block_on(async {
        let mut plan = Plan::clear();
        plan.limits.concurrent_streams = 3;
        let server = plan.start();
        let mut sender = http2(server.tcp().await).await;
        // The peer's bound is known once its settings have come.
        assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0);
        let mut hanging = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let mut sender = sender.clone();
            hanging.spawn(async move { call(&mut sender, range("hang")).await.map(|called| called.code) });
        }
        let method = server.metrics.calls.method("/etcdserverpb.KV/Range").unwrap();
        while method.under_way() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let fourth = tokio::time::timeout(Duration::from_millis(200), call(&mut sender, range("a"))).await;
        assert!(fourth.is_err(), "a fourth stream waits for room: {fourth:?}");
        let mut other = http2(server.tcp().await).await;
        assert_eq!(call(&mut other, range("a")).await.unwrap().code, 0);
    });
}

pub(super) fn written(directory: &std::path::Path, leaf: &Leaf, ca: &Ca) -> Settings {
    let path = |name: &str| directory.join(name);
    std::fs::write(path("tls.crt"), &leaf.certificate).unwrap();
    std::fs::write(path("tls.key"), &leaf.key).unwrap();
    std::fs::write(path("ca.crt"), &ca.pem).unwrap();
    Settings {
        client_ca: Some(Source::File(path("ca.crt"))),
        clients: Clients::Required,
        ..Settings::new(Source::File(path("tls.crt")), Source::File(path("tls.key")))
    }
}

/// Certificates and CAs are exchanged while serving; a set that does not fit together changes nothing, so a mistake
/// in a renewal never takes the member down.
#[test]
fn certificates_are_exchanged_while_serving_and_bad_ones_are_not() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (Ca::new("old"), Ca::new("new"));
        let server = Plan::tls(written(directory.path(), &old.server(), &old)).start();
        let running = || server.running.as_ref().unwrap();
        let old_client = Client::new(&old, Some(old.client("root", Good::Now)));
        let mut standing = http2(old_client.connect(&server).await.0.unwrap()).await;
        assert!(matches!(running().reload()[0].result, Ok(crate::tls::Exchange::Unchanged)));

        let unfit = [
            ("tls.key", new.server().key, "does not belong"),
            ("tls.crt", "nonsense".to_owned(), "no certificate"),
            ("ca.crt", String::new(), "no client CA bundle"),
        ];
        for (file, content, complaint) in unfit {
            let good = std::fs::read(directory.path().join(file)).unwrap();
            std::fs::write(directory.path().join(file), content).unwrap();
            let results = running().reload();
            let error = results[0].result.as_ref().unwrap_err();
            assert!(error.to_string().contains(complaint) && error.to_string().contains(file), "{error}");
            assert!(!error.hint().is_empty());
            assert_eq!(old_client.http(&server, "/health").await.status, 200, "the old set still serves");
            std::fs::write(directory.path().join(file), good).unwrap();
        }

        let ended = old.leaf("server", &["localhost"], ExtendedKeyUsagePurpose::ServerAuth, Good::InThePast);
        written(directory.path(), &ended, &old);
        assert!(matches!(running().reload()[0].result, Err(crate::tls::Error::Expired { .. })));

        written(directory.path(), &new.server(), &new);
        assert!(matches!(running().reload()[0].result, Ok(crate::tls::Exchange::Replaced)));
        let new_client = Client::new(&new, Some(new.client("root", Good::Now)));
        assert_eq!(new_client.http(&server, "/health").await.status, 200);
        assert!(old_client.connect(&server).await.0.is_err(), "the old certificate is gone");
        let standing = call(&mut standing, range("a")).await;
        assert!(standing.is_err() || standing.unwrap().code != 0, "and with its CA whoever came by it");
    });
}

/// Files that change are noticed without a signal.
#[test]
fn changed_files_are_noticed_without_a_signal() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (Ca::new("old"), Ca::new("new"));
        let mut plan = Plan::tls(written(directory.path(), &old.server(), &old));
        plan.limits.reload_interval = Duration::from_millis(20);
        let server = plan.start();
        written(directory.path(), &new.server(), &new);
        let client = Client::new(&new, Some(new.client("root", Good::Now)));
        let mut tries = 0;
        while client.connect(&server).await.0.is_err() {
            tries += 1;
            assert!(tries < 500, "the change was not noticed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(server.metrics.certificate_not_after.value() > 3_000_000_000, "the year 2090");
    });
}

/// Where names are listed, a good certificate with another name stays out.
#[test]
fn only_the_allowed_names_are_let_in() {
    block_on(async {
        let ca = Ca::new("ca");
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let with_host = ca.leaf("anybody", &["app.example"], usage.clone(), Good::Now);
        let with_other_host = ca.leaf("anybody", &["xapp.example"], usage, Good::Now);
        let by_name =
            Settings { allowed_common_names: vec!["app".into()], ..settings(&ca, Clients::Required) };
        let by_host =
            Settings { allowed_hostnames: vec!["app.example".into()], ..settings(&ca, Clients::Required) };
        for (settings, right, wrong) in [
            (by_name, ca.client("app", Good::Now), ca.client("app2", Good::Now)),
            (by_host, with_host, with_other_host),
        ] {
            let server = Plan::tls(settings).start();
            assert_eq!(Client::new(&ca, Some(right)).http(&server, "/health").await.status, 200);
            let (_, peer) = Client::new(&ca, Some(wrong)).refused(&server).await;
            let line = line_about(&server, &peer).await;
            assert!(line["error"].as_str().unwrap().contains("none of the allowed names"), "{line}");
        }
    });
}

/// TLS 1.2 stays out unless it is asked for; who cannot do better learns why from the log.
#[test]
fn tls_1_2_is_refused_unless_asked_for() {
    block_on(async {
        let ca = Ca::new("ca");
        static TLS12: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        let old = Client { versions: &TLS12, ..Client::new(&ca, None) };
        let server = Plan::tls(settings(&ca, Clients::Explained)).start();
        let (connected, peer) = old.connect(&server).await;
        assert!(connected.unwrap_err().to_string().contains("ProtocolVersion"));
        assert!(line_about(&server, &peer).await["hint"].as_str().unwrap().contains("--tls-min-version"));
        let asked = Settings { min_version: Version::Tls12, ..settings(&ca, Clients::Anyone) };
        let server = Plan::tls(asked).start();
        let stream = old.connect(&server).await.0.unwrap();
        let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap();
        assert!(format!("{suite:?}").contains("ECDHE") && suite.tls13().is_none(), "{suite:?}");
    });
}

/// A listener for scrapers and probes serves those and nothing else, whatever is asked.
#[test]
fn a_metrics_listener_serves_nothing_else() {
    block_on(async {
        let server = Plan { serves: Serves::Metrics, ..Plan::clear() }.start();
        for path in ["/metrics", "/health", "/livez", "/readyz", "/readyz/non_learner"] {
            assert_eq!(server.http("GET", path, "").await.status, 200, "{path}");
        }
        for path in ["/version", "/debug/vars", "/v3/kv/range", "/", "/etcdserverpb.KV/Range"] {
            assert_eq!(server.http("GET", path, "").await.status, 404, "{path}");
            assert_eq!(server.http("POST", path, "{}").await.status, 404, "{path}");
        }
        let mut sender = http2(server.tcp().await).await;
        assert_ne!(call(&mut sender, range("a")).await.unwrap().code, 0, "no gRPC here");
    });
}

/// With HTTP on an address of its own, neither serves the other's requests.
#[test]
fn split_listeners_serve_their_own_kind() {
    block_on(async {
        let grpc = Plan { serves: Serves::Grpc, ..Plan::clear() }.start();
        assert_eq!(grpc.http("GET", "/health", "").await.status, 415);
        assert_eq!(call(&mut http2(grpc.tcp().await).await, range("a")).await.unwrap().code, 0);
        let http = Plan { serves: Serves::Http, ..Plan::clear() }.start();
        assert_eq!(http.http("GET", "/health", "").await.status, 200);
        assert_ne!(call(&mut http2(http.tcp().await).await, range("a")).await.unwrap().code, 0);
    });
}

/// One loopback port may serve both, as etcd does for an address in two URLs: each connection is what it opens with, and
/// clear text brings no evidence.
#[test]
fn one_port_can_serve_clear_text_and_tls() {
    block_on(async {
        let ca = Ca::new("ca");
        let tls = Arc::new(crate::tls::Reloading::open(settings(&ca, Clients::Required)).unwrap());
        let server = Plan { security: Security::ClearOrTls(tls.clone()), ..Plan::clear() }.start();
        let client = Client::new(&ca, Some(ca.client("root", Good::Now)));
        let secured =
            call(&mut http2(client.connect(&server).await.0.unwrap()).await, range("who")).await.unwrap();
        assert!(secured.value().contains("\"root\"") && secured.value().contains("via_tls: true"));
        let clear = call(&mut http2(server.tcp().await).await, range("who")).await.unwrap();
        assert!(clear.value().contains("evidence: None") && clear.value().contains("via_tls: false"));
        assert!(Client::new(&ca, None).refused(&server).await.0.contains("CertificateRequired"));
        let anywhere = Listener {
            address: Address::Tcp("0.0.0.0:0".into()),
            serves: Serves::Everything,
            security: Security::ClearOrTls(tls),
        };
        assert!(matches!(bind(vec![anywhere]), Err(Error::ClearBeyondLoopback { .. })));
    });
}

/// A unix socket serves like a port.
#[test]
fn a_unix_socket_serves_too() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let server = Plan::clear().start_at(Address::Unix(path.clone()));
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let called = call(&mut http2(stream).await, range("who")).await.unwrap();
        assert!(called.value().contains("peer: \"unix\""), "{}", called.value());
        drop(server);
    });
}

/// Calls are counted under etcd's names, bytes without framing, as its dashboards expect.
#[test]
fn calls_are_counted() {
    block_on(async {
        let server = Plan::clear().start();
        let mut sender = http2(server.tcp().await).await;
        call(&mut sender, range("a")).await.unwrap();
        call(&mut sender, range("future")).await.unwrap();
        let mut unknown = range("a");
        *unknown.uri_mut() = "http://localhost/etcdserverpb.KV/Nonsense".parse().unwrap();
        assert_eq!(call(&mut sender, unknown).await.unwrap().code, 12);
        let text = server.http("GET", "/metrics", "").await.body;
        let labels = "grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
        for line in [
            format!("grpc_server_started_total{{{labels}}} 2"),
            format!("grpc_server_msg_received_total{{{labels}}} 2"),
            // A refusal counts as a message sent, as the Go library counts it.
            format!("grpc_server_msg_sent_total{{{labels}}} 2"),
            format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1"),
            format!("grpc_server_handled_total{{grpc_code=\"OutOfRange\",{labels}}} 1"),
            // RangeRequest{key: "a"} and {key: "future"}: a tag, a length and the key.
            "etcd_network_client_grpc_received_bytes_total 11".to_owned(),
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
        }
        assert!(!text.contains("Nonsense"), "what a client makes up does not become a label");
    });
}

/// Stopping closes idle connections at once, gives what is under way its grace, and cuts what has not ended then.
#[test]
fn stopping_drains_and_then_cuts() {
    block_on(async {
        let mut server = Plan::clear().start();
        let mut idle = http2(server.tcp().await).await;
        assert_eq!(call(&mut idle, range("a")).await.unwrap().code, 0);
        let running = server.running.take().unwrap();
        let (stopped, took) =
            timed(tokio::task::spawn_blocking(move || running.stop(Duration::from_secs(20)))).await;
        stopped.unwrap();
        assert!(took < Duration::from_secs(5), "idle connections do not hold it up: {took:?}");
        assert!(tokio::net::TcpStream::connect(&server.address).await.is_err(), "nobody listens any more");

        let mut server = Plan::clear().start();
        let mut sender = http2(server.tcp().await).await;
        let hanging = tokio::spawn(async move { call(&mut sender, range("hang")).await });
        while server.metrics.calls.method("/etcdserverpb.KV/Range").unwrap().under_way() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let running = server.running.take().unwrap();
        let (stopped, took) = timed(async {
            tokio::task::spawn_blocking(move || running.stop(Duration::from_millis(300))).await
        })
        .await;
        stopped.unwrap();
        assert!(took >= Duration::from_millis(300), "the grace is given: {took:?}");
        assert!(took < Duration::from_secs(5), "and no more: {took:?}");
        assert!(hanging.await.unwrap().is_err());
    });
}
