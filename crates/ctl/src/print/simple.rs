//! Answers as plain text: keys and values on lines of their own, one sentence for everything else.

use super::text::hex_escaped;
use super::{alarm_name, event_name};
use crate::command::range::prefix_end;
use bytes::Bytes;
use proto::authpb::Permission;
use proto::authpb::permission::Type;
use proto::{etcdserverpb as pb, mvccpb};

/// The end of a range that has none.
const NO_END: &[u8] = b"\0";

/// How keys and values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Raw,
    Hex,
}

/// Whether keys are written beside the values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Shown {
    #[default]
    KeysAndValues,
    ValuesOnly,
}

/// Collects the text of one answer; bytes, because keys and values are.
pub(super) struct Simple {
    data: Data,
    shown: Shown,
    out: Vec<u8>,
}

impl Simple {
    pub(super) fn new(data: Data, shown: Shown) -> Self {
        Self { data, shown, out: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn line(&mut self, text: &str) {
        self.sentence(text.as_bytes());
    }

    /// A line with a key in it, which is no text.
    pub(super) fn sentence(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.push(b'\n');
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match self.data {
            Data::Raw => self.out.extend_from_slice(bytes),
            Data::Hex => self.out.extend_from_slice(hex_escaped(bytes).as_bytes()),
        }
        self.out.push(b'\n');
    }

    fn pair(&mut self, kv: &mvccpb::KeyValue) {
        if self.shown == Shown::KeysAndValues {
            self.bytes(&kv.key);
        }
        self.bytes(&kv.value);
    }

    pub(super) fn range(&mut self, answer: &pb::RangeResponse) {
        for kv in &answer.kvs {
            self.pair(kv);
        }
    }

    pub(super) fn put(&mut self, answer: &pb::PutResponse) {
        self.line("OK");
        if let Some(kv) = &answer.prev_kv {
            self.pair(kv);
        }
    }

    pub(super) fn delete(&mut self, answer: &pb::DeleteRangeResponse) {
        self.line(&answer.deleted.to_string());
        for kv in &answer.prev_kvs {
            self.pair(kv);
        }
    }

    pub(super) fn txn(&mut self, answer: &pb::TxnResponse) {
        use pb::response_op::Response;
        self.line(if answer.succeeded { "SUCCESS" } else { "FAILURE" });
        for op in &answer.responses {
            self.line("");
            match &op.response {
                Some(Response::ResponseRange(r)) => self.range(r),
                Some(Response::ResponsePut(r)) => self.put(r),
                Some(Response::ResponseDeleteRange(r)) => self.delete(r),
                Some(Response::ResponseTxn(r)) => self.txn(r),
                None => self.line("unexpected response"),
            }
        }
    }

    pub(super) fn watch(&mut self, answer: &pb::WatchResponse) {
        for event in &answer.events {
            self.line(event_name(event.r#type));
            if let Some(kv) = &event.prev_kv {
                self.pair(kv);
            }
            self.pair(&event.kv.clone().unwrap_or_default());
        }
    }

    pub(super) fn time_to_live(&mut self, answer: &pb::LeaseTimeToLiveResponse, keys: super::Keys) {
        let pb::LeaseTimeToLiveResponse { id, ttl, granted_ttl, .. } = answer;
        if *granted_ttl == 0 && *ttl == -1 {
            return self.line(&format!("lease {id:016x} already expired"));
        }
        let text = format!("lease {id:016x} granted with TTL({granted_ttl}s), remaining({ttl}s)");
        self.out.extend_from_slice(text.as_bytes());
        if keys == super::Keys::Shown {
            self.out.extend_from_slice(b", attached keys([");
            self.out.extend_from_slice(&answer.keys.join(&b' '));
            self.out.extend_from_slice(b"])");
        }
        self.out.push(b'\n');
    }

    pub(super) fn leases(&mut self, answer: &pb::LeaseLeasesResponse) {
        self.line(&format!("found {} leases", answer.leases.len()));
        for lease in &answer.leases {
            self.line(&format!("{:016x}", lease.id));
        }
    }

    pub(super) fn alarm(&mut self, answer: &pb::AlarmResponse) {
        for alarm in &answer.alarms {
            self.line(&format!("memberID:{} alarm:{}", alarm.member_id, alarm_name(alarm.alarm)));
        }
    }

    /// What a role may read, and what it may write, a range a line.
    pub(super) fn role(&mut self, name: &str, answer: &pb::AuthRoleGetResponse) {
        self.line(&format!("Role {name}"));
        // The role of administrators, as servers before etcd 3.4 show it: without a permission of its own.
        let root =
            [Permission { perm_type: Type::Readwrite.into(), key: Bytes::new(), range_end: NO_END.into() }];
        let permissions =
            if name == "root" && answer.perm.is_empty() { &root[..] } else { answer.perm.as_slice() };
        for (title, kind) in [("KV Read:", Type::Read), ("KV Write:", Type::Write)] {
            self.line(title);
            for permission in permissions {
                if permission.perm_type == i32::from(kind)
                    || permission.perm_type == i32::from(Type::Readwrite)
                {
                    self.permission(permission);
                }
            }
        }
    }

    fn permission(&mut self, permission: &Permission) {
        let (key, end) = (permission.key.as_ref(), permission.range_end.as_ref());
        let parts: &[&[u8]] = match end {
            b"" => &[b"\t", key],
            NO_END => &[b"\t[", key, b", <open ended>"],
            end => &[b"\t[", key, b", ", end, b")"],
        };
        self.out.extend_from_slice(&parts.concat());
        if !end.is_empty() && !key.is_empty() && prefix_end(key) == end {
            self.out.extend_from_slice(&[b" (prefix ", key, b")"].concat());
        }
        self.out.push(b'\n');
    }
}
