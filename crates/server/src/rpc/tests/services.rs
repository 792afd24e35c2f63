//! Answers of the unary services, word for word where etcd's were seen on the wire.

use super::rig::{CLUSTER, MEMBER, Rig};
use crate::rpc::Limits;
use proto::etcdserverpb as pb;
use state::auth::Base;
use tonic::{Code, Status};

fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() }
}

fn range(key: &str, end: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), range_end: end.to_owned().into(), ..Default::default() }
}

fn said(status: &Status) -> (Code, &str) {
    (status.code(), status.message())
}

/// A header tells a client where it stands: cluster, member and term in every answer, the revision of what was done or
/// seen, and in a transaction's inner answers the revision alone.
#[tokio::test]
async fn headers_are_etcds() {
    let rig = Rig::new(Base::Open);
    let mut kv = rig.anonymous().kv();
    let header = kv.put(put("a", "1")).await.unwrap().into_inner().header.unwrap();
    assert_eq!(
        (header.cluster_id, header.member_id, header.revision, header.raft_term),
        (CLUSTER, MEMBER, 2, 2)
    );
    let op = |request| pb::RequestOp { request: Some(request) };
    let nested = pb::TxnRequest {
        success: vec![op(pb::request_op::Request::RequestRange(range("a", "")))],
        ..Default::default()
    };
    let txn = pb::TxnRequest {
        success: vec![
            op(pb::request_op::Request::RequestPut(put("b", "2"))),
            op(pb::request_op::Request::RequestTxn(nested)),
        ],
        ..Default::default()
    };
    let answer = kv.txn(txn).await.unwrap().into_inner();
    assert!(answer.succeeded);
    assert_eq!(answer.header.unwrap().revision, 3);
    let inner: Vec<_> = answer.responses.into_iter().filter_map(|op| op.response).collect();
    let [pb::response_op::Response::ResponsePut(put), pb::response_op::Response::ResponseTxn(nested)] =
        &inner[..]
    else {
        panic!("{inner:?}")
    };
    assert_eq!(put.header, Some(pb::ResponseHeader { revision: 3, ..Default::default() }));
    assert_eq!(nested.header, Some(pb::ResponseHeader::default()));
    let members = proto::etcdserverpb::cluster_client::ClusterClient::new(rig.anonymous())
        .member_list(pb::MemberListRequest { linearizable: true })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(members.header.unwrap().revision, 0, "etcd leaves it out");
    assert_eq!(members.members.len(), 1);
}

/// The limits are etcd's: on the log entry with its own error, and on the message before it with gRPC's.
#[tokio::test]
async fn large_requests_get_etcds_two_errors() {
    let rig = Rig::new(Base::Open);
    let mut kv = rig.anonymous().kv();
    let refused = kv.put(put("a", &"v".repeat(1_600_000))).await.unwrap_err();
    assert_eq!(said(&refused), (Code::InvalidArgument, "etcdserver: request is too large"));
    let refused = kv.put(put("a", &"v".repeat(2_200_000))).await.unwrap_err();
    let text = "grpc: received message larger than max (2200008 vs. 2097152)";
    assert_eq!(said(&refused), (Code::ResourceExhausted, text));
    kv.put(put("a", &"v".repeat(1_500_000))).await.unwrap();
}

/// A range is streamed whole, in order, at one revision; header, count and more stand in its last chunk only, and a limit
/// cuts it where a range's would.
#[tokio::test]
async fn a_streamed_range_is_the_range() {
    let rig = Rig::new(Base::Open);
    let mut kv = rig.anonymous().kv();
    for n in 0..45 {
        kv.put(put(&format!("k{n:02}"), "v")).await.unwrap();
    }
    for (limit, sent, more) in
        [(0, 45, false), (1, 1, true), (10, 10, true), (12, 12, true), (45, 45, false), (99, 45, false)]
    {
        let request = pb::RangeRequest { limit, ..range("k", "l") };
        let whole = kv.range(request.clone()).await.unwrap().into_inner();
        let mut stream = kv.range_stream(request).await.unwrap().into_inner();
        let (mut kvs, mut last) = (Vec::new(), None);
        while let Some(chunk) = stream.message().await.unwrap() {
            assert!(last.is_none(), "the header comes last");
            let chunk = chunk.range_response.unwrap();
            assert!(chunk.header.is_some() || (chunk.count == 0 && !chunk.more));
            kvs.extend(chunk.kvs);
            last = chunk.header.map(|header| (header, chunk.count, chunk.more));
        }
        assert_eq!((kvs.len(), &kvs), (sent, &whole.kvs), "limit {limit}");
        assert_eq!(last, Some((whole.header.unwrap(), 45, more)), "limit {limit}");
    }
    let mut empty = kv.range_stream(range("zz", "")).await.unwrap().into_inner();
    assert!(empty.message().await.unwrap().unwrap().range_response.unwrap().header.is_some());
    assert!(empty.message().await.unwrap().is_none());
}

/// A target without an order sorts what is within a chunk, as in etcd, by what each pair says.
#[tokio::test]
async fn a_streamed_chunk_is_sorted_by_its_target() {
    let rig = Rig::new(Base::Open);
    let mut kv = rig.anonymous().kv();
    // By version c, a, b; by creation b, a, c; by the last write c, b, a; by value b, c, a.
    for (key, value) in [("b", "1"), ("b", "2"), ("a", "3"), ("c", "5"), ("b", "4"), ("a", "9")] {
        kv.put(put(key, value)).await.unwrap();
    }
    for (target, keys) in [(0, "abc"), (1, "cab"), (2, "bac"), (3, "cba"), (4, "bca")] {
        for keys_only in [false, true] {
            let request = pb::RangeRequest { sort_target: target, keys_only, ..range("a", "z") };
            let mut stream = kv.range_stream(request).await.unwrap().into_inner();
            let chunk = stream.message().await.unwrap().unwrap().range_response.unwrap();
            let seen: Vec<u8> = chunk.kvs.iter().flat_map(|pair| pair.key.to_vec()).collect();
            assert_eq!(String::from_utf8(seen).unwrap(), keys, "target {target}, keys only: {keys_only}");
            assert!(chunk.kvs.iter().all(|pair| pair.value.is_empty() == keys_only));
        }
    }
}

/// A compaction that passes a stream's revision ends it with etcd's error, not with a hole.
#[tokio::test]
async fn a_compaction_ends_a_streamed_range() {
    let rig = Rig::new(Base::Open);
    let mut kv = rig.anonymous().kv();
    // Chunks so large that the next one is read only when this one was taken.
    for n in 0..45 {
        kv.put(put(&format!("k{n:02}"), &"v".repeat(8_000))).await.unwrap();
    }
    let mut stream = kv.range_stream(range("k", "l")).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().range_response.unwrap().kvs.len(), 10);
    kv.put(put("z", "v")).await.unwrap();
    kv.compact(pb::CompactionRequest { revision: 47, physical: true }).await.unwrap();
    let ended = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    let status = ended.unwrap_err();
    assert_eq!(said(&status), (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"));
}

/// A full store refuses what would grow it, tells so by an alarm until that is cleared, and lets everything else go on.
#[tokio::test]
async fn a_full_store_raises_its_alarm() {
    let limits = Limits { quota_bytes: 20_000, ..Limits::default() };
    let rig = Rig::with(Base::Open, limits);
    let (mut kv, mut maintenance) = (rig.anonymous().kv(), rig.anonymous().maintenance());
    let full = (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
    let refused = loop {
        match kv.put(put("a", &"v".repeat(5_000))).await {
            Ok(_) => {}
            Err(refused) => break refused,
        }
    };
    assert_eq!(said(&refused), full);
    let alarms = maintenance.alarm(pb::AlarmRequest::default()).await.unwrap().into_inner().alarms;
    assert_eq!(alarms, [pb::AlarmMember { member_id: MEMBER, alarm: pb::AlarmType::Nospace as i32 }]);
    assert_eq!(said(&kv.put(put("b", "")).await.unwrap_err()), full, "the alarm stands");
    let status = maintenance.status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.errors, [format!("memberID:{MEMBER} alarm:NOSPACE")]);
    kv.delete_range(pb::DeleteRangeRequest { key: "a".into(), ..Default::default() }).await.unwrap();
    let revision = kv.range(range("a", "")).await.unwrap().into_inner().header.unwrap().revision;
    kv.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
    let clear = pb::AlarmRequest { action: 2, member_id: MEMBER, alarm: 1 };
    maintenance.alarm(clear).await.unwrap();
    kv.put(put("b", "")).await.unwrap();
}

/// An alarm action that no etcd knows kills a real etcd at every start; here it is refused before it reaches the log.
#[tokio::test]
async fn an_unknown_alarm_action_never_reaches_the_log() {
    let rig = Rig::new(Base::Open);
    let mut maintenance = rig.anonymous().maintenance();
    let refused = maintenance.alarm(pb::AlarmRequest { action: 9, ..Default::default() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    maintenance.status(pb::StatusRequest {}).await.unwrap();
}

/// Leases: the member chooses an unguessable positive id, raises short lives, lists keys, and answers what it does not
/// know as etcd does.
#[tokio::test]
async fn leases_answer_as_etcds() {
    let rig = Rig::new(Base::Open);
    let (mut kv, mut lease) = (rig.anonymous().kv(), rig.anonymous().lease());
    let grant = |id, ttl| pb::LeaseGrantRequest { id, ttl };
    let first = lease.lease_grant(grant(0, -5)).await.unwrap().into_inner();
    let second = lease.lease_grant(grant(0, 100)).await.unwrap().into_inner();
    assert!(first.id > 0 && second.id > 0 && first.id != second.id);
    assert_eq!((first.ttl, second.ttl), (2, 100));
    let refused = lease.lease_grant(grant(second.id, 100)).await.unwrap_err();
    assert_eq!(said(&refused), (Code::FailedPrecondition, "etcdserver: lease already exists"));
    let refused = lease.lease_grant(grant(0, 9_000_000_001)).await.unwrap_err();
    assert_eq!(said(&refused), (Code::OutOfRange, "etcdserver: too large lease TTL"));
    kv.put(pb::PutRequest { lease: second.id, ..put("k", "v") }).await.unwrap();
    let ask = |id| pb::LeaseTimeToLiveRequest { id, keys: true };
    let known = lease.lease_time_to_live(ask(second.id)).await.unwrap().into_inner();
    assert_eq!((known.granted_ttl, known.keys), (100, vec!["k".into()]));
    assert!((98..=100).contains(&known.ttl));
    assert_eq!(lease.lease_time_to_live(ask(77)).await.unwrap().into_inner().ttl, -1);
    let leases = lease.lease_leases(pb::LeaseLeasesRequest {}).await.unwrap().into_inner().leases;
    assert_eq!(leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [first.id, second.id]);
    let renewals = [second.id, 77].map(|id| pb::LeaseKeepAliveRequest { id });
    let mut renewed = lease.lease_keep_alive(tokio_stream::iter(renewals)).await.unwrap().into_inner();
    assert_eq!(renewed.message().await.unwrap().unwrap().ttl, 100);
    assert_eq!(renewed.message().await.unwrap().unwrap().ttl, 0);
    assert!(renewed.message().await.unwrap().is_none());
    lease.lease_revoke(pb::LeaseRevokeRequest { id: second.id }).await.unwrap();
    assert_eq!(kv.range(range("k", "")).await.unwrap().into_inner().count, 0);
    let refused = lease.lease_revoke(pb::LeaseRevokeRequest { id: second.id }).await.unwrap_err();
    assert_eq!(said(&refused), (Code::NotFound, "etcdserver: requested lease not found"));
}

/// A snapshot is whole chunks of one file and then its SHA-256: a client that counts the remaining bytes, or checks the
/// sum, must find both right. Like etcd's it carries the storage version.
#[tokio::test]
async fn a_snapshot_is_a_file_and_its_sum() {
    let rig = Rig::new(Base::Open);
    let (mut kv, mut maintenance) = (rig.anonymous().kv(), rig.anonymous().maintenance());
    for n in 0..50 {
        kv.put(put(&format!("k{n}"), &"v".repeat(1_000))).await.unwrap();
    }
    let mut stream = maintenance.snapshot(pb::SnapshotRequest {}).await.unwrap().into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        assert_eq!(message.version, "3.7.0");
        messages.push(message);
    }
    let sum = messages.pop().unwrap();
    assert_eq!((sum.blob.len(), sum.remaining_bytes), (32, 0));
    let (last, whole) = messages.split_last().unwrap();
    assert!(!whole.is_empty() && whole.iter().all(|message| message.blob.len() == 32 * 1024));
    assert_eq!(last.remaining_bytes, 0);
    let file: Vec<u8> = messages.iter().flat_map(|message| message.blob.to_vec()).collect();
    assert_eq!(messages[0].remaining_bytes, (file.len() - 32 * 1024) as u64);
    assert_eq!(file.len() % bbolt::PAGE_BYTES, 0);
    let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &file);
    assert_eq!(&sum.blob[..], expected.as_ref());
    assert!(file.windows(4).any(|bytes| bytes == b"k49\x10"), "the newest key is in it");
}

/// The file holds every secret in the clear: with access control on, nobody but the administrator gets it.
#[tokio::test]
async fn a_snapshot_is_for_the_administrator() {
    let rig = Rig::new(Base::Closed);
    let refused = rig.anonymous().maintenance().snapshot(pb::SnapshotRequest {}).await.unwrap_err();
    assert_eq!(said(&refused), (Code::InvalidArgument, "etcdserver: user name is empty"));
}

/// What comes later says so and says what to do meanwhile; what a lone etcd refuses is refused in its words.
#[tokio::test]
async fn what_is_not_there_yet_says_so() {
    let rig = Rig::new(Base::Open);
    let mut maintenance = rig.anonymous().maintenance();
    let refused = maintenance.move_leader(pb::MoveLeaderRequest { target_id: 9 }).await.unwrap_err();
    assert_eq!(said(&refused), (Code::FailedPrecondition, "etcdserver: bad leader transferee"));
    maintenance.move_leader(pb::MoveLeaderRequest { target_id: MEMBER }).await.unwrap();
    let mut cluster = pb::cluster_client::ClusterClient::new(rig.anonymous());
    let refused = cluster.member_remove(pb::MemberRemoveRequest { id: 9 }).await.unwrap_err();
    assert_eq!(said(&refused), (Code::NotFound, "etcdserver: member not found"));
    let add = pb::MemberAddRequest { peer_ur_ls: vec!["http://other:2380".into()], is_learner: false };
    assert_eq!(cluster.member_add(add).await.unwrap_err().code(), Code::FailedPrecondition);
    let mut auth = pb::auth_client::AuthClient::new(rig.anonymous());
    let refused = auth.authenticate(pb::AuthenticateRequest::default()).await.unwrap_err();
    assert_eq!(said(&refused), (Code::FailedPrecondition, "etcdserver: authentication is not enabled"));
}
