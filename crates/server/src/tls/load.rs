//! From settings to a server configuration, or to the reason why not.
//!
//! Reads every source, checks that the pieces fit together (key with certificate, CA bundle not empty, CRL readable) and
//! keeps what messages need: the certificate's names and when it ends.

use super::revocation::{Lists, REVOCATIONS, Stale};
use super::{Clients, End, Failure, Kind, Settings, Source, Version, identity, shown, suites, verify};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use state::auth::Evidence;
use std::io::Read;
use std::sync::Arc;
use types::limits::{CERTIFICATE_FILE_BYTES_MAX, REVOCATION_FILE_BYTES_MAX};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const CA_BUNDLE: &str = "client CA bundle";

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
    /// A file is larger than any of its kind may be.
    #[error("{what} {name} is larger than {limit} bytes")]
    TooLarge {
        /// What it is for.
        what: &'static str,
        /// Its path.
        name: String,
        /// How many are read.
        limit: u64,
    },
    /// Nobody who is trusted has signed the revocation list.
    #[error("revocation list {name} of {issuer:?} is not believed: {why}")]
    ListUnsigned {
        /// The list's path.
        name: String,
        /// Who is said to have made it.
        issuer: String,
        /// What is missing.
        why: &'static str,
    },
    /// The revocation list is past the date at which a newer one was due.
    #[error("revocation list {name} of {issuer:?} is stale: a newer one was due on {}", shown(*.due))]
    ListStale {
        /// The list's path.
        name: String,
        /// Whose it is.
        issuer: String,
        /// When a newer one was due, Unix seconds.
        due: i64,
    },
    /// The revocation list in use is newer.
    #[error("revocation list {name} of {issuer:?} is an old one: {found}, while {in_use} is in use")]
    ListOlder {
        /// The list's path.
        name: String,
        /// Whose it is.
        issuer: String,
        /// Its number and date.
        found: String,
        /// Those of the one in use.
        in_use: String,
    },
    /// The file holds no list of an issuer any more that is trusted and had one.
    #[error(
        "revocation list {name} holds no list of {issuer:?} any more, whose certificates are still accepted"
    )]
    ListGone {
        /// The list's path.
        name: String,
        /// Whose list is gone.
        issuer: String,
    },
    /// This build is for the validated module, and what it would serve with is not of it.
    #[error("this build serves with a FIPS validated module only, and that is not in use")]
    NotApproved,
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
                "the list must be DER or PEM, one full list of each issuer; look at it with openssl crl -text"
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
            Self::TooLarge { .. } => {
                "check that it is the file that is meant; only what clients or this member need belongs into it"
            }
            Self::ListUnsigned { .. } => {
                "give the list that the CA in the client CA bundle has signed (openssl crl -CAfile BUNDLE -noout), or put its issuer's certificate into \
                 the bundle"
            }
            Self::ListStale { .. } => {
                "have the CA make a new one (openssl ca -gencrl) and put it in place; if it is new, compare the clocks"
            }
            Self::ListOlder { .. } => {
                "put the newest list in place; if the CA was set back, give its list a number above the one in use, or restart the member"
            }
            Self::ListGone { .. } => {
                "write the lists of all issuers into the one file; to do without one, restart the member"
            }
            Self::NotApproved => {
                "leave --cipher-suites empty; if it is, the module's own test failed: use the usual build, or another machine"
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
    clients: Option<Arc<verify::Verifier>>,
    pub(super) lists: Arc<Lists>,
    /// The CAs of the bundle, revoked ones too.
    bundle: Vec<CertificateDer<'static>>,
    /// CAs of the bundle that a list names: they are not trusted.
    pub(super) revoked_cas: Vec<String>,
    /// The names that the serving certificate carries.
    pub names: Vec<String>,
    /// Who issues clients' certificates.
    pub client_issuers: Vec<String>,
    /// When the serving certificate begins and ends, Unix seconds.
    pub serving: Validity,
    /// Of each CA of clients.
    pub client_cas: Vec<(String, Validity)>,
    /// When the serving certificate ends, Unix seconds.
    pub not_after: i64,
    /// As in the settings.
    pub(crate) client_settings: Option<&'static str>,
    names_administrators: bool,
    certificate_name: String,
    is_renewed_here: bool,
}

/// When something begins and ends, Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From here on,
    pub begins: i64,
    /// until here.
    pub ends: i64,
}

impl Loaded {
    /// What the certificates that a client showed in its handshake prove. Decides anew, whatever the handshake decided.
    ///
    /// # Errors
    /// [`Failure`] when a certificate is demanded and none, or none that is good, was shown.
    pub(crate) fn judge(
        &self,
        shown: Option<&[CertificateDer<'_>]>,
        now: UnixTime,
    ) -> Result<Evidence, Failure> {
        let Some(verifier) = &self.clients else { return Ok(Evidence::None) };
        let Some((leaf, rest)) = shown.and_then(<[_]>::split_first) else {
            return Err(Failure::NoCertificate);
        };
        match verifier.judge(leaf, rest, now) {
            Ok(()) => Ok(identity::evidence(leaf, self.names_administrators)),
            Err(error) => Err(Failure::of_tls(&error)),
        }
    }

    /// Whether certificates decide on anything here.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.clients.is_some()
    }

    /// Whether a list names any of these: much cheaper than to judge them.
    pub(super) fn revokes(&self, shown: &[CertificateDer<'_>]) -> bool {
        self.clients.is_some() && self.lists.name_any(shown)
    }

    /// All that ends.
    #[must_use]
    pub fn ends(&self) -> Vec<End> {
        let end = |kind, name, life| End { kind, name, life, is_renewed_here: false };
        let serving = End {
            is_renewed_here: self.is_renewed_here,
            ..end(Kind::Serving, self.certificate_name.clone(), self.serving)
        };
        let cas = self.client_cas.iter().map(|(subject, life)| end(Kind::ClientCa, subject.clone(), *life));
        let lists = self.lists.lives().map(|(issuer, life)| end(Kind::RevocationList, issuer, life));
        std::iter::once(serving).chain(cas).chain(lists).collect()
    }

    /// The revocation lists that are stale at `now`, Unix seconds.
    pub fn stale_lists(&self, now: i64) -> impl Iterator<Item = Stale> {
        self.lists.stale(now)
    }

    /// When a newer revocation list is due, Unix seconds; none without lists, or where they do not say.
    #[must_use]
    pub fn lists_due(&self) -> Option<i64> {
        self.lists.due()
    }

    /// Whether this may take the place of `before` at `now`, Unix seconds.
    pub(super) fn may_follow(&self, before: &Self, settings: &Settings, now: i64) -> Result<(), Error> {
        if self.not_after < now && before.not_after >= now {
            return Err(Error::Expired { name: settings.certificate.name() });
        }
        match &settings.crl {
            Some(source) => self.lists.may_follow(&before.lists, source, &self.bundle, now),
            None => Ok(()),
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
        let optional = |source: &Option<Source>, what, limit| {
            source.as_ref().map(|source| source.read(what, limit)).transpose()
        };
        Ok(Self {
            certificate: settings.certificate.read("certificate", CERTIFICATE_FILE_BYTES_MAX)?,
            key: settings.key.read("private key", CERTIFICATE_FILE_BYTES_MAX)?.into(),
            client_ca: optional(&settings.client_ca, CA_BUNDLE, CERTIFICATE_FILE_BYTES_MAX)?,
            crl: optional(&settings.crl, REVOCATIONS, REVOCATION_FILE_BYTES_MAX)?,
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
    let provider = Arc::new(suites::provider(&settings.cipher_suites)?);
    let bundle = match (&settings.client_ca, &material.client_ca) {
        (Some(source), Some(pem)) => certificates(pem, CA_BUNDLE, source)?,
        _ => Vec::new(),
    };
    let lists = match (&settings.crl, &material.crl) {
        (Some(source), Some(bytes)) => {
            Lists::read(bytes, source, &bundle, provider.signature_verification_algorithms.all)?
        }
        _ => Lists::default(),
    };
    let lists = Arc::new(lists);
    let (revoked, roots): (Vec<_>, Vec<_>) = bundle.iter().cloned().partition(|ca| lists.name_any([ca]));
    let client_cas: Vec<_> = roots.iter().filter_map(about_ca).collect();

    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(settings)?)
        .map_err(|error| Error::Refused(error.to_string()))?;
    let clients = match settings.clients {
        Clients::Anyone => None,
        Clients::Explained | Clients::Required => {
            Some(Arc::new(verify::Verifier::new(settings, roots, lists.clone(), provider)?))
        }
    };
    let builder = match (&clients, settings.clients) {
        (None, _) => builder.with_no_client_auth(),
        (Some(verifier), Clients::Explained) => {
            builder.with_client_cert_verifier(Arc::new(verify::Deferring(verifier.clone())))
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
    if cfg!(feature = "fips") {
        config.require_ems = true;
        if !config.fips() {
            return Err(Error::NotApproved);
        }
    }
    Ok(Loaded {
        config: Arc::new(config),
        clients,
        lists,
        revoked_cas: revoked.iter().filter_map(about_ca).map(|(subject, _)| subject).collect(),
        bundle,
        names: about.names,
        client_issuers: client_cas.iter().map(|(subject, _)| subject.clone()).collect(),
        serving: about.validity,
        client_cas,
        not_after: about.validity.ends,
        client_settings: settings.client_settings,
        names_administrators: settings.names_administrators,
        certificate_name: settings.certificate.name(),
        is_renewed_here: settings.is_renewed_here,
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

struct About {
    names: Vec<String>,
    validity: Validity,
}

fn about(leaf: Option<&CertificateDer<'_>>, source: &Source) -> Result<About, Error> {
    let Some(leaf) = leaf else {
        return Err(Error::Empty { what: "certificate", name: source.name() });
    };
    let certificate = parse(leaf, "certificate", source)?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names =
        names.map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(written).collect());
    Ok(About { names, validity: validity(&certificate) })
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

fn about_ca(der: &CertificateDer<'_>) -> Option<(String, Validity)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some((certificate.subject().to_string(), validity(&certificate)))
}

fn validity(certificate: &X509Certificate<'_>) -> Validity {
    let validity = certificate.validity();
    Validity { begins: validity.not_before.timestamp(), ends: validity.not_after.timestamp() }
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

    fn read(&self, what: &'static str, limit: u64) -> Result<Vec<u8>, Error> {
        let path = match self {
            Self::File(path) => path,
            Self::Held(_, bytes) => return Ok(bytes.to_vec()),
        };
        let failed = |source| Error::Read { what, name: self.name(), source };
        // A pipe or a device would keep whoever reads it waiting.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(failed(std::io::Error::other("it is no file")));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLarge { what, name: self.name(), limit });
        }
        Ok(bytes)
    }
}
