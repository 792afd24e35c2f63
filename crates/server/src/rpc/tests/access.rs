//! Access control through the services: what a role lets through, and what ends with it while a stream is open.

use super::accounts::Accounts;
use super::rig::{Caller, Rig};
use super::watching::{Stream, create, put};
use proto::authpb;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::auth_client::AuthClient;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::access_client::AccessClient;
use proto::v3electionpb;
use proto::v3electionpb::election_client::ElectionClient;
use state::auth::{Base, CertificateNames};
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::Code;

/// The longest that a stream may outlive the right to it.
const SOON: Duration = Duration::from_secs(1);

/// A member with a role on `k…` and a user of it, "alice", whose password is "alice's".
async fn rig() -> (Rig, Accounts) {
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user_with_password("alice", "alice's", &["k"]).await;
    (rig, accounts)
}

/// Alice with the token of her password.
async fn alice(rig: &Rig) -> Caller {
    let token = Accounts::token(&rig.anonymous(), "alice", "alice's").await.unwrap();
    rig.anonymous().with_token(&token)
}

fn denied(answer: &pb::WatchResponse) -> bool {
    answer.canceled && answer.cancel_reason.ends_with("etcdserver: permission denied")
}

/// Behind its gateway an etcd takes nobody's name from a certificate (and once took its own for everybody's). Here a JSON
/// client is who its certificate says, in both personalities: it may do what its user may, and no more.
#[tokio::test]
async fn through_the_gateway_a_client_is_who_its_certificate_says() {
    for base in [Base::Open, Base::Closed] {
        let rig = Rig::new(base);
        let mut accounts = Accounts::of(&rig.administrator());
        if base == Base::Open {
            accounts.user("root", &["root"]).await;
            accounts.enable().await;
        }
        accounts.role("k", "k", "l").await;
        accounts.user("bob", &["k"]).await;
        let (bob, nobody) = (rig.named("bob"), rig.anonymous());
        assert_eq!(bob.get_through_gateway("k1").await, Ok(()), "{base:?}");
        assert_eq!(bob.get_through_gateway("m1").await.unwrap_err(), "etcdserver: permission denied");
        assert_eq!(nobody.get_through_gateway("k1").await.unwrap_err(), "etcdserver: user name is empty");
    }
}

/// etcd refuses each watcher of a bad token and leaves the stream; a client that saw the stream end instead would open it again and
/// again, and never tell its user.
#[tokio::test]
async fn a_stream_of_a_bad_token_answers_what_is_asked_on_it() {
    let (rig, _) = rig().await;
    let mut stream = Stream::open(&rig.anonymous().with_token("nonsense")).await;
    let ended = tokio::time::timeout(Duration::from_millis(50), stream.answer()).await;
    assert!(ended.is_err(), "{ended:?}");
    stream.create(create("k1")).await;
    let answer = stream.answer().await;
    assert!(answer.canceled && answer.cancel_reason.contains("invalid auth token"), "{answer:?}");
}

/// etcd goes on telling events after the role lost its right and after the user is gone; here the watcher is cut within a
/// second, no event that comes after is told, and the stream's other watchers stay.
#[tokio::test]
async fn a_watch_ends_with_the_right_to_it() {
    let (rig, mut accounts) = rig().await;
    accounts.role("m", "m", "n").await;
    accounts.user("bob", &["k", "m"]).await;
    let mut stream = Stream::open(&rig.named("bob")).await;
    for key in ["k1", "m1"] {
        stream.create(create(key)).await;
        assert!(stream.answer().await.created);
    }
    accounts.revoke_permission("k", "k", "l").await;
    let root = rig.administrator();
    put(&root, "k1", "secret").await;
    put(&root, "m1", "allowed").await;
    let cut = tokio::time::timeout(SOON, stream.answer()).await.unwrap();
    assert!(denied(&cut) && cut.watch_id == 0, "{cut:?}");
    let told = tokio::time::timeout(SOON, stream.answer()).await.unwrap();
    assert_eq!((told.watch_id, told.events.len()), (1, 1), "{told:?}");
    accounts.delete_user("bob").await;
    put(&root, "m1", "secret").await;
    let cut = tokio::time::timeout(SOON, stream.answer()).await.unwrap();
    assert!(denied(&cut) && cut.watch_id == 1, "{cut:?}");
}

/// A changed password makes the tokens of the old one void, on streams that are open too.
#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let (rig, mut accounts) = rig().await;
    let alice = alice(&rig).await;
    let mut stream = Stream::open(&alice).await;
    stream.create(create("k1")).await;
    assert!(stream.answer().await.created);
    accounts.change_password("alice", "another").await;
    put(&rig.administrator(), "k1", "secret").await;
    let ended = tokio::time::timeout(SOON, stream.next()).await.unwrap().unwrap_err();
    assert_eq!((ended.code(), ended.message()), (Code::Unauthenticated, "etcdserver: invalid auth token"));
    let refused =
        alice.kv().range(pb::RangeRequest { key: "k1".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

/// Whoever may not write a lease's keys any more must not keep them alive either, nor wait for the next renewal to be told.
#[tokio::test]
async fn renewals_end_with_the_right_to_the_keys() {
    let (rig, mut accounts) = rig().await;
    accounts.user("bob", &["k"]).await;
    let bob = rig.named("bob");
    let lease =
        bob.lease().lease_grant(pb::LeaseGrantRequest { ttl: 600, id: 0 }).await.unwrap().into_inner().id;
    bob.kv().put(pb::PutRequest { key: "k1".into(), lease, ..Default::default() }).await.unwrap();
    let (ask, asks) = tokio::sync::mpsc::channel(1);
    let renewals = tokio_stream::wrappers::ReceiverStream::new(asks);
    ask.send(pb::LeaseKeepAliveRequest { id: lease }).await.unwrap();
    let mut answers = bob.lease().lease_keep_alive(renewals).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().ttl, 600);
    accounts.revoke_permission("k", "k", "l").await;
    let ended = tokio::time::timeout(SOON, answers.message()).await.unwrap().unwrap_err();
    assert_eq!((ended.code(), ended.message()), (Code::PermissionDenied, "etcdserver: permission denied"));
    let refused = bob.lease().lease_revoke(pb::LeaseRevokeRequest { id: lease }).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "its keys are not bob's to delete");
    let ask = pb::LeaseTimeToLiveRequest { id: lease, keys: true };
    let refused = bob.lease().lease_time_to_live(ask).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "nor their names to read");
}

/// An election that is observed stops being told when the right to its keys is gone.
#[tokio::test]
async fn an_observer_is_cut_off() {
    let (rig, mut accounts) = rig().await;
    accounts.user("bob", &["k"]).await;
    let mut bob = ElectionClient::new(rig.named("bob"));
    let campaign = v3electionpb::CampaignRequest { name: "k".into(), value: "1".into(), lease: 0 };
    bob.campaign(campaign).await.unwrap();
    let observe = v3electionpb::LeaderRequest { name: "k".into() };
    let mut told = bob.observe(observe).await.unwrap().into_inner();
    assert!(told.message().await.unwrap().is_some());
    accounts.revoke_permission("k", "k", "l").await;
    let ended = tokio::time::timeout(SOON, told.next()).await.unwrap().unwrap().unwrap_err();
    assert!(ended.message().contains("permission denied"), "{ended:?}");
}

/// Reading back what a transaction would show or delete on the way needs the rights that the plain request needs: nested
/// transactions, both branches, comparisons, `prev_kv`, leases with others' keys. Six advisories of etcd are of this kind.
#[tokio::test]
async fn a_transaction_demands_what_its_parts_demand() {
    use pb::request_op::Request as Part;
    let (rig, _) = rig().await;
    let (root, alice) = (rig.administrator(), alice(&rig).await);
    put(&root, "secret", "s").await;
    let lease =
        root.lease().lease_grant(pb::LeaseGrantRequest { ttl: 600, id: 0 }).await.unwrap().into_inner().id;
    root.kv().put(pb::PutRequest { key: "secret".into(), lease, ..Default::default() }).await.unwrap();
    let op = |part| pb::RequestOp { request: Some(part) };
    let range = || Part::RequestRange(pb::RangeRequest { key: "secret".into(), ..Default::default() });
    let first = || Part::RequestPut(pb::PutRequest { key: "k0".into(), ..Default::default() });
    let mine = || Part::RequestPut(pb::PutRequest { key: "k1".into(), ..Default::default() });
    let nested = |part| Part::RequestTxn(pb::TxnRequest { success: vec![op(part)], ..Default::default() });
    let delete = |prev_kv| pb::DeleteRangeRequest { key: "k2".into(), range_end: "z".into(), prev_kv };
    let leased = Part::RequestPut(pb::PutRequest { key: "k1".into(), lease, ..Default::default() });
    let parts = [
        range(),
        nested(range()),
        nested(nested(range())),
        Part::RequestDeleteRange(delete(false)),
        Part::RequestDeleteRange(delete(true)),
        leased,
    ];
    for part in parts {
        let both = || vec![op(first()), op(part.clone())];
        for (success, failure) in [(both(), vec![]), (vec![], both())] {
            let txn = pb::TxnRequest { success, failure, ..Default::default() };
            let refused = alice.kv().txn(txn).await.unwrap_err();
            assert_eq!(refused.message(), "etcdserver: permission denied", "{part:?}");
        }
    }
    let compare = pb::Compare { key: "secret".into(), ..Default::default() };
    let txn = pb::TxnRequest { compare: vec![compare], success: vec![op(mine())], ..Default::default() };
    assert_eq!(alice.kv().txn(txn).await.unwrap_err().message(), "etcdserver: permission denied");
    let txn = pb::TxnRequest { success: vec![op(mine()), op(nested(mine()))], ..Default::default() };
    // The same key twice is refused for its form, so that the nested one stands alone.
    let alone = pb::TxnRequest { success: vec![op(nested(mine()))], ..Default::default() };
    assert!(alice.kv().txn(txn).await.is_err());
    alice.kv().txn(alone).await.unwrap();
}

/// A user sees itself and its roles, and no other; a password is not told by how it is refused.
#[tokio::test]
async fn a_user_sees_itself_alone() {
    let (rig, mut accounts) = rig().await;
    accounts.user("bob", &[]).await;
    let mut alice = AuthClient::new(alice(&rig).await);
    let of = |name: &str| pb::AuthUserGetRequest { name: name.into() };
    assert_eq!(alice.user_get(of("alice")).await.unwrap().into_inner().roles, ["k"]);
    assert_eq!(alice.user_get(of("bob")).await.unwrap_err().message(), "etcdserver: permission denied");
    let of = |role: &str| pb::AuthRoleGetRequest { role: role.into() };
    assert_eq!(alice.role_get(of("k")).await.unwrap().into_inner().perm.len(), 1);
    assert_eq!(alice.role_get(of("root")).await.unwrap_err().message(), "etcdserver: permission denied");
    for (name, password) in
        [("alice", "wrong"), ("alice", ""), ("nobody", "x"), ("bob", "x"), ("root", "x"), ("", "")]
    {
        let refused = Accounts::token(&rig.anonymous(), name, password).await.unwrap_err();
        assert_eq!(
            refused.message(),
            "etcdserver: authentication failed, invalid user ID or password",
            "{name}"
        );
    }
}

/// Whoever guesses is slowed down, and told so; nobody else is.
#[tokio::test]
async fn guessing_is_slowed_down() {
    let (rig, _) = rig().await;
    let guess = async || Accounts::token(&rig.anonymous(), "alice", "guess").await.unwrap_err();
    for _ in 0..6 {
        assert_eq!(guess().await.code(), Code::InvalidArgument);
    }
    let slowed = guess().await;
    assert_eq!(slowed.code(), Code::ResourceExhausted);
    assert!(slowed.message().starts_with("strongroom: too many failed logins; try again in"), "{slowed:?}");
}

/// A `strongroom` cannot be opened to everybody, not even by its administrator.
#[tokio::test]
async fn access_control_stays_on() {
    let (rig, _) = rig().await;
    let mut auth = AuthClient::new(rig.administrator());
    let refused = auth.auth_disable(pb::AuthDisableRequest {}).await.unwrap_err();
    assert!(refused.message().starts_with("strongroom: access control is always on"), "{refused:?}");
    assert!(auth.auth_status(pb::AuthStatusRequest {}).await.unwrap().into_inner().enabled);
}

/// Beyond etcd: a denial wins over the grant, a role counts from its networks only, an administrative right needs no root,
/// limits are kept, and the explanation says so.
#[tokio::test]
async fn roles_have_terms() {
    let (rig, mut accounts) = rig().await;
    accounts.user("bob", &["k"]).await;
    let (mut root, bob) = (AccessClient::new(rig.administrator()), rig.named("bob"));
    let mut set = async |terms: own::RoleTerms| {
        root.set_role(own::SetRoleRequest { role: "k".into(), terms: Some(terms) }).await.unwrap();
    };
    let get = async |key: &'static str| {
        bob.kv().range(pb::RangeRequest { key: key.into(), ..Default::default() }).await.map(drop)
    };
    let denied =
        |answer: Result<(), tonic::Status>| answer.unwrap_err().message() == "etcdserver: permission denied";
    let deny = authpb::Permission { key: "k5".into(), range_end: "k6".into(), ..Default::default() };
    set(own::RoleTerms { deny: vec![deny], abilities: vec!["compact".into()], ..Default::default() }).await;
    get("k1").await.unwrap();
    assert!(denied(get("k55").await), "denied, though granted");
    let whole = pb::RangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() };
    assert!(bob.kv().range(whole).await.is_err(), "a range that holds what is denied");
    put(&bob, "k55", "to read is denied, not to write").await;
    bob.kv().compact(pb::CompactionRequest { revision: 2, physical: false }).await.unwrap();
    assert!(denied(bob.maintenance().defragment(pb::DefragmentRequest {}).await.map(drop)));
    let ask = own::ExplainRequest {
        user: "bob".into(),
        operation: "get".into(),
        key: "k55".into(),
        ..Default::default()
    };
    let mut own_view = AccessClient::new(bob.clone());
    let told = own_view.explain(ask.clone()).await.unwrap().into_inner();
    assert!(!told.allowed && told.role == "k" && told.reasons[0].contains("denies"), "{told:?}");
    let of_alice = own::ExplainRequest { user: "alice".into(), ..ask };
    assert!(own_view.explain(of_alice).await.is_err(), "of itself alone");
    set(own::RoleTerms { sources: vec!["10.0.0.0/8".into()], ..Default::default() }).await;
    assert!(denied(get("k1").await), "from elsewhere");
    set(own::RoleTerms { sources: vec!["127.0.0.0/8".into()], not_after: 1, ..Default::default() }).await;
    assert!(denied(get("k1").await), "it has ended");
    set(own::RoleTerms { sources: vec!["127.0.0.0/8".into()], write_bytes_max: 10, ..Default::default() })
        .await;
    get("k1").await.unwrap();
    let large = pb::PutRequest { key: "k1".into(), value: vec![0; 9].into(), ..Default::default() };
    let refused = bob.kv().put(large).await.unwrap_err();
    assert!(refused.message().starts_with("strongroom: a write of more than 10 bytes"), "{refused:?}");
    set(own::RoleTerms { requests_per_second: 5, ..Default::default() }).await;
    let mut limited = 0;
    for _ in 0..20 {
        limited += usize::from(get("k1").await.is_err_and(|status| status.code() == Code::ResourceExhausted));
    }
    assert!((10..=15).contains(&limited), "{limited}");
    let unknown = own::RoleTerms { abilities: vec!["everything".into()], ..Default::default() };
    let mut root = AccessClient::new(rig.administrator());
    let refused =
        root.set_role(own::SetRoleRequest { role: "k".into(), terms: Some(unknown) }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let of_root = own::SetRoleRequest { role: "root".into(), terms: Some(own::RoleTerms::default()) };
    assert!(root.set_role(of_root).await.is_err(), "root has no terms");
}

/// A certificate can be known by more than its common name, by a rule that only an administrator makes.
#[tokio::test]
async fn certificates_are_known_by_rules() {
    let (rig, mut accounts) = rig().await;
    accounts.user("workload", &["k"]).await;
    let names = CertificateNames { uri: Some("spiffe://a/ns/b".into()), ..CertificateNames::default() };
    let caller = rig.with_names("pod-7", names);
    let get = || pb::RangeRequest { key: "k1".into(), ..Default::default() };
    assert!(caller.kv().range(get()).await.is_err(), "no user of that common name");
    let mut root = AccessClient::new(rig.administrator());
    let rule = |user: &str| own::IdentityRule {
        name: "pods".into(),
        user: user.into(),
        matcher: Some(own::identity_rule::Matcher::Uri("spiffe://a/ns/b".into())),
    };
    root.set_identity(own::SetIdentityRequest { rule: Some(rule("workload")) }).await.unwrap();
    caller.kv().range(get()).await.unwrap();
    let me = AccessClient::new(caller.clone()).who_am_i(own::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!((me.user.as_str(), me.roles.as_slice()), ("workload", &["k".to_owned()][..]));
    assert!(
        AccessClient::new(caller.clone())
            .set_identity(own::SetIdentityRequest { rule: Some(rule("root")) })
            .await
            .is_err()
    );
    assert_eq!(root.show(own::ShowRequest {}).await.unwrap().into_inner().identities, [rule("workload")]);
    root.remove_identity(own::RemoveIdentityRequest { name: "pods".into() }).await.unwrap();
    assert!(caller.kv().range(get()).await.is_err());
    let again = root.remove_identity(own::RemoveIdentityRequest { name: "pods".into() }).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
}

/// Whoever asks why a certificate may do something must be told by which rule it is somebody; whose an identity is, is for
/// administrators to ask.
#[tokio::test]
async fn an_explanation_says_by_what_somebody_is_that_user() {
    let (rig, mut accounts) = rig().await;
    accounts.user("workload", &["k"]).await;
    let mut root = AccessClient::new(rig.administrator());
    let matcher = |uri: &str| Some(own::identity_rule::Matcher::Uri(uri.to_owned()));
    for (name, uri, user) in [("pods", "spiffe://a/b", "workload"), ("other", "spiffe://a/c", "alice")] {
        let rule = own::IdentityRule { name: name.into(), user: user.into(), matcher: matcher(uri) };
        root.set_identity(own::SetIdentityRequest { rule: Some(rule) }).await.unwrap();
    }
    let ask = |key: &str, user: &str, uri: Option<&str>| own::ExplainRequest {
        user: user.to_owned(),
        operation: "get".into(),
        key: key.to_owned().into(),
        identity: uri.map(|uri| own::IdentityRule { matcher: matcher(uri), ..Default::default() }),
        ..Default::default()
    };
    let by_pods = "identity rule \"pods\" (uri = \"spiffe://a/b\") makes its holder this user";
    let told = root.explain(ask("k1", "workload", None)).await.unwrap().into_inner();
    assert_eq!((told.allowed, told.user.as_str(), told.reasons.len()), (true, "", 2), "{told:?}");
    assert_eq!(told.reasons[1], by_pods);
    let told = root.explain(ask("k1", "", Some("spiffe://a/b"))).await.unwrap().into_inner();
    assert_eq!((told.allowed, told.user.as_str(), told.role.as_str()), (true, "workload", "k"), "{told:?}");
    assert_eq!(told.reasons[1], by_pods);
    let told = root.explain(ask("x", "", Some("spiffe://a/b"))).await.unwrap().into_inner();
    assert_eq!((told.allowed, told.user.as_str()), (false, "workload"), "{told:?}");
    let told = root.explain(ask("k1", "", Some("spiffe://a/d"))).await.unwrap().into_inner();
    assert_eq!((told.allowed, told.user.as_str()), (false, ""));
    assert_eq!(told.reasons, ["no identity rule is about uri = \"spiffe://a/d\""]);
    let told = root.explain(ask("k1", "alice", None)).await.unwrap().into_inner();
    assert_eq!(told.reasons[2], "a password makes whoever knows it this user", "{told:?}");
    let mut own_view = AccessClient::new(rig.named("workload"));
    assert_eq!(own_view.explain(ask("k1", "workload", None)).await.unwrap().into_inner().reasons[1], by_pods);
    for uri in ["spiffe://a/b", "spiffe://a/c", "spiffe://a/d"] {
        let refused = own_view.explain(ask("k1", "", Some(uri))).await.unwrap_err();
        assert_eq!(refused.message(), "etcdserver: permission denied", "{uri}");
    }
}
