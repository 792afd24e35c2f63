//! The operating system's clocks; the only place that asks for them.
#![allow(clippy::disallowed_methods, reason = "this is what everybody else is sent to")]

use crate::{Clock, Monotonic, WallTime};
use std::time::{Instant, SystemTime};

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic origin is now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> WallTime {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic::from_origin(self.origin.elapsed())
    }
}
