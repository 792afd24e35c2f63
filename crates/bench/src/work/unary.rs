//! Workloads of single requests: put, read one key, list many, write as kube-apiserver does, fill a store.
//!
//! An answer to a read is checked by its size: nothing shorter can hold the values that are there.

use super::Unary;
use crate::keys::Keys;
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use std::cell::Cell;
use std::rc::Rc;

/// A linearizable read of one key.
pub(super) fn read(key: Bytes) -> pb::RangeRequest {
    pb::RangeRequest { key, ..pb::RangeRequest::default() }
}

fn write(key: Bytes, value: Bytes) -> pb::PutRequest {
    pb::PutRequest { key, value, ..pb::PutRequest::default() }
}

fn operation(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn at_least(message: &Bytes, values: u64, keys: &Keys) -> Result<(), String> {
    let expected = values * keys.value_bytes as u64;
    if message.len() as u64 >= expected {
        return Ok(());
    }
    Err(format!("an answer of {} bytes cannot hold {values} values of {}", message.len(), keys.value_bytes))
}

/// Writes any key.
pub(super) struct Put {
    keys: Keys,
    value: Bytes,
}

impl Put {
    pub(super) fn new(keys: &Keys) -> Self {
        Self { keys: keys.clone(), value: keys.value() }
    }
}

impl Unary for Put {
    type Request = pb::PutRequest;

    fn request(&mut self) -> Option<pb::PutRequest> {
        Some(write(self.keys.any(), self.value.clone()))
    }

    fn answer(&mut self, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

/// Reads any key.
pub(super) struct Range(Keys);

impl Range {
    pub(super) fn new(keys: &Keys) -> Self {
        Self(keys.clone())
    }
}

impl Unary for Range {
    type Request = pb::RangeRequest;

    fn request(&mut self) -> Option<pb::RangeRequest> {
        Some(read(self.0.any()))
    }

    fn answer(&mut self, message: &Bytes) -> Result<(), String> {
        at_least(message, 1, &self.0)
    }
}

/// Reads many keys that follow each other.
pub(super) struct List {
    keys: Keys,
    length: u64,
}

impl List {
    pub(super) fn new(keys: &Keys, length: u64) -> Self {
        Self { keys: keys.clone(), length: length.min(keys.keys) }
    }
}

impl Unary for List {
    type Request = pb::RangeRequest;

    fn request(&mut self) -> Option<pb::RangeRequest> {
        let first = fastrand::u64(..=self.keys.keys - self.length);
        let range_end = self.keys.key(first + self.length);
        Some(pb::RangeRequest { range_end, ..read(self.keys.key(first)) })
    }

    fn answer(&mut self, message: &Bytes) -> Result<(), String> {
        at_least(message, self.length, &self.keys)
    }
}

/// Changes a key of its own if nobody did since it last looked: kube-apiserver's update.
pub(super) struct Txn {
    key: Bytes,
    value: Bytes,
    mod_revision: i64,
}

impl Txn {
    /// The client of that number among so many.
    pub(super) fn new(keys: &Keys, number: u64, clients: u32) -> Self {
        let apart = (keys.keys / u64::from(clients.max(1))).max(1);
        Self { key: keys.key(number * apart), value: keys.value(), mod_revision: 0 }
    }
}

impl Unary for Txn {
    type Request = pb::TxnRequest;

    fn request(&mut self) -> Option<pb::TxnRequest> {
        let unchanged = pb::Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: self.key.clone(),
            target_union: Some(TargetUnion::ModRevision(self.mod_revision)),
            ..pb::Compare::default()
        };
        Some(pb::TxnRequest {
            compare: vec![unchanged],
            success: vec![operation(Request::RequestPut(write(self.key.clone(), self.value.clone())))],
            failure: vec![operation(Request::RequestRange(read(self.key.clone())))],
        })
    }

    /// The revision of the put is the next one to compare with; a failed compare tells it with the key (once, at first).
    fn answer(&mut self, message: &Bytes) -> Result<(), String> {
        let answer = pb::TxnResponse::decode(message.clone()).map_err(|error| error.to_string())?;
        let found = answer.responses.iter().find_map(|response| match &response.response {
            Some(pb::response_op::Response::ResponseRange(range)) => range.kvs.first(),
            _ => None,
        });
        self.mod_revision = match found {
            Some(pair) => pair.mod_revision,
            None => answer.header.map_or(0, |header| header.revision),
        };
        Ok(())
    }
}

/// Writes each key once; clients share the next number.
pub(super) struct Load {
    keys: Keys,
    batch: u64,
    next: Rc<Cell<u64>>,
}

impl Load {
    pub(super) fn new(keys: &Keys, batch: u64, next: &Rc<Cell<u64>>) -> Self {
        Self { keys: keys.clone(), batch, next: Rc::clone(next) }
    }
}

impl Unary for Load {
    type Request = pb::TxnRequest;

    fn request(&mut self) -> Option<pb::TxnRequest> {
        let first = self.next.get();
        let end = (first + self.batch).min(self.keys.keys);
        self.next.set(end);
        let put = |number| operation(Request::RequestPut(write(self.keys.key(number), self.keys.value())));
        (first < end)
            .then(|| pb::TxnRequest { success: (first..end).map(put).collect(), ..pb::TxnRequest::default() })
    }

    fn answer(&mut self, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: u64) -> Keys {
        Keys { keys, key_bytes: 80, value_bytes: 8 }
    }

    /// Filling a store must write every key, and each once: sizes and start times are compared for a known store.
    #[test]
    fn filling_writes_every_key_once() {
        let (keys, next) = (keys(1_050), Rc::new(Cell::new(0)));
        let mut clients = [Load::new(&keys, 100, &next), Load::new(&keys, 100, &next)];
        let mut written = Vec::new();
        for turn in 0..20 {
            let Some(request) = clients[turn % 2].request() else { continue };
            written.extend(request.success.into_iter().filter_map(|operation| match operation.request {
                Some(Request::RequestPut(put)) => Some(put.key),
                _ => None,
            }));
        }
        assert_eq!(written, (0..1_050).map(|number| keys.key(number)).collect::<Vec<_>>());
    }

    /// A list holds as many keys as were asked for wherever it begins, so it lies inside the keys that there are.
    #[test]
    fn a_list_lies_inside_the_keys() {
        let keys = keys(1_200);
        for _ in 0..1_000 {
            let request = List::new(&keys, 1_000).request().expect("always one more");
            assert!(request.key <= keys.key(200) && request.range_end <= keys.key(1_200), "{request:?}");
        }
        assert!(at_least(&vec![0; 8_000].into(), 1_000, &keys).is_ok());
        assert!(at_least(&vec![0; 7_999].into(), 1_000, &keys).is_err());
    }

    /// After one failed compare every update goes through: otherwise reads would be measured as writes.
    #[test]
    fn an_update_compares_with_what_it_last_saw() {
        let mut client = Txn::new(&keys(10), 3, 2);
        let compared =
            |client: &mut Txn| client.request().and_then(|request| request.compare[0].target_union.clone());
        assert_eq!(compared(&mut client), Some(TargetUnion::ModRevision(0)));
        let pair = proto::mvccpb::KeyValue { mod_revision: 7, ..Default::default() };
        let range = pb::RangeResponse { kvs: vec![pair], ..Default::default() };
        let header = |revision| Some(pb::ResponseHeader { revision, ..Default::default() });
        let response = Some(pb::response_op::Response::ResponseRange(range));
        let refused = pb::TxnResponse {
            header: header(20),
            responses: vec![pb::ResponseOp { response }],
            ..Default::default()
        };
        client.answer(&refused.encode_to_vec().into()).expect("a good answer");
        assert_eq!(compared(&mut client), Some(TargetUnion::ModRevision(7)));
        let done = pb::TxnResponse { header: header(21), succeeded: true, ..Default::default() };
        client.answer(&done.encode_to_vec().into()).expect("a good answer");
        assert_eq!(compared(&mut client), Some(TargetUnion::ModRevision(21)));
        assert!(client.answer(&Bytes::from_static(b"\xff")).is_err());
    }
}
