//! Tests: published vectors, every way a request or a name is wrong, keys that only their holder opens.

use super::*;
use env::WallTime;
use rustls::crypto::aws_lc_rs::hpke;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke};
use state::pki::{Kind, Role, SealedKey};
use std::time::Duration;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

fn now() -> WallTime {
    env::Env::real().clock.wall()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn wanted(role: Role, name: &str, names: &[&str]) -> Wanted {
    Wanted {
        role,
        name: name.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        life: Duration::ZERO,
        by: "test".to_owned(),
    }
}

fn clients() -> (Authority, Signer, HolderKey) {
    let root = root(now()).unwrap().signer().unwrap();
    let clients = issuer(Kind::Clients, &root, now()).unwrap();
    let holder = HolderKey::generate().unwrap();
    let signer = clients.signer().unwrap();
    (clients, signer, holder)
}

/// The library's HPKE is the one of RFC 9180: its first published vector (A.1.1) opens.
#[test]
fn the_published_vector_opens() {
    let private = bytes("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8").into();
    let encapsulated = bytes("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
    let sealed =
        bytes("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a");
    let opened = hpke::DH_KEM_X25519_HKDF_SHA256_AES_128.open(
        &EncapsulatedSecret(encapsulated),
        &bytes("4f6465206f6e2061204772656369616e2055726e"),
        b"Count-0",
        &sealed,
        &private,
    );
    assert_eq!(opened.unwrap(), b"Beauty is truth, truth beauty");
}

/// A key sealed by another implementation (Go's crypto/hpke) to our form opens: the form can be read without us.
#[test]
fn a_key_that_another_implementation_sealed_opens() {
    let private = bytes("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d");
    let head = bytes("302e020100300506032b656e04220420");
    let key = pem::text(pem::PRIVATE_KEY, &[head, private].concat());
    let key = HolderKey::from_pem(&key).unwrap();
    assert_eq!(key.public(), bytes("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c"));
    let sealed = bytes(concat!(
        "01",
        "39b1dc1fabf9b6d6db75c928dba4310b8fad61e4c7b35c341c8320254279d75f",
        "067a03366d0f9c76e0dd4b5c5a433de7c973230013f9510750493a5411"
    ));
    let sealed = SealedKey { holder: key.id(), sealed: sealed.into() };
    assert_eq!(*key.open("a1b2c3d4e5f60718", &[sealed]).unwrap(), b"a private key");
}

/// Only the holder opens a sealed key, only as the key of its authority, and no changed byte passes.
#[test]
fn a_sealed_key_is_its_holders_and_its_authoritys_alone() {
    let (clients, _, holder) = clients();
    let registered = clients.sealed_to([&holder.holder("m", false)]).unwrap();
    let opened = holder.open(&registered.id, &registered.keys).unwrap();
    assert_eq!(*opened, *clients.key.to_der());
    assert!(Signer::open(&registered, &holder).is_ok());
    let stranger = HolderKey::generate().unwrap();
    let error = stranger.open(&registered.id, &registered.keys).unwrap_err();
    assert!(error.to_string().contains("not sealed to this member's key"), "{error}");
    let renamed = SealedKey { holder: stranger.id(), ..registered.keys[0].clone() };
    assert!(stranger.open(&registered.id, &[renamed]).is_err());
    assert!(holder.open("another", &registered.keys).is_err(), "of another authority");
    let whole = registered.keys[0].sealed.clone();
    for at in 0..whole.len() {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        let key = SealedKey { holder: holder.id(), sealed: changed.into() };
        assert!(holder.open(&registered.id, &[key]).is_err(), "byte {at}");
        let cut = SealedKey { holder: holder.id(), sealed: whole.slice(..at) };
        assert!(holder.open(&registered.id, &[cut]).is_err(), "cut to {at}");
    }
    assert!(!format!("{holder:?}").contains("PRIVATE"));
}

/// A holder's key survives its file, and its public half the way that openssl writes it.
#[test]
fn a_holders_key_is_read_back_and_nothing_else_is() {
    let key = HolderKey::generate().unwrap();
    let again = HolderKey::from_pem(&key.to_pem()).unwrap();
    assert_eq!((again.id(), again.public()), (key.id(), key.public()));
    let holder = key.holder("recovery", true);
    assert_eq!(public_key_from_pem(&public_key_to_pem(&holder), "recovery").unwrap(), holder);
    let other = KeyPair::generate().unwrap();
    for wrong in
        ["", "nonsense", &other.to_pem(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
    {
        assert!(HolderKey::from_pem(wrong).is_err() && public_key_from_pem(wrong, "x").is_err(), "{wrong}");
    }
}

/// A request counts only if its key signed it, and only the key counts: whoever asks to be an administrator in a request is
/// what its token says.
#[test]
fn of_a_request_only_the_signed_key_counts() {
    let (_, signer, _) = clients();
    let key = KeyPair::generate().unwrap();
    let request = key.request().unwrap();
    let public = PublicKey::of_request(&request).unwrap();
    let leaf = signer.leaf(&wanted(Role::Client, "alice", &[]), &public, now()).unwrap();
    let der = pem::read_certificates(&leaf.chain).unwrap();
    let about = About::of(&der[0]).unwrap();
    assert_eq!((about.common_name.as_str(), about.names.len(), der.len()), ("alice", 0, 2));
    assert!(about.is_of(&key));
    let mut last = request.clone();
    *last.last_mut().unwrap() ^= 1;
    assert!(PublicKey::of_request(&last).is_err(), "signed by nobody");
    for wrong in [&b""[..], b"nonsense", &request[..request.len() - 1], &[0x30; 9_000]] {
        let error = PublicKey::of_request(wrong).err().unwrap();
        assert!(matches!(error, Error::Request { .. }), "{error}");
    }
}

/// What each role's certificate says, and that no two have a serial number in common.
#[test]
fn each_role_has_its_usages_and_its_name() {
    let (_, signer, _) = clients();
    let key = KeyPair::generate().unwrap();
    let mut serials = std::collections::BTreeSet::new();
    for (role, name, names, server, client, written) in [
        (Role::Server, "m1", &["m1.example", "10.0.0.1"][..], true, false, vec!["m1.example", "10.0.0.1"]),
        (Role::Peer, "m 1", &["m1"], true, true, vec!["m1", "urn:strongroom:member:m%201"]),
        (Role::Client, "alice", &["spiffe://a/b"], false, true, vec!["spiffe://a/b"]),
        (Role::Administrator, "root", &[], false, true, vec![ADMINISTRATOR_URI]),
    ] {
        let leaf = signer.leaf(&wanted(role, name, names), &key.0, now()).unwrap();
        let about = About::of(&pem::read_certificates(&leaf.chain).unwrap()[0]).unwrap();
        let usages = about.usages.unwrap();
        assert_eq!((usages.server, usages.client), (server, client), "{role:?}");
        assert_eq!(about.names, written);
        assert_eq!(about.serial, leaf.issued.serial);
        assert!(!about.is_authority);
        let days = (about.not_after - about.not_before) / 86_400;
        assert_eq!(days, if server { 7 } else { 90 });
        assert!(serials.insert(about.serial), "the same key, another serial number");
    }
}

/// Names that would make somebody else of a certificate's holder, or that no certificate can carry, are refused by name.
#[test]
fn names_that_are_not_the_askers_to_have_are_refused() {
    let (_, signer, _) = clients();
    let key = KeyPair::generate().unwrap();
    let long = "x".repeat(65);
    for (role, name, names) in [
        (Role::Client, "root", &[][..]),
        (Role::Client, "", &[]),
        (Role::Client, "a\0b", &[]),
        (Role::Client, &long, &[]),
        (Role::Client, "a", &[ADMINISTRATOR_URI]),
        (Role::Client, "a", &["urn:strongroom:member:m1"]),
        (Role::Client, "a", &["spiffe://a/b", "spiffe://a/c"]),
        (Role::Client, "a", &["a b"]),
        (Role::Server, "m", &[]),
        (Role::Server, "m", &["spiffe://a/b"]),
        (Role::Peer, "m", &["höst"]),
        (Role::Administrator, "root", &["elsewhere"]),
    ] {
        let error = signer.leaf(&wanted(role, name, names), &key.0, now()).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{role:?} {name} {names:?}: {error}");
    }
    let for_ever = Wanted { life: Duration::from_secs(398 * 86_400), ..wanted(Role::Client, "a", &[]) };
    assert!(signer.leaf(&for_ever, &key.0, now()).is_err());
}

/// A certificate never outlives its issuer: what an ended authority issued is worth nothing anyway.
#[test]
fn nothing_outlives_its_issuer() {
    let root = root(now()).unwrap().signer().unwrap();
    let late = WallTime::from_unix_nanos(now().unix_nanos() + 9 * 365 * 86_400 * 1_000_000_000);
    let issuer = issuer(Kind::Peers, &root, late).unwrap();
    let about = About::of(&issuer.certificate).unwrap();
    assert_eq!(about.not_after, root.not_after());
}

/// An issuer's certificate is renewed under its own key: what it issued stays good.
#[test]
fn an_issuer_is_renewed_under_its_key() {
    let root = root(now()).unwrap().signer().unwrap();
    let first = issuer(Kind::Clients, &root, now()).unwrap();
    let later = WallTime::from_unix_nanos(now().unix_nanos() + 1_000 * 86_400 * 1_000_000_000);
    let again = issuer_again(&first.certificate, &root, later).unwrap();
    let (before, after) = (About::of(&first.certificate).unwrap(), About::of(&again).unwrap());
    assert_eq!((before.common_name, before.public_key), (after.common_name, after.public_key));
    assert!(after.not_after > before.not_after);
}

/// The revocation list is one by the eyes of the library that will check it, names what is revoked, and no other.
#[test]
fn the_revocation_list_names_what_is_revoked() {
    let (_, signer, _) = clients();
    let key = KeyPair::generate().unwrap();
    let leaf = |name| signer.leaf(&wanted(Role::Client, name, &[]), &key.0, now()).unwrap().issued;
    let (gone, there) = (leaf("gone"), leaf("there"));
    let revoked = state::pki::Issued { revoked: now().unix_seconds(), ..gone };
    let list = revocation_list(&signer, [&revoked], now()).unwrap();
    let (_, parsed) = x509_parser::pem::parse_x509_pem(list.as_bytes()).unwrap();
    let (_, read) = CertificateRevocationList::from_der(&parsed.contents).unwrap();
    let serials: Vec<_> =
        read.iter_revoked_certificates().map(|each| about::hex(each.raw_serial())).collect();
    assert_eq!(serials, [revoked.serial]);
    assert!(!serials.contains(&there.serial));
    let days = read.next_update().unwrap().timestamp() - read.last_update().timestamp();
    assert_eq!(days, 7 * 86_400);
}

/// A token survives its text; a wrong character anywhere, a missing one, and somebody else's are told from it.
#[test]
fn a_mistyped_token_is_told_as_that() {
    let token = Token::generate(&[Role::Server, Role::Peer], Pin::of(b"a root")).unwrap();
    let text = token.to_text();
    assert_eq!(Token::parse(&format!(" {}\n", *text)).unwrap(), token);
    assert_eq!(token.id.len(), 16);
    for at in 4..text.len() {
        let mut wrong = text.as_bytes().to_vec();
        wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert!(Token::parse(&wrong).is_err() || *wrong == **text, "at {at}");
        assert!(Token::parse(&text[..at]).is_err());
    }
    assert!(Token::parse("").is_err() && Token::parse("srt_").is_err());
    assert!(!format!("{token:?}").contains(&text[10..30]));
}
