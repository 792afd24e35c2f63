//! Signed tokens (RFC 7519) as etcd gives them: claims `username`, `revision` and `exp`, signed with the operator's key.
//!
//! Owns the keys, what is demanded of a token, and a bounded memory of those whose signature was found good: checking one
//! costs more than the request it comes with. Stricter than etcd where that hides nothing from its clients: only the one
//! configured algorithm, an end is demanded, a token that names an audience or an issuer is good for those alone, and one
//! that we made is good only with a certificate of the same identity.
//!
//! Invariant: what the memory holds was verified with the keys this process began with; its end is looked at every time.

use super::binding;
use crate::gate::Connection;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use types::AuthRevision;
use types::limits::{TOKEN_BYTES_MAX, TOKENS_CHECKED_MAX};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use zeroize::Zeroizing;

/// How tokens are signed and checked, as the operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The algorithm by its name in RFC 7518: `RS256`, `ES256`, `EdDSA`, …
    pub sign_method: String,
    /// The file of the public key, or of a certificate with it.
    pub public_key: Option<PathBuf>,
    /// The file of the private key; without one tokens can be checked and not given. For `HS…` the shared secret.
    pub private_key: Option<PathBuf>,
    /// How long a token is good.
    pub life: Duration,
    /// Whom a token must be meant for, if it says so or this is set.
    pub audience: Option<String>,
    /// Who must have made a token, if this is set.
    pub issuer: Option<String>,
}

/// Why there are no signed tokens.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The algorithm has no such name, or is not offered.
    #[error("--auth-token: sign-method {0:?} is not offered")]
    Method(String),
    /// There is no key to check tokens with.
    #[error("--auth-token: {method} needs {needs}")]
    NoKey {
        /// The algorithm.
        method: String,
        /// What is missing.
        needs: &'static str,
    },
    /// A key's file cannot be read.
    #[error("--auth-token: cannot read {}: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A key is not one of the algorithm's.
    #[error("--auth-token: {} holds no {kind} for {method}", path.display())]
    WrongKey {
        /// Which.
        path: PathBuf,
        /// Private or public key.
        kind: &'static str,
        /// The algorithm.
        method: String,
    },
    /// The two keys do not belong together.
    #[error("--auth-token: the private key in {} does not belong to the public key in {}", private.display(), public.display())]
    Mismatch {
        /// Where the private key is.
        private: PathBuf,
        /// Where the public key is.
        public: PathBuf,
    },
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Method(_) => {
                "write one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384, HS512"
            }
            Self::NoKey { .. } => "write jwt,pub-key=FILE,priv-key=FILE,sign-method=NAME,ttl=10m",
            Self::Unreadable { .. } => "check the path and that this user may read it",
            Self::WrongKey { .. } => {
                "give a PEM file: RSA for RS… and PS…, P-256 for ES256, P-384 for ES384, Ed25519 for EdDSA"
            }
            Self::Mismatch { .. } => "give the two keys of one pair",
        }
    }
}

/// Makes and checks signed tokens.
pub struct Jwt {
    algorithm: Algorithm,
    sign: Option<EncodingKey>,
    verify: DecodingKey,
    validation: Validation,
    life: Duration,
    settings: Settings,
    checked: Cache<[u8; 32], Claims>,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub user: Arc<str>,
    /// The policy's revision when it was made.
    pub revision: AuthRevision,
    /// Its end, Unix seconds.
    pub expires: u64,
    /// From when on it is good, Unix seconds.
    begins: u64,
    /// The identity of the certificate that it was asked for with.
    bound: Option<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    username: String,
    revision: Number,
    exp: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound: Option<String>,
}

/// A number of JSON, which may be written with a fraction; what is below zero or none counts as zero.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Any(f64),
}

impl Number {
    fn whole(self) -> u64 {
        match self {
            Self::Whole(number) => number,
            // Saturates, and a number that is none becomes 0.
            Self::Any(number) => number as u64,
        }
    }
}

impl Jwt {
    /// Reads the keys.
    ///
    /// # Errors
    /// [`Error`], naming the file.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let method = settings.sign_method.as_str();
        let algorithm = method.parse().map_err(|_| Error::Method(method.to_owned()))?;
        let read = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
        let (private, public) = (read(&settings.private_key)?, read(&settings.public_key)?);
        let (sign, verify) = match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                let secret = private.filter(|secret| !secret.is_empty()).ok_or_else(|| Error::NoKey {
                    method: method.to_owned(),
                    needs: "priv-key, the shared secret",
                })?;
                (Some(EncodingKey::from_secret(&secret)), DecodingKey::from_secret(&secret))
            }
            _ => asymmetric(&settings, algorithm, private, public)?,
        };
        let mut validation = Validation::new(algorithm);
        // The clock is ours, and so are the checks of time.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["exp"]);
        let mut demand = |claim: &str| validation.required_spec_claims.insert(claim.to_owned());
        if settings.audience.is_some() {
            demand("aud");
        }
        if settings.issuer.is_some() {
            demand("iss");
        }
        if let Some(audience) = &settings.audience {
            validation.set_audience(&[audience]);
        }
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
        }
        let (life, checked) = (settings.life, Cache::new(TOKENS_CHECKED_MAX));
        Ok(Self { algorithm, sign, verify, validation, life, settings, checked })
    }

    /// A new token for a user; nothing when there is only a public key.
    pub(crate) fn sign(
        &self,
        user: &str,
        revision: AuthRevision,
        connection: Option<&Connection>,
        now_seconds: u64,
    ) -> Option<String> {
        let claims = Written {
            username: user.to_owned(),
            revision: Number::Whole(revision.0),
            exp: Number::Whole(now_seconds.saturating_add(self.life.as_secs())),
            nbf: None,
            aud: self.settings.audience.clone().map(serde_json::Value::String),
            iss: self.settings.issuer.clone(),
            bound: binding::identity(connection),
        };
        let signed = jsonwebtoken::encode(&Header::new(self.algorithm), &claims, self.sign.as_ref()?);
        signed.inspect_err(|error| tracing::error!(%error, "cannot sign a token")).ok()
    }

    /// What a token says that came over this connection, if it is good now.
    pub(crate) fn verify(
        &self,
        token: &str,
        connection: Option<&Connection>,
        now_seconds: u64,
    ) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let name: [u8; 32] = digest.as_ref().try_into().ok()?;
        let claims = match self.checked.get(&name) {
            Some(claims) => claims,
            None => {
                let claims = self.check(token)?;
                self.checked.insert(name, claims.clone());
                claims
            }
        };
        let is_in_time = claims.begins <= now_seconds && now_seconds < claims.expires;
        let is_bound_here = claims
            .bound
            .as_deref()
            .is_none_or(|bound| binding::identity(connection).as_deref() == Some(bound));
        (is_in_time && is_bound_here).then_some(claims)
    }

    fn check(&self, token: &str) -> Option<Claims> {
        let decoded = jsonwebtoken::decode::<Written>(token, &self.verify, &self.validation);
        let claims =
            decoded.inspect_err(|error| tracing::debug!(%error, "a signed token is not good")).ok()?.claims;
        Some(Claims {
            user: claims.username.into(),
            revision: AuthRevision(claims.revision.whole()),
            expires: claims.exp.whole(),
            begins: claims.nbf.map_or(0, Number::whole),
            bound: claims.bound.map(Arc::from),
        })
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    std::fs::read(path).map(Zeroizing::new).map_err(|why| Error::Unreadable { path: path.to_owned(), why })
}

type Keys = (Option<EncodingKey>, DecodingKey);

fn asymmetric(
    settings: &Settings,
    algorithm: Algorithm,
    private: Option<Zeroizing<Vec<u8>>>,
    public: Option<Zeroizing<Vec<u8>>>,
) -> Result<Keys, Error> {
    let method = settings.sign_method.clone();
    let wrong = |path: &Option<PathBuf>, kind| Error::WrongKey {
        path: path.clone().unwrap_or_default(),
        kind,
        method: settings.sign_method.clone(),
    };
    let public = match public {
        Some(pem) => Some(public_key(&pem).ok_or_else(|| wrong(&settings.public_key, "public key"))?),
        None => None,
    };
    let private = match private {
        Some(pem) => {
            Some(private_key(&pem, algorithm).ok_or_else(|| wrong(&settings.private_key, "private key"))?)
        }
        None => None,
    };
    if let (Some((_, derived)), Some(given)) = (&private, &public)
        && derived != given
    {
        let (private, public) = (settings.private_key.clone(), settings.public_key.clone());
        return Err(Error::Mismatch {
            private: private.unwrap_or_default(),
            public: public.unwrap_or_default(),
        });
    }
    let (sign, public) = match (private, public) {
        (Some((sign, derived)), _) => (Some(sign), derived),
        (None, Some(given)) => (None, given),
        (None, None) => return Err(Error::NoKey { method, needs: "pub-key, priv-key, or both" }),
    };
    let verify = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_der(&public),
        Algorithm::EdDSA => DecodingKey::from_ed_der(&public),
        _ => DecodingKey::from_rsa_der(&public),
    };
    if !is_of(&public, algorithm) {
        return Err(wrong(&settings.public_key, "public key"));
    }
    Ok((sign, verify))
}

/// Whether a public key has the form of the algorithm's: a point, 32 bytes, or a DER sequence.
fn is_of(public: &[u8], algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::ES256 => public.len() == 65 && public.first() == Some(&4),
        Algorithm::ES384 => public.len() == 97 && public.first() == Some(&4),
        Algorithm::EdDSA => public.len() == 32,
        _ => public.first() == Some(&0x30),
    }
}

/// A private key of the algorithm, and the public key that belongs to it.
fn private_key(pem: &[u8], algorithm: Algorithm) -> Option<(EncodingKey, Vec<u8>)> {
    let der = PrivateKeyDer::from_pem_slice(pem).ok()?;
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => {
            let curve = if algorithm == Algorithm::ES256 {
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING
            } else {
                &signature::ECDSA_P384_SHA384_FIXED_SIGNING
            };
            let pair = EcdsaKeyPair::from_private_key_der(curve, der.secret_der()).ok()?;
            let pkcs8 = pair.to_pkcs8v1().ok()?;
            Some((EncodingKey::from_ec_der(pkcs8.as_ref()), pair.public_key().as_ref().to_vec()))
        }
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_der()).ok()?;
            Some((EncodingKey::from_ed_der(der.secret_der()), pair.public_key().as_ref().to_vec()))
        }
        _ => {
            let pair = match &der {
                PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der()).ok()?,
                PrivateKeyDer::Pkcs8(der) => rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?,
                _ => return None,
            };
            Some((EncodingKey::from_rsa_pem(pem).ok()?, pair.public_key().as_ref().to_vec()))
        }
    }
}

/// The key in a PEM text: alone, or in a certificate.
fn public_key(pem: &[u8]) -> Option<Vec<u8>> {
    let (kind, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(pem).ok()?;
    let of = |info: &SubjectPublicKeyInfo<'_>| info.subject_public_key.data.to_vec();
    match kind {
        SectionKind::Certificate => Some(of(X509Certificate::from_der(&der).ok()?.1.public_key())),
        SectionKind::PublicKey => Some(of(&SubjectPublicKeyInfo::from_der(&der).ok()?.1)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
