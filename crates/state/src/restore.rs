//! From the store's records back to the state they were the effects of.
//!
//! Owns the replay: key changes in order of revision, everything else the last wins. What a compaction had made
//! unreadable is left out of the index at once, whether or not its records are still there.

use crate::command::Alarm;
use crate::effects_hash::EffectsHash;
use crate::error::Error;
use crate::leases::Leases;
use crate::membership::Membership;
use crate::mvcc::KeySpace;
use crate::mvcc::horizon::{Horizon, NEVER_COMPACTED};
use crate::mvcc::index::{Cursor, Index};
use crate::mvcc::values::{Values, damaged};
use crate::mvcc::versions::{Version, Versions};
use crate::pair::PairView;
use crate::record::{self, DELETION, PUT, Record};
use crate::shared::Shared;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;
use storage::{Position, Replayed, SegmentNumber, Store};
use types::{LeaseId, LogIndex, ModRevision, Revision, Term};

/// The state of a store.
pub(crate) struct Restored {
    pub(crate) shared: Shared,
    pub(crate) hash: EffectsHash,
    pub(crate) applied: (LogIndex, Term),
    pub(crate) compacted: Revision,
    /// Indexes of segments that could not be read, and why.
    pub(crate) passed_over: Vec<String>,
}

/// Rebuilds the state.
pub(crate) fn restore(store: &mut Store, value_cache_bytes: u64) -> Result<Restored, Error> {
    let mut replay = Replay::new();
    let mut passed_over = Vec::new();
    store.replay(
        |why| passed_over.push(why.to_string()),
        |replayed| match replayed {
            Replayed::Record(at, kind, payload) => replay.record(at, kind.0, payload.len(), &payload),
            Replayed::Indexed(segment, kind, entry) => replay.entry(segment, kind.0, &entry),
        },
    )?;
    let checkpoint = store.last_checkpoint();
    let hash = match checkpoint.meta.as_ref() {
        [] => EffectsHash::default(),
        meta => EffectsHash::decode(meta).ok_or(Error::Record {
            place: "the checkpoint".to_owned(),
            what: "the effects' hash is not understood",
        })?,
    };
    let compacted = replay.compacted;
    let values = Values::new(store.reader(), value_cache_bytes);
    let shared = replay.finish(values, &hash);
    let applied = (checkpoint.consistent_index, checkpoint.term);
    Ok(Restored { shared, hash, applied, compacted, passed_over })
}

struct Replay {
    index: Index,
    last: ModRevision,
    compacted: Revision,
    leases: Leases,
    /// The lease of each key whose newest pair names one.
    named: BTreeMap<Box<[u8]>, LeaseId>,
    alarms: BTreeSet<Alarm>,
    membership: Membership,
}

impl Replay {
    fn new() -> Self {
        Self {
            index: Index::default(),
            last: ModRevision::new(Revision::FIRST, 0),
            compacted: NEVER_COMPACTED,
            leases: Leases::default(),
            named: BTreeMap::new(),
            alarms: BTreeSet::new(),
            membership: Membership::default(),
        }
    }

    /// An entry of a segment's index.
    fn entry(&mut self, segment: SegmentNumber, kind: u8, entry: &[u8]) -> Result<(), Error> {
        if kind != PUT && kind != DELETION {
            return self.record(Position::new(segment, 0), kind, entry.len(), entry);
        }
        let split = record::split_index_entry(entry);
        let (offset, bytes, bare) = split.map_err(|what| damaged(Position::new(segment, 0), what))?;
        self.record(Position::new(segment, offset), kind, bytes as usize, bare)
    }

    /// A record of `bytes` bytes, perhaps without its value.
    fn record(&mut self, position: Position, kind: u8, bytes: usize, payload: &[u8]) -> Result<(), Error> {
        match Record::decode(kind, payload).map_err(|what| damaged(position, what))? {
            Record::Put(at, pair) => {
                let version = self.version(position, at, bytes)?;
                let pair = PairView::decode(pair)?;
                if self
                    .index
                    .get(pair.key)
                    .and_then(Versions::created)
                    .is_some_and(|c| c != pair.create_revision)
                {
                    return Err(damaged(position, "a pair that was created while its key was there"));
                }
                let (created, number) = (pair.create_revision, pair.version);
                self.index.restore(
                    pair.key,
                    |versions| versions.restore_put(version, created, number),
                    version,
                );
                if pair.lease.is_none() {
                    self.named.remove(pair.key);
                } else {
                    self.named.insert(pair.key.into(), pair.lease);
                }
            }
            Record::Deletion(at, pair) => {
                let version = self.version(position, at, bytes)?;
                let pair = PairView::decode(pair)?;
                self.index.restore(pair.key, |versions| versions.restore_end(version), version);
                self.named.remove(pair.key);
            }
            Record::Compaction(revision) => self.compacted = self.compacted.max(revision),
            Record::Lease { id, ttl_seconds, remaining_seconds } => {
                self.leases.set(id, ttl_seconds, remaining_seconds);
            }
            Record::LeaseGone(id) => self.leases.remove(id),
            Record::Alarm(alarm) => drop(self.alarms.insert(alarm)),
            Record::AlarmGone(alarm) => drop(self.alarms.remove(&alarm)),
            Record::Member(member) => self.membership.set(member),
            Record::MemberGone(id) => self.membership.remove(id),
            Record::ClusterVersion(version) => self.membership.set_cluster_version(version),
            Record::Downgrade(target) => self.membership.set_downgrade_target(target),
        }
        Ok(())
    }

    fn version(&mut self, position: Position, at: ModRevision, bytes: usize) -> Result<Version, Error> {
        if at <= self.last {
            return Err(damaged(position, "revisions go backwards"));
        }
        self.last = at;
        Ok(Version { at, position, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) })
    }

    fn finish(mut self, values: Values, hash: &EffectsHash) -> Shared {
        let mut cursor = Some(Cursor::first());
        while let Some(from) = cursor {
            cursor = self.index.compact_page(&from, self.compacted, |_| {});
        }
        self.index.compact_history(self.compacted);
        self.named.iter().for_each(|(key, lease)| self.leases.attach(key, *lease));
        let current = self.last.main.max(self.compacted).max(Revision::FIRST);
        let horizon = Horizon::new(current, self.compacted);
        Shared {
            space: KeySpace::new(self.index, horizon, values),
            leases: RwLock::new(self.leases),
            alarms: RwLock::new(self.alarms),
            membership: RwLock::new(self.membership),
            checkmark: RwLock::new(hash.last()),
        }
    }
}
