//! Why a seal was not made or not opened. Nothing here tells an attacker which check failed first.

use crate::KeyId;
use std::path::PathBuf;

/// A refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not authenticate: somebody changed them, or they were sealed with another key or for another place.
    #[error("{what}: tampered or wrong key")]
    Tampered {
        /// What was opened.
        what: &'static str,
    },
    /// The bytes are not of this format, or cut short.
    #[error("{what}: {why}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A format version that this program does not know.
    #[error("{what}: format version {version} is not known; hint: it was written by a newer strongroom")]
    Version {
        /// What was read.
        what: &'static str,
        /// Its version.
        version: u16,
    },
    /// The keyring has no data key of this epoch.
    #[error("no {purpose} key of epoch {epoch} in the keyring")]
    Epoch {
        /// For what.
        purpose: &'static str,
        /// Which.
        epoch: u32,
    },
    /// The key file is nowhere that was looked.
    #[error(
        "key {id} not found; tried {}; hint: put strongroom-{id}.key at one of these places, or name it with STRONGROOM_KEY_FILE; if \
         no key was ever called so, the file keyring in the data directory was changed: put it back from a copy",
        list(tried)
    )]
    KeyMissing {
        /// The key that the data is sealed with.
        id: KeyId,
        /// Every path tried.
        tried: Vec<PathBuf>,
    },
    /// A key file that others can read.
    #[error("key file {} has mode {mode:04o}; hint: chmod 600 {}", path.display(), path.display())]
    KeyFileMode {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file that is not one, or was changed.
    #[error("key file {}: {why}; hint: put the file back from a copy", path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More bytes than one record or segment holds.
    #[error("a record of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// The size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A key provider's failure.
    #[error("key provider: {0}")]
    Provider(String),
    /// The disk's failure.
    #[error(transparent)]
    Disk(#[from] env::DiskError),
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}
