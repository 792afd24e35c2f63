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
        let plain = Accesses { ranges: smallvec::smallvec![(single(&key), right)], leases: Vec::new() };
        prop_assert_eq!(check_keys(&accounts, &leases, who, &plain).is_ok(), may_touch(&roles, &key, right));
        let leased = Accesses { ranges: smallvec::smallvec![(single(&key), right)], leases: vec![(LeaseId(1), right)] };
        let expected = may_touch(&roles, &key, right) && may_touch(&roles, &lease_key, right);
        prop_assert_eq!(check_keys(&accounts, &leases, who, &leased).is_ok(), expected);
    }

    /// A denial wins over every permission of every role, wherever it stands, and takes nothing else away; and the
    /// explanation says what is decided.
    #[test]
    fn denials_win_and_explanations_are_the_decision(
        roles in some_roles(), denied in proptest::collection::vec(some_range(), 0..3), asked in some_range(), is_write: bool,
    ) {
        let mut accounts = accounts(&roles);
        let deny: Vec<Permission> = denied.iter().map(|range| written(range, PermissionKind::ReadWrite)).collect();
        let name = "r0".to_owned();
        let has_role = !roles.is_empty();
        if has_role {
            accounts.set_terms(name, Terms { deny, ..Terms::default() });
        }
        let right = if is_write { Right::Write } else { Right::Read };
        let first = asked.start.as_slice();
        let expected = may_touch(&roles, first, right)
            && !(has_role && denied.iter().any(|range| range.contains(first)));
        let single = KeyRange::single(asked.start.clone());
        let grants = accounts.grants("u").unwrap();
        prop_assert_eq!(grants.allow(&single, right), expected);
        for range in [single, asked] {
            let explained = accounts.explain("u", &Wish::Keys(range.clone(), right), None);
            prop_assert_eq!(explained.is_allowed, grants.allow(&range, right), "{:?}", explained);
            prop_assert!(!explained.reasons.is_empty());
        }
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

/// A role counts while its conditions are met: what it gives, what it denies, and its administrative rights.
#[test]
fn a_role_counts_under_its_conditions() {
    let mut accounts = accounts(&[vec![(KeyRange::all(), PermissionKind::Read)], vec![]]);
    let terms = Terms {
        sources: vec![Network::parse("10.0.0.0/8").unwrap()],
        not_after: 100,
        abilities: [Ability::Compact].into(),
        ..Terms::default()
    };
    accounts.set_terms("r0".to_owned(), terms);
    let at = |source: &str, now| Circumstances { source: source.parse().ok(), now };
    for (circumstances, counts) in
        [(at("10.1.1.1", 99), true), (at("10.1.1.1", 100), false), (at("11.1.1.1", 99), false)]
    {
        for _ in 0..2 {
            let grants = accounts.grants_in("u", &circumstances).unwrap();
            assert_eq!(grants.allow(&KeyRange::all(), Right::Read), counts, "{circumstances:?}");
            assert_eq!(grants.has(Ability::Compact), counts);
            assert!(!grants.has(Ability::Snapshot));
            for wish in [Wish::Keys(KeyRange::all(), Right::Read), Wish::Ability(Ability::Compact)] {
                assert_eq!(accounts.explain("u", &wish, Some(&circumstances)).is_allowed, counts);
            }
        }
    }
    assert!(
        accounts.grants("u").unwrap().has(Ability::Compact),
        "where nobody knows any more, the edge has looked"
    );
}

/// Which roles count only under conditions is found once, and forgotten with every change of them: a condition that is set must
/// hold from the next question on, and one that is taken away must not.
#[test]
fn conditions_that_come_and_go_are_seen_at_once() {
    let mut accounts = accounts(&[vec![(KeyRange::all(), PermissionKind::Read)], vec![]]);
    let late = Circumstances { source: None, now: 100 };
    let may =
        |accounts: &Accounts| accounts.grants_in("u", &late).unwrap().allow(&KeyRange::all(), Right::Read);
    let ended = Terms { not_after: 100, ..Terms::default() };
    let from_elsewhere = Terms { sources: vec![Network::parse("10.0.0.0/8").unwrap()], ..Terms::default() };
    let limited = Terms { limits: Limits { requests_per_second: 5, write_bytes_max: 6 }, ..Terms::default() };
    assert!(may(&accounts));
    for (terms, expected) in
        [(ended, false), (Terms::default(), true), (from_elsewhere, false), (limited.clone(), true)]
    {
        accounts.set_terms("r0".to_owned(), terms.clone());
        assert_eq!(may(&accounts), expected, "{terms:?}");
    }
    assert_eq!(accounts.grants_in("u", &late).unwrap().limits(), limited.limits);
    accounts.set_terms("r1".to_owned(), Terms { not_after: 100, deny: vec![], ..limited });
    accounts.set_terms("r0".to_owned(), Terms::default());
    assert_eq!(
        accounts.grants_in("u", &late).unwrap().limits(),
        Limits::default(),
        "a role that ended limits nobody"
    );
    accounts.remove_role("r1");
    assert!(may(&accounts));
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
