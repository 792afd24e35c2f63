//! An issuer's public keys, as its JWKS names them (RFC 7517).
//!
//! Owns which keys are taken: those that can check a signature of one of the algorithms of [`Algorithm`], and nothing else;
//! what is of another kind is passed over, as the RFC wants. A shared secret is never one, whatever its entry says.

use super::digest;
use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use types::limits::OIDC_KEYS_MAX;

/// Bytes of an RSA modulus: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Bytes of an RSA exponent: the usual ones have three; a long one makes checking slow.
const EXPONENT_BYTES_MAX: usize = 4;

/// A way of signing: with a private key, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name in RFC 7518 and 8037. `none` and those of shared secrets have none here.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }

    fn ecdsa(self) -> Option<&'static EcdsaVerificationAlgorithm> {
        match self {
            Self::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            _ => None,
        }
    }
}

/// The keys that an issuer names.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

/// One of them.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The only algorithm it is for, where that is said.
    algorithm: Option<Algorithm>,
    material: Material,
    /// Tells it from every other key.
    pub(super) print: [u8; 32],
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    Ec(Algorithm, Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// A private part: a key that everybody can read proves nothing.
    d: Option<serde_json::Value>,
}

impl Keys {
    /// Reads a JWKS.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(document).map_err(|error| format!("it is no JWKS: {error}"))?;
        if document.keys.len() > OIDC_KEYS_MAX {
            return Err(format!("it names {} keys, more than {OIDC_KEYS_MAX}", document.keys.len()));
        }
        let keys: Vec<Key> = document.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err("it names no key for signatures of RS…, PS…, ES256, ES384 or EdDSA".to_owned());
        }
        Ok(Self(keys))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the key with this print is among them.
    pub(super) fn has(&self, print: &[u8; 32]) -> bool {
        self.0.iter().any(|key| key.print == *print)
    }

    /// Whether these are the same keys.
    pub(super) fn are(&self, others: &Self) -> bool {
        self.len() == others.len() && self.0.iter().all(|key| others.has(&key.print))
    }

    /// The key that a token names: by its id, or else the only one that could have signed so.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut fitting = self.0.iter().filter(named).filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::Key(key),
            (None, _) if id.is_some() && self.0.iter().any(|key| named(&key)) => Found::OfAnotherKind,
            (None, _) => Found::None,
            // Two that fit and no way to tell them apart: none is guessed.
            (Some(_), Some(_)) => Found::OfAnotherKind,
        }
    }
}

/// What was found for a token.
pub(super) enum Found<'a> {
    Key(&'a Key),
    /// There is such a key, and it cannot have made such a signature.
    OfAnotherKind,
    None,
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        let of_its_kind = match &self.material {
            Material::Rsa { .. } => algorithm.rsa().is_some(),
            Material::Ec(only, _) => *only == algorithm,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        of_its_kind && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether the signature over this is its own.
    pub(super) fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        let verified = match &self.material {
            Material::Rsa { n, e } => algorithm
                .rsa()
                .map(|parameters| RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)),
            Material::Ec(_, point) => {
                algorithm.ecdsa().map(|ecdsa| UnparsedPublicKey::new(ecdsa, point).verify(message, signature))
            }
            Material::Ed25519(point) => {
                Some(UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature))
            }
        };
        matches!(verified, Some(Ok(())))
    }
}

/// The key of one entry, if it is one that we take.
fn key(written: serde_json::Value) -> Option<Key> {
    let written: Written = serde_json::from_value(written).ok()?;
    let for_signatures = written.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
        && written.key_ops.as_ref().is_none_or(|acts| acts.iter().any(|act| act == "verify"));
    if !for_signatures || written.d.is_some() {
        return None;
    }
    let algorithm = match &written.alg {
        Some(name) => Some(Algorithm::named(name)?),
        None => None,
    };
    let part = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    let material = match (written.kty.as_str(), written.crv.as_deref()) {
        ("RSA", None) => rsa(&part(&written.n)?, &part(&written.e)?)?,
        ("EC", Some("P-256")) => ec(Algorithm::Es256, 32, &part(&written.x)?, &part(&written.y)?)?,
        ("EC", Some("P-384")) => ec(Algorithm::Es384, 48, &part(&written.x)?, &part(&written.y)?)?,
        ("OKP", Some("Ed25519")) => Material::Ed25519(part(&written.x).filter(|x| x.len() == 32)?),
        _ => return None,
    };
    let print = material.print(algorithm, written.kid.as_deref());
    let key = Key { id: written.kid, algorithm, material, print };
    // An entry that says it is for an algorithm of another kind is for none.
    algorithm.is_none_or(|only| key.fits(only)).then_some(key)
}

fn rsa(n: &[u8], e: &[u8]) -> Option<Material> {
    let whole = |number: &[u8]| -> Vec<u8> { number.iter().copied().skip_while(|byte| *byte == 0).collect() };
    let (n, e) = (whole(n), whole(e));
    (RSA_BYTES.contains(&n.len()) && (1..=EXPONENT_BYTES_MAX).contains(&e.len()))
        .then_some(Material::Rsa { n, e })
}

fn ec(algorithm: Algorithm, bytes: usize, x: &[u8], y: &[u8]) -> Option<Material> {
    let is_whole = x.len() == bytes && y.len() == bytes;
    is_whole.then(|| Material::Ec(algorithm, [&[4], x, y].concat()))
}

impl Material {
    fn print(&self, algorithm: Option<Algorithm>, id: Option<&str>) -> [u8; 32] {
        let (kind, first, second): (u8, &[u8], &[u8]) = match self {
            Self::Rsa { n, e } => (0, n, e),
            Self::Ec(Algorithm::Es384, point) => (2, point, &[]),
            Self::Ec(_, point) => (1, point, &[]),
            Self::Ed25519(point) => (3, point, &[]),
        };
        let length = u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes();
        let told = format!("{algorithm:?} {id:?}");
        digest(&[&[kind], &length[..], first, second, told.as_bytes()].concat())
    }
}
