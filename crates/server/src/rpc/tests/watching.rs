//! Watch streams: the order of answers, history, refusals, fragments.

use super::rig::{Caller, Rig};
use crate::rpc::Limits;
use pb::watch_request::RequestUnion;
use proto::etcdserverpb as pb;
use state::auth::Base;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

pub(super) struct Stream {
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Stream {
    pub(super) async fn open(caller: &Caller) -> Self {
        let (requests, inbound) = mpsc::channel(64);
        let answers = caller.watch().watch(ReceiverStream::new(inbound)).await.unwrap().into_inner();
        Self { requests, answers }
    }

    async fn ask(&self, union: RequestUnion) {
        self.requests.send(pb::WatchRequest { request_union: Some(union) }).await.unwrap();
    }

    pub(super) async fn create(&self, create: pb::WatchCreateRequest) {
        self.ask(RequestUnion::CreateRequest(create)).await;
    }

    pub(super) async fn progress(&self) {
        self.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    }

    pub(super) async fn next(&mut self) -> Result<Option<pb::WatchResponse>, tonic::Status> {
        self.answers.message().await
    }

    pub(super) async fn answer(&mut self) -> pb::WatchResponse {
        self.answers.message().await.unwrap().unwrap()
    }
}

pub(super) fn create(key: &'static str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: key.into(), ..Default::default() }
}

pub(super) async fn put(caller: &Caller, key: &str, value: &str) {
    let request =
        pb::PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() };
    caller.kv().put(request).await.unwrap();
}

/// Clients that send several creations at once tell the answers apart by their order alone: refusals keep their place
/// among what the hub answers later.
#[tokio::test]
async fn creations_are_answered_in_order() {
    let rig = Rig::new(Base::Open);
    let mut stream = Stream::open(&rig.anonymous()).await;
    let bad_range = pb::WatchCreateRequest { range_end: "a".into(), ..create("w") };
    let compacted = pb::WatchCreateRequest { start_revision: -1, ..create("w") };
    let chosen = pb::WatchCreateRequest { watch_id: 1, ..create("w") };
    for request in [create("w"), bad_range, chosen.clone(), chosen, compacted, create("w")] {
        stream.create(request).await;
    }
    let refused = |reason: &'static str| (-1, true, reason);
    for expected in [
        (0, false, ""),
        refused("mvcc: watcher range is empty"),
        (1, false, ""),
        refused("mvcc: duplicate watch ID provided on the WatchStream"),
        refused("etcdserver: mvcc: required revision has been compacted"),
        (2, false, ""),
    ] {
        let answer = stream.answer().await;
        assert!(answer.created && answer.header.is_some());
        assert_eq!((answer.watch_id, answer.canceled, answer.cancel_reason.as_str()), expected);
    }
}

/// A watch from a revision sees everything since, once and in order, with the pairs as they were before.
#[tokio::test]
async fn history_comes_before_news() {
    let rig = Rig::new(Base::Open);
    let caller = rig.anonymous();
    put(&caller, "w", "1").await;
    put(&caller, "w", "2").await;
    let mut stream = Stream::open(&caller).await;
    stream.create(pb::WatchCreateRequest { start_revision: 2, prev_kv: true, ..create("w") }).await;
    assert!(stream.answer().await.created);
    put(&caller, "w", "3").await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        for event in stream.answer().await.events {
            let value = |kv: &proto::mvccpb::KeyValue| String::from_utf8(kv.value.to_vec()).unwrap();
            seen.push((event.kv.as_ref().map(value), event.prev_kv.as_ref().map(value)));
        }
    }
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(seen, [(some("1"), None), (some("2"), some("1")), (some("3"), some("2"))]);
}

/// A key that one transaction deletes and writes again is a new key: etcd tells no pair before it, though there was one.
#[tokio::test]
async fn a_key_made_anew_has_no_past() {
    let rig = Rig::new(Base::Open);
    let caller = rig.anonymous();
    put(&caller, "w", "1").await;
    let op = |request| pb::RequestOp { request: Some(request) };
    // From the key on: the one deletion that may stand beside a put of what it deletes.
    let delete = pb::DeleteRangeRequest { key: "w".into(), range_end: "\0".into(), prev_kv: false };
    let again = pb::PutRequest { key: "w".into(), value: "2".into(), ..Default::default() };
    let success = vec![
        op(pb::request_op::Request::RequestDeleteRange(delete)),
        op(pb::request_op::Request::RequestPut(again)),
    ];
    caller.kv().txn(pb::TxnRequest { success, ..Default::default() }).await.unwrap();
    let mut stream = Stream::open(&caller).await;
    stream.create(pb::WatchCreateRequest { start_revision: 3, prev_kv: true, ..create("w") }).await;
    assert!(stream.answer().await.created);
    let events = stream.answer().await.events;
    let seen: Vec<_> = events.iter().map(|event| (event.r#type, event.prev_kv.is_some())).collect();
    assert_eq!(seen, [(1, true), (0, false)]);
}

/// A watch from forgotten history is told in two answers that clients know, and the stream stays.
#[tokio::test]
async fn a_compacted_start_is_told_in_two_answers() {
    let rig = Rig::new(Base::Open);
    let caller = rig.anonymous();
    for value in ["1", "2", "3"] {
        put(&caller, "w", value).await;
    }
    caller.kv().compact(pb::CompactionRequest { revision: 3, physical: false }).await.unwrap();
    let mut stream = Stream::open(&caller).await;
    stream.create(pb::WatchCreateRequest { start_revision: 2, ..create("w") }).await;
    let first = stream.answer().await;
    assert!(first.created && !first.canceled);
    let second = stream.answer().await;
    assert!(second.canceled && !second.created && second.cancel_reason.is_empty());
    assert_eq!((second.compact_revision, second.header.unwrap().revision), (3, 0));
    stream.create(create("w")).await;
    assert!(stream.answer().await.created);
}

/// Cancelling answers once, an unknown number is passed over, and progress is told for the stream as a whole.
#[tokio::test]
async fn cancel_and_progress() {
    let rig = Rig::new(Base::Open);
    let caller = rig.anonymous();
    let mut stream = Stream::open(&caller).await;
    // Without a watcher there is no progress to tell.
    stream.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    for id in [0, 1] {
        stream.create(create("w")).await;
        let created = stream.answer().await;
        assert!(created.created && created.watch_id == id);
    }
    for watch_id in [77, 0] {
        stream.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id })).await;
    }
    let canceled = stream.answer().await;
    assert!(canceled.canceled && canceled.watch_id == 0 && canceled.cancel_reason.is_empty());
    put(&caller, "w", "1").await;
    let event = stream.answer().await;
    assert_eq!((event.watch_id, event.events.len()), (1, 1));
    stream.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    let progress = stream.answer().await;
    assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
    assert_eq!(progress.header.unwrap().revision, 2);
}

/// One revision's events come in one answer, or, for who asked, in fragments that fit a client's limit.
#[tokio::test]
async fn one_revision_is_one_answer_or_its_fragments() {
    let limits = Limits { max_request_bytes: 20_000, ..Limits::default() };
    let bytes_max = limits.max_receive_bytes();
    let rig = Rig::with(Base::Open, limits);
    let caller = rig.anonymous();
    let mut whole = Stream::open(&caller).await;
    whole.create(pb::WatchCreateRequest { range_end: "x".into(), start_revision: 2, ..create("w") }).await;
    assert!(whole.answer().await.created);
    let op = |n: usize| {
        let key = format!("w{n:03}").into();
        let put = pb::PutRequest { key, value: "v".into(), ..Default::default() };
        pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) }
    };
    caller
        .kv()
        .txn(pb::TxnRequest { success: (0..100).map(op).collect(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(whole.answer().await.events.len(), 100);
    // Values that make one page of history larger than a message may be.
    for n in 0..60 {
        put(&caller, &format!("w{n:03}"), &"v".repeat(15_000)).await;
    }
    let mut split = Stream::open(&caller).await;
    let request =
        pb::WatchCreateRequest { range_end: "x".into(), start_revision: 2, fragment: true, ..create("w") };
    split.create(request).await;
    assert!(split.answer().await.created);
    let (mut events, mut pieces) = (0, 0);
    while events < 160 {
        let answer = split.answer().await;
        events += answer.events.len();
        pieces += usize::from(answer.fragment);
        assert!(prost::Message::encoded_len(&answer) < bytes_max);
    }
    assert!(pieces > 0, "nothing was split");
}

/// A stranger's watch is refused with etcd's reason and never tells an event; the stream stays open for another try.
#[tokio::test]
async fn a_denied_watch_is_told_in_the_stream() {
    let rig = Rig::new(Base::Closed);
    let mut stream = Stream::open(&rig.named("somebody")).await;
    stream.create(create("w")).await;
    let answer = stream.answer().await;
    assert!(answer.created && answer.canceled && answer.watch_id == -1);
    assert_eq!(
        answer.cancel_reason,
        "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    );
    put(&rig.administrator(), "w", "1").await;
    stream.create(create("w")).await;
    assert!(stream.answer().await.canceled);
}
