//! A clock that stands still until somebody moves it.

use crate::{Clock, Monotonic, WallTime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// 2026-01-01T00:00:00Z: where the simulated wall clock begins.
const WALL_START_NANOS: u64 = 1_767_225_600 * 1_000_000_000;

/// A clock moved by hand. Clones show the same time.
#[derive(Clone, Debug)]
pub struct SimClock {
    wall_nanos: Arc<AtomicU64>,
    monotonic_nanos: Arc<AtomicU64>,
}

impl SimClock {
    /// A clock at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self { wall_nanos: Arc::new(WALL_START_NANOS.into()), monotonic_nanos: Arc::new(0.into()) }
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic_nanos.fetch_add(nanos, Ordering::SeqCst);
        self.wall_nanos.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator or a time server may.
    pub fn set_wall(&self, to: WallTime) {
        self.wall_nanos.store(to.unix_nanos(), Ordering::SeqCst);
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn wall(&self) -> WallTime {
        WallTime::from_unix_nanos(self.wall_nanos.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic::from_origin(Duration::from_nanos(self.monotonic_nanos.load(Ordering::SeqCst)))
    }
}
