//! The vitals of the member itself, for health checks, /version and scrapes.
//!
//! Reads what the member's handle says at once; asks for nothing that waits. Counts the changes of leader that it sees.

use super::{Alarm, Versions, Vitals};
use crate::metrics::Readings;
use node::{Member, Role};
use state::command::AlarmKind;
use std::sync::atomic::{AtomicU64, Ordering};

/// The alarms that stand, under etcd's names.
fn alarms(gauges: &node::Gauges<'_>) -> Vec<(u64, &'static str)> {
    let named = gauges.alarms().into_iter().filter_map(|alarm| match alarm.kind {
        AlarmKind::NoSpace => Some((alarm.member.0, "NOSPACE")),
        AlarmKind::Corrupt => Some((alarm.member.0, "CORRUPT")),
        AlarmKind::None => None,
    });
    named.collect()
}

/// A running member, seen from HTTP.
pub struct OfMember {
    member: Member,
    server_version: &'static str,
    storage_version: &'static str,
    quota_bytes: u64,
    features: Vec<(&'static str, &'static str, bool)>,
    last_leader: AtomicU64,
    leader_changes: AtomicU64,
}

impl OfMember {
    /// The vitals of this member, which speaks etcd's interface of `server_version`, stores in the form of
    /// `storage_version` and may store `quota_bytes`; `features` are the gates with their stages.
    #[must_use]
    pub fn new(
        member: Member,
        server_version: &'static str,
        storage_version: &'static str,
        quota_bytes: u64,
        features: Vec<(&'static str, &'static str, bool)>,
    ) -> Self {
        let (last_leader, leader_changes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { member, server_version, storage_version, quota_bytes, features, last_leader, leader_changes }
    }

    /// The member's condition, after noting whether it has another leader than last time.
    fn status(&self) -> node::Status {
        let status = self.member.status();
        if let Some(leader) = status.leader
            && self.last_leader.swap(leader.0, Ordering::Relaxed) != leader.0
        {
            self.leader_changes.fetch_add(1, Ordering::Relaxed);
        }
        status
    }
}

impl Vitals for OfMember {
    fn has_leader(&self) -> bool {
        self.status().leader.is_some()
    }

    fn is_learner(&self) -> bool {
        self.status().is_learner
    }

    fn alarms(&self) -> Vec<Alarm> {
        let raised = self.member.gauges().alarms();
        let known = raised.into_iter().filter_map(|alarm| match alarm.kind {
            AlarmKind::NoSpace => Some(Alarm::NoSpace),
            AlarmKind::Corrupt => Some(Alarm::Corrupt),
            AlarmKind::None => None,
        });
        known.collect()
    }

    fn versions(&self) -> Versions {
        let cluster = self.member.gauges().cluster_version();
        Versions {
            server: self.server_version.to_owned(),
            cluster: cluster.unwrap_or_else(|| "not_decided".to_owned()),
            storage: self.storage_version.to_owned(),
        }
    }

    fn readings(&self) -> Readings {
        let status = self.status();
        let gauges = self.member.gauges();
        let sizes = gauges.sizes();
        let cluster = gauges.cluster_version().unwrap_or_default();
        let minor = cluster.rmatch_indices('.').next().filter(|_| cluster.matches('.').count() > 1);
        Readings {
            member_id: status.member.0,
            server_version: self.server_version,
            cluster_version: minor
                .map_or(cluster.as_str(), |(dot, _)| cluster.get(..dot).unwrap_or(&cluster))
                .to_owned(),
            has_leader: status.leader.is_some(),
            is_leader: status.role == Role::Leader,
            is_learner: status.is_learner,
            leader_changes: self.leader_changes.load(Ordering::Relaxed),
            proposals_committed: status.committed.0,
            proposals_applied: status.applied.0,
            proposals_pending: status.proposals_pending as u64,
            proposals_failed: status.proposals_failed,
            quota_bytes: self.quota_bytes,
            store_bytes: sizes.disk_bytes,
            store_bytes_in_use: sizes.live_bytes,
            keys: sizes.keys,
            auth_revision: gauges.auth_revision().0,
            current_revision: gauges.revision().0,
            compact_revision: match gauges.compacted().0 {
                0 => -1,
                compacted => compacted,
            },
            open_reads: gauges.open_reads(),
            alarms: alarms(&gauges),
            tally: gauges.tally(),
            features: self.features.clone(),
        }
    }
}
