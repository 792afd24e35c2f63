//! The real world: the operating system's clocks, its randomness, its file systems.

mod clock;
mod disk;
mod random;

pub use clock::SystemClock;
pub use disk::RealDisk;
pub use random::SystemRandom;
