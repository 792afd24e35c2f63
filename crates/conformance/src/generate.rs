//! The operations: random, from a seed, over a key space small enough that they meet.
//!
//! Owns what is asked, valid and invalid alike. What a request may refer to (revisions) comes from the caller, who
//! knows where the reference stands.

use crate::accounts::{Accounts, Act, Who};
use bytes::Bytes;
use fastrand::Rng;
use prost::Message as _;
use proto::etcdserverpb as pb;
use std::collections::{BTreeSet, VecDeque};

/// Where the reference stands, so that revisions in requests lie around what exists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    /// Its latest revision.
    pub revision: i64,
    /// The last compacted revision, or 0.
    pub compacted: i64,
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A read.
    Range(pb::RangeRequest),
    /// A streamed read; the chunks are put together before they are compared.
    RangeStream(pb::RangeRequest),
    /// A write.
    Put(pb::PutRequest),
    /// A deletion.
    Delete(pb::DeleteRangeRequest),
    /// A transaction.
    Txn(pb::TxnRequest),
    /// A compaction.
    Compact(pb::CompactionRequest),
    /// A lease begins.
    Grant(pb::LeaseGrantRequest),
    /// A lease ends.
    Revoke(pb::LeaseRevokeRequest),
    /// A lease is looked at.
    TimeToLive(pb::LeaseTimeToLiveRequest),
    /// A lease is renewed.
    KeepAlive(pb::LeaseKeepAliveRequest),
    /// All leases.
    Leases,
    /// The hash of the key space.
    HashKv(pb::HashKvRequest),
    /// The alarms.
    Alarms,
    /// A watcher begins.
    Watch(pb::WatchCreateRequest),
    /// All watchers' events so far are compared, and the watchers end.
    CompareWatchers,
    /// A watcher's first answer.
    Glance(pb::WatchCreateRequest),
    /// An act on users and roles.
    Auth(Act),
}

/// Eleven, twelve with the sentinel: a sort of more pairs leaves those that are equal in whatever order Go's unstable
/// sort gives, and nobody can rely on that.
const KEYS: &[&[u8]] = &[b"a", b"aa", b"b", b"b\0", b"b\xff", b"c/1", b"c/2", b"d", b"\0", b"\xff\xff", b"z"];
const LEASES: &[i64] = &[1, 2, 3, 77, 0x7fff_ffff_ffff_fff0, -5];

/// The source of operations.
pub(crate) struct Generator {
    rng: Rng,
    /// A compaction that waits for the watchers before it: whether a watcher that is still behind is overtaken by one is
    /// a matter of time, which two servers do not share.
    compaction: Option<pb::CompactionRequest>,
    /// Revisions of compactions whose end was not waited for: whether etcd answers the hash that it keeps of one, or
    /// hashes what is there, is a matter of time too.
    unsettled: BTreeSet<i64>,
    /// The last revisions that no transaction wrote. etcd 3.7 loses a key that one transaction deleted and put again when
    /// it compacts to just that revision, and ends at the next read of it; ours keeps the key.
    plain: VecDeque<i64>,
    before: (Now, bool),
    accounts: Accounts,
    /// What comes next and may not be parted, the last first.
    together: Vec<(Operation, Who)>,
}

/// Bytes of a request that might be too large.
const LARGE: usize = 1 << 20;
/// How many of them are kept in mind.
const PLAIN_MAX: usize = 400;

impl Generator {
    /// Operations from this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let (unsettled, plain) = (BTreeSet::new(), VecDeque::new());
        let before = (Now::default(), false);
        let (accounts, together) = (Accounts::default(), Vec::new());
        Self { rng: Rng::with_seed(seed), compaction: None, unsettled, plain, before, accounts, together }
    }

    /// Takes notice of an operation that both servers did.
    pub(crate) fn done(&mut self, operation: &Operation) {
        if let Operation::Auth(act) = operation {
            self.accounts.done(act);
        }
    }

    /// The next operation, and who asks for it.
    pub(crate) fn next(&mut self, now: Now) -> (Operation, Who) {
        let (before, was_txn) = self.before;
        if !was_txn && now.revision > before.revision {
            self.plain.push_back(now.revision);
            self.plain.drain(..self.plain.len().saturating_sub(PLAIN_MAX));
        }
        if self.together.is_empty() && self.compaction.is_none() {
            self.together = self.accounts.next(&mut self.rng);
        }
        let next = self.together.pop().unwrap_or_else(|| self.drawn(now));
        self.before = (now, matches!(next.0, Operation::Txn(_)));
        next
    }

    /// A random operation of somebody's.
    fn drawn(&mut self, now: Now) -> (Operation, Who) {
        let (operation, who) = (self.draw(now), self.accounts.who(&mut self.rng));
        let root = self.accounts.watcher();
        let of_root_alone = match &operation {
            Operation::Txn(txn) if txn.encoded_len() > LARGE => true,
            Operation::Txn(_) if who == Who::Nobody && ranges(&operation).is_empty() => true,
            Operation::Put(put) => put.encoded_len() > LARGE,
            Operation::CompareWatchers => true,
            Operation::Leases => who != Who::Nobody,
            _ => {
                ranges(&operation).into_iter().any(|(key, end)| !end.is_empty() && end != b"\0" && end <= key)
            }
        };
        match operation {
            Operation::Watch(request) if who != root => {
                (Operation::Glance(request), if of_root_alone { root } else { who })
            }
            _ if of_root_alone => (operation, root),
            _ => (operation, who),
        }
    }

    fn draw(&mut self, now: Now) -> Operation {
        if let Some(compaction) = self.compaction.take() {
            if !compaction.physical {
                self.unsettled.insert(compaction.revision);
            }
            return Operation::Compact(compaction);
        }
        match self.rng.u32(0..1000) {
            0..280 => Operation::Put(self.put()),
            280..480 => Operation::Range(self.range(now)),
            480..500 => {
                let mut request = self.range(now);
                // Without an order but with another target etcd sorts each chunk by itself; ours goes by key throughout.
                if request.sort_order == 0 {
                    request.sort_target = 0;
                }
                Operation::RangeStream(request)
            }
            500..580 => Operation::Delete(self.delete()),
            580..850 => {
                let mut txn = self.txn(now, 3);
                if deletes_from_key_on(&txn) {
                    keep_nothing(&mut txn);
                }
                Operation::Txn(txn)
            }
            850..858 => {
                // A compaction of nothing, to revision 0, makes etcd remember a hash that it then answers for ever.
                let revision = self.revision(now);
                let revision = if revision == 0 { now.revision.max(1) } else { revision };
                let plain = |at: &i64| *at <= revision && *at > now.compacted;
                let revision = match self.plain.iter().rev().find(|at| plain(at)) {
                    Some(plain) if revision <= now.revision => *plain,
                    None if (now.compacted + 1..=now.revision).contains(&revision) => now.revision + 1,
                    _ => revision,
                };
                self.compaction = Some(pb::CompactionRequest { revision, physical: self.chance(3) });
                Operation::CompareWatchers
            }
            858..890 => {
                let id = if self.chance(20) { 0 } else { self.lease() };
                // A lease that the server numbers differs on both; it is asked for only where it is refused.
                let ttl = if id == 0 {
                    9_000_000_001
                } else {
                    self.pick(&[100, 600, 5_000, 9_000_000_000, 9_000_000_001])
                };
                Operation::Grant(pb::LeaseGrantRequest { id, ttl })
            }
            890..910 => Operation::Revoke(pb::LeaseRevokeRequest { id: self.lease() }),
            910..930 => {
                Operation::TimeToLive(pb::LeaseTimeToLiveRequest { id: self.lease(), keys: self.chance(2) })
            }
            930..945 => Operation::KeepAlive(pb::LeaseKeepAliveRequest { id: self.lease() }),
            945..950 => Operation::Leases,
            950..965 => {
                let revision = if self.chance(3) { self.revision(now) } else { 0 };
                let revision = if self.unsettled.contains(&revision) { 0 } else { revision };
                Operation::HashKv(pb::HashKvRequest { revision })
            }
            965..968 => Operation::Alarms,
            968..996 => Operation::Watch(self.watch(now)),
            _ => Operation::CompareWatchers,
        }
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.rng.u32(0..one_in) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(0..from.len())].clone()
    }

    fn key(&mut self) -> Bytes {
        if self.chance(80) { Bytes::new() } else { Bytes::from_static(self.pick(KEYS)) }
    }

    fn range_end(&mut self) -> Bytes {
        match self.rng.u32(0..10) {
            0..4 => Bytes::new(),
            4..6 => Bytes::from_static(b"\0"),
            _ => Bytes::from_static(self.pick(KEYS)),
        }
    }

    fn lease(&mut self) -> i64 {
        self.pick(LEASES)
    }

    /// A value: usually short, sometimes empty or long, rarely beyond the limit.
    fn value(&mut self) -> Bytes {
        let length = match self.rng.u32(0..2_000) {
            0..200 => 0,
            200..1_960 => self.rng.usize(1..24),
            1_960..1_996 => self.rng.usize(24..5_000),
            1_996..1_999 => 1_572_864,
            _ => 2_200_000,
        };
        let letter = self.rng.u8(b'a'..=b'd');
        Bytes::from(vec![letter; length])
    }

    /// A revision: usually one that exists, sometimes compacted, future, zero or negative.
    fn revision(&mut self, now: Now) -> i64 {
        match self.rng.u32(0..20) {
            0 => 0,
            1 => -1,
            2 => now.compacted,
            3 => now.compacted - 1,
            4 => now.revision + 1,
            5 => now.revision + 1_000,
            6..9 => now.revision,
            _ => now.compacted + self.rng.i64(0..=(now.revision - now.compacted).clamp(0, 400)),
        }
    }

    /// An enum's number: usually a known one, rarely not.
    fn number(&mut self, known: i32) -> i32 {
        if self.chance(60) { self.pick(&[known, 99, -1]) } else { self.rng.i32(0..known) }
    }

    fn bound(&mut self, now: Now) -> i64 {
        if self.chance(6) { self.revision(now) } else { 0 }
    }

    fn range(&mut self, now: Now) -> pb::RangeRequest {
        let mut request = pb::RangeRequest {
            key: self.key(),
            range_end: self.range_end(),
            serializable: self.chance(4),
            keys_only: self.chance(6),
            count_only: self.chance(8),
            limit: if self.chance(3) { self.rng.i64(-1..6) } else { 0 },
            revision: if self.chance(3) { self.revision(now) } else { 0 },
            ..Default::default()
        };
        if self.chance(3) {
            request.sort_order = self.number(3);
            request.sort_target = self.number(5);
        }
        if self.chance(4) {
            request.min_mod_revision = self.bound(now);
            request.max_mod_revision = self.bound(now);
            request.min_create_revision = self.bound(now);
            request.max_create_revision = self.bound(now);
        }
        request
    }

    fn put(&mut self) -> pb::PutRequest {
        let mut request = pb::PutRequest {
            key: self.key(),
            value: self.value(),
            lease: if self.chance(5) { self.lease() } else { 0 },
            prev_kv: self.chance(3),
            ignore_value: self.chance(15),
            ignore_lease: self.chance(15),
        };
        // Mostly not contradictory, since a contradiction ends the request early.
        if request.ignore_value && !self.chance(5) {
            request.value = Bytes::new();
        }
        if request.ignore_lease && !self.chance(5) {
            request.lease = 0;
        }
        request
    }

    fn delete(&mut self) -> pb::DeleteRangeRequest {
        let range_end = if self.chance(2) { Bytes::new() } else { self.range_end() };
        pb::DeleteRangeRequest { key: self.key(), range_end, prev_kv: self.chance(3) }
    }

    fn txn(&mut self, now: Now, depth: u32) -> pb::TxnRequest {
        let most = if self.chance(400) { 130 } else { 4 };
        let (compares, thens, elses) = (self.rng.usize(0..4), self.rng.usize(0..most), self.rng.usize(0..4));
        pb::TxnRequest {
            compare: (0..compares).map(|_| self.compare(now)).collect(),
            success: (0..thens).map(|_| self.op(now, depth)).collect(),
            failure: (0..elses).map(|_| self.op(now, depth)).collect(),
        }
    }

    fn op(&mut self, now: Now, depth: u32) -> pb::RequestOp {
        use pb::request_op::Request;
        let request = match self.rng.u32(0..100) {
            0..45 => Request::RequestPut(self.put()),
            45..70 => Request::RequestRange(self.range(now)),
            70..85 => Request::RequestDeleteRange(self.delete()),
            85..99 if depth > 0 => Request::RequestTxn(self.txn(now, depth - 1)),
            85..99 => Request::RequestRange(self.range(now)),
            _ => return pb::RequestOp { request: None },
        };
        pb::RequestOp { request: Some(request) }
    }

    fn compare(&mut self, now: Now) -> pb::Compare {
        use pb::compare::TargetUnion;
        let target = self.rng.i32(0..5);
        // Sometimes the operand belongs to another target than the one named.
        let operand = if self.chance(30) { self.rng.i32(0..5) } else { target };
        let target_union = match operand {
            0 => TargetUnion::Version(self.rng.i64(0..4)),
            1 => TargetUnion::CreateRevision(self.revision(now)),
            2 => TargetUnion::ModRevision(self.revision(now)),
            3 => TargetUnion::Value(self.value().slice(..0)),
            _ => TargetUnion::Lease(if self.chance(2) { 0 } else { self.lease() }),
        };
        pb::Compare {
            result: self.number(4),
            target,
            key: self.key(),
            range_end: if self.chance(4) { self.range_end() } else { Bytes::new() },
            target_union: (!self.chance(60)).then_some(target_union),
        }
    }

    fn watch(&mut self, now: Now) -> pb::WatchCreateRequest {
        let filters = if self.chance(4) { vec![self.rng.i32(0..2)] } else { Vec::new() };
        pb::WatchCreateRequest {
            key: if self.chance(6) { Bytes::new() } else { self.key() },
            range_end: self.range_end(),
            // Not far ahead: etcd tells no progress of a stream with a watcher that waits for the future.
            start_revision: if self.chance(2) { self.revision(now).min(now.revision + 1) } else { 0 },
            filters,
            prev_kv: self.chance(3),
            fragment: self.chance(4),
            ..Default::default()
        }
    }
}

/// Whether a deletion without an upper end is anywhere in the transaction.
fn deletes_from_key_on(txn: &pb::TxnRequest) -> bool {
    use pb::request_op::Request;
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(Request::RequestDeleteRange(delete)) => delete.range_end.as_ref() == b"\0",
        Some(Request::RequestTxn(inner)) => deletes_from_key_on(inner),
        _ => false,
    })
}

/// The ranges that an operation names.
fn ranges(operation: &Operation) -> Vec<(&[u8], &[u8])> {
    match operation {
        Operation::Range(range) | Operation::RangeStream(range) => vec![(&range.key, &range.range_end)],
        Operation::Put(put) => vec![(&put.key, &[])],
        Operation::Delete(delete) => vec![(&delete.key, &delete.range_end)],
        Operation::Txn(txn) => ranges_of_txn(txn),
        Operation::Watch(watch) | Operation::Glance(watch) => vec![(&watch.key, &watch.range_end)],
        _ => Vec::new(),
    }
}

fn ranges_of_txn(txn: &pb::TxnRequest) -> Vec<(&[u8], &[u8])> {
    use pb::request_op::Request;
    let mut found: Vec<(&[u8], &[u8])> =
        txn.compare.iter().map(|compare| (&*compare.key, &*compare.range_end)).collect();
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) => found.push((&range.key, &range.range_end)),
            Some(Request::RequestPut(put)) => found.push((&put.key, &[])),
            Some(Request::RequestDeleteRange(delete)) => found.push((&delete.key, &delete.range_end)),
            Some(Request::RequestTxn(inner)) => found.extend(ranges_of_txn(inner)),
            None => {}
        }
    }
    found
}

/// Takes `ignore_value` and `ignore_lease` off every put: beside such a deletion they end the reference's process.
fn keep_nothing(txn: &mut pb::TxnRequest) {
    use pb::request_op::Request;
    for op in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut op.request {
            Some(Request::RequestPut(put)) => (put.ignore_value, put.ignore_lease) = (false, false),
            Some(Request::RequestTxn(inner)) => keep_nothing(inner),
            _ => {}
        }
    }
}
