//! The outer shape that certificates, revocation lists and public keys share, and whether a key made a signature.
//!
//! Owns three fields of DER and nothing of what they mean: what was signed, how, and the signature. The check is the crypto
//! provider's, the same that judges certificates. Every byte may be anybody's: what does not fit is no signature.
//! Source: RFC 5280, sections 4.1 and 5.1.

use rustls::pki_types::SignatureVerificationAlgorithm;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The algorithms that may have made a signature.
pub(super) type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

/// Something signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes a certificate or list apart.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let fields = only(der, SEQUENCE)?;
        let (message, fields) = element(fields, SEQUENCE)?;
        let (algorithm, fields) = element(fields, SEQUENCE)?;
        Some(Self { message: message.whole, algorithm: algorithm.content, signature: bits(fields)? })
    }

    /// Whether this public key (a `SubjectPublicKeyInfo`) made the signature.
    pub(super) fn is_by(&self, key: &[u8], algorithms: Algorithms) -> bool {
        let fits = || {
            let (kind, rest) = element(only(key, SEQUENCE)?, SEQUENCE)?;
            Some((kind.content, bits(rest)?))
        };
        let Some((kind, key)) = fits() else { return false };
        let may = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && algorithm.public_key_alg_id().as_ref() == kind
        };
        algorithms
            .iter()
            .filter(may)
            .any(|algorithm| algorithm.verify_signature(key, self.message, self.signature).is_ok())
    }
}

/// An element: with its head, and without.
struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The first element, which has this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, head) = match first {
        0..=0x7f => (usize::from(first), 2_usize),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let length = rest.get(..count)?.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
            (length, count.checked_add(2)?)
        }
        _ => return None,
    };
    let end = head.checked_add(length)?;
    let (whole, content) = (bytes.get(..end)?, bytes.get(head..end)?);
    (found == tag).then_some((Element { whole, content }, bytes.get(end..)?))
}

/// The content of the one element that there is.
fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (found, rest) = element(bytes, tag)?;
    rest.is_empty().then_some(found.content)
}

/// The bits of the one bit string that there is, whole bytes of them.
fn bits(bytes: &[u8]) -> Option<&[u8]> {
    let (unused, bits) = only(bytes, BIT_STRING)?.split_first()?;
    (*unused == 0).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::testing::{Ca, Good};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn algorithms() -> Algorithms {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all
    }

    /// A signature counts for the key that made it and no other, and not for one changed byte of what was signed; whatever
    /// is cut off or flipped, nothing panics: anybody can send such bytes.
    #[test]
    fn a_signature_counts_for_its_own_key_and_bytes() {
        let (ca, other) = (Ca::new("same name"), Ca::new("same name"));
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (own, foreign) = (der(&ca.pem), der(&other.pem));
        let key =
            |der: &CertificateDer<'_>| X509Certificate::from_der(der).unwrap().1.public_key().raw.to_vec();
        let (own, foreign) = (key(&own), key(&foreign));
        let leaf = der(&ca.client("x", Good::Now).certificate);
        let is_by = |bytes: &[u8], key: &[u8]| {
            Signed::parse(bytes).is_some_and(|signed| signed.is_by(key, algorithms()))
        };
        assert!(is_by(&leaf, &own));
        assert!(!is_by(&leaf, &foreign));
        for at in 0..leaf.len() {
            assert!(!is_by(&leaf[..at], &own), "cut at {at}");
            let mut flipped = leaf.to_vec();
            flipped[at] ^= 1;
            assert!(!is_by(&flipped, &own), "flipped at {at}");
        }
        assert!((0..own.len()).all(|at| !is_by(&leaf, &own[..at])));
    }
}
