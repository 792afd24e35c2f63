//! Where effects go: each is one record, appended to the store and to the hash that members compare.
//!
//! Owns the store's writer and [`EffectsHash`]. Never decides anything.

use crate::effects_hash::EffectsHash;
use crate::error::Error;
use crate::record::Record;
use storage::{Position, RecordKind, Store};

/// Called when the store finds no space, as often as it does not; may wait. Whether to try again: if not, the entry stays
/// half done, and the machine is broken.
pub type WhenFull = Box<dyn FnMut() -> bool + Send>;

/// The store's writer with the hash over what went into it.
pub(crate) struct Journal {
    pub(crate) store: Store,
    pub(crate) hash: EffectsHash,
    pub(crate) when_full: WhenFull,
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
        loop {
            match self.store.append(RecordKind(kind), payload) {
                Err(storage::Error::NoSpace { .. }) if (self.when_full)() => {}
                appended => return Ok(appended?),
            }
        }
    }
}
