//! The name in a peer's certificate, as evidence of who asks.
//!
//! Called only with certificates whose chain has been verified. A certificate with more than one common name has none:
//! which of them an issuer meant to vouch for cannot be told.

use aws_lc_rs::digest::{SHA256, digest};
use certificate::ADMINISTRATOR_URI;
use rustls::pki_types::CertificateDer;
use state::auth::{CertificateNames, Evidence};
use std::sync::Arc;
use types::limits::CERTIFICATE_NAMES_MAX;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The evidence that a verified certificate gives; `names_administrators` if the authority behind it is our own.
pub(super) fn evidence(leaf: &CertificateDer<'_>, names_administrators: bool) -> Evidence {
    let mut names = names(leaf).unwrap_or_default();
    if names_administrators {
        names.serial = certificate::About::of(leaf).ok().map(|about| about.serial);
    }
    Evidence::Certificate {
        common_name: Arc::from(common_name(leaf).unwrap_or_default()),
        is_administrator: names_administrators && names.uri.as_deref() == Some(ADMINISTRATOR_URI),
        names: Arc::new(names),
    }
}

/// What the certificate says beside the common name. Of several URIs or organizations none counts, as in SPIFFE: which of
/// them an issuer meant to vouch for cannot be told.
fn names(der: &CertificateDer<'_>) -> Option<CertificateNames> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let alternatives = certificate.subject_alternative_name().ok()?;
    let alternatives = alternatives.map_or(&[][..], |names| &names.value.general_names);
    let uris = alternatives.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let dns = alternatives.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let organizations =
        certificate.subject().iter_organization().map(|each| each.as_str().unwrap_or_default());
    Some(CertificateNames {
        serial: None,
        uri: only(uris).map(str::to_owned),
        dns: dns.take(CERTIFICATE_NAMES_MAX).collect(),
        organization: only(organizations).filter(|name| !name.is_empty()).map(str::to_owned),
        thumbprint: digest(&SHA256, der).as_ref().try_into().ok(),
    })
}

/// How many URIs the certificate carries.
pub(super) fn uris(der: &CertificateDer<'_>) -> usize {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return 0 };
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    alternatives.map_or(0, |names| {
        names.value.general_names.iter().filter(|name| matches!(name, GeneralName::URI(_))).count()
    })
}

/// The one that there is; none where there are several.
fn only<T>(mut each: impl Iterator<Item = T>) -> Option<T> {
    let first = each.next()?;
    each.next().is_none().then_some(first)
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
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

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
        assert_eq!(named(&one), "root");
        let none = certificate(&[]);
        assert_eq!(named(&none), "");
        let forged = certificate(&[DnValue::Utf8String("root\0.example".into())]);
        assert_eq!(named(&forged), "");
    }

    fn named(certificate: &CertificateDer<'_>) -> String {
        match evidence(certificate, true) {
            Evidence::Certificate { common_name, is_administrator: false, .. } => {
                common_name.as_ref().to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Only our own authority's word makes an administrator, and only where it is the one thing that it says: a name
    /// that reads root does not, nor the same URI of another authority, nor one URI of several.
    #[test]
    fn an_administrator_is_what_our_authority_says_alone() {
        let with = |uris: &[&str]| {
            let mut params = CertificateParams::default();
            params.subject_alt_names =
                uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        let is_administrator = |uris: &[&str], ours| {
            matches!(evidence(&with(uris), ours), Evidence::Certificate { is_administrator: true, .. })
        };
        assert!(is_administrator(&[ADMINISTRATOR_URI], true));
        assert!(!is_administrator(&[ADMINISTRATOR_URI], false), "another authority");
        assert!(!is_administrator(&[ADMINISTRATOR_URI, "urn:other"], true), "several");
        assert!(!is_administrator(&["urn:strongroom:role:member"], true));
        assert!(!is_administrator(&[], true));
    }
}
