//! HashKV: the hash over the key space at a revision that etcd's members compare, byte for byte.
//!
//! Owns the rule (etcd's `storage/mvcc/hash.go`, observed on a real etcd in `testdata/hashkv-*.txt`):
//!
//! ```text
//! CRC-32C over "key", then for each kept version at or below the revision, in order of revision:
//!   main u64 · '_' · sub u64 (big-endian) · 't' for a tombstone · KeyValue as stored
//! ```
//!
//! left out are: versions at or below the compacted revision that a compaction at the hashed revision would not keep
//! (unless it would keep none at all), and a tombstone exactly at the compacted revision.
//!
//! The hash of a finished compaction stands on the compaction before it and is remembered; HashKV at exactly that
//! revision answers it. One difference on purpose: etcd also remembers the hash of a compaction at revision 0, and then
//! answers it, for ever stale, whenever the latest revision is asked for by 0.

use super::KeySpace;
use super::index::Cursor;
use super::versions::Versions;
use crate::error::{Error, Refusal};
use crate::lock;
use crate::outcome::KeySpaceHash;
use crate::pair::Pair;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Mutex;
use storage::Position;
use types::limits::COMPACTION_HASHES_KEPT;
use types::{KeyRange, ModRevision, Revision};

/// A hash with what it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompactionHash {
    pub(crate) hash: u32,
    pub(crate) previous: Revision,
    pub(crate) revision: Revision,
}

/// The hashes of the newest finished compactions.
#[derive(Default)]
pub(crate) struct CompactionHashes(Mutex<VecDeque<CompactionHash>>);

impl CompactionHashes {
    pub(crate) fn remember(&self, hash: CompactionHash) {
        let mut hashes = lock::lock(&self.0);
        hashes.push_back(hash);
        if hashes.len() > COMPACTION_HASHES_KEPT {
            hashes.pop_front();
        }
    }

    fn at(&self, revision: Revision) -> Option<CompactionHash> {
        lock::lock(&self.0).iter().find(|hash| hash.revision == revision).copied()
    }
}

/// One version to hash; ordered by revision.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    at: ModRevision,
    position: Position,
    tombstone: bool,
    kept: bool,
}

/// Whether a tombstone that a compaction keeps counts as kept: not for HashKV, but for a compaction's own hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tombstones {
    Kept,
    Dropped,
}

/// The versions to hash, gathered key by key, then taken in order of revision. A heap, so that neither way has a moment
/// that takes long: compactions go through this on the writer's thread.
pub(crate) struct Entries {
    heap: BinaryHeap<Reverse<Entry>>,
    any_kept: bool,
    compacted: Revision,
    revision: Revision,
    tombstones: Tombstones,
}

impl Entries {
    pub(crate) fn new(compacted: Revision, revision: Revision, tombstones: Tombstones) -> Self {
        Self { heap: BinaryHeap::new(), any_kept: false, compacted, revision, tombstones }
    }

    /// Adds the versions of one key.
    pub(crate) fn add(&mut self, versions: &Versions) {
        let kept = versions.kept(self.revision);
        let kept = kept.filter(|kept| !kept.tombstone || self.tombstones == Tombstones::Kept);
        self.any_kept |= kept.is_some();
        let left =
            versions.left_after(self.compacted).take_while(|(version, _)| version.at().main <= self.revision);
        self.heap.extend(left.map(|(version, tombstone)| {
            let (at, position) = (version.at(), version.position);
            let kept = kept.is_some_and(|kept| kept.version.at() == at);
            Reverse(Entry { at, position, tombstone, kept })
        }));
    }

    /// The next version that counts, once all are gathered.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        while let Some(Reverse(entry)) = self.heap.pop() {
            let dropped = entry.at.main <= self.compacted && self.any_kept && !entry.kept;
            let tombstone_there = entry.at.main == self.compacted && entry.tombstone;
            if !dropped && !tombstone_there {
                return Some(entry);
            }
        }
        None
    }
}

/// The running hash.
pub(crate) struct Hasher(u32);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(crc32c::crc32c(b"key"))
    }

    /// Adds one version, read from the store.
    pub(crate) fn add(&mut self, space: &KeySpace, entry: &Entry) -> Result<(), Error> {
        let read = space.values.read(entry.at, entry.position)?;
        self.add_pair(entry, &read.pair);
        Ok(())
    }

    fn add_pair(&mut self, entry: &Entry, pair: &Pair) {
        let mut key = [0u8; 18];
        key[..8].copy_from_slice(&entry.at.main.0.to_be_bytes());
        key[8] = b'_';
        key[9..17].copy_from_slice(&u64::from(entry.at.sub).to_be_bytes());
        key[17] = b't';
        let len = if entry.tombstone { 18 } else { 17 };
        self.0 = crc32c::crc32c_append(crc32c::crc32c_append(self.0, &key[..len]), &pair.0);
    }

    pub(crate) fn finish(&self) -> u32 {
        self.0
    }
}

impl KeySpace {
    /// HashKV at `asked`; zero means the latest revision, and below zero hashes nothing, as in etcd.
    pub(crate) fn hash_kv(&self, asked: Revision) -> Result<KeySpaceHash, Error> {
        if let Some(known) = self.hashes.at(asked) {
            return Ok(KeySpaceHash {
                hash: known.hash,
                compact_revision: known.previous,
                hash_revision: known.revision,
                revision: self.horizon.current(),
            });
        }
        let pin = self.pin();
        if asked > Revision::ZERO && asked < pin.compacted {
            return Err(Refusal::Compacted { compacted: pin.compacted }.into());
        }
        if asked > pin.current {
            return Err(Refusal::FutureRevision { current: pin.current }.into());
        }
        let revision = if asked == Revision::ZERO { pin.current } else { asked };
        let mut entries = Entries::new(pin.compacted, revision, Tombstones::Dropped);
        let mut cursor = Some(Cursor::first());
        while let Some(from) = cursor {
            cursor = self.index().page(&from, &KeyRange::all(), |_, versions| {
                entries.add(versions);
                ControlFlow::Continue(())
            });
        }
        let mut hasher = Hasher::new();
        while let Some(entry) = entries.pop() {
            hasher.add(self, &entry)?;
        }
        Ok(KeySpaceHash {
            hash: hasher.finish(),
            compact_revision: pin.compacted,
            hash_revision: revision,
            revision: pin.current,
        })
    }
}
