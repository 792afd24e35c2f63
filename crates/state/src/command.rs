//! What the state machine can be told to do: one value per committed entry, already parsed and bounded.
//!
//! Owns the vocabulary between the edge, the log codec (`node`) and `apply`. Knows no wire format. A value of these
//! types is well formed (no empty key, no contradictory fields); whether it is allowed, and whether it fits the store, is
//! decided elsewhere.

use crate::auth::AccessChange;
use crate::pki::CertificateChange;
use crate::query::RangeQuery;
use bytes::Bytes;
use types::{Key, KeyRange, LeaseId, MemberId, Revision};

/// One replicated act.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Writes one key.
    Put(Put),
    /// Deletes a range of keys.
    DeleteRange(DeleteRange),
    /// Compares, then does one of two lists of operations, all at one revision.
    Txn(Txn),
    /// Forgets the history below a revision.
    Compact(Compact),
    /// Makes a lease. The proposer has chosen the id and raised the TTL to the minimum.
    LeaseGrant(LeaseGrant),
    /// Ends a lease and deletes its keys.
    LeaseRevoke(LeaseId),
    /// Replicates the remaining life of leases, so that a new leader does not start them afresh.
    LeaseCheckpoint(Vec<LeaseRemaining>),
    /// Raises or clears an alarm.
    Alarm(AlarmChange),
    /// Changes users, roles, or whether access control is on.
    Access(AccessChange),
    /// Changes the register of certificates. No act of etcd's: only where every member is ours.
    Certificates(CertificateChange),
    /// Gives a token to a user whose password was found right.
    Authenticate(Authenticate),
    /// Records the version that all members speak.
    ClusterVersionSet(String),
    /// Records a member's name and client URLs.
    MemberAttributesSet(MemberAttributes),
    /// Records that a downgrade to a version is going on, or none.
    DowngradeSet(Option<String>),
    /// An entry without effect on the store (a new leader's first entry, a membership entry already handled).
    Nothing,
}

/// Writes one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: Key,
    /// The new value, or the old one kept (`ignore_value`).
    pub value: PutValue,
    /// The new lease, or the old one kept (`ignore_lease`).
    pub lease: PutLease,
    /// Whether the answer carries the pair as it was before.
    pub prev_kv: bool,
}

/// What a put does with the value.
#[derive(Clone, PartialEq, Eq)]
pub enum PutValue {
    /// Replaces it.
    Set(Bytes),
    /// Keeps it; refused when the key does not exist.
    Keep,
}

impl std::fmt::Debug for PutValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set(value) => write!(f, "Set({} bytes)", value.len()),
            Self::Keep => f.write_str("Keep"),
        }
    }
}

/// What a put does with the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutLease {
    /// Replaces it (`LeaseId::NONE` detaches).
    Set(LeaseId),
    /// Keeps it; refused when the key does not exist.
    Keep,
}

/// Deletes a range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRange {
    /// The keys.
    pub range: KeyRange,
    /// Whether the answer carries the pairs as they were before.
    pub prev_kv: bool,
}

/// Compares, then does one of two lists of operations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Txn {
    /// All must hold for `success` to be taken.
    pub compare: Vec<Compare>,
    /// Done when all comparisons hold.
    pub success: Vec<Op>,
    /// Done otherwise.
    pub failure: Vec<Op>,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Reads.
    Range(RangeQuery),
    /// Writes.
    Put(Put),
    /// Deletes.
    DeleteRange(DeleteRange),
    /// A transaction within.
    Txn(Txn),
}

impl Txn {
    /// Whether no operation of either list, nested ones included, can write.
    ///
    /// etcd's rule is narrower (it looks at one level only, and calls a nested transaction a write): the edge uses
    /// [`Txn::is_read_only_as_etcd_says`] to choose the path, this one is for `apply`.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| match op {
            Op::Range(_) => true,
            Op::Put(_) | Op::DeleteRange(_) => false,
            Op::Txn(inner) => inner.only_reads(),
        })
    }

    /// Whether etcd would answer this transaction without the log: every operation of this level is a range.
    #[must_use]
    pub fn is_read_only_as_etcd_says(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| matches!(op, Op::Range(_)))
    }
}

/// One comparison of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key, or all keys of a range (each must satisfy it; none counts as an absent key).
    pub range: KeyRange,
    /// What is compared, with what.
    pub operand: CompareOperand,
    /// How.
    pub relation: CompareRelation,
}

/// What a comparison looks at, with the value it is held against.
#[derive(Clone, PartialEq, Eq)]
pub enum CompareOperand {
    /// Number of writes since the key was created; 0 for an absent key.
    Version(i64),
    /// Revision at which the key was created; 0 for an absent key.
    Create(i64),
    /// Revision of the last write; 0 for an absent key.
    Mod(i64),
    /// The value; never satisfied by an absent key.
    Value(Bytes),
    /// The lease; 0 for none and for an absent key.
    Lease(i64),
}

impl std::fmt::Debug for CompareOperand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(n) => write!(f, "Version({n})"),
            Self::Create(n) => write!(f, "Create({n})"),
            Self::Mod(n) => write!(f, "Mod({n})"),
            Self::Lease(n) => write!(f, "Lease({n})"),
            Self::Value(value) => write!(f, "Value({} bytes)", value.len()),
        }
    }
}

/// How a comparison holds the key's side against the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareRelation {
    /// Equal.
    Equal,
    /// The key's side is greater.
    Greater,
    /// The key's side is less.
    Less,
    /// Not equal.
    NotEqual,
    /// A relation etcd does not know; it lets such a comparison hold (unless the key is absent and values are compared).
    Unknown,
}

/// Forgets the history below a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compact {
    /// The oldest revision that stays readable.
    pub revision: Revision,
    /// Whether the answer waits until the history is gone from the store.
    pub physical: bool,
}

/// Makes a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGrant {
    /// Its id, never `LeaseId::NONE`.
    pub id: LeaseId,
    /// Its time to live, in seconds.
    pub ttl_seconds: i64,
}

/// A lease's remaining life, replicated now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRemaining {
    /// The lease.
    pub id: LeaseId,
    /// Seconds left.
    pub remaining_seconds: i64,
}

/// Raises or clears an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmChange {
    /// Raise or clear.
    pub action: AlarmAction,
    /// Whose alarm.
    pub alarm: Alarm,
}

/// Raise or clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmAction {
    /// Lists the alarms of a kind; replicated, as etcd does, and without effect.
    List,
    /// Raises.
    Raise,
    /// Clears exactly this member's alarm of exactly this kind; nothing when it does not stand. (etcd's client lists
    /// the alarms and clears each when asked to clear all.)
    Clear,
}

/// An alarm of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alarm {
    /// Which member.
    pub member: MemberId,
    /// What kind.
    pub kind: AlarmKind,
}

/// The kinds of alarm that etcd's clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// In requests: any kind.
    None,
    /// The store is over its quota: puts are refused.
    NoSpace,
    /// Members disagree: all but reads of status are refused.
    Corrupt,
}

/// A member's name and client URLs, which it tells the others at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAttributes {
    /// Which member.
    pub member: MemberId,
    /// Its name for people.
    pub name: String,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
}

/// Gives a token to a user whose password was found right.
#[derive(Clone, PartialEq, Eq)]
pub struct Authenticate {
    /// The user's name.
    pub user: String,
    /// What the token begins with: chosen by the proposer, not to be guessed.
    pub token_prefix: String,
}

impl std::fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticate({:?}, ***)", self.user)
    }
}
