//! The status table, row by row.

use super::*;
use types::{LeaseId, MemberId, Revision};

/// The codes and texts that etcd's clients know, written down a second time, from etcd's documentation of them.
const ETCD: &[(i32, &str)] = &[
    (3, "key is not provided"),
    (3, "key not found"),
    (3, "value is provided"),
    (3, "lease is provided"),
    (3, "too many operations in txn request"),
    (3, "duplicate key given in txn request"),
    (3, "invalid client api version"),
    (3, "invalid sort option"),
    (3, "given member URLs are invalid"),
    (3, "request is too large"),
    (3, "user name is empty"),
    (3, "role name is empty"),
    (3, "authentication failed, invalid user ID or password"),
    (3, "permission not given"),
    (3, "invalid auth management"),
    (3, "revision of auth store is old"),
    (3, "wrong downgrade target version format"),
    (3, "invalid downgrade target version"),
    (11, "mvcc: required revision has been compacted"),
    (11, "mvcc: required revision is a future revision"),
    (11, "too large lease TTL"),
    (8, "mvcc: database space exceeded"),
    (2, "too many requests"),
    (5, "requested lease not found"),
    (5, "member not found"),
    (9, "lease already exists"),
    (9, "member ID already exist"),
    (9, "Peer URLs already exists"),
    (2, "re-configuration failed due to not enough started members"),
    (9, "can only promote a learner member"),
    (9, "can only promote a learner member which is in sync with leader"),
    (9, "too many learner members in cluster"),
    (9, "cluster ID mismatch"),
    (9, "root user does not exist"),
    (9, "root user does not have root role"),
    (9, "user name already exists"),
    (9, "user name not found"),
    (9, "role name already exists"),
    (9, "role name not found"),
    (9, "role is not granted to the user"),
    (9, "permission is not granted to the role"),
    (9, "authentication is not enabled"),
    (9, "not leader"),
    (9, "not capable"),
    (9, "rpc not supported for learner"),
    (9, "bad leader transferee"),
    (9, "cluster version not found during downgrade"),
    (9, "cluster has a downgrade job in progress"),
    (9, "no inflight downgrade job"),
    (7, "permission denied"),
    (16, "invalid auth token"),
    (14, "no leader"),
    (14, "leader changed"),
    (14, "server stopped"),
    (14, "request timed out"),
    (14, "request timed out, possibly due to previous leader failure"),
    (14, "request timed out, possibly due to connection lost"),
    (14, "request timed out, waiting for the applied index took too long"),
    (14, "unhealthy cluster"),
    (15, "corrupt cluster"),
    (1, "watch canceled"),
    (1, "request canceled"),
    (2, "unknown method"),
    (2, "request timed out, leader transfer took too long"),
];

/// Clients decide by code and text: every row of etcd's table is in ours, once, with exactly its code and text.
#[test]
fn each_row_is_etcds() {
    for (code, text) in ETCD {
        let text = format!("etcdserver: {text}");
        let found: Vec<_> = ROWS.iter().filter(|failure| failure.row().1 == text).collect();
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].row().0 as i32, *code, "{text}");
        let status = Status::from(found[0].clone());
        assert_eq!((status.code() as i32, status.message()), (*code, text.as_str()));
        assert!(status.details().is_empty(), "etcd sends no details");
    }
    let named_etcd = ROWS.iter().filter(|failure| failure.row().1.starts_with("etcdserver: ")).count();
    assert_eq!(named_etcd, ETCD.len(), "a row that begins with etcd's name is not in etcd's table");
}

/// Each refusal of the state machine and of the member arrives as the row that etcd would send in its place.
#[test]
fn refusals_find_their_row() {
    let (lease, member) = (LeaseId(1), MemberId(1));
    let refusals = [
        (Refusal::KeyNotFound, Failure::KeyNotFound),
        (Refusal::LeaseNotFound(lease), Failure::LeaseNotFound),
        (Refusal::LeaseExists(lease), Failure::LeaseExists),
        (Refusal::LeaseTtlTooLarge(1), Failure::LeaseTtlTooLarge),
        (Refusal::Compacted { compacted: Revision(1) }, Failure::Compacted),
        (Refusal::FutureRevision { current: Revision(1) }, Failure::FutureRevision),
        (Refusal::NoSpace, Failure::NoSpace),
        (Refusal::MemberExists(member), Failure::MemberExists),
        (Refusal::MemberNotFound(member), Failure::MemberNotFound),
        (Refusal::MemberRemoved(member), Failure::MemberNotFound),
        (Refusal::PeerUrlExists, Failure::PeerUrlExists),
        (Refusal::MemberNotLearner(member), Failure::MemberNotLearner),
        (Refusal::Corrupt, Failure::Corrupt),
    ];
    for (refusal, failure) in refusals {
        assert_eq!(Failure::from(state::Error::Refused(refusal.clone())), failure);
        assert_eq!(Failure::from(node::Refused::State(refusal)), failure);
    }
    let refused = [
        (node::Refused::TooManyRequests, Failure::TooManyRequests),
        (node::Refused::TooLarge { bytes: 2, limit: 1 }, Failure::RequestTooLarge),
        (node::Refused::NoLeader, Failure::NoLeader),
        (node::Refused::LeaderChanged, Failure::LeaderChanged),
        (node::Refused::Stopped, Failure::Stopped),
        (node::Refused::TimedOut, Failure::Timeout),
        (node::Refused::LeaseNotFound, Failure::LeaseNotFound),
        (node::Refused::Storage("secret path".into()), Failure::StoreFailed),
    ];
    for (refused, failure) in refused {
        assert_eq!(Failure::from(refused), failure);
    }
    for (denied, expected) in [
        (Denied::Anonymous, Failure::UserEmpty),
        (Denied::InvalidToken, Failure::InvalidAuthToken),
        (Denied::OldRevision, Failure::AuthOldRevision),
        (Denied::UnknownUser, Failure::UserNotFound),
        (Denied::Forbidden, Failure::PermissionDenied),
    ] {
        assert_eq!(Failure::from(denied), expected);
        assert_eq!(Failure::from(Refusal::Denied(denied)), expected);
    }
}

/// A message that is too large, or is none, is refused in the words that clients of grpc-go know.
#[test]
fn a_decoders_complaint_is_reworded() {
    let large = Status::out_of_range(
        "Error, decoded message length too large: found 2200008 bytes, the limit is: 2097152 bytes",
    );
    let reworded_large = reworded(&large).unwrap();
    assert_eq!(reworded_large.code(), Code::ResourceExhausted);
    assert_eq!(reworded_large.message(), "grpc: received message larger than max (2200008 vs. 2097152)");
    let broken = reworded(&Status::internal("failed to decode Protobuf message: buffer underflow")).unwrap();
    assert!(broken.message().starts_with("grpc: error unmarshalling request: "));
    assert!(reworded(&Failure::Compacted.into()).is_none(), "our own OutOfRange stays");
    let on_stream =
        reworded_on_stream(&Status::internal("failed to decode Protobuf message: buffer underflow")).unwrap();
    assert!(on_stream.message().starts_with("grpc: failed to unmarshal the received message: proto: "));
    for (ours, code, theirs) in [
        ("Unexpected EOF decoding stream.", Code::Unknown, "unexpected EOF"),
        ("Missing request message.", Code::Unknown, "EOF"),
        (
            "protocol error: received message with compressed-flag but no grpc-encoding was specified",
            Code::Internal,
            "grpc: compressed flag set with identity or empty encoding",
        ),
        (
            "protocol error: received message with invalid compression flag: 7 (valid flags are 0 and 1), while sending request",
            Code::Internal,
            "grpc: received unexpected payload format 7",
        ),
    ] {
        let status = reworded(&Status::internal(ours)).unwrap();
        assert_eq!((status.code(), status.message()), (code, theirs));
    }
}

/// Behind the lock service an error has lost its code, as in etcd; what tells a client to stop keeps it.
#[test]
fn errors_behind_a_client_lose_their_code() {
    assert_eq!(
        Failure::LeaseNotFound.behind_a_client().row(),
        (Code::Unknown, "etcdserver: requested lease not found")
    );
    assert_eq!(Failure::PermissionDenied.behind_a_client(), Failure::PermissionDenied);
}
