//! Files that nothing needs any more and that stay for a while: so that a copy of the directory that is being made, file by
//! file, finds every file that it has listed, and a log that goes on from the manifests it has copied.
//!
//! Owns the rule when they go: after ten minutes, or when too much waits, or at once where space is short. Deletes
//! nothing itself.

use crate::dir::Dir;
use env::Monotonic;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;
use types::limits::{SUPERSEDED_FILES_MAX, SUPERSEDED_SECONDS};

/// Which of the files that wait are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Going {
    /// Those whose time is over.
    Due,
    /// All: their space is needed, or nobody makes copies.
    All,
}

impl Going {
    /// What goes from this directory now.
    pub(crate) fn of(dir: &Dir) -> Self {
        let keeps = dir.keeps_superseded.load(Ordering::Relaxed);
        if keeps && !dir.is_short_of_space.load(Ordering::Relaxed) { Self::Due } else { Self::All }
    }
}

#[derive(Debug)]
struct Waiting {
    path: PathBuf,
    bytes: u64,
    since: Monotonic,
}

/// Superseded files, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Superseded {
    waiting: VecDeque<Waiting>,
    bytes: u64,
}

impl Superseded {
    /// From now on nothing needs this file.
    pub(crate) fn add(&mut self, path: PathBuf, bytes: u64, now: Monotonic) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.push_back(Waiting { path, bytes, since: now });
    }

    /// The oldest file, if it is to go.
    pub(crate) fn oldest(&self, going: Going, bytes_max: u64, now: Monotonic) -> Option<&PathBuf> {
        let oldest = self.waiting.front()?;
        let is_due = going == Going::All
            || now.since(oldest.since) >= Duration::from_secs(SUPERSEDED_SECONDS)
            || self.bytes > bytes_max
            || self.waiting.len() > SUPERSEDED_FILES_MAX;
        is_due.then_some(&oldest.path)
    }

    /// The oldest file is gone.
    pub(crate) fn gone(&mut self) {
        let gone = self.waiting.pop_front();
        self.bytes = self.bytes.saturating_sub(gone.map_or(0, |gone| gone.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Clock;
    use env::sim::SimClock;

    const BYTES_MAX: u64 = 1_000;

    fn all(superseded: &mut Superseded, going: Going, now: Monotonic) -> usize {
        let mut count = 0;
        while superseded.oldest(going, BYTES_MAX, now).is_some() {
            superseded.gone();
            count += 1;
        }
        count
    }

    /// A file stays its time and no longer; where space is short it goes at once. A copy must not meet a file that vanishes.
    #[test]
    fn a_file_stays_its_time_unless_space_is_short() {
        let clock = SimClock::new();
        let mut superseded = Superseded::default();
        superseded.add("a".into(), 1, clock.monotonic());
        clock.advance(Duration::from_secs(SUPERSEDED_SECONDS - 1));
        superseded.add("b".into(), 1, clock.monotonic());
        assert_eq!(all(&mut superseded, Going::Due, clock.monotonic()), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(all(&mut superseded, Going::Due, clock.monotonic()), 1);
        assert_eq!(all(&mut superseded, Going::All, clock.monotonic()), 1);
    }

    /// What waits is limited in bytes and in number: a busy member does not fill its disk with what nobody needs.
    #[test]
    fn too_much_does_not_wait() {
        let now = SimClock::new().monotonic();
        let mut superseded = Superseded::default();
        (0..3).for_each(|_| superseded.add("large".into(), BYTES_MAX / 2, now));
        assert_eq!(all(&mut superseded, Going::Due, now), 1);
        let mut superseded = Superseded::default();
        (0..SUPERSEDED_FILES_MAX + 2).for_each(|_| superseded.add("small".into(), 1, now));
        assert_eq!(all(&mut superseded, Going::Due, now), 2);
    }
}
