//! This member's part of the cluster's authority: its keys opened for as long as they sign, and what it shows made anew
//! in time.
//!
//! The truth is the replicated register (`state::pki`); the directory holds this member's own: its holder's key, its leaves
//! with their keys, and copies of what others read (roots, issuers, revocation lists). What is missing there is made again
//! from the register. A first start makes the authority; the root's key exists only while it does, and afterwards only
//! sealed to the recovery key.
//!
//! A leaf is made anew when half of its life is over, when its names changed, when it is revoked, or when it does not fit
//! its key (an interrupted renewal). Key first, certificate second: whoever reads in between sees a pair that does not fit,
//! keeps what it has, and looks again. None of that asks the other members: a member that was off for months starts by itself.

use super::made;
use super::registry::{Registry, read};
use crate::config::Note;
use ::certificate::files::{self, CERTIFICATE_MODE, KEY_MODE};
use ::certificate::{About, Error, HolderKey, KeyPair, Leaf, Pin, Signer, Wanted, pem, shown};
use env::WallTime;
use state::pki::{Authority as Registered, CertificateChange, Holder, Issued, Kind, Register, Role};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A revocation list is made anew after this time, though nothing changed, so that it never ends.
const LIST_RENEWAL: Duration = Duration::from_secs(86_400);

/// The cluster's authority, as this member uses it.
pub struct Authority {
    pub(super) dir: PathBuf,
    member: String,
    names: Vec<String>,
    holder: HolderKey,
    registry: Arc<dyn Registry>,
    /// What the revocation lists on disk name, and when they were made, Unix seconds.
    listed: Mutex<Option<(BTreeSet<String>, u64)>>,
}

/// What an authority is opened with.
pub struct Place<'a> {
    /// Its directory.
    pub dir: &'a Path,
    /// This member's name.
    pub member: &'a str,
    /// The names of its server's and its own certificate.
    pub names: &'a [String],
    /// To whom a new root's key is sealed; nothing: to a key that is made for it.
    pub recovery: Option<Holder>,
}

/// A certificate that was made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// Whose.
    pub role: Role,
    /// Its file.
    pub path: PathBuf,
    /// When it ends, Unix seconds.
    pub not_after: i64,
}

impl Renewed {
    /// When it ends, as people read it.
    #[must_use]
    pub fn ends(&self) -> String {
        shown(self.not_after)
    }
}

impl Authority {
    /// Finds the authority in the register, or makes it; then renews what is due.
    ///
    /// # Errors
    /// [`Error`], naming the file and what to do.
    pub fn open(
        place: Place<'_>,
        registry: Arc<dyn Registry>,
        now: WallTime,
    ) -> Result<(Self, Vec<Renewed>), Error> {
        files::directory(place.dir)?;
        let mut names = place.names.to_vec();
        names.sort();
        names.dedup();
        let holder = holder_key(place.dir)?;
        let authority = Self {
            dir: place.dir.to_owned(),
            member: place.member.to_owned(),
            names,
            holder,
            registry,
            listed: Mutex::default(),
        };
        if read(&*authority.registry, |register| register.current(Kind::Clients).is_none()) {
            super::founding::found(&authority, place.recovery, now)?;
        }
        let renewed = authority.refresh(now)?;
        Ok((authority, renewed))
    }

    /// Brings the directory up to the register: copies of roots and issuers, revocation lists, leaves that are due. Whoever
    /// serves with the files looks for changes.
    ///
    /// # Errors
    /// [`Error`]; what is in use stays.
    pub fn refresh(&self, now: WallTime) -> Result<Vec<Renewed>, Error> {
        let register = read(&*self.registry, Register::clone);
        for (kind, path) in [
            (Kind::Root, made::root(&self.dir)),
            (Kind::Clients, made::client_ca(&self.dir)),
            (Kind::Peers, made::peer_ca(&self.dir)),
        ] {
            let bundle = bundle(&register, kind);
            if files::certificate(&path)?.as_deref() != Some(&bundle) {
                files::write(&path, &bundle, CERTIFICATE_MODE)?;
            }
        }
        self.list_revocations(&register, now)?;
        self.renew_if_due(&register, now)
    }

    fn renew_if_due(&self, register: &Register, now: WallTime) -> Result<Vec<Renewed>, Error> {
        let mut renewed = Vec::new();
        for role in made::OWN {
            if let Some(found) = self.leaf(register, role)?
                && !found.is_due(now)
            {
                continue;
            }
            let key = KeyPair::generate()?;
            let leaf = self.issue(&self.own(role), &key, now)?;
            let path = made::certificate(&self.dir, role);
            files::write(&made::key(&self.dir, role), &key.to_pem(), KEY_MODE)?;
            files::write(&path, &leaf.chain, CERTIFICATE_MODE)?;
            let not_after = i64::try_from(leaf.issued.not_after).unwrap_or(i64::MAX);
            let change =
                CertificateChange::Issue { issued: vec![leaf.issued], token: None, now: now.unix_seconds() };
            self.registry.record(change);
            renewed.push(Renewed { role, path, not_after });
        }
        Ok(renewed)
    }

    /// What this member's own certificate of a role says.
    fn own(&self, role: Role) -> Wanted {
        let (name, names) = match role {
            Role::Administrator => ("root", Vec::new()),
            Role::Server | Role::Peer | Role::Client => (self.member.as_str(), self.names.clone()),
        };
        let by = format!("member {}", self.member);
        Wanted { role, name: name.to_owned(), names, life: Duration::ZERO, by }
    }

    /// Issues a certificate; it is good from then on, and must be recorded before it is handed out.
    ///
    /// # Errors
    /// [`Error`]
    pub fn issue(
        &self,
        wanted: &Wanted,
        key: &impl ::certificate::Signable,
        now: WallTime,
    ) -> Result<Leaf, Error> {
        let signer = read(&*self.registry, |register| self.signer(register, made::issuer(wanted.role)))?;
        if signer.not_after() < i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX) {
            return Err(Error::Ended {
                path: self.path_of(made::issuer(wanted.role)),
                ended: shown(signer.not_after()),
                why: "everything below it ended with it",
            });
        }
        signer.leaf(wanted, key, now)
    }

    fn signer(&self, register: &Register, kind: Kind) -> Result<Signer, Error> {
        let current = register.current(kind).ok_or_else(|| Error::Missing {
            path: self.path_of(kind),
            why: "the register names no authority that issues",
        })?;
        Signer::open(current, &self.holder)
    }

    fn path_of(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Root => made::root(&self.dir),
            Kind::Clients => made::client_ca(&self.dir),
            Kind::Peers => made::peer_ca(&self.dir),
        }
    }

    /// Writes the revocation lists of both issuers if they name others than those revoked now, or get old.
    fn list_revocations(&self, register: &Register, now: WallTime) -> Result<(), Error> {
        let revoked: BTreeSet<String> = register
            .issued()
            .filter(|issued| issued.revoked != 0)
            .map(|issued| issued.serial.clone())
            .chain(register.authorities().map(|authority| authority.id.clone()))
            .collect();
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.unix_seconds();
        let is_young = |made: u64| seconds.saturating_sub(made) < LIST_RENEWAL.as_secs() && made <= seconds;
        if listed.as_ref().is_some_and(|(names, made)| *names == revoked && is_young(*made)) {
            return Ok(());
        }
        for (kind, path) in
            [(Kind::Clients, made::client_crl(&self.dir)), (Kind::Peers, made::peer_crl(&self.dir))]
        {
            let mut lists = String::new();
            for authority in register.authorities().filter(|authority| authority.kind == kind) {
                let signer = Signer::open(authority, &self.holder)?;
                let of_it = |issued: &&Issued| issued.authority == authority.id && issued.revoked != 0;
                lists += &::certificate::revocation_list(&signer, register.issued().filter(of_it), now)?;
            }
            files::write(&path, &lists, CERTIFICATE_MODE)?;
        }
        *listed = Some((revoked, seconds));
        Ok(())
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The roots that clients trust, PEM.
    #[must_use]
    pub fn roots(&self) -> String {
        read(&*self.registry, |register| bundle(register, Kind::Root))
    }

    /// What members know each other by, PEM.
    #[must_use]
    pub fn peer_roots(&self) -> String {
        read(&*self.registry, |register| bundle(register, Kind::Peers))
    }

    /// The pin of the root that is shown first.
    ///
    /// # Errors
    /// [`Error::Missing`]
    pub fn pin(&self) -> Result<Pin, Error> {
        let missing = || Error::Missing { path: made::root(&self.dir), why: "the register names no root" };
        let root = read(&*self.registry, |register| register.current(Kind::Root).cloned());
        let root = root.ok_or_else(missing)?;
        let about = root.certificates.first().map(|der| About::of(der));
        about.and_then(Result::ok).map(|about| Pin::of(&about.public_key)).ok_or_else(missing)
    }

    /// What an operator must do about this authority, for the log at start.
    ///
    /// # Errors
    /// A certificate cannot be read.
    pub fn notes(&self, now: WallTime) -> Result<Vec<Note>, Error> {
        let mut notes = Vec::new();
        let authorities = read(&*self.registry, |register| {
            register.authorities().filter(|authority| !authority.is_former).cloned().collect::<Vec<_>>()
        });
        for Registered { kind, certificates, .. } in authorities {
            let about = certificates.first().map(|der| About::of(der));
            let Some(Ok(about)) = about else { continue };
            if is_late(&about, now) {
                notes.push(
                    Note::warn("a certificate of the cluster's authority ends in some years, and cannot be renewed by itself")
                        .with("certificate", self.path_of(kind).display().to_string())
                        .with("not-after", shown(about.not_after))
                        .with("hint", "strongroom pki rollover --recovery-key FILE, with the recovery key"),
                );
            }
        }
        if made::recovery_key(&self.dir).exists() {
            notes.push(
                Note::warn("the recovery key lies on this machine: whoever has it can make certificates for everybody")
                    .with("file", made::recovery_key(&self.dir).display().to_string())
                    .with("hint", "move it to a safe place that is not on this machine; strongroom pki recover and strongroom pki rollover ask for it"),
            );
        }
        Ok(notes)
    }

    /// A leaf as it is on disk; nothing if it is not there.
    fn leaf(&self, register: &Register, role: Role) -> Result<Option<OnDisk>, Error> {
        let path = made::certificate(&self.dir, role);
        let Some(text) = files::certificate(&path)? else { return Ok(None) };
        let about = leaf_in(&path, &text)?;
        let key_path = made::key(&self.dir, role);
        let fits = match files::key(&key_path)? {
            None => false,
            Some(key) => {
                let key = KeyPair::from_pem(&key).map_err(|why| Error::Broken {
                    path: key_path,
                    what: "private key",
                    why,
                    hint: "remove it and its certificate: both are made anew at the next start",
                })?;
                about.is_of(&key)
            }
        };
        let own = self.own(role);
        let mut names: Vec<_> = about
            .names
            .iter()
            .filter(|name| !name.starts_with(::certificate::RESERVED_URI))
            .cloned()
            .collect();
        names.sort();
        // A certificate of an authority that was replaced is good, and made anew all the same.
        let by_current = register.current(made::issuer(role)).is_some_and(|current| {
            let issuer = current.certificates.first().map(|der| About::of(der));
            issuer.is_some_and(|issuer| issuer.is_ok_and(|issuer| issuer.common_name == about.issuer))
        });
        let is_revoked = register.certificate(&about.serial).is_some_and(|issued| issued.revoked != 0);
        let is_as_asked = names == own.names && about.common_name == own.name;
        let is_usable = fits && is_as_asked && by_current && !is_revoked;
        Ok(Some(OnDisk { not_before: about.not_before, not_after: about.not_after, is_usable }))
    }

    pub(super) fn member(&self) -> &str {
        &self.member
    }

    pub(super) fn holder(&self) -> &HolderKey {
        &self.holder
    }

    pub(super) fn registry(&self) -> &dyn Registry {
        &*self.registry
    }
}

/// This member's own key as a holder; made if it is not there.
pub(super) fn holder_key(dir: &Path) -> Result<HolderKey, Error> {
    let path = made::member_key(dir);
    match files::key(&path)? {
        Some(text) => HolderKey::from_pem(&text).map_err(|why| Error::Broken {
            path,
            what: "private key",
            why,
            hint: "put it back from a copy; where the recovery key is at hand: strongroom pki recover --recovery-key FILE",
        }),
        None => {
            let key = HolderKey::generate()?;
            files::write(&path, &key.to_pem(), KEY_MODE)?;
            Ok(key)
        }
    }
}

/// The certificates of a kind's authorities, PEM: the current one first.
fn bundle(register: &Register, kind: Kind) -> String {
    let mut of_kind: Vec<_> = register.authorities().filter(|authority| authority.kind == kind).collect();
    of_kind.sort_by_key(|authority| authority.is_former);
    pem::certificates(
        of_kind.iter().filter_map(|authority| authority.certificates.first()).map(|der| &der[..]),
    )
}

/// The first certificate of a file of ours.
pub(super) fn leaf_in(path: &Path, text: &str) -> Result<About, Error> {
    let broken = |why: String| Error::Broken {
        path: path.to_owned(),
        what: "certificate",
        why,
        hint: "remove it if it is server.crt, peer.crt or administrator.crt, it is made anew; put others back from a copy",
    };
    let ders = pem::read_certificates(text).map_err(broken)?;
    let first = ders.first().ok_or_else(|| broken(super::foreign::instead(text, "certificate")))?;
    About::of(first).map_err(broken)
}

/// Whether two thirds of a certificate's life are over.
fn is_late(about: &About, now: WallTime) -> bool {
    let third = about.not_after.saturating_sub(about.not_before) / 3;
    i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX) >= about.not_after.saturating_sub(third)
}

struct OnDisk {
    not_before: i64,
    not_after: i64,
    is_usable: bool,
}

impl OnDisk {
    /// The moment from which it should be renewed, Unix seconds.
    fn due(&self) -> i64 {
        let half = self.not_after.saturating_sub(self.not_before) / 2;
        if self.is_usable { self.not_after.saturating_sub(half) } else { 0 }
    }

    fn is_due(&self, now: WallTime) -> bool {
        i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX) >= self.due()
    }
}
