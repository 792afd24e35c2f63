//! Reads of the state by any thread, while the one writer goes on.
//!
//! Owns nothing but a share. Each call pins what is readable, looks at the index in pages and reads pairs from memory or
//! the store on the caller's thread; it may block on the disk, never on the writer for long.

use crate::auth::Accounts;
use crate::command::{Alarm, AlarmKind, Txn};
use crate::effects_hash::Checkmark;
use crate::error::Error;
use crate::list::{List, Looked};
use crate::membership::{Member, Membership};
use crate::mvcc::txn::{self, Path};
use crate::mvcc::view::View;
use crate::outcome::{
    CopiedFacts, EventKind, EventPage, KeySpaceHash, Pair, RangeOutcome, RangePage, Sizes, TxnOutcome,
};
use crate::pki::Register;
use crate::query::{PageLimits, Projection, RangeQuery};
use crate::record::{LEASE_RECORD_BYTES, Record};
use crate::shared::{self, Shared};
use crate::tally::{Part, Tallied};
use crate::{leases, lock};
use std::sync::Arc;
use types::{Key, KeyRange, LeaseId, ModRevision, Revision};

/// Reads the state; cheap to clone, used by any thread.
#[derive(Clone)]
pub struct Reader(pub(crate) Arc<Shared>);

/// A lease as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Its id.
    pub id: LeaseId,
    /// Its whole life, in seconds.
    pub ttl_seconds: i64,
    /// The remaining life last replicated, in seconds; 0 when none was (the whole life counts).
    pub remaining_seconds: i64,
    /// The keys attached to it, in order.
    pub keys: Vec<Key>,
}

impl Reader {
    /// The latest revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.space.horizon.current()
    }

    /// The revision of the last compaction: the oldest that can be read; -1 before the first.
    #[must_use]
    pub fn compacted(&self) -> Revision {
        self.0.space.horizon.compacted()
    }

    /// Reads a range with all of etcd's options.
    ///
    /// # Errors
    /// `Refused` (compacted, future revision), or the store's failure.
    pub fn range(&self, query: &RangeQuery) -> Result<RangeOutcome, Error> {
        self.0.space.tally.add(Part::RANGE);
        let pin = self.0.space.pin();
        View::pinned(&self.0.space, &pin).range(query)
    }

    /// Reads a range if that is soon done, else begins a list of it, which is read step by step. Together they answer what
    /// [`Reader::range`] would.
    ///
    /// # Errors
    /// `Refused` (compacted, future revision), or the store's failure.
    pub fn look(&self, query: &RangeQuery) -> Result<Looked, Error> {
        self.0.space.tally.add(Part::RANGE);
        let pin = self.0.space.pin();
        let view = View::pinned(&self.0.space, &pin);
        Ok(match view.range_if_small(query)? {
            Ok(found) => Looked::Small(found),
            Err(begun) => Looked::Large(Box::new(List::begin(self.0.clone(), query.clone(), &pin, begun))),
        })
    }

    /// How many bytes of pairs a range would answer, without reading them; or the list that counts them, where it is large.
    ///
    /// # Errors
    /// `Refused` when its revision is compacted or in the future.
    pub fn weigh(&self, query: &RangeQuery) -> Result<Result<u64, Box<List>>, Error> {
        let pin = self.0.space.pin();
        let view = View::pinned(&self.0.space, &pin);
        let weighed = view.weight_if_small(query)?;
        Ok(weighed.map_err(|begun| Box::new(List::begin(self.0.clone(), query.clone(), &pin, begun))))
    }

    /// One page of a range, by key, from `from` (or the range's start) on, at `at` (zero: the latest; take the page's
    /// `revision` for the next pages). With `CountOnly` a page holds pairs nonetheless; count with [`Reader::range`].
    ///
    /// # Errors
    /// `Refused` when `at` is compacted meanwhile or in the future, or the store's failure.
    pub fn range_page(
        &self,
        range: &KeyRange,
        at: Revision,
        from: Option<&Key>,
        projection: Projection,
        limits: PageLimits,
    ) -> Result<RangePage, Error> {
        self.0.space.tally.add(Part::RANGE);
        let pin = self.0.space.pin();
        let rest = from.map(|from| KeyRange { start: from.clone(), end: range.end.clone() });
        View::pinned(&self.0.space, &pin).page(rest.as_ref().unwrap_or(range), at, projection, limits)
    }

    /// Evaluates a transaction that only reads, at one pinned revision; answers that revision with the outcome.
    ///
    /// # Errors
    /// `Refused` for a range whose revision is compacted or in the future, `NotReadOnly`, or the store's failure.
    pub fn txn_read(&self, txn: &Txn) -> Result<(Revision, TxnOutcome), Error> {
        if !txn.only_reads() {
            return Err(Error::NotReadOnly);
        }
        let pin = self.0.space.pin();
        let view = View::pinned(&self.0.space, &pin);
        let mut part = Part::default();
        let outcome = Self::txn_read_at(view, txn, &mut part);
        self.0.space.tally.add(part);
        Ok((pin.current, outcome?))
    }

    fn txn_read_at(view: View<'_>, txn: &Txn, part: &mut Part) -> Result<TxnOutcome, Error> {
        let path = Path::choose(view, txn, part)?;
        txn::check(view, &leases::Leases::default(), txn, &path, part)?;
        txn::evaluate(view, txn, &path, part)
    }

    /// A page of history: the events of revisions `from..=to` whose key `keep` accepts. `next` lies beyond `to` (or the
    /// latest revision) when nothing is left.
    ///
    /// # Errors
    /// `Refused(Compacted)` when `from` lies below the compacted revision, or the store's failure.
    pub fn events(
        &self,
        from: Revision,
        to: Revision,
        keep: impl Fn(&[u8]) -> bool,
        limits: PageLimits,
    ) -> Result<EventPage, Error> {
        self.0.space.events(from, to, keep, limits)
    }

    /// The pair as it was before the change of `key` at `mod_revision`; `None` when it did not exist or is compacted.
    ///
    /// # Errors
    /// The store's failure.
    pub fn previous(&self, key: &[u8], mod_revision: Revision) -> Result<Option<Pair>, Error> {
        self.0.space.tally.add(Part::RANGE);
        self.0.space.previous(key, mod_revision)
    }

    /// A lease; `None` when it is unknown.
    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<LeaseView> {
        let leases = lock::read(&self.0.leases);
        leases.get(id).map(|lease| LeaseView {
            id,
            ttl_seconds: lease.ttl_seconds,
            remaining_seconds: lease.remaining_seconds,
            keys: lease.keys.iter().cloned().collect(),
        })
    }

    /// All leases, by id: id, whole life, remaining life last replicated (0: none).
    #[must_use]
    pub fn leases(&self) -> Vec<(LeaseId, i64, i64)> {
        let leases = lock::read(&self.0.leases);
        leases.iter().map(|(id, lease)| (id, lease.ttl_seconds, lease.remaining_seconds)).collect()
    }

    /// The alarms of a kind that stand (`None`: of every kind).
    #[must_use]
    pub fn alarms(&self, kind: AlarmKind) -> Vec<Alarm> {
        shared::alarms_of(&lock::read(&self.0.alarms), kind)
    }

    /// The membership with the agreed versions, as of now.
    #[must_use]
    pub fn membership(&self) -> Membership {
        lock::read(&self.0.membership).clone()
    }

    /// The hash of the key space up to `revision` (zero: the latest), equal to etcd's HashKV.
    ///
    /// # Errors
    /// `Refused` (compacted, future revision), or the store's failure.
    pub fn hash_kv(&self, revision: Revision) -> Result<KeySpaceHash, Error> {
        self.0.space.hash_kv(revision)
    }

    /// A hash over the whole state (keys, leases, alarms, members), with the revision it stands at. Comparable between
    /// our own members only; etcd's hashes its database's pages, whose layout no other store has.
    ///
    /// # Errors
    /// The store's failure.
    pub fn hash(&self) -> Result<(u32, Revision), Error> {
        let keys = self.0.space.hash_kv(Revision::ZERO)?;
        let mut hash = keys.hash;
        let mut add = |record: &Record<'_>| {
            let (kind, payload) = record.encode();
            hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, &[kind]), &payload);
        };
        for (id, lease) in lock::read(&self.0.leases).iter() {
            let (ttl_seconds, remaining_seconds) = (lease.ttl_seconds, lease.remaining_seconds);
            add(&Record::Lease { id, ttl_seconds, remaining_seconds });
        }
        lock::read(&self.0.alarms).iter().for_each(|alarm| add(&Record::Alarm(*alarm)));
        lock::read(&self.0.membership).members().for_each(|member| add(&Record::Member(member.clone())));
        self.accounts().records().for_each(|record| add(&record));
        Ok((hash, keys.revision))
    }

    /// A copy of everything at the latest revision: shows `each` every kept version in order of revision, as it is stored
    /// (a deletion is its key alone), and answers the rest. Sweeping of later compactions waits until this returns.
    ///
    /// # Errors
    /// What `each` answers, or the store's failure.
    pub fn copy<E: From<Error>>(
        &self,
        each: impl FnMut(ModRevision, EventKind, &Pair) -> Result<(), E>,
    ) -> Result<CopiedFacts, E> {
        // Before and after the pin: a key must not be copied without the lease it hangs on.
        let mut leases = self.leases();
        let pin = self.0.space.pin();
        leases.extend(self.leases());
        leases.sort_by_key(|(id, ..)| *id);
        leases.dedup_by_key(|(id, ..)| *id);
        let (alarms, membership) = (self.alarms(AlarmKind::None), self.membership());
        self.0.space.kept(&pin, each)?;
        let accounts = self.accounts();
        Ok(CopiedFacts {
            revision: pin.current,
            compacted: pin.compacted,
            leases,
            alarms,
            membership,
            accounts,
        })
    }

    /// How often the key space was read and written since the process began, or since [`Reader::forget_tally`].
    #[must_use]
    pub fn tally(&self) -> Tallied {
        self.0.space.tally.read()
    }

    /// Lets the counting begin anew: what was replayed from the log has been counted in an earlier life.
    pub fn forget_tally(&self) {
        self.0.space.tally.clear();
    }

    /// Reads that hold a revision now.
    #[must_use]
    pub fn open_reads(&self) -> u64 {
        self.0.space.horizon.pinned()
    }

    /// What the store weighs.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let disk_bytes = self.0.space.values.disk_bytes();
        let leases = lock::read(&self.0.leases).iter().count() as u64 * LEASE_RECORD_BYTES;
        let member_bytes = |member: &Member| Record::Member(member.clone()).encode().1.len() as u64;
        let members: u64 = lock::read(&self.0.membership).members().map(member_bytes).sum();
        let accounts: u64 =
            lock::read(&self.0.accounts).records().map(|record| record.encode().1.len() as u64).sum();
        let index = self.0.space.index();
        let (live_bytes, keys) = (index.live_bytes(), index.live_keys());
        Sizes { disk_bytes, live_bytes, facts_bytes: leases + members + accounts, keys }
    }

    /// Whether a command that costs `cost` bytes (see [`crate::quota::cost`]) fits a quota of `quota` bytes. One that
    /// costs nothing always does, as in etcd.
    #[must_use]
    pub fn room_for(&self, cost: u64, quota: u64) -> bool {
        cost == 0 || self.0.space.index().live_bytes().saturating_add(cost) < quota
    }

    /// A copy of the access store.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        lock::read(&self.0.accounts).clone()
    }

    /// Looks at the access store; the writer waits meanwhile.
    pub fn look_at_accounts<T>(&self, look: impl FnOnce(&Accounts) -> T) -> T {
        look(&lock::read(&self.0.accounts))
    }

    /// Looks at the register of certificates; the writer waits meanwhile.
    pub fn look_at_certificates<T>(&self, look: impl FnOnce(&Register) -> T) -> T {
        look(&lock::read(&self.0.register))
    }

    /// The hash over the effects of all entries up to the last multiple of 1,000, for members to compare.
    #[must_use]
    pub fn checkmark(&self) -> Option<Checkmark> {
        *lock::read(&self.0.checkmark)
    }
}
