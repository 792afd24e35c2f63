//! Requests against etcd's rules: each refusal with its exact reason, each wish as the house means it.

use super::*;
use crate::rpc::status::Failure;
use pb::request_op::Request;
use proto::etcdserverpb as pb;
use state::command::{CompareOperand, CompareRelation, PutLease, PutValue};
use state::query::{Projection, SortOrder, SortTarget};
use types::limits::TXN_OPS_MAX;

fn op(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn put_op(key: &'static str) -> pb::RequestOp {
    op(Request::RequestPut(pb::PutRequest { key: key.into(), ..Default::default() }))
}

fn get_op(key: &'static str) -> pb::RequestOp {
    op(Request::RequestRange(pb::RangeRequest { key: key.into(), ..Default::default() }))
}

fn delete_op(key: &'static str, end: &'static str) -> pb::RequestOp {
    let request = pb::DeleteRangeRequest { key: key.into(), range_end: end.into(), prev_kv: false };
    op(Request::RequestDeleteRange(request))
}

fn txn_op(txn: pb::TxnRequest) -> pb::RequestOp {
    op(Request::RequestTxn(txn))
}

fn then(success: Vec<pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest { success, ..Default::default() }
}

fn branches(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest { compare: Vec::new(), success, failure }
}

fn refused(request: pb::TxnRequest) -> Option<Failure> {
    txn(request, TXN_OPS_MAX).err()
}

/// A request that contradicts itself gets the first of etcd's errors, in etcd's order.
#[test]
fn puts_are_refused_in_etcds_order() {
    let request = pb::PutRequest {
        ignore_value: true,
        ignore_lease: true,
        value: "v".into(),
        lease: 1,
        ..Default::default()
    };
    assert_eq!(put(request.clone()), Err(Failure::EmptyKey));
    let request = pb::PutRequest { key: "k".into(), ..request };
    assert_eq!(put(request.clone()), Err(Failure::ValueProvided));
    let request = pb::PutRequest { value: "".into(), ..request };
    assert_eq!(put(request.clone()), Err(Failure::LeaseProvided));
    let parsed = put(pb::PutRequest { lease: 0, ..request }).unwrap();
    assert_eq!((parsed.value, parsed.lease), (PutValue::Keep, PutLease::Keep));
}

/// Each of a range's options arrives, and what etcd does not know is refused.
#[test]
fn ranges_carry_their_options() {
    let request = pb::RangeRequest { key: "a".into(), ..Default::default() };
    assert_eq!(range(pb::RangeRequest::default()), Err(Failure::EmptyKey));
    for request in [
        pb::RangeRequest { sort_order: 9, ..request.clone() },
        pb::RangeRequest { sort_target: 9, ..request.clone() },
        pb::RangeRequest { sort_target: -1, ..request.clone() },
    ] {
        assert_eq!(range(request), Err(Failure::InvalidSortOption));
    }
    let sort = |order, target| {
        let request = pb::RangeRequest { sort_order: order, sort_target: target, ..request.clone() };
        range(request).unwrap().sort.map(|sort| (sort.target, sort.order))
    };
    assert_eq!(sort(0, 0), None);
    assert_eq!(sort(1, 0), None);
    assert_eq!(sort(2, 0), Some((SortTarget::Key, SortOrder::Descending)));
    assert_eq!(sort(0, 3), Some((SortTarget::Mod, SortOrder::Unspecified)));
    assert_eq!(sort(1, 4), Some((SortTarget::Value, SortOrder::Ascending)));
    let query = range(pb::RangeRequest {
        limit: -3,
        revision: -4,
        keys_only: true,
        count_only: true,
        ..request.clone()
    })
    .unwrap();
    assert_eq!((query.limit, query.revision.0, query.projection), (0, -4, Projection::CountOnly));
}

/// A stream goes by key and has no filters; anything else is refused with the words that make kube-apiserver fall back.
#[test]
fn streams_refuse_sorting_and_filters() {
    let request = pb::RangeRequest { key: "a".into(), ..Default::default() };
    let refused = |request| range_stream(request).err();
    assert_eq!(refused(pb::RangeRequest::default()), Some(Failure::EmptyKey));
    assert_eq!(
        refused(pb::RangeRequest { sort_order: 2, ..request.clone() }),
        Some(Failure::StreamSortOrder)
    );
    assert_eq!(
        refused(pb::RangeRequest { sort_order: 1, sort_target: 2, ..request.clone() }),
        Some(Failure::StreamSortOrder)
    );
    for request in [
        pb::RangeRequest { min_mod_revision: 1, ..request.clone() },
        pb::RangeRequest { max_mod_revision: 1, ..request.clone() },
        pb::RangeRequest { min_create_revision: 1, ..request.clone() },
        pb::RangeRequest { max_create_revision: -1, ..request.clone() },
    ] {
        assert_eq!(refused(request), Some(Failure::StreamRevisionFilters));
    }
    for request in [request.clone(), pb::RangeRequest { sort_order: 1, ..request.clone() }] {
        assert_eq!(range_stream(request).unwrap().sort, None);
    }
    // A target without an order is let through; it sorts within a chunk.
    let sort = range_stream(pb::RangeRequest { sort_target: 3, ..request }).unwrap().sort.unwrap();
    assert_eq!((sort.target, sort.order), (SortTarget::Mod, SortOrder::Unspecified));
}

/// Every operation of both branches is checked, nested ones too, whichever branch would be taken.
#[test]
fn a_txns_operations_are_checked_on_both_branches() {
    assert_eq!(refused(pb::TxnRequest::default()), None);
    assert_eq!(refused(then(vec![pb::RequestOp::default()])), Some(Failure::KeyNotFound));
    assert_eq!(refused(branches(vec![], vec![put_op("")])), Some(Failure::EmptyKey));
    assert_eq!(refused(branches(vec![], vec![delete_op("", "")])), Some(Failure::EmptyKey));
    assert_eq!(refused(then(vec![txn_op(then(vec![get_op("")]))])), Some(Failure::EmptyKey));
    let compare = pb::TxnRequest { compare: vec![pb::Compare::default()], ..Default::default() };
    assert_eq!(refused(compare), Some(Failure::EmptyKey));
}

/// The budget is per level, and a nested level has only what its parent left.
#[test]
fn nested_transactions_share_the_budget() {
    let many = |n: usize| (0..n).map(|_| get_op("k")).collect::<Vec<_>>();
    assert_eq!(refused(then(many(128))), None);
    assert_eq!(refused(then(many(129))), Some(Failure::TooManyOps));
    assert_eq!(refused(branches(many(1), many(129))), Some(Failure::TooManyOps));
    let compares = pb::TxnRequest {
        compare: vec![pb::Compare { key: "k".into(), ..Default::default() }; 129],
        ..Default::default()
    };
    assert_eq!(refused(compares), Some(Failure::TooManyOps));
    let nested = |outer: usize, inner: usize| {
        let mut ops = many(outer - 1);
        ops.push(txn_op(then(many(inner))));
        then(ops)
    };
    assert_eq!(refused(nested(64, 64)), None);
    assert_eq!(refused(nested(64, 65)), Some(Failure::TooManyOps));
    assert_eq!(refused(nested(128, 1)), Some(Failure::TooManyOps));
}

/// Two puts of one key in one revision, or a put inside a deletion, have no order that a reader could see.
#[test]
fn overlaps_are_refused_as_etcd_refuses_them() {
    let duplicate = Some(Failure::DuplicateKey);
    assert_eq!(refused(then(vec![put_op("a"), put_op("a")])), duplicate);
    assert_eq!(refused(then(vec![put_op("a"), put_op("b")])), None);
    assert_eq!(refused(then(vec![delete_op("a", ""), put_op("a")])), duplicate);
    assert_eq!(refused(then(vec![put_op("b"), delete_op("a", "c")])), duplicate);
    assert_eq!(refused(then(vec![put_op("c"), delete_op("a", "c")])), None);
    assert_eq!(refused(then(vec![delete_op("a", "c"), delete_op("b", "d")])), None);
    assert_eq!(refused(branches(vec![], vec![put_op("a"), put_op("a")])), duplicate);
    assert_eq!(refused(branches(vec![put_op("a")], vec![put_op("a")])), None);
    // Nested: against the parent's puts and deletions, and against each other, but not branch against branch.
    assert_eq!(refused(then(vec![put_op("a"), txn_op(then(vec![put_op("a")]))])), duplicate);
    assert_eq!(refused(then(vec![delete_op("a", "c"), txn_op(then(vec![put_op("b")]))])), duplicate);
    assert_eq!(refused(then(vec![put_op("b"), txn_op(then(vec![delete_op("a", "c")]))])), duplicate);
    assert_eq!(refused(then(vec![txn_op(branches(vec![put_op("a")], vec![put_op("a")]))])), None);
    let twice = then(vec![txn_op(then(vec![put_op("a")])), txn_op(branches(vec![], vec![put_op("a")]))]);
    assert_eq!(refused(twice), duplicate);
    // A nested deletion is not held against puts of an earlier sibling, only against this level's own.
    let siblings = then(vec![txn_op(then(vec![delete_op("a", "")])), txn_op(then(vec![put_op("a")]))]);
    assert_eq!(refused(siblings), duplicate);
    let siblings = then(vec![txn_op(then(vec![put_op("a")])), txn_op(then(vec![delete_op("a", "")]))]);
    assert_eq!(refused(siblings), None);
    // A deletion from a key on covers nothing in this check.
    assert_eq!(refused(then(vec![delete_op("a", "\0"), put_op("b")])), None);
    assert_eq!(refused(then(vec![delete_op("z", "a"), put_op("m")])), None);
}

/// What a comparison is held against decides who wins a lock: an operand of the wrong kind is that kind's zero, and an
/// unknown target is equal to everything.
#[test]
fn comparisons_are_read_as_etcd_reads_them() {
    use pb::compare::TargetUnion;
    let parsed = |target, result, union| {
        let compare =
            pb::Compare { key: "k".into(), target, result, target_union: union, ..Default::default() };
        let txn = txn(pb::TxnRequest { compare: vec![compare], ..Default::default() }, 1).unwrap().txn;
        (txn.compare[0].operand.clone(), txn.compare[0].relation)
    };
    let lease = Some(TargetUnion::Lease(7));
    assert_eq!(parsed(4, 3, lease.clone()), (CompareOperand::Lease(7), CompareRelation::NotEqual));
    assert_eq!(parsed(0, 0, lease.clone()), (CompareOperand::Version(0), CompareRelation::Equal));
    assert_eq!(parsed(3, 1, lease), (CompareOperand::Value("".into()), CompareRelation::Greater));
    assert_eq!(parsed(1, 9, None), (CompareOperand::Create(0), CompareRelation::Unknown));
    // Always: no version is below zero. Never, likewise.
    assert_eq!(parsed(17, 0, None), (CompareOperand::Version(-1), CompareRelation::Greater));
    assert_eq!(parsed(17, 1, None), (CompareOperand::Version(-1), CompareRelation::Less));
}

/// A read-only transaction skips the barrier only if each of its ranges says it may.
#[test]
fn a_txn_is_serializable_when_all_its_ranges_are() {
    let get = |serializable| {
        op(Request::RequestRange(pb::RangeRequest { key: "k".into(), serializable, ..Default::default() }))
    };
    let serializable = |request| txn(request, TXN_OPS_MAX).unwrap().serializable;
    assert!(serializable(branches(vec![get(true)], vec![get(true)])));
    assert!(!serializable(branches(vec![get(true)], vec![get(false)])));
    assert!(!serializable(then(vec![put_op("a")])));
}

/// A downgrade's version has etcd's form or etcd's error.
#[test]
fn downgrade_versions_have_two_or_three_numbers() {
    for text in ["", "x", "4", "3.6.0.0", "3."] {
        assert_eq!(downgrade_version(text).err(), Some(Failure::WrongDowngradeVersionFormat), "{text}");
    }
    assert_eq!(downgrade_version("3.6"), downgrade_version("3.6.9"));
}
