//! From the store's records back to the state they were the effects of.
//!
//! Owns the replay: key changes in order of revision, everything else the last wins. What a compaction had made
//! unreadable is left out of the index at once, whether or not its records are still there.

use crate::apply_access;
use crate::auth::Accounts;
use crate::command::Alarm;
use crate::effects_hash::EffectsHash;
use crate::error::Error;
use crate::leases::Leases;
use crate::membership::Membership;
use crate::mvcc::KeySpace;
use crate::mvcc::horizon::{Horizon, NEVER_COMPACTED};
use crate::mvcc::index::{Cursor, Index};
use crate::mvcc::values::{Values, damaged};
use crate::mvcc::versions::Version;
use crate::pair::PairView;
use crate::record::{self, DELETION, PUT, Record};
use crate::shared::Shared;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;
use std::sync::atomic::AtomicU64;
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
    replay.place_pending()?;
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

/// Changes gathered before they are put into the tree of keys: in the order of keys that takes half as long.
const PENDING_CHANGES_MAX: usize = 65_536;

/// A change that is not at its key yet.
struct Pending {
    key: Bytes,
    version: Version,
    /// Creation and number of a put; none for a deletion.
    put: Option<(Revision, i64)>,
}

struct Replay {
    index: Index,
    pending: Vec<Pending>,
    last: ModRevision,
    compacted: Revision,
    leases: Leases,
    /// The lease of each key whose newest pair names one.
    named: BTreeMap<Box<[u8]>, LeaseId>,
    alarms: BTreeSet<Alarm>,
    membership: Membership,
    accounts: Accounts,
}

impl Replay {
    fn new() -> Self {
        Self {
            index: Index::default(),
            pending: Vec::new(),
            last: ModRevision::new(Revision::FIRST, 0),
            compacted: NEVER_COMPACTED,
            leases: Leases::default(),
            named: BTreeMap::new(),
            alarms: BTreeSet::new(),
            membership: Membership::default(),
            accounts: Accounts::default(),
        }
    }

    /// An entry of a segment's index.
    fn entry(&mut self, segment: SegmentNumber, kind: u8, entry: &Bytes) -> Result<(), Error> {
        if kind != PUT && kind != DELETION {
            return self.record(Position::new(segment, 0), kind, entry.len(), entry);
        }
        let split = record::split_index_entry(entry);
        let (offset, bytes, bare) = split.map_err(|what| damaged(Position::new(segment, 0), what))?;
        self.record(Position::new(segment, offset), kind, bytes as usize, &entry.slice_ref(bare))
    }

    /// A record of `bytes` bytes, perhaps without its value.
    fn record(&mut self, position: Position, kind: u8, bytes: usize, payload: &Bytes) -> Result<(), Error> {
        match Record::decode(kind, payload).map_err(|what| damaged(position, what))? {
            Record::Put(at, pair) => {
                let pair = PairView::decode(pair)?;
                let put = Some((pair.create_revision, pair.version));
                self.change(position, at, bytes, payload.slice_ref(pair.key), put)?;
                if pair.lease.is_none() {
                    self.named.remove(pair.key);
                } else {
                    self.named.insert(pair.key.into(), pair.lease);
                }
            }
            Record::Deletion(at, pair) => {
                let key = PairView::decode(pair)?.key;
                self.change(position, at, bytes, payload.slice_ref(key), None)?;
                self.named.remove(key);
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
            record @ (Record::Policy { .. }
            | Record::User { .. }
            | Record::UserGone(_)
            | Record::Role { .. }
            | Record::RoleGone(_)
            | Record::Terms { .. }
            | Record::Identity { .. }
            | Record::IdentityGone(_)) => apply_access::take(&mut self.accounts, record),
        }
        Ok(())
    }

    fn change(
        &mut self,
        position: Position,
        at: ModRevision,
        bytes: usize,
        key: Bytes,
        put: Option<(Revision, i64)>,
    ) -> Result<(), Error> {
        if at <= self.last {
            return Err(damaged(position, "revisions go backwards"));
        }
        self.last = at;
        let version = Version { at, position, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) };
        self.index.recall(version);
        self.pending.push(Pending { key, version, put });
        if self.pending.len() < PENDING_CHANGES_MAX { Ok(()) } else { self.place_pending() }
    }

    /// Puts the gathered changes to their keys; those of one key stay in the order of revisions.
    fn place_pending(&mut self) -> Result<(), Error> {
        self.pending.sort_by(|a, b| a.key.cmp(&b.key));
        for Pending { key, version, put } in self.pending.drain(..) {
            self.index.restore(&key, |versions| match put {
                Some((created, _)) if versions.created().is_some_and(|known| known != created) => {
                    Err(damaged(version.position, "a pair that was created while its key was there"))
                }
                Some((created, number)) => {
                    versions.restore_put(version, created, number);
                    Ok(())
                }
                None => {
                    versions.restore_end(version);
                    Ok(())
                }
            })?;
        }
        Ok(())
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
            accounts: RwLock::new(self.accounts),
            policy_epoch: AtomicU64::new(0),
            checkmark: RwLock::new(hash.last()),
        }
    }
}
