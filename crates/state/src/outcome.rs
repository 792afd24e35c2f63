//! What came of a command or a query, in the house's own words; `server` alone turns it into etcd's messages.
//!
//! Pairs travel as [`Pair`]: etcd's encoded `mvccpb.KeyValue`, the same bytes from the store's record to the wire.

use crate::auth::Accounts;
use crate::command::Alarm;
use crate::error::Refusal;
use crate::membership::Membership;
pub use crate::pair::{Malformed, Pair, PairView};
use std::sync::Arc;
use types::{Key, LeaseId, ModRevision, Revision};

/// What applying one entry came to.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The store's revision after it: what the answer's header carries.
    pub revision: Revision,
    /// The outcome, or why the state machine refused (which changes nothing).
    pub result: Result<Outcome, Refusal>,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A put.
    Put(PutOutcome),
    /// A deletion.
    DeleteRange(DeleteRangeOutcome),
    /// A transaction.
    Txn(TxnOutcome),
    /// A compaction: the history is forgotten.
    Compact,
    /// A lease was made.
    LeaseGrant {
        /// Its id.
        id: LeaseId,
        /// Its time to live, in seconds.
        ttl_seconds: i64,
    },
    /// A lease was ended.
    LeaseRevoke,
    /// The alarms that the change touched (or, for a list, that stand).
    Alarm(Vec<Alarm>),
    /// A token was given to the user.
    Authenticated {
        /// The token.
        token: Arc<str>,
    },
    /// Nothing to tell.
    Nothing,
}

/// What a put did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutOutcome {
    /// The pair as it was, when asked for and there.
    pub prev: Option<Pair>,
}

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRangeOutcome {
    /// How many keys it deleted.
    pub deleted: i64,
    /// The pairs as they were, when asked for.
    pub prev: Vec<Pair>,
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnOutcome {
    /// Whether the comparisons held.
    pub succeeded: bool,
    /// One outcome for each operation taken, in order.
    pub ops: Vec<OpOutcome>,
}

/// What one operation of a transaction did, with the header revision etcd puts in its answer (zero, that is none, for a
/// transaction within).
#[derive(Clone, Debug, PartialEq)]
pub enum OpOutcome {
    /// A read.
    Range(RangeOutcome),
    /// A put.
    Put(PutOutcome, Revision),
    /// A deletion.
    DeleteRange(DeleteRangeOutcome, Revision),
    /// A transaction within.
    Txn(TxnOutcome, Revision),
}

/// What a range read found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeOutcome {
    /// The store's revision when it was read: what the answer's header carries.
    pub revision: Revision,
    /// The pairs, projected as asked.
    pub pairs: Vec<Pair>,
    /// Whether the limit cut the answer.
    pub more: bool,
    /// How many keys the range holds, before limit and revision filters.
    pub count: i64,
}

/// One change of one key, as watchers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub revision: ModRevision,
    /// What.
    pub kind: EventKind,
    /// The pair after a put; after a deletion only its key and the revision of the deletion. Exactly the bytes of
    /// the `kv` field of etcd's event.
    pub pair: Pair,
}

/// What stands beside the key space in a copy of the whole: read when the key space was pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedFacts {
    /// The revision that the copy is of.
    pub revision: Revision,
    /// The revision of the last compaction; -1 before the first.
    pub compacted: Revision,
    /// The leases by id: id, whole life, remaining life last replicated (0: none). One that ends or is granted at the
    /// very moment of the copy may be among them.
    pub leases: Vec<(LeaseId, i64, i64)>,
    /// The alarms that stand.
    pub alarms: Vec<Alarm>,
    /// The membership.
    pub membership: Membership,
    /// Users, roles, and whether access control is on.
    pub accounts: Accounts,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was written.
    Put,
    /// It was deleted.
    Delete,
}

/// One page of a range read at a pinned revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangePage {
    /// The store's revision when this page was read.
    pub revision: Revision,
    /// The pairs, by key.
    pub pairs: Vec<Pair>,
    /// Where the next page starts; `None` when the range is exhausted.
    pub next: Option<Key>,
}

/// One page of history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events in order; a revision is never split between pages.
    pub events: Vec<Event>,
    /// The revision from which the next page goes on; everything below it has been told.
    pub next: Revision,
}

/// The hash of the key space at a revision, equal to etcd's for an equal history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpaceHash {
    /// CRC-32C over the kept revisions.
    pub hash: u32,
    /// The compaction that the hash stands on; -1 before the first.
    pub compact_revision: Revision,
    /// The revision up to which was hashed.
    pub hash_revision: Revision,
    /// The store's revision when the hash was asked for.
    pub revision: Revision,
}

/// What the store weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the store's files.
    pub disk_bytes: u64,
    /// Bytes of records not yet compacted, history included: what the quota counts.
    pub live_bytes: u64,
    /// Bytes of what has no revision: members, leases.
    pub facts_bytes: u64,
    /// Keys that exist at the latest revision.
    pub keys: u64,
}
