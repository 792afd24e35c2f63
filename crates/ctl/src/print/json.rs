//! Answers as one line of JSON, with etcd's names: zero values left out, bytes in base64, integers as numbers.
//!
//! Written by hand because the order of the fields and what is left out are part of the interface, and differ between
//! messages (the lease answers and watch answers are the Go client's own structs, not the messages).

use super::access::Rule;
use super::text;
use crate::command::access::{Applied, Overview};
use crate::command::endpoint::{Hash, Health, State};
use bytes::Bytes;
use proto::strongroom::v1 as own;
use proto::{authpb, etcdserverpb as pb, mvccpb};
use std::fmt::{Display, Write};

/// Builds one JSON object, field by field.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    /// A field whose value is JSON already.
    fn raw(mut self, name: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let _ = write!(self.0, "{}:{value}", string(name));
        self
    }

    fn plain(self, name: &str, value: impl Display) -> Self {
        self.raw(name, &value.to_string())
    }

    fn number<N: Display + Default + PartialEq>(self, name: &str, value: N) -> Self {
        if value == N::default() { self } else { self.plain(name, value) }
    }

    fn flag(self, name: &str, value: bool) -> Self {
        if value { self.raw(name, "true") } else { self }
    }

    fn text(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.raw(name, &string(value)) }
    }

    fn bytes(self, name: &str, value: &[u8]) -> Self {
        if value.is_empty() { self } else { self.raw(name, &string(&text::base64(value))) }
    }

    fn optional(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.raw(name, &value),
            None => self,
        }
    }

    fn list(self, name: &str, values: Vec<String>) -> Self {
        if values.is_empty() { self } else { self.raw(name, &array(&values)) }
    }

    /// A list that is `null` when empty, as Go writes its nil slices.
    fn list_or_null(self, name: &str, values: &[String]) -> Self {
        if values.is_empty() { self.raw(name, "null") } else { self.raw(name, &array(values)) }
    }
}

/// A JSON array of values that are JSON already.
pub(super) fn array(values: &[String]) -> String {
    format!("[{}]", values.join(","))
}

/// A JSON string, with the characters escaped that Go escapes (`<`, `>`, `&` and the line separators among them).
pub(super) fn string(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// How identifiers of members and clusters are written; only answers about members know the second way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Decimal,
    Hex,
}

impl Ids {
    fn show(self, id: u64) -> String {
        match self {
            Self::Decimal => id.to_string(),
            Self::Hex => string(&format!("{id:x}")),
        }
    }
}

fn header_fields(object: Object, header: &pb::ResponseHeader) -> Object {
    object
        .number("cluster_id", header.cluster_id)
        .number("member_id", header.member_id)
        .number("revision", header.revision)
        .number("raft_term", header.raft_term)
}

fn header(header: &pb::ResponseHeader) -> String {
    header_fields(Object::new(), header).finish()
}

fn headed(header_of: Option<&pb::ResponseHeader>) -> Object {
    Object::new().optional("header", header_of.map(header))
}

fn headed_with(ids: Ids, header_of: Option<&pb::ResponseHeader>) -> Object {
    match (ids, header_of) {
        (Ids::Hex, Some(h)) => Object::new().raw(
            "header",
            &Object::new()
                .raw("cluster_id", &ids.show(h.cluster_id))
                .raw("member_id", &ids.show(h.member_id))
                .number("revision", h.revision)
                .number("raft_term", h.raft_term)
                .finish(),
        ),
        _ => headed(header_of),
    }
}

fn pair(kv: &mvccpb::KeyValue) -> String {
    Object::new()
        .bytes("key", &kv.key)
        .number("create_revision", kv.create_revision)
        .number("mod_revision", kv.mod_revision)
        .number("version", kv.version)
        .bytes("value", &kv.value)
        .number("lease", kv.lease)
        .finish()
}

fn pairs(kvs: &[mvccpb::KeyValue]) -> Vec<String> {
    kvs.iter().map(pair).collect()
}

pub(super) fn range(answer: &pb::RangeResponse) -> String {
    headed(answer.header.as_ref())
        .list("kvs", pairs(&answer.kvs))
        .flag("more", answer.more)
        .number("count", answer.count)
        .finish()
}

pub(super) fn put(answer: &pb::PutResponse) -> String {
    headed(answer.header.as_ref()).optional("prev_kv", answer.prev_kv.as_ref().map(pair)).finish()
}

pub(super) fn delete(answer: &pb::DeleteRangeResponse) -> String {
    headed(answer.header.as_ref())
        .number("deleted", answer.deleted)
        .list("prev_kvs", pairs(&answer.prev_kvs))
        .finish()
}

pub(super) fn txn(answer: &pb::TxnResponse) -> String {
    use pb::response_op::Response;
    let responses = answer.responses.iter().map(|op| {
        let inner = match &op.response {
            Some(Response::ResponseRange(r)) => Object::new().raw("response_range", &range(r)),
            Some(Response::ResponsePut(r)) => Object::new().raw("response_put", &put(r)),
            Some(Response::ResponseDeleteRange(r)) => Object::new().raw("response_delete_range", &delete(r)),
            Some(Response::ResponseTxn(r)) => Object::new().raw("response_txn", &txn(r)),
            None => Object::new(),
        };
        Object::new().raw("Response", &inner.finish()).finish()
    });
    headed(answer.header.as_ref())
        .flag("succeeded", answer.succeeded)
        .list("responses", responses.collect())
        .finish()
}

pub(super) fn watch(answer: &pb::WatchResponse) -> String {
    let events: Vec<String> = answer
        .events
        .iter()
        .map(|event| {
            Object::new()
                .number("type", event.r#type)
                .optional("kv", event.kv.as_ref().map(pair))
                .optional("prev_kv", event.prev_kv.as_ref().map(pair))
                .finish()
        })
        .collect();
    let header = answer.header.as_ref().map_or_else(|| "null".into(), header);
    Object::new()
        .raw("Header", &header)
        .list_or_null("Events", &events)
        .plain("CompactRevision", answer.compact_revision)
        .plain("Canceled", answer.canceled)
        .plain("Created", answer.created)
        .raw("CancelReason", &string(&answer.cancel_reason))
        .finish()
}

fn embedded(header: Option<&pb::ResponseHeader>) -> Object {
    match header {
        Some(header) => header_fields(Object::new(), header),
        None => Object::new(),
    }
}

pub(super) fn grant(answer: &pb::LeaseGrantResponse) -> String {
    embedded(answer.header.as_ref())
        .plain("ID", answer.id)
        .plain("TTL", answer.ttl)
        .raw("Error", &string(&answer.error))
        .finish()
}

pub(super) fn revoke(answer: &pb::LeaseRevokeResponse) -> String {
    headed(answer.header.as_ref()).finish()
}

pub(super) fn keep_alive(answer: &pb::LeaseKeepAliveResponse) -> String {
    embedded(answer.header.as_ref()).plain("ID", answer.id).plain("TTL", answer.ttl).finish()
}

pub(super) fn time_to_live(answer: &pb::LeaseTimeToLiveResponse) -> String {
    let keys: Vec<String> = answer.keys.iter().map(|key: &Bytes| string(&text::base64(key))).collect();
    embedded(answer.header.as_ref())
        .plain("id", answer.id)
        .plain("ttl", answer.ttl)
        .plain("granted-ttl", answer.granted_ttl)
        .list_or_null("keys", &keys)
        .finish()
}

pub(super) fn leases(answer: &pb::LeaseLeasesResponse) -> String {
    let leases: Vec<String> =
        answer.leases.iter().map(|lease| Object::new().plain("id", lease.id).finish()).collect();
    embedded(answer.header.as_ref()).raw("leases", &array(&leases)).finish()
}

fn member(ids: Ids, member: &pb::Member) -> String {
    let urls = |urls: &[String]| urls.iter().map(|url| string(url)).collect::<Vec<_>>();
    let object = match ids {
        Ids::Decimal => Object::new().number("ID", member.id),
        Ids::Hex => Object::new().raw("ID", &ids.show(member.id)),
    };
    object
        .text("name", &member.name)
        .list("peerURLs", urls(&member.peer_ur_ls))
        .list("clientURLs", urls(&member.client_ur_ls))
        .flag("isLearner", member.is_learner)
        .finish()
}

/// An answer about members: the header, perhaps the one it is about, and all of them.
pub(super) fn members(
    ids: Ids,
    header: Option<&pb::ResponseHeader>,
    one: Option<&pb::Member>,
    all: &[pb::Member],
) -> String {
    headed_with(ids, header)
        .optional("member", one.map(|one| member(ids, one)))
        .list("members", all.iter().map(|each| member(ids, each)).collect())
        .finish()
}

pub(super) fn alarm(answer: &pb::AlarmResponse) -> String {
    let alarms = answer
        .alarms
        .iter()
        .map(|alarm| Object::new().number("memberID", alarm.member_id).number("alarm", alarm.alarm).finish());
    headed(answer.header.as_ref()).list("alarms", alarms.collect()).finish()
}

pub(super) fn move_leader(answer: &pb::MoveLeaderResponse) -> String {
    headed(answer.header.as_ref()).finish()
}

pub(super) fn downgrade(answer: &pb::DowngradeResponse) -> String {
    headed(answer.header.as_ref()).text("version", &answer.version).finish()
}

pub(super) fn health(list: &[Health]) -> String {
    let rows: Vec<String> = list
        .iter()
        .map(|health| {
            Object::new()
                .raw("endpoint", &string(&health.endpoint))
                .plain("health", health.healthy)
                .raw("took", &string(&health.took))
                .text("error", &health.error)
                .finish()
        })
        .collect();
    array(&rows)
}

pub(super) fn status(list: &[State]) -> String {
    let rows: Vec<String> = list
        .iter()
        .map(|state| {
            let answer = &state.answer;
            let downgrade = answer.downgrade_info.as_ref().map(|info| {
                Object::new()
                    .flag("enabled", info.enabled)
                    .text("targetVersion", &info.target_version)
                    .finish()
            });
            let status = headed(answer.header.as_ref())
                .text("version", &answer.version)
                .number("dbSize", answer.db_size)
                .number("leader", answer.leader)
                .number("raftIndex", answer.raft_index)
                .number("raftTerm", answer.raft_term)
                .number("raftAppliedIndex", answer.raft_applied_index)
                .list("errors", answer.errors.iter().map(|error| string(error)).collect())
                .number("dbSizeInUse", answer.db_size_in_use)
                .flag("isLearner", answer.is_learner)
                .text("storageVersion", &answer.storage_version)
                .number("dbSizeQuota", answer.db_size_quota)
                .optional("downgradeInfo", downgrade)
                .finish();
            Object::new().raw("Endpoint", &string(&state.endpoint)).raw("Status", &status).finish()
        })
        .collect();
    array_or_null(&rows)
}

pub(super) fn hash(list: &[Hash]) -> String {
    let rows: Vec<String> = list
        .iter()
        .map(|hash| {
            let answer = &hash.answer;
            let inner = headed(answer.header.as_ref())
                .number("hash", answer.hash)
                .number("compact_revision", answer.compact_revision)
                .number("hash_revision", answer.hash_revision)
                .finish();
            Object::new().raw("Endpoint", &string(&hash.endpoint)).raw("HashKV", &inner).finish()
        })
        .collect();
    array_or_null(&rows)
}

/// An answer that is its header alone.
pub(super) fn headed_alone(header: Option<&pb::ResponseHeader>) -> String {
    headed(header).finish()
}

fn strings(values: &[String]) -> Vec<String> {
    values.iter().map(|value| string(value)).collect()
}

pub(super) fn user(answer: &pb::AuthUserGetResponse) -> String {
    headed(answer.header.as_ref()).list("roles", strings(&answer.roles)).finish()
}

pub(super) fn users(answer: &pb::AuthUserListResponse) -> String {
    headed(answer.header.as_ref()).list("users", strings(&answer.users)).finish()
}

pub(super) fn roles(answer: &pb::AuthRoleListResponse) -> String {
    headed(answer.header.as_ref()).list("roles", strings(&answer.roles)).finish()
}

pub(super) fn role(answer: &pb::AuthRoleGetResponse) -> String {
    headed(answer.header.as_ref()).list("perm", answer.perm.iter().map(permission).collect()).finish()
}

pub(super) fn auth_status(answer: &pb::AuthStatusResponse) -> String {
    headed(answer.header.as_ref())
        .flag("enabled", answer.enabled)
        .number("authRevision", answer.auth_revision)
        .finish()
}

fn array_or_null(rows: &[String]) -> String {
    if rows.is_empty() { "null".into() } else { array(rows) }
}

pub(super) fn permission(permission: &authpb::Permission) -> String {
    Object::new()
        .number("permType", permission.perm_type)
        .bytes("key", &permission.key)
        .bytes("range_end", &permission.range_end)
        .finish()
}

fn identity(rule: &own::IdentityRule) -> String {
    let told = Rule::of(rule);
    Object::new()
        .text("name", &rule.name)
        .text(told.option, &told.value)
        .text("oidcIssuer", told.issuer.unwrap_or_default())
        .text("user", &rule.user)
        .finish()
}

pub(super) fn overview(all: &Overview) -> String {
    let roles = all.roles.iter().map(|(name, holder)| {
        let terms = &holder.terms;
        Object::new()
            .text("name", name)
            .list("perm", holder.permissions.iter().map(permission).collect())
            .list("deny", terms.deny.iter().map(permission).collect())
            .list("abilities", strings(&terms.abilities))
            .list("sources", strings(&terms.sources))
            .number("notAfter", terms.not_after)
            .number("requestsPerSecond", terms.requests_per_second)
            .number("writeBytesMax", terms.write_bytes_max)
            .list("users", strings(&holder.users))
            .finish()
    });
    Object::new()
        .flag("enabled", all.enabled)
        .number("authRevision", all.revision)
        .list("roles", roles.collect())
        .list("identities", all.identities.iter().map(identity).collect())
        .list("usersWithoutRole", strings(&all.idle))
        .finish()
}

pub(super) fn identities(rules: &[own::IdentityRule], revision: u64) -> String {
    Object::new()
        .number("authRevision", revision)
        .list("identities", rules.iter().map(identity).collect())
        .finish()
}

/// Whether something is allowed is always there: a script that looks for it must not take its absence for an answer.
pub(super) fn explained(answer: &own::ExplainResponse) -> String {
    Object::new()
        .plain("allowed", answer.allowed)
        .list("reasons", strings(&answer.reasons))
        .text("role", &answer.role)
        .optional("permission", answer.permission.as_ref().map(permission))
        .text("user", &answer.user)
        .finish()
}

pub(super) fn who_am_i(answer: &own::WhoAmIResponse) -> String {
    Object::new()
        .text("user", &answer.user)
        .text("recognizedBy", &answer.recognized_by)
        .list("roles", strings(&answer.roles))
        .flag("isAdministrator", answer.is_administrator)
        .text("rule", &answer.rule)
        .finish()
}

pub(super) fn policy_revision(revision: u64) -> String {
    Object::new().number("authRevision", revision).finish()
}

pub(super) fn applied(applied: &Applied) -> String {
    Object::new()
        .text("policy", &applied.policy)
        .text("role", &applied.role)
        .list("users", strings(&applied.users))
        .raw("changes", &array(&strings(&applied.changes)))
        .flag("dryRun", applied.is_dry_run)
        .finish()
}
