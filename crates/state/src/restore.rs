//! From the store's records back to the state they were the effects of.
//!
//! Owns the replay: key changes in order of revision, everything else the last wins. Segments are gathered each for itself
//! (`gathered.rs`) and taken in their order. What a compaction had made unreadable is left out of the index at once, whether or
//! not its records are still there.

use crate::apply_access;
use crate::auth::Accounts;
use crate::command::Alarm;
use crate::effects_hash::EffectsHash;
use crate::error::Error;
use crate::gathered::{BACKWARDS, Change, Gathered, Other, Put};
use crate::leases::Leases;
use crate::membership::Membership;
use crate::mvcc::KeySpace;
use crate::mvcc::horizon::{Horizon, NEVER_COMPACTED};
use crate::mvcc::index::{Cursor, Index};
use crate::mvcc::values::{Values, damaged};
use crate::pki::Register;
use crate::record::Record;
use crate::shared::Shared;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;
use std::sync::atomic::AtomicU64;
use storage::Store;
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
    store.replay(|why| passed_over.push(why.to_string()), |gathered| replay.take(gathered))?;
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
    accounts: Accounts,
    register: Register,
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
            accounts: Accounts::default(),
            register: Register::default(),
        }
    }

    /// Takes what the next segment holds. Keys and all else do not touch each other.
    fn take(&mut self, segment: Gathered) -> Result<(), Error> {
        let Gathered { mut changes, versions, others } = segment;
        if let Some(first) = versions.first().filter(|first| first.at() <= self.last) {
            return Err(damaged(first.position, BACKWARDS));
        }
        self.last = versions.last().map_or(self.last, |last| last.at());
        self.index.recall(&versions);
        changes.chunk_by_mut(|a, b| a.key == b.key).try_for_each(|changes| self.changes(changes))?;
        others.iter().try_for_each(|Other { position, kind, payload }| {
            let record = Record::decode(*kind, payload).map_err(|what| damaged(*position, what))?;
            self.other(record);
            Ok(())
        })
    }

    /// Takes the changes of one key.
    fn changes(&mut self, changes: &mut [Change]) -> Result<(), Error> {
        let Some(last) = changes.last_mut() else { return Ok(()) };
        let key = std::mem::take(&mut last.key);
        match last.put {
            Some(Put { lease, .. }) if !lease.is_none() => drop(self.named.insert(key.clone(), lease)),
            _ => drop(self.named.remove(&key)),
        }
        self.index.restore(key, |versions| {
            changes.iter().try_for_each(|Change { version, put, .. }| match *put {
                Some(Put { created, .. }) if versions.created().is_some_and(|known| known != created) => {
                    Err(damaged(version.position, "a pair that was created while its key was there"))
                }
                Some(Put { created, number, .. }) => {
                    versions.restore_put(*version, created, number);
                    Ok(())
                }
                None => {
                    versions.restore_end(*version);
                    Ok(())
                }
            })
        })
    }

    /// Takes a record that is of no key.
    fn other(&mut self, record: Record<'_>) {
        match record {
            Record::Put(..) | Record::Deletion(..) => {}
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
            Record::Pki(effect) => self.register.take(effect),
        }
    }

    fn finish(mut self, values: Values, hash: &EffectsHash) -> Shared {
        let mut cursor = (self.compacted > NEVER_COMPACTED).then(Cursor::first);
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
            register: RwLock::new(self.register),
            policy_epoch: AtomicU64::new(0),
            checkmark: RwLock::new(hash.last()),
        }
    }
}
