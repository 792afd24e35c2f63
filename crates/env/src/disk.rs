//! The disk: the few acts that the storage of a database needs, with what each promises.
//!
//! Promises, which the simulated disk takes at their word and no further:
//!
//! - what [`DiskFile::write_at`] wrote survives a crash of the machine only once [`DiskFile::sync_data`] returned; until
//!   then any 512-byte sector of it may be there or not;
//! - a name that was created, renamed or removed survives only once [`Disk::sync_dir`] of its directory returned;
//! - [`Disk::replace`] is atomic: after a crash at any moment the old or the new content is there, and after it returned
//!   the new one;
//! - what survives a crash of the process alone is everything.
//!
//! Files are created 0600, exclusively, and directories 0700. Failures say what was done to which path.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The mode of every directory that is made: nobody but the owner.
pub const DIR_MODE: u32 = 0o700;
/// The mode of every file that is made: nobody but the owner.
pub const FILE_MODE: u32 = 0o600;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else (a link that leads nowhere, a device, a socket).
    Other,
}

/// What is known of a name without opening it. Links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits (the low twelve).
    pub mode: u32,
    /// The owner's user id.
    pub owner: u32,
    /// Bytes of a file.
    pub len: u64,
    /// The file system it lies on; equal numbers, same file system.
    pub device: u64,
}

/// An open file. Shared between threads; reads and writes name their place, so there is no cursor to fight over.
#[allow(
    clippy::len_without_is_empty,
    reason = "asking the disk can fail, and nobody asks whether a file is empty"
)]
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to `bytes.len()` bytes from `offset`; fewer only at the end of the file. Answers how many.
    ///
    /// # Errors
    /// The disk's failure.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The disk's failure; part of the bytes may be written then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;

    /// Makes what was written durable, with the length needed to read it back.
    ///
    /// # Errors
    /// The disk's failure; nothing is known about what was written since the last success, and asking again will not tell.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Cuts the file to, or extends it with zeros to, `len` bytes.
    ///
    /// # Errors
    /// The disk's failure.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// The length in bytes.
    ///
    /// # Errors
    /// The disk's failure.
    fn len(&self) -> Result<u64, DiskError>;
}

/// A directory's lock; given back when dropped, or when the process ends however it ends.
pub trait DirLock: Send + Sync + fmt::Debug {}

/// A disk.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a directory with [`DIR_MODE`]; its parent exists.
    ///
    /// # Errors
    /// The disk's failure, [`DiskError::is_already_exists`] among them.
    fn create_dir(&self, path: &Path) -> Result<(), DiskError>;

    /// The names in a directory, sorted; names that are not UTF-8 come with replacement characters.
    ///
    /// # Errors
    /// The disk's failure.
    fn list(&self, path: &Path) -> Result<Vec<String>, DiskError>;

    /// What `path` is; nothing if it is not there.
    ///
    /// # Errors
    /// The disk's failure.
    fn stat(&self, path: &Path) -> Result<Option<Stat>, DiskError>;

    /// Creates a file with [`FILE_MODE`], which must not exist, with `preallocate` bytes of zeros whose space is
    /// reserved. If the space is not there, no file is left behind.
    ///
    /// # Errors
    /// The disk's failure, [`DiskError::is_already_exists`] and [`DiskError::is_no_space`] among them.
    fn create(&self, path: &Path, preallocate: u64) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// The disk's failure, [`DiskError::is_not_found`] among them.
    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Opens an existing file for reading only; a file of a read-only owner (mode 0400) opens too.
    ///
    /// # Errors
    /// The disk's failure, [`DiskError::is_not_found`] among them.
    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Puts a file of these bytes at `path`, durably and atomically, over what was there: written to a temporary name in the
    /// same directory (the name with `.tmp` added), synced, renamed, the directory synced. What fails before it has its name is
    /// removed: on a full disk each try would else leave one more.
    ///
    /// # Errors
    /// The disk's failure; old or new content stands then.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        match self.remove(&temporary) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let written = self.create(&temporary, 0).and_then(|file| {
            file.write_at(bytes, 0)?;
            file.sync_data()?;
            self.rename(&temporary, path)
        });
        if let Err(error) = written {
            // If that fails too, the next start does it.
            let _ = self.remove(&temporary);
            return Err(error);
        }
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }

    /// Renames a file inside one directory, over what was there.
    ///
    /// # Errors
    /// The disk's failure.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file; who has it open reads on.
    ///
    /// # Errors
    /// The disk's failure, [`DiskError::is_not_found`] among them.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The disk's failure.
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError>;

    /// Takes a directory for one process; nothing if another holds it (or this one already does).
    ///
    /// # Errors
    /// The disk's failure.
    fn lock_dir(&self, path: &Path) -> Result<Option<Box<dyn DirLock>>, DiskError>;

    /// Bytes that this process may still write on the file system of `path`.
    ///
    /// # Errors
    /// The disk's failure.
    fn free_bytes(&self, path: &Path) -> Result<u64, DiskError>;

    /// The whole content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// The disk's failure; a larger file is one.
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, DiskError> {
        let file = self.open_read(path)?;
        let len = file.len()?;
        if len > limit {
            let source = io::Error::other(format!("{len} bytes, at most {limit} were expected"));
            return Err(DiskError::new(Operation::Read, path, source));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        let count = file.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// What was asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Making a file or directory.
    Create,
    /// Reserving space.
    Preallocate,
    /// Opening.
    Open,
    /// Asking what a name is.
    Stat,
    /// Listing a directory.
    List,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Changing a length.
    SetLen,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Locking.
    Lock,
    /// Asking for free space.
    FreeBytes,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Preallocate => "reserve space for",
            Self::Open => "open",
            Self::Stat => "look at",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::SetLen => "change the length of",
            Self::Sync => "sync",
            Self::SyncDir => "sync directory",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Lock => "lock",
            Self::FreeBytes => "ask for the free space of",
        })
    }
}

/// The disk's failure: what could not be done, to what, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct DiskError {
    /// What was asked.
    pub operation: Operation,
    /// Of which path.
    pub path: PathBuf,
    /// The operating system's answer.
    pub source: io::Error,
}

impl DiskError {
    /// A failure.
    #[must_use]
    pub fn new(operation: Operation, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }

    /// The disk, or this user's share of it, is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// The path is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// The path is there already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }
}
