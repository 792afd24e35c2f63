//! Reads of the state by any thread, while the one writer goes on.
use crate::command::{Alarm, AlarmKind, Txn};
use crate::error::Error;
use crate::membership::Membership;
use crate::outcome::{EventPage, KeySpaceHash, Pair, RangeOutcome, RangePage, Sizes, TxnOutcome};
use crate::query::{PageLimits, Projection, RangeQuery};
use types::{Key, KeyRange, LeaseId, Revision};

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

/// Reads the state; cheap to clone, used by any thread.
#[derive(Clone)]
pub struct Reader {}

fn unfinished<T>() -> Result<T, Error> {
    Err(Error::Record { place: String::new(), what: "not built yet" })
}

impl Reader {
    /// The latest revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::FIRST
    }
    /// The revision of the last compaction: the oldest that can be read; -1 before the first.
    #[must_use]
    pub fn compacted(&self) -> Revision {
        Revision(-1)
    }
    /// Reads a range with all of etcd's options.
    ///
    /// # Errors
    /// `Refused` (compacted, future revision), or the store's failure.
    pub fn range(&self, _query: &RangeQuery) -> Result<RangeOutcome, Error> {
        unfinished()
    }
    /// One page of a range, by key, from `from` (or the range's start) on, at `at` (zero: the latest; take the page's
    /// `revision` for the next pages).
    ///
    /// # Errors
    /// `Refused` when `at` is compacted meanwhile or in the future, or the store's failure.
    pub fn range_page(
        &self,
        _range: &KeyRange,
        _at: Revision,
        _from: Option<&Key>,
        _projection: Projection,
        _limits: PageLimits,
    ) -> Result<RangePage, Error> {
        unfinished()
    }
    /// Evaluates a transaction that only reads, at one pinned revision.
    ///
    /// # Errors
    /// `Refused` for a range whose revision is compacted or in the future, or the store's failure.
    pub fn txn_read(&self, _txn: &Txn) -> Result<(Revision, TxnOutcome), Error> {
        unfinished()
    }
    /// A page of history: the events of revisions `from..=to` whose key `keep` accepts.
    ///
    /// # Errors
    /// `Refused(Compacted)` when `from` lies below the compacted revision, or the store's failure.
    pub fn events(
        &self,
        _from: Revision,
        _to: Revision,
        _keep: impl Fn(&[u8]) -> bool,
        _limits: PageLimits,
    ) -> Result<EventPage, Error> {
        unfinished()
    }
    /// The pair as it was before the change of `key` at `mod_revision`; `None` when it did not exist or is compacted.
    ///
    /// # Errors
    /// The store's failure.
    pub fn previous(&self, _key: &[u8], _mod_revision: Revision) -> Result<Option<Pair>, Error> {
        unfinished()
    }
    /// A lease; `None` when it is unknown.
    #[must_use]
    pub fn lease(&self, _id: LeaseId) -> Option<LeaseView> {
        None
    }
    /// All leases, by id: id, whole life, remaining life last replicated (0: none).
    #[must_use]
    pub fn leases(&self) -> Vec<(LeaseId, i64, i64)> {
        Vec::new()
    }
    /// The alarms of a kind that stand (`None`: of every kind).
    #[must_use]
    pub fn alarms(&self, _kind: AlarmKind) -> Vec<Alarm> {
        Vec::new()
    }
    /// The membership with the agreed versions, as of now.
    #[must_use]
    pub fn membership(&self) -> Membership {
        Membership::default()
    }
    /// The hash of the key space up to `revision` (zero: the latest), equal to etcd's HashKV.
    ///
    /// # Errors
    /// `Refused` (compacted, future revision), or the store's failure.
    pub fn hash_kv(&self, _revision: Revision) -> Result<KeySpaceHash, Error> {
        unfinished()
    }
    /// A hash over the whole state, with the revision it stands at; comparable between our members only.
    ///
    /// # Errors
    /// The store's failure.
    pub fn hash(&self) -> Result<(u32, Revision), Error> {
        unfinished()
    }
    /// What the store weighs.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes::default()
    }
    /// Whether a command that costs `cost` bytes (see [`crate::quota::cost`]) fits a quota of `quota` bytes.
    #[must_use]
    pub fn room_for(&self, _cost: u64, _quota: u64) -> bool {
        true
    }
}
