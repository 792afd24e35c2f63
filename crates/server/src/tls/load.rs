//! From settings to a server configuration, or to the reason why not.
//!
//! Reads every source, checks that the pieces fit together (key with certificate, CA bundle not empty, CRL readable) and
//! keeps what messages need: the certificate's names and when it ends.

use super::{Clients, Failure, Settings, Source, Version, identity, suites, verify};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use state::auth::Evidence;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What a list of revoked certificates is called in messages.
pub(super) const REVOCATIONS: &str = "revocation list";

/// Why a listener's TLS could not be set up. Each has a [`Error::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {what} {name}: {source}")]
    Read {
        /// What it is for.
        what: &'static str,
        /// Its path.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds nothing of the kind.
    #[error("no {what} in {name}")]
    Empty {
        /// What it is for.
        what: &'static str,
        /// Its path.
        name: String,
    },
    /// A file is not what it should be.
    #[error("cannot parse {what} {name}: {reason}")]
    Parse {
        /// What it is for.
        what: &'static str,
        /// Its path.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is not the certificate's.
    #[error("private key {key} does not belong to certificate {certificate}")]
    KeyMismatch {
        /// The key's path.
        key: String,
        /// The certificate's path.
        certificate: String,
    },
    /// Clients must show a certificate, and no CA was given to check it with.
    #[error("client certificates are demanded without a CA to check them with")]
    NoClientCa,
    /// The suite is unknown, or too weak to be offered.
    #[error("cipher suite {name} is not offered")]
    Suite {
        /// Its name.
        name: String,
    },
    /// The newest version is older than the oldest.
    #[error("the newest tls version is older than the oldest")]
    Versions,
    /// The certificate is no longer valid; a reload keeps the one in use.
    #[error("certificate {name} is no longer valid")]
    Expired {
        /// The certificate's path.
        name: String,
    },
    /// rustls refused the rest.
    #[error("tls settings refused: {0}")]
    Refused(String),
}

impl Error {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check the path and that this user may read it",
            Self::Parse { what: REVOCATIONS, .. } => {
                "the list must be DER or PEM, of version 2 and with a number (openssl ca: set crlnumber and crl_extensions); look at it \
                 with openssl crl -text"
            }
            Self::Empty { .. } | Self::Parse { .. } => {
                "the file must be PEM, with -----BEGIN and -----END lines; look at it with openssl x509 -text"
            }
            Self::KeyMismatch { .. } => {
                "give the key that was made with this certificate; certificate and key are renewed together"
            }
            Self::NoClientCa => "name the bundle of CAs that issue clients' certificates (--trusted-ca-file)",
            Self::Suite { .. } => {
                "leave the list empty, or name ECDHE suites with GCM or CHACHA20_POLY1305; TLS 1.3 suites are always on"
            }
            Self::Versions => "swap --tls-min-version and --tls-max-version",
            Self::Expired { .. } => {
                "renew it and put the new certificate and key in place; they are read again within seconds"
            }
            Self::Refused(_) => "check certificate, key and CA files",
        }
    }
}

/// A server configuration and what is worth knowing of it.
#[derive(Debug)]
pub struct Loaded {
    /// For the handshake.
    pub(crate) config: Arc<ServerConfig>,
    /// What decides on clients' certificates, where they are asked for.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// The names that the serving certificate carries.
    pub names: Vec<String>,
    /// Who issues clients' certificates.
    pub client_issuers: Vec<String>,
    /// When the serving certificate ends, Unix seconds.
    pub not_after: i64,
    /// As in the settings.
    pub(crate) client_settings: Option<&'static str>,
    names_administrators: bool,
}

impl Loaded {
    /// What the certificates that a client showed in its handshake prove. Decides anew, whatever the handshake decided.
    ///
    /// # Errors
    /// [`Failure`] when a certificate is demanded and none, or none that is good, was shown.
    pub(crate) fn judge(&self, shown: Option<&[CertificateDer<'_>]>) -> Result<Evidence, Failure> {
        let Some(verifier) = &self.clients else { return Ok(Evidence::None) };
        let Some((leaf, rest)) = shown.and_then(<[_]>::split_first) else {
            return Err(Failure::NoCertificate);
        };
        match verifier.verify_client_cert(leaf, rest, UnixTime::now()) {
            Ok(_) => Ok(identity::evidence(leaf, self.names_administrators)),
            Err(error) => Err(Failure::of_tls(&error)),
        }
    }
}

/// The bytes behind some settings, at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
    crl: Option<Vec<u8>>,
}

impl Material {
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let optional =
            |source: &Option<Source>, what| source.as_ref().map(|source| source.read(what)).transpose();
        Ok(Self {
            certificate: settings.certificate.read("certificate")?,
            key: settings.key.read("private key")?.into(),
            client_ca: optional(&settings.client_ca, "client CA bundle")?,
            crl: optional(&settings.crl, "revocation list")?,
        })
    }
}

/// Reads everything and builds the configuration.
///
/// # Errors
/// [`Error`], naming the file.
pub fn load(settings: &Settings) -> Result<Loaded, Error> {
    build(settings, &Material::read(settings)?)
}

pub(super) fn build(settings: &Settings, material: &Material) -> Result<Loaded, Error> {
    let chain = certificates(&material.certificate, "certificate", &settings.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&material.key)
        .map_err(|_| Error::Empty { what: "private key", name: settings.key.name() })?;
    let about = about(chain.first(), &settings.certificate)?;
    let roots = match (&settings.client_ca, &material.client_ca) {
        (Some(source), Some(pem)) => certificates(pem, "client CA bundle", source)?,
        _ => Vec::new(),
    };
    let crls = match (&settings.crl, &material.crl) {
        (Some(source), Some(bytes)) => revocations(bytes, source)?,
        _ => Vec::new(),
    };
    let client_issuers = roots.iter().filter_map(|root| subject(root)).collect();

    let provider = Arc::new(suites::provider(&settings.cipher_suites)?);
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(settings)?)
        .map_err(|error| Error::Refused(error.to_string()))?;
    let has_crls = !crls.is_empty();
    let clients = match settings.clients {
        Clients::Anyone => None,
        Clients::Explained | Clients::Required => Some(verify::verifier(settings, roots, crls, provider)?),
    };
    let builder = match (&clients, settings.clients) {
        (None, _) => builder.with_no_client_auth(),
        (Some(verifier), Clients::Explained) => {
            let deferring = verify::Deferring { verifier: verifier.clone(), has_crls };
            builder.with_client_cert_verifier(Arc::new(deferring))
        }
        (Some(verifier), _) => builder.with_client_cert_verifier(verifier.clone()),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            Error::KeyMismatch { key: settings.key.name(), certificate: settings.certificate.name() }
        }
        other => Error::Parse { what: "private key", name: settings.key.name(), reason: other.to_string() },
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session would skip the CRL and the certificate's end.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded {
        config: Arc::new(config),
        clients,
        names: about.names,
        client_issuers,
        not_after: about.not_after,
        client_settings: settings.client_settings,
        names_administrators: settings.names_administrators,
    })
}

fn versions(settings: &Settings) -> Result<&'static [&'static rustls::SupportedProtocolVersion], Error> {
    static ONLY_13: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    static BOTH: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    static ONLY_12: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
    match (settings.min_version, settings.max_version) {
        (Version::Tls13, Version::Tls13) => Ok(&ONLY_13),
        (Version::Tls12, Version::Tls13) => Ok(&BOTH),
        (Version::Tls12, Version::Tls12) => Ok(&ONLY_12),
        (Version::Tls13, Version::Tls12) => Err(Error::Versions),
    }
}

fn certificates(
    pem: &[u8],
    what: &'static str,
    source: &Source,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found =
        found.map_err(|error| Error::Parse { what, name: source.name(), reason: error.to_string() })?;
    if found.is_empty() {
        return Err(Error::Empty { what, name: source.name() });
    }
    for der in &found {
        parse(der, what, source)?;
    }
    Ok(found)
}

fn revocations(bytes: &[u8], source: &Source) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let what = REVOCATIONS;
    if !bytes.starts_with(b"-----") && !bytes.is_empty() {
        return Ok(vec![CertificateRevocationListDer::from(bytes.to_vec())]);
    }
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::Empty { what, name: source.name() }),
        Err(error) => Err(Error::Parse { what, name: source.name(), reason: error.to_string() }),
    }
}

struct About {
    names: Vec<String>,
    not_after: i64,
}

fn about(leaf: Option<&CertificateDer<'_>>, source: &Source) -> Result<About, Error> {
    let Some(leaf) = leaf else {
        return Err(Error::Empty { what: "certificate", name: source.name() });
    };
    let certificate = parse(leaf, "certificate", source)?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names =
        names.map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(written).collect());
    Ok(About { names, not_after: certificate.validity().not_after.timestamp() })
}

fn parse<'a>(
    der: &'a CertificateDer<'_>,
    what: &'static str,
    source: &Source,
) -> Result<X509Certificate<'a>, Error> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(Error::Parse { what, name: source.name(), reason: error.to_string() }),
    }
}

fn subject(der: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.subject().to_string())
}

fn written(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(four), _) => Some(std::net::Ipv4Addr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(std::net::Ipv6Addr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    }
}

impl Source {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Held(name, _) => (*name).to_owned(),
        }
    }

    /// The permission bits of a file that every user of this machine can read, which a secret must not be.
    #[must_use]
    pub fn mode_if_readable_by_all(&self) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt;
        let Self::File(path) = self else { return None };
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o004 != 0).then_some(mode)
    }

    fn read(&self, what: &'static str) -> Result<Vec<u8>, Error> {
        match self {
            Self::File(path) => {
                std::fs::read(path).map_err(|source| Error::Read { what, name: self.name(), source })
            }
            Self::Held(_, bytes) => Ok(bytes.to_vec()),
        }
    }
}
