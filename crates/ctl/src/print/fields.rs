//! Answers as one `"Name" : value` per line, for scripts that cut lines rather than parse JSON.
//!
//! With hex, identifiers are written as sixteen digits; keys and values stay quoted text either way.

use super::access::Rule;
use super::text::quote;
use super::{alarm_name, event_name};
use crate::command::access::Overview;
use crate::command::endpoint::{Hash, Health, State};
use proto::strongroom::v1 as own;
use proto::{authpb, etcdserverpb as pb, mvccpb};
use std::fmt::{Display, Write};

/// How identifiers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Decimal,
    Hex,
}

/// Collects the lines of one answer.
pub(super) struct Fields {
    ids: Ids,
    out: String,
}

impl Fields {
    pub(super) fn new(ids: Ids) -> Self {
        Self { ids, out: String::new() }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    fn field(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.out, "\"{name}\" : {value}");
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.field(name, quote(value));
    }

    fn blank(&mut self) {
        self.out.push('\n');
    }

    fn id(&mut self, name: &str, id: u64) {
        match self.ids {
            Ids::Decimal => self.field(name, id),
            Ids::Hex => self.field(name, format_args!("{id:x}")),
        }
    }

    fn lease(&mut self, name: &str, id: i64) {
        match self.ids {
            Ids::Decimal => self.field(name, id),
            Ids::Hex => self.field(name, format_args!("{id:016x}")),
        }
    }

    /// The header; a revision only where there is one. A missing header shows as zeros.
    pub(super) fn header(&mut self, header: Option<&pb::ResponseHeader>) {
        let header = header.copied().unwrap_or_default();
        self.id("ClusterID", header.cluster_id);
        self.id("MemberID", header.member_id);
        if header.revision > 0 {
            self.field("Revision", header.revision);
        }
        self.field("RaftTerm", header.raft_term);
    }

    fn pair(&mut self, prefix: &str, kv: &mvccpb::KeyValue) {
        self.text(&format!("{prefix}Key"), &kv.key);
        self.field(&format!("{prefix}CreateRevision"), kv.create_revision);
        self.field(&format!("{prefix}ModRevision"), kv.mod_revision);
        self.field(&format!("{prefix}Version"), kv.version);
        self.text(&format!("{prefix}Value"), &kv.value);
        self.lease(&format!("{prefix}Lease"), kv.lease);
    }

    pub(super) fn range(&mut self, answer: &pb::RangeResponse) {
        self.header(answer.header.as_ref());
        for kv in &answer.kvs {
            self.pair("", kv);
        }
        self.field("More", answer.more);
        self.field("Count", answer.count);
    }

    pub(super) fn put(&mut self, answer: &pb::PutResponse) {
        self.header(answer.header.as_ref());
        if let Some(kv) = &answer.prev_kv {
            self.pair("Prev", kv);
        }
    }

    pub(super) fn delete(&mut self, answer: &pb::DeleteRangeResponse) {
        self.header(answer.header.as_ref());
        self.field("Deleted", answer.deleted);
        for kv in &answer.prev_kvs {
            self.pair("Prev", kv);
        }
    }

    pub(super) fn txn(&mut self, answer: &pb::TxnResponse) {
        use pb::response_op::Response;
        self.header(answer.header.as_ref());
        self.field("Succeeded", answer.succeeded);
        for op in &answer.responses {
            match &op.response {
                Some(Response::ResponseRange(r)) => self.range(r),
                Some(Response::ResponsePut(r)) => self.put(r),
                Some(Response::ResponseDeleteRange(r)) => self.delete(r),
                Some(Response::ResponseTxn(r)) => self.txn(r),
                None => self.text("Unknown", b""),
            }
        }
    }

    pub(super) fn watch(&mut self, answer: &pb::WatchResponse) {
        self.header(answer.header.as_ref());
        for event in &answer.events {
            self.field("Type", event_name(event.r#type));
            if let Some(kv) = &event.prev_kv {
                self.pair("Prev", kv);
            }
            self.pair("", &event.kv.clone().unwrap_or_default());
        }
    }

    pub(super) fn grant(&mut self, answer: &pb::LeaseGrantResponse) {
        self.header(answer.header.as_ref());
        self.lease("ID", answer.id);
        self.field("TTL", answer.ttl);
    }

    pub(super) fn keep_alive(&mut self, answer: &pb::LeaseKeepAliveResponse) {
        self.header(answer.header.as_ref());
        self.lease("ID", answer.id);
        self.field("TTL", answer.ttl);
    }

    pub(super) fn time_to_live(&mut self, answer: &pb::LeaseTimeToLiveResponse) {
        self.header(answer.header.as_ref());
        self.lease("ID", answer.id);
        self.field("TTL", answer.ttl);
        self.field("GrantedTTL", answer.granted_ttl);
        for key in &answer.keys {
            self.text("Key", key);
        }
    }

    pub(super) fn leases(&mut self, answer: &pb::LeaseLeasesResponse) {
        self.header(answer.header.as_ref());
        for lease in &answer.leases {
            self.lease("ID", lease.id);
        }
    }

    pub(super) fn members(&mut self, answer: &pb::MemberListResponse) {
        self.header(answer.header.as_ref());
        for member in &answer.members {
            self.id("ID", member.id);
            self.text("Name", member.name.as_bytes());
            for url in &member.peer_ur_ls {
                self.text("PeerURL", url.as_bytes());
            }
            for url in &member.client_ur_ls {
                self.text("ClientURL", url.as_bytes());
            }
            self.field("IsLearner", member.is_learner);
            self.blank();
        }
    }

    pub(super) fn alarm(&mut self, answer: &pb::AlarmResponse) {
        self.header(answer.header.as_ref());
        for alarm in &answer.alarms {
            self.id("MemberID", alarm.member_id);
            self.field("AlarmType", alarm_name(alarm.alarm));
            self.blank();
        }
    }

    pub(super) fn health(&mut self, list: &[Health]) {
        for health in list {
            self.text("Endpoint", health.endpoint.as_bytes());
            self.field("Health", health.healthy);
            self.field("Took", &health.took);
            self.field("Error", &health.error);
            self.blank();
        }
    }

    pub(super) fn status(&mut self, list: &[State]) {
        for State { endpoint, answer } in list {
            let downgrade = answer.downgrade_info.clone().unwrap_or_default();
            self.header(answer.header.as_ref());
            self.text("Version", answer.version.as_bytes());
            self.text("StorageVersion", answer.storage_version.as_bytes());
            self.field("DBSize", answer.db_size);
            self.field("DBSizeInUse", answer.db_size_in_use);
            self.field("DBSizeQuota", answer.db_size_quota);
            self.field("Leader", answer.leader);
            self.field("IsLearner", answer.is_learner);
            self.field("RaftIndex", answer.raft_index);
            self.field("RaftAppliedIndex", answer.raft_applied_index);
            self.field("Errors", format_args!("[{}]", answer.errors.join(" ")));
            self.text("Endpoint", endpoint.as_bytes());
            self.text("DowngradeTargetVersion", downgrade.target_version.as_bytes());
            self.field("DowngradeEnabled", downgrade.enabled);
            self.blank();
        }
    }

    pub(super) fn hash(&mut self, list: &[Hash]) {
        for Hash { endpoint, answer } in list {
            self.header(answer.header.as_ref());
            self.text("Endpoint", endpoint.as_bytes());
            self.field("Hash", answer.hash);
            self.field("HashRevision", answer.hash_revision);
            self.blank();
        }
    }

    pub(super) fn role(&mut self, answer: &pb::AuthRoleGetResponse) {
        self.header(answer.header.as_ref());
        for permission in &answer.perm {
            // With two spaces, as etcdctl writes this one.
            self.field("PermType", format_args!(" {}", permission_name(permission.perm_type)));
            self.text("Key", &permission.key);
            self.text("RangeEnd", &permission.range_end);
        }
    }

    pub(super) fn roles(&mut self, answer: &pb::AuthRoleListResponse) {
        self.header(answer.header.as_ref());
        self.out.push_str("\"Roles\" :");
        for role in &answer.roles {
            self.out.push(' ');
            self.out.push_str(&quote(role.as_bytes()));
        }
        self.blank();
    }

    fn permission(&mut self, prefix: &str, permission: &authpb::Permission) {
        self.field(&format!("{prefix}PermType"), permission_name(permission.perm_type));
        self.text(&format!("{prefix}Key"), &permission.key);
        self.text(&format!("{prefix}RangeEnd"), &permission.range_end);
    }

    pub(super) fn overview(&mut self, all: &Overview) {
        self.field("Enabled", all.enabled);
        self.policy_revision(all.revision);
        for (name, holder) in &all.roles {
            self.blank();
            self.text("Role", name.as_bytes());
            holder.permissions.iter().for_each(|each| self.permission("", each));
            holder.terms.deny.iter().for_each(|each| self.permission("Deny", each));
            holder.terms.abilities.iter().for_each(|each| self.text("Right", each.as_bytes()));
            holder.terms.sources.iter().for_each(|each| self.text("Source", each.as_bytes()));
            self.field("NotAfter", holder.terms.not_after);
            self.field("RequestsPerSecond", holder.terms.requests_per_second);
            self.field("WriteBytesMax", holder.terms.write_bytes_max);
            holder.users.iter().for_each(|each| self.text("User", each.as_bytes()));
        }
        self.identities(&all.identities);
    }

    pub(super) fn identities(&mut self, rules: &[own::IdentityRule]) {
        for rule in rules {
            let told = Rule::of(rule);
            self.blank();
            self.text("Rule", rule.name.as_bytes());
            self.text("By", told.option.as_bytes());
            self.text("Value", told.value.as_bytes());
            told.issuer.iter().for_each(|issuer| self.text("Issuer", issuer.as_bytes()));
            self.text("User", rule.user.as_bytes());
        }
    }

    pub(super) fn explained(&mut self, answer: &own::ExplainResponse) {
        self.field("Allowed", answer.allowed);
        answer.reasons.iter().for_each(|reason| self.text("Reason", reason.as_bytes()));
        self.text("Role", answer.role.as_bytes());
        if let Some(permission) = &answer.permission {
            self.permission("", permission);
        }
        if !answer.user.is_empty() {
            self.text("User", answer.user.as_bytes());
        }
    }

    pub(super) fn who_am_i(&mut self, answer: &own::WhoAmIResponse) {
        self.text("User", answer.user.as_bytes());
        self.text("RecognizedBy", answer.recognized_by.as_bytes());
        answer.roles.iter().for_each(|role| self.text("Role", role.as_bytes()));
        self.field("IsAdministrator", answer.is_administrator);
        self.text("Rule", answer.rule.as_bytes());
    }

    pub(super) fn policy_revision(&mut self, revision: u64) {
        self.field("AuthRevision", revision);
    }
}

/// The name of a kind of permission, or its number where we do not know it.
fn permission_name(kind: i32) -> String {
    authpb::permission::Type::try_from(kind)
        .map_or_else(|_| kind.to_string(), |known| known.as_str_name().to_owned())
}
