//! Where the key encryption key lives.

use crate::{Error, Identity};
use env::{Disk, Random};
use std::fmt;
use std::path::{Path, PathBuf};

/// Names a key encryption key; 16 hex digits when printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Wraps and unwraps the root key; asked once at start and at rotation, never on the way of a read or write.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// The key it wraps with.
    fn key_id(&self) -> KeyId;
    /// Wraps a root key for `identity`.
    ///
    /// # Errors
    /// The provider's failure.
    fn wrap(&self, root: &[u8; 32], identity: Identity, random: &dyn Random) -> Result<Vec<u8>, Error>;
    /// Unwraps it.
    ///
    /// # Errors
    /// The provider's failure, or bytes that it did not wrap.
    fn unwrap(&self, wrapped: &[u8], identity: Identity) -> Result<[u8; 32], Error>;
}

/// A key in a file of its own.
#[derive(Debug)]
pub struct KeyFile {}

impl KeyFile {
    /// Makes a new key in `dir`.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn create(disk: &dyn Disk, dir: &Path, random: &dyn Random) -> Result<Self, Error> {
        let _ = (disk, dir, random);
        panic!("not there yet")
    }
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        panic!("not there yet")
    }
}

impl KeyProvider for KeyFile {
    fn key_id(&self) -> KeyId {
        panic!("not there yet")
    }
    fn wrap(&self, _: &[u8; 32], _: Identity, _: &dyn Random) -> Result<Vec<u8>, Error> {
        panic!("not there yet")
    }
    fn unwrap(&self, _: &[u8], _: Identity) -> Result<[u8; 32], Error> {
        panic!("not there yet")
    }
}

/// Finds the key file `id`.
///
/// # Errors
/// It is nowhere.
pub fn find_key_file(disk: &dyn Disk, id: KeyId, candidates: &[PathBuf]) -> Result<KeyFile, Error> {
    let _ = (disk, id, candidates);
    panic!("not there yet")
}
