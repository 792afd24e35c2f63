//! Giving space back: what is still wanted of the store's oldest segments is copied, the rest goes.
//!
//! Owns the decision when a pass over the segments is due and what of a segment is wanted. A pass goes through all closed
//! segments from the oldest on, a few at a time: the machine begins one such piece as a
//! chore (`chore.rs`), any thread copies it as fast as it is let, and the machine puts the copy in its place. Reads, writes and checkpoints go on meanwhile.
//!
//! Where space is short a pass takes single segments instead, those first of which the least is to be copied, as they give back the
//! most for the least room; one that finds no room is passed over.
//!
//! Invariants:
//! - what a restart finds is the same before and after: a record is left out only when a newer one, further on, says all
//!   that it said;
//! - a deletion is left out only when every record that it deletes is gone from all older segments: those were copied
//!   earlier in the same pass, after a compaction had done away with what the deletion deletes; a pass over some segments
//!   leaves out none;
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
    COLLECTION_SCARCE_GARBAGE_BYTES_MIN, COLLECTION_SCARCE_PERCENT, COLLECTION_SEGMENTS_MAX,
    COLLECTION_SMALL_SEGMENTS_MAX, INDEX_PAGE_KEYS,
};
use types::{ModRevision, Revision};

/// When a pass is due, and how much one piece of it copies.
#[derive(Clone, Copy, Debug)]
pub struct CollectionLimits {
    /// Dead bytes that are always suffered.
    pub garbage_bytes_min: u64,
    /// Dead bytes that are suffered beyond that, in hundredths of the live ones.
    pub garbage_percent: u64,
    /// Segments that are suffered beyond those of at least half a piece.
    pub small_segments_max: usize,
    /// Kept bytes from which on a piece is large enough.
    pub piece_bytes: u64,
    /// How much room there is for copies.
    pub room: Room,
}

/// How much room there is for copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Ample,
    /// The disk is nearly full.
    Scarce,
}

impl Default for CollectionLimits {
    /// A store takes at most about one and a half times what is live, for one byte copied in two written.
    fn default() -> Self {
        Self {
            garbage_bytes_min: COLLECTION_GARBAGE_BYTES_MIN,
            garbage_percent: COLLECTION_GARBAGE_PERCENT,
            small_segments_max: COLLECTION_SMALL_SEGMENTS_MAX,
            piece_bytes: COLLECTION_PIECE_BYTES,
            room: Room::Ample,
        }
    }
}

impl CollectionLimits {
    /// Those of a disk that is nearly full: what is dead is to go, however little it is.
    #[must_use]
    pub fn scarce() -> Self {
        Self {
            garbage_bytes_min: COLLECTION_SCARCE_GARBAGE_BYTES_MIN,
            garbage_percent: 0,
            room: Room::Scarce,
            ..Self::default()
        }
    }
}

/// Where the collector stands.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pass: Option<Pass>,
    /// Garbage that the last pass over all left behind.
    left: u64,
    /// Garbage that the last pass over some left behind.
    left_by_some: u64,
    /// Segments to let go once nobody looks at them.
    retiring: VecDeque<(Move, Replaced)>,
}

#[derive(Debug)]
struct Pass {
    /// Segments that are still to come, in order.
    todo: VecDeque<SegmentNumber>,
    reach: Reach,
    /// A piece found no space.
    is_incomplete: bool,
}

/// Which segments a pass goes through.
#[derive(Clone, Copy, Debug)]
enum Reach {
    /// All, from the oldest on.
    All {
        /// Everything compacted below this was physically gone from the index when the pass began.
        swept: Revision,
    },
    /// Some: an older one may hold what a record in them does away with.
    Some,
}

/// A piece of a pass, to be run by any thread.
pub(crate) struct Collection {
    shared: Arc<Shared>,
    rewriting: Rewriting,
    reach: Reach,
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
        // A pass that needs much room gives way to one that needs little.
        let is_too_large = |pass: &mut Pass| matches!(pass.reach, Reach::All { .. });
        self.collector.pass.take_if(|pass| limits.room == Room::Scarce && is_too_large(pass));
        if self.collector.pass.is_none() && self.is_pass_due(&closed, limits) {
            self.collector.pass = Some(self.pass(&closed, limits.room));
        }
        let Some(pass) = &mut self.collector.pass else { return Ok(None) };
        let piece = take_piece(pass, &closed, limits.piece_bytes, |number| {
            self.shared.space.index().kept_bytes(number)
        });
        let (reach, is_incomplete) = (pass.reach, pass.is_incomplete);
        if piece.is_empty() {
            self.collector.pass = None;
            let left = self.garbage(&closed);
            match reach {
                Reach::All { .. } => self.collector.left = left,
                Reach::Some if is_incomplete => {}
                Reach::Some => self.collector.left_by_some = left,
            }
            return Ok(None);
        }
        match self.journal.store.rewrite(&piece) {
            Ok(rewriting) => {
                let (shared, moves) = (self.shared.clone(), Moves::default());
                Ok(Some(Collection { shared, rewriting, reach, moves }))
            }
            Err(storage::Error::NoSpace { .. }) => {
                self.found_no_space();
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A pass over all segments; where space is short, over those that give back the most for the least room.
    fn pass(&self, closed: &[&SegmentUse], room: Room) -> Pass {
        if room == Room::Ample {
            let todo = closed.iter().map(|segment| segment.number).collect();
            return Pass { todo, reach: Reach::All { swept: self.compactions.done() }, is_incomplete: false };
        }
        let index = self.shared.space.index();
        let kept = closed.iter().map(|segment| (index.kept_bytes(segment.number), segment));
        let is_worth_it = |kept: u64, bytes: u64| {
            bytes.saturating_sub(kept) > (bytes / 100).saturating_mul(COLLECTION_SCARCE_PERCENT)
        };
        let mut worth_it: Vec<_> = kept.filter(|(kept, segment)| is_worth_it(*kept, segment.bytes)).collect();
        worth_it.sort_by_key(|(kept, _)| *kept);
        let todo = worth_it.into_iter().map(|(_, segment)| segment.number).collect();
        Pass { todo, reach: Reach::Some, is_incomplete: false }
    }

    /// Without space the next pieces of a whole pass would leave out what the one that is missing still holds; those of the
    /// other kind stand alone.
    fn found_no_space(&mut self) {
        self.collector.pass.take_if(|pass| {
            pass.is_incomplete = true;
            matches!(pass.reach, Reach::All { .. })
        });
    }

    /// Puts a piece that was copied in its place; `None` for one that found no space.
    pub(crate) fn collected(&mut self, collected: Option<Collected>) -> Result<(), Error> {
        let Some(Collected { rewritten }) = collected else {
            self.found_no_space();
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
        let Collector { left, left_by_some, .. } = self.collector;
        let left = if limits.room == Room::Scarce { left.max(left_by_some) } else { left };
        let garbage = self.garbage(closed).saturating_sub(left);
        let stored: u64 = closed.iter().map(|segment| segment.bytes).sum();
        let large = usize::try_from(stored / (limits.piece_bytes / 2).max(1)).unwrap_or(usize::MAX);
        garbage > suffered.saturating_add(limits.garbage_bytes_min)
            || closed.len() > limits.small_segments_max.saturating_add(large)
    }

    /// Bytes of closed segments that are no kept version; what leases and members take counts too, as it is little.
    fn garbage(&self, closed: &[&SegmentUse]) -> u64 {
        let index = self.shared.space.index();
        let garbage =
            closed.iter().map(|segment| segment.bytes.saturating_sub(index.kept_bytes(segment.number)));
        garbage.fold(0, u64::saturating_add)
    }
}

/// The next segments of a pass that make about one new one; of a pass over some, the next one.
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
        let segments_max = if matches!(pass.reach, Reach::Some) { 1 } else { COLLECTION_SEGMENTS_MAX };
        let full = piece.len() >= segments_max || bytes >= piece_bytes;
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
        let Self { shared, rewriting, reach, moves } = &mut self;
        let copied = rewriting.copy(|new, position, kind, payload| {
            pace(payload.len());
            copy(shared, *reach, moves, new, (position, kind), &payload)
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
    reach: Reach,
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
    if !is_kept && !is_wanted(shared, reach, &record) {
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
fn is_wanted(shared: &Shared, reach: Reach, record: &Record<'_>) -> bool {
    match record {
        Record::Put(..) => false,
        Record::Deletion(at, _) => match reach {
            Reach::All { swept } => at.main >= swept,
            Reach::Some => true,
        },
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
        Record::Policy { is_enabled, revision } => {
            let accounts = lock::read(&shared.accounts);
            (accounts.is_enabled(), accounts.revision()) == (*is_enabled, *revision)
        }
        Record::User { name, user } => lock::read(&shared.accounts).user(name) == Some(user),
        Record::Role { name, role } => lock::read(&shared.accounts).role(name) == Some(role),
        // Empty ones do away with what stood before; a pass over all has left that out.
        Record::Terms { role, terms } if terms.is_empty() => {
            matches!(reach, Reach::Some) && lock::read(&shared.accounts).terms(role).is_none()
        }
        Record::Terms { role, terms } => lock::read(&shared.accounts).terms(role) == Some(terms),
        Record::Identity { name, rule } => {
            lock::read(&shared.accounts).identities().any(|(known, stands)| known == name && stands == rule)
        }
        // A pass over all has left out, in all older segments, every record that these did away with.
        Record::LeaseGone(_)
        | Record::AlarmGone(_)
        | Record::UserGone(_)
        | Record::RoleGone(_)
        | Record::IdentityGone(_) => {
            matches!(reach, Reach::Some)
        }
        Record::Pki(effect) => {
            lock::read(&shared.register).still_says(effect).unwrap_or(matches!(reach, Reach::Some))
        }
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
