//! The status table: every way a call can fail, with etcd's exact code and text.
//!
//! Owns the one place where a status is made. Clients match on the text, and some on the code: neither changes without
//! the real etcd changing. Texts of our own, for what etcd has no words for, begin with `strongroom:`.
//!
//! Source: etcd 3.7's `api/v3rpc/rpctypes/error.go` and `server/etcdserver/api/v3rpc/util.go`, and the wire. Two rows are
//! not what that table suggests: etcd maps "too many requests" and "not enough started members" to its client's form of
//! the error, which has no gRPC status, so they arrive as `Unknown`.

use state::Refusal;
use state::auth::Denied;
use std::borrow::Cow;
use tonic::{Code, Status};

macro_rules! table {
    ($($name:ident = $code:ident, $text:literal;)+) => {
        /// Why a call failed.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is its text, in the table below")]
        pub enum Failure {
            $($name,)+
            /// What etcd has no row for.
            Other(Code, Cow<'static, str>),
        }

        impl Failure {
            /// Code and text, as they go onto the wire.
            #[must_use]
            pub fn row(&self) -> (Code, &str) {
                match self {
                    $(Self::$name => (Code::$code, $text),)+
                    Self::Other(code, text) => (*code, text),
                }
            }
        }

        #[cfg(test)]
        const ROWS: &[Failure] = &[$(Failure::$name),+];
    };
}

table! {
    EmptyKey = InvalidArgument, "etcdserver: key is not provided";
    KeyNotFound = InvalidArgument, "etcdserver: key not found";
    ValueProvided = InvalidArgument, "etcdserver: value is provided";
    LeaseProvided = InvalidArgument, "etcdserver: lease is provided";
    TooManyOps = InvalidArgument, "etcdserver: too many operations in txn request";
    DuplicateKey = InvalidArgument, "etcdserver: duplicate key given in txn request";
    InvalidClientApiVersion = InvalidArgument, "etcdserver: invalid client api version";
    InvalidSortOption = InvalidArgument, "etcdserver: invalid sort option";
    MemberBadUrls = InvalidArgument, "etcdserver: given member URLs are invalid";
    RequestTooLarge = InvalidArgument, "etcdserver: request is too large";
    UserEmpty = InvalidArgument, "etcdserver: user name is empty";
    RoleEmpty = InvalidArgument, "etcdserver: role name is empty";
    AuthFailed = InvalidArgument, "etcdserver: authentication failed, invalid user ID or password";
    PermissionNotGiven = InvalidArgument, "etcdserver: permission not given";
    InvalidAuthManagement = InvalidArgument, "etcdserver: invalid auth management";
    AuthOldRevision = InvalidArgument, "etcdserver: revision of auth store is old";
    WrongDowngradeVersionFormat = InvalidArgument, "etcdserver: wrong downgrade target version format";
    InvalidDowngradeTargetVersion = InvalidArgument, "etcdserver: invalid downgrade target version";
    Compacted = OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    FutureRevision = OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    LeaseTtlTooLarge = OutOfRange, "etcdserver: too large lease TTL";
    NoSpace = ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    TooManyRequests = Unknown, "etcdserver: too many requests";
    LeaseNotFound = NotFound, "etcdserver: requested lease not found";
    MemberNotFound = NotFound, "etcdserver: member not found";
    LeaseExists = FailedPrecondition, "etcdserver: lease already exists";
    MemberExists = FailedPrecondition, "etcdserver: member ID already exist";
    PeerUrlExists = FailedPrecondition, "etcdserver: Peer URLs already exists";
    NotEnoughStartedMembers = Unknown,
        "etcdserver: re-configuration failed due to not enough started members";
    MemberNotLearner = FailedPrecondition, "etcdserver: can only promote a learner member";
    LearnerNotReady = FailedPrecondition,
        "etcdserver: can only promote a learner member which is in sync with leader";
    TooManyLearners = FailedPrecondition, "etcdserver: too many learner members in cluster";
    ClusterIdMismatch = FailedPrecondition, "etcdserver: cluster ID mismatch";
    RootUserNotExist = FailedPrecondition, "etcdserver: root user does not exist";
    RootRoleNotExist = FailedPrecondition, "etcdserver: root user does not have root role";
    UserExists = FailedPrecondition, "etcdserver: user name already exists";
    UserNotFound = FailedPrecondition, "etcdserver: user name not found";
    RoleExists = FailedPrecondition, "etcdserver: role name already exists";
    RoleNotFound = FailedPrecondition, "etcdserver: role name not found";
    RoleNotGranted = FailedPrecondition, "etcdserver: role is not granted to the user";
    PermissionNotGranted = FailedPrecondition, "etcdserver: permission is not granted to the role";
    AuthNotEnabled = FailedPrecondition, "etcdserver: authentication is not enabled";
    NotLeader = FailedPrecondition, "etcdserver: not leader";
    NotCapable = FailedPrecondition, "etcdserver: not capable";
    NotSupportedForLearner = FailedPrecondition, "etcdserver: rpc not supported for learner";
    BadLeaderTransferee = FailedPrecondition, "etcdserver: bad leader transferee";
    ClusterVersionUnavailable = FailedPrecondition, "etcdserver: cluster version not found during downgrade";
    DowngradeInProcess = FailedPrecondition, "etcdserver: cluster has a downgrade job in progress";
    NoInflightDowngrade = FailedPrecondition, "etcdserver: no inflight downgrade job";
    PermissionDenied = PermissionDenied, "etcdserver: permission denied";
    InvalidAuthToken = Unauthenticated, "etcdserver: invalid auth token";
    NoLeader = Unavailable, "etcdserver: no leader";
    LeaderChanged = Unavailable, "etcdserver: leader changed";
    Stopped = Unavailable, "etcdserver: server stopped";
    Timeout = Unavailable, "etcdserver: request timed out";
    TimeoutLeaderFailure = Unavailable,
        "etcdserver: request timed out, possibly due to previous leader failure";
    TimeoutConnectionLost = Unavailable, "etcdserver: request timed out, possibly due to connection lost";
    TimeoutAppliedIndex = Unavailable,
        "etcdserver: request timed out, waiting for the applied index took too long";
    Unhealthy = Unavailable, "etcdserver: unhealthy cluster";
    Corrupt = DataLoss, "etcdserver: corrupt cluster";
    WatchCanceled = Cancelled, "etcdserver: watch canceled";
    Canceled = Cancelled, "etcdserver: request canceled";
    DeadlineExceeded = DeadlineExceeded, "context deadline exceeded";
    UnknownMethod = Unknown, "etcdserver: unknown method";
    LeaderTransferTimeout = Unknown, "etcdserver: request timed out, leader transfer took too long";
    SessionExpired = Unknown, "mutex: session is expired";
    ElectionNotLeader = Unknown, "election: not leader";
    ElectionNoLeader = Unknown, "election: no leader";
    MissingLeaderKey = Unknown, "\"leader\" field must be provided";
    UnknownService = NotFound, "unknown service";
    StreamSortOrder = Unimplemented, "RangeStream does not support custom sort orders";
    StreamRevisionFilters = Unimplemented, "RangeStream does not support revision filters";
    StoreFailed = DataLoss,
        "strongroom: the store failed or does not match its seal; this member is stopping, its log says why";
}

impl Failure {
    /// What etcd does and this version does not, with what to do instead.
    #[must_use]
    pub fn not_yet(text: &'static str) -> Self {
        Self::Other(Code::Unimplemented, Cow::Borrowed(text))
    }

    /// An answer that the framing has no room for, in the words of etcd's gRPC library.
    #[must_use]
    pub fn too_large_to_send(bytes: u64, max: usize) -> Self {
        let text = format!("grpc: trying to send message larger than max ({bytes} vs. {max})");
        Self::Other(Code::ResourceExhausted, Cow::Owned(text))
    }

    /// What the lock and election services make of it: they are clients of the key space in etcd, and an error that
    /// passed a client has no status any more.
    #[must_use]
    pub fn behind_a_client(self) -> Self {
        let (code, text) = self.row();
        match code {
            Code::PermissionDenied | Code::Cancelled | Code::DeadlineExceeded | Code::Unimplemented => self,
            _ => Self::Other(Code::Unknown, Cow::Owned(text.to_owned())),
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let (code, text) = failure.row();
        Self::new(code, text)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Anonymous => Self::UserEmpty,
            Denied::InvalidToken => Self::InvalidAuthToken,
            Denied::OldRevision => Self::AuthOldRevision,
            Denied::UnknownUser => Self::UserNotFound,
            Denied::Forbidden => Self::PermissionDenied,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::KeyNotFound => Self::KeyNotFound,
            Refusal::LeaseNotFound(_) => Self::LeaseNotFound,
            Refusal::LeaseExists(_) => Self::LeaseExists,
            Refusal::LeaseTtlTooLarge(_) => Self::LeaseTtlTooLarge,
            Refusal::Compacted { .. } => Self::Compacted,
            Refusal::FutureRevision { .. } => Self::FutureRevision,
            Refusal::NoSpace => Self::NoSpace,
            Refusal::MemberExists(_) => Self::MemberExists,
            Refusal::MemberNotFound(_) | Refusal::MemberRemoved(_) => Self::MemberNotFound,
            Refusal::PeerUrlExists => Self::PeerUrlExists,
            Refusal::MemberNotLearner(_) => Self::MemberNotLearner,
            Refusal::Corrupt => Self::Corrupt,
            Refusal::Denied(denied) => denied.into(),
            Refusal::RootUserMissing => Self::RootUserNotExist,
            Refusal::RootRoleMissing => Self::RootRoleNotExist,
            Refusal::UserNameEmpty => Self::UserEmpty,
            Refusal::UserExists => Self::UserExists,
            Refusal::UserNotFound => Self::UserNotFound,
            Refusal::RoleNameEmpty => Self::RoleEmpty,
            Refusal::RoleExists => Self::RoleExists,
            Refusal::RoleNotFound => Self::RoleNotFound,
            Refusal::RoleNotGranted => Self::RoleNotGranted,
            Refusal::PermissionNotGiven => Self::PermissionNotGiven,
            Refusal::PermissionNotGranted => Self::PermissionNotGranted,
            Refusal::InvalidAccessChange => Self::InvalidAuthManagement,
            Refusal::IdentityRuleNotFound => {
                Self::Other(Code::NotFound, Cow::Borrowed("strongroom: no identity rule of this name"))
            }
            refusal @ (Refusal::CertificateNotFound
            | Refusal::AuthorityNotFound
            | Refusal::KeyHolderNotFound) => Self::Other(
                Code::NotFound,
                Cow::Owned(format!("strongroom: {refusal}; hint: strongroom pki list")),
            ),
            Refusal::EnrolmentTokenInvalid => {
                let text = "strongroom: the enrolment token is unknown, was used, has ended or is for other roles; hint: an administrator makes another with strongroom pki token";
                Self::Other(Code::PermissionDenied, Cow::Borrowed(text))
            }
            Refusal::RegisterFull => {
                let text = "strongroom: the register of certificates is full; hint: revoke nothing for it, ended ones leave by themselves; take tokens back with strongroom pki token remove";
                Self::Other(Code::ResourceExhausted, Cow::Borrowed(text))
            }
            Refusal::AccessControlOff => Self::AuthNotEnabled,
            Refusal::AuthenticationFailed => Self::AuthFailed,
            other => Self::Other(Code::Unknown, Cow::Owned(format!("strongroom: {other}"))),
        }
    }
}

impl From<node::Refused> for Failure {
    fn from(refused: node::Refused) -> Self {
        use node::Refused;
        match refused {
            Refused::TooManyRequests => Self::TooManyRequests,
            Refused::TooLarge { .. } => Self::RequestTooLarge,
            Refused::NoLeader => Self::NoLeader,
            Refused::LeaderChanged => Self::LeaderChanged,
            Refused::Stopped => Self::Stopped,
            Refused::TimedOut => Self::Timeout,
            Refused::LeaseNotFound => Self::LeaseNotFound,
            Refused::State(refusal) => refusal.into(),
            Refused::Storage(_) => Self::StoreFailed,
            other => Self::Other(Code::Unknown, Cow::Owned(format!("strongroom: {other}"))),
        }
    }
}

impl From<state::Error> for Failure {
    fn from(error: state::Error) -> Self {
        match error {
            state::Error::Refused(refusal) => refusal.into(),
            other => {
                tracing::error!(error = %other, "a read failed");
                Self::StoreFailed
            }
        }
    }
}

/// The same for a method with a stream, of which that library speaks in other words.
#[must_use]
pub fn reworded_on_stream(status: &Status) -> Option<Status> {
    let unary = reworded(status)?;
    let why = unary.message().strip_prefix("grpc: error unmarshalling request: ");
    Some(match why {
        Some(why) => {
            Status::new(unary.code(), format!("grpc: failed to unmarshal the received message: {why}"))
        }
        None => unary,
    })
}

/// A decoder's complaint in the words of etcd's gRPC library, where that library has words for it.
#[must_use]
pub fn reworded(status: &Status) -> Option<Status> {
    let text = status.message();
    match status.code() {
        Code::OutOfRange => {
            let rest = text.strip_prefix("Error, decoded message length too large: found ")?;
            let (found, rest) = rest.split_once(" bytes, the limit is: ")?;
            let limit = rest.strip_suffix(" bytes")?;
            Some(Status::resource_exhausted(format!(
                "grpc: received message larger than max ({found} vs. {limit})"
            )))
        }
        Code::Internal if text == "Unexpected EOF decoding stream." => {
            Some(Status::unknown("unexpected EOF"))
        }
        Code::Internal if text == "Missing request message." => Some(Status::unknown("EOF")),
        Code::Internal if text.contains("compressed-flag but no grpc-encoding") => {
            Some(Status::internal("grpc: compressed flag set with identity or empty encoding"))
        }
        Code::Internal if text.contains("invalid compression flag: ") => {
            let (_, rest) = text.split_once("invalid compression flag: ")?;
            let flag = rest.split(' ').next()?;
            Some(Status::internal(format!("grpc: received unexpected payload format {flag}")))
        }
        Code::Internal => {
            let why = text.strip_prefix("failed to decode Protobuf message")?;
            Some(Status::internal(if why.contains("UTF-8") {
                "grpc: error unmarshalling request: string field contains invalid UTF-8"
            } else {
                "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data"
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
