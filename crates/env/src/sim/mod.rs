//! A simulated world: a clock moved by hand, chance by seed, and a disk in memory that can fail and lose power.

mod clock;
mod disk;
mod random;

pub use clock::SimClock;
pub use disk::{Fault, SimDisk, Write, WriteObserver};
pub use random::SimRandom;

use crate::Env;
use std::num::NonZero;
use std::sync::Arc;

impl Env {
    /// A simulated world with its handles.
    #[must_use]
    pub fn simulated(seed: u64) -> (Self, SimClock, SimDisk) {
        let (clock, disk) = (SimClock::new(), SimDisk::new());
        let env = Self {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SimRandom::new(seed)),
            disk: Arc::new(disk.clone()),
            processors: NonZero::<usize>::MIN,
        };
        (env, clock, disk)
    }
}
