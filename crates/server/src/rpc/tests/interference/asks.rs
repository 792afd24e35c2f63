//! What a user may ask, with rights or without: random requests of every service.

use super::world::{FOREIGN, FOREIGN_LEASES, LEASES, OWNED, READABLE, WRITABLE, one_of};
use bytes::Bytes;
use env::sim::SimRandom;
use pb::compare::TargetUnion;
use pb::request_op::Request as Op;
use prost::Message;
use proto::etcdserverpb as pb;
use proto::strongroom::v1 as own;
use proto::{authpb, v3electionpb, v3lockpb};

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub path: &'static str,
    pub message: Vec<u8>,
    /// The request in words, for who has to find out.
    #[expect(dead_code, reason = "printed")]
    said: String,
}

/// Watchers on one stream.
#[derive(Clone, Debug)]
pub(super) struct Watching {
    pub creates: Vec<pb::WatchCreateRequest>,
}

/// Chance, with the store's revision, and whether the keys of this request are to be the user's own: of a long transaction
/// hardly any would be allowed otherwise.
struct Dice<'a>(&'a SimRandom, i64, bool);

impl Dice<'_> {
    fn below(&self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn one_in(&self, bound: u64) -> bool {
        self.0.below(bound) == 0
    }

    fn key(&self) -> Bytes {
        let pool: &[&str] = match self.below(20) {
            _ if self.2 => OWNED,
            0..=9 => OWNED,
            10..=12 => READABLE,
            13..=15 => WRITABLE,
            _ => FOREIGN,
        };
        Bytes::copy_from_slice(one_of(self.0, pool).as_bytes())
    }

    /// An end for a range from `key` on.
    fn end(&self, key: &Bytes) -> Bytes {
        match self.below(10) {
            0..=3 => Bytes::new(),
            // All that begin with the key's first byte, or with the key.
            4 | 5 => vec![key[0] + 1].into(),
            6 => {
                let mut end = key.to_vec();
                *end.last_mut().unwrap() += 1;
                end.into()
            }
            7 if self.one_in(2) && !self.2 => vec![0].into(),
            _ => self.key(),
        }
    }

    fn revision(&self) -> i64 {
        match self.below(10) {
            0..=5 => 0,
            6..=8 => (self.1 - i64::try_from(self.below(30)).unwrap()).max(0),
            _ => self.1 + i64::try_from(self.below(3)).unwrap(),
        }
    }

    fn filter(&self) -> i64 {
        if self.one_in(12) { self.revision() } else { 0 }
    }

    fn lease(&self) -> i64 {
        match self.below(12) {
            0..=4 => 0,
            5..=8 => one_of(self.0, &LEASES),
            9 | 10 => one_of(self.0, &FOREIGN_LEASES),
            _ => 999,
        }
    }

    fn value(&self) -> Bytes {
        format!("{:x}", self.0.next() >> self.below(60)).into()
    }

    fn range(&self) -> pb::RangeRequest {
        let key = self.key();
        let number = |bound| i32::try_from(self.below(bound)).unwrap();
        pb::RangeRequest {
            range_end: self.end(&key),
            key,
            limit: i64::try_from(self.below(4)).unwrap(),
            revision: self.revision(),
            sort_order: number(3),
            sort_target: if self.one_in(3) { number(5) } else { 0 },
            serializable: self.one_in(2),
            keys_only: self.one_in(6),
            count_only: self.one_in(6),
            min_mod_revision: self.filter(),
            max_mod_revision: self.filter(),
            min_create_revision: self.filter(),
            max_create_revision: self.filter(),
        }
    }

    fn put(&self) -> pb::PutRequest {
        let (ignore_value, ignore_lease) = (self.one_in(8), self.one_in(8));
        pb::PutRequest {
            key: self.key(),
            value: if ignore_value { Bytes::new() } else { self.value() },
            lease: if ignore_lease { 0 } else { self.lease() },
            prev_kv: self.one_in(3),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete(&self) -> pb::DeleteRangeRequest {
        let key = self.key();
        pb::DeleteRangeRequest { range_end: self.end(&key), key, prev_kv: self.one_in(2) }
    }

    fn compare(&self) -> pb::Compare {
        let key = self.key();
        let revision = self.revision();
        let (target, union) = match self.below(5) {
            0 => (0, TargetUnion::Version(i64::try_from(self.below(3)).unwrap())),
            1 => (1, TargetUnion::CreateRevision(revision)),
            2 => (2, TargetUnion::ModRevision(revision)),
            3 => (3, TargetUnion::Value(self.value())),
            _ => (4, TargetUnion::Lease(self.lease())),
        };
        pb::Compare {
            result: i32::try_from(self.below(4)).unwrap(),
            target,
            range_end: if self.one_in(3) { self.end(&key) } else { Bytes::new() },
            key,
            target_union: Some(union),
        }
    }

    fn op(&self, depth: u64) -> pb::RequestOp {
        let request = match self.below(if depth < 3 { 7 } else { 6 }) {
            0 | 1 => Op::RequestRange(self.range()),
            2..=4 => Op::RequestPut(self.put()),
            5 => Op::RequestDeleteRange(self.delete()),
            _ => Op::RequestTxn(self.txn(depth + 1)),
        };
        pb::RequestOp { request: Some(request) }
    }

    fn txn(&self, depth: u64) -> pb::TxnRequest {
        let ops = |bound| (0..self.below(bound)).map(|_| self.op(depth)).collect();
        let compare = (0..self.below(3)).map(|_| self.compare()).collect();
        pb::TxnRequest { compare, success: ops(3), failure: ops(3) }
    }

    fn name(&self) -> String {
        one_of(self.0, &["user", "root", "own", "other-1-1", "nobody"]).to_owned()
    }
}

fn said(path: &'static str, message: impl Message + std::fmt::Debug) -> Ask {
    Ask { path, message: message.encode_to_vec(), said: format!("{message:?}") }
}

/// One request, the common ones more often.
pub(super) fn ask(random: &SimRandom, revision: i64) -> Ask {
    let dice = Dice(random, revision, random.below(3) == 0);
    match dice.below(100) {
        0..=29 => said("/etcdserverpb.KV/Range", dice.range()),
        30..=34 => {
            let pb::RangeRequest { key, range_end, limit, revision, serializable, .. } = dice.range();
            let plain =
                pb::RangeRequest { key, range_end, limit, revision, serializable, ..Default::default() };
            said("/etcdserverpb.KV/RangeStream", plain)
        }
        35..=49 => said("/etcdserverpb.KV/Put", dice.put()),
        50..=55 => said("/etcdserverpb.KV/DeleteRange", dice.delete()),
        56..=79 => said("/etcdserverpb.KV/Txn", dice.txn(0)),
        80 if dice.one_in(3) => {
            let revision = revision - i64::try_from(dice.below(40)).unwrap();
            said("/etcdserverpb.KV/Compact", pb::CompactionRequest { revision, physical: dice.one_in(2) })
        }
        80..=88 => of_leases(&dice),
        89..=91 => of_recipes(&dice),
        92..=95 => of_accounts(&dice),
        96 | 97 => of_access(&dice),
        _ => of_members(&dice),
    }
}

fn of_leases(dice: &Dice<'_>) -> Ask {
    let id = match dice.lease() {
        0 => one_of(dice.0, &LEASES),
        id => id,
    };
    match dice.below(8) {
        // Not of the foreign ones: who comes first would be another world.
        0 => {
            let id = one_of(dice.0, &LEASES);
            said("/etcdserverpb.Lease/LeaseGrant", pb::LeaseGrantRequest { id, ttl: id * 1_000 })
        }
        1 => said("/etcdserverpb.Lease/LeaseRevoke", pb::LeaseRevokeRequest { id }),
        2 => said("/etcdserverpb.Lease/LeaseKeepAlive", pb::LeaseKeepAliveRequest { id }),
        3 => said("/etcdserverpb.Lease/LeaseLeases", pb::LeaseLeasesRequest {}),
        _ => {
            let keys = !dice.one_in(4);
            said("/etcdserverpb.Lease/LeaseTimeToLive", pb::LeaseTimeToLiveRequest { id, keys })
        }
    }
}

/// Locks and elections. Each name with one lease only, so that nobody waits; always with a lease of the caller's, since the
/// number of one that the member makes is chance.
fn of_recipes(dice: &Dice<'_>) -> Ask {
    let lease = one_of(dice.0, &LEASES);
    let name = Bytes::from(format!("{}-{lease}", one_of(dice.0, &["k", "k", "k", "r", "w", "a", "k5"])));
    let key = Bytes::from(format!("{}/{lease:x}", String::from_utf8_lossy(&name)));
    let rev = dice.revision();
    let leader = || v3electionpb::LeaderKey { name: name.clone(), key: key.clone(), rev, lease };
    match dice.below(6) {
        0 => said("/v3lockpb.Lock/Lock", v3lockpb::LockRequest { name, lease }),
        1 => said("/v3lockpb.Lock/Unlock", v3lockpb::UnlockRequest { key }),
        2 => {
            let value = dice.value();
            said("/v3electionpb.Election/Campaign", v3electionpb::CampaignRequest { name, lease, value })
        }
        3 => said("/v3electionpb.Election/Leader", v3electionpb::LeaderRequest { name }),
        4 => {
            let value = dice.value();
            let ask = v3electionpb::ProclaimRequest { leader: Some(leader()), value };
            said("/v3electionpb.Election/Proclaim", ask)
        }
        _ => said("/v3electionpb.Election/Resign", v3electionpb::ResignRequest { leader: Some(leader()) }),
    }
}

fn of_accounts(dice: &Dice<'_>) -> Ask {
    let (name, role) = (dice.name(), dice.name());
    match dice.below(8) {
        0 => said("/etcdserverpb.Auth/UserGet", pb::AuthUserGetRequest { name }),
        1 => said("/etcdserverpb.Auth/RoleGet", pb::AuthRoleGetRequest { role }),
        2 => said("/etcdserverpb.Auth/UserList", pb::AuthUserListRequest {}),
        3 => said("/etcdserverpb.Auth/RoleList", pb::AuthRoleListRequest {}),
        4 => said("/etcdserverpb.Auth/AuthStatus", pb::AuthStatusRequest {}),
        5 => said("/etcdserverpb.Auth/UserDelete", pb::AuthUserDeleteRequest { name }),
        6 => said("/etcdserverpb.Auth/UserGrantRole", pb::AuthUserGrantRoleRequest { user: name, role }),
        _ => {
            let (key, range_end) = (dice.key(), vec![0].into());
            let perm = Some(authpb::Permission { perm_type: 2, key, range_end });
            let ask = pb::AuthRoleGrantPermissionRequest { name: role, perm };
            said("/etcdserverpb.Auth/RoleGrantPermission", ask)
        }
    }
}

fn of_access(dice: &Dice<'_>) -> Ask {
    match dice.below(4) {
        0 => said("/strongroom.v1.Access/WhoAmI", own::WhoAmIRequest {}),
        1 => said("/strongroom.v1.Access/Show", own::ShowRequest {}),
        _ => {
            let key = dice.key();
            let ask = own::ExplainRequest {
                user: dice.name(),
                operation: one_of(dice.0, &["get", "put", "compact", "snapshot"]).to_owned(),
                range_end: dice.end(&key),
                key,
                source: String::new(),
                identity: None,
            };
            said("/strongroom.v1.Access/Explain", ask)
        }
    }
}

fn of_members(dice: &Dice<'_>) -> Ask {
    match dice.below(9) {
        0 => said("/etcdserverpb.Cluster/MemberList", pb::MemberListRequest { linearizable: dice.one_in(2) }),
        1 | 2 => said("/etcdserverpb.Maintenance/Status", pb::StatusRequest {}),
        3 => {
            let action = i32::try_from(dice.below(3)).unwrap();
            said("/etcdserverpb.Maintenance/Alarm", pb::AlarmRequest { action, member_id: 0, alarm: 1 })
        }
        4 => said("/etcdserverpb.Maintenance/Hash", pb::HashRequest {}),
        5 => said("/etcdserverpb.Maintenance/HashKV", pb::HashKvRequest { revision: dice.revision() }),
        6 => said("/etcdserverpb.Maintenance/Snapshot", pb::SnapshotRequest {}),
        7 => said("/etcdserverpb.Maintenance/Defragment", pb::DefragmentRequest {}),
        _ => said("/grpc.health.v1.Health/Check", proto::grpc_health_v1::HealthCheckRequest::default()),
    }
}

/// One or two watchers, from some revision on.
pub(super) fn watching(random: &SimRandom, revision: i64) -> Watching {
    let dice = Dice(random, revision, false);
    let creates = (0..1 + dice.below(2)).map(|_| {
        let key = dice.key();
        let start = revision - i64::try_from(dice.below(60)).unwrap();
        pb::WatchCreateRequest {
            range_end: dice.end(&key),
            key,
            start_revision: if dice.one_in(8) { 0 } else { start.max(1) },
            filters: if dice.one_in(4) { vec![i32::from(dice.one_in(2))] } else { Vec::new() },
            prev_kv: dice.one_in(2),
            fragment: dice.one_in(4),
            ..Default::default()
        }
    });
    Watching { creates: creates.collect() }
}
