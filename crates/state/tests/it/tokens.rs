//! What a token or an entry of an earlier policy is still good for.

use crate::rig::{Rig, put};
use bytes::Bytes;
use state::Refusal;
use state::auth::{
    AccessChange, Actor, Base, Circumstances, Demand, Demanding, Denied, Evidence, Limits, PasswordHash,
    Permission, PermissionKind, Policy, Terms,
};
use state::command::Command;
use types::{AuthRevision, LogIndex, Term};

/// A policy with the users root and alice, who may write `k`; access control is on.
fn rig() -> Rig {
    let mut rig = Rig::new();
    let user = |name: &str| AccessChange::UserAdd {
        name: name.into(),
        no_password: true,
        password: PasswordHash::default(),
    };
    let permission = Permission {
        kind: PermissionKind::ReadWrite,
        key: Bytes::from_static(b"k"),
        range_end: Bytes::from_static(b"l"),
    };
    for change in [
        user("root"),
        AccessChange::RoleAdd { name: "root".into() },
        AccessChange::UserGrantRole { user: "root".into(), role: "root".into() },
        user("alice"),
        AccessChange::RoleAdd { name: "k".into() },
        AccessChange::RoleGrantPermission { role: "k".into(), permission: Some(permission) },
        AccessChange::UserGrantRole { user: "alice".into(), role: "k".into() },
        AccessChange::Enable,
    ] {
        rig.apply(Command::Access(change)).unwrap();
    }
    rig
}

struct Wanting(Demand);

impl Demanding for Wanting {
    fn demand(&self) -> Demand {
        self.0.clone()
    }
}

/// A signed token says of which revision of the policy it is: it is good for that one. After a change it is old, for an
/// administrator's, too (etcd looks at an administrator's name alone); and one that names a revision to come, which
/// would outlive all changes until then, was never good.
#[test]
fn a_signed_token_is_of_its_revision_alone() {
    let mut rig = rig();
    let policy = Policy::new(Base::Open, &rig.reader());
    let now = rig.reader().look_at_accounts(|accounts| accounts.revision());
    let check = |user: &str, known: u64, demand: Demand| {
        let evidence = Evidence::Token { user: user.into(), known: Some(AuthRevision(known)) };
        let principal = policy.principal(&evidence, Circumstances::default());
        policy.check(&principal, &Wanting(demand)).map(drop)
    };
    let keys = || put("k", "v").demand();
    assert_eq!(check("alice", now.0, keys()), Ok(()));
    assert_eq!(check("root", now.0, Demand::Administrator), Ok(()));
    for ahead in [now.0 + 1, u64::MAX] {
        assert_eq!(check("alice", ahead, keys()), Err(Denied::InvalidToken));
        assert_eq!(check("root", ahead, Demand::Administrator), Err(Denied::InvalidToken));
    }
    rig.apply(Command::Access(AccessChange::RoleAdd { name: "another".into() })).unwrap();
    assert_eq!(check("alice", now.0, keys()), Err(Denied::OldRevision));
    assert_eq!(check("root", now.0, Demand::Administrator), Err(Denied::OldRevision));
    assert_eq!(check("root", now.0, keys()), Err(Denied::OldRevision));
    assert_eq!(check("alice", now.0 + 1, keys()), Ok(()));
}

/// An entry is judged again when it is applied, by the policy of that moment: who lost the right in between, or was
/// recognized by an older policy, changes nothing on any member.
#[test]
fn an_entry_of_an_older_policy_changes_nothing() {
    let mut rig = rig();
    let now = rig.reader().look_at_accounts(|accounts| accounts.revision());
    let mut index = rig.log.len() as u64;
    let mut apply = |rig: &mut Rig, user: &'static str, known: AuthRevision, command: Command| {
        index += 1;
        let actor = Actor { user: user.into(), known };
        rig.machine.apply_for(LogIndex(index), Term(1), &actor, command).unwrap().result.map(drop)
    };
    let refused = |why| Err(Refusal::Denied(why));
    assert_eq!(apply(&mut rig, "alice", now, put("k", "v")), Ok(()));
    assert_eq!(apply(&mut rig, "alice", now, put("x", "v")), refused(Denied::Forbidden));
    assert_eq!(apply(&mut rig, "", AuthRevision(0), put("k", "v")), refused(Denied::Anonymous));
    assert_eq!(apply(&mut rig, "nobody", now, put("k", "v")), refused(Denied::Forbidden));
    let revoke = AccessChange::UserRevokeRole { user: "alice".into(), role: "k".into() };
    assert_eq!(apply(&mut rig, "alice", now, Command::Access(revoke.clone())), refused(Denied::Forbidden));
    assert_eq!(apply(&mut rig, "root", now, Command::Access(revoke)), Ok(()));
    let before = rig.revision();
    assert_eq!(apply(&mut rig, "alice", now, put("k", "v")), refused(Denied::OldRevision));
    assert_eq!(apply(&mut rig, "root", now, put("k", "v")), refused(Denied::OldRevision));
    let next = AuthRevision(now.0 + 1);
    assert_eq!(apply(&mut rig, "alice", next, put("k", "v")), refused(Denied::Forbidden));
    assert_eq!(rig.revision(), before);
}

/// A request's limits are looked up once, when its sender is recognized: they must be those of the policy at that moment, of the
/// roles that count, and none for an administrator or while access control is off.
#[test]
fn limits_are_those_of_the_moment() {
    let mut rig = rig();
    let policy = Policy::new(Base::Open, &rig.reader());
    let limits = |user: &str, now: u64| {
        let evidence = Evidence::Token { user: user.into(), known: None };
        let limits = policy.principal(&evidence, Circumstances { source: None, now }).limits();
        (limits.requests_per_second, limits.write_bytes_max)
    };
    assert_eq!(limits("alice", 0), (0, 0));
    let set = |role: &str, requests_per_second, write_bytes_max, not_after| {
        let limits = Limits { requests_per_second, write_bytes_max };
        let terms = Terms { limits, not_after, ..Terms::default() };
        Command::Access(AccessChange::SetTerms { role: role.into(), terms })
    };
    rig.apply(set("k", 5, 6, 0)).unwrap();
    assert_eq!((limits("alice", 0), limits("root", 0), limits("nobody", 0)), ((5, 6), (0, 0), (0, 0)));
    rig.apply(set("k", 7, 0, 100)).unwrap();
    assert_eq!((limits("alice", 99), limits("alice", 100)), ((7, 0), (0, 0)));
    rig.apply(Command::Access(AccessChange::Disable)).unwrap();
    assert_eq!(limits("alice", 0), (0, 0));
}
