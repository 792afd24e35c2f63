//! Two members, alike in what the user may read, different in everything else.
//!
//! Invariant: after each step both members are at the same revision, and the keys that the user may read are the same
//! to the byte.

use crate::rpc::tests::accounts::Accounts;
use crate::rpc::tests::rig::{Caller, Rig};
use bytes::Bytes;
use env::sim::SimRandom;
use pb::request_op::Request as Op;
use proto::authpb;
use proto::etcdserverpb as pb;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::access_client::AccessClient;
use state::auth::Base;

/// What the user may read and write, but for `k5…`, which is denied.
pub(super) const OWN: (&str, &str) = ("k", "l");
/// What it may only read.
pub(super) const READ: (&str, &str) = ("r", "s");
/// What it may only write.
pub(super) const WRITE: (&str, &str) = ("w", "x");

/// Keys that it may neither read nor write; among them the neighbours of those that it may.
pub(super) const FOREIGN: &[&str] =
    &["a", "j", "j\u{7f}", "k5", "k55", "k5\u{7f}", "l", "l0", "q", "s", "s0", "v", "x", "x9", "z"];
/// Keys in its ranges.
pub(super) const OWNED: &[&str] = &["k", "k0", "k1", "k4\u{7f}", "k6", "k7", "k\u{7f}"];
pub(super) const READABLE: &[&str] = &["r", "r1", "r2"];
pub(super) const WRITABLE: &[&str] = &["w", "w1", "w2"];

/// Leases that its keys may hang on, and on which no foreign key ever hangs.
pub(super) const LEASES: [i64; 4] = [101, 102, 103, 104];
/// Leases on which a foreign key hangs at all times.
pub(super) const FOREIGN_LEASES: [i64; 2] = [201, 202];

/// One member with those who use it.
struct Side {
    /// Runs as long as it is here.
    _rig: Rig,
    root: Caller,
    user: Caller,
    token: Caller,
}

/// Both members.
pub(super) struct World {
    sides: [Side; 2],
    /// Whether the user shows a token instead of a certificate.
    by_token: bool,
    has_foreign_leases: bool,
    revision: i64,
    accounts: u64,
}

pub(super) fn one_of<T: Copy>(random: &SimRandom, all: &[T]) -> T {
    all[usize::try_from(random.below(all.len() as u64)).unwrap()]
}

fn put(key: &str, value: u64, lease: i64) -> pb::RequestOp {
    let value = Bytes::from(format!("{value:x}").repeat(1 + (value % 5) as usize));
    let put =
        pb::PutRequest { key: Bytes::copy_from_slice(key.as_bytes()), value, lease, ..Default::default() };
    pb::RequestOp { request: Some(Op::RequestPut(put)) }
}

fn delete(key: &str) -> pb::RequestOp {
    let delete = pb::DeleteRangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..Default::default() };
    pb::RequestOp { request: Some(Op::RequestDeleteRange(delete)) }
}

impl Side {
    async fn new() -> Self {
        let rig = Rig::new(Base::Closed);
        let root = rig.administrator();
        let mut accounts = Accounts::of(&root);
        accounts.role("own", OWN.0, OWN.1).await;
        accounts.grant_permission("own", authpb::permission::Type::Read, READ.0, READ.1).await;
        accounts.grant_permission("own", authpb::permission::Type::Write, WRITE.0, WRITE.1).await;
        let deny = authpb::Permission {
            perm_type: authpb::permission::Type::Readwrite as i32,
            key: "k5".into(),
            range_end: "k6".into(),
        };
        let abilities = vec!["compact".to_owned()];
        let terms = own::RoleTerms { deny: vec![deny], abilities, ..Default::default() };
        let set = own::SetRoleRequest { role: "own".into(), terms: Some(terms) };
        AccessClient::new(root.clone()).set_role(set).await.unwrap();
        accounts.user_with_password("user", "password", &["own"]).await;
        let token = Accounts::token(&rig.anonymous(), "user", "password").await.unwrap();
        let (user, token) = (rig.named("user"), rig.anonymous().with_token(&token));
        Self { _rig: rig, root, user, token }
    }

    /// Does these in one revision, as the administrator.
    async fn write(&self, acts: Vec<pb::RequestOp>) -> i64 {
        let txn = pb::TxnRequest { success: acts, ..Default::default() };
        self.root.kv().txn(txn).await.unwrap().into_inner().header.unwrap().revision
    }

    async fn grant(&self, id: i64) {
        let grant = pb::LeaseGrantRequest { id, ttl: id * 1_000 };
        // The user may have it already.
        let _ = self.root.lease().lease_grant(grant).await;
    }

    /// Writes of others that the user may not see, one revision.
    async fn elsewhere(&self, random: &SimRandom, leases: &[i64]) -> i64 {
        // Always a write, so that there always is a revision.
        let mut acts = vec![put("zz", random.next(), 0)];
        for key in FOREIGN {
            match random.below(8) {
                0 => acts.push(delete(key)),
                1 | 2 => {
                    let lease = if random.below(3) == 0 { one_of(random, leases) } else { 0 };
                    acts.push(put(key, random.next(), lease));
                }
                _ => {}
            }
        }
        self.write(acts).await
    }
}

impl World {
    pub(super) async fn new(random: &SimRandom, number: u64) -> Self {
        let (one, two) = tokio::join!(Side::new(), Side::new());
        let (by_token, has_foreign_leases) = (!number.is_multiple_of(2), !number.is_multiple_of(3));
        let mut world = Self { sides: [one, two], by_token, has_foreign_leases, revision: 0, accounts: 0 };
        for side in &world.sides {
            for lease in LEASES {
                side.grant(lease).await;
            }
            if has_foreign_leases {
                for lease in FOREIGN_LEASES {
                    side.grant(lease).await;
                }
                // One that the other has not; nobody asks for it by its number.
                side.grant(300 + one_of(random, &[1, 2, 3, 4, 5, 6, 7, 8])).await;
            }
        }
        if has_foreign_leases {
            world
                .each(random, |side, random| async move {
                    side.write(
                        FOREIGN_LEASES.map(|lease| put(&format!("z-{}", random.next()), 1, lease)).into(),
                    )
                    .await
                })
                .await;
        }
        for _ in 0..5 {
            world.go_on(random).await;
        }
        world
    }

    /// The user on both.
    pub(super) fn users(&self) -> [&Caller; 2] {
        self.sides.each_ref().map(|side| if self.by_token { &side.token } else { &side.user })
    }

    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// Has both do something of their own, and checks that they stay together.
    async fn each<'a, F: Future<Output = i64>>(
        &'a mut self,
        random: &SimRandom,
        act: impl Fn(&'a Side, SimRandom) -> F,
    ) {
        let [one, two] = &self.sides;
        let chance = [random.next(), random.next()].map(SimRandom::new);
        let [first, second] = chance;
        let (one, two) = tokio::join!(act(one, first), act(two, second));
        assert_eq!(one, two, "the members stay at one revision");
        self.revision = one;
    }

    /// One thing more happens.
    pub(super) async fn go_on(&mut self, random: &SimRandom) {
        let leases: &[i64] = if self.has_foreign_leases { &FOREIGN_LEASES } else { &[0] };
        let same = random.next();
        match random.below(10) {
            // Others write where the user sees it: the same on both.
            0 | 1 => {
                let key = one_of(random, &[OWNED, READABLE].concat());
                self.each(random, |side, _| side.write(vec![put(key, same, 0)])).await;
            }
            // Where it may write and not read, there are the same keys, with other values.
            2 => {
                let key = one_of(random, WRITABLE);
                self.each(random, |side, chance| side.write(vec![put(key, chance.next(), 0)])).await;
            }
            // Others come and go among the accounts.
            3 if random.below(5) == 0 => {
                self.accounts += 1;
                for side in &self.sides {
                    let mut accounts = Accounts::of(&side.root);
                    let name = format!("other-{}-{}", self.accounts, random.next());
                    accounts.user(&name, &[]).await;
                    if random.below(2) == 0 {
                        accounts.role(&name, "a", "z").await;
                    } else {
                        accounts.role(&name, "k", "").await;
                    }
                }
            }
            // A lease of the user's is there again.
            4 => {
                let lease = one_of(random, &LEASES);
                for side in &self.sides {
                    side.grant(lease).await;
                }
            }
            _ => {
                self.each(random, |side, chance| async move { side.elsewhere(&chance, leases).await }).await;
            }
        }
    }

    /// Whether there was anything to tell apart.
    pub(super) async fn differs(&self) {
        let all = pb::RangeRequest {
            key: [0].as_slice().into(),
            range_end: [0].as_slice().into(),
            ..Default::default()
        };
        let mut found = Vec::new();
        for side in &self.sides {
            found.push(side.root.kv().range(all.clone()).await.unwrap().into_inner().kvs);
        }
        assert_ne!(found[0], found[1], "two members that are alike prove nothing");
    }
}
