//! Giving space back: what is still wanted of the store's oldest segments is copied, the rest goes.
//!
//! Owns the decision when a pass over the segments is due and what of a segment is wanted. A pass goes through all closed
//! segments from the oldest on, a few at a time: the machine begins one such piece as a
//! chore (`chore.rs`), any thread copies it as fast as it is let, and the machine puts the copy in its place. Reads, writes and checkpoints go on meanwhile.
//!
//! Invariants:
//! - what a restart finds is the same before and after: a record is left out only when a newer one, further on, says all
//!   that it said;
//! - a deletion is left out only when every record that it deletes is gone from all older segments: those were copied
//!   earlier in the same pass, after a compaction had done away with what the deletion deletes;
//! - a segment is let go only when nobody can still look up its places.

use crate::error::Error;
use crate::leases::Lease;
use crate::lock;
use crate::machine::Machine;
use crate::mvcc::horizon::Move;
use crate::mvcc::values::damaged;
use crate::pair::PairView;
use crate::record::{self, Record};
use crate::shared::Shared;
use std::collections::VecDeque;
use std::sync::Arc;
use storage::{Position, RecordKind, Replaced, Rewriting, Rewritten, SegmentNumber, SegmentUse};
use types::limits::{
    COLLECTION_GARBAGE_BYTES_MIN, COLLECTION_GARBAGE_PERCENT, COLLECTION_PIECE_BYTES,
    COLLECTION_SEGMENTS_MAX, INDEX_PAGE_KEYS,
};
use types::{ModRevision, Revision};

/// When a pass is due, and how much one piece of it copies.
#[derive(Clone, Copy, Debug)]
pub struct CollectionLimits {
    /// Dead bytes that are always suffered.
    pub garbage_bytes_min: u64,
    /// Dead bytes that are suffered beyond that, in hundredths of the live ones.
    pub garbage_percent: u64,
    /// Kept bytes from which on a piece is large enough.
    pub piece_bytes: u64,
}

impl Default for CollectionLimits {
    /// A store takes at most about one and a half times what is live, for one byte copied in two written.
    fn default() -> Self {
        Self {
            garbage_bytes_min: COLLECTION_GARBAGE_BYTES_MIN,
            garbage_percent: COLLECTION_GARBAGE_PERCENT,
            piece_bytes: COLLECTION_PIECE_BYTES,
        }
    }
}

/// Where the collector stands.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pass: Option<Pass>,
    /// Garbage that the last pass left behind.
    left: u64,
    /// Segments to let go once nobody looks at them.
    retiring: VecDeque<(Move, Replaced)>,
}

#[derive(Debug)]
struct Pass {
    /// Segments that are still to come, in order.
    todo: VecDeque<SegmentNumber>,
    /// Everything compacted below this was physically gone from the index when the pass began.
    swept: Revision,
}

/// A piece of a pass, to be run by any thread.
pub(crate) struct Collection {
    shared: Arc<Shared>,
    rewriting: Rewriting,
    swept: Revision,
    moves: Moves,
}

/// A piece that was copied, to be given back to the machine.
pub(crate) struct Collected {
    rewritten: Rewritten,
}

/// Where the copied versions are now.
#[derive(Default)]
struct Moves {
    keys: Vec<u8>,
    /// Length of the key, revision, new place.
    versions: Vec<(u32, ModRevision, Position)>,
}

impl Machine {
    /// Begins the next piece of a pass, if one is due. Also lets go of what earlier ones replaced.
    pub(crate) fn collect(&mut self, limits: CollectionLimits) -> Result<Option<Collection>, Error> {
        self.retire();
        let segments = self.journal.store.segments();
        let closed: Vec<_> = segments.iter().filter(|segment| !segment.is_active).collect();
        if self.collector.pass.is_none() && self.is_pass_due(&closed, limits) {
            let todo = closed.iter().map(|segment| segment.number).collect();
            self.collector.pass = Some(Pass { todo, swept: self.compactions.done() });
        }
        let Some(pass) = &mut self.collector.pass else { return Ok(None) };
        let piece = take_piece(pass, &closed, limits.piece_bytes, |number| {
            self.shared.space.index().kept_bytes(number)
        });
        let swept = pass.swept;
        if piece.is_empty() {
            self.collector.pass = None;
            self.collector.left = self.garbage(&closed);
            return Ok(None);
        }
        match self.journal.store.rewrite(&piece) {
            Ok(rewriting) => {
                let (shared, moves) = (self.shared.clone(), Moves::default());
                Ok(Some(Collection { shared, rewriting, swept, moves }))
            }
            Err(storage::Error::NoSpace { .. }) => {
                self.collector.pass = None;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a piece that was copied in its place; `None` for one that found no space, which ends the pass.
    pub(crate) fn collected(&mut self, collected: Option<Collected>) -> Result<(), Error> {
        let Some(Collected { rewritten }) = collected else {
            self.collector.pass = None;
            return Ok(());
        };
        let replaced = self.journal.store.replace(rewritten)?;
        self.collector.retiring.push_back((self.shared.space.horizon.moved(), replaced));
        self.retire();
        Ok(())
    }

    /// Lets go of segments that nobody looks at any more. A compaction under way may have noted places too.
    fn retire(&mut self) {
        while let Some((moved, replaced)) = self.collector.retiring.front()
            && self.compactions.is_idle()
            && self.shared.space.horizon.is_unread_before(*moved)
        {
            self.journal.store.retire(replaced);
            self.collector.retiring.pop_front();
        }
    }

    fn is_pass_due(&self, closed: &[&SegmentUse], limits: CollectionLimits) -> bool {
        let live = self.shared.space.index().live_bytes();
        let suffered = (live / 100).saturating_mul(limits.garbage_percent);
        let garbage = self.garbage(closed).saturating_sub(self.collector.left);
        garbage > suffered.saturating_add(limits.garbage_bytes_min)
    }

    /// Bytes of closed segments that are no kept version; what leases and members take counts too, as it is little.
    fn garbage(&self, closed: &[&SegmentUse]) -> u64 {
        let index = self.shared.space.index();
        let garbage =
            closed.iter().map(|segment| segment.bytes.saturating_sub(index.kept_bytes(segment.number)));
        garbage.fold(0, u64::saturating_add)
    }
}

/// The next segments of a pass that make about one new one.
fn take_piece(
    pass: &mut Pass,
    closed: &[&SegmentUse],
    piece_bytes: u64,
    kept: impl Fn(SegmentNumber) -> u64,
) -> Vec<SegmentNumber> {
    let mut piece = Vec::new();
    let mut bytes = 0u64;
    while let Some(number) = pass.todo.front().copied() {
        let is_there = closed.iter().any(|segment| segment.number == number);
        let full = piece.len() >= COLLECTION_SEGMENTS_MAX || bytes >= piece_bytes;
        if full && is_there {
            break;
        }
        pass.todo.pop_front();
        if is_there {
            bytes = bytes.saturating_add(kept(number));
            piece.push(number);
        }
    }
    piece
}

impl Collection {
    /// Copies what is wanted, durably, and tells the index. `pace` is told the bytes of every record that was read, and may
    /// wait. Answers `None` when there was no space: then nothing has changed.
    pub(crate) fn run(mut self, mut pace: impl FnMut(usize)) -> Result<Option<Collected>, Error> {
        let Self { shared, rewriting, swept, moves } = &mut self;
        let copied = rewriting.copy(|new, position, kind, payload| {
            pace(payload.len());
            copy(shared, *swept, moves, new, (position, kind), &payload)
        });
        if let Err(error) = copied {
            self.rewriting.abandon();
            return match error {
                Error::Storage(storage::Error::NoSpace { .. }) => Ok(None),
                error => Err(error),
            };
        }
        let rewritten = match self.rewriting.finish() {
            Ok(rewritten) => rewritten,
            Err(storage::Error::NoSpace { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.moves.tell(&self.shared);
        Ok(Some(Collected { rewritten }))
    }
}

/// Copies a record if it is wanted.
fn copy(
    shared: &Shared,
    swept: Revision,
    moves: &mut Moves,
    new: &mut Rewriting,
    (position, kind): (Position, RecordKind),
    payload: &[u8],
) -> Result<(), Error> {
    let unknown = |what| damaged(position, what);
    let record = Record::decode(kind.0, payload).map_err(unknown)?;
    let version = match &record {
        Record::Put(at, pair) | Record::Deletion(at, pair) => Some((PairView::decode(pair)?.key, *at)),
        _ => None,
    };
    let is_kept = version.is_some_and(|(key, at)| shared.space.index().keeps(key, at));
    if !is_kept && !is_wanted(shared, swept, &record) {
        return Ok(());
    }
    let to = new.append(kind, payload)?;
    new.index(kind, &record::index_entry(kind.0, to.offset(), payload).map_err(unknown)?)?;
    if let Some((key, at)) = version.filter(|_| is_kept) {
        moves.add(key, at, to);
    }
    Ok(())
}

/// Whether a record that is no kept version still says something that no later one says.
fn is_wanted(shared: &Shared, swept: Revision, record: &Record<'_>) -> bool {
    match record {
        Record::Put(..) => false,
        Record::Deletion(at, _) => at.main >= swept,
        Record::Compaction(revision) => *revision == shared.space.horizon.compacted(),
        Record::Lease { id, ttl_seconds, remaining_seconds } => {
            let leases = lock::read(&shared.leases);
            let same = |l: &Lease| (l.ttl_seconds, l.remaining_seconds) == (*ttl_seconds, *remaining_seconds);
            leases.get(*id).is_some_and(same)
        }
        Record::Alarm(alarm) => lock::read(&shared.alarms).contains(alarm),
        Record::Member(member) => lock::read(&shared.membership).member(member.id) == Some(member),
        Record::ClusterVersion(version) => lock::read(&shared.membership).cluster_version() == Some(version),
        Record::Downgrade(target) => lock::read(&shared.membership).downgrade_target() == target.as_deref(),
        // The pass has left out, in all older segments, every record that these did away with.
        Record::LeaseGone(_) | Record::AlarmGone(_) => false,
        // A member that left must never come back.
        Record::MemberGone(_) => true,
    }
}

impl Moves {
    fn add(&mut self, key: &[u8], at: ModRevision, to: Position) {
        self.keys.extend_from_slice(key);
        self.versions.push((u32::try_from(key.len()).unwrap_or(u32::MAX), at, to));
    }

    /// Tells the index, a page at a time.
    fn tell(&self, shared: &Shared) {
        let mut keys = self.keys.as_slice();
        for page in self.versions.chunks(INDEX_PAGE_KEYS) {
            let mut index = shared.space.index_mut();
            for (len, at, to) in page {
                let (key, rest) = keys.split_at_checked(*len as usize).unwrap_or_default();
                keys = rest;
                index.relocate(key, *at, *to);
            }
        }
    }
}
