//! Revisions: the logical time of the key space.
//!
//! Source: etcd's data model. A store starts at revision 1; every transaction that changes something takes the next
//! main revision, and each change inside it the next sub revision from 0.

use std::fmt;

/// A main revision. Ordered; 1 is the empty store, 0 and below mean "latest" where a request carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision of a store that has never been written.
    pub const FIRST: Self = Self(1);
    /// No revision: "latest" in requests, "never compacted" in the store.
    pub const ZERO: Self = Self(0);

    /// The revision after this one.
    ///
    /// # Panics
    /// After 2^63 revisions, which no store reaches.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a store has fewer than 2^63 revisions"))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The exact place of one change: main revision, and its number inside that transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModRevision {
    /// The transaction's revision.
    pub main: Revision,
    /// The change's number inside the transaction, from 0.
    pub sub: u32,
}

impl ModRevision {
    /// The place of change number `sub` in the transaction at `main`.
    #[must_use]
    pub fn new(main: Revision, sub: u32) -> Self {
        Self { main, sub }
    }
}

impl fmt::Display for ModRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}
