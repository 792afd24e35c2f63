//! Where the key encryption key lives: the seam behind which a file, a hardware token or a key service stands.

use crate::{Error, Identity, Secret};
use env::Random;
use std::fmt;

/// The provider number of a key file.
pub const PROVIDER_KEY_FILE: u8 = 1;

/// Names a key encryption key; 16 hex digits when printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Wraps and unwraps the root key; asked once at start and at rotation, never on the way of a read or a write.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// Which kind of provider, as docs/formats/keyring.md numbers them.
    fn kind(&self) -> u8;

    /// The key that it wraps with.
    fn key_id(&self) -> KeyId;

    /// Wraps a root key, bound to `identity`.
    ///
    /// # Errors
    /// The provider's failure.
    fn wrap(&self, root: &Secret, identity: Identity, random: &dyn Random) -> Result<Vec<u8>, Error>;

    /// Unwraps what [`KeyProvider::wrap`] made for the same identity.
    ///
    /// # Errors
    /// The provider's failure, or bytes that it did not wrap for this identity.
    fn unwrap(&self, wrapped: &[u8], identity: Identity) -> Result<Secret, Error>;
}
