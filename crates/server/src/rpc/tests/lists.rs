//! Large lists: the same answer to the byte, in bounded memory, whoever reads how slowly; and never a wrong one.

use super::accounts::Accounts;
use super::rig::{Caller, Rig};
use crate::listen::testing::{Plan, block_on, framed, http2};
use crate::rpc::convert;
use crate::rpc::{Limits, ListLimits};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prost::Message;
use proto::etcdserverpb as pb;
use state::auth::Base;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic::body::Body;
use tower::Service;
use types::limits::LIST_PAGE_BYTES;

const VALUE_BYTES: usize = 2_000;

/// A member with this many pairs, by these bounds.
pub(super) async fn member(pairs: usize, lists: ListLimits) -> Rig {
    let rig = Rig::with(Base::Open, Limits { lists, ..Limits::default() });
    fill(&rig.anonymous(), pairs).await;
    rig
}

async fn fill(caller: &Caller, pairs: usize) {
    let mut kv = caller.kv();
    for i in 0..pairs {
        // Lengths on both sides of a varint's second byte.
        let bytes = if i % 3 == 0 { i % 300 } else { VALUE_BYTES };
        let value = vec![b'a' + u8::try_from(i % 26).unwrap(); bytes];
        let put = pb::PutRequest { key: key(i), value: value.into(), ..Default::default() };
        kv.put(put).await.unwrap();
    }
}

pub(super) fn key(i: usize) -> Bytes {
    format!("k{i:05}").into()
}

pub(super) fn all() -> pb::RangeRequest {
    pb::RangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() }
}

fn call<B: From<Bytes>>(request: &pb::RangeRequest) -> Request<B> {
    call_of("Range", request)
}

/// A call of a method of KV.
pub(super) fn call_of<B: From<Bytes>>(method: &str, request: &impl Message) -> Request<B> {
    Request::post(format!("http://localhost/etcdserverpb.KV/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(B::from(framed(request)))
        .unwrap()
}

async fn ask(caller: &Caller, request: &pb::RangeRequest) -> Response<Body> {
    ask_of(caller, "Range", request).await
}

pub(super) async fn ask_of(caller: &Caller, method: &str, request: &impl Message) -> Response<Body> {
    let request = call_of::<Full<Bytes>>(method, request).map(Body::new);
    caller.clone().call(request).await.unwrap()
}

/// The frames of a body, one after the other, and the trailers.
pub(super) async fn taken<B>(body: &mut B) -> (Vec<Bytes>, HeaderMap)
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let (mut frames, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => frames.push(Bytes::from(data.to_vec())),
            Err(frame) => trailers = frame.into_trailers().unwrap(),
        }
    }
    (frames, trailers)
}

pub(super) fn status(headers: &HeaderMap) -> (i32, String) {
    let status = tonic::Status::from_header_map(headers).expect("there is a status");
    (status.code().into(), status.message().to_owned())
}

pub(super) fn joined(frames: &[Bytes]) -> Bytes {
    let mut all = BytesMut::new();
    frames.iter().for_each(|frame| all.extend_from_slice(frame));
    all.freeze()
}

/// Every client reads what it always read: whatever is asked, what is sent page by page is, to the byte, the one message that
/// was encoded at once before, with its prefix, and the status behind it.
#[tokio::test]
async fn a_streamed_answer_is_the_message_to_the_byte() {
    let rig = member(600, ListLimits::default()).await;
    let caller = rig.anonymous();
    use pb::range_request::{SortOrder, SortTarget};
    let sorted = |target: SortTarget, order: SortOrder| pb::RangeRequest {
        sort_target: target as i32,
        sort_order: order as i32,
        ..all()
    };
    let mut streamed = 0;
    for (request, large) in [
        (all(), true),
        (pb::RangeRequest { limit: 400, ..all() }, true),
        (pb::RangeRequest { limit: 600, ..all() }, true),
        (pb::RangeRequest { limit: 3, ..all() }, false),
        (pb::RangeRequest { limit: -1, serializable: true, ..all() }, true),
        (pb::RangeRequest { revision: 500, ..all() }, true),
        (pb::RangeRequest { keys_only: true, ..all() }, false),
        (pb::RangeRequest { count_only: true, ..all() }, false),
        (pb::RangeRequest { min_mod_revision: 100, max_create_revision: 550, limit: 300, ..all() }, true),
        (pb::RangeRequest { min_mod_revision: 599, ..all() }, false),
        (sorted(SortTarget::Key, SortOrder::Ascend), true),
        (sorted(SortTarget::Key, SortOrder::Descend), true),
        (sorted(SortTarget::Value, SortOrder::Ascend), true),
        (pb::RangeRequest { limit: 300, ..sorted(SortTarget::Mod, SortOrder::Descend) }, true),
        (pb::RangeRequest { limit: 2, ..sorted(SortTarget::Create, SortOrder::Descend) }, true),
    ] {
        let response = ask(&caller, &request).await;
        assert_eq!(response.headers().get("content-type").unwrap(), "application/grpc");
        let (frames, trailers) = taken(&mut response.into_body()).await;
        assert_eq!(status(&trailers), (0, String::new()));
        let found = rig.range(convert::range(request.clone()).unwrap()).unwrap();
        let told = pb::RangeResponse::decode(&joined(&frames)[5..]).unwrap();
        let expected = framed(&convert::range_answer(told.header.unwrap(), found.clone()));
        assert!(joined(&frames) == expected, "{request:?}");
        assert_eq!(told.header.unwrap().revision, found.revision.0);
        // A pair or two are in the message that was made at once, however they were found.
        assert_eq!(frames.len() > 1, large && expected.len() > LIST_PAGE_BYTES, "{request:?}");
        assert!(frames.iter().all(|frame| frame.len() < LIST_PAGE_BYTES + 2 * VALUE_BYTES));
        streamed += usize::from(frames.len() > 1);
    }
    assert_eq!(streamed, 10);
    assert_eq!((rig.metrics.lists_bytes.value(), rig.open_reads()), (0, 0), "nothing is kept");
    assert_eq!(rig.metrics.range_duration.read().count, 15, "each is one read in the numbers");
}

/// A list that is slower than its hold and is passed by a compaction ends with etcd's error behind a part of its message,
/// which no client takes for an answer; one that is not passed ends well.
#[tokio::test]
async fn a_compaction_beyond_the_hold_ends_a_list_with_the_error() {
    let rig = member(600, ListLimits { hold_seconds: 0, ..ListLimits::default() }).await;
    let caller = rig.anonymous();
    let (mut kv, mut passed) = (caller.kv(), ask(&caller, &all()).await.into_body());
    let mut kept = ask(&caller, &all()).await.into_body();
    let (first, other) = (passed.frame().await.unwrap(), kept.frame().await.unwrap());
    let first = first.unwrap().into_data().unwrap();
    let length = u32::from_be_bytes(first[1..5].try_into().unwrap()) as usize;
    // Compacted up to what the lists read: nothing of that goes.
    let put = || pb::PutRequest { key: "z".into(), ..Default::default() };
    let at = kv.put(put()).await.unwrap().into_inner().header.unwrap().revision - 1;
    let compact = |revision, physical| pb::CompactionRequest { revision, physical };
    kv.compact(compact(at, true)).await.unwrap();
    drop(other);
    let (rest, trailers) = taken(&mut kept).await;
    assert_eq!(status(&trailers).0, 0);
    assert!(!rest.is_empty());
    kv.compact(compact(at + 1, true)).await.unwrap();
    let sent = first.len();
    drop(first);
    let (rest, trailers) = taken(&mut passed).await;
    let text = "etcdserver: mvcc: required revision has been compacted";
    assert_eq!(status(&trailers), (11, text.to_owned()));
    assert!(sent + joined(&rest).len() < 5 + length);
    drop((kept, passed));
    assert_eq!((rig.metrics.lists_bytes.value(), rig.open_reads()), (0, 0));
}

/// Whoever loses the right to what it lists gets no further page: a list may be on its way for minutes.
#[tokio::test]
async fn a_list_ends_with_the_right_to_it() {
    let rig = Rig::new(Base::Closed);
    let root = rig.administrator();
    let mut accounts = Accounts::of(&root);
    accounts.role("k", "k", "l").await;
    accounts.role("m", "m", "n").await;
    accounts.user("bob", &["k", "m"]).await;
    fill(&root, 600).await;
    let bob = rig.named("bob");
    let (mut cut, mut other) = (ask(&bob, &all()).await.into_body(), ask(&root, &all()).await.into_body());
    assert!(cut.frame().await.unwrap().unwrap().is_data());
    accounts.revoke_permission("m", "m", "n").await;
    assert!(cut.frame().await.unwrap().unwrap().is_data(), "this right stands");
    accounts.revoke_permission("k", "k", "l").await;
    let (rest, trailers) = taken(&mut cut).await;
    assert_eq!((rest.len(), status(&trailers)), (0, (7, "etcdserver: permission denied".to_owned())));
    assert_eq!(status(&taken(&mut other).await.1).0, 0);
}

/// While it holds its revision, a list is not passed: the compaction waits with what it removes. Then it does not wait any
/// longer, though the client has not taken a byte: a client that stops reading must not keep history for ever.
#[tokio::test]
async fn a_hold_keeps_a_compaction_for_its_time_only() {
    let rig = member(600, ListLimits { hold_seconds: 1, ..ListLimits::default() }).await;
    let caller = rig.anonymous();
    let held = ask(&caller, &all()).await.into_body();
    let mut kv = caller.kv();
    let put = pb::PutRequest { key: "z".into(), ..Default::default() };
    let revision = kv.put(put).await.unwrap().into_inner().header.unwrap().revision;
    assert_eq!(rig.open_reads(), 1);
    let began = tokio::time::Instant::now();
    kv.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(rig.open_reads(), 0);
    drop(held);
}

/// However many slow clients list however much, what is in memory stays within the bound: the others wait for their turn and
/// get it, and beyond a number they are refused.
#[tokio::test]
async fn lists_of_slow_readers_stay_within_their_memory() {
    // Three pages, each with a pair more, and the places of 600 pairs.
    let one = 3 * (LIST_PAGE_BYTES as u64 + 2_100) + 88 * 1024;
    let limits = ListLimits { bytes: 4 * one, waiting: 20, ..ListLimits::default() };
    let rig = member(600, limits).await;
    let caller = rig.anonymous();
    let within = || {
        let bytes = rig.metrics.lists_bytes.value();
        assert!(bytes <= 4 * i64::try_from(one).unwrap(), "{bytes}");
        bytes
    };
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let caller = caller.clone();
        asked.spawn(async move { ask(&caller, &all()).await });
    }
    // Four have begun, twenty wait, six were refused.
    let (mut reading, mut refused) = (Vec::new(), 0);
    for _ in 0..10 {
        let response = asked.join_next().await.unwrap().unwrap();
        match response.headers().get("grpc-status") {
            Some(_) => {
                let text = "etcdserver: too many requests";
                assert_eq!(status(response.headers()), (2, text.to_owned()));
                refused += 1;
            }
            None => reading.push(response.into_body()),
        }
    }
    assert_eq!((reading.len(), refused, rig.metrics.lists_refused.value()), (4, 6, 6));
    assert_eq!(rig.metrics.lists_waiting.value(), 20);
    assert!(within() > 3 * i64::try_from(one).unwrap());
    // A small read does not wait for any of them.
    let small = pb::RangeRequest { key: key(7), ..Default::default() };
    assert_eq!(caller.kv().range(small).await.unwrap().into_inner().count, 1);
    // One leaves in the middle, one is read to its end: two of those that wait begin, and so on, to the last.
    let mut done = 0;
    while let Some(mut body) = reading.pop() {
        if done % 2 == 0 {
            let (frames, trailers) = taken(&mut body).await;
            assert_eq!(status(&trailers).0, 0);
            let answer = pb::RangeResponse::decode(&joined(&frames)[5..]).unwrap();
            assert_eq!((answer.kvs.len(), answer.count), (600, 600));
        } else {
            drop(body.frame().await);
        }
        drop(body);
        done += 1;
        within();
        if let Some(next) = asked.join_next().await {
            reading.push(next.unwrap().into_body());
        }
    }
    assert_eq!((done, within(), rig.metrics.lists_waiting.value(), rig.open_reads()), (24, 0, 0, 0));
}

/// Through the listener: clients that take nothing hold a page each and are cut after their time, with the rest of their
/// connection untouched; the memory is free for others then. A client that reads slowly but reads is served to the end.
#[test]
fn a_client_that_takes_nothing_is_cut() {
    block_on(async {
        let limits = ListLimits { stalled_seconds: 2, bytes: 1_500 * 1024, ..ListLimits::default() };
        let rig = member(3_000, limits).await;
        let server = Plan { routes: Some(rig.routes()), ..Plan::clear() }.start();
        let sender = http2(server.tcp().await).await;
        let get = async |request: &pb::RangeRequest| -> Incoming {
            sender.clone().send_request(call(request)).await.unwrap().into_body()
        };
        let stalled = [get(&all()).await, get(&all()).await];
        // These two have all the memory there is.
        let waits = tokio::time::timeout(Duration::from_millis(500), get(&all())).await;
        assert!(waits.is_err());
        // The same connection, the same thread.
        let small = pb::RangeRequest { key: key(7), ..Default::default() };
        let (frames, trailers) = taken(&mut get(&small).await).await;
        assert_eq!((frames.len(), status(&trailers).0), (1, 0));
        let mut slow = get(&all()).await;
        while rig.metrics.lists_cut.value() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for mut body in stalled {
            let ended = loop {
                if let Err(ended) = body.frame().await.expect("cut in the middle") {
                    break ended;
                }
            };
            assert!(format!("{ended:?}").contains("CANCEL"), "{ended:?}");
        }
        let mut bytes = 0;
        let mut taken = 0;
        while let Some(frame) = slow.frame().await {
            let frame = frame.unwrap();
            bytes += frame.data_ref().map_or(0, Bytes::len);
            taken += 1;
            if taken % 40 == 0 {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        }
        assert!(bytes > 3_000_000, "{bytes}");
        assert_eq!((rig.metrics.lists_cut.value(), rig.metrics.lists_bytes.value()), (2, 0));
    });
}

/// Through the listener, on one thread: while many clients list everything over and over, as fast as they can, a small read is
/// answered within a few pages, however many they are and however long their lists.
#[test]
fn a_small_read_does_not_wait_for_lists() {
    const LISTS: u64 = 20;
    block_on(async {
        let rig = member(3_000, ListLimits::default()).await;
        let mut plan = Plan { routes: Some(rig.routes()), ..Plan::clear() };
        plan.limits.workers = 1;
        let server = plan.start();
        // On a thread of their own: here they would wait for each other before the server does.
        let (address, done) = (server.address.clone(), Arc::new(AtomicBool::new(false)));
        let until = done.clone();
        let clients = std::thread::spawn(move || block_on(list_until(address, LISTS, until)));
        let pages = || server.metrics.client_sent_bytes.value() / LIST_PAGE_BYTES as u64;
        while pages() < 10 * LISTS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let socket = server.tcp().await;
        socket.set_nodelay(true).unwrap();
        let mut sender = http2(socket).await;
        let small = pb::RangeRequest { key: key(7), serializable: true, ..Default::default() };
        let mut waits = Vec::new();
        for _ in 0..50 {
            let before = pages();
            let response = sender.send_request(call::<Full<Bytes>>(&small)).await.unwrap();
            response.into_body().collect().await.unwrap();
            waits.push(pages() - before);
        }
        waits.sort_unstable();
        done.store(true, Ordering::Relaxed);
        clients.join().unwrap();
        // Its way on the server's thread is a few rounds with a page in each.
        let (median, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        println!("pages before a small answer: median {median}, worst {worst}, of {} in all", pages());
        assert!(median <= 6, "{median} pages of {LISTS} lists were sent before");
    });
}

/// Lists everything with so many clients over and over.
async fn list_until(address: String, clients: u64, done: Arc<AtomicBool>) {
    let mut lists = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let mut sender = http2(tokio::net::TcpStream::connect(&address).await.unwrap()).await;
        let done = done.clone();
        lists.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let mut body = sender.send_request(call::<Full<Bytes>>(&all())).await.unwrap().into_body();
                while let Some(frame) = body.frame().await {
                    frame.unwrap();
                }
            }
        });
    }
    while let Some(ended) = lists.join_next().await {
        ended.unwrap();
    }
}

/// What the gateway answers in JSON comes from the same pages.
#[test]
fn the_gateway_answers_large_lists_too() {
    block_on(async {
        let rig = member(600, ListLimits::default()).await;
        let server = Plan { routes: Some(rig.routes()), ..Plan::clear() }.start();
        let answer = server.http("POST", "/v3/kv/range", r#"{"key":"aw==","range_end":"bA=="}"#).await;
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((json["kvs"].as_array().unwrap().len(), &json["count"]), (600, &"600".into()));
        assert_eq!(rig.metrics.lists_bytes.value(), 0);
    });
}
