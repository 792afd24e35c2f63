//! Operations on users and roles, and who asks for everything else.
//!
//! Owns what is asked of the Auth service, odd names, permissions and passwords among it, and a rough model of what exists,
//! so that access control is turned on and off, and somebody can log in, often enough. What the two servers do otherwise on
//! purpose is kept out here, in one place, each with its reason:
//!
//! * a user without a password does not try one: etcd tells that it has none, ours does not;
//! * wrong passwords are few: ours makes who guesses wait;
//! * watchers are root's, and end before access control is turned on or off: ours cuts a stream whose caller may not go on,
//!   etcd lets it be; others ask for a watcher each time anew (`Operation::Glance`);
//! * a transaction that touches nothing is somebody's: etcd does it for nobody, ours asks who that is;
//! * what is too large is root's: etcd says so before it asks for rights, ours asks first;
//! * ranges that end before they begin are root's: what etcd makes of them hangs on the shape of the tree of permissions, ours asks
//!   for the right to the first key;
//! * leases are listed by nobody or by root: ours names them to nobody who may not read everything;
//! * of a role with more than twelve permissions those of one key are put in order: Go's unstable sort leaves them in another.

use crate::generate::Operation;
use bytes::Bytes;
use fastrand::Rng;
use proto::authpb;
use proto::etcdserverpb as pb;
use std::collections::BTreeMap;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody in particular.
    Nobody,
    /// Who showed this user's password last, with the token that it got for it, whatever became of that.
    User(&'static str),
    /// The bearer of a token that nobody gave.
    Forger,
}

/// One act on users and roles.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Enable,
    Disable,
    Status,
    Login(&'static str, &'static str),
    UserAdd(pb::AuthUserAddRequest),
    UserDelete(&'static str),
    UserGet(&'static str),
    UserList,
    ChangePassword(&'static str, &'static str),
    GrantRole(&'static str, &'static str),
    RevokeRole(&'static str, &'static str),
    RoleAdd(&'static str),
    RoleDelete(&'static str),
    RoleGet(&'static str),
    RoleList,
    GrantPermission(&'static str, Option<authpb::Permission>),
    RevokePermission(&'static str, Bytes, Bytes),
}

pub(crate) const ROOT: &str = "root";
const USERS: &[&str] = &["alice", "bob", "carol"];
const ROLES: &[&str] = &["one", "two", "three", ROOT];
const PASSWORDS: &[&str] = &["first", "second"];
/// Wrong passwords in a run: below what ours lets pass unhindered.
const WRONG_LOGINS: usize = 4;

/// What is known of the servers, from what they answered.
#[derive(Default)]
pub(crate) struct Accounts {
    is_enabled: bool,
    /// Users, with the password if there is one.
    users: BTreeMap<&'static str, Option<&'static str>>,
    wrong_logins: usize,
}

impl Accounts {
    /// Takes notice of an act that both servers did.
    pub(crate) fn done(&mut self, act: &Act) {
        match act {
            Act::Enable => self.is_enabled = true,
            Act::Disable => self.is_enabled = false,
            Act::UserAdd(add) => {
                let known =
                    |from: &[&'static str], name: &str| from.iter().find(|each| **each == name).copied();
                let no_password = add.options.as_ref().is_some_and(|options| options.no_password);
                let password = known(PASSWORDS, &add.password).filter(|_| !no_password);
                if let Some(name) = known(USERS, &add.name).or_else(|| known(&[ROOT], &add.name)) {
                    self.users.insert(name, password);
                }
            }
            Act::UserDelete(name) => {
                self.users.remove(name);
            }
            Act::ChangePassword(name, password) => {
                if let Some(held) = self.users.get_mut(name).filter(|held| held.is_some()) {
                    *held = Some(*password);
                }
            }
            _ => {}
        }
    }

    /// Who asks next.
    pub(crate) fn who(&self, rng: &mut Rng) -> Who {
        match rng.u32(0..100) {
            _ if !self.is_enabled => Who::Nobody,
            0..60 => Who::User(ROOT),
            60..94 => Who::User(rng.choice(USERS).unwrap_or(&ROOT)),
            94..98 => Who::Nobody,
            _ => Who::Forger,
        }
    }

    /// Whose watchers are.
    pub(crate) fn watcher(&self) -> Who {
        if self.is_enabled { Who::User(ROOT) } else { Who::Nobody }
    }

    /// Operations that belong together, the last first; mostly none, and mostly one.
    pub(crate) fn next(&mut self, rng: &mut Rng) -> Vec<(Operation, Who)> {
        let mut acts = match rng.u32(0..2_000) {
            0..4 if !self.is_enabled => self.enable(),
            0..3 if self.is_enabled => {
                vec![
                    (Operation::CompareWatchers, Who::User(ROOT)),
                    (Operation::Auth(Act::Disable), Who::User(ROOT)),
                ]
            }
            4..160 => {
                let act = self.act(rng);
                vec![(Operation::Auth(act), self.who(rng))]
            }
            _ => Vec::new(),
        };
        acts.reverse();
        acts
    }

    fn enable(&self) -> Vec<(Operation, Who)> {
        let add = |name: &str| {
            Act::UserAdd(pb::AuthUserAddRequest {
                name: name.into(),
                password: PASSWORDS[0].into(),
                ..Default::default()
            })
        };
        // Without a password that is known root could not turn it off again.
        let mut acts = vec![Act::UserDelete(ROOT), add(ROOT), Act::GrantRole(ROOT, ROOT)];
        acts.extend(USERS.iter().map(|name| add(name)));
        let mut operations: Vec<_> = acts.into_iter().map(Operation::Auth).collect();
        operations.push(Operation::CompareWatchers);
        let logins = USERS.iter().filter_map(|name| match self.users.get(name) {
            None => Some(Act::Login(name, PASSWORDS[0])),
            Some(password) => password.map(|password| Act::Login(name, password)),
        });
        let last = [Act::Enable, Act::Login(ROOT, PASSWORDS[0])].into_iter().chain(logins);
        operations.extend(last.map(Operation::Auth));
        operations.into_iter().map(|operation| (operation, Who::Nobody)).collect()
    }

    fn act(&mut self, rng: &mut Rng) -> Act {
        let user = rng.choice(USERS).unwrap_or(&ROOT);
        let role = *rng.choice(ROLES).unwrap_or(&ROOT);
        match rng.u32(0..100) {
            0..3 => Act::Status,
            3..12 => self.login(rng, user),
            12..24 => {
                let name = if rng.u32(0..15) == 0 { "" } else { user };
                let no_password = rng.u32(0..12) == 0;
                let options = (rng.u32(0..3) > 0).then_some(authpb::UserAddOptions { no_password });
                let password = (*rng.choice(PASSWORDS).unwrap_or(&"")).into();
                Act::UserAdd(pb::AuthUserAddRequest {
                    name: name.into(),
                    password,
                    options,
                    ..Default::default()
                })
            }
            24..27 => Act::UserDelete(if self.is_enabled && rng.u32(0..4) == 0 { ROOT } else { user }),
            27..31 => Act::UserGet(if rng.u32(0..5) == 0 { "nobody" } else { user }),
            31..34 => Act::UserList,
            34..37 => Act::ChangePassword(user, rng.choice(PASSWORDS).unwrap_or(&"first")),
            37..48 => Act::GrantRole(user, if rng.u32(0..3) == 0 { role } else { "one" }),
            48..52 => Act::RevokeRole(if self.is_enabled && rng.u32(0..6) == 0 { ROOT } else { user }, role),
            52..60 => Act::RoleAdd(if rng.u32(0..20) == 0 { "" } else { role }),
            60..62 => Act::RoleDelete(role),
            62..69 => Act::RoleGet(if rng.u32(0..12) == 0 { "no role" } else { role }),
            69..71 => Act::RoleList,
            71..94 => {
                let perm = (rng.u32(0..40) > 0).then(|| permission(rng));
                Act::GrantPermission(role, perm)
            }
            94..98 => {
                let permission = permission(rng);
                Act::RevokePermission(role, permission.key, permission.range_end)
            }
            // What is so already, or is refused: the rest is done by `enable` and its counterpart.
            98 if self.is_enabled || !self.users.contains_key(ROOT) => Act::Enable,
            _ if self.is_enabled => Act::Login(ROOT, PASSWORDS[0]),
            _ => Act::Disable,
        }
    }

    fn login(&mut self, rng: &mut Rng, user: &'static str) -> Act {
        if self.is_enabled && self.wrong_logins < WRONG_LOGINS && rng.u32(0..20) == 0 {
            self.wrong_logins += 1;
            return Act::Login(if self.users.contains_key(user) { "nobody" } else { user }, "neither");
        }
        match self.users.get(user) {
            Some(Some(password)) => Act::Login(user, password),
            _ => Act::Login(ROOT, PASSWORDS[0]),
        }
    }
}

/// A permission: usually one that etcd takes, often on keys that operations touch, sometimes odd.
fn permission(rng: &mut Rng) -> authpb::Permission {
    const STARTS: &[&[u8]] = &[b"a", b"aa", b"b", b"b\0", b"c/", b"c/1", b"d", b"\0", b"\xff\xff", b"z", b""];
    const ENDS: &[&[u8]] = &[b"", b"", b"", b"\0", b"b", b"c", b"c0", b"d\0", b"z", b"\xff\xff\xff", b"a"];
    let key = Bytes::from_static(rng.choice(STARTS).unwrap_or(&b"a".as_slice()));
    let range_end = Bytes::from_static(rng.choice(ENDS).unwrap_or(&b"".as_slice()));
    let perm_type = if rng.u32(0..50) == 0 { 99 } else { rng.i32(0..3) };
    authpb::Permission { perm_type, key, range_end }
}
