//! The key space: every kept version of every key, found by key and by revision.
//!
//! Owns the index ([`index`], [`versions`]), what is readable ([`horizon`]), the values ([`values`]), reads at a revision
//! ([`view`], [`history`]), writes ([`writing`], [`txn`]), compaction ([`compaction`]) and the hash that etcd's members
//! compare ([`hash`]). Source: etcd's `storage/mvcc` and `etcdserver/txn`.
//!
//! One thread writes; any thread reads. A change is put into the index under its revision before that revision becomes
//! readable, so a reader that looks at a revision never sees half a transaction.

pub(crate) mod compaction;
pub(crate) mod hash;
pub(crate) mod history;
pub(crate) mod horizon;
pub(crate) mod index;
pub(crate) mod kept;
pub(crate) mod txn;
pub(crate) mod values;
pub(crate) mod versions;
pub(crate) mod view;
pub(crate) mod writing;

use crate::lock;
use crate::tally::Tally;
use horizon::{Horizon, Pin};
use index::Index;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use values::Values;

/// The key space as readers and the writer share it.
pub(crate) struct KeySpace {
    index: RwLock<Index>,
    pub(crate) horizon: Horizon,
    pub(crate) values: Values,
    pub(crate) hashes: hash::CompactionHashes,
    pub(crate) tally: Tally,
}

impl KeySpace {
    pub(crate) fn new(index: Index, horizon: Horizon, values: Values) -> Self {
        let (hashes, tally) = (hash::CompactionHashes::default(), Tally::default());
        Self { index: RwLock::new(index), horizon, values, hashes, tally }
    }

    /// The index, for one page of reading.
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        lock::read(&self.index)
    }

    /// The index, for one change by the writer.
    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        lock::write(&self.index)
    }

    /// What is readable now; removal waits until it is dropped.
    pub(crate) fn pin(&self) -> Pin<'_> {
        self.horizon.pin()
    }
}
