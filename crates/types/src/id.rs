//! Numbers that name things: log positions, members, leases, requests.
//!
//! Each is a type of its own; they convert only by name (`get`-free: the inner number is public as `.0`, since there is
//! no invalid value to keep out).

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl From<$inner> for $name {
            fn from(inner: $inner) -> Self {
                Self(inner)
            }
        }
    };
}

number!(
    /// A raft term.
    Term(u64), "{}"
);
number!(
    /// A position in the replicated log; the first entry has index 1, 0 means "before the log".
    LogIndex(u64), "{}"
);
number!(
    /// A lease's id. etcd lets clients choose any non-zero value; 0 asks the server to choose a positive one.
    LeaseId(i64), "{:016x}"
);
number!(
    /// A member's id, as etcd computes it (16 hex digits when printed).
    MemberId(u64), "{:016x}"
);
number!(
    /// A cluster's id (16 hex digits when printed).
    ClusterId(u64), "{:016x}"
);
number!(
    /// The revision of the access policy: plus one for every change of users, roles or permissions.
    AuthRevision(u64), "{}"
);
number!(
    /// Names one proposal between the member that made it and the entry that answers it.
    RequestId(u64), "{:016x}"
);

impl LogIndex {
    /// The index after this one.
    ///
    /// # Panics
    /// After 2^64 entries, which no log reaches.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a log has fewer than 2^64 entries"))
    }

    /// `count` positions back, stopping at 0.
    #[must_use]
    pub fn saturating_back(self, count: u64) -> Self {
        Self(self.0.saturating_sub(count))
    }
}

impl LeaseId {
    /// The absent lease: what a key without one carries.
    pub const NONE: Self = Self(0);

    /// Whether this is the absent lease.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}
