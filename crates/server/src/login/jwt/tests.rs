//! Tokens that are good, and every way in which one is not.

use super::*;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use state::auth::Evidence;

const NOW: u64 = 1_800_000_000;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    }
}

fn settings(method: &str, private: Option<PathBuf>, public: Option<PathBuf>) -> Settings {
    Settings {
        sign_method: method.to_owned(),
        public_key: public,
        private_key: private,
        life: Duration::from_secs(300),
        audience: None,
        issuer: None,
    }
}

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(algorithm).unwrap()
}

fn with(common_name: &str) -> Connection {
    let evidence = Evidence::Certificate {
        common_name: Arc::from(common_name),
        is_administrator: false,
        names: Arc::default(),
    };
    Connection::new(evidence, "127.0.0.1:1".into(), true)
}

/// Every kind of key signs and checks, the public key is found in the private one, and the two must belong together.
#[test]
fn every_kind_of_key_signs_and_checks() {
    let place = Place::new();
    let kinds = [
        ("ES256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("ES384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("EdDSA", &rcgen::PKCS_ED25519),
        ("RS256", &rcgen::PKCS_RSA_SHA256),
        ("PS384", &rcgen::PKCS_RSA_SHA384),
    ];
    for (method, kind) in kinds {
        let key = pair(kind);
        let private = place.file("private.pem", &key.serialize_pem());
        let public = place.file("public.pem", &key.public_key_pem());
        let both = Jwt::open(settings(method, private.clone(), public.clone())).unwrap();
        let token = both.sign("alice", AuthRevision(7), None, NOW).unwrap();
        let alone = Jwt::open(settings(method, private.clone(), None)).unwrap();
        let checks = Jwt::open(settings(method, None, public.clone())).unwrap();
        for jwt in [&both, &alone, &checks] {
            for _ in 0..2 {
                let claims = jwt.verify(&token, None, NOW).unwrap();
                assert_eq!((&*claims.user, claims.revision), ("alice", AuthRevision(7)), "{method}");
            }
        }
        assert_eq!(checks.sign("alice", AuthRevision(7), None, NOW), None, "a public key only checks");
        let other = place.file("other.pem", &pair(kind).public_key_pem());
        assert!(
            matches!(Jwt::open(settings(method, private, other)), Err(Error::Mismatch { .. })),
            "{method}"
        );
    }
    let certificate = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
    let private = place.file("private.pem", &certificate.signing_key.serialize_pem());
    let public = place.file("cert.pem", &certificate.cert.pem());
    assert!(Jwt::open(settings("ES256", private, public)).is_ok(), "a certificate stands for its key");
}

/// What an operator gets wrong is named with its file.
#[test]
fn wrong_settings_are_named() {
    let place = Place::new();
    let private = || place.file("private.pem", &pair(&rcgen::PKCS_ECDSA_P256_SHA256).serialize_pem());
    let why = |settings| Jwt::open(settings).err().map(|error| (error.to_string(), error.hint())).unwrap().0;
    assert!(why(settings("none", private(), None)).contains("\"none\" is not offered"));
    assert!(why(settings("ES256", None, None)).contains("ES256 needs"));
    assert!(why(settings("RS256", private(), None)).contains("private.pem holds no private key for RS256"));
    assert!(why(settings("ES256", place.file("empty.pem", ""), None)).contains("empty.pem"));
    assert!(why(settings("ES256", Some("/nowhere.pem".into()), None)).contains("/nowhere.pem"));
    let ed = place.file("ed.pem", &pair(&rcgen::PKCS_ED25519).public_key_pem());
    assert!(why(settings("ES256", None, ed)).contains("ed.pem holds no public key"));
    assert!(why(settings("HS256", None, None)).contains("the shared secret"));
}

/// A signer, and every token that somebody could pass at `now` for one of its good ones, each with what is wrong with it.
pub(crate) fn bad_tokens(now: u64) -> (Jwt, Vec<(&'static str, String)>) {
    let (jwt, _, bad) = signer(now);
    (jwt, bad)
}

/// The same, and the key that it signs with.
fn signer(now: u64) -> (Jwt, rcgen::KeyPair, Vec<(&'static str, String)>) {
    let place = Place::new();
    let key = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let public = key.public_key_pem();
    let jwt = Jwt::open(settings("ES256", place.file("k.pem", &key.serialize_pem()), None)).unwrap();
    let good = jwt.sign("alice", AuthRevision(1), None, now).unwrap();
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let base64 = |value: &serde_json::Value| {
        use base64::Engine;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let none = base64(&json!({"alg": "none", "typ": "JWT"}));
    let claims = |claims: serde_json::Value| signed_with(&key, &claims);
    let hs256 = {
        let header = Header::new(Algorithm::HS256);
        let claims = json!({"username": "root", "revision": 1, "exp": now + 100});
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(public.as_bytes())).unwrap()
    };
    let foreign = {
        let signer = EncodingKey::from_ec_der(&pair(&rcgen::PKCS_ECDSA_P256_SHA256).serialize_der());
        let claims = json!({"username": "root", "revision": 1, "exp": now + 100});
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &signer).unwrap()
    };
    let bad = [
        ("empty", String::new()),
        ("no parts", "x".to_owned()),
        ("only dots", "..".to_owned()),
        ("too many parts", format!("{good}.x")),
        ("without its signature", format!("{head}.{body}.")),
        (
            "signature swapped",
            format!(
                "{head}.{}.{signature}",
                base64(&json!({"username": "root", "revision": 1, "exp": now + 100}))
            ),
        ),
        ("alg none", format!("{none}.{body}.")),
        ("alg none with the signature", format!("{none}.{body}.{signature}")),
        ("HS256 with the public key", hs256),
        ("another's key", foreign),
        ("no end", claims(json!({"username": "alice", "revision": 1}))),
        ("ended", claims(json!({"username": "alice", "revision": 1, "exp": now}))),
        ("not begun", claims(json!({"username": "alice", "revision": 1, "exp": now + 9, "nbf": now + 1}))),
        ("no user", claims(json!({"revision": 1, "exp": now + 9}))),
        ("no revision", claims(json!({"username": "alice", "exp": now + 9}))),
        ("user that is none", claims(json!({"username": ["alice"], "revision": 1, "exp": now + 9}))),
        (
            "for somebody else",
            claims(json!({"username": "alice", "revision": 1, "exp": now + 9, "aud": "other"})),
        ),
        (
            "oversized",
            claims(
                json!({"username": "alice", "revision": 1, "exp": now + 9, "pad": "x".repeat(TOKEN_BYTES_MAX)}),
            ),
        ),
        ("not ascii", "\u{e9}.\u{e9}.\u{e9}".to_owned()),
    ];
    (jwt, key, bad.into())
}

fn signed_with(key: &rcgen::KeyPair, claims: &serde_json::Value) -> String {
    let signer = EncodingKey::from_ec_der(&key.serialize_der());
    jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &signer).unwrap()
}

/// Every token that somebody could pass for a good one, refused; and none of them makes a later good one bad.
#[test]
fn tokens_that_are_not_good_are_refused() {
    let (jwt, key, bad) = signer(NOW);
    let good = jwt.sign("alice", AuthRevision(1), None, NOW).unwrap();
    for (what, token) in &bad {
        for _ in 0..2 {
            assert_eq!(jwt.verify(token, None, NOW), None, "{what}");
        }
    }
    assert!(jwt.verify(&good, None, NOW).is_some());
    let in_fractions = json!({"username": "alice", "revision": 1.0, "exp": 1.9e9});
    assert!(jwt.verify(&signed_with(&key, &in_fractions), None, NOW).is_some());
}

/// A token's end is looked at every time, also when its signature was checked before.
#[test]
fn a_remembered_token_ends_all_the_same() {
    let place = Place::new();
    let key = pair(&rcgen::PKCS_ED25519);
    let jwt = Jwt::open(settings("EdDSA", place.file("k.pem", &key.serialize_pem()), None)).unwrap();
    let token = jwt.sign("alice", AuthRevision(1), None, NOW).unwrap();
    assert!(jwt.verify(&token, None, NOW).is_some());
    assert!(jwt.verify(&token, None, NOW + 299).is_some());
    assert_eq!(jwt.verify(&token, None, NOW + 300), None);
}

/// A token that was asked for with a certificate is worth nothing with another; with a configured audience and issuer
/// nothing else is taken.
#[test]
fn tokens_are_bound() {
    let place = Place::new();
    let key = pair(&rcgen::PKCS_ED25519).serialize_pem();
    let plain = settings("EdDSA", place.file("k.pem", &key), None);
    let jwt = Jwt::open(plain.clone()).unwrap();
    let token = jwt.sign("alice", AuthRevision(1), Some(&with("alice")), NOW).unwrap();
    assert!(jwt.verify(&token, Some(&with("alice")), NOW).is_some());
    assert_eq!(jwt.verify(&token, Some(&with("bob")), NOW), None);
    assert_eq!(jwt.verify(&token, None, NOW), None);
    let ours = |audience: &str, issuer: &str| Settings {
        audience: Some(audience.to_owned()),
        issuer: Some(issuer.to_owned()),
        ..plain.clone()
    };
    let demanding = Jwt::open(ours("store", "us")).unwrap();
    let named = demanding.sign("alice", AuthRevision(1), None, NOW).unwrap();
    assert!(demanding.verify(&named, None, NOW).is_some());
    assert_eq!(demanding.verify(&jwt.sign("alice", AuthRevision(1), None, NOW).unwrap(), None, NOW), None);
    for other in [ours("other", "us"), ours("store", "them")] {
        assert_eq!(Jwt::open(other).unwrap().verify(&named, None, NOW), None);
    }
}
