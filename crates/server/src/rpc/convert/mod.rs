//! From etcd's requests to the house's words, and from outcomes to etcd's answers.
//!
//! Owns every check that etcd makes of a message's form, in etcd's order, so that the first error is the same one. What
//! comes out is well formed (`state::command`); whether it may be done, and fits the store, is decided elsewhere.
//!
//! Source: `etcdserver/api/v3rpc/key.go` and `etcdserver/txn` of etcd 3.7.

mod answer;
mod overlap;
mod request;
mod txn;

pub(super) use answer::{
    delete_range as delete_answer, event, pair, put as put_answer, range as range_answer, read,
    txn as txn_answer,
};
pub(super) use request::{
    alarm, compact, delete_range, downgrade_version, key_range, put, range, range_stream,
};
pub(super) use txn::txn;

#[cfg(test)]
mod tests;
