//! The entry's bytes: our commands as etcd's `InternalRaftRequest`, both ways.
//!
//! The only place below `server` that knows etcd's messages, so that a log entry means the same to an etcd member as to
//! one of ours. Encoding is total; decoding takes bytes from the log, which a member of another make may have written, and
//! says [`Unreadable`] for what this version does not know: such an entry must stop the member, since passing over it
//! would let members differ.

mod access;
pub mod certificates;
pub mod own;

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb as pb;
use proto::membershippb as mpb;
use state::auth::Actor;
use state::command::{
    Alarm, AlarmAction, AlarmChange, AlarmKind, Authenticate, Command, Compact, Compare, CompareOperand,
    CompareRelation, DeleteRange, LeaseGrant, LeaseRemaining, MemberAttributes, Op, Put, PutLease, PutValue,
    Txn,
};
use state::query::{Projection, RangeQuery, Sort, SortOrder, SortTarget};
use std::borrow::Cow;
use types::{AuthRevision, Key, KeyRange, LeaseId, MemberId, RangeEnd, RequestId, Revision};

/// An entry's content: who waits for it, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Envelope {
    /// The proposal's name.
    pub id: RequestId,
    /// Who proposed it.
    pub actor: Actor,
    /// The act.
    pub command: Command,
}

/// An entry that this version does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log entry is not understood: {what}")]
pub struct Unreadable {
    /// What about it.
    pub what: &'static str,
}

fn unreadable<T>(what: &'static str) -> Result<T, Unreadable> {
    Err(Unreadable { what })
}

/// The bytes of an entry.
pub(crate) fn encode(envelope: Envelope) -> Bytes {
    if let Some(act) = own::act(&envelope.command) {
        return own::encode(envelope.id, envelope.actor, act);
    }
    let mut request = pb::InternalRaftRequest {
        header: Some(pb::RequestHeader {
            id: envelope.id.0,
            username: envelope.actor.user.into_owned(),
            auth_revision: envelope.actor.known.0,
        }),
        ..Default::default()
    };
    match envelope.command {
        Command::Put(put) => request.put = Some(put_to(put)),
        Command::DeleteRange(delete) => request.delete_range = Some(delete_to(delete)),
        Command::Txn(txn) => request.txn = Some(txn_to(txn)),
        Command::Compact(compact) => {
            request.compaction =
                Some(pb::CompactionRequest { revision: compact.revision.0, physical: compact.physical });
        }
        Command::LeaseGrant(grant) => {
            request.lease_grant = Some(pb::LeaseGrantRequest { id: grant.id.0, ttl: grant.ttl_seconds });
        }
        Command::LeaseRevoke(id) => request.lease_revoke = Some(pb::LeaseRevokeRequest { id: id.0 }),
        Command::LeaseCheckpoint(leases) => {
            let checkpoints = leases
                .into_iter()
                .map(|lease| pb::LeaseCheckpoint { id: lease.id.0, remaining_ttl: lease.remaining_seconds })
                .collect();
            request.lease_checkpoint = Some(pb::LeaseCheckpointRequest { checkpoints });
        }
        Command::Alarm(change) => request.alarm = Some(alarm_to(change)),
        Command::Access(change) => access::put(change, &mut request),
        // An entry of our own, above.
        Command::Certificates(_) => {}
        Command::Authenticate(ask) => {
            request.authenticate = Some(pb::InternalAuthenticateRequest {
                name: ask.user,
                simple_token: ask.token_prefix,
                ..Default::default()
            });
        }
        Command::ClusterVersionSet(ver) => {
            request.cluster_version_set = Some(mpb::ClusterVersionSetRequest { ver });
        }
        Command::MemberAttributesSet(member) => {
            let attributes = mpb::Attributes { name: member.name, client_urls: member.client_urls };
            request.cluster_member_attr_set = Some(mpb::ClusterMemberAttrSetRequest {
                member_id: member.member.0,
                member_attributes: Some(attributes),
            });
        }
        Command::DowngradeSet(target) => {
            request.downgrade_info_set = Some(mpb::DowngradeInfoSetRequest {
                enabled: target.is_some(),
                ver: target.unwrap_or_default(),
            });
        }
        Command::Nothing => return Bytes::new(),
    }
    request.encode_to_vec().into()
}

/// The content of an entry's bytes.
///
/// # Errors
/// [`Unreadable`] when the bytes are no such message, or one that this version does not know.
pub(crate) fn decode(bytes: Bytes) -> Result<Envelope, Unreadable> {
    if bytes.is_empty() {
        return Ok(Envelope { id: RequestId(0), actor: Actor::nobody(), command: Command::Nothing });
    }
    if own::is_own(&bytes) {
        return own::decode(&bytes);
    }
    let Ok(request) = pb::InternalRaftRequest::decode(bytes) else {
        return unreadable("not an etcd request");
    };
    let mut request = request;
    let header = request.header.take().unwrap_or(pb::RequestHeader { id: request.id, ..Default::default() });
    let actor = Actor { user: Cow::Owned(header.username), known: AuthRevision(header.auth_revision) };
    Ok(Envelope { id: RequestId(header.id), actor, command: command_from(request)? })
}

fn command_from(request: pb::InternalRaftRequest) -> Result<Command, Unreadable> {
    Ok(if let Some(put) = request.put {
        Command::Put(put_from(put)?)
    } else if let Some(txn) = request.txn {
        Command::Txn(txn_from(txn)?)
    } else if let Some(delete) = request.delete_range {
        Command::DeleteRange(delete_from(delete)?)
    } else if let Some(compact) = request.compaction {
        Command::Compact(Compact { revision: Revision(compact.revision), physical: compact.physical })
    } else if let Some(grant) = request.lease_grant {
        Command::LeaseGrant(LeaseGrant { id: LeaseId(grant.id), ttl_seconds: grant.ttl })
    } else if let Some(revoke) = request.lease_revoke {
        Command::LeaseRevoke(LeaseId(revoke.id))
    } else if let Some(checkpoint) = request.lease_checkpoint {
        let lease = |one: pb::LeaseCheckpoint| LeaseRemaining {
            id: LeaseId(one.id),
            remaining_seconds: one.remaining_ttl,
        };
        Command::LeaseCheckpoint(checkpoint.checkpoints.into_iter().map(lease).collect())
    } else if let Some(alarm) = request.alarm {
        Command::Alarm(alarm_from(&alarm)?)
    } else if let Some(version) = request.cluster_version_set {
        Command::ClusterVersionSet(version.ver)
    } else if let Some(set) = request.cluster_member_attr_set {
        let attributes = set.member_attributes.unwrap_or_default();
        Command::MemberAttributesSet(MemberAttributes {
            member: MemberId(set.member_id),
            name: attributes.name,
            client_urls: attributes.client_urls,
        })
    } else if let Some(downgrade) = request.downgrade_info_set {
        Command::DowngradeSet(downgrade.enabled.then_some(downgrade.ver))
    } else if let Some(ask) = request.authenticate {
        Command::Authenticate(Authenticate { user: ask.name, token_prefix: ask.simple_token })
    } else if is_a_read(&request) {
        // etcd may replicate a read; it has no effect, and nobody here waits for it.
        Command::Nothing
    } else if let Some(change) = access::take(request)? {
        Command::Access(change)
    } else {
        return unreadable("a request this version does not know");
    })
}

fn is_a_read(request: &pb::InternalRaftRequest) -> bool {
    request.range.is_some()
        || request.auth_status.is_some()
        || request.auth_user_get.is_some()
        || request.auth_user_list.is_some()
        || request.auth_role_get.is_some()
        || request.auth_role_list.is_some()
}

fn key_from(bytes: Bytes) -> Result<Key, Unreadable> {
    Key::new(bytes).ok_or(Unreadable { what: "an empty key" })
}

fn end_to(end: RangeEnd) -> Bytes {
    match end {
        RangeEnd::Single => Bytes::new(),
        RangeEnd::Before(end) => end,
        RangeEnd::Unbounded => Bytes::from_static(b"\0"),
    }
}

fn put_to(put: Put) -> pb::PutRequest {
    let (value, ignore_value) = match put.value {
        PutValue::Set(value) => (value, false),
        PutValue::Keep => (Bytes::new(), true),
    };
    let (lease, ignore_lease) = match put.lease {
        PutLease::Set(lease) => (lease.0, false),
        PutLease::Keep => (0, true),
    };
    pb::PutRequest {
        key: put.key.into_bytes(),
        value,
        lease,
        prev_kv: put.prev_kv,
        ignore_value,
        ignore_lease,
    }
}

fn put_from(put: pb::PutRequest) -> Result<Put, Unreadable> {
    Ok(Put {
        key: key_from(put.key)?,
        value: if put.ignore_value { PutValue::Keep } else { PutValue::Set(put.value) },
        lease: if put.ignore_lease { PutLease::Keep } else { PutLease::Set(LeaseId(put.lease)) },
        prev_kv: put.prev_kv,
    })
}

fn delete_to(delete: DeleteRange) -> pb::DeleteRangeRequest {
    let (key, range_end) = (delete.range.start.into_bytes(), end_to(delete.range.end));
    pb::DeleteRangeRequest { key, range_end, prev_kv: delete.prev_kv }
}

fn delete_from(delete: pb::DeleteRangeRequest) -> Result<DeleteRange, Unreadable> {
    let range = KeyRange::from_pair(key_from(delete.key)?, delete.range_end);
    Ok(DeleteRange { range, prev_kv: delete.prev_kv })
}

fn txn_to(txn: Txn) -> pb::TxnRequest {
    pb::TxnRequest {
        compare: txn.compare.into_iter().map(compare_to).collect(),
        success: txn.success.into_iter().map(op_to).collect(),
        failure: txn.failure.into_iter().map(op_to).collect(),
    }
}

fn txn_from(txn: pb::TxnRequest) -> Result<Txn, Unreadable> {
    Ok(Txn {
        compare: txn.compare.into_iter().map(compare_from).collect::<Result<_, _>>()?,
        success: txn.success.into_iter().map(op_from).collect::<Result<_, _>>()?,
        failure: txn.failure.into_iter().map(op_from).collect::<Result<_, _>>()?,
    })
}

fn op_to(op: Op) -> pb::RequestOp {
    use pb::request_op::Request;
    let request = match op {
        Op::Range(query) => Request::RequestRange(query_to(query)),
        Op::Put(put) => Request::RequestPut(put_to(put)),
        Op::DeleteRange(delete) => Request::RequestDeleteRange(delete_to(delete)),
        Op::Txn(txn) => Request::RequestTxn(txn_to(txn)),
    };
    pb::RequestOp { request: Some(request) }
}

fn op_from(op: pb::RequestOp) -> Result<Op, Unreadable> {
    use pb::request_op::Request;
    match op.request {
        Some(Request::RequestRange(query)) => Ok(Op::Range(query_from(query)?)),
        Some(Request::RequestPut(put)) => Ok(Op::Put(put_from(put)?)),
        Some(Request::RequestDeleteRange(delete)) => Ok(Op::DeleteRange(delete_from(delete)?)),
        Some(Request::RequestTxn(txn)) => Ok(Op::Txn(txn_from(txn)?)),
        None => unreadable("an empty operation in a transaction"),
    }
}

fn compare_to(compare: Compare) -> pb::Compare {
    use pb::compare::{CompareResult, CompareTarget, TargetUnion};
    let (target, union) = match compare.operand {
        CompareOperand::Version(n) => (CompareTarget::Version, TargetUnion::Version(n)),
        CompareOperand::Create(n) => (CompareTarget::Create, TargetUnion::CreateRevision(n)),
        CompareOperand::Mod(n) => (CompareTarget::Mod, TargetUnion::ModRevision(n)),
        CompareOperand::Value(value) => (CompareTarget::Value, TargetUnion::Value(value)),
        CompareOperand::Lease(n) => (CompareTarget::Lease, TargetUnion::Lease(n)),
    };
    let result = match compare.relation {
        CompareRelation::Equal => CompareResult::Equal as i32,
        CompareRelation::Greater => CompareResult::Greater as i32,
        CompareRelation::Less => CompareResult::Less as i32,
        CompareRelation::NotEqual => CompareResult::NotEqual as i32,
        CompareRelation::Unknown => UNKNOWN_RELATION,
    };
    pb::Compare {
        result,
        target: target as i32,
        key: compare.range.start.into_bytes(),
        range_end: end_to(compare.range.end),
        target_union: Some(union),
    }
}

/// What a relation that etcd does not know is written as; every member lets it hold.
const UNKNOWN_RELATION: i32 = 4;

fn compare_from(compare: pb::Compare) -> Result<Compare, Unreadable> {
    use pb::compare::{CompareResult, CompareTarget, TargetUnion};
    let union = compare.target_union;
    // An operand of another target than the one named, or none, counts as zero or empty, as etcd's getters have it.
    let operand = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => {
            CompareOperand::Version(if let Some(TargetUnion::Version(n)) = union { n } else { 0 })
        }
        Ok(CompareTarget::Create) => {
            CompareOperand::Create(if let Some(TargetUnion::CreateRevision(n)) = union { n } else { 0 })
        }
        Ok(CompareTarget::Mod) => {
            CompareOperand::Mod(if let Some(TargetUnion::ModRevision(n)) = union { n } else { 0 })
        }
        Ok(CompareTarget::Value) => CompareOperand::Value(if let Some(TargetUnion::Value(value)) = union {
            value
        } else {
            Bytes::new()
        }),
        Ok(CompareTarget::Lease) => {
            CompareOperand::Lease(if let Some(TargetUnion::Lease(n)) = union { n } else { 0 })
        }
        Err(_) => return unreadable("a comparison of an unknown target"),
    };
    let relation = match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => CompareRelation::Equal,
        Ok(CompareResult::Greater) => CompareRelation::Greater,
        Ok(CompareResult::Less) => CompareRelation::Less,
        Ok(CompareResult::NotEqual) => CompareRelation::NotEqual,
        Err(_) => CompareRelation::Unknown,
    };
    Ok(Compare { range: KeyRange::from_pair(key_from(compare.key)?, compare.range_end), operand, relation })
}

fn query_to(query: RangeQuery) -> pb::RangeRequest {
    use pb::range_request::{SortOrder as Order, SortTarget as Target};
    let (sort_order, sort_target) = match query.sort {
        None => (Order::None, Target::Key),
        Some(Sort { target, order }) => (
            match order {
                SortOrder::Unspecified => Order::None,
                SortOrder::Ascending => Order::Ascend,
                SortOrder::Descending => Order::Descend,
            },
            match target {
                SortTarget::Key => Target::Key,
                SortTarget::Version => Target::Version,
                SortTarget::Create => Target::Create,
                SortTarget::Mod => Target::Mod,
                SortTarget::Value => Target::Value,
            },
        ),
    };
    pb::RangeRequest {
        key: query.range.start.into_bytes(),
        range_end: end_to(query.range.end),
        limit: i64::try_from(query.limit).unwrap_or(i64::MAX),
        revision: query.revision.0,
        sort_order: sort_order as i32,
        sort_target: sort_target as i32,
        serializable: false,
        keys_only: query.projection == Projection::KeysOnly,
        count_only: query.projection == Projection::CountOnly,
        min_mod_revision: query.min_mod_revision,
        max_mod_revision: query.max_mod_revision,
        min_create_revision: query.min_create_revision,
        max_create_revision: query.max_create_revision,
    }
}

fn query_from(query: pb::RangeRequest) -> Result<RangeQuery, Unreadable> {
    use pb::range_request::{SortOrder as Order, SortTarget as Target};
    let target = match Target::try_from(query.sort_target) {
        Ok(Target::Key) => SortTarget::Key,
        Ok(Target::Version) => SortTarget::Version,
        Ok(Target::Create) => SortTarget::Create,
        Ok(Target::Mod) => SortTarget::Mod,
        Ok(Target::Value) => SortTarget::Value,
        Err(_) => return unreadable("a range sorted by an unknown target"),
    };
    let sort = match Order::try_from(query.sort_order) {
        Ok(Order::None) if target == SortTarget::Key => None,
        Ok(Order::None) => Some(Sort { target, order: SortOrder::Unspecified }),
        Ok(Order::Ascend) => Some(Sort { target, order: SortOrder::Ascending }),
        Ok(Order::Descend) => Some(Sort { target, order: SortOrder::Descending }),
        Err(_) => return unreadable("a range in an unknown order"),
    };
    let projection = match (query.count_only, query.keys_only) {
        (true, _) => Projection::CountOnly,
        (false, true) => Projection::KeysOnly,
        (false, false) => Projection::KeysAndValues,
    };
    Ok(RangeQuery {
        range: KeyRange::from_pair(key_from(query.key)?, query.range_end),
        limit: u64::try_from(query.limit).unwrap_or(0),
        revision: Revision(query.revision),
        sort,
        projection,
        min_mod_revision: query.min_mod_revision,
        max_mod_revision: query.max_mod_revision,
        min_create_revision: query.min_create_revision,
        max_create_revision: query.max_create_revision,
    })
}

fn alarm_to(change: AlarmChange) -> pb::AlarmRequest {
    use pb::alarm_request::AlarmAction as Action;
    let action = match change.action {
        AlarmAction::List => Action::Get,
        AlarmAction::Raise => Action::Activate,
        AlarmAction::Clear => Action::Deactivate,
    };
    let alarm = match change.alarm.kind {
        AlarmKind::None => pb::AlarmType::None,
        AlarmKind::NoSpace => pb::AlarmType::Nospace,
        AlarmKind::Corrupt => pb::AlarmType::Corrupt,
    };
    pb::AlarmRequest { action: action as i32, member_id: change.alarm.member.0, alarm: alarm as i32 }
}

fn alarm_from(alarm: &pb::AlarmRequest) -> Result<AlarmChange, Unreadable> {
    use pb::alarm_request::AlarmAction as Action;
    let action = match Action::try_from(alarm.action) {
        Ok(Action::Get) => AlarmAction::List,
        Ok(Action::Activate) => AlarmAction::Raise,
        Ok(Action::Deactivate) => AlarmAction::Clear,
        Err(_) => return unreadable("an unknown alarm action"),
    };
    let kind = match pb::AlarmType::try_from(alarm.alarm) {
        Ok(pb::AlarmType::None) => AlarmKind::None,
        Ok(pb::AlarmType::Nospace) => AlarmKind::NoSpace,
        Ok(pb::AlarmType::Corrupt) => AlarmKind::Corrupt,
        Err(_) => return unreadable("an unknown kind of alarm"),
    };
    Ok(AlarmChange { action, alarm: Alarm { member: MemberId(alarm.member_id), kind } })
}

#[cfg(test)]
mod tests;
