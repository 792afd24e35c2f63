//! The physical side of compactions: what became unreadable at once is removed in steps, by the writer's thread.
//!
//! Owns the queue of compactions, first come first done. Each is hashed as etcd hashes it (members compare those hashes),
//! then swept out of the index and the store.
//!
//! ```text
//! scheduled → listing (a page of keys a step) → hashing (a budget of records a step) → sweeping (a page a step) → done
//! ```
//!
//! Sweeping waits for readers that began before the compaction. Invariant: nothing here changes what can be read.

use super::KeySpace;
use super::hash::{CompactionHash, Entries, Hasher, Tombstones};
use super::horizon::NEVER_COMPACTED;
use super::index::Cursor;
use super::versions::Version;
use crate::error::Error;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use types::limits::INDEX_PAGE_KEYS;
use types::{KeyRange, Revision};

/// The compactions whose physical work is not done.
pub(crate) struct Compactions {
    queue: VecDeque<Job>,
    done: Revision,
}

struct Job {
    to: Revision,
    previous: Revision,
    phase: Phase,
}

enum Phase {
    Listing { from: Cursor, entries: Entries },
    Hashing { entries: Entries, hasher: Hasher },
    Sweeping { from: Cursor },
}

/// What a step of physical work came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// More is left for another step.
    More,
    /// More is left, but readers that began before the compaction are still at it: try again later.
    Waiting,
    /// Nothing is left: every compaction up to this revision is physically done (-1: there was none).
    Done(Revision),
}

impl Compactions {
    pub(crate) fn new(done: Revision) -> Self {
        Self { queue: VecDeque::new(), done }
    }

    /// The revision up to which everything compacted is gone.
    pub(crate) fn done(&self) -> Revision {
        self.done
    }

    /// Whether no compaction is under way: one that is may have noted where records are.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues the physical work of a compaction. As in etcd its hash is remembered only when the one before was done.
    pub(crate) fn schedule(&mut self, to: Revision, previous: Revision) {
        let hashed = self.queue.is_empty() && to > Revision::ZERO;
        let phase = if hashed {
            Phase::Listing { from: Cursor::first(), entries: Entries::new(previous, to, Tombstones::Kept) }
        } else {
            Phase::Sweeping { from: Cursor::first() }
        };
        self.queue.push_back(Job { to, previous, phase });
    }

    /// Does about `budget` records' worth of work, telling `gone` every version that left the index.
    pub(crate) fn step(
        &mut self,
        space: &KeySpace,
        budget: usize,
        mut gone: impl FnMut(Version),
    ) -> Result<Sweep, Error> {
        let mut left = budget.max(1);
        while left > 0 {
            let Some(mut job) = self.queue.pop_front() else { return Ok(Sweep::Done(self.done)) };
            let blocked =
                matches!(job.phase, Phase::Sweeping { .. }) && !space.horizon.is_unread_below(job.to);
            if blocked {
                self.queue.push_front(job);
                return Ok(Sweep::Waiting);
            }
            let spent = job.advance(space, left, &mut gone)?;
            match spent {
                Some(spent) => {
                    left = left.saturating_sub(spent);
                    self.queue.push_front(job);
                }
                None => self.done = job.to,
            }
        }
        Ok(if self.queue.is_empty() { Sweep::Done(self.done) } else { Sweep::More })
    }
}

impl Job {
    /// Goes on with the phase; answers what it spent, or nothing when the job is done.
    fn advance(
        &mut self,
        space: &KeySpace,
        budget: usize,
        gone: impl FnMut(Version),
    ) -> Result<Option<usize>, Error> {
        match &mut self.phase {
            Phase::Listing { from, entries } => {
                let next = space.index().page(from, &KeyRange::all(), |_, versions| {
                    entries.add(versions);
                    ControlFlow::Continue(())
                });
                match next {
                    Some(next) => *from = next,
                    None => {
                        let nothing = Entries::new(NEVER_COMPACTED, Revision::ZERO, Tombstones::Dropped);
                        let entries = std::mem::replace(entries, nothing);
                        self.phase = Phase::Hashing { entries, hasher: Hasher::new() };
                    }
                }
                Ok(Some(INDEX_PAGE_KEYS))
            }
            Phase::Hashing { entries, hasher } => {
                for _ in 0..budget {
                    let Some(entry) = entries.pop() else {
                        let hash = hasher.finish();
                        space.hashes.remember(CompactionHash {
                            hash,
                            previous: self.previous,
                            revision: self.to,
                        });
                        self.phase = Phase::Sweeping { from: Cursor::first() };
                        break;
                    };
                    hasher.add(space, &entry)?;
                }
                Ok(Some(budget))
            }
            Phase::Sweeping { from } => {
                let next = space.index_mut().compact_page(from, self.to, gone);
                match next {
                    Some(next) => {
                        *from = next;
                        Ok(Some(INDEX_PAGE_KEYS))
                    }
                    None => {
                        space.index_mut().compact_history(self.to);
                        Ok(None)
                    }
                }
            }
        }
    }
}
