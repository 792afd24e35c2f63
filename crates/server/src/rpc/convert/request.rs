//! Single requests: ranges, puts, deletions, compactions, alarms, versions.

use crate::rpc::status::Failure;
use crate::rpc::version::Version;
use bytes::Bytes;
use proto::etcdserverpb as pb;
use state::command::{AlarmKind, Compact, DeleteRange, Put, PutLease, PutValue};
use state::query::{Projection, RangeQuery, Sort, SortOrder, SortTarget};
use std::borrow::Cow;
use tonic::Code;
use types::{Key, KeyRange, LeaseId, Revision};

fn key(bytes: Bytes) -> Result<Key, Failure> {
    Key::new(bytes).ok_or(Failure::EmptyKey)
}

/// The range that a key and its end name.
pub(crate) fn key_range(start: Bytes, end: Bytes) -> Result<KeyRange, Failure> {
    Ok(KeyRange::from_pair(key(start)?, end))
}

/// A range read.
pub(crate) fn range(request: pb::RangeRequest) -> Result<RangeQuery, Failure> {
    use pb::range_request::{SortOrder as Order, SortTarget as Target};
    let key = key(request.key)?;
    let order = Order::try_from(request.sort_order).map_err(|_| Failure::InvalidSortOption)?;
    let target = Target::try_from(request.sort_target).map_err(|_| Failure::InvalidSortOption)?;
    let target = match target {
        Target::Key => SortTarget::Key,
        Target::Version => SortTarget::Version,
        Target::Create => SortTarget::Create,
        Target::Mod => SortTarget::Mod,
        Target::Value => SortTarget::Value,
    };
    let order = match (order, target) {
        (Order::None | Order::Ascend, SortTarget::Key) => None,
        (Order::None, _) => Some(SortOrder::Unspecified),
        (Order::Ascend, _) => Some(SortOrder::Ascending),
        (Order::Descend, _) => Some(SortOrder::Descending),
    };
    Ok(RangeQuery {
        range: KeyRange::from_pair(key, request.range_end),
        // A negative limit limits nothing.
        limit: u64::try_from(request.limit).unwrap_or(0),
        revision: Revision(request.revision),
        sort: order.map(|order| Sort { target, order }),
        projection: match (request.count_only, request.keys_only) {
            (true, _) => Projection::CountOnly,
            (false, true) => Projection::KeysOnly,
            (false, false) => Projection::KeysAndValues,
        },
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
    })
}

/// A streamed range read: without filters, in no other order than by key. A target without an order is let through, as
/// etcd does, and sorts what is within one chunk.
pub(crate) fn range_stream(request: pb::RangeRequest) -> Result<RangeQuery, Failure> {
    let default_order = request.sort_order == pb::range_request::SortOrder::None as i32
        || (request.sort_order == pb::range_request::SortOrder::Ascend as i32
            && request.sort_target == pb::range_request::SortTarget::Key as i32);
    let query = range(request)?;
    if !default_order {
        return Err(Failure::StreamSortOrder);
    }
    let filters = [
        query.min_mod_revision,
        query.max_mod_revision,
        query.min_create_revision,
        query.max_create_revision,
    ];
    if filters.iter().any(|filter| *filter != 0) {
        return Err(Failure::StreamRevisionFilters);
    }
    Ok(query)
}

/// A put.
pub(crate) fn put(request: pb::PutRequest) -> Result<Put, Failure> {
    let key = key(request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(Failure::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Failure::LeaseProvided);
    }
    let value = if request.ignore_value { PutValue::Keep } else { PutValue::Set(request.value) };
    let lease = if request.ignore_lease { PutLease::Keep } else { PutLease::Set(LeaseId(request.lease)) };
    Ok(Put { key, value, lease, prev_kv: request.prev_kv })
}

/// A deletion.
pub(crate) fn delete_range(request: pb::DeleteRangeRequest) -> Result<DeleteRange, Failure> {
    Ok(DeleteRange { range: key_range(request.key, request.range_end)?, prev_kv: request.prev_kv })
}

/// A compaction.
pub(crate) fn compact(request: pb::CompactionRequest) -> Compact {
    Compact { revision: Revision(request.revision), physical: request.physical }
}

/// A kind of alarm. etcd takes any number and keeps an alarm of it; here it takes one that means something.
pub(crate) fn alarm(kind: i32) -> Result<AlarmKind, Failure> {
    match pb::AlarmType::try_from(kind) {
        Ok(pb::AlarmType::None) => Ok(AlarmKind::None),
        Ok(pb::AlarmType::Nospace) => Ok(AlarmKind::NoSpace),
        Ok(pb::AlarmType::Corrupt) => Ok(AlarmKind::Corrupt),
        Err(_) => Err(Failure::Other(
            Code::InvalidArgument,
            Cow::Owned(format!("strongroom: alarm type {kind} is unknown")),
        )),
    }
}

/// The version that a downgrade names: `3.6` or `3.6.0`; the patch counts for nothing.
pub(crate) fn downgrade_version(text: &str) -> Result<Version, Failure> {
    Version::parse(text)
        .or_else(|| Version::parse(&format!("{text}.0")))
        .ok_or(Failure::WrongDowngradeVersionFormat)
}
