//! The outside world as traits: clocks, randomness and the disk, each real and simulated; and how many processors it has.
//!
//! Owns the only way in which the rooms below the server learn the time, draw a random number or touch a file. Never
//! decides policy: it does not retry, does not choose names, does not interpret bytes. One suite of tests (in `tests/`)
//! runs on both the real and the simulated version of each trait, so that what a simulation proves holds outside it.
//!
//! Start reading at `disk.rs` (what a disk promises), then `sim/disk.rs` (what it does when the power fails).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clock;
mod disk;
mod random;
pub mod real;
pub mod sim;

pub use clock::{Clock, Monotonic, WallTime};
pub use disk::{DIR_MODE, DirLock, Disk, DiskError, DiskFile, FILE_MODE, Kind, Operation, Stat};
pub use random::Random;

use std::num::NonZero;
use std::sync::Arc;

/// All of it together, as it is handed down. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// How many threads can work at once. A simulated world has one, so that things happen in one order there.
    pub processors: NonZero<usize>,
}

impl Env {
    /// The real world.
    #[must_use]
    pub fn real() -> Self {
        Self {
            clock: Arc::new(real::SystemClock::new()),
            random: Arc::new(real::SystemRandom),
            disk: Arc::new(real::RealDisk),
            processors: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
        }
    }
}
