//! Time: the wall clock for people and certificates, the monotonic clock for durations.
//!
//! Invariants: the monotonic clock never goes back; the wall clock may jump either way, so nothing that must hold for
//! safety is computed from it.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// What a watch on the wall shows; may jump.
    fn wall(&self) -> WallTime;

    /// Time since some fixed moment of this process; never goes back.
    fn monotonic(&self) -> Monotonic;
}

/// A moment as people name it, in nanoseconds since 1970-01-01T00:00:00Z. Reaches until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

impl WallTime {
    /// The moment `nanos` nanoseconds after 1970.
    #[must_use]
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The time from `earlier` to this moment; zero if the clock went back.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for WallTime {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<WallTime> for SystemTime {
    fn from(time: WallTime) -> Self {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}

/// A moment on the monotonic clock; comparable only with others of the same process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The moment `elapsed` after the clock's origin.
    #[must_use]
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time since the clock's origin.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// Whole milliseconds since the clock's origin.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `wait` after this one.
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}
