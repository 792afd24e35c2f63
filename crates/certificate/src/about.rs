//! What a certificate says, as far as people and rules want to know it.

use crate::request::KeyPair;
use std::net::{Ipv4Addr, Ipv6Addr};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What is worth knowing of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The subject's common name, if it has one.
    pub common_name: String,
    /// The subject's organizations.
    pub organizations: Vec<String>,
    /// Its other names: DNS names, addresses, URIs.
    pub names: Vec<String>,
    /// Who signed it, by common name or, without one, the whole name.
    pub issuer: String,
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// When it begins, Unix seconds.
    pub not_before: i64,
    /// When it ends, Unix seconds.
    pub not_after: i64,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// What it may be used for, nothing: for everything.
    pub usages: Option<Usages>,
    /// Its public key, as the certificate holds it (SubjectPublicKeyInfo, DER).
    pub public_key: Vec<u8>,
    /// The key's kind and size, for people.
    pub key_kind: String,
}

/// Whom a certificate is for, of those that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usages {
    /// Servers.
    pub server: bool,
    /// Clients.
    pub client: bool,
}

impl About {
    /// Reads a certificate, DER.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (_, read) =
            X509Certificate::from_der(der).map_err(|error| format!("it cannot be parsed: {error}"))?;
        let names = read.subject_alternative_name().ok().flatten();
        let names = names
            .map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(written).collect());
        let text = |name: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            name.as_str().unwrap_or_default().to_owned()
        };
        let issuer = read.issuer().iter_common_name().next().map(text);
        let usages = read.extended_key_usage().ok().flatten().map(|usage| Usages {
            server: usage.value.any || usage.value.server_auth,
            client: usage.value.any || usage.value.client_auth,
        });
        Ok(Self {
            common_name: read.subject().iter_common_name().next().map(text).unwrap_or_default(),
            organizations: read.subject().iter_organization().map(text).collect(),
            names,
            issuer: issuer.unwrap_or_else(|| read.issuer().to_string()),
            serial: hex(read.raw_serial()),
            not_before: read.validity().not_before.timestamp(),
            not_after: read.validity().not_after.timestamp(),
            is_authority: read.is_ca(),
            usages,
            public_key: read.public_key().raw.to_vec(),
            key_kind: key_kind(&read),
        })
    }

    /// Whether the key is this certificate's.
    #[must_use]
    pub fn is_of(&self, key: &KeyPair) -> bool {
        key.public_key() == self.public_key
    }
}

/// A moment as people read it.
#[must_use]
pub fn shown(unix_seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
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

fn key_kind(read: &X509Certificate<'_>) -> String {
    use x509_parser::public_key::PublicKey;
    match read.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("EC {}", point.key_size()),
        _ if read.public_key().algorithm.algorithm.to_id_string() == "1.3.101.112" => "Ed25519".to_owned(),
        _ => "another kind".to_owned(),
    }
}

fn written(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(four), _) => Some(Ipv4Addr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(Ipv6Addr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Lower-case hexadecimal, a serial number's without the zero that only says that it is not negative.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    bytes.get(start..).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
}
