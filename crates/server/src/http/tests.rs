//! HTTP over loopback, with etcd 3.7.3's answers as recorded from the real one.

use super::{Access, Alarm, Allowed};
use crate::listen::testing::*;
use crate::tls::Clients;
use std::sync::atomic::Ordering;

/// Path, status and body of GETs, as a healthy etcd answers them (checks of /readyz in our order).
const HEALTHY: &[(&str, u16, &str)] = &[
    ("/health", 200, "{\"health\":\"true\",\"reason\":\"\"}"),
    ("/health?serializable=true", 200, "{\"health\":\"true\",\"reason\":\"\"}"),
    ("/health?exclude=NOSPACE", 200, "{\"health\":\"true\",\"reason\":\"\"}"),
    ("/livez", 200, "ok\n"),
    ("/livez?verbose", 200, "[+]serializable_read ok\nok\n"),
    ("/livez/serializable_read", 200, "ok\n"),
    ("/livez/foo", 404, "404 page not found\n"),
    ("/livez/", 404, "404 page not found\n"),
    ("/readyz", 200, "ok\n"),
    (
        "/readyz?verbose",
        200,
        "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
    ),
    (
        "/readyz?verbose&exclude=linearizable_read&exclude=nonsense",
        200,
        "[+]data_corruption ok\n[+]serializable_read ok\n[+]non_learner ok\nok\n",
    ),
    ("/readyz/non_learner?verbose", 200, "[+]non_learner ok\nok\n"),
    ("/readyz/data_corruption", 200, "ok\n"),
    ("/version", 200, "{\"etcdserver\":\"3.7.3\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\"}"),
    ("/", 404, "404 page not found\n"),
    ("/foo", 404, "404 page not found\n"),
    ("/v3alpha/kv/range", 404, "404 page not found\n"),
    ("/v3/foo", 404, "{\"code\":5,\"message\":\"Not Found\"}"),
    ("/v3/kv/range", 501, "{\"code\":12,\"message\":\"Method Not Allowed\"}"),
    ("/v3beta/kv/range", 501, "{\"code\":12,\"message\":\"Method Not Allowed\"}"),
];

/// Probes and scripts match on these bodies and codes.
#[test]
fn a_healthy_member_answers_as_etcd_does() {
    block_on(async {
        let server = Plan::clear().start();
        for (path, status, body) in HEALTHY {
            let answer = server.http("GET", path, "").await;
            assert_eq!((answer.status, answer.body.as_str()), (*status, *body), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
            let json = path.starts_with("/v3/") || path.starts_with("/v3beta/") || *path == "/version";
            let kind = if json { "application/json" } else { "text/plain; charset=utf-8" };
            assert_eq!(answer.header("content-type"), Some(kind), "{path}");
            let sniffing = if json || path.starts_with("/health") { None } else { Some("nosniff") };
            assert_eq!(answer.header("x-content-type-options"), sniffing, "{path}");
        }
        for path in ["/health", "/livez", "/version", "/readyz/non_learner", "/debug/vars"] {
            let answer = server.http("POST", path, "").await;
            assert_eq!((answer.status, answer.body.as_str()), (405, "Method Not Allowed\n"), "{path}");
            assert_eq!(answer.header("allow"), Some("GET"));
        }
        let metrics = server.http("POST", "/metrics", "").await;
        assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
        assert!(metrics.body.contains("\netcd_server_health_success 3\n"), "the three above");
        assert!(metrics.body.contains("etcd_server_healthcheck{name=\"non_learner\",type=\"readyz\"} 1\n"));
    });
}

/// Each way of being ill shows in the checks that concern it, with etcd's words, and can be left out where etcd lets it.
#[test]
fn an_ill_member_says_what_ails_it() {
    block_on(async {
        let server = Plan::clear().start();
        let get = async |path: &'static str| {
            let answer = server.http("GET", path, "").await;
            (answer.status, answer.body)
        };
        *server.patient.alarms.lock().unwrap() = vec![Alarm::NoSpace];
        assert_eq!(
            get("/health").await,
            (503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n".into())
        );
        assert_eq!(get("/health?exclude=NOSPACE").await.0, 200);
        assert_eq!(get("/readyz").await.0, 200, "a full store still answers reads");
        *server.patient.alarms.lock().unwrap() = vec![Alarm::Corrupt];
        assert_eq!(get("/health?exclude=NOSPACE").await.0, 503);
        assert_eq!(
            get("/readyz/data_corruption").await,
            (503, "[-]data_corruption failed: alarm activated: CORRUPT\n\n".into())
        );
        assert_eq!(get("/readyz?exclude=data_corruption").await.0, 200);
        assert_eq!(get("/livez").await.0, 200);
        server.patient.alarms.lock().unwrap().clear();
        server.patient.leader.store(false, Ordering::Relaxed);
        assert_eq!(
            get("/health").await,
            (503, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n".into())
        );
        assert_eq!(get("/health?serializable=true").await.0, 200);
        server.patient.leader.store(true, Ordering::Relaxed);
        server.patient.learner.store(true, Ordering::Relaxed);
        assert_eq!(
            get("/readyz/non_learner").await,
            (503, "[-]non_learner failed: not supported for learner\n\n".into())
        );
        server.patient.learner.store(false, Ordering::Relaxed);
        server.reads_fail.store(true, Ordering::Relaxed);
        assert_eq!(
            get("/health").await.1,
            "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: no leader\"}\n"
        );
        assert_eq!(
            get("/livez").await,
            (503, "[-]serializable_read failed: etcdserver: no leader\n\n".into())
        );
        assert!(server.http("GET", "/metrics", "").await.body.contains("\netcd_server_health_failures 4\n"));
    });
}

/// Path, body, status and answer of POSTs, as recorded from etcd 3.7.3 with the same data.
const GATEWAY: &[(&str, &str, u16, &str)] = &[
    (
        "kv/range",
        "{\"key\":\"%%%\"}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:8): invalid value for bytes field key: \\\"%%%\\\"\"}",
    ),
    (
        "kv/range",
        "{\"key\":5}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:8): invalid value for bytes field key: 5\"}",
    ),
    (
        "kv/range",
        "{\"key\":\"Zm9v\",\"limit\":\"x\"}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:23): invalid value for int64 field limit: \\\"x\\\"\"}",
    ),
    (
        "kv/range",
        "{\"key\":\"Zm9v\",\"limit\":1.5}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:23): invalid value for int64 field limit: 1.5\"}",
    ),
    ("kv/range", "{", 400, "{\"code\":3,\"message\":\"unexpected EOF\"}"),
    (
        "kv/range",
        "[]",
        400,
        "{\"code\":3,\"message\":\"proto: syntax error (line 1:1): unexpected token [\"}",
    ),
    (
        "kv/range",
        "null",
        400,
        "{\"code\":3,\"message\":\"proto: syntax error (line 1:1): unexpected token null\"}",
    ),
    ("kv/range", "", 400, "{\"code\":3,\"message\":\"etcdserver: key is not provided\"}"),
    ("kv/range", "{}", 400, "{\"code\":3,\"message\":\"etcdserver: key is not provided\"}"),
    ("kv/range", "{} {}", 400, "{\"code\":3,\"message\":\"etcdserver: key is not provided\"}"),
    (
        "kv/range",
        "{\"key\":null,\"limit\":null}",
        400,
        "{\"code\":3,\"message\":\"etcdserver: key is not provided\"}",
    ),
    (
        "kv/range",
        "{\"key\":\"Zm9v\",\"key\":\"Zm9v\"}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:15): duplicate field \\\"key\\\"\"}",
    ),
    (
        "kv/range",
        "{\"key\":\"ZnV0dXJl\"}",
        400,
        "{\"code\":11,\"message\":\"etcdserver: mvcc: required revision is a future revision\"}",
    ),
    (
        "kv/deleterange",
        "{}",
        404,
        "{\"code\":5,\"message\":\"etcdserver: \\u003cnothing\\u003e \\u0026 \\\"more\\\"\"}",
    ),
    ("kv/range", "1", 400, "{\"code\":3,\"message\":\"proto: syntax error (line 1:1): unexpected token 1\"}"),
    (
        "kv/range",
        "\"s\"",
        400,
        "{\"code\":3,\"message\":\"proto: syntax error (line 1:1): unexpected token \\\"s\\\"\"}",
    ),
    (
        "kv/range",
        "{\"serializable\":\"true\"}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:17): invalid value for bool field serializable: \\\"true\\\"\"}",
    ),
    (
        "kv/range",
        "{\"sort_order\":1.5}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:15): invalid value for enum field sortOrder: 1.5\"}",
    ),
    (
        "kv/range",
        "{\"limit\":9223372036854775808}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:10): invalid value for int64 field limit: 9223372036854775808\"}",
    ),
    (
        "kv/range",
        " {\n \"key\" : {}}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 2:10): invalid value for bytes field key: {\"}",
    ),
    (
        "kv/txn",
        "{\"compare\":{}}",
        400,
        "{\"code\":3,\"message\":\"proto: syntax error (line 1:12): unexpected token {\"}",
    ),
    (
        "kv/txn",
        "{\"compare\":[null]}",
        400,
        "{\"code\":3,\"message\":\"proto: syntax error (line 1:13): unexpected token null\"}",
    ),
    (
        "kv/txn",
        "{\"success\":[{\"request_put\":{\"key\":\"Zm9v\"},\"request_range\":{\"key\":\"Zm9v\"}}]}",
        400,
        "{\"code\":3,\"message\":\"proto: (line 1:43): error parsing \\\"request_range\\\", oneof etcdserverpb.RequestOp.request is already set\"}",
    ),
    ("kv/range/", "{}", 404, "{\"code\":5,\"message\":\"Not Found\"}"),
    ("kv/bogus", "{}", 404, "{\"code\":5,\"message\":\"Not Found\"}"),
    ("", "{}", 404, "{\"code\":5,\"message\":\"Not Found\"}"),
];

/// What is wrong with a JSON request is said in etcd's words, with its place.
#[test]
fn the_gateway_refuses_as_etcd_does() {
    block_on(async {
        let server = Plan::clear().start();
        for (path, body, status, expected) in GATEWAY {
            let answer = server.http("POST", &format!("/v3/{path}"), body).await;
            let expected = expected.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&");
            assert_eq!((answer.status, answer.body.clone()), (*status, expected), "{path} {body}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
        let moved = server.http("POST", "/v3", "{}").await;
        assert_eq!((moved.status, moved.header("location")), (307, Some("/v3/")));
        let large = format!("{{\"key\":\"{}\"}}", "A".repeat(types::limits::JSON_BODY_BYTES_MAX));
        assert_eq!(server.http("POST", "/v3/kv/range", &large).await.status, 429);
        let deep = "[".repeat(200_000);
        assert_eq!(server.http("POST", "/v3/kv/range", &deep).await.status, 400);
    });
}

/// A body that trickles in is not waited for without end (slowloris on bodies).
#[test]
fn a_body_that_never_ends_is_cut() {
    block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let server = Plan::clear().start();
        let mut stream = server.tcp().await;
        let head = "POST /v3/kv/range HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let (_, took) = timed(stream.read_to_end(&mut answer)).await;
        assert_eq!(Answer::parse(&answer).status, 504);
        assert!(took >= BODY_DEADLINE && took < std::time::Duration::from_secs(10), "{took:?}");
    });
}

/// A JSON request becomes the message it means, in every spelling that etcd takes.
#[test]
fn the_gateway_reads_every_spelling() {
    block_on(async {
        let server = Plan::clear().start();
        for (body, expected) in [
            (
                "{\"key\":\"AA==\",\"range_end\":\"AA\",\"sort_order\":\"DESCEND\",\"sort_target\":1,\"limit\":\"5\"}",
                "key: b\"\\0\", range_end: b\"\\0\", limit: 5, revision: 0, sort_order: Descend, sort_target: Version",
            ),
            (
                "{\"key\":\"_-8\",\"rangeEnd\":\"/+8=\",\"limit\":5e0,\"bogus\":{\"a\":[1]}}",
                "key: b\"\\xff\\xef\", range_end: b\"\\xff\\xef\", limit: 5,",
            ),
            (
                "{\"key\":\"Zm9v\",\"sort_order\":\"BOGUS\"}",
                "key: b\"foo\", range_end: b\"\", limit: 0, revision: 0, sort_order: None",
            ),
            (
                " {\n\"key\" : \"Zm9v\" , \"serializable\":true, \"keysOnly\":true, \"revision\":\"-3\"}\n",
                "revision: -3, sort_order: None, sort_target: Key, serializable: true, keys_only: true",
            ),
        ] {
            let answer = server.http("POST", "/v3beta/kv/range", body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let value = json["kvs"][0]["value"].as_str().unwrap();
            let echoed = server.http("POST", "/v3/kv/range", &format!("{{\"key\":\"{value}\"}}")).await;
            assert_eq!(echoed.status, 200);
            let seen = decoded(value);
            assert!(seen.contains(expected), "{body} became {seen}");
        }
    });
}

fn decoded(base64: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for symbol in base64.bytes().filter(|symbol| *symbol != b'=') {
        bits =
            bits << 6 | u32::try_from(alphabet.iter().position(|known| *known == symbol).unwrap()).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Answers look as etcd's: proto names, 64-bit numbers as strings, zero fields left out, in the order of their numbers.
#[test]
fn the_gateway_writes_as_etcd_does() {
    block_on(async {
        let server = Plan::clear().start();
        let answer = server.http("POST", "/v3/kv/range", "{\"key\":\"Zm9v\"}").await;
        let start = "{\"header\":{\"cluster_id\":\"10144879847569953045\",\"revision\":\"15\",\"raft_term\":\"2\"},\
                     \"kvs\":[{\"key\":\"Zm9v\",\"create_revision\":\"15\",\"mod_revision\":\"17\",\"version\":\"3\",\"value\":\"";
        assert!(answer.body.starts_with(start), "{}", answer.body);
        assert!(answer.body.ends_with("\"}],\"count\":\"1\"}"), "{}", answer.body);
        assert_eq!(answer.header("grpc-metadata-content-type"), Some("application/grpc"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    });
}

/// A stream is one JSON object a line; what ends it is the last line.
#[test]
fn the_gateway_streams_line_by_line() {
    block_on(async {
        let server = Plan::clear().start();
        let body = "{\"create_request\":{\"key\":\"Zm9v\"}}\n{\"cancel_request\":{}}";
        let answer = server.http("POST", "/v3/watch", body).await;
        assert_eq!(answer.status, 200);
        let lines: Vec<_> = answer.body.lines().collect();
        let header =
            "\"header\":{\"cluster_id\":\"10144879847569953045\",\"revision\":\"15\",\"raft_term\":\"2\"}";
        assert_eq!(
            lines,
            [
                format!("{{\"result\":{{{header},\"created\":true}}}}"),
                format!(
                    "{{\"result\":{{{header},\"cancel_reason\":\"\\u003ca\\u0026b\\u003e\",\"events\":[{{\"type\":\"DELETE\",\"kv\":{{\"key\":\"Zm9v\",\"mod_revision\":\"18\"}}}}]}}}}"
                ),
                "{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}".to_owned(),
            ]
        );
        let failed = server.http("POST", "/v3/lease/keepalive", "{\"ID\":1}").await;
        assert_eq!(failed.status, 501, "a stream that fails at once has its status: {}", failed.body);
    });
}

/// A JSON client is who its certificate and token say, never the server itself (CVE-2018-16886).
#[test]
fn the_gateway_passes_on_who_asks() {
    block_on(async {
        let server = Plan::clear().start();
        let headers = "Authorization: Bearer t0ken\r\nGrpc-Metadata-X: y\r\nX-Other: z\r\n";
        let answer = server.http_with("POST", "/v3/kv/range", "{\"key\":\"d2hv\"}", headers).await;
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let seen = decoded(json["kvs"][0]["value"].as_str().unwrap());
        assert!(seen.contains("evidence: None") && seen.contains("peer: \"127.0.0.1:"), "{seen}");
        assert!(seen.contains("Bearer t0ken"), "{seen}");
    });
}

/// Switched off, as it is for `strongroom`, the gateway is not there at all.
#[test]
fn the_gateway_can_be_off() {
    block_on(async {
        let server = Plan { gateway: false, ..Plan::clear() }.start();
        for path in ["/v3/kv/range", "/v3", "/v3/", "/v3beta/kv/range"] {
            assert_eq!(server.http("POST", path, "{\"key\":\"Zm9v\"}").await.status, 404, "{path}");
        }
    });
}

/// On a clear listener a stranger's Host reaches nothing; over TLS the certificate's name protects instead.
#[test]
fn rebinding_pages_reach_nothing() {
    block_on(async {
        let server = Plan { access: Access::closed(), ..Plan::clear() }.start();
        for path in ["/health", "/metrics", "/v3/kv/range", "/version"] {
            let answer = server.http_with("GET", path, "", "Host: evil.example\r\n").await;
            assert_eq!(answer.status, 421, "{path}");
            assert!(
                answer.body.contains("evil.example") && answer.body.contains("--host-whitelist"),
                "{}",
                answer.body
            );
        }
        assert_eq!(server.http("GET", "/health", "").await.status, 200);
        let ca = Ca::new("ca");
        let tls = Plan { access: Access::closed(), ..Plan::tls(settings(&ca, Clients::Anyone)) }.start();
        assert_eq!(Client::new(&ca, None).http(&tls, "/health").await.status, 200);
    });
}

/// Pages of other sites get no answer and no permission to read one, unless their origin was allowed.
#[test]
fn other_sites_are_kept_out_unless_allowed() {
    block_on(async {
        let closed = Plan { access: Access::closed(), ..Plan::clear() }.start();
        let headers = "Origin: https://evil.example\r\nContent-Type: text/plain\r\n";
        let answer = closed.http_with("POST", "/v3/kv/range", "{\"key\":\"Zm9v\"}", headers).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(closed.http("GET", "/health", "").await.header("access-control-allow-origin"), None);
        let origins = Allowed::from_list(["https://ui.example".to_owned()]);
        let listed = Plan { access: Access { origins, ..Access::closed() }, ..Plan::clear() }.start();
        let answer = listed.http_with("OPTIONS", "/v3/kv/range", "", "Origin: https://ui.example\r\n").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://ui.example"));
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST, GET, OPTIONS, PUT, DELETE"));
    });
}

/// /debug/vars shows the command line as expvar does, quotes and all.
#[test]
fn the_command_line_is_shown_as_json() {
    block_on(async {
        let server = Plan::clear().start();
        let answer = server.http("GET", "/debug/vars", "").await;
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(json["cmdline"][1], "--name=\"x\"");
        assert!(json["file_descriptor_limit"].as_u64().unwrap() > 0);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    });
}
