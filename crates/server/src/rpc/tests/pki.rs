//! The Pki service: who gets a certificate, for what proof, and what each wrong proof comes to.

use super::rig::{Caller, Rig};
use ::certificate::{About, KeyPair, Pin, Token, pem};
use bytes::Bytes;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::pki_client::PkiClient;
use state::auth::CertificateNames;
use tonic::{Code, Status};

fn pki(caller: &Caller) -> PkiClient<Caller> {
    PkiClient::new(caller.clone())
}

fn request_for(role: &str) -> (KeyPair, own::CertificateRequest) {
    let key = KeyPair::generate().unwrap();
    let request = Bytes::from(key.request().unwrap());
    (key, own::CertificateRequest { role: role.into(), request })
}

fn about(issued: &own::IssuedCertificate) -> About {
    About::of(&pem::read_certificates(&issued.chain).unwrap()[0]).unwrap()
}

async fn token(rig: &Rig, roles: &[&str], name: &str, names: &[&str]) -> Token {
    let ask = own::AddTokenRequest {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        name: name.into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let answer = pki(&rig.administrator()).add_token(ask).await.unwrap().into_inner();
    Token::parse(&answer.token).unwrap()
}

async fn enroll(rig: &Rig, token: &Token, roles: &[&str]) -> Result<own::IssueResponse, Status> {
    let requests = roles.iter().map(|role| request_for(role).1).collect();
    let secret = Bytes::copy_from_slice(&*token.secret);
    let ask = own::EnrollRequest { id: token.id.clone(), secret, requests };
    pki(&rig.anonymous()).enroll(ask).await.map(tonic::Response::into_inner)
}

/// A stranger with a token becomes whom the administrator said, with the key it made itself; the token's pin is the root's, so
/// that the stranger knows whom it got that from. A second use comes to nothing.
#[tokio::test]
async fn a_token_makes_of_a_stranger_whom_the_administrator_said() {
    let rig = Rig::issuing();
    let token = token(&rig, &["client"], "alice", &["spiffe://a/alice"]).await;
    let roots = pki(&rig.anonymous()).roots(own::RootsRequest {}).await.unwrap().into_inner().roots;
    let root = About::of(&pem::read_certificates(&roots).unwrap()[0]).unwrap();
    assert_eq!(token.pin, Pin::of(&root.public_key));
    let answer = enroll(&rig, &token, &["client"]).await.unwrap();
    let [issued] = answer.certificates.as_slice() else { panic!("{answer:?}") };
    let about = about(issued);
    assert_eq!((about.common_name.as_str(), about.names), ("alice", vec!["spiffe://a/alice".to_owned()]));
    assert_eq!(answer.roots, roots);
    let recorded = rig.register();
    let recorded = recorded.certificate(&issued.serial).unwrap();
    assert!(recorded.by.starts_with("token ") && recorded.by.ends_with(" of root"), "{}", recorded.by);
    let again = enroll(&rig, &token, &["client"]).await.unwrap_err();
    assert_eq!(again.code(), Code::PermissionDenied, "{again:?}");
}

/// A machine that joins gets both of its certificates with one token, and what members trust each other by.
#[tokio::test]
async fn a_member_to_be_gets_both_of_its_certificates() {
    let rig = Rig::issuing();
    let token = token(&rig, &["server", "peer"], "m2", &["m2.example", "10.0.0.2"]).await;
    let answer = enroll(&rig, &token, &["server", "peer"]).await.unwrap();
    let usages: Vec<_> = answer.certificates.iter().map(|each| about(each).usages.unwrap()).collect();
    assert!(usages[0].server && !usages[0].client && usages[1].server && usages[1].client);
    let peer = about(&answer.certificates[1]);
    assert!(peer.names.contains(&"urn:strongroom:member:m2".to_owned()), "{:?}", peer.names);
    assert!(answer.peer_roots.contains("BEGIN CERTIFICATE"));
    let (clients, peers) = (about(&answer.certificates[0]).issuer, peer.issuer);
    assert_ne!(clients, peers, "two issuers");
}

/// Whatever is wrong with a token or what comes with it, the answer is the same few words: nothing is told to whoever guesses,
/// nothing is issued, and it is counted. The token is not used up by it.
#[tokio::test]
async fn a_wrong_proof_gets_nothing_and_is_counted() {
    let rig = Rig::issuing();
    let token = token(&rig, &["client"], "alice", &[]).await;
    let before = rig.register().issued().count();
    let wrong_secret = Token { secret: Default::default(), ..token.clone() };
    let unknown = Token { id: "8000000000000001".into(), ..token.clone() };
    let mut refused = 0;
    for (token, roles) in [
        (&wrong_secret, &["client"][..]),
        (&unknown, &["client"]),
        (&token, &["administrator"]),
        (&token, &["server"]),
        (&token, &["client", "client"]),
        (&token, &[]),
        (&token, &["client", "client", "client", "client", "client"]),
        (&token, &["king"]),
    ] {
        let error = enroll(&rig, token, roles).await.unwrap_err();
        let expected = [Code::PermissionDenied, Code::InvalidArgument];
        assert!(expected.contains(&error.code()), "{roles:?}: {error:?}");
        refused += 1;
        assert_eq!(rig.metrics.enrolments_refused.value(), refused);
    }
    let (_, good) = request_for("client");
    let mut forged = good.request.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    for request in [Bytes::new(), Bytes::from(forged), Bytes::from(vec![0x30; 20_000])] {
        let requests = vec![own::CertificateRequest { role: "client".into(), request }];
        let secret = Bytes::copy_from_slice(&*token.secret);
        let ask = own::EnrollRequest { id: token.id.clone(), secret, requests };
        let error = pki(&rig.anonymous()).enroll(ask).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    }
    assert_eq!(rig.register().issued().count(), before);
    enroll(&rig, &token, &["client"]).await.unwrap();
}

/// A token that was taken back, and one of two that come at the same moment, get nothing: the entry that hands out is the one
/// that uses it up.
#[tokio::test]
async fn a_token_is_good_for_one_of_two_and_for_none_when_taken_back() {
    let rig = Rig::issuing();
    let token_of_two = token(&rig, &["client"], "alice", &[]).await;
    let (one, other) =
        tokio::join!(enroll(&rig, &token_of_two, &["client"]), enroll(&rig, &token_of_two, &["client"]));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let void = token(&rig, &["client"], "bob", &[]).await;
    let remove = own::RemoveTokenRequest { id: void.id.clone() };
    pki(&rig.administrator()).remove_token(remove).await.unwrap();
    assert!(enroll(&rig, &void, &["client"]).await.is_err());
}

/// A certificate is renewed by whoever shows it, as the same person and no other; one that is revoked, or that somebody else's
/// authority issued, is not.
#[tokio::test]
async fn a_certificate_is_renewed_by_its_holder_alone() {
    let rig = Rig::issuing();
    let token = token(&rig, &["client"], "alice", &[]).await;
    let first = enroll(&rig, &token, &["client"]).await.unwrap().certificates.remove(0);
    let holder = |serial: Option<&str>| {
        let names = CertificateNames { serial: serial.map(str::to_owned), ..CertificateNames::default() };
        pki(&rig.with_names("alice", names))
    };
    let ask = || own::RenewRequest { request: request_for("client").1.request };
    let renewed = holder(Some(&first.serial)).renew(ask()).await.unwrap().into_inner().certificates.remove(0);
    assert_eq!(about(&renewed).common_name, "alice");
    assert_ne!(renewed.serial, first.serial);
    let life = |issued: &own::IssuedCertificate| about(issued).not_after - about(issued).not_before;
    assert!((life(&renewed) - life(&first)).abs() <= 1, "as long as before");
    for stranger in [holder(None), holder(Some("00")), pki(&rig.anonymous())] {
        let error = stranger.clone().renew(ask()).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error:?}");
    }
    let revoke = own::RevokeRequest { serial: first.serial.to_uppercase() };
    pki(&rig.administrator()).revoke(revoke).await.unwrap();
    assert!(holder(Some(&first.serial)).renew(ask()).await.is_err());
}

/// What an administrator asks for is bounded by what certificates of this authority may say.
#[tokio::test]
async fn an_administrators_wishes_are_bounded() {
    let rig = Rig::issuing();
    let mut root = pki(&rig.administrator());
    let (_, request) = request_for("client");
    let ask = |name: &str, names: &[&str], life: u64| own::IssueRequest {
        request: Some(request.clone()),
        name: name.into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        life_seconds: life,
    };
    for (name, names, life) in [
        ("root", &[][..], 0),
        ("", &[], 0),
        ("a", &["urn:strongroom:role:administrator"], 0),
        ("a", &[], 398 * 86_400),
        ("a\u{7}", &[], 0),
    ] {
        let error = root.issue(ask(name, names, life)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{name:?}: {error:?}");
        assert!(error.message().contains("; hint: "), "{error:?}");
    }
    let issued = root.issue(ask("a", &[], 3_600)).await.unwrap().into_inner().certificates.remove(0);
    assert_eq!(about(&issued).not_after - about(&issued).not_before, 7_200, "an hour, begun an hour early");
    let list = root.list(own::ListRequest { with_keys: false }).await.unwrap().into_inner();
    assert!(list.authorities.iter().all(|authority| authority.keys.is_empty()));
    assert!(list.certificates.iter().any(|each| each.serial == issued.serial && each.by == "root"));
}

/// Whoever replaces an authority must leave it usable: a key that some holder could not open, a name that is not its key's, or
/// certificates of several keys are refused; and what issues now cannot be taken away.
#[tokio::test]
async fn an_authority_is_replaced_whole_or_not_at_all() {
    let rig = Rig::issuing();
    let mut root = pki(&rig.administrator());
    let list = root.list(own::ListRequest { with_keys: true }).await.unwrap().into_inner();
    let good = list.authorities.iter().find(|each| each.kind == "clients").unwrap().clone();
    let other = list.authorities.iter().find(|each| each.kind == "peers").unwrap().clone();
    let both = [good.certificates.clone(), other.certificates.clone()].concat();
    let wrong = [
        own::Authority { id: "0123".into(), ..good.clone() },
        own::Authority { kind: "king".into(), ..good.clone() },
        own::Authority { certificates: vec![], ..good.clone() },
        own::Authority { certificates: vec![Bytes::from_static(b"x")], ..good.clone() },
        own::Authority { certificates: both, ..good.clone() },
        own::Authority { keys: good.keys[..1].to_vec(), ..good.clone() },
    ];
    for authority in wrong {
        let ask = own::SetAuthoritiesRequest { authorities: vec![authority.clone()] };
        let error = root.set_authorities(ask).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{authority:?}: {error:?}");
    }
    let error = root.remove_authority(own::RemoveAuthorityRequest { id: good.id.clone() }).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    let same = own::SetAuthoritiesRequest { authorities: vec![good] };
    root.set_authorities(same).await.unwrap();
    assert_eq!(rig.register().authorities().count(), 3);
}

/// A member that serves certificates of somebody else's authority has nothing to give, and says what to do.
#[tokio::test]
async fn without_an_authority_nothing_is_given() {
    let rig = Rig::new(state::auth::Base::Closed);
    let error = pki(&rig.anonymous()).roots(own::RootsRequest {}).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("--tls-cert"), "{error:?}");
    assert!(rig.authority.is_none());
}
