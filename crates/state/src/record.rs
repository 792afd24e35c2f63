//! What the store holds: one record for every effect of an entry, and its bytes.
//!
//! Owns the record kinds and their encoding; the store seals them without knowing them. All effects of an entry are
//! records, so replaying the records in order rebuilds the state (`restore`), and hashing them compares members
//! (`state_hash`). Numbers are big-endian; strings and lists carry a 32-bit length.
//!
//! ```text
//! 1 put          main i64 · sub u32 · KeyValue         2 deletion     main i64 · sub u32 · KeyValue (key only)
//! 3 compaction   revision i64
//! 4 lease        id i64 · ttl i64 · remaining i64      5 lease gone   id i64
//! 6 alarm        member u64 · kind u8                  7 alarm gone   member u64 · kind u8
//! 8 member       id u64 · learner u8 · name · peer URLs · client URLs        9 member gone  id u64
//! 10 cluster version  string                           11 downgrade   string (empty: none)
//! 12 policy   enabled u8 · revision u64
//! 13 user     name · no password u8 · hash · roles     14 user gone    name
//! 15 role     name · count u32 · permissions           16 role gone    name
//!    permission: kind u32 (0 read, 1 write, 2 both) · key · range end
//! 17 terms    role · count u32 · permissions denied · abilities (names) · networks (CIDR) · not after u64 ·
//!             requests a second u64 · bytes of a write u64
//! 18 identity name · matcher u8 (1 URI, 2 DNS, 3 organization) · text · user        19 identity gone  name
//! 20 authority   id · kind u8 (1 root, 2 clients, 3 peers) · former u8 · count u32 · certificates (DER) ·
//!                count u32 · (holder · sealed key)                            21 authority gone  id
//! 22 key holder  id · name · recovery u8 · public key                         23 key holder gone id
//! 24 certificate serial · authority · role u8 (1 server, 2 peer, 3 client, 4 administrator) · name · names ·
//!                not before u64 · not after u64 · by · revoked u64            25 certificate gone  serial
//! 26 token       id · hash · roles (bytes) · name · names · life u64 · not after u64 · by
//!                                                                             27 token gone    id
//! ```
//!
//! A segment's index has an entry for each record, of the same kind: for a put or a deletion
//! offset u32 · payload's length u32 · the payload with an empty value; for any other record its payload.
//!
//! Invariant: decoding is strict (exact length, known kind); a record that is not understood stops the member.

use crate::auth::{
    Ability, IdentityRule, Limits, Matcher, Network, PasswordHash, Permission, PermissionKind, Role, Terms,
    User,
};
use crate::command::{Alarm, AlarmKind};
use crate::membership::Member;
use crate::pair::PairView;
use crate::pki::Effect;
use bytes::Bytes;
use types::{AuthRevision, LeaseId, MemberId, ModRevision, Revision};

/// Bytes before the pair in a put's or deletion's record.
pub(crate) const REVISION_BYTES: usize = 12;

/// Bytes of a lease's record: three numbers.
pub(crate) const LEASE_RECORD_BYTES: u64 = 24;

/// One record, borrowed from its bytes where it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A key was written; the pair's encoding follows.
    Put(ModRevision, &'a [u8]),
    /// A key was deleted; the encoding of its key follows.
    Deletion(ModRevision, &'a [u8]),
    /// History below this revision is forgotten.
    Compaction(Revision),
    /// A lease stands.
    Lease { id: LeaseId, ttl_seconds: i64, remaining_seconds: i64 },
    /// A lease ended.
    LeaseGone(LeaseId),
    /// An alarm stands.
    Alarm(Alarm),
    /// An alarm was cleared.
    AlarmGone(Alarm),
    /// A member stands.
    Member(Member),
    /// A member left for ever.
    MemberGone(MemberId),
    /// The version all members speak.
    ClusterVersion(String),
    /// The version of the downgrade in progress.
    Downgrade(Option<String>),
    /// Whether access control is on, and how often the policy was changed.
    Policy { is_enabled: bool, revision: AuthRevision },
    /// A user stands.
    User { name: String, user: User },
    /// A user was deleted.
    UserGone(String),
    /// A role stands.
    Role { name: String, role: Role },
    /// A role was deleted.
    RoleGone(String),
    /// What a role is beyond its permissions; empty: nothing any more.
    Terms { role: String, terms: Terms },
    /// A rule by which certificates are recognized stands.
    Identity { name: String, rule: IdentityRule },
    /// Such a rule was removed.
    IdentityGone(String),
    /// An effect on the register of certificates.
    Pki(Effect),
}

/// A put's record, by number. The numbers are never reused.
pub(crate) const PUT: u8 = 1;
/// A deletion's record, by number.
pub(crate) const DELETION: u8 = 2;
const COMPACTION: u8 = 3;
const LEASE: u8 = 4;
const LEASE_GONE: u8 = 5;
const ALARM: u8 = 6;
const ALARM_GONE: u8 = 7;
const MEMBER: u8 = 8;
const MEMBER_GONE: u8 = 9;
const CLUSTER_VERSION: u8 = 10;
const DOWNGRADE: u8 = 11;
const POLICY: u8 = 12;
const USER: u8 = 13;
const USER_GONE: u8 = 14;
const ROLE: u8 = 15;
const ROLE_GONE: u8 = 16;
const TERMS: u8 = 17;
const IDENTITY: u8 = 18;
const IDENTITY_GONE: u8 = 19;

/// The payload of a put's or deletion's record, in one buffer.
pub(crate) fn pair_payload(at: ModRevision, pair: &PairView<'_>) -> Vec<u8> {
    // To the byte: it stays in the cache of values as it is.
    let mut out = Vec::with_capacity(pair.encoded_len().saturating_add(REVISION_BYTES));
    put_revision(&mut out, at);
    pair.encode(&mut out);
    out
}

/// What the index of a segment says of a record (docs/formats/store.md): for a put or a deletion where it is and how long,
/// and the record without its value; any other record itself.
pub(crate) fn index_entry(kind: u8, offset: u64, payload: &[u8]) -> Result<Vec<u8>, Unknown> {
    let (at, pair) = match Record::decode(kind, payload)? {
        Record::Put(at, pair) | Record::Deletion(at, pair) => (at, pair),
        _ => return Ok(payload.to_vec()),
    };
    let pair = PairView::decode(pair).map_err(|_| "a pair that is none")?;
    let number = |number: u64| u32::try_from(number).map_err(|_| "beyond 4 GiB");
    let bare = pair_payload(at, &PairView { value: &[], ..pair });
    let mut out = Vec::with_capacity(ENTRY_BYTES + bare.len());
    out.extend_from_slice(&number(offset)?.to_be_bytes());
    out.extend_from_slice(&number(payload.len() as u64)?.to_be_bytes());
    out.extend_from_slice(&bare);
    Ok(out)
}

/// Offset and length of the record, and the record without its value, of an index's entry for a put or a deletion.
pub(crate) fn split_index_entry(entry: &[u8]) -> Result<(u32, u32, &[u8]), Unknown> {
    let (offset, rest) = entry.split_first_chunk().ok_or("cut short")?;
    let (bytes, rest) = rest.split_first_chunk().ok_or("cut short")?;
    Ok((u32::from_be_bytes(*offset), u32::from_be_bytes(*bytes), rest))
}

/// Bytes of an index's entry before the record.
const ENTRY_BYTES: usize = 8;

/// Why a record is not understood.
pub(crate) type Unknown = &'static str;

impl<'a> Record<'a> {
    /// The kind's number and the bytes.
    pub(crate) fn encode(&self) -> (u8, Vec<u8>) {
        let mut out = Vec::new();
        let kind = match self {
            Self::Put(at, pair) | Self::Deletion(at, pair) => {
                out.reserve_exact(REVISION_BYTES + pair.len());
                put_revision(&mut out, *at);
                out.extend_from_slice(pair);
                if matches!(self, Self::Put(..)) { PUT } else { DELETION }
            }
            Self::Compaction(revision) => {
                put_i64(&mut out, revision.0);
                COMPACTION
            }
            Self::Lease { id, ttl_seconds, remaining_seconds } => {
                [id.0, *ttl_seconds, *remaining_seconds].iter().for_each(|n| put_i64(&mut out, *n));
                LEASE
            }
            Self::LeaseGone(id) => {
                put_i64(&mut out, id.0);
                LEASE_GONE
            }
            Self::Alarm(alarm) | Self::AlarmGone(alarm) => {
                put_u64(&mut out, alarm.member.0);
                out.push(alarm_kind_number(alarm.kind));
                if matches!(self, Self::Alarm(_)) { ALARM } else { ALARM_GONE }
            }
            Self::Member(member) => {
                put_member(&mut out, member);
                MEMBER
            }
            Self::MemberGone(id) => {
                put_u64(&mut out, id.0);
                MEMBER_GONE
            }
            Self::ClusterVersion(version) => {
                put_string(&mut out, version);
                CLUSTER_VERSION
            }
            Self::Downgrade(target) => {
                put_string(&mut out, target.as_deref().unwrap_or_default());
                DOWNGRADE
            }
            Self::Policy { is_enabled, revision } => {
                out.push(u8::from(*is_enabled));
                put_u64(&mut out, revision.0);
                POLICY
            }
            Self::User { name, user } => {
                put_string(&mut out, name);
                out.push(u8::from(user.no_password));
                put_bytes(&mut out, user.password.as_bytes());
                put_strings(&mut out, &user.roles);
                USER
            }
            Self::UserGone(name) => {
                put_string(&mut out, name);
                USER_GONE
            }
            Self::Role { name, role } => {
                put_string(&mut out, name);
                put_len(&mut out, role.permissions.len());
                role.permissions.iter().for_each(|permission| put_permission(&mut out, permission));
                ROLE
            }
            Self::RoleGone(name) => {
                put_string(&mut out, name);
                ROLE_GONE
            }
            Self::Terms { role, terms } => {
                put_string(&mut out, role);
                put_terms(&mut out, terms);
                TERMS
            }
            Self::Identity { name, rule } => {
                let (matcher, text) = match &rule.matcher {
                    Matcher::Uri(text) => (1, text),
                    Matcher::Dns(text) => (2, text),
                    Matcher::Organization(text) => (3, text),
                    Matcher::Claim { issuer, .. } => (4, issuer),
                };
                put_string(&mut out, name);
                out.push(matcher);
                put_string(&mut out, text);
                if let Matcher::Claim { name, value, .. } = &rule.matcher {
                    put_string(&mut out, name);
                    put_string(&mut out, value);
                }
                put_string(&mut out, &rule.user);
                IDENTITY
            }
            Self::IdentityGone(name) => {
                put_string(&mut out, name);
                IDENTITY_GONE
            }
            Self::Pki(effect) => effect.encode(&mut out),
        };
        (kind, out)
    }

    /// Reads a record.
    pub(crate) fn decode(kind: u8, bytes: &'a [u8]) -> Result<Self, Unknown> {
        let mut input = Input(bytes);
        let record = match kind {
            PUT => Self::Put(input.revision()?, input.rest()),
            DELETION => Self::Deletion(input.revision()?, input.rest()),
            COMPACTION => Self::Compaction(Revision(input.i64()?)),
            LEASE => Self::Lease {
                id: LeaseId(input.i64()?),
                ttl_seconds: input.i64()?,
                remaining_seconds: input.i64()?,
            },
            LEASE_GONE => Self::LeaseGone(LeaseId(input.i64()?)),
            ALARM => Self::Alarm(input.alarm()?),
            ALARM_GONE => Self::AlarmGone(input.alarm()?),
            MEMBER => Self::Member(input.member()?),
            MEMBER_GONE => Self::MemberGone(MemberId(input.u64()?)),
            CLUSTER_VERSION => Self::ClusterVersion(input.string()?),
            DOWNGRADE => Self::Downgrade(Some(input.string()?).filter(|target| !target.is_empty())),
            POLICY => Self::Policy { is_enabled: input.flag()?, revision: AuthRevision(input.u64()?) },
            USER => Self::User { name: input.string()?, user: input.user()? },
            USER_GONE => Self::UserGone(input.string()?),
            ROLE => Self::Role { name: input.string()?, role: input.role()? },
            ROLE_GONE => Self::RoleGone(input.string()?),
            TERMS => Self::Terms { role: input.string()?, terms: input.terms()? },
            IDENTITY => Self::Identity { name: input.string()?, rule: input.identity()? },
            IDENTITY_GONE => Self::IdentityGone(input.string()?),
            kind if Effect::KINDS.contains(&kind) => Self::Pki(Effect::decode(kind, &mut input)?),
            _ => return Err("unknown kind"),
        };
        if input.0.is_empty() { Ok(record) } else { Err("bytes after the end") }
    }
}

fn put_revision(out: &mut Vec<u8>, at: ModRevision) {
    put_i64(out, at.main.0);
    out.extend_from_slice(&at.sub.to_be_bytes());
}

fn put_i64(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len)
        .expect("no list of this record is near 4 GiB: the request that made it is bounded");
    out.extend_from_slice(&len.to_be_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(crate) fn put_strings(out: &mut Vec<u8>, texts: &[String]) {
    put_len(out, texts.len());
    texts.iter().for_each(|text| put_string(out, text));
}

fn put_member(out: &mut Vec<u8>, member: &Member) {
    put_u64(out, member.id.0);
    out.push(u8::from(member.is_learner));
    put_string(out, &member.name);
    put_strings(out, &member.peer_urls);
    put_strings(out, &member.client_urls);
}

fn put_terms(out: &mut Vec<u8>, terms: &Terms) {
    put_len(out, terms.deny.len());
    terms.deny.iter().for_each(|permission| put_permission(out, permission));
    let texts = |texts: &mut dyn Iterator<Item = String>| texts.collect::<Vec<_>>();
    put_strings(out, &texts(&mut terms.abilities.iter().map(|ability| ability.name().to_owned())));
    put_strings(out, &texts(&mut terms.sources.iter().map(ToString::to_string)));
    let Limits { requests_per_second, write_bytes_max } = terms.limits;
    [terms.not_after, requests_per_second, write_bytes_max].iter().for_each(|n| put_u64(out, *n));
}

fn put_permission(out: &mut Vec<u8>, permission: &Permission) {
    out.extend_from_slice(&permission.kind.number().to_be_bytes());
    put_bytes(out, &permission.key);
    put_bytes(out, &permission.range_end);
}

fn alarm_kind_number(kind: AlarmKind) -> u8 {
    match kind {
        AlarmKind::None => 0,
        AlarmKind::NoSpace => 1,
        AlarmKind::Corrupt => 2,
    }
}

/// What is left to read of a record.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unknown> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unknown> {
        self.take(N)?.try_into().map_err(|_| "cut short")
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn i64(&mut self) -> Result<i64, Unknown> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Unknown> {
        self.array().map(u64::from_be_bytes)
    }

    fn len(&mut self) -> Result<usize, Unknown> {
        let len = usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| "length beyond memory")?;
        if len <= self.0.len() { Ok(len) } else { Err("length beyond the end") }
    }

    fn revision(&mut self) -> Result<ModRevision, Unknown> {
        let main = Revision(self.i64()?);
        let sub = u32::from_be_bytes(self.array()?);
        if main > Revision::FIRST {
            Ok(ModRevision::new(main, sub))
        } else {
            Err("a revision before the first write")
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Unknown> {
        let len = self.len()?;
        self.take(len)
    }

    pub(crate) fn string(&mut self) -> Result<String, Unknown> {
        let len = self.len()?;
        std::str::from_utf8(self.take(len)?).map(str::to_owned).map_err(|_| "text that is not utf-8")
    }

    pub(crate) fn strings(&mut self) -> Result<Vec<String>, Unknown> {
        self.list(Self::string)
    }

    /// A list's length, which no honest one has above that of what is left, and its items.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Unknown>,
    ) -> Result<Vec<T>, Unknown> {
        let count = self.len()?;
        (0..count).map(|_| item(self)).collect()
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Unknown> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err("a flag that is neither 0 nor 1"),
        }
    }

    fn alarm(&mut self) -> Result<Alarm, Unknown> {
        let member = MemberId(self.u64()?);
        let kind = match self.array()? {
            [1] => AlarmKind::NoSpace,
            [2] => AlarmKind::Corrupt,
            _ => return Err("unknown alarm"),
        };
        Ok(Alarm { member, kind })
    }

    fn user(&mut self) -> Result<User, Unknown> {
        let no_password = self.flag()?;
        let password = PasswordHash::new(self.bytes()?.to_vec());
        Ok(User::new(no_password, password, self.strings()?))
    }

    fn role(&mut self) -> Result<Role, Unknown> {
        Ok(Role { permissions: self.permissions()? })
    }

    fn permissions(&mut self) -> Result<Vec<Permission>, Unknown> {
        self.list(Self::permission)
    }

    fn terms(&mut self) -> Result<Terms, Unknown> {
        let deny = self.permissions()?;
        let abilities = self.strings()?;
        let abilities = abilities.iter().map(|name| Ability::named(name).ok_or("an unknown right"));
        let abilities = abilities.collect::<Result<_, _>>()?;
        let sources = self.strings()?;
        let sources = sources.iter().map(|text| Network::parse(text).ok_or("no network"));
        Ok(Terms {
            deny,
            abilities,
            sources: sources.collect::<Result<_, _>>()?,
            not_after: self.u64()?,
            limits: Limits { requests_per_second: self.u64()?, write_bytes_max: self.u64()? },
        })
    }

    fn identity(&mut self) -> Result<IdentityRule, Unknown> {
        let [kind] = self.array()?;
        let text = self.string()?;
        let matcher = match kind {
            1 => Matcher::Uri(text),
            2 => Matcher::Dns(text),
            3 => Matcher::Organization(text),
            4 => Matcher::Claim { issuer: text, name: self.string()?, value: self.string()? },
            _ => return Err("an unknown matcher"),
        };
        Ok(IdentityRule { matcher, user: self.string()? })
    }

    fn permission(&mut self) -> Result<Permission, Unknown> {
        let kind = PermissionKind::from_number(i32::from_be_bytes(self.array()?));
        let key = Bytes::copy_from_slice(self.bytes()?);
        Ok(Permission { kind, key, range_end: Bytes::copy_from_slice(self.bytes()?) })
    }

    fn member(&mut self) -> Result<Member, Unknown> {
        Ok(Member {
            id: MemberId(self.u64()?),
            is_learner: self.flag()?,
            name: self.string()?,
            peer_urls: self.strings()?,
            client_urls: self.strings()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(kind: PermissionKind, key: &'static [u8], range_end: &'static [u8]) -> Permission {
        Permission { kind, key: Bytes::from_static(key), range_end: Bytes::from_static(range_end) }
    }

    fn samples() -> Vec<Record<'static>> {
        let member = Member {
            id: MemberId(7),
            name: "one".to_owned(),
            peer_urls: vec!["https://a:2380".to_owned(), "https://b:2380".to_owned()],
            client_urls: vec![],
            is_learner: true,
        };
        let alarm = Alarm { member: MemberId(9), kind: AlarmKind::NoSpace };
        vec![
            Record::Put(ModRevision::new(Revision(2), 3), b"pair"),
            Record::Deletion(ModRevision::new(Revision(i64::MAX), u32::MAX), b"key"),
            Record::Compaction(Revision(0)),
            Record::Lease { id: LeaseId(-3), ttl_seconds: 60, remaining_seconds: 0 },
            Record::LeaseGone(LeaseId(4)),
            Record::Alarm(alarm),
            Record::AlarmGone(Alarm { kind: AlarmKind::Corrupt, ..alarm }),
            Record::Member(member),
            Record::MemberGone(MemberId(u64::MAX)),
            Record::ClusterVersion("3.7.0".to_owned()),
            Record::Downgrade(Some("3.6.0".to_owned())),
            Record::Downgrade(None),
            Record::Policy { is_enabled: true, revision: AuthRevision(9) },
            Record::User {
                name: "alice".to_owned(),
                user: User::new(false, PasswordHash::new(b"$2a$".to_vec()), vec!["a".into(), "b".into()]),
            },
            Record::UserGone("alice".to_owned()),
            Record::Role {
                name: "reader".to_owned(),
                role: Role {
                    permissions: vec![
                        permission(PermissionKind::ReadWrite, b"k", b"\0"),
                        permission(PermissionKind::Unknown(7), b"", b""),
                    ],
                },
            },
            Record::RoleGone("reader".to_owned()),
            Record::Terms {
                role: "reader".to_owned(),
                terms: Terms {
                    deny: vec![permission(PermissionKind::Write, b"k", b"")],
                    abilities: [Ability::Compact, Ability::MoveLeader].into(),
                    sources: vec![Network::parse("10.0.0.0/8").unwrap(), Network::parse("::1").unwrap()],
                    not_after: 9,
                    limits: Limits { requests_per_second: 7, write_bytes_max: 8 },
                },
            },
            Record::Terms { role: "reader".to_owned(), terms: Terms::default() },
            Record::Identity {
                name: "node".to_owned(),
                rule: IdentityRule {
                    matcher: Matcher::Uri("spiffe://a/b".to_owned()),
                    user: "alice".to_owned(),
                },
            },
            Record::Identity {
                name: "staff".to_owned(),
                rule: IdentityRule {
                    matcher: Matcher::Claim {
                        issuer: "https://issuer.example".to_owned(),
                        name: "groups".to_owned(),
                        value: "staff".to_owned(),
                    },
                    user: "alice".to_owned(),
                },
            },
            Record::IdentityGone("node".to_owned()),
        ]
        .into_iter()
        .chain(crate::pki::samples().into_iter().map(Record::Pki))
        .collect()
    }

    /// Every record comes back as it was written: the state is rebuilt from nothing else.
    #[test]
    fn every_kind_survives_the_round_trip() {
        for record in samples() {
            let (kind, bytes) = record.encode();
            assert_eq!(Record::decode(kind, &bytes).unwrap(), record);
        }
    }

    /// An index's entry gives back what a start needs: everything but the value.
    #[test]
    fn an_index_entry_is_the_record_without_its_value() {
        let at = ModRevision::new(Revision(9), 2);
        let pair = PairView {
            key: b"key",
            value: b"value",
            mod_revision: Revision(9),
            version: 3,
            ..PairView::default()
        };
        let payload = pair_payload(at, &pair);
        let entry = index_entry(PUT, 4711, &payload).unwrap();
        let (offset, bytes, bare) = split_index_entry(&entry).unwrap();
        assert_eq!((offset, bytes as usize), (4711, payload.len()));
        assert_eq!(bare, pair_payload(at, &PairView { value: b"", ..pair }));
        let gone = index_entry(LEASE_GONE, 4711, &5i64.to_be_bytes()).unwrap();
        assert_eq!(gone, 5i64.to_be_bytes());
        assert!(index_entry(200, 1, b"").is_err() && split_index_entry(&entry[..7]).is_err());
    }

    /// A record cut anywhere, or with bytes too many, is refused (pairs are checked by their own decoder).
    #[test]
    fn cut_and_overlong_records_are_refused() {
        for record in samples() {
            let (kind, mut bytes) = record.encode();
            let checked = if matches!(record, Record::Put(..) | Record::Deletion(..)) {
                REVISION_BYTES
            } else {
                bytes.len()
            };
            for len in 0..checked {
                assert!(Record::decode(kind, &bytes[..len]).is_err(), "{record:?} cut to {len}");
            }
            bytes.push(0);
            if checked != REVISION_BYTES {
                assert!(Record::decode(kind, &bytes).is_err(), "{record:?} with a byte too many");
            }
        }
        assert!(Record::decode(0, b"").is_err() && Record::decode(200, b"").is_err());
        assert!(Record::decode(1, &[0; 12]).is_err(), "revision 0 was never written");
        assert!(Record::decode(6, &[0, 0, 0, 0, 0, 0, 0, 9, 0]).is_err(), "no alarm is of no kind");
    }
}
