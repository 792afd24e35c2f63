//! Revocation lists: which are believed, which are too old, and whom they name.
//!
//! A list is believed when a CA of the bundle that may sign lists has signed it; it has a say about certificates that the same
//! key issued, and no others: a serial number that one issuer revoked is another's good certificate. The lists of several
//! issuers may stand in one file, PEM or DER. What a list says stays in force when it is stale: it can be late, never wrong.
//!
//! Never decides what becomes of a connection, and never reads a file.
//!
//! Invariants: a list never takes the place of one that is newer (by CRL number, or by date where one has none), and one
//! issuer's list never goes while its CA is trusted, so that nobody is let in again by an old or half written file.
//! Source: RFC 5280, section 5; delta lists and lists about other issuers' certificates are refused.

use super::signed::{Algorithms, Signed};
use super::{Error, Source, Validity, shown};
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::collections::HashSet;
use x509_parser::prelude::{
    CertificateRevocationList, FromDer, ParsedExtension, X509Certificate, X509Extension,
};

/// What a list of revoked certificates is called in messages.
pub(super) const REVOCATIONS: &str = "revocation list";

/// Extensions of a list that are understood, or change nothing about whom it names: number, issuer's names, issuer's key,
/// where newer ones are, distribution point.
const KNOWN: [&str; 5] = ["2.5.29.20", "2.5.29.18", "2.5.29.35", "2.5.29.46", DISTRIBUTION_POINT];
const DISTRIBUTION_POINT: &str = "2.5.29.28";
const DELTA: &str = "2.5.29.27";

/// The lists in force of one listener.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: Vec<List>,
    algorithms: Algorithms,
}

/// One issuer's list.
#[derive(Debug, PartialEq, Eq)]
struct List {
    /// The issuer's name, as certificates carry it.
    issuer: Vec<u8>,
    issuer_text: String,
    /// The issuer's public key.
    key: Vec<u8>,
    /// Big endian, without leading zeros.
    number: Option<Vec<u8>>,
    made: i64,
    /// When a newer one is due, Unix seconds.
    due: Option<i64>,
    /// Serial numbers, big endian, without leading zeros.
    revoked: HashSet<Vec<u8>>,
}

/// A list that is past the date at which a newer one was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Whose list.
    pub issuer: String,
    /// When a newer one was due, Unix seconds.
    pub due: i64,
}

impl Lists {
    /// Reads the lists of a file, each signed by one of `bundle`.
    ///
    /// # Errors
    /// The first that cannot be read, or that nobody of the bundle has signed.
    pub(super) fn read(
        bytes: &[u8],
        source: &Source,
        bundle: &[CertificateDer<'_>],
        algorithms: Algorithms,
    ) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::Parse { what: REVOCATIONS, name: source.name(), reason };
        let mut lists: Vec<List> = Vec::new();
        for der in ders(bytes, source)? {
            let list = List::read(&der, bundle, algorithms).map_err(|refusal| match refusal {
                Refusal::Unreadable(reason) => unreadable(reason),
                Refusal::Unsigned { issuer, why } => Error::ListUnsigned { name: source.name(), issuer, why },
            })?;
            if lists.iter().any(|other| other.is_of_same_issuer(&list)) {
                return Err(unreadable(format!("it holds two lists of {}", list.issuer_text)));
            }
            lists.push(list);
        }
        Ok(Self { lists, algorithms })
    }

    /// Whether any of these certificates is on the list of whoever issued it.
    pub(super) fn name_any<'a>(&self, shown: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> bool {
        !self.lists.is_empty() && shown.into_iter().any(|der| self.name(der))
    }

    fn name(&self, der: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
        let (issuer, serial) = (certificate.issuer().as_raw(), without_zeros(certificate.raw_serial()));
        // The signature is looked at last: it is dear, and what is on no list needs none.
        self.lists.iter().any(|list| {
            list.issuer == issuer
                && list.revoked.contains(serial)
                && Signed::parse(der).is_some_and(|signed| signed.is_by(&list.key, self.algorithms))
        })
    }

    /// The lists that are stale at `now`, Unix seconds.
    pub(super) fn stale(&self, now: i64) -> impl Iterator<Item = Stale> {
        self.lists.iter().filter_map(move |list| {
            let due = list.due.filter(|due| *due <= now)?;
            Some(Stale { issuer: list.issuer_text.clone(), due })
        })
    }

    /// From when to when each list is the newest, for those that say it.
    pub(super) fn lives(&self) -> impl Iterator<Item = (String, Validity)> {
        self.lists.iter().filter_map(|list| {
            Some((list.issuer_text.clone(), Validity { begins: list.made, ends: list.due? }))
        })
    }

    /// When the first list becomes stale, Unix seconds.
    pub(super) fn due(&self) -> Option<i64> {
        self.lists.iter().filter_map(|list| list.due).min()
    }

    /// Whether these may take the place of `before`, at `now`. A list that was in force already is not asked for its age: it
    /// must not keep a new certificate from being taken.
    ///
    /// # Errors
    /// A new list that is stale; one older than the one in force; one that is gone while its CA is in `bundle`.
    pub(super) fn may_follow(
        &self,
        before: &Self,
        source: &Source,
        bundle: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<(), Error> {
        let name = || source.name();
        for list in &self.lists {
            let old = before.lists.iter().find(|old| old.is_of_same_issuer(list));
            if old == Some(list) {
                continue;
            }
            if let Some(old) = old.filter(|old| list.is_older_than(old)) {
                let (found, in_use) = (list.shown(), old.shown());
                return Err(Error::ListOlder {
                    name: name(),
                    issuer: list.issuer_text.clone(),
                    found,
                    in_use,
                });
            }
            if let Some(due) = list.due.filter(|due| *due <= now) {
                return Err(Error::ListStale { name: name(), issuer: list.issuer_text.clone(), due });
            }
        }
        let is_trusted = |list: &List| {
            bundle.iter().any(|ca| {
                X509Certificate::from_der(ca).is_ok_and(|(_, ca)| {
                    ca.subject().as_raw() == list.issuer && ca.public_key().raw == list.key
                })
            })
        };
        let is_gone = |old: &&List| !self.lists.iter().any(|list| list.is_of_same_issuer(old));
        match before.lists.iter().filter(is_gone).find(|old| is_trusted(old)) {
            Some(old) => Err(Error::ListGone { name: name(), issuer: old.issuer_text.clone() }),
            None => Ok(()),
        }
    }
}

/// Why one list is not taken.
enum Refusal {
    Unreadable(String),
    Unsigned { issuer: String, why: &'static str },
}

impl List {
    fn read(der: &[u8], bundle: &[CertificateDer<'_>], algorithms: Algorithms) -> Result<Self, Refusal> {
        let unreadable = |reason: String| Refusal::Unreadable(reason);
        let (rest, list) =
            CertificateRevocationList::from_der(der).map_err(|error| unreadable(error.to_string()))?;
        if !rest.is_empty() {
            return Err(unreadable("bytes follow the list".to_owned()));
        }
        understood(&list).map_err(unreadable)?;
        let issuer = list.issuer().as_raw();
        let issuer_text = list.issuer().to_string();
        let key = signer(der, issuer, bundle, algorithms)
            .map_err(|why| Refusal::Unsigned { issuer: issuer_text.clone(), why })?;
        let revoked = list.iter_revoked_certificates();
        Ok(Self {
            issuer: issuer.to_vec(),
            issuer_text,
            key,
            number: list.crl_number().map(|number| without_zeros(&number.to_bytes_be()).to_vec()),
            made: list.last_update().timestamp(),
            due: list.next_update().map(|due| due.timestamp()),
            revoked: revoked.map(|each| without_zeros(each.raw_serial()).to_vec()).collect(),
        })
    }

    fn is_of_same_issuer(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.key == other.key
    }

    fn is_older_than(&self, other: &Self) -> bool {
        match (&self.number, &other.number) {
            (Some(own), Some(others)) => (own.len(), own) < (others.len(), others),
            _ => self.made < other.made,
        }
    }

    /// What orders it, for messages.
    fn shown(&self) -> String {
        let made = shown(self.made);
        match &self.number {
            Some(number) if number.is_empty() => format!("number 0x0 of {made}"),
            Some(number) => {
                let digits: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("number 0x{} of {made}", digits.trim_start_matches('0'))
            }
            None => format!("that of {made}"),
        }
    }
}

/// The public key of the CA that signed the list.
fn signer(
    der: &[u8],
    issuer: &[u8],
    bundle: &[CertificateDer<'_>],
    algorithms: Algorithms,
) -> Result<Vec<u8>, &'static str> {
    let mut why = "no CA of the client CA bundle has this name";
    for ca in bundle {
        let Ok((_, ca)) = X509Certificate::from_der(ca) else { continue };
        if ca.subject().as_raw() != issuer {
            continue;
        }
        let key = ca.public_key().raw;
        if !Signed::parse(der).is_some_and(|signed| signed.is_by(key, algorithms)) {
            why = "its signature is not that of the CA of this name: it is forged, damaged, or of another CA";
            continue;
        }
        if !ca.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.crl_sign())) {
            why = "the CA's certificate does not allow it to sign lists (key usage cRLSign)";
            continue;
        }
        return Ok(key.to_vec());
    }
    Err(why)
}

/// Whether the list means what it seems to: all that its issuer revoked, of its own certificates.
fn understood(list: &CertificateRevocationList<'_>) -> Result<(), String> {
    for extension in list.extensions() {
        let id = extension.oid.to_id_string();
        if id == DELTA {
            return Err("it is a delta list, which holds changes alone: give the full one".to_owned());
        }
        if let ParsedExtension::IssuingDistributionPoint(point) = extension.parsed_extension()
            && point.indirect_crl
        {
            return Err("it speaks for other issuers (an indirect list): give one of each issuer".to_owned());
        }
        if extension.critical && !KNOWN.contains(&id.as_str()) {
            return Err(format!("its critical extension {id} is not understood"));
        }
    }
    let critical = |extensions: &[X509Extension<'_>]| {
        extensions.iter().find(|each| each.critical).map(|each| each.oid.to_id_string())
    };
    match list.iter_revoked_certificates().find_map(|each| critical(each.extensions())) {
        Some(id) => Err(format!("the critical extension {id} of an entry is not understood")),
        None => Ok(()),
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn ders(bytes: &[u8], source: &Source) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let empty = || Error::Empty { what: REVOCATIONS, name: source.name() };
    if bytes.first() == Some(&0x30) {
        return Ok(vec![CertificateRevocationListDer::from(bytes.to_vec())]);
    }
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let unreadable = |error: rustls::pki_types::pem::Error| Error::Parse {
            what: REVOCATIONS,
            name: source.name(),
            reason: error.to_string(),
        };
        if let (SectionKind::Crl, der) = section.map_err(unreadable)? {
            found.push(CertificateRevocationListDer::from(der));
        }
    }
    if found.is_empty() { Err(empty()) } else { Ok(found) }
}
