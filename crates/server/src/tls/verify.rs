//! Which clients' certificates are accepted: issued by a CA of the bundle, in their time, not revoked, and, where the
//! settings name names, carrying one of them.
//!
//! A certificate of the bundle itself is good as its owner's: who has its key could issue any other. webpki takes no CA's
//! certificate from a client, Go does.
//!
//! The chain is checked by webpki; only the check of names is ours, and it can only refuse. A CRL must be signed by the
//! issuer it speaks for (etcd accepts unsigned ones); an issuer without a CRL is not held against its certificates.

use super::{Clients, Error, Failure, Settings};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme,
};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

pub(super) fn verifier(
    settings: &Settings,
    roots: Vec<CertificateDer<'static>>,
    crls: Vec<CertificateRevocationListDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    if roots.is_empty() {
        return Err(Error::NoClientCa);
    }
    let name = || settings.client_ca.as_ref().map_or_else(String::new, super::Source::name);
    // What is revoked is known of certificates that somebody issued, not of a CA's own.
    let own = if crls.is_empty() { roots.clone() } else { Vec::new() };
    let mut store = RootCertStore::empty();
    for root in roots {
        let parsed = |error: rustls::Error| Error::Parse {
            what: "client CA bundle",
            name: name(),
            reason: error.to_string(),
        };
        store.add(root).map_err(parsed)?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
        .with_crls(crls)
        .allow_unknown_revocation_status();
    if settings.clients == Clients::Explained {
        // Who shows none is told so after the handshake.
        builder = builder.allow_unauthenticated();
    }
    let chain: Arc<dyn ClientCertVerifier> = builder.build().map_err(|error| Error::Parse {
        what: super::load::REVOCATIONS,
        name: settings.crl.as_ref().map_or_else(String::new, super::Source::name),
        reason: error.to_string(),
    })?;
    let chain: Arc<dyn ClientCertVerifier> = Arc::new(OrOwn { chain, own });
    if settings.allowed_common_names.is_empty() && settings.allowed_hostnames.is_empty() {
        return Ok(chain);
    }
    Ok(Arc::new(Named {
        chain,
        common_names: settings.allowed_common_names.clone(),
        hostnames: settings.allowed_hostnames.clone(),
    }))
}

/// Takes what `chain` takes, and the CAs' own certificates.
#[derive(Debug)]
struct OrOwn {
    chain: Arc<dyn ClientCertVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl OrOwn {
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
}

impl ClientCertVerifier for OrOwn {
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
        match self.chain.verify_client_cert(end_entity, intermediates, now) {
            Err(_) if self.is_own(end_entity, now) => Ok(ClientCertVerified::assertion()),
            verified => verified,
        }
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
pub(super) struct Deferring {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// Whether anything can be revoked: without a list the chain is verified once, when the handshake is over.
    pub(super) has_crls: bool,
}

impl ClientCertVerifier for Deferring {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if !self.has_crls {
            return Ok(ClientCertVerified::assertion());
        }
        match self.verifier.verify_client_cert(end_entity, intermediates, now) {
            Err(error) if Failure::of_tls(&error) == Failure::Revoked => Err(error),
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// The certificate is good, and not one of those that are let in.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of {common_name:?} carries none of the allowed names")]
pub(super) struct NotAllowed {
    common_name: String,
}

#[derive(Debug)]
struct Named {
    chain: Arc<dyn ClientCertVerifier>,
    common_names: Vec<String>,
    hostnames: Vec<String>,
}

impl Named {
    fn allows(&self, certificate: &CertificateDer<'_>, common_name: &str) -> bool {
        let by_common_name =
            self.common_names.is_empty() || self.common_names.iter().any(|name| name == common_name);
        let by_hostname = self.hostnames.is_empty()
            || webpki_names(certificate).is_some_and(|certificate| {
                self.hostnames.iter().any(|name| {
                    ServerName::try_from(name.as_str())
                        .is_ok_and(|name| rustls::client::verify_server_name(&certificate, &name).is_ok())
                })
            });
        by_common_name && by_hostname
    }
}

fn webpki_names<'a>(der: &'a CertificateDer<'_>) -> Option<rustls::server::ParsedCertificate<'a>> {
    rustls::server::ParsedCertificate::try_from(der).ok()
}

impl ClientCertVerifier for Named {
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
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let common_name = super::identity::common_name(end_entity).unwrap_or_default();
        if self.allows(end_entity, &common_name) {
            return Ok(verified);
        }
        let refusal = NotAllowed { common_name };
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal)))))
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
