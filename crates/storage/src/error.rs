//! Why storage did not do what it was asked, grouped by what the caller can do.

use seal::Identity;
use std::path::{Path, PathBuf};

/// A failure of storage. After any but [`Error::NoSpace`] from a writer, the writer refuses all further work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No space for a new segment; nothing of the request was written and the writer goes on.
    #[error("no space: cannot reserve {bytes} bytes for {}; hint: free space on its file system", path.display())]
    NoSpace {
        /// For what.
        path: PathBuf,
        /// How much.
        bytes: u64,
    },
    /// The disk's failure.
    #[error(transparent)]
    Disk(#[from] env::DiskError),
    /// A write or sync failed earlier: what is durable is unknown until the next start.
    #[error(
        "{what} refuses work after a failed write or sync; hint: see the failure before, then restart the member"
    )]
    Poisoned {
        /// The log or the store.
        what: &'static str,
    },
    /// Bytes on disk are not what was written.
    #[error("damaged: {} at byte {position}: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        why: String,
    },
    /// A file of a format version that this program does not know.
    #[error("{}: format version {version} is not known; hint: it was written by a newer strongroom: start that one", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// Something the data needs is not there, or a contradiction between files.
    #[error("data directory {}: {why}", path.display())]
    Inconsistent {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The directory can be read by others.
    #[error("data directory {} has mode {mode:04o}; hint: chmod 700 {}", path.display(), path.display())]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process has the directory.
    #[error("data directory {} is in use by another process; hint: stop it, or use another --data-dir", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The directory holds etcd's own data.
    #[error("data directory {} holds data of etcd (member/ is there); hint: use another --data-dir, and bring the data over with a snapshot", path.display())]
    EtcdData {
        /// Which.
        path: PathBuf,
    },
    /// The directory holds something else.
    #[error("data directory {} is not empty and not of strongroom: it holds {name}; hint: use an empty directory", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// One name in it.
        name: String,
    },
    /// The directory is another member's.
    #[error("data directory {} belongs to {found}, not to {expected}; hint: check --data-dir and the initial cluster settings", path.display())]
    OtherMember {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Who asked.
        expected: Identity,
    },
    /// There is no data.
    #[error("data directory {} holds no data", path.display())]
    NoData {
        /// Which.
        path: PathBuf,
    },
    /// What was asked contradicts what is there: the caller's mistake.
    #[error("{0}")]
    Misuse(String),
    /// Keys or seals.
    #[error(transparent)]
    Seal(#[from] seal::Error),
}

impl Error {
    /// The file at `path` does not open.
    pub(crate) fn unopened(path: &Path, why: seal::Error) -> Self {
        match why {
            seal::Error::Version { version, .. } => Self::Version { path: path.to_owned(), version },
            seal::Error::Malformed { .. } | seal::Error::Tampered { .. } | seal::Error::Epoch { .. } => {
                Self::Damaged { path: path.to_owned(), position: 0, why: why.to_string() }
            }
            why => why.into(),
        }
    }
}
