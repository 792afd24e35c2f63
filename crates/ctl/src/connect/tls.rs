//! Our side of a handshake: the files, the verifier that remembers what it saw, and what a failed handshake means.
//!
//! TLS 1.3 only. The verifier is the library's own; ours only keeps the server's certificate for the explanation.

use super::certificate::Certificate;
use super::explain::{FileFault, Material, Stage, Trouble};
use crate::settings::{Settings, Verification};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The server's certificate, once it was seen.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Option<Certificate>>);

impl Seen {
    fn keep(&self, certificate: &CertificateDer<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Certificate::read(certificate);
    }

    pub(super) fn certificate(&self) -> Option<Certificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What we bring to a handshake, read once.
#[derive(Clone)]
pub(super) struct Trust {
    pub(super) config: Arc<ClientConfig>,
    pub(super) seen: Arc<Seen>,
    pub(super) ours: Option<Certificate>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Reads the files and builds the configuration.
pub(super) fn load(settings: &Settings) -> Result<Trust, Trouble> {
    let seen = Arc::new(Seen::default());
    let verifier = verifier(settings, Arc::clone(&seen))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Trouble::Other(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let (mut config, ours) = match &settings.pair {
        None => (builder.with_no_client_auth(), None),
        Some((cert, key)) => {
            let chain = certificates(Material::Certificate, cert)?;
            let ours = chain.first().and_then(|leaf| Certificate::read(leaf));
            let key =
                PrivateKeyDer::from_pem_file(key).map_err(|error| unread(Material::Key, key, &error))?;
            let config = builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => Trouble::KeyMismatch,
                _ => Trouble::FileMalformed(Material::Certificate, cert.clone()),
            })?;
            (config, ours)
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Trust { config: Arc::new(config), seen, ours })
}

fn verifier(settings: &Settings, seen: Arc<Seen>) -> Result<Arc<dyn ServerCertVerifier>, Trouble> {
    let (anchors, malformed) = match &settings.verification {
        Verification::DangerouslySkipped | Verification::ByPin => {
            return Ok(Arc::new(Blind { provider: provider(), seen }));
        }
        Verification::Required => {
            let path = settings.ca.as_ref().ok_or(Trouble::NoCa)?;
            (certificates(Material::Ca, path)?, Trouble::FileMalformed(Material::Ca, path.clone()))
        }
        Verification::ByRoots(text) => {
            let malformed = Trouble::Other("the root that the member showed cannot be used".to_owned());
            let read = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>();
            (read.map_err(|_| malformed.clone())?, malformed)
        }
    };
    let mut roots = RootCertStore::empty();
    for certificate in anchors {
        roots.add(certificate).map_err(|_| malformed.clone())?;
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| malformed)?;
    Ok(Arc::new(Remembering { inner, seen }))
}

fn certificates(material: Material, path: &Path) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unread(material, path, &error))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unread(material, path, &error))?;
    if all.is_empty() { Err(Trouble::FileMalformed(material, path.into())) } else { Ok(all) }
}

fn unread(material: Material, path: &Path, error: &pem::Error) -> Trouble {
    match error {
        pem::Error::Io(error) => {
            let fault = match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FileFault::Missing,
                std::io::ErrorKind::PermissionDenied => FileFault::Denied,
                other => FileFault::Other(other),
            };
            Trouble::FileUnreadable(material, path.into(), fault)
        }
        _ => Trouble::FileMalformed(material, path.into()),
    }
}

/// Sorts what a handshake, or a read after it, returned. `None` where the transport says nothing of use: the other side
/// went away, and the caller has to look closer.
pub(super) fn sort(error: &std::io::Error, showed: Showed) -> Option<Trouble> {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            std::io::ErrorKind::UnexpectedEof
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe => None,
            std::io::ErrorKind::TimedOut => Some(Trouble::Closed(Stage::Answer)),
            _ => Some(Trouble::Other(error.to_string())),
        };
    };
    Some(match error {
        rustls::Error::InvalidCertificate(error) => theirs(error),
        rustls::Error::InvalidMessage(_) => Trouble::ServerSpeaksClearText,
        rustls::Error::AlertReceived(alert) => alerted(*alert, showed),
        rustls::Error::PeerIncompatible(reason) => Trouble::Incompatible(format!("{reason:?}")),
        rustls::Error::NoApplicationProtocol => Trouble::NotGrpc("no HTTP/2 in the TLS handshake".into()),
        other => Trouble::Other(other.to_string()),
    })
}

/// Whether we showed a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Showed {
    Nothing,
    Certificate,
    /// One whose end has passed, by our clock.
    Ended,
}

fn theirs(error: &CertificateError) -> Trouble {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Trouble::ServerExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Trouble::ServerNotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Trouble::WrongName
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Trouble::UnknownIssuer,
        other => Trouble::ServerRefused(other.to_string()),
    }
}

fn alerted(alert: AlertDescription, showed: Showed) -> Trouble {
    match (alert, showed) {
        (AlertDescription::CertificateRequired, _) | (AlertDescription::BadCertificate, Showed::Nothing) => {
            Trouble::OursMissing
        }
        (AlertDescription::CertificateExpired, _) | (AlertDescription::BadCertificate, Showed::Ended) => {
            Trouble::OursExpired
        }
        (AlertDescription::UnknownCA, _) => Trouble::OursUnknown,
        (
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
            _,
        ) => Trouble::Incompatible(format!("alert {alert:?}")),
        (AlertDescription::NoApplicationProtocol, _) => {
            Trouble::NotGrpc("no HTTP/2 in the TLS handshake".into())
        }
        (
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
            _,
        ) => Trouble::OursRefused(format!("alert {alert:?}")),
        (other, _) => Trouble::Other(format!("the server ended the handshake with alert {other:?}")),
    }
}

/// The library's verifier, with a memory.
#[derive(Debug)]
struct Remembering {
    inner: Arc<WebPkiServerVerifier>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.keep(end_entity);
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Takes any certificate; only behind `--insecure-skip-tls-verify`, and for asking what a pin is held against. Signatures are still checked.
#[derive(Debug)]
struct Blind {
    provider: Arc<CryptoProvider>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.keep(end_entity);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
