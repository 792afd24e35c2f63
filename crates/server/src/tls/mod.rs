//! Transport security of the listeners: what a handshake demands, how its material is read and exchanged while serving,
//! and why a handshake failed, in words that lead to the fix.
//!
//! Owns rustls' server configurations. Never decides who may do what: it hands on the verified name of the peer's
//! certificate as [`state::auth::Evidence`], and nothing else of it.
//!
//! Invariants:
//! - TLS 1.3, and 1.2 only where the settings ask, with AEAD suites and ephemeral keys only;
//! - a set of files that does not fit together never replaces one that does;
//! - no session is resumed: every connection proves its certificate against the CAs and the CRL in force;
//! - a connection stands as long as what it showed is accepted: at each exchange of the material it is judged again.

mod bonds;
mod ends;
pub mod explain;
mod identity;
mod load;
mod reload;
mod revocation;
mod signed;
pub mod sniff;
mod suites;
mod verify;

pub(crate) use bonds::{Bond, Standing, Waiting};
pub use ends::{End, Kind};
pub(crate) use ends::{Step, Warnings};
pub use explain::{Explanation, Facts, Failure};
pub use load::{Error, Loaded, Validity, load};
pub use reload::{Exchange, Reloading};
pub use revocation::Stale;

use std::path::PathBuf;
use std::sync::Arc;

/// A moment as people read it.
pub(crate) fn shown(unix_seconds: i64) -> String {
    let at =
        time::OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    let (month, day, year) = (u8::from(date.month()), date.day(), date.year());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

/// Where a piece of PEM comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, read anew at every reload.
    File(PathBuf),
    /// Held in memory; what it is called in messages, and its bytes.
    Held(&'static str, Arc<[u8]>),
}

/// What is demanded of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Clients {
    /// Nothing: whoever connects is anonymous.
    #[default]
    Anyone,
    /// A certificate; who shows none or a wrong one gets through the handshake, and as answer to each request what is
    /// wrong and how to mend it. Nothing else of the member can be reached so. A revoked one is nobody's mistake: with it
    /// the handshake fails.
    Explained,
    /// A certificate; the handshake fails without. For members among each other, who have nobody to explain it to.
    Required,
}

/// What is made of things that etcd lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Manner {
    /// A stale revocation list is refused at start, a connection whose certificate ends is cut, a certificate with several
    /// identities is refused.
    #[default]
    Strict,
    /// As etcd: a stale list is taken with a warning, a connection outlives its certificate, URIs are not looked at.
    AsEtcd,
}

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2, AEAD suites only.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What a listener's TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The serving certificate with its chain.
    pub certificate: Source,
    /// Its private key.
    pub key: Source,
    /// The CAs that issue clients' certificates; demanded when `clients` demands a certificate.
    pub client_ca: Option<Source>,
    /// What is demanded of clients.
    pub clients: Clients,
    /// Lists of certificates that are no longer to be trusted, each signed by a CA of `client_ca`; PEM or DER.
    pub crl: Option<Source>,
    /// Common names that are let in; none means all.
    pub allowed_common_names: Vec<String>,
    /// Host names of which a client's certificate must carry one; none means all.
    pub allowed_hostnames: Vec<String>,
    /// The oldest version.
    pub min_version: Version,
    /// The newest version.
    pub max_version: Version,
    /// TLS 1.2 suites by their registered names; none means the good ones.
    pub cipher_suites: Vec<String>,
    /// What to run on this machine for a client's settings that work, where there is such a command.
    pub client_settings: Option<&'static str>,
    /// What is made of things that etcd lets pass.
    pub manner: Manner,
    /// Whether the member made the certificate, and renews it by itself.
    pub is_renewed_here: bool,
    /// Whether `client_ca` is this cluster's own authority, whose word about administrators counts.
    pub names_administrators: bool,
}

impl Settings {
    /// TLS 1.3 with this certificate, asking clients for nothing.
    #[must_use]
    pub fn new(certificate: Source, key: Source) -> Self {
        Self {
            certificate,
            key,
            client_ca: None,
            clients: Clients::Anyone,
            crl: None,
            allowed_common_names: Vec::new(),
            allowed_hostnames: Vec::new(),
            min_version: Version::Tls13,
            max_version: Version::Tls13,
            cipher_suites: Vec::new(),
            client_settings: None,
            manner: Manner::Strict,
            is_renewed_here: false,
            names_administrators: false,
        }
    }
}
