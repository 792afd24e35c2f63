//! Everything the key space keeps, in the order of revisions: for copies of the whole.
//!
//! Owns no state. The places of all versions are gathered key by key and sorted (some 32 bytes a version), then each record
//! is read and shown, past the cache.
//!
//! Invariant: what is shown is what a compaction at the compacted revision leaves, whether or not the sweep has been there.

use super::KeySpace;
use super::horizon::Pin;
use super::index::Cursor;
use crate::error::Error;
use crate::outcome::EventKind;
use crate::pair::Pair;
use std::ops::ControlFlow;
use types::{KeyRange, ModRevision};

impl KeySpace {
    /// Shows `each` every version that is left at or below the latest revision of `pin`, in order.
    pub(crate) fn kept<E: From<Error>>(
        &self,
        pin: &Pin<'_>,
        mut each: impl FnMut(ModRevision, EventKind, &Pair) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut places = Vec::new();
        let mut cursor = Some(Cursor::first());
        while let Some(from) = cursor {
            cursor = self.index().page(&from, &KeyRange::all(), |_, versions| {
                let left = versions.left_after(pin.compacted);
                let readable = left.take_while(|(version, _)| version.at().main <= pin.current);
                places.extend(readable.map(|(version, _)| (version.at(), version.position)));
                ControlFlow::Continue(())
            });
        }
        places.sort_unstable_by_key(|(at, _)| *at);
        for (at, position) in places {
            let read = self.values.read(at, position)?;
            let kind = if read.tombstone { EventKind::Delete } else { EventKind::Put };
            each(at, kind, &read.pair)?;
        }
        Ok(())
    }
}
