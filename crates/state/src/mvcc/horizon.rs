//! What is readable: the latest revision, the compacted one, and who is reading.
//!
//! Owns those numbers, under one short lock, so that a reader sees both of one moment. A [`Pin`] keeps the versions that
//! were readable when it was made: physical removal for a compaction waits until every pin made before it is dropped.
//! Pins live as long as one read or one page of it, so removal waits a bounded time. What goes on from page to page holds
//! its one revision instead ([`Horizon::hold`]): that keeps off only compactions beyond it, and keeps no record at its
//! place; whoever holds one says for how long (`crate::list`).
//!
//! Invariant: current and compacted never go back; `compacted <= current`; -1 means never compacted, as in etcd.

use crate::error::Refusal;
use crate::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use types::Revision;

/// The compacted revision of a store that never was, as etcd has it.
pub(crate) const NEVER_COMPACTED: Revision = Revision(-1);

/// What is readable.
pub(crate) struct Horizon(Mutex<State>);

struct State {
    current: Revision,
    compacted: Revision,
    /// How many pins stand, by the oldest revision they read: the compacted one that they were made under, or the one held.
    pins: BTreeMap<Revision, usize>,
    /// How often records moved to another place.
    move_number: u64,
    /// How many pins stand, by the move after which they were made.
    pins_by_move: BTreeMap<u64, usize>,
}

/// A moment at which records moved to another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Move(u64);

/// What was readable at one moment; what was then stays while this lives.
pub(crate) struct Pin<'a> {
    horizon: &'a Horizon,
    /// The latest revision.
    pub(crate) current: Revision,
    /// The oldest readable revision.
    pub(crate) compacted: Revision,
    made_after: u64,
}

impl Pin<'_> {
    /// The last move before it was made: under pins with the same one, records are found at the same places.
    pub(crate) fn made_after(&self) -> Move {
        Move(self.made_after)
    }
}

impl Horizon {
    pub(crate) fn new(current: Revision, compacted: Revision) -> Self {
        Self(Mutex::new(State {
            current,
            compacted,
            pins: BTreeMap::new(),
            move_number: 0,
            pins_by_move: BTreeMap::new(),
        }))
    }

    /// The latest revision.
    pub(crate) fn current(&self) -> Revision {
        lock::lock(&self.0).current
    }

    /// The oldest readable revision.
    pub(crate) fn compacted(&self) -> Revision {
        lock::lock(&self.0).compacted
    }

    /// Makes the next revision readable.
    pub(crate) fn advance(&self, to: Revision) {
        let mut state = lock::lock(&self.0);
        assert!(to == state.current.next(), "revision {to} follows {}", state.current);
        state.current = to;
    }

    /// Makes what lies below `to` unreadable, by etcd's rules; answers the compacted revision before.
    pub(crate) fn compact(&self, to: Revision) -> Result<Revision, Refusal> {
        let mut state = lock::lock(&self.0);
        if to <= state.compacted {
            return Err(Refusal::Compacted { compacted: state.compacted });
        }
        if to > state.current {
            return Err(Refusal::FutureRevision { current: state.current });
        }
        Ok(std::mem::replace(&mut state.compacted, to))
    }

    /// What is readable now.
    pub(crate) fn pin(&self) -> Pin<'_> {
        let mut state = lock::lock(&self.0);
        let (compacted, made_after) = (state.compacted, state.move_number);
        *state.pins.entry(compacted).or_default() += 1;
        *state.pins_by_move.entry(made_after).or_default() += 1;
        Pin { horizon: self, current: state.current, compacted, made_after }
    }

    /// Keeps what stands at `at`, which is readable now because the caller has a pin or holds it already. Needs its
    /// [`Horizon::let_go`].
    pub(crate) fn hold(&self, at: Revision) {
        *lock::lock(&self.0).pins.entry(at).or_default() += 1;
    }

    /// Ends one [`Horizon::hold`].
    pub(crate) fn let_go(&self, at: Revision) {
        release(&mut lock::lock(&self.0).pins, at);
    }

    /// Notes that records have moved: who pins from now on finds them only at their new places.
    pub(crate) fn moved(&self) -> Move {
        let mut state = lock::lock(&self.0);
        state.move_number += 1;
        Move(state.move_number)
    }

    /// Whether nobody may still look at the places from before a move.
    pub(crate) fn is_unread_before(&self, Move(number): Move) -> bool {
        lock::lock(&self.0).pins_by_move.first_key_value().is_none_or(|(oldest, _)| *oldest >= number)
    }

    /// How many pins stand.
    pub(crate) fn pinned(&self) -> u64 {
        lock::lock(&self.0).pins.values().map(|count| *count as u64).sum()
    }

    /// Whether nobody reads what a compaction at `compacted` removes.
    pub(crate) fn is_unread_below(&self, compacted: Revision) -> bool {
        lock::lock(&self.0).pins.first_key_value().is_none_or(|(oldest, _)| *oldest >= compacted)
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let mut state = lock::lock(&self.horizon.0);
        release(&mut state.pins, self.compacted);
        release(&mut state.pins_by_move, self.made_after);
    }
}

fn release<K: Ord>(pins: &mut BTreeMap<K, usize>, under: K) {
    if let Some(count) = pins.get_mut(&under) {
        *count -= 1;
        if *count == 0 {
            pins.remove(&under);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removal waits for reads that began before the compaction, and only for those: else a reader would find its record
    /// gone, or a busy store would never be swept.
    #[test]
    fn removal_waits_for_older_pins_only() {
        let horizon = Horizon::new(Revision(10), NEVER_COMPACTED);
        let old = horizon.pin();
        assert_eq!(horizon.compact(Revision(5)), Ok(NEVER_COMPACTED));
        let new = horizon.pin();
        assert!(!horizon.is_unread_below(Revision(5)));
        drop(old);
        assert!(horizon.is_unread_below(Revision(5)));
        assert!(!horizon.is_unread_below(Revision(6)));
        drop(new);
        assert!(horizon.is_unread_below(Revision(6)));
    }

    /// A list that goes on for minutes must keep off only the removal of what it reads: not of what lies below its revision,
    /// and not of the places that records moved from.
    #[test]
    fn a_held_revision_keeps_off_only_compactions_beyond_it() {
        let horizon = Horizon::new(Revision(10), NEVER_COMPACTED);
        let pin = horizon.pin();
        horizon.hold(Revision(7));
        drop(pin);
        assert!(horizon.is_unread_below(Revision(7)));
        assert!(!horizon.is_unread_below(Revision(8)));
        assert!(horizon.is_unread_before(horizon.moved()));
        assert_eq!(horizon.pinned(), 1);
        horizon.hold(Revision(7));
        horizon.let_go(Revision(7));
        assert!(!horizon.is_unread_below(Revision(8)));
        horizon.let_go(Revision(7));
        assert!(horizon.is_unread_below(Revision(8)));
    }

    /// The place a record was copied from can be let go only when every reader that may have looked it up before is done.
    #[test]
    fn old_places_wait_for_older_pins_only() {
        let horizon = Horizon::new(Revision(10), NEVER_COMPACTED);
        let old = horizon.pin();
        let moved = horizon.moved();
        let new = horizon.pin();
        assert!(!horizon.is_unread_before(moved));
        drop(old);
        assert!(horizon.is_unread_before(moved));
        assert!(!horizon.is_unread_before(horizon.moved()));
        drop(new);
        assert!(horizon.is_unread_before(horizon.moved()));
    }

    /// etcd refuses a compaction at or below the last, and beyond the present; 0 is allowed once, on a store never compacted.
    #[test]
    fn compaction_follows_etcds_bounds() {
        let horizon = Horizon::new(Revision(3), NEVER_COMPACTED);
        assert_eq!(horizon.compact(Revision(-1)), Err(Refusal::Compacted { compacted: NEVER_COMPACTED }));
        assert_eq!(horizon.compact(Revision(0)), Ok(NEVER_COMPACTED));
        assert_eq!(horizon.compact(Revision(0)), Err(Refusal::Compacted { compacted: Revision(0) }));
        assert_eq!(horizon.compact(Revision(4)), Err(Refusal::FutureRevision { current: Revision(3) }));
        assert_eq!(horizon.compact(Revision(3)), Ok(Revision(0)));
    }
}
