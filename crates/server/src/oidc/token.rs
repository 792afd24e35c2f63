//! What is demanded of a token of the issuer (RFC 7519 under RFC 8725), one check after the other, cheap ones first.
//!
//! Owns the order and the reasons. The header is believed for nothing but which key to try: the algorithm must be on our list
//! and the key's, extensions that must be understood (`crit`) are not, and keys or addresses in it are never looked at.

use super::Settings;
use super::keys::{Algorithm, Found, Keys};
use crate::gate::Connection;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use state::auth::{Claims, Evidence};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::limits::{OIDC_LEEWAY_SECONDS, OIDC_TEXTS_MAX, OIDC_TOKEN_BYTES_MAX};

/// Why a token is not good. Counted by reason; the sender hears etcd's one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    Malformed,
    /// Not on our list.
    Algorithm,
    /// Another kind of token of the same issuer, as one for logging out.
    Type,
    /// The issuer's keys were never fetched, or too long ago.
    NoKeys,
    UnknownKey,
    /// The key cannot have signed so.
    KeyOfAnotherKind,
    Signature,
    Issuer,
    Audience,
    Ended,
    Early,
    TooManyTexts,
    /// Shown without the certificate that it is good with.
    Binding,
}

impl Refusal {
    /// The reason, as the metric's label.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::NoKeys => "no_keys",
            Self::UnknownKey => "unknown_key",
            Self::KeyOfAnotherKind => "key_of_another_kind",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Ended => "ended",
            Self::Early => "early",
            Self::TooManyTexts => "too_many_texts",
            Self::Binding => "binding",
        }
    }
}

/// A token that was found good, and what must be looked at again at each use.
#[derive(Debug)]
pub(super) struct Good {
    pub(super) evidence: Evidence,
    /// The print of the key that signed it.
    pub(super) key: [u8; 32],
    begins: u64,
    ends: u64,
    /// The only certificate that it is good with.
    certificate: Option<[u8; 32]>,
}

impl Good {
    pub(super) fn is_in_time(&self, now: u64) -> Result<(), Refusal> {
        if now >= self.ends.saturating_add(OIDC_LEEWAY_SECONDS) {
            return Err(Refusal::Ended);
        }
        if now.saturating_add(OIDC_LEEWAY_SECONDS) < self.begins {
            return Err(Refusal::Early);
        }
        Ok(())
    }

    pub(super) fn is_bound_to(&self, connection: Option<&Connection>) -> Result<(), Refusal> {
        let shown = match connection.map(|connection| &connection.evidence) {
            Some(Evidence::Certificate { names, .. }) => names.thumbprint,
            _ => None,
        };
        match self.certificate {
            Some(wanted) if shown != Some(wanted) => Err(Refusal::Binding),
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
}

pub(super) fn check_size(token: &str) -> Result<(), Refusal> {
    if token.len() > OIDC_TOKEN_BYTES_MAX { Err(Refusal::TooLarge) } else { Ok(()) }
}

/// A token in its parts.
struct Parts<'a> {
    header: Header,
    algorithm: Algorithm,
    claims: &'a str,
    /// What is signed.
    message: &'a str,
    signature: &'a str,
}

fn parts(token: &str) -> Result<Parts<'_>, Refusal> {
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(Refusal::Malformed)?;
    let header: Header = json(header)?;
    let algorithm = Algorithm::named(&header.alg).ok_or(Refusal::Algorithm)?;
    if header.crit.is_some() {
        return Err(Refusal::Malformed);
    }
    if !header.typ.as_deref().is_none_or(is_sane) {
        return Err(Refusal::Type);
    }
    Ok(Parts { header, algorithm, claims, message, signature })
}

/// Whether a token of this type says who somebody is: an ID token, or an access token (RFC 9068).
fn is_sane(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

fn bytes(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| Refusal::Malformed)
}

/// Whether the token says it is for us, of the issuer, and of a key that is not among these. Nothing of it is verified.
pub(super) fn is_of_unknown_key(token: &str, keys: &Keys, settings: &Settings) -> bool {
    let claims_of = |parts: &Parts<'_>| json::<Map<String, Value>>(parts.claims).ok();
    let Ok(parts) = parts(token) else { return false };
    matches!(keys.find(parts.header.kid.as_deref(), parts.algorithm), Found::None)
        && claims_of(&parts).is_some_and(|claims| is_for_us(&claims, settings).is_ok())
}

/// Everything that does not depend on the moment or the connection.
pub(super) fn check(token: &str, keys: &Keys, settings: &Settings) -> Result<Good, Refusal> {
    let parts = parts(token)?;
    let key = match keys.find(parts.header.kid.as_deref(), parts.algorithm) {
        Found::Key(key) => key,
        Found::OfAnotherKind => return Err(Refusal::KeyOfAnotherKind),
        Found::None => return Err(Refusal::UnknownKey),
    };
    if !key.has_signed(parts.algorithm, parts.message.as_bytes(), &bytes(parts.signature)?) {
        return Err(Refusal::Signature);
    }
    let claims: Map<String, Value> = json(parts.claims)?;
    is_for_us(&claims, settings)?;
    let ends = seconds(&claims, "exp")?.ok_or(Refusal::Malformed)?;
    let begins = seconds(&claims, "nbf")?.max(seconds(&claims, "iat")?).unwrap_or(0);
    let certificate = certificate(&claims)?;
    let name = name(&claims, settings);
    let claims = Arc::new(Claims { issuer: settings.issuer.clone(), texts: texts(claims)? });
    let evidence = Evidence::Claims { name, claims };
    Ok(Good { evidence, key: key.print, begins, ends, certificate })
}

fn is_for_us(claims: &Map<String, Value>, settings: &Settings) -> Result<(), Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(&settings.issuer) {
        return Err(Refusal::Issuer);
    }
    let is_meant = match claims.get("aud") {
        Some(Value::String(one)) => *one == settings.audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(&settings.audience)),
        _ => false,
    };
    if is_meant { Ok(()) } else { Err(Refusal::Audience) }
}

/// A moment among the claims, in whole seconds; what is there must be a number that counts them.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            // Saturates; below zero lies before every moment of ours.
            (None, Some(any)) if any.is_finite() => Ok(Some(any as u64)),
            _ => Err(Refusal::Malformed),
        },
        Some(_) => Err(Refusal::Malformed),
    }
}

/// The certificate that the token is bound to. A binding that is none of a certificate's cannot be looked at, so it is not met.
fn certificate(claims: &Map<String, Value>) -> Result<Option<[u8; 32]>, Refusal> {
    let Some(binding) = claims.get("cnf") else { return Ok(None) };
    let print = binding.get("x5t#S256").and_then(Value::as_str).ok_or(Refusal::Binding)?;
    let print = bytes(print).map_err(|_| Refusal::Binding)?;
    Ok(Some(print.try_into().map_err(|_| Refusal::Binding)?))
}

/// The user that the token names by itself: the claim that the operator chose, behind the prefix.
fn name(claims: &Map<String, Value>, settings: &Settings) -> Option<Arc<str>> {
    let text = claims.get(&settings.claim)?.as_str()?;
    // Whoever can set an address that is not looked at could be anybody.
    let is_vouched_for = settings.claim != "email"
        || claims.get("email_verified").is_none_or(|verified| *verified == Value::Bool(true));
    let is_plain = !text.is_empty() && !text.chars().any(char::is_control);
    (is_vouched_for && is_plain).then(|| Arc::from(format!("{}{text}", settings.prefix)))
}

/// The claims that are texts, or lists of texts.
fn texts(claims: Map<String, Value>) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let mut texts = BTreeMap::new();
    let mut count = 0_usize;
    for (name, value) in claims {
        let values = match value {
            Value::String(text) => vec![text],
            Value::Array(values) => match values.into_iter().map(text).collect() {
                Some(values) => values,
                None => continue,
            },
            _ => continue,
        };
        count = count.saturating_add(values.len().max(1));
        if count > OIDC_TEXTS_MAX {
            return Err(Refusal::TooManyTexts);
        }
        texts.insert(name, values);
    }
    Ok(texts)
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}
