//! Both ways, and what must not be passed over.

use super::*;

fn key(text: &'static str) -> Key {
    Key::new(Bytes::from_static(text.as_bytes())).unwrap()
}

fn round_trip(command: Command) {
    let envelope =
        Envelope { id: RequestId(7), actor: Actor { user: "alice".into(), known: AuthRevision(3) }, command };
    assert_eq!(decode(encode(envelope.clone())).unwrap(), envelope);
}

/// Every command comes back from its bytes as it went in: what is applied is what was proposed.
#[test]
fn every_command_survives_the_log() {
    let put = Put {
        key: key("k"),
        value: PutValue::Set(Bytes::from_static(b"v")),
        lease: PutLease::Set(LeaseId(-5)),
        prev_kv: true,
    };
    let keep = Put { value: PutValue::Keep, lease: PutLease::Keep, ..put.clone() };
    let delete =
        DeleteRange { range: KeyRange::from_pair(key("a"), Bytes::from_static(b"\0")), prev_kv: true };
    let query = RangeQuery {
        limit: 3,
        revision: Revision(9),
        sort: Some(Sort { target: SortTarget::Value, order: SortOrder::Descending }),
        projection: Projection::KeysOnly,
        min_mod_revision: 1,
        max_mod_revision: 2,
        min_create_revision: 3,
        max_create_revision: 4,
        ..RangeQuery::latest(KeyRange::all())
    };
    let compare = |operand, relation| Compare { range: KeyRange::single(key("c")), operand, relation };
    let txn = Txn {
        compare: vec![
            compare(CompareOperand::Version(1), CompareRelation::Equal),
            compare(CompareOperand::Create(2), CompareRelation::Greater),
            compare(CompareOperand::Mod(3), CompareRelation::Less),
            compare(CompareOperand::Value(Bytes::from_static(b"x")), CompareRelation::NotEqual),
            compare(CompareOperand::Lease(4), CompareRelation::Unknown),
        ],
        success: vec![
            Op::Put(put.clone()),
            Op::Range(query),
            Op::Txn(Txn { success: vec![Op::DeleteRange(delete.clone())], ..Txn::default() }),
        ],
        failure: vec![Op::Put(keep.clone())],
    };
    let alarm =
        |action, kind| Command::Alarm(AlarmChange { action, alarm: Alarm { member: MemberId(8), kind } });
    let attributes =
        MemberAttributes { member: MemberId(1), name: "n".into(), client_urls: vec!["http://x".into()] };
    for command in [
        Command::Put(put),
        Command::Put(keep),
        Command::DeleteRange(delete),
        Command::Txn(txn),
        Command::Compact(Compact { revision: Revision(4), physical: true }),
        Command::LeaseGrant(LeaseGrant { id: LeaseId(3), ttl_seconds: 60 }),
        Command::LeaseRevoke(LeaseId(3)),
        Command::LeaseCheckpoint(vec![LeaseRemaining { id: LeaseId(3), remaining_seconds: 9 }]),
        alarm(AlarmAction::Raise, AlarmKind::NoSpace),
        alarm(AlarmAction::Clear, AlarmKind::Corrupt),
        alarm(AlarmAction::List, AlarmKind::None),
        Command::ClusterVersionSet("3.7.0".into()),
        Command::MemberAttributesSet(attributes),
        Command::DowngradeSet(Some("3.6.0".into())),
        Command::DowngradeSet(None),
        Command::Authenticate(Authenticate { user: "alice".into(), token_prefix: "abc".into() }),
    ] {
        round_trip(command);
    }
}

/// Every change of the access store survives the log, hashes and odd ranges included.
#[test]
fn every_change_of_the_access_store_survives_the_log() {
    use state::auth::{
        Ability, AccessChange, IdentityRule, Limits, Matcher, Network, PasswordHash, Permission,
        PermissionKind, Terms,
    };
    let name = || "alice".to_owned();
    let password = || PasswordHash::new(b"$2a$10$hash".to_vec());
    let permission = |kind, key: &'static [u8], end: &'static [u8]| {
        Some(Permission { kind, key: Bytes::from_static(key), range_end: Bytes::from_static(end) })
    };
    for change in [
        AccessChange::Enable,
        AccessChange::Disable,
        AccessChange::UserAdd { name: name(), no_password: false, password: password() },
        AccessChange::UserAdd { name: name(), no_password: true, password: PasswordHash::default() },
        AccessChange::UserDelete { name: name() },
        AccessChange::UserChangePassword { name: name(), password: password() },
        AccessChange::UserChangePassword { name: name(), password: PasswordHash::default() },
        AccessChange::UserGrantRole { user: name(), role: "r".into() },
        AccessChange::UserRevokeRole { user: name(), role: "r".into() },
        AccessChange::RoleAdd { name: "r".into() },
        AccessChange::RoleDelete { name: "r".into() },
        AccessChange::RoleGrantPermission { role: "r".into(), permission: None },
        AccessChange::RoleGrantPermission {
            role: "r".into(),
            permission: permission(PermissionKind::ReadWrite, b"k", b"\0"),
        },
        AccessChange::RoleGrantPermission {
            role: "r".into(),
            permission: permission(PermissionKind::Unknown(9), b"", b""),
        },
        AccessChange::RoleRevokePermission {
            role: "r".into(),
            key: Bytes::from_static(b"k"),
            range_end: Bytes::from_static(b"z"),
        },
        AccessChange::SetTerms {
            role: "r".into(),
            terms: Terms {
                deny: vec![permission(PermissionKind::Read, b"k", b"z").unwrap()],
                abilities: [Ability::Snapshot].into(),
                sources: vec![Network::parse("10.0.0.0/8").unwrap()],
                not_after: 9,
                limits: Limits { requests_per_second: 1, write_bytes_max: 2 },
            },
        },
        AccessChange::SetTerms { role: "r".into(), terms: Terms::default() },
        AccessChange::SetIdentity {
            name: "n".into(),
            rule: IdentityRule { matcher: Matcher::Dns("a.example".into()), user: name() },
        },
        AccessChange::SetIdentity {
            name: "n".into(),
            rule: IdentityRule {
                matcher: Matcher::Claim {
                    issuer: "https://i.example".into(),
                    name: "groups".into(),
                    value: "staff".into(),
                },
                user: name(),
            },
        },
        AccessChange::RemoveIdentity { name: "n".into() },
    ] {
        round_trip(Command::Access(change));
    }
}

/// Questions that an etcd put into the log change nothing; a password in the clear cannot be applied alike everywhere.
#[test]
fn reads_are_nothing_and_clear_passwords_stop_the_member() {
    let read = pb::InternalRaftRequest {
        auth_user_get: Some(pb::AuthUserGetRequest { name: "alice".into() }),
        ..Default::default()
    };
    assert_eq!(decode(read.encode_to_vec().into()).unwrap().command, Command::Nothing);
    let add = pb::AuthUserAddRequest { name: "alice".into(), password: "clear".into(), ..Default::default() };
    let request = pb::InternalRaftRequest { auth_user_add: Some(add), ..Default::default() };
    assert!(decode(request.encode_to_vec().into()).is_err());
}

/// An entry whose meaning is unknown must stop the member: skipping it would let members differ in silence.
#[test]
fn an_entry_that_is_not_understood_is_an_error() {
    let unknown =
        pb::InternalRaftRequest { downgrade_version_test: Some(Default::default()), ..Default::default() };
    assert!(decode(unknown.encode_to_vec().into()).is_err());
    assert!(decode(Bytes::from_static(b"\xff\xff\xff")).is_err());
    let no_key = pb::InternalRaftRequest { put: Some(pb::PutRequest::default()), ..Default::default() };
    assert!(decode(no_key.encode_to_vec().into()).is_err());
}

/// A leader's first entry is empty and means nothing.
#[test]
fn an_empty_entry_means_nothing() {
    assert_eq!(decode(Bytes::new()).unwrap().command, Command::Nothing);
}

/// The bytes are etcd's: field 4 of the request is the put, field 100 the header, and zeros are left out.
#[test]
fn the_bytes_are_etcds() {
    let put = Put {
        key: key("k"),
        value: PutValue::Set(Bytes::from_static(b"v")),
        lease: PutLease::Set(LeaseId::NONE),
        prev_kv: false,
    };
    let bytes = encode(Envelope { id: RequestId(5), actor: Actor::nobody(), command: Command::Put(put) });
    assert_eq!(&bytes[..], b"\x22\x06\x0a\x01k\x12\x01v\xa2\x06\x02\x08\x05");
}

/// Every change of the register of certificates comes back from its entry as it went in: what a member applies is what was
/// proposed.
#[test]
fn changes_of_certificates_survive_the_entry() {
    use state::pki::{Authority, CertificateChange, Holder, Issued, Kind, Role, SealedKey, Token};
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let issued = Issued {
        serial: "0aff".into(),
        authority: "a1".into(),
        role: Role::Peer,
        name: "one".into(),
        names: vec!["localhost".into()],
        not_before: 1,
        not_after: 2,
        by: "root".into(),
        revoked: 3,
    };
    let token = Token {
        id: "t".into(),
        secret_hash: [9; 32],
        roles: vec![Role::Server, Role::Client],
        name: "two".into(),
        names: vec!["b".into()],
        life_seconds: 4,
        not_after: 5,
        by: "root".into(),
    };
    let holder = Holder { id: "h".into(), name: "m".into(), is_recovery: true, public_key: bytes("k") };
    let authority = |kind| Authority {
        id: "a1".into(),
        kind,
        is_former: kind == Kind::Root,
        certificates: vec![bytes("one")],
        keys: vec![SealedKey { holder: "h".into(), sealed: bytes("sealed") }],
    };
    for change in [
        CertificateChange::Set {
            authorities: [Kind::Root, Kind::Clients, Kind::Peers].map(authority).into(),
            holders: vec![holder],
        },
        CertificateChange::Set { authorities: vec![], holders: vec![] },
        CertificateChange::RemoveAuthority { id: "a1".into() },
        CertificateChange::RemoveHolder { id: "h".into() },
        CertificateChange::Issue { issued: vec![issued.clone()], token: Some("t".into()), now: 7 },
        CertificateChange::Issue { issued: vec![issued], token: None, now: 7 },
        CertificateChange::Revoke { serial: "0aff".into(), now: 8 },
        CertificateChange::AddToken { token, now: 9 },
        CertificateChange::RemoveToken { id: "t".into() },
    ] {
        round_trip(Command::Certificates(change));
    }
}

/// Entries of every kind, of etcd's and our own, to begin from.
fn entries() -> Vec<Bytes> {
    use state::auth::{
        Ability, AccessChange, IdentityRule, Limits, Matcher, Network, Permission, PermissionKind, Terms,
    };
    let permission = Permission {
        kind: PermissionKind::ReadWrite,
        key: Bytes::from_static(b"k"),
        range_end: Bytes::from_static(b"\0"),
    };
    let terms = Terms {
        deny: vec![permission.clone(), Permission { kind: PermissionKind::Read, ..permission.clone() }],
        abilities: [Ability::Snapshot, Ability::Compact].into(),
        sources: vec![Network::parse("10.0.0.0/8").unwrap(), Network::parse("::1").unwrap()],
        not_after: u64::MAX,
        limits: Limits { requests_per_second: 1, write_bytes_max: 2 },
    };
    let matchers = [
        Matcher::Uri("spiffe://a/b".into()),
        Matcher::Dns("a.example".into()),
        Matcher::Organization("o".into()),
    ];
    let rules = matchers.map(|matcher| IdentityRule { matcher, user: "u".into() });
    let put = Put {
        key: key("k"),
        value: PutValue::Set(Bytes::from_static(b"v")),
        lease: PutLease::Set(LeaseId(-5)),
        prev_kv: true,
    };
    let delete =
        DeleteRange { range: KeyRange::from_pair(key("a"), Bytes::from_static(b"\0")), prev_kv: true };
    let inner = Txn { success: vec![Op::DeleteRange(delete)], ..Txn::default() };
    let txn = Txn { success: vec![Op::Put(put)], failure: vec![Op::Txn(inner)], ..Txn::default() };
    let mut commands = vec![Command::Txn(txn)];
    commands.extend(
        [
            AccessChange::SetTerms { role: "r".into(), terms },
            AccessChange::RemoveIdentity { name: "n".into() },
            AccessChange::RoleGrantPermission { role: "r".into(), permission: Some(permission) },
            AccessChange::RoleRevokePermission { role: "r".into(), key: "k".into(), range_end: "z".into() },
            AccessChange::UserGrantRole { user: "u".into(), role: "r".into() },
            AccessChange::UserAdd { name: "u".into(), no_password: true, password: Default::default() },
        ]
        .map(Command::Access),
    );
    let set = |rule| Command::Access(AccessChange::SetIdentity { name: "n".into(), rule });
    commands.extend(rules.map(set));
    let envelope = |command| Envelope {
        id: RequestId(7),
        actor: Actor { user: "alice".into(), known: AuthRevision(3) },
        command,
    };
    commands.into_iter().map(|command| encode(envelope(command))).collect()
}

/// The log's bytes may be another make's, or damaged before they were sealed: whatever they are, they are an entry or an error,
/// never a panic; and what is taken for an entry is the same entry when it is written again, so that no two members
/// read it differently.
#[test]
fn no_bytes_of_an_entry_panic() {
    let chance = env::sim::SimRandom::new(env::Env::real().random.number());
    let below = |bound: usize| usize::try_from(chance.below(bound as u64)).unwrap();
    let byte = || u8::try_from(chance.below(256)).unwrap();
    let entries = entries();
    let (mut understood, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let mut bytes = entries[below(entries.len())].to_vec();
        for _ in 0..=below(4) {
            let at = below(bytes.len().max(1));
            match chance.below(7) {
                0 | 1 => bytes.iter_mut().skip(at).take(1).for_each(|each| *each ^= 1 << below(8)),
                2 => bytes.iter_mut().skip(at).take(1).for_each(|each| *each = byte()),
                3 => bytes.insert(at.min(bytes.len()), byte()),
                4 => bytes.truncate(at),
                5 => {
                    let other = &entries[below(entries.len())];
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[below(other.len())..]);
                }
                // A length, or a number, that claims the largest there is.
                _ => drop(bytes.splice(at..at, [0xff; 9].into_iter().chain([1]))),
            }
        }
        let shown = bytes.clone();
        match decode(bytes.into()) {
            Err(Unreadable { what }) => {
                assert!(!what.is_empty());
                refused += 1;
            }
            Ok(envelope) => {
                understood += 1;
                if envelope.command != Command::Nothing {
                    assert_eq!(decode(encode(envelope.clone())), Ok(envelope), "{shown:?}");
                }
            }
        }
    }
    assert!(understood > 1_000 && refused > 1_000, "{understood} understood, {refused} refused");
}
