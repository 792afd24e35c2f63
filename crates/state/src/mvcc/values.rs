//! The pairs themselves: hot ones in memory, all of them in the sealed store.
//!
//! Owns a cache keyed by exact revision and limited in bytes (a pair of a revision never changes, so nothing in it is
//! ever stale), over the store's reader. Checks that a record is the one it was asked for.

use super::versions::Version;
use crate::error::Error;
use crate::pair::Pair;
use crate::record::{REVISION_BYTES, Record};
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use std::hash::{BuildHasherDefault, DefaultHasher};
use storage::{Position, StoreReader};
use types::ModRevision;

/// What a cached pair costs beyond its bytes, roughly.
const ENTRY_OVERHEAD_BYTES: u64 = 96;
/// How large a pair is on average, to size the cache's tables; a guess does no harm.
const PAIR_BYTES_TYPICAL: u64 = 512;

type Hasher = BuildHasherDefault<DefaultHasher>;

#[derive(Clone)]
struct ByBytes;

impl Weighter<ModRevision, Pair> for ByBytes {
    fn weight(&self, _: &ModRevision, pair: &Pair) -> u64 {
        (pair.0.len() as u64).saturating_add(ENTRY_OVERHEAD_BYTES)
    }
}

/// Pairs by revision.
pub(crate) struct Values {
    cache: Cache<ModRevision, Pair, ByBytes, Hasher>,
    store: StoreReader,
}

/// A record of the history: a put's pair, or the key that was deleted.
pub(crate) struct Read {
    pub(crate) tombstone: bool,
    pub(crate) pair: Pair,
}

impl Values {
    pub(crate) fn new(store: StoreReader, cache_bytes: u64) -> Self {
        let items = usize::try_from(cache_bytes / PAIR_BYTES_TYPICAL).unwrap_or(usize::MAX).max(16);
        let cache = Cache::with(items, cache_bytes, ByBytes, Hasher::default(), DefaultLifecycle::default());
        Self { cache, store }
    }

    /// Remembers a pair just written.
    pub(crate) fn remember(&self, at: ModRevision, pair: Pair) {
        self.cache.insert(at, pair);
    }

    /// The pair of a live version.
    pub(crate) fn pair(&self, version: Version) -> Result<Pair, Error> {
        if let Some(pair) = self.cache.get(&version.at()) {
            return Ok(pair);
        }
        let read = self.read(version.at(), version.position)?;
        if read.tombstone {
            return Err(damaged(version.position, "a deletion where a pair was expected"));
        }
        self.cache.insert(version.at(), read.pair.clone());
        Ok(read.pair)
    }

    /// The record of any change, past the cache: for walks over history that would wash the hot pairs out.
    pub(crate) fn read(&self, at: ModRevision, position: Position) -> Result<Read, Error> {
        let (kind, payload) = self.store.read(position)?;
        let tombstone = match Record::decode(kind.0, &payload) {
            Ok(Record::Put(found, _)) if found == at => false,
            Ok(Record::Deletion(found, _)) if found == at => true,
            Ok(_) => return Err(damaged(position, "the record of another change")),
            Err(what) => return Err(damaged(position, what)),
        };
        Ok(Read { tombstone, pair: Pair(payload.slice(REVISION_BYTES..)) })
    }

    /// Bytes of the store's files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.store.disk_bytes()
    }
}

/// The store's record is not what the state needs.
pub(crate) fn damaged(position: Position, what: &'static str) -> Error {
    Error::Record { place: position.to_string(), what }
}
