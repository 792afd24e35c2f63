//! The one function that decides, against a naive model; and what a principal comes to.

use super::*;
use crate::record::Record;
use crate::testing::{property_cases, some_key, some_range};
use bytes::Bytes;
use proptest::prelude::*;
use types::Key;

/// Roles of a few permissions each; a user holds some of them.
fn some_roles() -> impl Strategy<Value = Vec<Vec<(KeyRange, PermissionKind)>>> {
    let kind = prop_oneof![
        Just(PermissionKind::Read),
        Just(PermissionKind::Write),
        Just(PermissionKind::ReadWrite),
        Just(PermissionKind::Unknown(9)),
    ];
    proptest::collection::vec(proptest::collection::vec((some_range(), kind), 0..4), 0..4)
}

fn written(range: &KeyRange, kind: PermissionKind) -> Permission {
    let range_end = match &range.end {
        types::RangeEnd::Single => Bytes::new(),
        types::RangeEnd::Before(end) => end.clone(),
        types::RangeEnd::Unbounded => Bytes::from_static(b"\0"),
    };
    Permission { kind, key: range.start.bytes().clone(), range_end }
}

/// Accounts with one user, "u", that holds these roles.
fn accounts(roles: &[Vec<(KeyRange, PermissionKind)>]) -> Accounts {
    let mut accounts = Accounts::default();
    let mut names = Vec::new();
    for (number, permissions) in roles.iter().enumerate() {
        let name = format!("r{number}");
        let permissions = permissions.iter().map(|(range, kind)| written(range, *kind)).collect();
        accounts.set_role(name.clone(), Role { permissions });
        names.push(name);
    }
    accounts.set_user("u".to_owned(), User::new(true, PasswordHash::default(), names));
    accounts.set_enabled(true);
    accounts
}

/// The model: a single key may be touched when some permission of some role names it and the right.
fn may_touch(roles: &[Vec<(KeyRange, PermissionKind)>], key: &[u8], right: Right) -> bool {
    roles.iter().flatten().any(|(range, kind)| {
        let gives = match kind {
            PermissionKind::ReadWrite => true,
            PermissionKind::Read => right == Right::Read,
            PermissionKind::Write => right == Right::Write,
            PermissionKind::Unknown(_) => false,
        };
        gives && range.contains(key)
    })
}

proptest! {
    #![proptest_config(property_cases())]

    /// What a user may do with a single key is what the permissions of its roles say of that key, whichever way they overlap.
    #[test]
    fn a_key_is_judged_as_its_permissions_say(
        roles in some_roles(), key in some_key(), is_write: bool, lease_key in some_key(),
    ) {
        let accounts = accounts(&roles);
        let right = if is_write { Right::Write } else { Right::Read };
        let single = |key: &[u8]| KeyRange::single(Key::new(Bytes::copy_from_slice(key)).unwrap());
        let mut leases = Leases::default();
        leases.set(LeaseId(1), 60, 0);
        leases.attach(&lease_key, LeaseId(1));
        let who = ("u", accounts.revision());
        let plain = Accesses { ranges: vec![(single(&key), right)], leases: Vec::new() };
        prop_assert_eq!(check_keys(&accounts, &leases, who, &plain).is_ok(), may_touch(&roles, &key, right));
        let leased = Accesses { ranges: vec![(single(&key), right)], leases: vec![(LeaseId(1), right)] };
        let expected = may_touch(&roles, &key, right) && may_touch(&roles, &lease_key, right);
        prop_assert_eq!(check_keys(&accounts, &leases, who, &leased).is_ok(), expected);
    }

    /// What a user may do is forgotten with every change that it rests on: after any change the answer is that of accounts
    /// made anew.
    #[test]
    fn a_changed_role_is_seen_at_once(before in some_roles(), after in some_roles(), asked in some_range()) {
        let mut changed = accounts(&before);
        let _ = changed.grants("u");
        for (number, permissions) in after.iter().enumerate() {
            let permissions = permissions.iter().map(|(range, kind)| written(range, *kind)).collect();
            changed.set_role(format!("r{number}"), Role { permissions });
        }
        for number in after.len()..before.len() {
            changed.remove_role(&format!("r{number}"));
        }
        let held: Vec<_> = after.iter().take(before.len()).cloned().collect();
        let anew = accounts(&held);
        for right in [Right::Read, Right::Write] {
            let of = |accounts: &Accounts| accounts.grants("u").unwrap().allow(&asked, right);
            prop_assert_eq!(of(&changed), of(&anew));
        }
    }
}

/// The record of everything is everything: what it makes is what it was made of.
#[test]
fn the_accounts_are_their_records() {
    let range = KeyRange::all();
    let before = accounts(&[vec![(range, PermissionKind::Read)]]);
    let mut after = Accounts::default();
    let records: Vec<Record<'static>> = before.records().collect();
    records.into_iter().for_each(|record| crate::apply_access::take(&mut after, record));
    assert_eq!(after, before);
}
