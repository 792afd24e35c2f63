//! The Maintenance service: condition, alarms, hashes, and what etcd's operators do with a member.

use super::Services;
use super::convert::{self, alarm};
use super::requests::Act;
use super::snapshot;
use super::standing::Standing;
use super::status::Failure;
use super::version::Version;
use node::Role;
use proto::etcdserverpb as pb;
use state::auth::Principal;
use state::command::{Alarm, AlarmAction, AlarmChange, AlarmKind};
use state::{Command, Outcome};
use std::borrow::Cow;
use std::pin::Pin;
use std::time::Duration;
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status};
use types::{MemberId, Revision};

/// The Maintenance service.
#[derive(Clone)]
pub(super) struct Maintenance(pub Services);

/// How often a transfer of leadership looks whether it has happened.
const TRANSFER_LOOK: Duration = Duration::from_millis(10);

fn kind_name(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::None => "NONE",
        AlarmKind::NoSpace => "NOSPACE",
        AlarmKind::Corrupt => "CORRUPT",
    }
}

fn alarm_member(alarm: &Alarm) -> pb::AlarmMember {
    let kind = match alarm.kind {
        AlarmKind::None => pb::AlarmType::None,
        AlarmKind::NoSpace => pb::AlarmType::Nospace,
        AlarmKind::Corrupt => pb::AlarmType::Corrupt,
    };
    pb::AlarmMember { member_id: alarm.member.0, alarm: kind as i32 }
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Maintenance {
    fn alarm_answer(&self, alarms: &[Alarm]) -> Response<pb::AlarmResponse> {
        let alarms = alarms.iter().map(alarm_member).collect();
        Response::new(pb::AlarmResponse { header: Some(self.0.header_now()), alarms })
    }

    async fn change_alarm(
        &self,
        principal: &Principal,
        action: AlarmAction,
        request: &pb::AlarmRequest,
    ) -> Result<Response<pb::AlarmResponse>, Failure> {
        let alarm = Alarm { member: MemberId(request.member_id), kind: alarm(request.alarm)? };
        let command = Command::Alarm(AlarmChange { action, alarm });
        let done = self.0.propose(principal, command).await?;
        let Outcome::Alarm(alarms) = done.outcome else { return Err(self.0.mismatch("alarm")) };
        Ok(self.alarm_answer(&alarms))
    }

    /// The cluster's version, and whether a downgrade to `target` may begin.
    fn check_downgrade(&self, proof: &audit::Recorded<Act>, target: Version) -> Result<Version, Failure> {
        let membership = self.0.inspect(proof).membership();
        let cluster = cluster_version(&membership)?;
        if cluster.before() != Some(target) {
            return Err(Failure::InvalidDowngradeTargetVersion);
        }
        match membership.downgrade_target() {
            Some(_) => Err(Failure::DowngradeInProcess),
            None => Ok(cluster),
        }
    }
}

fn cluster_version(membership: &state::membership::Membership) -> Result<Version, Failure> {
    membership.cluster_version().and_then(Version::parse).ok_or(Failure::ClusterVersionUnavailable)
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for Maintenance {
    async fn alarm(&self, request: Request<pb::AlarmRequest>) -> Result<Response<pb::AlarmResponse>, Status> {
        use pb::alarm_request::AlarmAction as Action;
        let principal = self.0.principal(&request);
        let request = request.into_inner();
        match Action::try_from(request.action) {
            Ok(Action::Get) => {
                let list = self.0.admit(&principal, Act::AlarmList)?;
                self.0.barrier().await?;
                let kind = alarm(request.alarm)?;
                Ok(self.alarm_answer(&self.0.inspect(&list).alarms(kind)))
            }
            Ok(Action::Activate) => Ok(self.change_alarm(&principal, AlarmAction::Raise, &request).await?),
            Ok(Action::Deactivate) => Ok(self.change_alarm(&principal, AlarmAction::Clear, &request).await?),
            // etcd writes such an entry to its log and dies of it, now and at every start.
            Err(_) => {
                self.0.admit(&principal, Act::AccessControl)?;
                let text = format!("strongroom: alarm action {} is unknown", request.action);
                Err(Failure::Other(Code::InvalidArgument, Cow::Owned(text)).into())
            }
        }
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = self.0.admit(&principal, Act::Status)?;
        let reader = self.0.inspect(&asked);
        let (status, sizes, membership) = (self.0.member().status(), reader.sizes(), reader.membership());
        let no_leader = status.leader.is_none().then(|| Failure::NoLeader.row().1.to_owned());
        let alarms = reader.alarms(AlarmKind::None);
        let alarms =
            alarms.iter().map(|alarm| format!("memberID:{} alarm:{}", alarm.member.0, kind_name(alarm.kind)));
        let target = membership.downgrade_target();
        Ok(Response::new(pb::StatusResponse {
            header: Some(self.0.header(reader.revision())),
            version: self.0.context.versions.server.clone(),
            db_size: number(sizes.disk_bytes),
            leader: status.leader.unwrap_or_default().0,
            raft_index: status.committed.0,
            raft_term: status.term.0,
            raft_applied_index: status.applied.0,
            errors: no_leader.into_iter().chain(alarms).collect(),
            db_size_in_use: number((sizes.live_bytes + sizes.facts_bytes).min(sizes.disk_bytes)),
            is_learner: status.is_learner,
            storage_version: self.0.context.versions.storage.clone(),
            db_size_quota: number(self.0.limits().quota_bytes),
            downgrade_info: Some(pb::DowngradeInfo {
                enabled: target.is_some(),
                target_version: target.unwrap_or_default().to_owned(),
            }),
        }))
    }

    /// Space is reclaimed in the background: there is nothing to stop for.
    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        self.0.admit(&self.0.principal(&request), Act::Defragment)?;
        Ok(Response::new(pb::DefragmentResponse::default()))
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        let asked = self.0.admit(&self.0.principal(&request), Act::Hash)?;
        let began = self.0.now();
        let (hash, revision) = self.0.inspect(&asked).hash().map_err(Failure::from)?;
        self.0.context.metrics.mvcc_hash_duration.observe_duration(self.0.now().since(began));
        Ok(Response::new(pb::HashResponse { header: Some(self.0.header(revision)), hash }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let asked = self.0.admit(&self.0.principal(&request), Act::HashKv)?;
        let revision = Revision(request.into_inner().revision);
        let began = self.0.now();
        let hashed = self.0.inspect(&asked).hash_kv(revision).map_err(Failure::from)?;
        self.0.context.metrics.mvcc_hash_rev_duration.observe_duration(self.0.now().since(began));
        Ok(Response::new(pb::HashKvResponse {
            header: Some(self.0.header(hashed.revision)),
            hash: hashed.hash,
            compact_revision: hashed.compact_revision.0,
            hash_revision: hashed.hash_revision.0,
        }))
    }

    type SnapshotStream = Pin<Box<dyn Stream<Item = Result<pb::SnapshotResponse, Status>> + Send>>;

    async fn snapshot(
        &self,
        request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let standing = Standing::of(&self.0, &request);
        let asked = self.0.admit(standing.principal(), Act::Snapshot)?;
        Ok(Response::new(Box::pin(snapshot::send(&self.0, standing, asked).await?)))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let principal = self.0.principal(&request);
        let transfer = self.0.admit(&principal, Act::LeaderTransfer)?;
        let target = MemberId(request.into_inner().target_id);
        if self.0.member().status().role != Role::Leader {
            return Err(Failure::NotLeader.into());
        }
        let membership = self.0.inspect(&transfer).membership();
        if membership.member(target).is_none_or(|member| member.is_learner) {
            return Err(Failure::BadLeaderTransferee.into());
        }
        if self.0.member().status().leader == Some(target) {
            return Ok(Response::new(pb::MoveLeaderResponse::default()));
        }
        let target = self.0.admit(&principal, target)?;
        self.0.member().transfer_leadership(&target).map_err(Failure::from)?;
        let happened = async {
            while self.0.member().status().leader != Some(*target.request()) {
                tokio::time::sleep(TRANSFER_LOOK).await;
            }
        };
        match tokio::time::timeout(self.0.limits().request_timeout, happened).await {
            Ok(()) => Ok(Response::new(pb::MoveLeaderResponse::default())),
            Err(_) => Err(Failure::LeaderTransferTimeout.into()),
        }
    }

    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        use pb::downgrade_request::DowngradeAction as Action;
        let principal = self.0.principal(&request);
        let asked = self.0.admit(&principal, Act::Downgrade)?;
        let request = request.into_inner();
        let version = match Action::try_from(request.action) {
            Ok(Action::Validate) => {
                let target = convert::downgrade_version(&request.version)?;
                self.0.barrier().await?;
                self.check_downgrade(&asked, target)?
            }
            Ok(Action::Enable) => {
                let target = convert::downgrade_version(&request.version)?;
                self.0.barrier().await?;
                let version = self.check_downgrade(&asked, target)?;
                self.0.propose(&principal, Command::DowngradeSet(Some(target.to_string()))).await?;
                version
            }
            Ok(Action::Cancel) => {
                self.0.barrier().await?;
                let membership = self.0.inspect(&asked).membership();
                // Nothing to cancel is no error, as on the wire of etcd.
                if membership.downgrade_target().is_some() {
                    self.0.propose(&principal, Command::DowngradeSet(None)).await?;
                }
                cluster_version(&membership)?
            }
            Err(_) => return Err(Failure::UnknownMethod.into()),
        };
        let (header, version) = (Some(self.0.header_now()), version.cluster());
        Ok(Response::new(pb::DowngradeResponse { header, version }))
    }
}
