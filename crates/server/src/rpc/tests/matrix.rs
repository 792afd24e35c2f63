//! Every method against every identity: what a stranger reaches, and what an administrator is not denied.

use super::rig::{Caller, Rig};
use crate::rpc::surface::{Least, METHODS};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use prost::Message;
use proto::etcdserverpb as pb;
use proto::{v3electionpb, v3lockpb};
use state::auth::Policy;
use std::time::Duration;
use tonic::body::Body;
use tower::Service;

/// A well-formed request of a method, so that the answer is about rights and not about form.
fn request_of(path: &str) -> Vec<u8> {
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
        "/etcdserverpb.Watch/Watch" => {
            let create = pb::WatchCreateRequest { key, ..Default::default() };
            let union = Some(pb::watch_request::RequestUnion::CreateRequest(create));
            pb::WatchRequest { request_union: union }.encode_to_vec()
        }
        // Different names: who asks second for the same one waits.
        "/v3lockpb.Lock/Lock" => v3lockpb::LockRequest { name: key, lease: 0 }.encode_to_vec(),
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

/// What a call came to: its status, and the first bytes of its answer.
#[derive(Debug)]
struct Answer {
    status: Option<i32>,
    body: Bytes,
}

impl Answer {
    fn is_denied(&self) -> bool {
        let text = b"etcdserver: permission denied";
        self.status == Some(7) || self.body.windows(text.len()).any(|window| window == text)
    }
}

async fn call(caller: &Caller, path: &str, message: &[u8]) -> Answer {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(frame))))
        .unwrap();
    let response = caller.clone().call(request).await.unwrap();
    let of = |headers: &http::HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    let mut answer = Answer { status: of(response.headers()), body: Bytes::new() };
    let mut body = response.into_body();
    // A stream that has nothing to say says nothing: its first frame, or silence, is enough.
    while answer.status.is_none() && answer.body.is_empty() {
        let Ok(frame) = tokio::time::timeout(Duration::from_millis(300), body.frame()).await else { break };
        let Some(frame) = frame else { break };
        let frame = frame.unwrap();
        if let Some(trailers) = frame.trailers_ref() {
            answer.status = of(trailers);
        } else if let Ok(data) = frame.into_data() {
            answer.body = data;
        }
    }
    answer
}

/// With access control on, a stranger reaches the anonymous surface and nothing else, whichever way it comes; the
/// administrator is denied nothing. Methods come from the list that the .proto files are held against.
#[tokio::test]
async fn strangers_are_denied_and_administrators_are_not() {
    let rig = Rig::new(Policy::Closed);
    for method in METHODS {
        let message = request_of(method.path);
        for (who, caller) in [("anonymous", rig.anonymous()), ("stranger", rig.named("somebody"))] {
            let answer = call(&caller, method.path, &message).await;
            let expected = method.least != Least::Anybody;
            assert_eq!(answer.is_denied(), expected, "{who} at {}: {answer:?}", method.path);
        }
        let answer = call(&rig.named("root"), method.path, &message).await;
        assert!(!answer.is_denied(), "administrator at {}: {answer:?}", method.path);
    }
}

/// A path that only looks like a method's must not reach its handler, with rights or without.
#[tokio::test]
async fn lookalike_paths_are_not_served() {
    let rig = Rig::new(Policy::Open);
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
    let rig = Rig::new(Policy::Open);
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
