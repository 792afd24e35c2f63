//! What a member counts and measures of itself, for whoever shows its numbers.
//!
//! Owns the instruments that the member's threads write and a scrape reads; what stands in the state itself (revisions,
//! sizes, keys) is read there. Times come from the member's clock. Writing is an atomic addition or two.
//!
//! Invariant: nothing here is read by anything that decides.

use crate::meter::{Counter, Gauge, Histogram};
use state::auth::AccessChange;
use state::command::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// 1 ms doubling to 8.192 s: disks and requests.
const FROM_1MS: &[f64] =
    &[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192];
/// 0.1 ms doubling to 52 s: applying.
const FROM_100US: &[f64] = &[
    0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512, 0.1024, 0.2048, 0.4096,
    0.8192, 1.6384, 3.2768, 6.5536, 13.1072, 26.2144, 52.4288,
];
/// 1 s doubling to 2^23 s: lives of leases.
const LEASE_SECONDS: &[f64] = &[
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
    128.0,
    256.0,
    512.0,
    1024.0,
    2048.0,
    4096.0,
    8192.0,
    16384.0,
    32768.0,
    65536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
];
/// 100 ms doubling to 819.2 s, in milliseconds: compactions.
const COMPACTION_MILLIS: &[f64] = &[
    100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, 12800.0, 25600.0, 51200.0, 102_400.0, 204_800.0,
    409_600.0, 819_200.0,
];
/// Applying longer than this is slow, unless it is said otherwise.
const SLOW_APPLY: Duration = Duration::from_millis(100);

macro_rules! operations {
    ($($name:ident)+) => {
        /// What is timed, under etcd's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // the names say it
        pub enum Op {
            $($name),+
        }

        impl Op {
            /// All, in the order of their names.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$name),+];
            const COUNT: usize = [$(stringify!($name)),+].len();

            /// etcd's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),+
                }
            }
        }
    };
}

operations! {
    Alarm
    AuthDisable
    AuthEnable
    AuthRoleAdd
    AuthRoleDelete
    AuthRoleGet
    AuthRoleGrantPermission
    AuthRoleList
    AuthRoleRevokePermission
    AuthStatus
    AuthUserAdd
    AuthUserChangePassword
    AuthUserDelete
    AuthUserGet
    AuthUserGrantRole
    AuthUserList
    AuthUserRevokeRole
    Authenticate
    ClusterMemberAttrSet
    ClusterVersionSet
    Compaction
    DeleteRange
    DowngradeInfoSet
    LeaseCheckpoint
    LeaseGrant
    LeaseRevoke
    Put
    Range
    ReadonlyTxn
    Txn
}

impl Op {
    /// What a command is; nothing for the entry without content.
    #[must_use]
    pub fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::Put(_) => Self::Put,
            Command::DeleteRange(_) => Self::DeleteRange,
            Command::Txn(_) => Self::Txn,
            Command::Compact(_) => Self::Compaction,
            Command::LeaseGrant(_) => Self::LeaseGrant,
            Command::LeaseRevoke(_) => Self::LeaseRevoke,
            Command::LeaseCheckpoint(_) => Self::LeaseCheckpoint,
            Command::Alarm(_) => Self::Alarm,
            Command::Access(change) => Self::of_access(change),
            Command::Authenticate(_) => Self::Authenticate,
            Command::ClusterVersionSet(_) => Self::ClusterVersionSet,
            Command::MemberAttributesSet(_) => Self::ClusterMemberAttrSet,
            Command::DowngradeSet(_) => Self::DowngradeInfoSet,
            // etcd has no name for it.
            Command::Certificates(_) | Command::Nothing => return None,
        })
    }

    fn of_access(change: &AccessChange) -> Self {
        match change {
            AccessChange::Enable => Self::AuthEnable,
            AccessChange::Disable => Self::AuthDisable,
            AccessChange::UserAdd { .. } => Self::AuthUserAdd,
            AccessChange::UserDelete { .. } => Self::AuthUserDelete,
            AccessChange::UserChangePassword { .. } => Self::AuthUserChangePassword,
            AccessChange::UserGrantRole { .. } => Self::AuthUserGrantRole,
            AccessChange::UserRevokeRole { .. } => Self::AuthUserRevokeRole,
            AccessChange::RoleAdd { .. } => Self::AuthRoleAdd,
            AccessChange::RoleDelete { .. } => Self::AuthRoleDelete,
            AccessChange::RoleGrantPermission { .. } => Self::AuthRoleGrantPermission,
            AccessChange::RoleRevokePermission { .. } => Self::AuthRoleRevokePermission,
            // Of our own; counted with what is most like it.
            AccessChange::SetTerms { .. }
            | AccessChange::SetIdentity { .. }
            | AccessChange::RemoveIdentity { .. } => Self::AuthRoleGrantPermission,
        }
    }
}

/// How long each operation took, apart by whether it went well.
#[derive(Debug)]
pub struct Timed([[Histogram; 2]; Op::COUNT]);

impl Timed {
    fn new(bounds: &'static [f64]) -> Self {
        Self(Op::ALL.map(|_| [Histogram::new(bounds), Histogram::new(bounds)]))
    }

    /// Notes that an operation took so long, and how it ended.
    pub fn note<T, E>(&self, op: Op, ended: Result<T, E>, took: Duration) {
        if let Some([well, badly]) = self.0.get(op as usize) {
            if ended.is_ok() { well } else { badly }.observe_duration(took);
        }
    }

    /// What was noted at least once: the operation, whether it went well, and how long it took.
    pub fn noted(&self) -> impl Iterator<Item = (Op, bool, &Histogram)> {
        let both = Op::ALL.into_iter().zip(&self.0);
        let each = both.flat_map(|(op, [well, badly])| [(op, false, badly), (op, true, well)]);
        each.filter(|(_, _, took)| !took.is_empty())
    }
}

/// Everything that a member counts and measures.
#[derive(Debug)]
pub struct Counts {
    /// Syncs of the log.
    pub log_syncs: Histogram,
    /// Writes to the log.
    pub log_writes: Histogram,
    /// Bytes of the log made durable.
    pub log_bytes: Counter,
    /// Checkpoints: the store made durable.
    pub commits: Histogram,
    /// Applying entries.
    pub applied: Timed,
    /// Requests, from the proposal or the question to the answer.
    pub requests: Timed,
    /// Entries and reads that took longer than they should.
    pub slow_applies: Counter,
    slow_apply_nanos: AtomicU64,
    /// Leases made.
    pub leases_granted: Counter,
    /// Leases ended, by request or because their time was over.
    pub leases_revoked: Counter,
    /// Leases renewed.
    pub leases_renewed: Counter,
    /// Leases ended because their time was over.
    pub leases_expired: Counter,
    /// Lives of the leases made, in seconds.
    pub lease_lives: Histogram,
    /// Physical work of compactions, in milliseconds.
    pub compactions: Histogram,
    /// When the last compaction's physical work ended, in Unix seconds; 0 before the first.
    pub compacted_at: Gauge,
    /// 1 if the member started although its data is older than it was.
    pub rollback_accepted: Gauge,
    /// Watch streams.
    pub watch_streams: Gauge,
    /// Watchers of all streams.
    pub watchers: Gauge,
    /// Watchers that read history.
    pub watchers_behind: Gauge,
}

impl Default for Counts {
    fn default() -> Self {
        let nanos = u64::try_from(SLOW_APPLY.as_nanos()).unwrap_or(u64::MAX);
        Self {
            log_syncs: Histogram::new(FROM_1MS),
            log_writes: Histogram::new(FROM_1MS),
            log_bytes: Counter::default(),
            commits: Histogram::new(FROM_1MS),
            applied: Timed::new(FROM_100US),
            requests: Timed::new(FROM_1MS),
            slow_applies: Counter::default(),
            slow_apply_nanos: AtomicU64::new(nanos),
            leases_granted: Counter::default(),
            leases_revoked: Counter::default(),
            leases_renewed: Counter::default(),
            leases_expired: Counter::default(),
            lease_lives: Histogram::new(LEASE_SECONDS),
            compactions: Histogram::new(COMPACTION_MILLIS),
            compacted_at: Gauge::default(),
            rollback_accepted: Gauge::default(),
            watch_streams: Gauge::default(),
            watchers: Gauge::default(),
            watchers_behind: Gauge::default(),
        }
    }
}

impl Counts {
    /// Lets the counting of leases begin anew.
    pub(crate) fn forget_leases(&self) {
        self.leases_granted.clear();
        self.leases_revoked.clear();
        self.leases_expired.clear();
        self.lease_lives.clear();
    }

    /// Applying or reading longer than this counts as slow from now on.
    pub fn set_slow_apply(&self, longest: Duration) {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        self.slow_apply_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Counts this, and says so, if it was slow. What was asked for is in no line: it holds keys.
    pub fn note_if_slow(&self, took: Duration) {
        let expected = Duration::from_nanos(self.slow_apply_nanos.load(Ordering::Relaxed));
        if took > expected {
            self.slow_applies.inc();
            tracing::warn!(
                ?took,
                "expected-duration" = ?expected,
                hint = "see whether the disk or the processors are busy, and whether requests read very many keys",
                "apply request took too long"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time must land under its own operation's name: the table is found by the number of the operation.
    #[test]
    fn each_operation_has_its_own_place() {
        for op in Op::ALL {
            let timed = Timed::new(FROM_1MS);
            timed.note(op, Ok::<_, ()>(()), Duration::from_millis(3));
            timed.note(op, Err::<(), _>(()), Duration::from_millis(3));
            let noted: Vec<_> = timed.noted().map(|(op, well, took)| (op, well, took.read().count)).collect();
            assert_eq!(noted, [(op, false, 1), (op, true, 1)]);
        }
        assert!(Op::ALL.is_sorted_by_key(|op| op.name()), "shown in the order of their names");
    }

    /// Slow is what takes longer than said, not what takes as long.
    #[test]
    fn only_what_takes_longer_is_slow() {
        let counts = Counts::default();
        counts.note_if_slow(Duration::from_millis(100));
        counts.note_if_slow(Duration::from_millis(101));
        counts.set_slow_apply(Duration::from_secs(1));
        counts.note_if_slow(Duration::from_millis(900));
        assert_eq!(counts.slow_applies.value(), 1);
    }
}
