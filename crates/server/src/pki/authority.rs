//! The authority in its directory: made at the first start, found again at later ones, its leaves renewed in process.
//!
//! What is missing is made if what signs it is there, so a first start that was interrupted goes on where it stopped. A
//! leaf is made anew when two thirds of its life are over, when its names changed, or when it does not fit its key (an
//! interrupted renewal). Key first, certificate second: whoever reads in between sees a pair that does not fit, keeps what
//! it has, and looks again.

use super::files::{self, CERTIFICATE_MODE, KEY_MODE};
use super::issue::{self, Issued, Of, Signer};
use super::made::{self, Role};
use super::{Error, foreign};
use crate::config::Note;
use crate::tls::ADMINISTRATOR_URI;
use env::WallTime;
use std::path::{Path, PathBuf};

/// The member's own certificate authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    dir: PathBuf,
    member: String,
    names: Vec<String>,
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
        issue::shown(self.not_after)
    }
}

impl Authority {
    /// Finds the authority in `dir`, or makes it; then renews what is due. `member` and `names` go into the certificates
    /// of the server and the member.
    ///
    /// # Errors
    /// [`Error`], naming the file and what to do.
    pub fn open(
        dir: &Path,
        member: &str,
        names: &[String],
        now: WallTime,
    ) -> Result<(Self, Vec<Renewed>), Error> {
        files::directory(dir)?;
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        let authority = Self { dir: dir.to_owned(), member: member.to_owned(), names };
        authority.root(now)?;
        authority.issuer(Of::Clients, now)?;
        authority.issuer(Of::Peers, now)?;
        let renewed = authority.renew_if_due(now)?;
        Ok((authority, renewed))
    }

    /// Makes those leaves anew that are due; the files are replaced, and whoever serves with them looks for changes.
    ///
    /// # Errors
    /// [`Error`]; what is in use stays.
    pub fn renew_if_due(&self, now: WallTime) -> Result<Vec<Renewed>, Error> {
        let mut renewed = Vec::new();
        for role in Role::ALL {
            if let Some(found) = self.leaf(role)?
                && !found.is_due(now)
            {
                continue;
            }
            let by = self.issuer(Of::role(role), now)?;
            let (common_name, names) = match role {
                Role::Administrator => ("root", &[][..]),
                Role::Server | Role::Peer => (self.member.as_str(), self.names.as_slice()),
            };
            let issued = issue::leaf(role, common_name, names, &by, now)?;
            let path = made::certificate(&self.dir, role);
            self.keep(&path, &made::key(&self.dir, role), &issued)?;
            let about = foreign::about(&issued.certificate).map_err(broken(&path))?;
            renewed.push(Renewed { role, path, not_after: about.not_after });
        }
        Ok(renewed)
    }

    /// When [`Self::renew_if_due`] should be asked next: the earliest of the leaves' two thirds.
    ///
    /// # Errors
    /// A leaf cannot be read.
    pub fn next_due(&self) -> Result<WallTime, Error> {
        let mut next = u64::MAX;
        for role in Role::ALL {
            let due = self.leaf(role)?.map_or(0, |leaf| leaf.due());
            next = next.min(u64::try_from(due).unwrap_or(0));
        }
        Ok(WallTime::from_unix_nanos(next.saturating_mul(1_000_000_000)))
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root's key, needed only to make an issuer: it may be kept elsewhere, offline.
    #[must_use]
    pub fn root_key(&self) -> PathBuf {
        self.dir.join("root.key")
    }

    /// The root, to sign with; nothing if its key is elsewhere.
    fn root(&self, now: WallTime) -> Result<Option<Signer>, Error> {
        let (path, key_path) = (made::root(&self.dir), self.root_key());
        let certificate = match files::certificate(&path)? {
            Some(certificate) => certificate,
            None => {
                if made::client_ca(&self.dir).exists() || made::peer_ca(&self.dir).exists() {
                    let why = "the certificates below it were given to clients that trust it";
                    return Err(Error::Missing { path, why });
                }
                let issued = issue::root(&mark(), now)?;
                self.keep(&path, &key_path, &issued)?;
                issued.certificate
            }
        };
        self.signer(&path, &key_path, &certificate, now)
    }

    /// An issuer, to sign with; made if it is not there.
    fn issuer(&self, of: Of, now: WallTime) -> Result<Signer, Error> {
        let path = match of {
            Of::Clients => made::client_ca(&self.dir),
            Of::Peers => made::peer_ca(&self.dir),
        };
        let key_path = path.with_extension("key");
        let certificate = match files::certificate(&path)? {
            Some(certificate) => certificate,
            None => {
                let missing =
                    || Error::Missing { path: path.clone(), why: "root.key, which makes it, is not there" };
                let root = self.root(now)?.ok_or_else(missing)?;
                let issued = issue::issuer(of, &mark(), &root, now)?;
                self.keep(&path, &key_path, &issued)?;
                issued.certificate
            }
        };
        let missing = || Error::Missing { path: key_path.clone(), why: "certificates are issued with it" };
        let issuer = self.signer(&path, &key_path, &certificate, now)?.ok_or_else(missing)?;
        let about = foreign::about(&certificate).map_err(broken(&path))?;
        if !is_late(&about, now) {
            return Ok(issuer);
        }
        // Without the root's key the issuer is good until its end; `notes` says so in time.
        let (Some(root), Some(key)) = (self.root(now)?, files::key(&key_path)?) else { return Ok(issuer) };
        let again = issue::issuer_again(&about.common_name, &key, &root, now)?;
        files::write(&path, &again, CERTIFICATE_MODE)?;
        self.signer(&path, &key_path, &again, now)?.ok_or_else(missing)
    }

    /// What an operator must do about this authority, for the log at start.
    ///
    /// # Errors
    /// A certificate cannot be read.
    pub fn notes(&self, now: WallTime) -> Result<Vec<Note>, Error> {
        let mut notes = Vec::new();
        for path in [made::root(&self.dir), made::client_ca(&self.dir), made::peer_ca(&self.dir)] {
            let Some(certificate) = files::certificate(&path)? else { continue };
            let about = foreign::about(&certificate).map_err(broken(&path))?;
            if is_late(&about, now) {
                notes.push(
                    Note::warn("a certificate of the member's authority ends in some years, and cannot be renewed by itself")
                        .with("certificate", path.display().to_string())
                        .with("not-after", issue::shown(about.not_after))
                        .with("hint", "put root.key back for one start, which renews the issuers; a root that ends asks for a new authority"),
                );
            }
        }
        Ok(notes)
    }

    fn signer(
        &self,
        path: &Path,
        key_path: &Path,
        certificate: &str,
        now: WallTime,
    ) -> Result<Option<Signer>, Error> {
        let about = foreign::about(certificate).map_err(broken(path))?;
        if about.not_after < i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX) {
            let ended = issue::shown(about.not_after);
            return Err(Error::Ended {
                path: path.to_owned(),
                ended,
                why: "everything below it ended with it",
            });
        }
        let Some(key) = files::key(key_path)? else { return Ok(None) };
        let bad_key = |why: String| Error::Broken {
            path: key_path.to_owned(),
            what: "private key",
            why,
            hint: "put it back from a copy",
        };
        if !foreign::fits(certificate, &key).map_err(bad_key)? {
            return Err(bad_key(format!("it does not belong to {}", path.display())));
        }
        Signer::new(certificate, &key, about.not_after).map(Some).map_err(bad_key)
    }

    /// A leaf as it is on disk; nothing if it is not there.
    fn leaf(&self, role: Role) -> Result<Option<Leaf>, Error> {
        let path = made::certificate(&self.dir, role);
        let Some(certificate) = files::certificate(&path)? else { return Ok(None) };
        let about = foreign::about(&certificate).map_err(broken(&path))?;
        let key_path = made::key(&self.dir, role);
        let fits = match files::key(&key_path)? {
            None => false,
            Some(key) => foreign::fits(&certificate, &key).map_err(|why| Error::Broken {
                path: key_path,
                what: "private key",
                why,
                hint: "remove it and its certificate: both are made anew at the next start",
            })?,
        };
        let mut names = about.names;
        names.sort();
        let is_as_asked = match role {
            Role::Administrator => names == [ADMINISTRATOR_URI],
            Role::Server | Role::Peer => names == self.names,
        };
        Ok(Some(Leaf {
            not_before: about.not_before,
            not_after: about.not_after,
            is_usable: fits && is_as_asked,
        }))
    }

    fn keep(&self, path: &Path, key_path: &Path, issued: &Issued) -> Result<(), Error> {
        files::write(key_path, &issued.key, KEY_MODE)?;
        files::write(path, &issued.certificate, CERTIFICATE_MODE)
    }
}

/// Whether two thirds of a certificate's life are over.
fn is_late(about: &foreign::About, now: WallTime) -> bool {
    let third = about.not_after.saturating_sub(about.not_before) / 3;
    i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX) >= about.not_after.saturating_sub(third)
}

struct Leaf {
    not_before: i64,
    not_after: i64,
    is_usable: bool,
}

impl Leaf {
    /// The moment from which it should be renewed, Unix seconds.
    fn due(&self) -> i64 {
        let third = self.not_after.saturating_sub(self.not_before) / 3;
        if self.is_usable { self.not_after.saturating_sub(third) } else { 0 }
    }

    fn is_due(&self, now: WallTime) -> bool {
        i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX) >= self.due()
    }
}

fn broken(path: &Path) -> impl FnOnce(String) -> Error {
    let path = path.to_owned();
    move |why| Error::Broken {
        path,
        what: "certificate",
        why,
        hint: "remove it if it is server.crt, peer.crt or administrator.crt, it is made anew; put others back from a copy",
    }
}

/// Eight hexadecimal digits that tell two authorities apart by name.
fn mark() -> String {
    let mut bytes = [0_u8; 4];
    // Only a name: if there is no randomness, the keys could not be made either, and that is reported.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
