//! Randomness: keys, salts, ids and jitter all come through here.

use std::fmt;

/// Draws random bytes.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `bytes`. The real one is fit for keys; the simulated one repeats itself by seed.
    ///
    /// # Panics
    /// The real one panics when the operating system has no randomness to give: going on without it is never right.
    fn fill(&self, bytes: &mut [u8]);

    /// A random number.
    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}
