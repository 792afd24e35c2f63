//! Locks and elections: who waits gets its turn, and who leaves gives up its place.

use super::rig::{Caller, Rig};
use proto::v3electionpb::election_client::ElectionClient;
use proto::v3electionpb::{CampaignRequest, LeaderRequest, ProclaimRequest, ResignRequest};
use proto::v3lockpb::lock_client::LockClient;
use proto::v3lockpb::{LockRequest, UnlockRequest};
use proto::{etcdserverpb as pb, v3electionpb};
use state::auth::Base;
use std::time::Duration;
use tonic::Code;

fn lock(name: &'static str) -> LockRequest {
    LockRequest { name: name.into(), lease: 0 }
}

async fn contenders(caller: &Caller, prefix: &'static str, end: &'static str) -> usize {
    let request = pb::RangeRequest { key: prefix.into(), range_end: end.into(), ..Default::default() };
    caller.kv().range(request).await.unwrap().into_inner().kvs.len()
}

/// Waits until `wanted` keys stand in a queue, by watching for changes.
async fn until(caller: &Caller, prefix: &'static str, end: &'static str, wanted: usize) {
    let deadline = Duration::from_secs(10);
    let reached = async {
        while contenders(caller, prefix, end).await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(deadline, reached).await.expect("the queue reaches the wanted length");
}

/// A lock has one owner: the second waits until the first unlocks, and a third that leaves while it waits is forgotten.
#[tokio::test]
async fn a_lock_passes_from_one_to_the_next() {
    let rig = Rig::new(Base::Open);
    let caller = rig.anonymous();
    let mut client = LockClient::new(caller.clone());
    let first = client.lock(lock("n")).await.unwrap().into_inner();
    assert!(first.key.starts_with(b"n/"));
    let mut waiting = LockClient::new(caller.clone());
    let second = tokio::spawn(async move { waiting.lock(lock("n")).await });
    until(&caller, "n/", "n0", 2).await;
    let mut leaving = LockClient::new(caller.clone());
    let third = tokio::spawn(async move { leaving.lock(lock("n")).await });
    until(&caller, "n/", "n0", 3).await;
    third.abort();
    assert!(third.await.unwrap_err().is_cancelled());
    until(&caller, "n/", "n0", 2).await;
    assert!(!second.is_finished());
    client.unlock(UnlockRequest { key: first.key.clone() }).await.unwrap();
    let second = second.await.unwrap().unwrap().into_inner();
    assert_ne!(second.key, first.key);
    assert_eq!(contenders(&caller, "n/", "n0").await, 1);
}

/// Errors of the lock service have lost their code, as in etcd.
#[tokio::test]
async fn the_lock_services_errors_are_etcds() {
    let rig = Rig::new(Base::Open);
    let mut client = LockClient::new(rig.anonymous());
    let refused = client.lock(LockRequest { name: "n".into(), lease: 99 }).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unknown, "etcdserver: requested lease not found"));
    let refused = client.unlock(UnlockRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unknown, "etcdserver: key is not provided"));
}

/// An election has one leader; its proclamations and its successor reach whoever observes.
#[tokio::test]
async fn an_election_passes_from_one_to_the_next() {
    let rig = Rig::new(Base::Open);
    let caller = rig.anonymous();
    let mut client = ElectionClient::new(caller.clone());
    let campaign = |value: &'static str| CampaignRequest { name: "e".into(), lease: 0, value: value.into() };
    let ask = LeaderRequest { name: "e".into() };
    let nobody = client.leader(ask.clone()).await.unwrap_err();
    assert_eq!((nobody.code(), nobody.message()), (Code::Unknown, "election: no leader"));
    let mut observed = client.observe(ask.clone()).await.unwrap().into_inner();
    let first = client.campaign(campaign("v1")).await.unwrap().into_inner().leader.unwrap();
    let value = |response: v3electionpb::LeaderResponse| response.kv.unwrap().value;
    assert_eq!(value(observed.message().await.unwrap().unwrap()), "v1");
    let mut next = ElectionClient::new(caller.clone());
    let second = tokio::spawn(async move { next.campaign(campaign("v2")).await });
    until(&caller, "e/", "e0", 2).await;
    client.proclaim(ProclaimRequest { leader: Some(first.clone()), value: "v3".into() }).await.unwrap();
    assert_eq!(value(observed.message().await.unwrap().unwrap()), "v3");
    assert!(!second.is_finished());
    client.resign(ResignRequest { leader: Some(first.clone()) }).await.unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(value(observed.message().await.unwrap().unwrap()), "v2");
    assert_eq!(value(client.leader(ask).await.unwrap().into_inner()), "v2");
    let refused =
        client.proclaim(ProclaimRequest { leader: Some(first), value: "x".into() }).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unknown, "election: not leader"));
    let refused = client.resign(ResignRequest { leader: None }).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unknown, "\"leader\" field must be provided"));
}
