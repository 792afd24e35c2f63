//! A key made where it is used, and the request by which a certificate for it is asked for.
//!
//! Of a request only the key counts, and that its owner signed it: whom the certificate names is never its own to say.

use crate::about::hex;
use crate::error::Error;
use crate::pem;
use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SignatureAlgorithm,
};
use zeroize::Zeroizing;

/// A private key that can sign: ECDSA with P-256 where we make it.
pub struct KeyPair(pub(crate) rcgen::KeyPair);

impl KeyPair {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Make`]
    pub fn generate() -> Result<Self, Error> {
        rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self).map_err(make("a key"))
    }

    /// From PKCS #8, DER.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_der(pkcs8: &[u8]) -> Result<Self, String> {
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(pkcs8);
        rcgen::KeyPair::try_from(&der).map(Self).map_err(|error| error.to_string())
    }

    /// From PEM.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        if text.contains("ENCRYPTED") {
            return Err("it is encrypted with a passphrase".to_owned());
        }
        rcgen::KeyPair::from_pem(text).map(Self).map_err(|error| error.to_string())
    }

    /// PKCS #8, DER.
    #[must_use]
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_der())
    }

    /// PKCS #8, PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::text(pem::PRIVATE_KEY, &self.to_der())
    }

    /// The public key (SubjectPublicKeyInfo, DER).
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// A request for a certificate of this key, DER.
    ///
    /// # Errors
    /// [`Error::Make`]
    pub fn request(&self) -> Result<Vec<u8>, Error> {
        let request = CertificateParams::default().serialize_request(&self.0);
        Ok(request.map_err(make("a certificate request"))?.der().to_vec())
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyPair(***)")
    }
}

/// A public key whose owner asked for a certificate.
pub struct PublicKey(rcgen::PublicKey);

/// Larger requests are not looked at, in bytes: an RSA key of 8,192 bits needs a third of it.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

impl PublicKey {
    /// Of a request, DER, that is signed by the key itself.
    ///
    /// # Errors
    /// [`Error::Request`]
    pub fn of_request(der: &[u8]) -> Result<Self, Error> {
        let refuse = |why: String| Error::Request { why };
        if der.len() > REQUEST_BYTES_MAX {
            return Err(refuse(format!("it is larger than {REQUEST_BYTES_MAX} bytes")));
        }
        // What it asks for beside the key is read by nobody here, so that an unusual wish refuses nothing.
        let request = CertificateSigningRequestParams::from_der(&der.to_vec().into());
        let request = request.map_err(|error| refuse(error.to_string()))?;
        Ok(Self(request.public_key))
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&self.0)
    }
}

/// What a key is called: the beginning of the hash of its public key (SubjectPublicKeyInfo, or raw for a holder's).
#[must_use]
pub fn key_id(public_key: &[u8]) -> String {
    hex(digest(&SHA256, public_key).as_ref().get(..8).unwrap_or_default())
}

impl PublicKeyData for KeyPair {
    fn der_bytes(&self) -> &[u8] {
        PublicKeyData::der_bytes(&self.0)
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&self.0)
    }
}

pub(crate) fn make(what: &'static str) -> impl FnOnce(rcgen::Error) -> Error {
    move |error| Error::Make { what, why: error.to_string() }
}
