//! The name in a peer's certificate, as evidence of who asks.
//!
//! Called only with certificates whose chain has been verified. A certificate with more than one common name has none:
//! which of them an issuer meant to vouch for cannot be told.

use rustls::pki_types::CertificateDer;
use state::auth::Evidence;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The evidence that a verified certificate gives.
pub(super) fn evidence(leaf: &CertificateDer<'_>) -> Evidence {
    Evidence::Certificate { common_name: Arc::from(common_name(leaf).unwrap_or_default()) }
}

/// The subject's only common name, if it has exactly one that is text.
pub(super) fn common_name(der: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    if names.next().is_some() || name.chars().any(char::is_control) {
        return None;
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    fn certificate(names: &[DnValue]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for name in names {
            params.distinguished_name.push(DnType::CommonName, name.clone());
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    /// The common name is the identity etcd's users know; anything ambiguous must not become one.
    #[test]
    fn one_common_name_is_an_identity() {
        let one = certificate(&[DnValue::Utf8String("root".into())]);
        assert_eq!(evidence(&one), Evidence::Certificate { common_name: "root".into() });
        let none = certificate(&[]);
        assert_eq!(evidence(&none), Evidence::Certificate { common_name: "".into() });
        let forged = certificate(&[DnValue::Utf8String("root\0.example".into())]);
        assert_eq!(evidence(&forged), Evidence::Certificate { common_name: "".into() });
    }
}
