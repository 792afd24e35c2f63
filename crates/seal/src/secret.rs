//! Key bytes that leave no trace: never copied by a move, wiped when dropped, never printed.

use env::Random;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes, at one place in memory: what is moved is the way to them, so no copy stays behind.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Box<[u8; 32]>);

impl Secret {
    /// A copy of these bytes; the caller's own are the caller's to wipe.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let mut secret = Self::zeros();
        secret.0.copy_from_slice(bytes);
        secret
    }

    /// Nothing yet, to be filled in place.
    pub(crate) fn zeros() -> Self {
        Self(Box::new([0; 32]))
    }

    /// A new key.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let mut secret = Self::zeros();
        random.fill(&mut *secret.0);
        secret
    }

    /// The bytes, for a cryptographic function.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key is wiped where it ends. What was freed cannot be looked at from here, so the promise of the type is asked for.
    #[test]
    fn a_secret_is_wiped_when_dropped() {
        fn is_wiped<T: ZeroizeOnDrop>(_: &T) {}
        is_wiped(&Secret::new(&[7; 32]));
    }

    /// A key never shows in a log line or a panic, however deep it sits in what is printed.
    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Some(Secret::new(&[7; 32]))), "Some(***)");
    }
}
