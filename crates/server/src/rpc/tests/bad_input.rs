//! Whatever is said to the Auth and Access services: taken, or refused in milliseconds with words that name it; never a panic,
//! never a member that stops, and the policy stays one that can be asked. Each token that is not good, and each request beyond its
//! sender's rights, is counted: once.

use super::accounts::Accounts;
use super::matrix::{call, request_of};
use super::rig::{Caller, Refusals, Rig};
use super::watching::{Stream, create};
use crate::oidc::{Oidc, tests as issuer};
use crate::rpc::surface::METHODS;
use bytes::Bytes;
use env::Clock;
use env::sim::SimRandom;
use prost::Message;
use proto::authpb;
use proto::authpb::permission::Type;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::auth_client::AuthClient;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::access_client::AccessClient;
use serde_json::json;
use state::auth::Base;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};

/// Much longer than a refusal takes on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(500);

struct Timed(Arc<dyn Clock>);

impl Timed {
    async fn refusal<T: std::fmt::Debug>(
        &self,
        what: &str,
        ask: impl Future<Output = Result<T, Status>>,
    ) -> Status {
        let began = self.0.monotonic();
        let refused = ask.await.expect_err(what);
        let took = self.0.monotonic().since(began);
        assert!(took < AT_ONCE, "{what}: {took:?}");
        refused
    }
}

async fn rig() -> (Rig, Accounts, Timed) {
    let rig = Rig::new(Base::Closed);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user("bob", &["k"]).await;
    (rig, accounts, Timed(env::Env::real().clock))
}

/// Bob may still do what he may, and no more.
async fn bob_is_bob(rig: &Rig) {
    let read = |key: &'static str| pb::RangeRequest { key: key.into(), ..Default::default() };
    let bob = rig.named("bob");
    bob.kv().range(read("k1")).await.unwrap();
    assert_eq!(bob.kv().range(read("x")).await.unwrap_err().message(), "etcdserver: permission denied");
}

fn permission(key: impl Into<Bytes>, end: impl Into<Bytes>, kind: i32) -> authpb::Permission {
    authpb::Permission { perm_type: kind, key: key.into(), range_end: end.into() }
}

/// Each of these tokens, on its own and over a good certificate, to a read, a write, a question about the policy and a watch:
/// refused at once, and counted once; by the issuer's reasons too where they are of one.
async fn each_is_refused_and_counted(rig: &Rig, bad: &[(&str, String)], issuer: Option<&Oidc>) {
    let timed = Timed(env::Env::real().clock);
    let refused = || issuer.map(issuer::refused);
    for (what, token) in bad.iter().filter(|(_, token)| token.is_ascii()) {
        for caller in [rig.anonymous(), rig.named("bob")].map(|caller| caller.with_token(token)) {
            let (before, elsewhere) = (rig.refusals(), refused());
            let read = pb::RangeRequest { key: "k1".into(), ..Default::default() };
            let mut said = vec![timed.refusal(what, caller.kv().range(read)).await];
            let write = pb::PutRequest { key: "k1".into(), ..Default::default() };
            said.push(timed.refusal(what, caller.kv().put(write)).await);
            let show = own::ShowRequest {};
            said.push(timed.refusal(what, AccessClient::new(caller.clone()).show(show)).await);
            for status in said {
                assert_eq!(status.code(), Code::Unauthenticated, "{what}");
                assert_eq!(status.message(), "etcdserver: invalid auth token", "{what}");
            }
            let mut stream = Stream::open(&caller).await;
            stream.create(create("k1")).await;
            let watched = stream.answer().await;
            let is_refused = watched.canceled && watched.cancel_reason.ends_with("invalid auth token");
            assert!(is_refused, "{what}: {watched:?}");
            let counted = rig.refusals().since(before);
            assert_eq!(counted, Refusals { tokens: 4, ..Refusals::default() }, "{what}");
            assert_eq!(refused(), elsewhere.map(|before| before + 4), "{what}");
        }
    }
}

/// A token that is none, of the members' own kind: who guesses or replays shows in the count from the first one on.
#[tokio::test]
async fn bad_simple_tokens_are_refused_and_counted() {
    let (rig, mut accounts, _) = rig().await;
    accounts.user_with_password("alice", "alice's", &["k"]).await;
    let good = Accounts::token(&rig.anonymous(), "alice", "alice's").await.unwrap();
    let letters = good.split('.').next().unwrap();
    let bad = [
        ("empty", String::new()),
        ("made up", "abcdefghijklmnop.1".to_owned()),
        ("of a log position to come", format!("{letters}.18446744073709551615")),
        ("cut", letters.to_owned()),
        ("with a digit more", format!("{good}0")),
        ("in three parts, where no issuer is set", format!("{letters}.{letters}.1")),
        ("oversized", "x".repeat(60_000)),
    ];
    each_is_refused_and_counted(&rig, &bad, None).await;
    let before = rig.refusals();
    let read = pb::RangeRequest { key: "k1".into(), ..Default::default() };
    rig.anonymous().with_token(&good).kv().range(read).await.unwrap();
    assert_eq!(rig.refusals(), before);
}

/// A signed token that is forged, of no algorithm or of another, ended, oversized or somebody else's: the same.
#[tokio::test]
async fn bad_signed_tokens_are_refused_and_counted() {
    let (jwt, bad) = crate::login::jwt::tests::bad_tokens(env::Env::real().clock.wall().unix_seconds());
    let rig = Rig::signing(jwt);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user("bob", &["k"]).await;
    accounts.user_with_password("alice", "alice's", &["k"]).await;
    let good = Accounts::token(&rig.anonymous(), "alice", "alice's").await.unwrap();
    each_is_refused_and_counted(&rig, &bad, None).await;
    let before = rig.refusals();
    let read = pb::RangeRequest { key: "k1".into(), ..Default::default() };
    rig.anonymous().with_token(&good).kv().range(read).await.unwrap();
    assert_eq!(rig.refusals(), before);
}

/// An issuer's token that is not good is counted as refused, and by its reason beside.
#[tokio::test]
async fn bad_tokens_of_an_issuer_are_refused_and_counted() {
    let (oidc, token) = issuer::issuer();
    let rig = Rig::with_issuer(oidc.clone());
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user("oidc:carol", &["k"]).await;
    accounts.user("bob", &["k"]).await;
    let good = token(json!({"sub": "carol"}));
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let none = issuer::part(&json!({"alg": "none"}));
    let hmac = issuer::part(&json!({"alg": "HS256", "kid": "k"}));
    let bad = [
        ("forged", format!("{head}.{body}.A{signature}")),
        ("without its signature", format!("{head}.{body}.")),
        ("another's claims", format!("{head}.{}.{signature}", issuer::part(&json!({"sub": "root"})))),
        ("alg none", format!("{none}.{body}.")),
        ("alg of a secret", format!("{hmac}.{body}.{signature}")),
        ("ended", token(json!({"sub": "carol", "exp": 1_000_000_000}))),
        ("for somebody else", token(json!({"sub": "carol", "aud": "another"}))),
        ("of another issuer", token(json!({"sub": "carol", "iss": "https://another.example"}))),
        ("oversized", format!("{good}{}", "A".repeat(types::limits::OIDC_TOKEN_BYTES_MAX))),
        ("no parts", "..".to_owned()),
    ];
    each_is_refused_and_counted(&rig, &bad, Some(&oidc)).await;
    let before = (rig.refusals(), issuer::refused(&oidc));
    let read = pb::RangeRequest { key: "k1".into(), ..Default::default() };
    rig.anonymous().with_token(&good).kv().range(read).await.unwrap();
    assert_eq!((rig.refusals(), issuer::refused(&oidc)), before);
}

/// Whatever a role limits is counted as limited, each time, and nothing else is.
#[tokio::test]
async fn what_is_beyond_a_limit_is_refused_and_counted() {
    let (rig, mut accounts, timed) = rig().await;
    accounts.grant_permission("k", Type::Readwrite, "k", "l").await;
    let mut access = AccessClient::new(rig.administrator());
    let mut set = async |requests_per_second, write_bytes_max| {
        let terms = own::RoleTerms { requests_per_second, write_bytes_max, ..Default::default() };
        access.set_role(own::SetRoleRequest { role: "k".into(), terms: Some(terms) }).await.unwrap();
    };
    let bob = rig.named("bob");
    let put =
        |size: usize| pb::PutRequest { key: "k1".into(), value: vec![0; size].into(), ..Default::default() };
    set(0, 10).await;
    let before = rig.refusals();
    for _ in 0..3 {
        let refused = timed.refusal("too large", bob.kv().put(put(9))).await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
    bob.kv().put(put(8)).await.unwrap();
    assert_eq!(rig.refusals().since(before), Refusals { limited: 3, ..Refusals::default() });
    set(2, 0).await;
    let (before, mut limited) = (rig.refusals(), 0);
    for _ in 0..20 {
        limited +=
            u64::from(bob.kv().put(put(8)).await.is_err_and(|said| said.code() == Code::ResourceExhausted));
    }
    assert!(limited >= 10, "{limited}");
    assert_eq!(rig.refusals().since(before), Refusals { limited, ..Refusals::default() });
}

/// Ranges that hold no key are no permission and no denial: refused with etcd's words. Ranges of every other shape, the widest and
/// the longest too, are taken as they are, and nobody else's rights move.
#[tokio::test]
async fn ranges_of_every_shape_are_taken_or_refused() {
    let (rig, mut accounts, timed) = rig().await;
    let mut access = AccessClient::new(rig.administrator());
    let long = vec![b'k'; 100_000];
    accounts.empty_role("odd").await;
    let empty: [(&[u8], &[u8]); 6] =
        [(b"", b""), (b"", b"\0"), (b"", b"a"), (b"b", b"a"), (b"a", b"a"), (b"\xff\xff", b"\xff")];
    let mut deny = async |permission: authpb::Permission| {
        let terms = own::RoleTerms { deny: vec![permission], ..Default::default() };
        access.set_role(own::SetRoleRequest { role: "odd".into(), terms: Some(terms) }).await
    };
    for (key, end) in empty {
        let bytes = |each: &[u8]| Bytes::copy_from_slice(each);
        let what = format!("{} to {}", key.escape_ascii(), end.escape_ascii());
        let grant = accounts.try_grant_permission("odd", Type::Read, bytes(key), bytes(end));
        let refused = timed.refusal(&what, grant).await;
        assert_eq!(refused.message(), "etcdserver: invalid auth management", "{what}");
        let refused = timed.refusal(&what, deny(permission(bytes(key), bytes(end), 0))).await;
        assert_eq!(refused.message(), "etcdserver: invalid auth management", "{what}");
    }
    let odd: [(&[u8], &[u8]); 8] = [
        (b"\0", b""),
        (b"\0", b"\0"),
        (b"a", b"\0"),
        (b"a", b"a\0"),
        (b"\xff", b"\xff\xff"),
        (b"a", b"\0\0\0"),
        (&long, b""),
        (b"a", &long),
    ];
    for (key, end) in odd {
        let bytes = |each: &[u8]| Bytes::copy_from_slice(each);
        let taken = accounts.try_grant_permission("odd", Type::Write, bytes(key), bytes(end)).await;
        // The third byte string but one ends before it begins.
        assert_eq!(taken.is_ok(), end != b"\0\0\0", "{} to {}", key.escape_ascii(), end.escape_ascii());
        let kept = deny(permission(bytes(key), bytes(end), 2)).await;
        assert_eq!(kept.is_ok(), end != b"\0\0\0");
    }
    for kind in [3, -1, i32::MAX, i32::MIN] {
        let add =
            pb::AuthRoleGrantPermissionRequest { name: "odd".into(), perm: Some(permission("y", "", kind)) };
        // Kept as etcd keeps it, and good for nothing.
        AuthClient::new(rig.administrator()).role_grant_permission(add).await.unwrap();
    }
    let none = pb::AuthRoleGrantPermissionRequest { name: "odd".into(), perm: None };
    let mut auth = AuthClient::new(rig.administrator());
    let refused = timed.refusal("no permission", auth.role_grant_permission(none)).await;
    assert_eq!(refused.message(), "etcdserver: permission not given");
    let absent =
        pb::AuthRoleRevokePermissionRequest { role: "odd".into(), key: "".into(), range_end: "".into() };
    let refused = timed.refusal("not granted", auth.role_revoke_permission(absent)).await;
    assert_eq!(refused.message(), "etcdserver: permission is not granted to the role");
    accounts.user("odd", &["odd"]).await;
    let read = pb::RangeRequest { key: "y".into(), ..Default::default() };
    assert!(rig.named("odd").kv().range(read).await.is_err(), "a kind that nobody knows gives nothing");
    bob_is_bob(&rig).await;
}

/// A name may hold anything but nothing; what it holds comes back as it was said, and is nobody else.
#[tokio::test]
async fn names_of_every_kind_are_names() {
    let (rig, mut accounts, timed) = rig().await;
    let mut auth = AuthClient::new(rig.administrator());
    let nobody = pb::AuthUserAddRequest {
        options: Some(authpb::UserAddOptions { no_password: true }),
        ..Default::default()
    };
    let refused = timed.refusal("no name", auth.user_add(nobody)).await;
    assert_eq!(refused.message(), "etcdserver: user name is empty");
    let refused = timed.refusal("no name", auth.role_add(pb::AuthRoleAddRequest::default())).await;
    assert_eq!(refused.message(), "etcdserver: role name is empty");
    let long = "n".repeat(100_000);
    let odd =
        [" ", "bob ", "Bob", "a\0b", "../..", "\u{202e}bob", "bob\n", "b\u{f6}b", "%s", "root\0", &long];
    for name in odd {
        accounts.role(name, "n", "o").await;
        accounts.user(name, &[name]).await;
        let told = auth.user_get(pb::AuthUserGetRequest { name: name.into() }).await.unwrap().into_inner();
        assert_eq!(told.roles, [name]);
        let again = auth.role_add(pb::AuthRoleAddRequest { name: name.into() });
        let refused = timed.refusal("there already", again).await;
        assert_eq!(refused.message(), "etcdserver: role name already exists");
    }
    let listed = auth.user_list(pb::AuthUserListRequest {}).await.unwrap().into_inner().users;
    assert_eq!(listed.len(), odd.len() + 2, "with root and bob");
    let (user, role) = ("bob".to_owned(), "absent".to_owned());
    let grant = pb::AuthUserGrantRoleRequest { user, role };
    let refused = timed.refusal("no such role", auth.user_grant_role(grant)).await;
    assert_eq!(refused.message(), "etcdserver: role name not found");
    // Words that are no text never come to a handler.
    let answer = call(&rig.administrator(), "/etcdserverpb.Auth/UserAdd", &[0x0a, 2, 0xff, 0xfe]).await;
    assert_eq!(answer.status, Some(i32::from(Code::Internal)), "{answer:?}");
    bob_is_bob(&rig).await;
}

/// Ten thousand denials and ten thousand permissions of one role cost whoever asks a bisection; one too large for the log is
/// refused as every other request.
#[tokio::test]
async fn a_role_of_ten_thousand_ranges_is_still_quick_to_ask() {
    let (rig, mut accounts, timed) = rig().await;
    let mut access = AccessClient::new(rig.administrator());
    let ranges = |from: usize, to: usize| -> Vec<authpb::Permission> {
        (from..to).map(|n| permission(format!("k{n:08}a"), format!("k{n:08}b"), 2)).collect()
    };
    let mut set = async |deny| {
        let terms = own::RoleTerms { deny, ..Default::default() };
        access.set_role(own::SetRoleRequest { role: "k".into(), terms: Some(terms) }).await
    };
    set(ranges(0, 10_000)).await.unwrap();
    let refused = timed.refusal("too large", set(ranges(0, 60_000))).await;
    assert_eq!(refused.message(), "etcdserver: request is too large");
    let bob = rig.named("bob");
    let read = async |key: String| {
        let began = timed.0.monotonic();
        let read = pb::RangeRequest { key: key.into(), serializable: true, ..Default::default() };
        let answered = bob.kv().range(read).await.map(drop).map_err(|status| status.message().to_owned());
        (answered, timed.0.monotonic().since(began))
    };
    // The first question gathers them all.
    read("k".to_owned()).await.0.unwrap();
    let mut times = Vec::new();
    for n in (0..10_000).step_by(97) {
        let (answered, took) = read(format!("k{n:08}a5")).await;
        assert_eq!(answered.unwrap_err(), "etcdserver: permission denied");
        times.push(took);
        read(format!("k{n:08}c")).await.0.unwrap();
    }
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_millis(20), "{times:?}");
    set(Vec::new()).await.unwrap();
    for n in 0..300 {
        accounts.grant_permission("k", Type::Read, &format!("x{n:04}a"), &format!("x{n:04}b")).await;
    }
    read("x0299a".to_owned()).await.0.unwrap();
    assert!(read("x0299b".to_owned()).await.0.is_err());
    bob_is_bob(&rig).await;
}

/// Our own service names what it does not take: a right, a network, a rule without a name, a user or anything to recognize by.
#[tokio::test]
async fn what_our_own_service_does_not_take_is_named() {
    let (rig, _, timed) = rig().await;
    let mut access = AccessClient::new(rig.administrator());
    let of =
        |role: &str, terms: own::RoleTerms| own::SetRoleRequest { role: role.into(), terms: Some(terms) };
    let networks = [
        "",
        "/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "300.1.1.1",
        "::/129",
        "10.0.0.0/8 ",
        "localhost",
        "10",
    ];
    for network in networks {
        let sources = vec![network.to_owned()];
        let terms = own::RoleTerms { sources, ..Default::default() };
        let refused = timed.refusal(network, access.set_role(of("k", terms))).await;
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(&format!("{network:?} is neither")), "{refused:?}");
    }
    for right in ["", "everything", "Compact", "compact ", "root"] {
        let terms = own::RoleTerms { abilities: vec![right.to_owned()], ..Default::default() };
        let refused = timed.refusal(right, access.set_role(of("k", terms))).await;
        assert!(refused.message().contains(&format!("{right:?} is neither")), "{refused:?}");
    }
    for (role, said) in
        [("", "role name not found"), ("absent", "role name not found"), ("root", "invalid auth management")]
    {
        let refused = timed.refusal(role, access.set_role(of(role, own::RoleTerms::default()))).await;
        assert_eq!(refused.message(), format!("etcdserver: {said}"));
    }
    let extremes = own::RoleTerms {
        not_after: u64::MAX,
        requests_per_second: u64::MAX,
        write_bytes_max: u64::MAX,
        sources: vec!["0.0.0.0/0".into(), "::/0".into()],
        ..Default::default()
    };
    access.set_role(of("k", extremes)).await.unwrap();
    bob_is_bob(&rig).await;
    use own::identity_rule::Matcher;
    let rule = |name: &str, user: &str, matcher| {
        let rule = own::IdentityRule { name: name.into(), user: user.into(), matcher };
        own::SetIdentityRequest { rule: Some(rule) }
    };
    let uri = || Some(Matcher::Uri("spiffe://a/b".into()));
    for wrong in [
        own::SetIdentityRequest { rule: None },
        rule("n", "bob", None),
        rule("", "bob", uri()),
        rule("n", "", uri()),
    ] {
        let what = format!("{wrong:?}");
        let refused = timed.refusal(&what, access.set_identity(wrong)).await;
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    let explain = |operation: &str, key: &str, source: &str| own::ExplainRequest {
        user: "bob".into(),
        operation: operation.into(),
        key: Bytes::copy_from_slice(key.as_bytes()),
        range_end: Bytes::new(),
        source: source.into(),
        identity: None,
    };
    let identity = |matcher| own::ExplainRequest {
        user: String::new(),
        identity: Some(own::IdentityRule { matcher, ..Default::default() }),
        ..explain("get", "k", "")
    };
    for wrong in [
        identity(None),
        own::ExplainRequest { user: "bob".into(), ..identity(uri()) },
        identity(Some(Matcher::OidcClaim(own::OidcClaim::default()))),
        explain("", "k", ""),
        explain("get", "", ""),
        explain("get", "k", "nowhere"),
        explain("GET", "k", ""),
    ] {
        let what = format!("{wrong:?}");
        let refused = timed.refusal(&what, access.explain(wrong)).await;
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    bob_is_bob(&rig).await;
}

/// Mutated requests to every method of both services, by an administrator, whom nothing stops at the gate: each is answered, the
/// member goes on, and the policy can still be read from its log.
#[tokio::test]
async fn no_bytes_of_a_request_about_access_stop_the_member() {
    let seed = env::Random::number(&*env::Env::real().random);
    println!("seed {seed}");
    let chance = SimRandom::new(seed);
    let (rig, _, timed) = rig().await;
    let root: Caller = rig.administrator();
    let terms = own::RoleTerms {
        deny: vec![permission("k5", "k6", 1)],
        abilities: vec!["compact".into()],
        sources: vec!["10.0.0.0/8".into()],
        not_after: 9,
        requests_per_second: 5,
        write_bytes_max: 6,
    };
    let matcher = Some(own::identity_rule::Matcher::Dns("a.example".into()));
    let rule = own::IdentityRule { name: "n".into(), user: "bob".into(), matcher };
    let grant = pb::AuthRoleGrantPermissionRequest { name: "r".into(), perm: Some(permission("k", "l", 2)) };
    let begin = |path: &str| match path.rsplit('/').next().unwrap_or_default() {
        "SetRole" => own::SetRoleRequest { role: "r".into(), terms: Some(terms.clone()) }.encode_to_vec(),
        "SetIdentity" => own::SetIdentityRequest { rule: Some(rule.clone()) }.encode_to_vec(),
        "RoleGrantPermission" => grant.encode_to_vec(),
        "RoleAdd" => pb::AuthRoleAddRequest { name: "r".into() }.encode_to_vec(),
        _ => request_of(path),
    };
    let methods: Vec<_> = METHODS
        .iter()
        .filter(|method| method.path.contains(".Auth/") || method.path.contains(".Access/"))
        .filter(|method| !method.path.ends_with("/Authenticate"))
        .collect();
    let below = |bound: usize| usize::try_from(chance.below(bound.max(1) as u64)).unwrap();
    for _ in 0..1_500 {
        let method = methods[below(methods.len())];
        let mut bytes = begin(method.path);
        for _ in 0..below(4) {
            let at = below(bytes.len());
            match chance.below(4) {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|each| *each ^= 1 << below(8)),
                1 => bytes.insert(at, u8::try_from(chance.below(256)).unwrap()),
                2 => bytes.truncate(at),
                _ => drop(bytes.splice(at..at, [0xff; 9].into_iter().chain([1]))),
            }
        }
        let began = timed.0.monotonic();
        let answer = call(&root, method.path, &bytes).await;
        let took = timed.0.monotonic().since(began);
        assert!(answer.status.is_some() || took < AT_ONCE, "seed {seed}: {} {bytes:?}", method.path);
        assert!(took < Duration::from_secs(2), "seed {seed}: {took:?} for {} {bytes:?}", method.path);
    }
    let mut access = AccessClient::new(root.clone());
    access.show(own::ShowRequest {}).await.unwrap();
    super::watching::put(&root, "k1", "the member goes on").await;
}
