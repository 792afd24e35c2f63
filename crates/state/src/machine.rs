//! The machine: the one writer of the state.
use crate::changes::Changes;
use crate::command::Command;
use crate::error::{Error, Refusal};
use crate::membership::MembershipChange;
use crate::outcome::Applied;
use crate::reader::Reader;
use bytes::Bytes;
use types::{LogIndex, Revision, Term};

/// The replicated state with its store; owned by the thread that applies.
pub struct Machine {}

/// Whether background work is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// More is left for another step.
    More,
    /// Nothing is left: every compaction up to this revision is physically done (-1: there was none).
    Done(Revision),
}

fn unfinished<T>() -> Result<T, Error> {
    Err(Error::Record { place: String::new(), what: "not built yet" })
}

impl Machine {
    /// Rebuilds the state from the store's records.
    ///
    /// # Errors
    /// The store's failure, or a record that is not understood.
    pub fn open(_store: crate::storage::Store, _value_cache_bytes: u64) -> Result<Self, Error> {
        unfinished()
    }
    /// A reader of this machine's state.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader {}
    }
    /// The last entry that took effect, with its term.
    #[must_use]
    pub fn applied(&self) -> (LogIndex, Term) {
        (LogIndex(0), Term(0))
    }
    /// Applies one committed entry; one that took effect before is passed over.
    ///
    /// # Errors
    /// Only when the member cannot go on; a refusal is in [`Applied`].
    pub fn apply(&mut self, _index: LogIndex, _term: Term, _command: Command) -> Result<Applied, Error> {
        unfinished()
    }
    /// Applies one committed configuration entry. A refused change leaves the membership as it is.
    ///
    /// # Errors
    /// Only when the member cannot go on.
    pub fn change_membership(
        &mut self,
        _index: LogIndex,
        _term: Term,
        _change: MembershipChange,
    ) -> Result<Result<(), Refusal>, Error> {
        unfinished()
    }
    /// What the entries applied since the last call changed.
    pub fn take_changes(&mut self) -> Changes {
        Changes::default()
    }
    /// Does up to `budget` records' worth of the physical work of compactions.
    ///
    /// # Errors
    /// The store's failure.
    pub fn compact_step(&mut self, _budget: usize) -> Result<Sweep, Error> {
        unfinished()
    }
    /// Makes what was applied durable, with the configuration state of consensus.
    ///
    /// # Errors
    /// The store's failure.
    pub fn checkpoint(&mut self, _conf_state: Bytes) -> Result<(), Error> {
        unfinished()
    }
}
