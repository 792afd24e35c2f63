//! From outcomes to etcd's answers.
//!
//! Pairs are already encoded as etcd encodes them, and go out as they are; [`read`] is for whoever needs to know what one
//! says.

use crate::rpc::status::Failure;
use node::watch::{WatchEvent, WatchEventKind};
use prost::Message;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::response_op::Response;
use proto::mvccpb;
use state::outcome::{DeleteRangeOutcome, OpOutcome, Pair, PutOutcome, RangeOutcome, TxnOutcome};
use types::Revision;

/// A pair as a message to be sent.
pub(crate) fn pair(pair: Pair) -> mvccpb::KeyValue {
    mvccpb::KeyValue::of_encoded(pair.0)
}

fn pairs(found: Vec<Pair>) -> Vec<mvccpb::KeyValue> {
    found.into_iter().map(pair).collect()
}

/// A pair as a message to be looked at, sharing its bytes.
pub(crate) fn read(pair: Pair) -> Result<mvccpb::KeyValue, Failure> {
    mvccpb::KeyValue::decode(pair.0).map_err(|error| {
        tracing::error!(%error, "a pair of the store cannot be read");
        Failure::StoreFailed
    })
}

/// A watcher's event as a message.
pub(crate) fn event(event: WatchEvent) -> mvccpb::Event {
    let kind = match event.kind {
        WatchEventKind::Put => mvccpb::event::EventType::Put,
        WatchEventKind::Delete => mvccpb::event::EventType::Delete,
    };
    mvccpb::Event { r#type: kind as i32, kv: Some(pair(event.pair)), prev_kv: event.prev.map(pair) }
}

/// A range's answer, under this header.
pub(crate) fn range(header: pb::ResponseHeader, found: RangeOutcome) -> pb::RangeResponse {
    let kvs = pairs(found.pairs);
    pb::RangeResponse { header: Some(header), kvs, more: found.more, count: found.count }
}

/// A put's answer.
pub(crate) fn put(header: pb::ResponseHeader, done: PutOutcome) -> pb::PutResponse {
    pb::PutResponse { header: Some(header), prev_kv: done.prev.map(pair) }
}

/// A deletion's answer.
pub(crate) fn delete_range(header: pb::ResponseHeader, done: DeleteRangeOutcome) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse { header: Some(header), deleted: done.deleted, prev_kvs: pairs(done.prev) }
}

/// A transaction's answer.
pub(crate) fn txn(header: pb::ResponseHeader, done: TxnOutcome) -> pb::TxnResponse {
    let responses = done.ops.into_iter().map(op).collect();
    pb::TxnResponse { header: Some(header), succeeded: done.succeeded, responses }
}

/// Answers within carry a header with the revision only.
fn inner(revision: Revision) -> pb::ResponseHeader {
    pb::ResponseHeader { revision: revision.0, ..pb::ResponseHeader::default() }
}

fn op(done: OpOutcome) -> pb::ResponseOp {
    let response = match done {
        OpOutcome::Range(found) => Response::ResponseRange(range(inner(found.revision), found)),
        OpOutcome::Put(done, revision) => Response::ResponsePut(put(inner(revision), done)),
        OpOutcome::DeleteRange(done, revision) => {
            Response::ResponseDeleteRange(delete_range(inner(revision), done))
        }
        OpOutcome::Txn(done, revision) => Response::ResponseTxn(txn(inner(revision), done)),
    };
    pb::ResponseOp { response: Some(response) }
}
