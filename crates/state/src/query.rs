//! What can be asked of the key space: ranges with etcd's options.

use types::{KeyRange, Revision};

/// A read of a range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// The keys.
    pub range: KeyRange,
    /// Most pairs to answer; 0 for all.
    pub limit: u64,
    /// The revision to read at; zero or below means the latest.
    pub revision: Revision,
    /// In which order; `None` is by key, ascending, the only order that pushes the limit down.
    pub sort: Option<Sort>,
    /// What of each pair the answer carries.
    pub projection: Projection,
    /// Only pairs last written at or after this revision; 0 for all.
    pub min_mod_revision: i64,
    /// Only pairs last written at or before this revision; 0 for all.
    pub max_mod_revision: i64,
    /// Only pairs created at or after this revision; 0 for all.
    pub min_create_revision: i64,
    /// Only pairs created at or before this revision; 0 for all.
    pub max_create_revision: i64,
}

impl RangeQuery {
    /// The whole of `range` at the latest revision, by key.
    #[must_use]
    pub fn latest(range: KeyRange) -> Self {
        Self {
            range,
            limit: 0,
            revision: Revision::ZERO,
            sort: None,
            projection: Projection::KeysAndValues,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
        }
    }
}

/// What of each pair an answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Everything.
    KeysAndValues,
    /// Everything but the value.
    KeysOnly,
    /// Only how many.
    CountOnly,
}

/// An order other than etcd's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub target: SortTarget,
    /// Which way.
    pub order: SortOrder,
}

/// What a range is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortTarget {
    /// The key's bytes.
    Key,
    /// Number of writes since creation.
    Version,
    /// Revision of creation.
    Create,
    /// Revision of the last write.
    Mod,
    /// The value's bytes.
    Value,
}

/// Which way a range is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortOrder {
    /// The request named a target but no order. etcd takes the first `limit` keys in key order and only then
    /// sorts those, ascending; so this is not the same as `Ascending`.
    Unspecified,
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// How much one page of a paged read may carry. A page always carries at least one item, so that it makes progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimits {
    /// Most items; at least one is always answered.
    pub items: usize,
    /// Most bytes of encoded pairs; the item that crosses it is the page's last.
    pub bytes: usize,
}
