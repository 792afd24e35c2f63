//! The machine: the one writer of the state.
//!
//! Owns the store's writer, the last applied entry, what changed, the queue of physical compaction work, and where the
//! collector stands (`collect.rs`). Lives on the
//! thread that applies; hands out [`Reader`]s to all others. `apply` itself is in `apply.rs`, opening in `restore.rs`.
//!
//! Invariants: entries are applied in order, each at most once, across restarts too (the store's consistent index is
//! where it goes on); after a fatal error the machine refuses everything, above all to make half an entry durable.

use crate::changes::Changes;
use crate::collect::Collector;
use crate::error::{Error, Refusal};
use crate::journal::{Journal, WhenFull};
use crate::lock;
use crate::mvcc::compaction::Compactions;
pub use crate::mvcc::compaction::Sweep;
use crate::reader::Reader;
use crate::restore::{self, Restored};
use crate::shared::Shared;
use bytes::Bytes;
use std::sync::Arc;
use storage::{Checkpoint, PendingCheckpoint, Store, SupersededFiles};
use types::{LogIndex, Revision, Term};

/// The replicated state with its store.
pub struct Machine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Journal,
    pub(crate) changes: Changes,
    pub(crate) compactions: Compactions,
    pub(crate) collector: Collector,
    pub(crate) chore_is_out: bool,
    /// There was no space for an index.
    pub(crate) without_index: bool,
    applied: (LogIndex, Term),
    passed_over: Vec<String>,
    /// An entry was begun and not ended: its effects are in part in store and index, and must never become durable.
    broken: bool,
}

impl Machine {
    /// Rebuilds the state from the store's records; up to `value_cache_bytes` of pairs will be kept in memory.
    ///
    /// # Errors
    /// The store's failure, or a record that is not understood.
    pub fn open(mut store: Store, value_cache_bytes: u64) -> Result<Self, Error> {
        let Restored { shared, hash, applied, compacted, passed_over } =
            restore::restore(&mut store, value_cache_bytes)?;
        Ok(Self {
            shared: Arc::new(shared),
            journal: Journal { store, hash, when_full: Box::new(|| false) },
            changes: Changes::default(),
            compactions: Compactions::new(compacted),
            collector: Collector::default(),
            chore_is_out: false,
            without_index: false,
            passed_over,
            applied,
            broken: false,
        })
    }

    /// What to do when there is no space for an effect in the middle of an entry; unless told, the machine is broken by it.
    /// Nobody sees the entry meanwhile, and reads go on.
    pub fn when_full(&mut self, when_full: WhenFull) {
        self.journal.when_full = when_full;
    }

    /// Gives back the space of what earlier lives of the store left behind.
    ///
    /// # Errors
    /// The store's failure.
    pub fn discard_leftovers(&mut self) -> Result<(), Error> {
        Ok(self.journal.store.discard_leftovers()?)
    }

    /// A reader of this machine's state.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.shared.clone())
    }

    /// Why indexes of segments were passed over on opening, which took longer for that.
    #[must_use]
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// The last entry that took effect, with its term.
    #[must_use]
    pub fn applied(&self) -> (LogIndex, Term) {
        self.applied
    }

    /// What the entries applied since the last call changed.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Does about `budget` records' worth of the physical work of compactions.
    ///
    /// # Errors
    /// The store's failure.
    pub fn compact_step(&mut self, budget: usize) -> Result<Sweep, Error> {
        self.check_whole()?;
        let mut gone = 0;
        let swept = self.compactions.step(&self.shared.space, budget, |_| gone += 1);
        self.shared.space.tally.add_swept(gone);
        swept
    }

    /// The revision up to which everything compacted is physically gone (-1: nothing ever was): what the answer to a
    /// compaction that asked for it waits for.
    #[must_use]
    pub fn swept(&self) -> Revision {
        self.compactions.done()
    }

    /// Has room in the store for the effects of an entry of `bytes`, as far as these can be told before; answers whether it
    /// has. An entry for which there is none can wait whole; one that finds none in the middle waits half done.
    ///
    /// # Errors
    /// The store's failure; no space is none.
    pub fn make_room(&mut self, bytes: usize) -> Result<bool, Error> {
        self.check_whole()?;
        match self.journal.store.make_room(bytes) {
            Ok(()) => Ok(true),
            Err(storage::Error::NoSpace { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What deletes the store's superseded files before their time, from any thread.
    #[must_use]
    pub fn superseded_files(&self) -> SupersededFiles {
        self.journal.store.superseded_files()
    }

    /// Prepares to make what was applied durable, with the configuration state of consensus; another thread runs it.
    ///
    /// # Errors
    /// The store's failure.
    pub fn checkpoint(&mut self, conf_state: Bytes) -> Result<PendingCheckpoint, Error> {
        self.check_whole()?;
        let (consistent_index, term) = self.applied;
        Ok(self.journal.store.checkpoint(Checkpoint {
            consistent_index,
            term,
            conf_state,
            state_hash: self.journal.hash.running(),
            meta: self.journal.hash.encode().into(),
        })?)
    }

    /// The configuration state of consensus as the last checkpoint before opening had it; empty in a new store.
    #[must_use]
    pub fn conf_state(&self) -> Bytes {
        self.journal.store.last_checkpoint().conf_state
    }

    /// Does one entry, unless it took effect before. A refusal ends it like any other outcome; any other error leaves it
    /// half done, and the machine broken.
    pub(crate) fn entry<T>(
        &mut self,
        index: LogIndex,
        term: Term,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Option<Result<T, Refusal>>, Error> {
        self.check_whole()?;
        if index <= self.applied.0 {
            return Ok(None);
        }
        self.broken = true;
        self.journal.hash.begin(index);
        let done = match act(self) {
            Ok(done) => Ok(done),
            Err(Error::Refused(refusal)) => Err(refusal),
            Err(fatal) => return Err(fatal),
        };
        self.journal.hash.end(index);
        self.applied = (index, term);
        self.tell_checkmark();
        self.broken = false;
        Ok(Some(done))
    }

    fn tell_checkmark(&self) {
        let mark = self.journal.hash.last();
        if *lock::read(&self.shared.checkmark) != mark {
            *lock::write(&self.shared.checkmark) = mark;
        }
    }

    pub(crate) fn check_whole(&self) -> Result<(), Error> {
        if self.broken { Err(Error::Broken) } else { Ok(()) }
    }
}
