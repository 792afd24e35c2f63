//! The data directory.

use crate::Error;
use env::Env;
use seal::{Identity, KeyId, KeyProvider};
use std::path::{Path, PathBuf};

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: absent, empty, or a creation that was cut short.
    Nothing,
    /// Data of ours.
    Ours {
        /// Whose.
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

/// A data directory, held for this process. Log and store keep it held.
#[derive(Debug)]
pub struct DataDir {}

impl DataDir {
    /// Looks at a path without changing or holding anything.
    ///
    /// # Errors
    /// Etcd's data, something else's, or the disk's failure.
    pub fn inspect(env: &Env, path: &Path) -> Result<Found, Error> {
        let _ = (env, path);
        panic!("not there yet")
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
        let _ = (env, path, identity, provider);
        panic!("not there yet")
    }
    /// Opens and holds a data directory.
    ///
    /// # Errors
    /// No data, another member's, no key, damage, in use, the disk's failure.
    pub fn open(env: &Env, path: &Path, expected: Option<Identity>, keys: Keys<'_>) -> Result<Self, Error> {
        let _ = (env, path, expected, keys);
        panic!("not there yet")
    }
    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        panic!("not there yet")
    }
}
