//! A store in memory with the shape of `storage`, until that crate stands.

use bytes::Bytes;
use std::sync::{Arc, Mutex, RwLock};
use types::{LogIndex, Term};

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("no record at {0}")]
pub struct Error(u64);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKind(pub u8);

/// Where a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record {}", self.0)
    }
}

/// What the store is consistent with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last entry.
    pub consistent_index: LogIndex,
    /// Its term.
    pub term: Term,
    /// Consensus' configuration.
    pub conf_state: Bytes,
    /// The effects' hash.
    pub state_hash: u32,
    /// Ours.
    pub meta: Bytes,
}

/// The writer.
#[derive(Clone, Debug, Default)]
pub struct Store {
    reader: StoreReader,
    durable: Arc<Mutex<(Checkpoint, usize)>>,
}

/// A reader.
#[derive(Clone, Debug, Default)]
pub struct StoreReader {
    records: Arc<RwLock<Vec<(RecordKind, Bytes)>>>,
}

impl Store {
    /// Appends a record.
    pub fn append(&mut self, kind: RecordKind, payload: &[u8]) -> Result<Position, Error> {
        let mut records = self.reader.records.write().map_err(|_| Error(0))?;
        records.push((kind, Bytes::copy_from_slice(payload)));
        Ok(Position(records.len() as u64 - 1))
    }

    /// A reader of it.
    pub fn reader(&self) -> StoreReader {
        self.reader.clone()
    }

    /// Makes all durable.
    pub fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<PendingCheckpoint, Error> {
        let len = self.reader.records.read().map_err(|_| Error(0))?.len();
        Ok(PendingCheckpoint { store: self.clone(), prepared: (checkpoint, len) })
    }

    /// The last checkpoint.
    pub fn last_checkpoint(&self) -> Checkpoint {
        self.durable.lock().map(|durable| durable.0.clone()).unwrap_or_default()
    }

    /// As after a crash.
    pub fn reopen(&self) -> Self {
        let durable = self.durable.lock().map(|durable| durable.clone()).unwrap_or_default();
        let records = self.reader.records.read().map(|all| all[..durable.1].to_vec()).unwrap_or_default();
        let reader = StoreReader { records: Arc::new(RwLock::new(records)) };
        Self { reader, durable: Arc::new(Mutex::new(durable)) }
    }

    /// All records in order.
    pub fn scan<E: From<Error>>(
        &self,
        mut visit: impl FnMut(Position, RecordKind, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let records = self.reader.records.read().map_err(|_| Error(0))?.clone();
        records
            .into_iter()
            .enumerate()
            .try_for_each(|(i, (kind, payload))| visit(Position(i as u64), kind, payload))
    }
}

/// A checkpoint that is prepared.
#[derive(Debug)]
pub struct PendingCheckpoint {
    store: Store,
    prepared: (Checkpoint, usize),
}

impl PendingCheckpoint {
    /// Makes it so.
    pub fn run(self) -> Result<(), Error> {
        *self.store.durable.lock().map_err(|_| Error(0))? = self.prepared;
        Ok(())
    }
}

impl StoreReader {
    /// Reads a record.
    pub fn read(&self, at: Position) -> Result<(RecordKind, Bytes), Error> {
        let records = self.records.read().map_err(|_| Error(at.0))?;
        records.get(at.0 as usize).cloned().ok_or(Error(at.0))
    }
    /// Bytes of all.
    pub fn disk_bytes(&self) -> u64 {
        0
    }
}
