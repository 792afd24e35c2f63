//! The data directory: made once, held by one process, opened only by the member it belongs to.
//!
//! Owns the directory's lock, the open keyring, and the choice of manifest. Decides whether a path holds nothing, ours, etcd's
//! or something foreign, before anything in it is changed.
//!
//! Invariants: the directory is 0700; the keyring is the last thing a creation writes, so a directory with a keyring is
//! whole, and one without it never held data; whoever has a [`Dir`] holds the lock.

use crate::manifest::{self, Chosen, Manifest};
use crate::{Error, log, names};
use env::{DirLock, Disk, Env, Kind};
use seal::{Identity, KeyId, KeyProvider, Keyring, KeyringHead, PROVIDER_KEY_FILE};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use types::limits::SUPERSEDED_BYTES_MIN;

/// Larger than any keyring.
const KEYRING_BYTES_MAX: u64 = 1 << 20;

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: absent, empty, or a creation that was cut short.
    Nothing,
    /// Data of ours.
    Ours {
        /// Whose; not authenticated yet.
        identity: Identity,
        /// The key it is sealed with.
        key: KeyId,
    },
}

/// Where the key may be.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// Here.
    Provider(&'a dyn KeyProvider),
    /// In a key file at one of these paths, or with its own name in one of these directories; tried in order.
    Files(&'a [PathBuf]),
}

/// A directory held, its keyring open. Log and store keep it.
#[derive(Debug)]
pub(crate) struct Dir {
    pub(crate) env: Env,
    pub(crate) path: PathBuf,
    pub(crate) keyring: Keyring,
    /// Whether files that nothing needs any more stay for a while.
    pub(crate) keeps_superseded: AtomicBool,
    /// Space is short: they go at once.
    pub(crate) is_short_of_space: AtomicBool,
    /// Bytes that such files may take, of the log and as many of the store; the store's checkpoints set it.
    pub(crate) superseded_bytes_max: AtomicU64,
    _lock: Box<dyn DirLock>,
}

impl Dir {
    /// A directory whose lock is held and whose keyring is open already.
    pub(crate) fn new(env: &Env, path: &Path, keyring: Keyring, lock: Box<dyn DirLock>) -> Self {
        let (keeps_superseded, is_short_of_space) = (AtomicBool::new(false), AtomicBool::new(false));
        let superseded_bytes_max = AtomicU64::new(SUPERSEDED_BYTES_MIN);
        let (env, path) = (env.clone(), path.to_owned());
        Self { env, path, keyring, keeps_superseded, is_short_of_space, superseded_bytes_max, _lock: lock }
    }
}

/// A data directory, held for this process. Log and store keep it held.
#[derive(Debug)]
pub struct DataDir {
    pub(crate) dir: Arc<Dir>,
    pub(crate) chosen: Chosen,
}

impl DataDir {
    /// Looks at a path without changing or holding anything.
    ///
    /// # Errors
    /// Etcd's data, something else's, data whose keyring is gone, or the disk's failure.
    pub fn inspect(env: &Env, path: &Path) -> Result<Found, Error> {
        let disk = &*env.disk;
        if disk.stat(path)?.is_none() {
            return Ok(Found::Nothing);
        }
        let names = disk.list(path)?;
        if names.iter().any(|name| name == names::KEYRING) {
            let head = read_head(disk, path)?.0;
            return Ok(Found::Ours { identity: head.identity, key: head.first_key() });
        }
        if names.iter().any(|name| name == "member") {
            return Err(Error::EtcdData { path: path.to_owned() });
        }
        if let Some(name) = names.iter().find(|name| !names::is_of_creation(name)) {
            return Err(Error::Foreign { path: path.to_owned(), name: name.clone() });
        }
        for below in [names::LOG, names::STORE] {
            let below = path.join(below);
            if disk.stat(&below)?.is_some() && !disk.list(&below)?.is_empty() {
                let why =
                    "it holds data, but its keyring is gone; hint: restore the file keyring from a backup";
                return Err(Error::Inconsistent { path: path.to_owned(), why: why.to_owned() });
            }
        }
        Ok(Found::Nothing)
    }

    /// Makes a data directory (the parent exists) and holds it.
    ///
    /// # Errors
    /// Anything in it already, a loose mode, in use, the disk's failure.
    pub fn create(
        env: &Env,
        path: &Path,
        identity: Identity,
        provider: &dyn KeyProvider,
    ) -> Result<Self, Error> {
        let disk = &*env.disk;
        if Self::inspect(env, path)? != Found::Nothing {
            return Err(Error::Misuse(format!("data directory {} holds data already", path.display())));
        }
        if disk.stat(path)?.is_none() {
            disk.create_dir(path)?;
        }
        // Also when it is there already: a creation that was cut short may not have come to this.
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            match disk.sync_dir(parent) {
                // Somebody else made the directory for us and keeps its parent closed: its name is theirs to keep.
                Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        check_mode(disk, path)?;
        let lock = hold(disk, path)?;
        for generation in manifest::generations(disk, path)? {
            disk.remove(&names::manifest(path, generation))?;
        }
        for below in [names::LOG, names::STORE] {
            if disk.stat(&path.join(below))?.is_none() {
                disk.create_dir(&path.join(below))?;
            }
        }
        disk.sync_dir(path)?;
        let keyring = Keyring::generate(identity, &*env.random);
        let sealed = keyring.encode(&[provider], &*env.random)?;
        let dir = Dir::new(env, path, keyring, lock);
        let manifest = Manifest { generation: 1, next_segment: 1, ..Manifest::default() };
        manifest.write(&dir)?;
        disk.replace(&path.join(names::KEYRING), &sealed)?;
        let chosen = Chosen { manifest, generations: vec![1], passed_over: Vec::new() };
        Ok(Self { dir: Arc::new(dir), chosen })
    }

    /// Opens and holds a data directory, and changes nothing in it.
    ///
    /// # Errors
    /// No data, another member's (than `expected`), no key, damage, a loose mode, in use, the disk's failure.
    pub fn open(env: &Env, path: &Path, expected: Option<Identity>, keys: Keys<'_>) -> Result<Self, Error> {
        let disk = &*env.disk;
        if Self::inspect(env, path)? == Found::Nothing {
            return Err(Error::NoData { path: path.to_owned() });
        }
        check_mode(disk, path)?;
        let lock = hold(disk, path)?;
        let (head, sealed) = read_head(disk, path)?;
        if let Some(expected) = expected.filter(|expected| *expected != head.identity) {
            return Err(Error::OtherMember { path: path.to_owned(), found: head.identity, expected });
        }
        let keyring = match keys {
            Keys::Provider(provider) => Keyring::open(&sealed, provider),
            Keys::Files(candidates) => Keyring::open(&sealed, &find_key(disk, &head, candidates)?),
        };
        let keyring = keyring.map_err(|why| Error::unopened(&path.join(names::KEYRING), why))?;
        let dir = Dir::new(env, path, keyring, lock);
        let begins = log::begins(&dir)?;
        let chosen = manifest::choose(&dir, begins.at).map_err(|failure| begins.gap.unwrap_or(failure))?;
        Ok(Self { dir: Arc::new(dir), chosen })
    }

    /// From now on files that log and store need no more stay for a while, as space allows, so that a copy of the
    /// directory that is made while they are written finds every file that it has listed.
    pub fn keep_superseded_files(&self) {
        self.dir.keeps_superseded.store(true, Ordering::Relaxed);
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.dir.keyring.identity()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir.path
    }

    /// Why newer manifests than the one in use were passed over, for the log of the program; usually empty.
    #[must_use]
    pub fn passed_over(&self) -> &[String] {
        &self.chosen.passed_over
    }
}

pub(crate) fn read_head(disk: &dyn Disk, path: &Path) -> Result<(KeyringHead, Vec<u8>), Error> {
    let path = path.join(names::KEYRING);
    let sealed = disk.read(&path, KEYRING_BYTES_MAX)?;
    Ok((KeyringHead::decode(&sealed).map_err(|why| Error::unopened(&path, why))?, sealed))
}

fn check_mode(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    match disk.stat(path)? {
        Some(stat) if stat.kind != Kind::Directory => {
            let why = "it is not a directory".to_owned();
            Err(Error::Inconsistent { path: path.to_owned(), why })
        }
        Some(stat) if stat.mode & 0o077 != 0 => Err(Error::Mode { path: path.to_owned(), mode: stat.mode }),
        _ => Ok(()),
    }
}

pub(crate) fn hold(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DirLock>, Error> {
    disk.lock_dir(path)?.ok_or_else(|| Error::InUse { path: path.to_owned() })
}

pub(crate) fn find_key(
    disk: &dyn Disk,
    head: &KeyringHead,
    candidates: &[PathBuf],
) -> Result<seal::KeyFile, Error> {
    let mut all_tried = Vec::new();
    let mut wanted = KeyId([0; 8]);
    for (_, id) in head.wraps.iter().filter(|(kind, _)| *kind == PROVIDER_KEY_FILE) {
        match seal::find_key_file(disk, *id, candidates) {
            Err(seal::Error::KeyMissing { tried, .. }) => all_tried.extend(tried),
            found => return Ok(found?),
        }
        wanted = *id;
    }
    Err(seal::Error::KeyMissing { id: wanted, tried: all_tried }.into())
}
