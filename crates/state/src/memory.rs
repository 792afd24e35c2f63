//! A store in memory with the shape of `storage`, until that crate stands.

use bytes::Bytes;
use std::sync::{Arc, RwLock};

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("no record at {0}")]
pub struct Error(u64);

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKind(pub u8);

/// Where a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position(pub u64);

/// The writer.
#[derive(Debug, Default)]
pub struct Store {
    reader: StoreReader,
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
}

impl StoreReader {
    /// Reads a record.
    pub fn read(&self, at: Position) -> Result<(RecordKind, Bytes), Error> {
        let records = self.records.read().map_err(|_| Error(at.0))?;
        records.get(at.0 as usize).cloned().ok_or(Error(at.0))
    }
}
