//! PEM, both ways, for exactly the kinds that we write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// A certificate's label.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// A private key's, in PKCS #8.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// A public key's.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";
/// A revocation list's.
pub const REVOCATIONS: &str = "X509 CRL";

/// Writes DER as PEM.
#[must_use]
pub fn text(label: &str, der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let mut out = Zeroizing::new(String::with_capacity(encoded.len() + encoded.len() / 64 + 64));
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in encoded.as_bytes().chunks(64) {
        out.push_str(std::str::from_utf8(line).unwrap_or_default());
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// Several certificates, one behind the other.
#[must_use]
pub fn certificates<'a>(ders: impl IntoIterator<Item = &'a [u8]>) -> String {
    ders.into_iter().map(|der| text(CERTIFICATE, der).to_string()).collect()
}

/// The certificates of a PEM text, in order; other blocks are passed over.
///
/// # Errors
/// Damage, in words.
pub fn read_certificates(text: &str) -> Result<Vec<Vec<u8>>, String> {
    CertificateDer::pem_slice_iter(text.as_bytes())
        .map(|der| der.map(|der| der.to_vec()).map_err(|error| format!("its PEM is damaged: {error}")))
        .collect()
}
