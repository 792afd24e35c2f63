//! Why the state machine says no ([`Refusal`], part of the replicated outcome), and why it cannot go on ([`Error`]).

use crate::auth::Denied;
use crate::pair::Malformed;
use types::{LeaseId, MemberId, Revision};

/// A refusal: deterministic, the same on every member, and nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `ignore_value` or `ignore_lease` on a key that does not exist.
    #[error("key not found")]
    KeyNotFound,
    /// The lease is unknown.
    #[error("lease {0} not found")]
    LeaseNotFound(LeaseId),
    /// The lease's id is taken.
    #[error("lease {0} exists")]
    LeaseExists(LeaseId),
    /// The time to live is beyond the longest lease.
    #[error("lease ttl of {0} s is too large")]
    LeaseTtlTooLarge(i64),
    /// The revision is below the compacted one.
    #[error("revision compacted; {compacted} is the oldest")]
    Compacted {
        /// The oldest readable revision.
        compacted: Revision,
    },
    /// The revision is not written yet.
    #[error("revision is in the future; {current} is the latest")]
    FutureRevision {
        /// The latest revision.
        current: Revision,
    },
    /// The space alarm stands: what would grow the store is refused.
    #[error("database space exceeded")]
    NoSpace,
    /// A member with this id is already there.
    #[error("member {0} exists")]
    MemberExists(MemberId),
    /// No such member.
    #[error("member {0} not found")]
    MemberNotFound(MemberId),
    /// The member was removed once; its id never comes back.
    #[error("member {0} was removed")]
    MemberRemoved(MemberId),
    /// Another member has one of these peer URLs.
    #[error("a peer url is in use")]
    PeerUrlExists,
    /// Only a learner can be promoted.
    #[error("member {0} is not a learner")]
    MemberNotLearner(MemberId),
    /// The corruption alarm stands.
    #[error("corrupt cluster")]
    Corrupt,
    /// The policy does not let the entry's proposer do it (any more).
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Access control cannot be turned on without a root user.
    #[error("root user does not exist")]
    RootUserMissing,
    /// The root user has not the root role.
    #[error("root user does not have root role")]
    RootRoleMissing,
    /// A user needs a name.
    #[error("user name is empty")]
    UserNameEmpty,
    /// The user's name is taken.
    #[error("user name already exists")]
    UserExists,
    /// No such user.
    #[error("user name not found")]
    UserNotFound,
    /// A role needs a name.
    #[error("role name is empty")]
    RoleNameEmpty,
    /// The role's name is taken.
    #[error("role name already exists")]
    RoleExists,
    /// No such role.
    #[error("role name not found")]
    RoleNotFound,
    /// The user does not hold the role.
    #[error("role is not granted to the user")]
    RoleNotGranted,
    /// A permission is to be granted, and none was named.
    #[error("permission not given")]
    PermissionNotGiven,
    /// The role has no permission on exactly this range.
    #[error("permission is not granted to the role")]
    PermissionNotGranted,
    /// Root cannot lose what makes it root; a permission's range must not be inverted.
    #[error("invalid auth management")]
    InvalidAccessChange,
    /// No such rule to recognize certificates by.
    #[error("no identity rule of this name")]
    IdentityRuleNotFound,
    /// No such certificate, or it has ended.
    #[error("no certificate of this serial number, or it has ended")]
    CertificateNotFound,
    /// No such authority, or it issues nothing any more.
    #[error("the authority is not one of this cluster, or was replaced")]
    AuthorityNotFound,
    /// No such holder of keys.
    #[error("no holder of keys of this name")]
    KeyHolderNotFound,
    /// The token is unknown, was used, has ended, or is for something else.
    #[error("the enrolment token is unknown, was used, has ended or is for another certificate")]
    EnrolmentTokenInvalid,
    /// As many as a cluster may have.
    #[error("the register of certificates is full")]
    RegisterFull,
    /// There are no tokens while access control is off.
    #[error("authentication is not enabled")]
    AccessControlOff,
    /// The user is gone or can have no token.
    #[error("authentication failed, invalid user ID or password")]
    AuthenticationFailed,
}

/// The state machine cannot go on: the member must stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed or holds what its seal does not match.
    #[error("storage: {0}")]
    Storage(#[from] storage::Error),
    /// The store holds a record that this version cannot read, or that contradicts another.
    #[error("state record at {place} is not understood: {what}")]
    Record {
        /// Where.
        place: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An earlier error left an entry half done.
    #[error(
        "the state machine refuses work after an error; hint: see the error before, then restart the member"
    )]
    Broken,
    /// A transaction that writes was given to a reader.
    #[error("the transaction is not read-only")]
    NotReadOnly,
    /// A pair of the store is not one.
    #[error(transparent)]
    Pair(#[from] Malformed),
    /// A read was refused (compacted, future revision).
    #[error(transparent)]
    Refused(#[from] Refusal),
}
