//! Where effects go: each is one record, appended to the store and to the hash that members compare.
//!
//! Owns the store's writer and [`EffectsHash`]. Never decides anything.

use crate::effects_hash::EffectsHash;
use crate::error::Error;
use crate::record::Record;
use storage::{Position, RecordKind, Store};

/// The store's writer with the hash over what went into it.
pub(crate) struct Journal {
    pub(crate) store: Store,
    pub(crate) hash: EffectsHash,
}

impl Journal {
    /// Appends an effect.
    pub(crate) fn append(&mut self, record: &Record<'_>) -> Result<Position, Error> {
        let (kind, payload) = record.encode();
        self.append_payload(kind, &payload)
    }

    /// Appends an effect whose payload is already encoded.
    pub(crate) fn append_payload(&mut self, kind: u8, payload: &[u8]) -> Result<Position, Error> {
        self.hash.add(kind, payload);
        Ok(self.store.append(RecordKind(kind), payload)?)
    }
}
