//! Users of an OpenID Connect issuer through the services: whose a token is, and what ends with the rule that says so.

use super::accounts::Accounts;
use super::rig::Rig;
use super::watching::{Stream, create};
use crate::oidc::tests::issuer;
use proto::etcdserverpb as pb;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::access_client::AccessClient;
use proto::strongroom::v1::identity_rule::Matcher;
use serde_json::json;
use std::time::Duration;
use tonic::Code;

fn get() -> pb::RangeRequest {
    pb::RangeRequest { key: "k1".into(), ..Default::default() }
}

fn rule(issuer: &str, user: &str) -> own::SetIdentityRequest {
    let claim = own::OidcClaim { issuer: issuer.into(), name: "groups".into(), value: "staff".into() };
    let rule =
        own::IdentityRule { name: "r".into(), user: user.into(), matcher: Some(Matcher::OidcClaim(claim)) };
    own::SetIdentityRequest { rule: Some(rule) }
}

/// A claim makes a user by its rule alone: of this issuer, for what the user's roles allow, and never what the certificate
/// beside the token may. Without a rule the name in the token counts, behind its prefix; root is nobody's by name.
#[tokio::test]
async fn a_token_is_whose_the_rules_say() {
    let (oidc, token) = issuer();
    let rig = Rig::with_issuer(oidc.clone());
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user("staff", &["k"]).await;
    accounts.user("oidc:carol", &["k"]).await;
    let alice = rig.administrator().with_token(&token(json!({"sub": "alice", "groups": ["a", "staff"]})));
    assert_eq!(alice.kv().range(get()).await.unwrap_err().code(), Code::PermissionDenied);
    let mut root = AccessClient::new(rig.administrator());
    root.set_identity(rule("https://another.example", "staff")).await.unwrap();
    assert!(alice.kv().range(get()).await.is_err(), "a rule of another issuer");
    root.set_identity(rule("", "staff")).await.unwrap();
    let shown = root.show(own::ShowRequest {}).await.unwrap().into_inner().identities;
    assert_eq!(shown, [rule(oidc.issuer(), "staff").rule.unwrap()], "the member's issuer is filled in");
    alice.kv().range(get()).await.unwrap();
    let beyond = pb::RangeRequest { key: "m".into(), ..Default::default() };
    assert_eq!(alice.kv().range(beyond).await.unwrap_err().code(), Code::PermissionDenied);
    let me = AccessClient::new(alice.clone()).who_am_i(own::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!((me.user.as_str(), me.rule.as_str(), me.is_administrator), ("staff", "r", false));
    assert!(me.recognized_by.contains(oidc.issuer()), "{}", me.recognized_by);
    let by = |claims| rig.anonymous().with_token(&token(claims));
    by(json!({"sub": "carol"})).kv().range(get()).await.unwrap();
    assert!(by(json!({"sub": "dave"})).kv().range(get()).await.is_err());
    assert!(by(json!({"sub": "root"})).kv().range(get()).await.is_err());
    let forged = rig.administrator().with_token(&format!("{}A", token(json!({"sub": "carol"}))));
    assert_eq!(forged.kv().range(get()).await.unwrap_err().code(), Code::Unauthenticated);
    assert!(rig.metrics.tokens_refused.value() > 0);
}

/// Who was somebody by a rule is nobody when the rule goes, on a stream that is open too: else taking a rule back would not
/// take effect on who is already in.
#[tokio::test]
async fn a_stream_ends_with_the_rule_that_named_its_caller() {
    let (oidc, token) = issuer();
    let rig = Rig::with_issuer(oidc);
    let mut accounts = Accounts::of(&rig.administrator());
    accounts.role("k", "k", "l").await;
    accounts.user("staff", &["k"]).await;
    let mut root = AccessClient::new(rig.administrator());
    root.set_identity(rule("", "staff")).await.unwrap();
    let mut stream =
        Stream::open(&rig.anonymous().with_token(&token(json!({"sub": "a", "groups": ["staff"]})))).await;
    stream.create(create("k1")).await;
    assert!(stream.answer().await.created);
    root.remove_identity(own::RemoveIdentityRequest { name: "r".into() }).await.unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(1), stream.answer()).await.unwrap();
    assert!(cut.canceled && cut.cancel_reason.ends_with("permission denied"), "{cut:?}");
}

/// A rule that no token can fit, or of no issuer, is a mistake that would otherwise show only as a refusal later.
#[tokio::test]
async fn a_rule_without_its_parts_is_refused() {
    let rig = Rig::new(state::auth::Base::Closed);
    let mut root = AccessClient::new(rig.administrator());
    let refused = root.set_identity(rule("", "staff")).await.unwrap_err();
    assert!(refused.message().contains("--oidc-issuer"), "{}", refused.message());
    let mut empty = rule("https://i.example", "staff");
    if let Some(Matcher::OidcClaim(claim)) = empty.rule.as_mut().unwrap().matcher.as_mut() {
        claim.value.clear();
    }
    assert_eq!(root.set_identity(empty).await.unwrap_err().code(), Code::InvalidArgument);
}
