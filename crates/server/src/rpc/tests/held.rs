//! Answers that are made whole share the memory of lists, and are given up when nobody takes them.

use super::lists::{all, ask_of, call_of, joined, key, member, status, taken};
use crate::listen::testing::{Plan, block_on, http2};
use crate::rpc::ListLimits;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use prost::Message;
use proto::etcdserverpb as pb;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::limits::LIST_PAGE_BYTES;

/// 600 pairs are some 800 KiB: one answer of them is held at a time, not two.
const BYTES: u64 = 2 * 1024 * 1024;

/// A transaction that answers the whole list, at the second level, and writes if that is wanted.
fn txn(writes: bool) -> pb::TxnRequest {
    use pb::request_op::Request;
    let op = |request| pb::RequestOp { request: Some(request) };
    let inner = pb::TxnRequest { success: vec![op(Request::RequestRange(all()))], ..Default::default() };
    let mut success = vec![op(Request::RequestTxn(inner))];
    if writes {
        success.push(op(Request::RequestPut(pb::PutRequest { key: "z".into(), ..Default::default() })));
    }
    pb::TxnRequest { success, ..Default::default() }
}

fn deletion() -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: true }
}

fn pairs_of(message: &[u8]) -> usize {
    use pb::response_op::Response;
    let txn = pb::TxnResponse::decode(message).unwrap();
    let Some(Response::ResponseTxn(inner)) = &txn.responses[0].response else { panic!("{txn:?}") };
    let Some(Response::ResponseRange(range)) = &inner.responses[0].response else { panic!("{txn:?}") };
    range.kvs.len()
}

/// However many clients have ranges answered by transactions and deletions, what is in memory stays within the bound; and
/// each gets the whole answer in the end.
#[tokio::test]
async fn transactions_and_deletions_wait_for_memory() {
    let rig = member(600, ListLimits { bytes: BYTES, ..ListLimits::default() }).await;
    let caller = rig.anonymous();
    let (waiting, bytes) = (|| rig.metrics.lists_waiting.value(), || rig.metrics.lists_bytes.value());
    for writes in [false, true] {
        let held = ask_of(&caller, "Txn", &txn(writes)).await.into_body();
        assert!(bytes() > 1_500_000, "{}", bytes());
        let (other, wanted) = (caller.clone(), txn(writes));
        let next = tokio::spawn(async move { ask_of(&other, "Txn", &wanted).await });
        while waiting() == 0 {
            tokio::task::yield_now().await;
        }
        // What is small does not wait for it.
        let small = pb::RangeRequest { key: key(7), ..Default::default() };
        let op = pb::RequestOp { request: Some(pb::request_op::Request::RequestRange(small)) };
        let small = pb::TxnRequest { success: vec![op; 3], ..Default::default() };
        assert_eq!(caller.kv().txn(small).await.unwrap().into_inner().responses.len(), 3);
        assert!(!next.is_finished());
        drop(held);
        let (frames, trailers) = taken(&mut next.await.unwrap().into_body()).await;
        assert_eq!(status(&trailers).0, 0);
        assert_eq!(pairs_of(&joined(&frames)[5..]), 600);
        assert!(frames.len() > 5 && frames.iter().all(|frame| frame.len() <= LIST_PAGE_BYTES));
        assert_eq!((bytes(), waiting()), (0, 0));
    }
    let held = ask_of(&caller, "Txn", &txn(false)).await.into_body();
    let other = caller.clone();
    let deleted = tokio::spawn(async move { ask_of(&other, "DeleteRange", &deletion()).await });
    while waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(held);
    let (frames, _) = taken(&mut deleted.await.unwrap().into_body()).await;
    let deleted = pb::DeleteRangeResponse::decode(&joined(&frames)[5..]).unwrap();
    assert_eq!((deleted.deleted, deleted.prev_kvs.len(), bytes()), (600, 600, 0));
}

/// Many reads of single keys are as large as a range.
#[tokio::test]
async fn many_single_reads_are_counted_too() {
    let rig = member(600, ListLimits { bytes: BYTES, ..ListLimits::default() }).await;
    let read = |at| pb::RangeRequest { key: key(at), ..Default::default() };
    let op = |at| pb::RequestOp { request: Some(pb::request_op::Request::RequestRange(read(at))) };
    // 128 operations are etcd's most: two levels of them hold the whole list.
    let inner = |from| {
        let txn = pb::TxnRequest { success: (from..from + 100).map(op).collect(), ..Default::default() };
        pb::RequestOp { request: Some(pb::request_op::Request::RequestTxn(txn)) }
    };
    let wide =
        pb::TxnRequest { success: (0..6).map(|part| inner(part * 100)).collect(), ..Default::default() };
    let body = ask_of(&rig.anonymous(), "Txn", &wide).await.into_body();
    assert!(rig.metrics.lists_bytes.value() > 1_500_000);
    drop(body);
    assert_eq!(rig.metrics.lists_bytes.value(), 0);
}

/// Through the listener: whoever takes nothing of a transaction's answer, or of a list in JSON, is cut after its time, over
/// HTTP/1.1 with its connection, and its memory is free for others.
#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    block_on(async {
        let limits = ListLimits { stalled_seconds: 1, ..ListLimits::default() };
        let rig = member(3_000, limits).await;
        let server = Plan { routes: Some(rig.routes()), ..Plan::clear() }.start();
        let until_cut = async |number| {
            while rig.metrics.lists_cut.value() < number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mut sender = http2(server.tcp().await).await;
        let request = call_of::<Full<Bytes>>("Txn", &txn(false));
        let mut body = sender.send_request(request).await.unwrap().into_body();
        until_cut(1).await;
        let ended = loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                ended => break ended,
            }
        };
        assert!(format!("{ended:?}").contains("CANCEL"), "{ended:?}");
        assert_eq!(rig.metrics.lists_bytes.value(), 0);
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(server.address.parse().unwrap()).await.unwrap();
        let json = r#"{"key":"aw==","range_end":"bA=="}"#;
        let length = json.len();
        let request =
            format!("POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{json}");
        stream.write_all(request.as_bytes()).await.unwrap();
        until_cut(2).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let head = String::from_utf8_lossy(&answer[..answer.len().min(1_000)]).into_owned();
        let said = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert!(answer.len() < said.parse().unwrap(), "cut in the middle of {said}");
        while rig.metrics.lists_bytes.value() != 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
