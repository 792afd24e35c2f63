//! What users ask for is noted when an administrator wants to know, and then only.

use super::accounts::Accounts;
use super::rig::{Caller, Rig};
use super::watching::put;
use proto::etcdserverpb as pb;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::access_client::AccessClient;
use state::auth::Base;

async fn learn(rig: &Rig, seconds: u64, forget: bool) {
    let request = own::LearnRequest { seconds, forget };
    AccessClient::new(rig.administrator()).learn(request).await.unwrap();
}

async fn learned(rig: &Rig, user: &str) -> own::LearnedResponse {
    let request = own::LearnedRequest { user: user.into(), widen_from: 3 };
    AccessClient::new(rig.administrator()).learned(request).await.unwrap().into_inner()
}

async fn get(caller: &Caller, key: &'static str) -> bool {
    caller.kv().range(pb::RangeRequest { key: key.into(), ..Default::default() }).await.is_ok()
}

/// The uses as lines: `read k/ k0 3`, `compact 1`.
fn lines(uses: &[own::LearnedUse]) -> Vec<String> {
    let line = |each: &own::LearnedUse| match &each.permission {
        None => format!("{} {}", each.right, each.times),
        Some(keys) => {
            let kind = if keys.perm_type == 0 { "read" } else { "write" };
            let (key, end) = (String::from_utf8_lossy(&keys.key), String::from_utf8_lossy(&keys.range_end));
            format!("{kind} {key} {end} {}", each.times)
        }
    };
    uses.iter().map(line).collect()
}

/// A proposal lacks nothing that was let in: every key of a transaction, keys that hang on a lease, rights; what was refused
/// is told apart, or a probe would become a permission.
#[tokio::test]
async fn what_was_let_in_and_what_was_refused_are_told_apart() {
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user("bob", &["k"]).await;
    let bob = rig.named("bob");
    put(&bob, "k/before", "v").await;
    learn(&rig, 60, false).await;
    for key in ["k/a", "k/b", "k/c"] {
        put(&bob, key, "v").await;
    }
    assert!(get(&bob, "k1").await && !get(&bob, "secret").await);
    let ops = |op| vec![pb::RequestOp { request: Some(op) }];
    let txn = pb::TxnRequest {
        compare: vec![pb::Compare { key: "kc".into(), ..Default::default() }],
        success: ops(pb::request_op::Request::RequestRange(pb::RangeRequest {
            key: "ks".into(),
            ..Default::default()
        })),
        failure: ops(pb::request_op::Request::RequestDeleteRange(pb::DeleteRangeRequest {
            key: "kf".into(),
            prev_kv: true,
            ..Default::default()
        })),
    };
    bob.kv().txn(txn).await.unwrap();
    bob.lease().lease_grant(pb::LeaseGrantRequest { id: 7, ttl: 100 }).await.unwrap();
    let leased = pb::PutRequest { key: "kl".into(), lease: 7, ..Default::default() };
    rig.administrator().kv().put(leased).await.unwrap();
    bob.lease().lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await.unwrap();
    assert!(bob.kv().compact(pb::CompactionRequest { revision: 2, physical: false }).await.is_err());
    let all = learned(&rig, "bob").await;
    assert!(all.is_learning && all.since > 0 && all.until >= all.since + 60, "{all:?}");
    let [of_bob] = all.users.as_slice() else { panic!("bob alone was asked for: {all:?}") };
    assert_eq!(
        lines(&of_bob.allowed),
        [
            "read k1  1",
            "read kc  1",
            "read kf  1",
            "read ks  1",
            "write k/ k0 3",
            "write kf  1",
            "write kl  1"
        ]
    );
    assert_eq!(lines(&of_bob.refused), ["read secret  1", "compact 1"]);
}

/// Noting ends when it is told to, the notes stay until they are let go, and nobody but an administrator begins it or looks.
#[tokio::test]
async fn it_is_noted_for_as_long_as_an_administrator_wants() {
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user("bob", &["k"]).await;
    let bob = rig.named("bob");
    assert!(get(&bob, "k1").await);
    assert_eq!(learned(&rig, "bob").await, own::LearnedResponse::default(), "nothing is noted unasked");
    learn(&rig, 60, false).await;
    assert!(get(&bob, "k2").await);
    learn(&rig, 0, false).await;
    assert!(get(&bob, "k3").await);
    let all = learned(&rig, "").await;
    assert!(!all.is_learning);
    let of_bob = all.users.iter().find(|used| used.user == "bob").unwrap();
    assert_eq!(lines(&of_bob.allowed), ["read k2  1"]);
    learn(&rig, 60, true).await;
    assert!(learned(&rig, "bob").await.users.is_empty());
    let mut as_bob = AccessClient::new(bob.clone());
    assert!(as_bob.learn(own::LearnRequest { seconds: 9, forget: true }).await.is_err());
    assert!(as_bob.learned(own::LearnedRequest { user: "bob".into(), widen_from: 0 }).await.is_err());
    let refused = AccessClient::new(rig.administrator())
        .learn(own::LearnRequest { seconds: 91 * 86_400, forget: false })
        .await
        .unwrap_err();
    assert!(refused.message().contains("90 days at most"), "{refused}");
}

/// Before access control is on there are certificates already: what their names ask for is what their users will need.
#[tokio::test]
async fn a_policy_can_be_learned_before_access_control_is_on() {
    let rig = Rig::new(Base::Open);
    learn(&rig, 60, false).await;
    assert!(get(&rig.named("app"), "k").await && get(&rig.anonymous(), "m").await);
    let all = learned(&rig, "").await;
    let of = |name: &str| all.users.iter().find(|used| used.user == name).map(|used| lines(&used.allowed));
    assert_eq!(of("app"), Some(vec!["read k  1".to_owned()]));
    assert_eq!(of(""), Some(vec!["read m  1".to_owned()]), "whoever shows nothing");
}
