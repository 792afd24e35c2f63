//! Every method against every identity: what a stranger reaches, and what an administrator is not denied.

use super::accounts::Accounts;
use super::rig::{Caller, Refusals, Rig};
use crate::rpc::surface::{Least, METHODS};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use prost::Message;
use proto::etcdserverpb as pb;
use proto::{v3electionpb, v3lockpb};
use state::auth::Base;
use std::time::Duration;
use tonic::body::Body;
use tower::Service;

/// A well-formed request of a method, so that the answer is about rights and not about form.
pub(super) fn request_of(path: &str) -> Vec<u8> {
    let key = Bytes::from_static(b"k");
    let leader = v3electionpb::LeaderKey { name: key.clone(), key: key.clone(), rev: 1, lease: 1 };
    match path {
        "/etcdserverpb.KV/Range" | "/etcdserverpb.KV/RangeStream" => {
            pb::RangeRequest { key, ..Default::default() }.encode_to_vec()
        }
        "/etcdserverpb.KV/Put" => pb::PutRequest { key, ..Default::default() }.encode_to_vec(),
        "/etcdserverpb.KV/DeleteRange" => {
            pb::DeleteRangeRequest { key, ..Default::default() }.encode_to_vec()
        }
        "/etcdserverpb.KV/Txn" => {
            let put = pb::PutRequest { key, ..Default::default() };
            let op = pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) };
            pb::TxnRequest { failure: vec![op], ..Default::default() }.encode_to_vec()
        }
        "/etcdserverpb.Auth/UserAdd" => {
            let (name, password) = ("made".into(), "a long enough password".into());
            pb::AuthUserAddRequest { name, password, ..Default::default() }.encode_to_vec()
        }
        "/etcdserverpb.Auth/UserDelete" => pb::AuthUserDeleteRequest { name: "made".into() }.encode_to_vec(),
        "/etcdserverpb.Auth/UserGet" => pb::AuthUserGetRequest { name: "root".into() }.encode_to_vec(),
        "/etcdserverpb.Auth/UserChangePassword" => {
            let (name, password) = ("wrong".into(), "a long enough password".into());
            pb::AuthUserChangePasswordRequest { name, password, ..Default::default() }.encode_to_vec()
        }
        "/etcdserverpb.Auth/UserGrantRole" => {
            pb::AuthUserGrantRoleRequest { user: "norole".into(), role: "absent".into() }.encode_to_vec()
        }
        "/etcdserverpb.Auth/UserRevokeRole" => {
            pb::AuthUserRevokeRoleRequest { name: "norole".into(), role: "absent".into() }.encode_to_vec()
        }
        "/etcdserverpb.Watch/Watch" => {
            let create = pb::WatchCreateRequest { key, ..Default::default() };
            let union = Some(pb::watch_request::RequestUnion::CreateRequest(create));
            pb::WatchRequest { request_union: union }.encode_to_vec()
        }
        // Different names: who asks second for the same one waits.
        "/v3lockpb.Lock/Lock" => v3lockpb::LockRequest { name: "k-lock".into(), lease: 0 }.encode_to_vec(),
        "/v3electionpb.Election/Campaign" => {
            v3electionpb::CampaignRequest { name: "k-campaign".into(), ..Default::default() }.encode_to_vec()
        }
        "/v3electionpb.Election/Leader" | "/v3electionpb.Election/Observe" => {
            v3electionpb::LeaderRequest { name: key }.encode_to_vec()
        }
        "/v3lockpb.Lock/Unlock" => v3lockpb::UnlockRequest { key }.encode_to_vec(),
        "/v3electionpb.Election/Proclaim" => {
            v3electionpb::ProclaimRequest { leader: Some(leader), value: key }.encode_to_vec()
        }
        "/v3electionpb.Election/Resign" => {
            v3electionpb::ResignRequest { leader: Some(leader) }.encode_to_vec()
        }
        _ => Vec::new(),
    }
}

/// What a call came to: its status with its text, and the first bytes of its answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Option<i32>,
    text: String,
    body: Bytes,
}

/// Longer than anything that is answered at once takes on a busy machine.
const SILENCE: Duration = Duration::from_millis(500);

/// The ways in which a caller can be told that it may not.
const DENIALS: [&str; 5] = [
    "etcdserver: user name is empty",
    "etcdserver: user name not found",
    "etcdserver: permission denied",
    "etcdserver: invalid auth token",
    "etcdserver: revision of auth store is old",
];

impl Answer {
    /// The denial in it, be it the call's status or a watch's reason.
    fn denial(&self) -> Option<&'static str> {
        DENIALS.into_iter().find(|denial| {
            let said = denial.as_bytes();
            self.text.contains(denial) || self.body.windows(said.len()).any(|window| window == said)
        })
    }
}

pub(super) async fn call(caller: &Caller, path: &str, message: &[u8]) -> Answer {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(frame))))
        .unwrap();
    let mut answer = Answer { status: None, text: String::new(), body: Bytes::new() };
    // Who waits for a lock or an election was let in.
    let Ok(response) = tokio::time::timeout(SILENCE, caller.clone().call(request)).await else {
        return answer;
    };
    let response = response.unwrap();
    let told = |headers: &http::HeaderMap, answer: &mut Answer| {
        if let Some(status) = tonic::Status::from_header_map(headers) {
            answer.status = Some(i32::from(status.code()));
            answer.text = status.message().to_owned();
        }
    };
    told(response.headers(), &mut answer);
    let mut body = response.into_body();
    // A stream that has nothing to say says nothing: its first frame, or silence, is enough.
    while answer.status.is_none() && answer.body.is_empty() {
        let Ok(frame) = tokio::time::timeout(SILENCE, body.frame()).await else { break };
        let Some(frame) = frame else { break };
        let frame = frame.unwrap();
        if let Some(trailers) = frame.trailers_ref() {
            told(trailers, &mut answer);
        } else if let Ok(data) = frame.into_data() {
            answer.body = data;
        }
    }
    answer
}

/// What a method is to someone who is not an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Anybody,
    Known,
    Keys,
    Administrator,
}

/// Written down here once more, independently of how the code decides: a new method fails until somebody says it here too.
fn class(path: &str) -> Class {
    match path.rsplit_once('/').unwrap().1 {
        "Roots" | "Enroll" | "Renew" => Class::Anybody,
        _ if path.starts_with("/strongroom.v1.Pki/") => Class::Administrator,
        "AuthStatus" | "Authenticate" | "Check" | "List" => Class::Anybody,
        "Watch" if path.starts_with("/grpc.health") => Class::Anybody,
        "MemberList" | "Status" | "Alarm" | "LeaseGrant" | "LeaseTimeToLive" | "LeaseKeepAlive"
        | "LeaseLeases" | "LeaseRevoke" => Class::Known,
        "Range" | "RangeStream" | "Put" | "DeleteRange" | "Txn" | "Watch" | "Lock" | "Unlock"
        | "Campaign" | "Leader" | "Observe" | "Proclaim" | "Resign" => Class::Keys,
        "Compact" | "Defragment" | "Downgrade" | "Hash" | "HashKV" | "MoveLeader" | "Snapshot"
        | "MemberAdd" | "MemberPromote" | "MemberRemove" | "MemberUpdate" => Class::Administrator,
        "WhoAmI" => Class::Known,
        "Explain" | "Learn" | "Learned" | "Show" | "SetRole" | "SetIdentity" | "RemoveIdentity" => {
            Class::Administrator
        }
        name if path.starts_with("/etcdserverpb.Auth/") && name != "Watch" => Class::Administrator,
        other => panic!("{other} is not classified"),
    }
}

/// The callers, each with the denial that it must get of each class; none when it must get through.
fn expected(who: &str, class: Class, base: Base) -> Option<&'static str> {
    const EMPTY: Option<&str> = Some("etcdserver: user name is empty");
    const DENIED: Option<&str> = Some("etcdserver: permission denied");
    const UNKNOWN: Option<&str> = Some("etcdserver: user name not found");
    match (who, class) {
        (_, Class::Anybody) | ("root", _) => None,
        ("anonymous", _) => EMPTY,
        // A name that is no user's: etcd lets it see what is no secret, we do not.
        ("stranger", Class::Known) => {
            if base == Base::Closed {
                DENIED
            } else {
                None
            }
        }
        ("stranger", Class::Administrator) => UNKNOWN,
        ("without a role" | "wrong range" | "right range", Class::Known) => None,
        ("right range", Class::Keys) => None,
        ("stranger" | "without a role" | "wrong range", Class::Keys) => DENIED,
        ("without a role" | "wrong range" | "right range", Class::Administrator) => DENIED,
        ("false root", _) => DENIED,
        ("bad token", _) => Some("etcdserver: invalid auth token"),
        other => panic!("{other:?}"),
    }
}

/// Every method against every kind of caller, with the exact words: what a stranger reaches, what a user reaches with and
/// without the right, and that an administrator is denied nothing; and each denial is counted, once, as what it is: who is not
/// seen to be refused goes on trying. Methods come from the list that the .proto files are held against.
#[tokio::test]
async fn every_method_answers_every_caller_as_it_must() {
    for base in [Base::Closed, Base::Open] {
        let rig = Rig::new(base);
        let root = rig.administrator();
        let mut accounts = Accounts::of(&root);
        if base == Base::Open {
            accounts.user("root", &["root"]).await;
        }
        for (role, key, end) in [("wrong", "x", "y"), ("right", "k", "l")] {
            accounts.role(role, key, end).await;
        }
        accounts.user("norole", &[]).await;
        accounts.user("wrong", &["wrong"]).await;
        accounts.user("right", &["right"]).await;
        accounts.enable().await;
        let mut callers = vec![
            ("anonymous", rig.anonymous()),
            ("stranger", rig.named("somebody")),
            ("without a role", rig.named("norole")),
            ("wrong range", rig.named("wrong")),
            ("right range", rig.named("right")),
            ("bad token", rig.named("right").with_token("abcdefghijklmnop.1")),
            ("root", root),
        ];
        if base == Base::Closed {
            callers.insert(6, ("false root", rig.named("root")));
        }
        // Turned off last, and by nobody but the administrator.
        let methods = METHODS.iter().filter(|method| !method.path.ends_with("/AuthDisable"));
        for method in methods.chain(METHODS.iter().filter(|method| method.path.ends_with("/AuthDisable"))) {
            let message = request_of(method.path);
            let class = class(method.path);
            assert_eq!(class == Class::Anybody, method.least == Least::Anybody, "{}", method.path);
            for (who, caller) in &callers {
                let before = rig.refusals();
                let answer = call(caller, method.path, &message).await;
                let counted = rig.refusals().since(before);
                let mut denial = expected(who, class, base);
                // A name and a password need no token, and etcd looks at none there; health knows nothing of tokens.
                let sees_tokens = method.path == "/etcdserverpb.Auth/AuthStatus";
                if *who == "bad token" && class == Class::Anybody && sees_tokens {
                    denial = Some("etcdserver: invalid auth token");
                }
                assert_eq!(answer.denial(), denial, "{base:?}: {who} at {}: {answer:?}", method.path);
                let due = match denial {
                    None => Refusals::default(),
                    Some("etcdserver: invalid auth token") => Refusals { tokens: 1, ..Refusals::default() },
                    Some(_) => Refusals { denied: 1, ..Refusals::default() },
                };
                assert_eq!(counted, due, "{base:?}: {who} at {}: {answer:?}", method.path);
            }
        }
    }
}

/// A path that only looks like a method's must not reach its handler, with rights or without.
#[tokio::test]
async fn lookalike_paths_are_not_served() {
    let rig = Rig::new(Base::Open);
    for path in [
        "/etcdserverpb.KV/range",
        "/etcdserverpb.KV/Range/",
        "//etcdserverpb.KV/Range",
        "/etcdserverpb.KV//Range",
        "/etcdserverpb.KV/%52ange",
        "/strongroom.v1.Admin/Anything",
        "/",
        "/x",
    ] {
        let answer = call(&rig.anonymous(), path, &request_of("/etcdserverpb.KV/Range")).await;
        assert_eq!(answer.status, Some(12), "{path}: {answer:?}");
    }
}

/// Bytes that are no message, and lengths that lie, are refused with etcd's codes and leave the server standing.
#[tokio::test]
async fn broken_messages_are_refused() {
    let rig = Rig::new(Base::Open);
    for method in METHODS.iter().filter(|method| !method.path.ends_with("Watch")) {
        let answer = call(&rig.anonymous(), method.path, &[0x0a, 0xff, 0x01]).await;
        let empty_message = request_of(method.path).is_empty();
        assert!(
            answer.status == Some(13) || (empty_message && answer.status.is_some()),
            "{}: {answer:?}",
            method.path
        );
    }
    let large = vec![0u8; 2_097_153];
    let answer = call(&rig.anonymous(), "/etcdserverpb.KV/Put", &large).await;
    assert_eq!(answer.status, Some(8), "{answer:?}");
    assert_eq!(call(&rig.anonymous(), "/etcdserverpb.Maintenance/Status", &[]).await.status, None);
}
