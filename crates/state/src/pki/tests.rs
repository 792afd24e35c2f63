//! Tests of the register: a token is used once and for nothing else, what has ended goes, what is full refuses.

use super::*;
use crate::Refusal;
use types::limits::{CERTIFICATES_MAX, ENROLMENT_TOKENS_MAX};

fn authority(id: &str, kind: Kind) -> Authority {
    Authority { id: id.into(), kind, is_former: false, certificates: vec![], keys: vec![] }
}

fn issued(serial: &str, not_after: u64) -> Issued {
    Issued {
        serial: serial.into(),
        authority: "c".into(),
        role: Role::Client,
        name: "alice".into(),
        names: vec![],
        not_before: 1,
        not_after,
        by: "root".into(),
        revoked: 0,
    }
}

fn token(id: &str) -> Token {
    Token {
        id: id.into(),
        secret_hash: [7; 32],
        roles: vec![Role::Client],
        name: "alice".into(),
        names: vec![],
        life_seconds: 60,
        not_after: 100,
        by: "root".into(),
    }
}

fn set(authority: Authority) -> CertificateChange {
    CertificateChange::Set { authorities: vec![authority], holders: vec![] }
}

fn with_authority() -> Register {
    let mut register = Register::default();
    register.change(set(authority("c", Kind::Clients))).unwrap();
    register
}

fn issue(issued: Vec<Issued>, token: Option<&str>, now: u64) -> CertificateChange {
    CertificateChange::Issue { issued, token: token.map(str::to_owned), now }
}

/// A token brings one certificate, of just the name that it was given for: a second use, a late one and one for somebody
/// else are refused and change nothing.
#[test]
fn a_token_is_used_once_in_its_time_and_for_its_name() {
    let mut register = with_authority();
    register.change(CertificateChange::AddToken { token: token("t"), now: 1 }).unwrap();
    for wrong in [
        Issued { name: "mallory".into(), ..issued("1", 90) },
        Issued { names: vec!["other".into()], ..issued("1", 90) },
        Issued { role: Role::Administrator, ..issued("1", 90) },
    ] {
        assert_eq!(register.change(issue(vec![wrong], Some("t"), 5)), Err(Refusal::EnrolmentTokenInvalid));
    }
    assert_eq!(
        register.change(issue(vec![issued("1", 900)], Some("t"), 101)),
        Err(Refusal::EnrolmentTokenInvalid),
        "late"
    );
    register.change(issue(vec![issued("1", 90)], Some("t"), 5)).unwrap();
    assert_eq!(
        register.change(issue(vec![issued("2", 90)], Some("t"), 5)),
        Err(Refusal::EnrolmentTokenInvalid),
        "again"
    );
    assert_eq!(register.issued().count(), 1);
    assert_eq!(register.tokens().count(), 0);
}

/// What an authority that issues no more, or none at all, is said to have signed is not recorded; nor is a serial twice.
#[test]
fn only_a_current_authority_issues_and_a_serial_stands_for_one_certificate() {
    let mut register = with_authority();
    register.change(issue(vec![issued("1", 90)], None, 5)).unwrap();
    assert!(register.change(issue(vec![issued("1", 95)], None, 5)).is_err());
    let former = Authority { is_former: true, ..authority("c", Kind::Clients) };
    register.change(set(former)).unwrap();
    assert_eq!(register.change(issue(vec![issued("2", 90)], None, 5)), Err(Refusal::AuthorityNotFound));
    register.change(CertificateChange::RemoveAuthority { id: "c".into() }).unwrap();
    assert_eq!(register.issued().count(), 0, "what it issued went with it");
}

/// A revoked certificate stays until it would have ended by itself, since the revocation list has to name it that long;
/// revoking twice does not move the moment.
#[test]
fn a_revocation_is_kept_until_the_certificate_would_have_ended() {
    let mut register = with_authority();
    register.change(issue(vec![issued("1", 90), issued("2", 20)], None, 5)).unwrap();
    register.change(CertificateChange::Revoke { serial: "1".into(), now: 10 }).unwrap();
    register.change(CertificateChange::Revoke { serial: "1".into(), now: 11 }).unwrap();
    assert_eq!(register.certificate("1").unwrap().revoked, 10);
    register.change(issue(vec![issued("3", 190)], None, 50)).unwrap();
    assert!(register.certificate("1").is_some() && register.certificate("2").is_none());
    register.change(issue(vec![issued("4", 190)], None, 91)).unwrap();
    assert!(register.certificate("1").is_none());
    let unknown = CertificateChange::Revoke { serial: "9".into(), now: 10 };
    assert_eq!(register.change(unknown), Err(Refusal::CertificateNotFound));
}

/// A holder that leaves can open nothing of what comes to be replicated afterwards.
#[test]
fn a_holder_that_leaves_takes_its_sealed_keys_along() {
    let mut register = Register::default();
    let holder = Holder { id: "h".into(), name: "m".into(), is_recovery: false, public_key: Bytes::new() };
    let key = |holder: &str| SealedKey { holder: holder.into(), sealed: Bytes::from_static(b"x") };
    let with_keys = Authority { keys: vec![key("h"), key("i")], ..authority("c", Kind::Clients) };
    let all = CertificateChange::Set { authorities: vec![with_keys], holders: vec![holder] };
    register.change(all).unwrap();
    register.change(CertificateChange::RemoveHolder { id: "h".into() }).unwrap();
    assert_eq!(register.authority("c").unwrap().keys, [key("i")]);
    assert!(register.holder("h").is_none());
}

/// The register is bounded: what comes for free (tokens, certificates) cannot fill a member's memory.
#[test]
fn the_register_has_an_end() {
    let mut register = with_authority();
    for at in 0..ENROLMENT_TOKENS_MAX {
        register.change(CertificateChange::AddToken { token: token(&at.to_string()), now: 1 }).unwrap();
    }
    let more = CertificateChange::AddToken { token: token("more"), now: 1 };
    assert_eq!(register.change(more), Err(Refusal::RegisterFull));
    let late = CertificateChange::AddToken { token: Token { not_after: 900, ..token("late") }, now: 101 };
    register.change(late).unwrap();
    let all: Vec<_> = (0..CERTIFICATES_MAX).map(|at| issued(&at.to_string(), 90)).collect();
    register.change(issue(all, None, 5)).unwrap();
    assert_eq!(register.change(issue(vec![issued("more", 90)], None, 5)), Err(Refusal::RegisterFull));
    register.change(issue(vec![issued("later", 190)], None, 91)).unwrap();
}

/// Only an administrator changes the register, also by an entry: the proposer is asked again when it is applied.
#[test]
fn only_an_administrator_changes_it() {
    use crate::auth::{Demand, Demanding};
    let revoke = crate::Command::Certificates(CertificateChange::Revoke { serial: "1".into(), now: 1 });
    assert_eq!(revoke.demand(), Demand::Administrator);
}
