//! A password's hash as the state holds it: never printed, wiped when it goes.

use std::fmt;
use zeroize::Zeroizing;

/// The hash of a password in the text form of its algorithm (`$2a$…`, `$argon2id$…`); empty when no password matches.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PasswordHash(Zeroizing<Vec<u8>>);

impl PasswordHash {
    /// Takes the hash's bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The hash's bytes, for who compares a password with it or makes it durable.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command with a hash in it may be printed by a test or a panic; the hash must not be.
    #[test]
    fn a_hash_is_not_printed() {
        let hash = PasswordHash::new(b"$2a$10$secret".to_vec());
        assert_eq!(format!("{hash:?}"), "***");
        assert_eq!(hash.as_bytes(), b"$2a$10$secret");
    }
}
