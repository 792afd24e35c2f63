//! Which clients' certificates are accepted: issued by a CA of the bundle, in their time, for clients, not revoked, and, where
//! the settings name names, carrying one of them.
//!
//! A certificate of the bundle itself is good as its owner's: who has its key could issue any other. webpki takes no CA's
//! certificate from a client, Go does.
//!
//! The chain is checked by webpki; what is ours (size, lists, names) can only refuse. Nothing here asks a name server: a name
//! counts for what the certificate says, never for the address that it comes from.

use super::revocation::Lists;
use super::{Clients, Error, Failure, Manner, Settings};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme,
};
use std::sync::Arc;
use types::limits::{CERTIFICATE_CHAIN_BYTES_MAX, CERTIFICATE_CHAIN_MAX};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Judges clients' certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    chain: Arc<dyn ClientCertVerifier>,
    /// The CAs' own.
    own: Vec<CertificateDer<'static>>,
    lists: Arc<Lists>,
    common_names: Vec<String>,
    hostnames: Vec<String>,
    manner: Manner,
}

impl Verifier {
    /// Of these settings, with the CAs of `roots`.
    pub(super) fn new(
        settings: &Settings,
        roots: Vec<CertificateDer<'static>>,
        lists: Arc<Lists>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        if roots.is_empty() {
            return Err(Error::NoClientCa);
        }
        let name = || settings.client_ca.as_ref().map_or_else(String::new, super::Source::name);
        let own = roots.clone();
        let mut store = RootCertStore::empty();
        for root in roots {
            let parsed = |error: rustls::Error| Error::Parse {
                what: "client CA bundle",
                name: name(),
                reason: error.to_string(),
            };
            store.add(root).map_err(parsed)?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
        if settings.clients == Clients::Explained {
            // Who shows none is told so after the handshake.
            builder = builder.allow_unauthenticated();
        }
        Ok(Self {
            chain: builder.build().map_err(|error| Error::Refused(error.to_string()))?,
            own,
            lists,
            common_names: settings.allowed_common_names.clone(),
            hostnames: settings.allowed_hostnames.clone(),
            manner: settings.manner,
        })
    }

    /// Judges a client's certificates: its own, and those that it showed with it.
    pub(super) fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        check_size(leaf, rest)?;
        if self.is_revoked(leaf, rest) {
            return Err(rustls::Error::InvalidCertificate(CertificateError::Revoked));
        }
        match self.chain.verify_client_cert(leaf, rest, now) {
            Err(_) if self.is_own(leaf, now) => {}
            verified => {
                verified?;
            }
        }
        self.check_uris(leaf)?;
        self.check_names(leaf)
    }

    /// Whether any of them is on the list of its issuer.
    pub(super) fn is_revoked(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> bool {
        self.lists.name_any(std::iter::once(leaf).chain(rest))
    }

    /// Whether it is one of the CAs' own, in its time and for clients.
    fn is_own(&self, shown: &CertificateDer<'_>, now: UnixTime) -> bool {
        self.own.iter().any(|own| own == shown)
            && X509Certificate::from_der(shown).is_ok_and(|(_, certificate)| {
                let validity = certificate.validity();
                let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
                let in_time =
                    (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now);
                let is_for_clients = certificate
                    .extended_key_usage()
                    .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.any || usage.value.client_auth));
                in_time && is_for_clients
            })
    }

    /// An identity in a URI must be the only one: which of several an issuer meant to vouch for cannot be told (SPIFFE says
    /// the same). etcd looks at no URI, so there such a certificate is good for what else it says.
    fn check_uris(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let count = match self.manner {
            Manner::AsEtcd => 0,
            Manner::Strict => super::identity::uris(leaf),
        };
        if count > 1 { Err(refused(Refusal::SeveralUris { count })) } else { Ok(()) }
    }

    fn check_names(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.common_names.is_empty() && self.hostnames.is_empty() {
            return Ok(());
        }
        let common_name = super::identity::common_name(leaf).unwrap_or_default();
        let by_common_name = self.common_names.is_empty() || self.common_names.contains(&common_name);
        let by_hostname = self.hostnames.is_empty()
            || rustls::server::ParsedCertificate::try_from(leaf).is_ok_and(|certificate| {
                self.hostnames.iter().any(|name| {
                    ServerName::try_from(name.as_str())
                        .is_ok_and(|name| rustls::client::verify_server_name(&certificate, &name).is_ok())
                })
            });
        if by_common_name && by_hostname { Ok(()) } else { Err(refused(Refusal::NotAllowed { common_name })) }
    }
}

/// A bound on what is parsed of a client's certificates.
fn check_size(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
    let count = rest.len().saturating_add(1);
    let bytes = rest.iter().fold(leaf.len(), |sum, each| sum.saturating_add(each.len()));
    if count > CERTIFICATE_CHAIN_MAX || bytes > CERTIFICATE_CHAIN_BYTES_MAX {
        return Err(refused(Refusal::TooLarge));
    }
    Ok(())
}

/// Why a certificate is refused, beyond what webpki says.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The certificate is good, and not one of those that are let in.
    #[error("the certificate of {common_name:?} carries none of the allowed names")]
    NotAllowed { common_name: String },
    #[error("the certificate carries {count} URIs, and an identity is one")]
    SeveralUris { count: usize },
    #[error(
        "client certificates of more than {CERTIFICATE_CHAIN_BYTES_MAX} bytes or {CERTIFICATE_CHAIN_MAX} pieces"
    )]
    TooLarge,
}

fn refused(why: Refusal) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Lets every certificate that is not revoked through the handshake, so that a client with a wrong one can be told why in
/// words it shows its user; a TLS alert is all it would get otherwise, and clients of etcd sit on that for five seconds. Proves
/// nothing: [`super::Loaded::judge`] verifies the chain when the handshake is over, and without that there is no evidence. That
/// the client holds the certificate's key is still checked here.
#[derive(Debug)]
pub(super) struct Deferring(pub(super) Arc<Verifier>);

impl ClientCertVerifier for Deferring {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // One that is too large is told so afterwards, like every other mistake.
        if check_size(end_entity, intermediates).is_ok() && self.0.is_revoked(end_entity, intermediates) {
            return Err(rustls::Error::InvalidCertificate(CertificateError::Revoked));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl Failure {
    /// Sorts a refusal of ours.
    pub(super) fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::NotAllowed { .. } => Self::NotAllowed(refusal.to_string()),
            Refusal::SeveralUris { .. } => Self::SeveralUris(refusal.to_string()),
            Refusal::TooLarge => Self::TooLarge,
        }
    }
}
