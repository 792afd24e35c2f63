//! What one segment of the store holds, for the replay at a start.
//!
//! Owns the reading of records and of index entries into changes of keys, in the order of keys (in that order they come to their
//! places in the tree of all keys in half the time), their versions in the order of revisions, and all other records as they are.
//! Knows nothing of other segments, so many are gathered at the same time.

use crate::error::Error;
use crate::mvcc::values::damaged;
use crate::mvcc::versions::Version;
use crate::pair::PairView;
use crate::record::{self, DELETION, PUT, Record};
use storage::{Gather, Position, Replayed, SegmentNumber};
use types::{LeaseId, Revision};

/// Why a change is refused that is not after the one before it.
pub(crate) const BACKWARDS: &str = "revisions go backwards";

/// A change of a key.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: Box<[u8]>,
    pub(crate) version: Version,
    /// Nothing for a deletion.
    pub(crate) put: Option<Put>,
}

/// What a put says but for its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    pub(crate) created: Revision,
    pub(crate) number: i64,
    pub(crate) lease: LeaseId,
}

/// A record that is of no key.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) position: Position,
    pub(crate) kind: u8,
    pub(crate) payload: Box<[u8]>,
}

/// A segment's records.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// In the order of keys; those of one key in the order of revisions.
    pub(crate) changes: Vec<Change>,
    /// Of all changes, in the order of revisions.
    pub(crate) versions: Vec<Version>,
    /// In the order in which they stand.
    pub(crate) others: Vec<Other>,
}

impl Gather for Gathered {
    type Error = Error;

    fn add(&mut self, replayed: Replayed<'_>) -> Result<(), Error> {
        match replayed {
            Replayed::Record(at, kind, payload) => self.record(at, kind.0, payload.len(), payload),
            Replayed::Indexed(segment, kind, entry) => self.entry(segment, kind.0, entry),
        }
    }

    fn complete(&mut self) {
        self.changes.sort_by(|a, b| a.key.cmp(&b.key));
    }
}

impl Gathered {
    /// An entry of a segment's index.
    fn entry(&mut self, segment: SegmentNumber, kind: u8, entry: &[u8]) -> Result<(), Error> {
        let beginning = Position::new(segment, 0);
        if kind != PUT && kind != DELETION {
            return self.record(beginning, kind, entry.len(), entry);
        }
        let split = record::split_index_entry(entry);
        let (offset, bytes, bare) = split.map_err(|what| damaged(beginning, what))?;
        self.record(Position::new(segment, offset), kind, bytes as usize, bare)
    }

    /// A record of `bytes` bytes, perhaps without its value.
    fn record(&mut self, position: Position, kind: u8, bytes: usize, payload: &[u8]) -> Result<(), Error> {
        if kind != PUT && kind != DELETION {
            self.others.push(Other { position, kind, payload: payload.into() });
            return Ok(());
        }
        let (at, pair, is_put) =
            match Record::decode(kind, payload).map_err(|what| damaged(position, what))? {
                Record::Put(at, pair) => (at, pair, true),
                Record::Deletion(at, pair) => (at, pair, false),
                _ => return Ok(()),
            };
        if self.versions.last().is_some_and(|last| at <= last.at()) {
            return Err(damaged(position, BACKWARDS));
        }
        let pair = PairView::decode(pair)?;
        let put = Put { created: pair.create_revision, number: pair.version, lease: pair.lease };
        let version = Version::new(at, position, bytes);
        self.versions.push(version);
        self.changes.push(Change { key: pair.key.into(), version, put: is_put.then_some(put) });
        Ok(())
    }
}
