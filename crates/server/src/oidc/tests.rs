//! Tokens of an issuer that are good, and every way in which one is not.

use super::*;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use env::Env;
use env::sim::SimClock;
use serde_json::{Value, json};
use state::auth::CertificateNames;
use std::sync::OnceLock;
use types::limits::{OIDC_KEYS_SECONDS_MAX, OIDC_LEEWAY_SECONDS, OIDC_TOKEN_BYTES_MAX};

mod asked;

const ISSUER: &str = "https://issuer.example/realm";
const AUDIENCE: &str = "urn:strongroom:test";

/// A signing key of an issuer.
enum Signer {
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
    Rsa(&'static RsaKeyPair),
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn new(algorithm: &str) -> Self {
        static RSA: OnceLock<RsaKeyPair> = OnceLock::new();
        match algorithm {
            "ES256" => Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), "P-256"),
            "ES384" => Self::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(), "P-384"),
            "EdDSA" => Self::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => Self::Rsa(RSA.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        }
    }

    /// Its entry in a JWKS.
    fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Ec(pair, curve) => {
                let (x, y) =
                    pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y), "kid": id, "use": "sig"})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key()), "kid": id})
            }
            Self::Rsa(pair) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": text(parts.n), "e": text(parts.e), "kid": id})
            }
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let how: &dyn aws_lc_rs::signature::RsaEncoding =
                    if algorithm == "PS512" { &RSA_PSS_SHA512 } else { &RSA_PKCS1_SHA256 };
                pair.sign(how, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signature = self.sign(algorithm, message.as_bytes());
        format!("{message}.{}", text(signature))
    }
}

/// A recognizer that knows the keys of some signers, without a thread.
struct Place {
    oidc: Arc<Oidc>,
    clock: SimClock,
    metrics: Arc<Metrics>,
}

impl Place {
    fn new(keys: &[Value]) -> Self {
        Self::with(keys, settings())
    }

    fn with(keys: &[Value], settings: Settings) -> Self {
        let (env, clock, _) = Env::simulated(1);
        let metrics = Arc::new(Metrics::new([], Arc::default()));
        let oidc = Arc::new(Oidc::new(settings, env.clock, metrics.clone()));
        let place = Self { oidc, clock, metrics };
        place.take(keys);
        place.oidc.has_looked();
        place
    }

    fn take(&self, keys: &[Value]) {
        if !keys.is_empty() {
            self.oidc.take(Keys::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap());
        }
    }

    fn now(&self) -> u64 {
        self.oidc.clock.wall().unix_seconds()
    }

    /// Claims that are good for a while, with some replaced; null leaves one out.
    fn claims(&self, other: Value) -> Value {
        let now = self.now();
        let mut claims =
            json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600});
        for (name, value) in other.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    fn recognize(&self, token: &str) -> Evidence {
        self.oidc.recognize(token, None)
    }

    fn is_good(&self, token: &str) -> bool {
        self.recognize(token) != Evidence::BadToken
    }

    /// Why a token is refused; it is counted by that reason.
    fn refusal(&self, token: &str) -> &'static str {
        let counts = || self.metrics.oidc_refused.all().into_iter().map(|([reason], n)| (reason, n.value()));
        let before: Vec<_> = counts().collect();
        assert_eq!(self.recognize(token), Evidence::BadToken);
        let mut grown = counts().filter(|count| !before.contains(count));
        grown.next().map(|(reason, _)| reason).unwrap()
    }
}

/// An issuer for others' tests, by the real clock, and how it makes tokens with these claims.
pub(crate) fn issuer() -> (Arc<Oidc>, impl Fn(Value) -> String) {
    let (signer, metrics) = (Signer::new("ES256"), Arc::new(Metrics::new([], Arc::default())));
    let oidc = Arc::new(Oidc::new(settings(), Env::real().clock, metrics));
    let keys = json!({"keys": [signer.jwk("k")]}).to_string();
    oidc.take(Keys::parse(keys.as_bytes()).unwrap());
    oidc.has_looked();
    let ends = oidc.clock.wall().unix_seconds() + 600;
    (oidc, move |mut claims: Value| {
        for (name, value) in [("iss", json!(ISSUER)), ("aud", json!(AUDIENCE)), ("exp", json!(ends))] {
            if claims.get(name).is_none() {
                claims[name] = value;
            }
        }
        signer.token(&header("ES256"), &claims)
    })
}

/// A token's part.
pub(crate) fn part(json: &Value) -> String {
    text(json.to_string())
}

/// How many of its tokens were counted as not good.
pub(crate) fn refused(oidc: &Oidc) -> u64 {
    oidc.metrics.oidc_refused.all().into_iter().map(|(_, count)| count.value()).sum()
}

fn settings() -> Settings {
    Settings {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        ca: None,
        claim: "sub".into(),
        prefix: "oidc:".into(),
        clear_text: false,
    }
}

fn header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "kid": "k", "typ": "JWT"})
}

/// Each algorithm of the list checks what its key signed, and gives the claims and the name behind the prefix.
#[test]
fn tokens_of_every_algorithm_are_recognized() {
    for algorithm in ["ES256", "ES384", "EdDSA", "RS256", "PS512"] {
        let signer = Signer::new(algorithm);
        let place = Place::new(&[signer.jwk("k")]);
        let claims = place.claims(
            json!({"groups": ["staff", "admins"], "aud": ["other", AUDIENCE], "n": 5, "mixed": ["a", 1]}),
        );
        let Evidence::Claims { name, claims } = place.recognize(&signer.token(&header(algorithm), &claims))
        else {
            panic!("{algorithm} is refused: {:?}", place.metrics.oidc_refused.all());
        };
        assert_eq!(name.as_deref(), Some("oidc:alice"));
        assert_eq!(claims.issuer, ISSUER);
        assert_eq!(claims.texts["groups"], ["staff", "admins"]);
        assert!(!claims.texts.contains_key("n") && !claims.texts.contains_key("mixed"));
    }
}

/// Whatever is wrong with a token, it is refused for that reason, at once, without a panic: each line is an attack or an
/// accident that would otherwise let somebody in.
#[test]
fn every_bad_token_is_refused_for_its_reason() {
    let (signer, other, rsa) = (Signer::new("ES256"), Signer::new("ES256"), Signer::new("RS256"));
    let rsa_key = rsa.jwk("rsa");
    let mut only_rs = rsa.jwk("only");
    only_rs["alg"] = "RS256".into();
    let place = Place::new(&[signer.jwk("k"), rsa_key.clone(), only_rs]);
    let (now, good) = (place.now(), place.claims(json!({})));
    let signed = |claims: Value| signer.token(&header("ES256"), &place.claims(claims));
    let of = |header: Value| signer.token(&header, &good);
    let whole = of(header("ES256"));
    assert!(place.is_good(&whole));
    let (message, signature) = whole.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let swapped = format!("{head}.{}.{signature}", text(place.claims(json!({"sub": "root"})).to_string()));
    // The public key as the secret of an HMAC: what a checker that believes the header would take.
    let public = rsa_key["n"].as_str().unwrap();
    let hs =
        format!("{}.{}", text(json!({"alg": "HS256", "kid": "rsa"}).to_string()), text(good.to_string()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes()), hs.as_bytes());
    let none = format!("{}.{}.", text(json!({"alg": "none"}).to_string()), text(good.to_string()));
    let many: Vec<String> = (0..1_100).map(|n| n.to_string()).collect();
    let deep = format!("{head}.{}.{signature}", text("[".repeat(9_000)));
    let refused = [
        (other.token(&header("ES256"), &good), "signature"),
        (swapped, "signature"),
        (format!("{message}."), "signature"),
        (format!("{message}.{}", text([0; 64])), "signature"),
        (format!("{hs}.{}", text(mac)), "algorithm"),
        (none, "algorithm"),
        (of(json!({"alg": "ES512", "kid": "k"})), "algorithm"),
        (of(json!({"alg": "RS256", "kid": "k"})), "key_of_another_kind"),
        (of(json!({"alg": "ES256", "kid": "rsa"})), "key_of_another_kind"),
        (rsa.token(&json!({"alg": "PS512", "kid": "only"}), &good), "key_of_another_kind"),
        (of(json!({"alg": "ES256", "kid": "gone"})), "unknown_key"),
        (of(json!({"alg": "ES256", "kid": "k", "typ": "logout+jwt"})), "type"),
        (of(json!({"alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false})), "malformed"),
        (of(json!({"kid": "k"})), "malformed"),
        (of(json!("text")), "malformed"),
        (signed(json!({"exp": null})), "malformed"),
        (signed(json!({"exp": "tomorrow"})), "malformed"),
        (signed(json!({"exp": now - OIDC_LEEWAY_SECONDS})), "ended"),
        (signed(json!({"exp": -5.5})), "ended"),
        (signed(json!({"nbf": now + OIDC_LEEWAY_SECONDS + 1})), "early"),
        (signed(json!({"iat": now + 1e12 as u64})), "early"),
        (signed(json!({"aud": "another"})), "audience"),
        (signed(json!({"aud": ["another", AUDIENCE.to_uppercase()]})), "audience"),
        (signed(json!({"aud": null})), "audience"),
        (signed(json!({"iss": format!("{ISSUER}/")})), "issuer"),
        (signed(json!({"iss": null})), "issuer"),
        (signed(json!({"groups": many})), "too_many_texts"),
        (signed(json!({"cnf": {"x5t#S256": text([7; 32])}})), "binding"),
        (signed(json!({"cnf": {"jkt": "of-another-way"}})), "binding"),
        (format!("{message}.{signature}{}", "A".repeat(OIDC_TOKEN_BYTES_MAX)), "too_large"),
        (format!("{}.x.y", text("{")), "malformed"),
        ("..".into(), "malformed"),
        ("é.é.é".into(), "malformed"),
        (deep, "signature"),
    ];
    for (token, reason) in refused {
        assert_eq!(place.refusal(&token), reason, "{}", token.chars().take(300).collect::<String>());
    }
    assert!(place.is_good(&whole), "and the good one still is");
}

/// A token whose every byte is flipped once is never good, and never a panic.
#[test]
fn no_flipped_token_is_good() {
    let signer = Signer::new("EdDSA");
    let place = Place::new(&[signer.jwk("k")]);
    let token = signer.token(&header("EdDSA"), &place.claims(json!({})));
    for at in 0..token.len() {
        let mut flipped = token.clone().into_bytes();
        // Another letter of the alphabet, and not one that says the same bits at the end of a part.
        flipped[at] = if flipped[at] == b'A' { b'z' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        assert!(flipped == token || !place.is_good(&flipped), "at {at}");
    }
}

/// A token that was good ends at its end, and at once when its key is taken back: the memory of good ones must not outlive
/// either.
#[test]
fn a_remembered_token_ends_with_its_time_and_its_key() {
    let (signer, next) = (Signer::new("ES256"), Signer::new("ES256"));
    let place = Place::new(&[signer.jwk("k")]);
    let token = signer.token(&header("ES256"), &place.claims(json!({})));
    assert!(place.is_good(&token));
    place.take(&[next.jwk("n")]);
    assert_eq!(place.refusal(&token), "unknown_key");
    // Another key under the same id is another key.
    place.take(&[next.jwk("k")]);
    assert_eq!(place.refusal(&token), "signature");
    place.take(&[next.jwk("n"), signer.jwk("k")]);
    assert!(place.is_good(&token));
    place.clock.advance(Duration::from_secs(599 + OIDC_LEEWAY_SECONDS));
    assert!(place.is_good(&token));
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(place.refusal(&token), "ended");
}

/// While the issuer is away its last keys are good for hours, not for ever: it could not take one back.
#[test]
fn keys_that_nobody_renews_end() {
    let signer = Signer::new("ES256");
    let place = Place::new(&[signer.jwk("k")]);
    let token = signer.token(&header("ES256"), &place.claims(json!({"exp": place.now() + 100_000_000})));
    place.clock.advance(Duration::from_secs(OIDC_KEYS_SECONDS_MAX - 1));
    assert!(place.is_good(&token));
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(place.refusal(&token), "no_keys");
    place.take(&[signer.jwk("k")]);
    assert!(place.is_good(&token));
    assert_eq!(Place::new(&[]).refusal(&token), "no_keys", "never fetched");
}

/// A token that is bound to a certificate is good with that one and no other: a stolen one is worth nothing (RFC 8705).
#[test]
fn a_bound_token_needs_its_certificate() {
    let signer = Signer::new("ES256");
    let place = Place::new(&[signer.jwk("k")]);
    let claims = place.claims(json!({"cnf": {"x5t#S256": text([7; 32])}}));
    let token = signer.token(&header("ES256"), &claims);
    let with = |thumbprint| {
        let names = CertificateNames { thumbprint, ..CertificateNames::default() };
        let evidence = Evidence::Certificate {
            common_name: Arc::from("any"),
            is_administrator: false,
            names: Arc::new(names),
        };
        let connection = Connection::new(evidence, "127.0.0.1:1".into(), true);
        place.oidc.recognize(&token, Some(&connection)) != Evidence::BadToken
    };
    assert!(with(Some([7; 32])));
    assert!(!with(Some([8; 32])) && !with(None));
    assert!(!place.is_good(&token), "without a connection");
}

/// The name is what the operator's claim says, and nobody's where that is no plain text or an address that nobody checked.
#[test]
fn the_name_is_the_chosen_claim() {
    let signer = Signer::new("ES256");
    let name = |claim: &str, claims: Value| {
        let place = Place::with(&[signer.jwk("k")], Settings { claim: claim.into(), ..settings() });
        let Evidence::Claims { name, .. } =
            place.recognize(&signer.token(&header("ES256"), &place.claims(claims)))
        else {
            panic!("refused")
        };
        name
    };
    assert_eq!(name("email", json!({"email": "a@b"})).as_deref(), Some("oidc:a@b"));
    assert_eq!(name("email", json!({"email": "a@b", "email_verified": true})).as_deref(), Some("oidc:a@b"));
    assert_eq!(name("email", json!({"email": "a@b", "email_verified": false})), None);
    assert_eq!(name("email", json!({})), None);
    assert_eq!(name("sub", json!({"sub": ["alice"]})), None);
    assert_eq!(name("sub", json!({"sub": "a\nb"})), None);
    assert_eq!(name("sub", json!({"sub": ""})), None);
}

/// A JWKS names other things too; only whole public keys for signatures are taken, and a secret or a private key never is.
#[test]
fn only_public_keys_for_signatures_are_taken() {
    let good = Signer::new("ES256").jwk("k");
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let rsa = Signer::new("RS256").jwk("r");
    let mut weak = rsa.clone();
    weak["n"] = text([0xff; 128]).into();
    let mut slow = rsa.clone();
    slow["e"] = text([0xff; 64]).into();
    let odd = [
        with("use", "enc".into()),
        with("key_ops", json!(["sign"])),
        with("d", "AAAA".into()),
        with("alg", "HS256".into()),
        with("alg", "RS256".into()),
        with("crv", "P-384".into()),
        with("crv", "secp256k1".into()),
        with("x", text([1; 31]).into()),
        with("y", 5.into()),
        json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}),
        json!({"kty": "EC"}),
        json!(5),
        weak,
        slow,
    ];
    let parse = |keys: &[Value]| Keys::parse(json!({"keys": keys}).to_string().as_bytes());
    for key in &odd {
        assert!(parse(std::slice::from_ref(key)).is_err(), "{key}");
    }
    let all: Vec<Value> = odd.iter().cloned().chain([good.clone(), rsa]).collect();
    assert_eq!(parse(&all).unwrap().len(), 2);
    assert!(parse(&vec![good; 65]).unwrap_err().contains("more than 64"));
    for document in ["", "{}", "[]", r#"{"keys": 5}"#, r#"{"keys": []}"#] {
        assert!(Keys::parse(document.as_bytes()).is_err(), "{document}");
    }
}

/// A token without a key's id is tried with the only key that fits, and with none where several do.
#[test]
fn a_token_without_an_id_needs_the_only_key() {
    let (signer, other) = (Signer::new("ES256"), Signer::new("ES256"));
    let place = Place::new(&[signer.jwk("a"), Signer::new("EdDSA").jwk("b")]);
    let token = signer.token(&json!({"alg": "ES256"}), &place.claims(json!({})));
    assert!(place.is_good(&token));
    let place = Place::new(&[signer.jwk("a"), other.jwk("b")]);
    assert_eq!(place.refusal(&token), "key_of_another_kind");
}
