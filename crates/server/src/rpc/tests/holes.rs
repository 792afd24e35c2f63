//! Holes that etcd's access control had, each as the property that closes it: docs/testing.md names them by their advisories.

use super::accounts::Accounts;
use super::rig::{Caller, Rig};
use super::watching::{Stream, put};
use bytes::Bytes;
use env::sim::SimRandom;
use proto::authpb::permission::Type;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::auth_client::AuthClient;
use state::auth::Base;
use std::time::Duration;

const DENIED: &str = "etcdserver: permission denied";

/// What the gate says to a range, if it refuses it.
async fn range_denied(caller: &Caller, key: &Bytes, range_end: &Bytes) -> bool {
    let read = pb::RangeRequest { key: key.clone(), range_end: range_end.clone(), ..Default::default() };
    caller.kv().range(read).await.is_err_and(|status| status.message() == DENIED)
}

/// A watcher is a range read again and again: whatever the shape of the range (one key, an interval, inverted, from a key on,
/// everything) and whatever was granted, it is let in exactly where the plain read is. etcd once let a right to one key
/// watch all keys from it on (GHSA-xg4h-6gfc-h4m8).
#[tokio::test]
async fn a_watch_is_let_in_exactly_where_a_range_is() {
    let seed = env::Env::real().random.number();
    println!("seed {seed}");
    let random = SimRandom::new(seed);
    let some = |from: &[&'static [u8]]| {
        Bytes::from_static(from[usize::try_from(random.below(from.len() as u64)).unwrap()])
    };
    let keys: [&'static [u8]; 8] = [b"\0", b"a", b"a\0", b"b", b"ba", b"c", b"\xff", b"\xff\xff"];
    let ends: [&'static [u8]; 10] = [b"", b"", b"\0", b"a", b"a\0", b"b", b"ba", b"c", b"\xff", b"\xff\xff"];
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    let (mut allowed, mut denied) = (0, 0);
    for n in 0..12 {
        let (role, user) = (format!("role{n}"), format!("user{n}"));
        accounts.empty_role(&role).await;
        for _ in 0..random.below(4) {
            let (key, end) = (some(&keys), some(&ends));
            // An inverted range is no permission.
            let _ = accounts.try_grant_permission(&role, Type::Read, key, end).await;
        }
        accounts.user(&user, &[&role]).await;
        let caller = rig.named(&user);
        for _ in 0..25 {
            let (key, range_end) = (some(&keys), some(&ends));
            let mut stream = Stream::open(&caller).await;
            stream
                .create(pb::WatchCreateRequest {
                    key: key.clone(),
                    range_end: range_end.clone(),
                    ..Default::default()
                })
                .await;
            let told = stream.answer().await;
            let watch_denied = told.canceled && told.cancel_reason.ends_with(DENIED);
            let range_denied = range_denied(&caller, &key, &range_end).await;
            assert_eq!(watch_denied, range_denied, "seed {seed}: {key:?} to {range_end:?}: {told:?}");
            *(if range_denied { &mut denied } else { &mut allowed }) += 1;
        }
    }
    assert!(allowed > 10 && denied > 10, "{allowed} {denied}");
}

/// The names of a lease's keys are shown only to who may read all of them; without them everybody may ask, as in etcd
/// (CVE-2023-32082).
#[tokio::test]
async fn the_names_of_a_leases_keys_need_the_right_to_read_them() {
    let rig = Rig::new(Base::Closed);
    let (root, mut accounts) = (rig.administrator(), Accounts::of(&rig.administrator()));
    accounts.role("k", "k", "l").await;
    accounts.user("bob", &["k"]).await;
    let bob = rig.named("bob");
    root.lease().lease_grant(pb::LeaseGrantRequest { id: 1, ttl: 600 }).await.unwrap();
    let hang = async |key: &'static str| {
        root.kv().put(pb::PutRequest { key: key.into(), lease: 1, ..Default::default() }).await.unwrap();
    };
    let ask = async |keys| {
        let ask = pb::LeaseTimeToLiveRequest { id: 1, keys };
        bob.lease().lease_time_to_live(ask).await.map(|told| told.into_inner().keys)
    };
    hang("k1").await;
    assert_eq!(ask(true).await.unwrap(), ["k1"]);
    hang("secret").await;
    assert_eq!(ask(true).await.unwrap_err().message(), DENIED);
    assert!(ask(false).await.unwrap().is_empty());
    let all = bob.lease().lease_leases(pb::LeaseLeasesRequest {}).await;
    assert_eq!(all.unwrap_err().message(), DENIED, "nor to list leases, as in etcd");
}

/// Tokens that are not good cost the member a look, not a wait: etcd parks one that names a log position to come until its
/// client gives up.
#[tokio::test]
async fn a_token_that_is_not_good_is_refused_at_once() {
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user_with_password("alice", "alice's", &["k"]).await;
    let good = Accounts::token(&rig.anonymous(), "alice", "alice's").await.unwrap();
    let clock = env::Env::real().clock;
    let letters = good.split('.').next().unwrap();
    let long = "x".repeat(60_000);
    let far = format!("{letters}.18446744073709551615");
    for bad in [&far, &format!("{letters}."), letters, ".", ".1", "Bearer ", &format!("{good}0"), &long] {
        let began = clock.monotonic();
        let read = pb::RangeRequest { key: "k1".into(), ..Default::default() };
        let refused = rig.anonymous().with_token(bad).kv().range(read).await.unwrap_err();
        assert_eq!(refused.message(), "etcdserver: invalid auth token", "{bad:.40}");
        let took = clock.monotonic().since(began);
        assert!(took < Duration::from_millis(500), "{bad:.40}: {took:?}");
    }
    assert!(!range_denied(&rig.anonymous().with_token(&good), &"k1".into(), &Bytes::new()).await);
}

/// A token that was asked for with a certificate is worth nothing to who stole it and shows another, or none; etcd takes it from
/// everybody.
#[tokio::test]
async fn a_stolen_token_is_worth_nothing_with_another_certificate() {
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user_with_password("alice", "alice's", &["k"]).await;
    let token = Accounts::token(&rig.named("host-1"), "alice", "alice's").await.unwrap();
    let (key, end) = ("k1".into(), Bytes::new());
    let read = pb::RangeRequest { key: "k1".into(), ..Default::default() };
    rig.named("host-1").with_token(&token).kv().range(read.clone()).await.unwrap();
    assert!(!range_denied(&rig.named("host-1").with_token(&token), &key, &end).await);
    for thief in [rig.named("host-2"), rig.named("alice"), rig.administrator(), rig.anonymous()] {
        let refused = thief.with_token(&token).kv().range(read.clone()).await.unwrap_err();
        assert_eq!(refused.message(), "etcdserver: invalid auth token");
    }
}

/// Whoever was an administrator is none from the moment on that the role is taken, by token and by certificate, with what
/// was opened before, too: etcd asks an administrator's old token for nothing but its name.
#[tokio::test]
async fn a_demoted_administrator_has_no_rights_left() {
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.user_with_password("second", "second's", &["root"]).await;
    let token = Accounts::token(&rig.anonymous(), "second", "second's").await.unwrap();
    let callers = [rig.anonymous().with_token(&token), rig.named("second")];
    let mut streams = Vec::new();
    for caller in &callers {
        put(caller, "k", "an administrator's").await;
        let mut stream = Stream::open(caller).await;
        stream.create(pb::WatchCreateRequest { key: "k".into(), ..Default::default() }).await;
        assert!(stream.answer().await.created);
        streams.push(stream);
    }
    let revoke = pb::AuthUserRevokeRoleRequest { name: "second".into(), role: "root".into() };
    AuthClient::new(rig.administrator()).user_revoke_role(revoke).await.unwrap();
    for (caller, stream) in callers.iter().zip(&mut streams) {
        let add = pb::AuthUserAddRequest { name: "third".into(), ..Default::default() };
        let refused = AuthClient::new(caller.clone()).user_add(add).await.unwrap_err();
        assert_eq!(refused.message(), DENIED);
        let write = pb::PutRequest { key: "k".into(), ..Default::default() };
        assert_eq!(caller.kv().put(write).await.unwrap_err().message(), DENIED);
        let snapshot = caller.maintenance().snapshot(pb::SnapshotRequest {}).await;
        assert_eq!(snapshot.unwrap_err().message(), DENIED);
        let told = tokio::time::timeout(Duration::from_secs(1), stream.answer()).await.unwrap();
        assert!(told.canceled && told.cancel_reason.ends_with(DENIED), "{told:?}");
    }
}
