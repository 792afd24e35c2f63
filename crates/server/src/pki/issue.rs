//! One certificate at a time: what it says, and who signs it.

use super::Error;
use super::made::Role;
use crate::tls::ADMINISTRATOR_URI;
use env::WallTime;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use std::time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(86_400);
/// Certificates begin this much early, because clocks differ.
const BACKDATED: Duration = Duration::from_secs(3_600);
const ROOT_LIFE: Duration = DAY.saturating_mul(3_650);
const ISSUER_LIFE: Duration = DAY.saturating_mul(1_825);
/// Short, so that a stolen server key is worth little; renewed by the running member after two thirds.
const SERVER_LIFE: Duration = DAY.saturating_mul(7);
/// A person's: long enough for a machine that is off over a long holiday.
const ADMINISTRATOR_LIFE: Duration = DAY.saturating_mul(90);

/// A new certificate and its key, both PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
}

/// Which issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Clients,
    Peers,
}

impl Of {
    pub(super) fn role(role: Role) -> Self {
        match role {
            Role::Server | Role::Administrator => Self::Clients,
            Role::Peer => Self::Peers,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Peers => "peers",
        }
    }
}

/// A new root. The mark keeps the names of two roots apart.
pub(super) fn root(mark: &str, now: WallTime) -> Result<Issued, Error> {
    let mut params = authority(&format!("strongroom root {mark}"), 1);
    valid(&mut params, now, ROOT_LIFE, None);
    let key = new_key()?;
    let certificate = params.self_signed(&key).map_err(make("the root certificate"))?;
    Ok(Issued { certificate: certificate.pem(), key: pem(&key) })
}

/// A new issuer below the root.
pub(super) fn issuer(of: Of, mark: &str, root: &Signer, now: WallTime) -> Result<Issued, Error> {
    let key = new_key()?;
    let certificate = issuer_certificate(&format!("strongroom {} {mark}", of.name()), &key, root, now)?;
    Ok(Issued { certificate, key: pem(&key) })
}

/// The same issuer for five more years: same name, same key, so that all it has issued stays good.
pub(super) fn issuer_again(
    common_name: &str,
    key: &str,
    root: &Signer,
    now: WallTime,
) -> Result<String, Error> {
    let key = KeyPair::from_pem(key).map_err(make("an issuer's certificate"))?;
    issuer_certificate(common_name, &key, root, now)
}

fn issuer_certificate(
    common_name: &str,
    key: &KeyPair,
    root: &Signer,
    now: WallTime,
) -> Result<String, Error> {
    let mut params = authority(common_name, 0);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    valid(&mut params, now, ISSUER_LIFE, Some(root.not_after));
    let certificate = params.signed_by(key, &root.issuer).map_err(make("an issuer's certificate"))?;
    Ok(certificate.pem())
}

/// A new leaf; its file carries the issuer's certificate behind it.
pub(super) fn leaf(
    role: Role,
    common_name: &str,
    names: &[String],
    by: &Signer,
    now: WallTime,
) -> Result<Issued, Error> {
    let mut params = CertificateParams::default();
    for name in names {
        let mut one = CertificateParams::new(vec![name.clone()])
            .map_err(|error| Error::Name { name: name.clone(), why: error.to_string() })?;
        params.subject_alt_names.append(&mut one.subject_alt_names);
    }
    if role == Role::Administrator {
        let uri = ADMINISTRATOR_URI.try_into().map_err(make("a certificate"))?;
        params.subject_alt_names.push(SanType::URI(uri));
    }
    params.distinguished_name = subject(common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let (usages, life) = match role {
        Role::Server => (vec![ExtendedKeyUsagePurpose::ServerAuth], SERVER_LIFE),
        Role::Peer => {
            (vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth], SERVER_LIFE)
        }
        Role::Administrator => (vec![ExtendedKeyUsagePurpose::ClientAuth], ADMINISTRATOR_LIFE),
    };
    params.extended_key_usages = usages;
    valid(&mut params, now, life, Some(by.not_after));
    let key = new_key()?;
    let certificate = params.signed_by(&key, &by.issuer).map_err(make("a certificate"))?;
    Ok(Issued { certificate: format!("{}{}", certificate.pem(), by.certificate), key: pem(&key) })
}

/// A root or issuer that can sign.
pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    not_after: i64,
}

impl Signer {
    /// From its certificate and key.
    pub(super) fn new(certificate: &str, key: &str, not_after: i64) -> Result<Self, String> {
        let key = KeyPair::from_pem(key).map_err(|error| error.to_string())?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(|error| error.to_string())?;
        Ok(Self { issuer, certificate: certificate.to_owned(), not_after })
    }
}

fn authority(common_name: &str, path_length: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
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

fn moment(unix_seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A moment as people read it.
pub(super) fn shown(unix_seconds: i64) -> String {
    let at = moment(unix_seconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make("a key"))
}

fn pem(key: &KeyPair) -> Zeroizing<String> {
    Zeroizing::new(key.serialize_pem())
}

fn make(what: &'static str) -> impl FnOnce(rcgen::Error) -> Error {
    move |error| Error::Make { what, why: error.to_string() }
}
