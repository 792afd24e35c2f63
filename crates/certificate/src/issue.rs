//! One certificate at a time: what it says, and who signs it.
//!
//! ```text
//! root          ten years, path length 1        what clients trust
//!  ├ clients    issuer: five years, path length 0           what servers know clients by
//!  │   ├ server           7 days    serverAuth               shown to clients
//!  │   ├ client          90 days    clientAuth   CN=user
//!  │   └ administrator   90 days    clientAuth   CN=root     with a URI that only this authority's word counts for
//!  └ peers      issuer: five years, path length 0           what members know each other by
//!      └ peer             7 days    serverAuth, clientAuth   with the member's name as a URI
//! ```
//!
//! Every certificate has a random serial number of its own, begins an hour early (clocks differ) and ends no later than
//! its issuer.

use crate::about::About;
use crate::error::Error;
use crate::holder::{HolderKey, seal};
use crate::pem;
use crate::request::{KeyPair, key_id, make};
use crate::{ADMINISTRATOR_URI, MEMBER_URI, RESERVED_URI};
use bytes::Bytes;
use env::WallTime;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use state::pki::{Authority as Registered, Holder, Issued, Kind, Role, is_uri};
use std::time::Duration;
use time::OffsetDateTime;
use types::limits::{CERTIFICATE_LIFE_SECONDS_MAX, CERTIFICATE_NAMES_MAX};
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(86_400);
/// Certificates begin this much early, because clocks differ.
const BACKDATED: Duration = Duration::from_secs(3_600);
const ROOT_LIFE: Duration = DAY.saturating_mul(3_650);
const ISSUER_LIFE: Duration = DAY.saturating_mul(1_825);
/// Short, so that a stolen server key is worth little; renewed by the running member after half of it.
const SERVER_LIFE: Duration = DAY.saturating_mul(7);
/// A person's or a program's: long enough for a machine that is off over a long holiday.
const CLIENT_LIFE: Duration = DAY.saturating_mul(90);
/// Bytes of a serial number.
const SERIAL_BYTES: usize = 16;
/// Longest common name, in characters (RFC 5280's bound).
const COMMON_NAME_CHARACTERS_MAX: usize = 64;

/// How long a certificate of this role lasts unless something else is asked for.
#[must_use]
pub fn life(role: Role) -> Duration {
    match role {
        Role::Server | Role::Peer => SERVER_LIFE,
        Role::Client | Role::Administrator => CLIENT_LIFE,
    }
}

/// An authority just made: its private key exists in this value only.
pub struct Authority {
    /// What its certificates are for.
    pub kind: Kind,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: KeyPair,
}

impl Authority {
    /// As the register takes it: the key sealed to each of these.
    ///
    /// # Errors
    /// [`Error::Make`]
    pub fn sealed_to<'a>(&self, holders: impl IntoIterator<Item = &'a Holder>) -> Result<Registered, Error> {
        let id = key_id(&self.key.public_key());
        let der = self.key.to_der();
        let keys = holders.into_iter().map(|holder| seal(&id, &der, holder)).collect::<Result<_, _>>()?;
        let certificates = vec![Bytes::from(self.certificate.clone())];
        Ok(Registered { id, kind: self.kind, is_former: false, certificates, keys })
    }

    /// To sign with.
    ///
    /// # Errors
    /// What is wrong with its certificate, in words.
    pub fn signer(&self) -> Result<Signer, String> {
        Signer::new(&self.certificate, KeyPair::from_der(&self.key.to_der())?)
    }
}

/// A new root.
///
/// # Errors
/// [`Error::Make`]
pub fn root(now: WallTime) -> Result<Authority, Error> {
    let key = KeyPair::generate()?;
    let mut params = authority(&format!("strongroom root {}", mark(&key)), 1)?;
    valid(&mut params, now, ROOT_LIFE, None);
    let certificate = params.self_signed(&key.0).map_err(make("the root certificate"))?;
    Ok(Authority { kind: Kind::Root, certificate: certificate.der().to_vec(), key })
}

/// A new issuer of this kind below the root.
///
/// # Errors
/// [`Error::Make`]
pub fn issuer(kind: Kind, root: &Signer, now: WallTime) -> Result<Authority, Error> {
    let key = KeyPair::generate()?;
    let name = match kind {
        Kind::Root | Kind::Clients => "clients",
        Kind::Peers => "peers",
    };
    let certificate = issuer_certificate(&format!("strongroom {name} {}", mark(&key)), &key.0, root, now)?;
    Ok(Authority { kind, certificate, key })
}

/// The same issuer by this root for five more years, DER: same name, same key, so that all it has issued stays good.
///
/// # Errors
/// [`Error::Make`], or the certificate is none.
pub fn issuer_again(certificate: &[u8], root: &Signer, now: WallTime) -> Result<Vec<u8>, Error> {
    let wrong = |why: String| Error::Make { what: "an issuer's certificate", why };
    let about = About::of(certificate).map_err(wrong)?;
    let key =
        rcgen::SubjectPublicKeyInfo::from_der(&about.public_key).map_err(make("an issuer's certificate"))?;
    issuer_certificate(&about.common_name, &key, root, now)
}

fn issuer_certificate(
    common_name: &str,
    key: &impl PublicKeyData,
    root: &Signer,
    now: WallTime,
) -> Result<Vec<u8>, Error> {
    let mut params = authority(common_name, 0)?;
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    valid(&mut params, now, ISSUER_LIFE, Some(root.not_after));
    let certificate = params.signed_by(key, &root.issuer).map_err(make("an issuer's certificate"))?;
    Ok(certificate.der().to_vec())
}

/// What is asked of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whom the certificate makes of its holder.
    pub role: Role,
    /// Its common name: a user's, a member's.
    pub name: String,
    /// Its other names: DNS names, addresses; URIs for clients.
    pub names: Vec<String>,
    /// How long it lasts; zero: what is usual for the role.
    pub life: Duration,
    /// Who has it issued, for the register.
    pub by: String,
}

impl Wanted {
    /// Whether a certificate of this authority may say so.
    ///
    /// # Errors
    /// [`Error::Name`], naming what cannot stand in it.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |name: &str, why: &str| Err(Error::Name { name: name.to_owned(), why: why.to_owned() });
        if self.name.chars().any(char::is_control) {
            return refuse(&self.name, "it has control characters");
        }
        if self.name.chars().count() > COMMON_NAME_CHARACTERS_MAX {
            return refuse(&self.name, "a common name has at most 64 characters");
        }
        match self.role {
            Role::Client if self.name == "root" => {
                return refuse(
                    &self.name,
                    "root is whoever has an administrator's certificate: ask for that role",
                );
            }
            Role::Client if self.name.is_empty() && self.names.is_empty() => {
                return refuse(&self.name, "a client needs a name");
            }
            Role::Server | Role::Peer if self.names.is_empty() => {
                return refuse(
                    &self.name,
                    "a server needs the host names and addresses that it is reached by",
                );
            }
            Role::Administrator if !self.names.is_empty() => {
                return refuse(&self.name, "an administrator is known by its role alone");
            }
            _ => {}
        }
        if self.names.len() > CERTIFICATE_NAMES_MAX {
            return refuse(&self.name, "it has too many other names");
        }
        if self.life.as_secs() > CERTIFICATE_LIFE_SECONDS_MAX {
            return refuse(&self.name, "a certificate lasts 397 days at most");
        }
        let is_uri = |name: &&String| is_uri(name);
        if let Some(name) = self.names.iter().find(|name| name.starts_with(RESERVED_URI)) {
            return refuse(name, "such names are this authority's own to give");
        }
        if self.names.iter().filter(is_uri).count() > 1 {
            return refuse(&self.name, "of several URIs none would count");
        }
        if self.role != Role::Client
            && let Some(uri) = self.names.iter().find(is_uri)
        {
            return refuse(uri, "a server has host names and addresses");
        }
        self.names.iter().try_for_each(|name| alternative(name).map(drop))
    }
}

fn alternative(name: &str) -> Result<SanType, Error> {
    let wrong = |why: String| Error::Name { name: name.to_owned(), why };
    if is_uri(name) {
        return Ok(SanType::URI(name.try_into().map_err(|error: rcgen::Error| wrong(error.to_string()))?));
    }
    if name.is_empty() || name.chars().any(|each| each.is_control() || each.is_whitespace()) {
        return Err(wrong("it is no host name and no address".to_owned()));
    }
    let params = CertificateParams::new(vec![name.to_owned()]).map_err(|error| wrong(error.to_string()))?;
    params.subject_alt_names.into_iter().next().ok_or_else(|| wrong("it is no name".to_owned()))
}

/// A certificate for a key that stayed where it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// As the register takes it.
    pub issued: Issued,
    /// The certificate with its issuer's behind it, PEM.
    pub chain: String,
}

/// A root or issuer that can sign.
pub struct Signer {
    pub(crate) issuer: Issuer<'static, rcgen::KeyPair>,
    /// What stands behind a leaf: this authority's own, and the same key's by another root.
    certificates: Vec<Bytes>,
    id: String,
    not_after: i64,
}

impl Signer {
    /// From a certificate, DER, and its key.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn new(certificate: &[u8], key: KeyPair) -> Result<Self, String> {
        let about = About::of(certificate)?;
        if !about.is_of(&key) {
            return Err("the key does not belong to the certificate".to_owned());
        }
        let id = key_id(&about.public_key);
        let issuer =
            Issuer::from_ca_cert_der(&certificate.into(), key.0).map_err(|error| error.to_string())?;
        let certificates = vec![Bytes::copy_from_slice(certificate)];
        Ok(Self { issuer, certificates, id, not_after: about.not_after })
    }

    /// From the register, with the key of a holder.
    ///
    /// # Errors
    /// [`Error::Sealed`]
    pub fn open(authority: &Registered, holder: &HolderKey) -> Result<Self, Error> {
        let key = holder.open(&authority.id, &authority.keys)?;
        Self::of_key(authority, &key)
    }

    fn of_key(authority: &Registered, key: &Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let wrong = |_| Error::Sealed {
            what: authority.id.clone(),
            why: "it is not the key of the authority's certificate",
            hint: "restore from a backup",
        };
        let certificate = authority.certificates.first().map(Bytes::as_ref).unwrap_or_default();
        let key = KeyPair::from_der(key).map_err(wrong)?;
        let signer = Self::new(certificate, key).map_err(wrong)?;
        Ok(Self { certificates: authority.certificates.clone(), ..signer })
    }

    /// When it ends, Unix seconds.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Issues a certificate for this key.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Make`]
    pub fn leaf(&self, wanted: &Wanted, key: &impl PublicKeyData, now: WallTime) -> Result<Leaf, Error> {
        wanted.check()?;
        let mut params = CertificateParams::default();
        for name in &wanted.names {
            params.subject_alt_names.push(alternative(name)?);
        }
        let own = match wanted.role {
            Role::Administrator => Some(ADMINISTRATOR_URI.to_owned()),
            Role::Peer => Some(format!("{MEMBER_URI}{}", path_of(&wanted.name))),
            Role::Server | Role::Client => None,
        };
        if let Some(uri) = own {
            params.subject_alt_names.push(SanType::URI(uri.try_into().map_err(make("a certificate"))?));
        }
        params.distinguished_name = subject(&wanted.name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match wanted.role {
            Role::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Role::Peer => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Role::Client | Role::Administrator => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.serial_number = Some(serial()?);
        let life = if wanted.life.is_zero() { life(wanted.role) } else { wanted.life };
        valid(&mut params, now, life, Some(self.not_after));
        let signed = params.signed_by(key, &self.issuer).map_err(make("a certificate"))?;
        let about = About::of(signed.der()).map_err(|why| Error::Make { what: "a certificate", why })?;
        let unsigned = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
        let issued = Issued {
            serial: about.serial,
            authority: self.id.clone(),
            role: wanted.role,
            name: wanted.name.clone(),
            names: wanted.names.clone(),
            not_before: unsigned(about.not_before),
            not_after: unsigned(about.not_after),
            by: wanted.by.clone(),
            revoked: 0,
        };
        let behind = self.certificates.iter().map(Bytes::as_ref);
        let chain = pem::certificates(std::iter::once(signed.der().as_ref()).chain(behind));
        Ok(Leaf { issued, chain })
    }
}

/// A name as it can stand in a URI: what is not plain is written as its bytes in hexadecimal.
fn path_of(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn authority(common_name: &str, path_length: u8) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// A serial number that no other certificate has.
fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0_u8; SERIAL_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::Make { what: "a serial number", why: "there is no randomness".to_owned() })?;
    // Positive, and of one length.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// Eight hexadecimal digits that tell two authorities apart by name.
fn mark(key: &KeyPair) -> String {
    key_id(&key.public_key()).chars().take(8).collect()
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !common_name.is_empty() {
        name.push(DnType::CommonName, common_name);
    }
    name
}

fn valid(params: &mut CertificateParams, now: WallTime, life: Duration, at_most: Option<i64>) {
    let seconds = |length: Duration| i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    let now = i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX);
    let begin = now.saturating_sub(seconds(BACKDATED));
    let end = now.saturating_add(seconds(life)).min(at_most.unwrap_or(i64::MAX));
    params.not_before = moment(begin);
    params.not_after = moment(end);
}

pub(crate) fn moment(unix_seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
