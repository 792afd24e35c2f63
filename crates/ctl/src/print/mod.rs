//! Answers in the forms that etcdctl prints: simple, json, fields, table, protobuf.
//!
//! A [`Printer`] turns one answer into bytes for standard output and nothing else; it never fails half way, because what a
//! form does not know is refused before anything is written. What each form prints is recorded from the real etcdctl in
//! `testdata/printed.json`.

mod access;
mod fields;
mod json;
mod simple;
mod table;
pub(crate) mod text;

#[cfg(test)]
mod tests;

use crate::command::access::{Applied, Overview};
use crate::command::endpoint::{Hash, Health, State};
use crate::exit::Failure;
pub(crate) use access::{Rule, keys, kind, permission_json, verb};
use fields::Fields;
use prost::Message;
use proto::strongroom::v1 as own;
use proto::{etcdserverpb as pb, mvccpb};
pub(crate) use simple::Shown;
use simple::{Data, Simple};
pub(crate) use table::{boxed, columns};

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    #[default]
    Simple,
    /// One line of JSON.
    Json,
    /// A boxed table; only answers about members and endpoints have one.
    Table,
    /// One `"Name" : value` per line.
    Fields,
    /// The message's own bytes.
    Protobuf,
}

impl Format {
    /// Reads the value of `--write-out`.
    ///
    /// # Errors
    /// The name is not one of the five.
    pub fn parse(name: &str) -> Result<Self, Failure> {
        Ok(match name {
            "simple" => Self::Simple,
            "json" => Self::Json,
            "table" => Self::Table,
            "fields" => Self::Fields,
            "protobuf" => Self::Protobuf,
            _ => {
                return Err(Failure::feature("unsupported output format")
                    .hinting("choose one of simple, json, table, fields, protobuf"));
            }
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Json => "json",
            Self::Table => "table",
            Self::Fields => "fields",
            Self::Protobuf => "protobuf",
        }
    }
}

/// How bytes and identifiers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// Keys and values as they are, identifiers in decimal.
    #[default]
    Plain,
    /// Keys and values as `\x..`, identifiers in hexadecimal, where the form allows it.
    Hex,
}

/// Whether the keys of a lease are part of its simple form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    Shown,
    Hidden,
}

/// An answer and what its simple form says about the request.
pub(crate) enum Answer<'a> {
    Range(&'a pb::RangeResponse),
    Put(&'a pb::PutResponse),
    Delete(&'a pb::DeleteRangeResponse),
    Txn(&'a pb::TxnResponse),
    Watch(&'a pb::WatchResponse),
    Grant(&'a pb::LeaseGrantResponse),
    Revoke(i64, &'a pb::LeaseRevokeResponse),
    KeepAlive(&'a pb::LeaseKeepAliveResponse),
    TimeToLive(&'a pb::LeaseTimeToLiveResponse, Keys),
    Leases(&'a pb::LeaseLeasesResponse),
    Members(&'a pb::MemberListResponse),
    MemberAdd(&'a pb::MemberAddResponse),
    MemberRemove(u64, &'a pb::MemberRemoveResponse),
    MemberUpdate(u64, &'a pb::MemberUpdateResponse),
    MemberPromote(u64, &'a pb::MemberPromoteResponse),
    Alarm(&'a pb::AlarmResponse),
    MoveLeader(u64, u64, &'a pb::MoveLeaderResponse),
    Downgrade(&'static str, &'a pb::DowngradeResponse),
    Health(&'a [Health]),
    Status(&'a [State]),
    Hash(&'a [Hash]),
    /// A sentence about what was done, with an answer that is a header alone.
    Done(&'a [u8], Option<pb::ResponseHeader>),
    User(&'a str, &'a pb::AuthUserGetResponse),
    Users(&'a pb::AuthUserListResponse),
    Role(&'a str, &'a pb::AuthRoleGetResponse),
    Roles(&'a pb::AuthRoleListResponse),
    AuthStatus(&'a pb::AuthStatusResponse),
    /// Roles, what they are beyond their permissions, and who holds them.
    Overview(&'a Overview),
    /// The rules by which certificates are recognized.
    Identities(&'a [own::IdentityRule], u64),
    Explained(&'a own::ExplainResponse),
    WhoAmI(&'a own::WhoAmIResponse),
    /// A sentence about a change of the policy, and the policy's revision after it.
    Changed(&'a str, u64),
    Applied(&'a Applied),
    Sheet(&'a Sheet),
}

/// An answer that says itself how it looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    /// Whole lines.
    pub(crate) text: String,
    pub(crate) json: serde_json::Value,
    /// A boxed table, where it has one.
    pub(crate) table: Option<String>,
}

/// A sheet in a form, for commands that ask no member.
pub(crate) fn sheet(format: Format, sheet: &Sheet) -> Result<Vec<u8>, Failure> {
    Printer { format, ..Printer::default() }.render(&Answer::Sheet(sheet))
}

/// Turns answers into output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Printer {
    pub(crate) format: Format,
    pub(crate) notation: Notation,
    pub(crate) shown: Shown,
}

impl Printer {
    /// The bytes for standard output.
    pub(crate) fn render(&self, answer: &Answer<'_>) -> Result<Vec<u8>, Failure> {
        match self.format {
            Format::Simple => Ok(self.simple(answer)),
            Format::Json => Ok((self.json(answer) + "\n").into_bytes()),
            Format::Fields => self.fields(answer).map(String::into_bytes),
            Format::Table => self.table(answer).map(String::into_bytes),
            Format::Protobuf => self.protobuf(answer),
        }
    }

    fn unsupported(&self) -> Failure {
        Failure::feature(format!("{} not supported as output format", self.format.name())).hinting(
            if self.format == Format::Fields {
                "for this answer use -w simple or json"
            } else {
                "for this answer use -w simple, json or fields; tables exist for members, endpoints and the policy"
            },
        )
    }

    fn simple(&self, answer: &Answer<'_>) -> Vec<u8> {
        let data = if self.notation == Notation::Hex { Data::Hex } else { Data::Raw };
        let mut out = Simple::new(data, self.shown);
        let cluster = |header: &Option<pb::ResponseHeader>| header.map_or(0, |header| header.cluster_id);
        match answer {
            Answer::Range(a) => out.range(a),
            Answer::Put(a) => out.put(a),
            Answer::Delete(a) => out.delete(a),
            Answer::Txn(a) => out.txn(a),
            Answer::Watch(a) => out.watch(a),
            Answer::Grant(a) => out.line(&format!("lease {:016x} granted with TTL({}s)", a.id, a.ttl)),
            Answer::Revoke(id, _) => out.line(&format!("lease {id:016x} revoked")),
            Answer::KeepAlive(a) => out.line(&format!("lease {:016x} keepalived with TTL({})", a.id, a.ttl)),
            Answer::TimeToLive(a, keys) => out.time_to_live(a, *keys),
            Answer::Leases(a) => out.leases(a),
            Answer::Members(a) => return table::members(&a.members).lines().into_bytes(),
            Answer::MemberAdd(a) => {
                let member = a.member.clone().unwrap_or_default();
                let role = if member.is_learner { " as learner " } else { " " };
                out.line(&format!(
                    "Member {:16x} added{role}to cluster {:16x}",
                    member.id,
                    cluster(&a.header)
                ));
            }
            Answer::MemberRemove(id, a) => {
                out.line(&format!("Member {id:16x} removed from cluster {:16x}", cluster(&a.header)));
            }
            Answer::MemberUpdate(id, a) => {
                out.line(&format!("Member {id:16x} updated in cluster {:16x}", cluster(&a.header)));
            }
            Answer::MemberPromote(id, a) => {
                out.line(&format!("Member {id:16x} promoted in cluster {:16x}", cluster(&a.header)));
            }
            Answer::Alarm(a) => out.alarm(a),
            Answer::MoveLeader(from, to, _) => {
                out.line(&format!("Leadership transferred from {from:x} to {to:x}"))
            }
            Answer::Downgrade(act, a) => {
                out.line(&format!("Downgrade {act} success, cluster version {}", a.version))
            }
            Answer::Health(list) => {
                for health in list.iter().filter(|health| health.error.is_empty()) {
                    let (endpoint, took) = (&health.endpoint, &health.took);
                    out.line(&format!(
                        "{endpoint} is healthy: successfully committed proposal: took = {took}"
                    ));
                }
            }
            Answer::Status(list) => return table::status(list).lines().into_bytes(),
            Answer::Hash(list) => return table::hash(list).lines().into_bytes(),
            Answer::Done(sentence, _) => out.sentence(sentence),
            Answer::User(name, a) => {
                out.line(&format!("User: {name}"));
                out.line(
                    &std::iter::once("Roles:")
                        .chain(a.roles.iter().map(String::as_str))
                        .collect::<Vec<_>>()
                        .join(" "),
                );
            }
            Answer::Users(a) => a.users.iter().for_each(|user| out.line(user)),
            Answer::Role(name, a) => out.role(name, a),
            Answer::Roles(a) => a.roles.iter().for_each(|role| out.line(role)),
            Answer::AuthStatus(a) => {
                out.line(&format!("Authentication Status: {}", a.enabled));
                out.line(&format!("AuthRevision: {}", a.auth_revision));
            }
            Answer::Overview(a) => return access::overview(a).into_bytes(),
            Answer::Identities(rules, _) => return access::identities(rules).into_bytes(),
            Answer::Explained(a) => return access::explained(a).into_bytes(),
            Answer::WhoAmI(a) => return access::who_am_i(a).into_bytes(),
            Answer::Changed(sentence, _) => out.line(sentence),
            Answer::Applied(a) => return access::applied(a).into_bytes(),
            Answer::Sheet(sheet) => return sheet.text.clone().into_bytes(),
        }
        out.finish()
    }

    fn json(&self, answer: &Answer<'_>) -> String {
        let ids = if self.notation == Notation::Hex { json::Ids::Hex } else { json::Ids::Decimal };
        match answer {
            Answer::Range(a) => json::range(a),
            Answer::Put(a) => json::put(a),
            Answer::Delete(a) => json::delete(a),
            Answer::Txn(a) => json::txn(a),
            Answer::Watch(a) => json::watch(a),
            Answer::Grant(a) => json::grant(a),
            Answer::Revoke(_, a) => json::revoke(a),
            Answer::KeepAlive(a) => json::keep_alive(a),
            Answer::TimeToLive(a, _) => json::time_to_live(a),
            Answer::Leases(a) => json::leases(a),
            Answer::Members(a) => json::members(ids, a.header.as_ref(), None, &a.members),
            Answer::MemberAdd(a) => json::members(ids, a.header.as_ref(), a.member.as_ref(), &a.members),
            Answer::MemberRemove(_, a) => json::members(ids, a.header.as_ref(), None, &a.members),
            Answer::MemberUpdate(_, a) => json::members(ids, a.header.as_ref(), None, &a.members),
            Answer::MemberPromote(_, a) => json::members(ids, a.header.as_ref(), None, &a.members),
            Answer::Alarm(a) => json::alarm(a),
            Answer::MoveLeader(_, _, a) => json::move_leader(a),
            Answer::Downgrade(_, a) => json::downgrade(a),
            Answer::Health(list) => json::health(list),
            Answer::Status(list) => json::status(list),
            Answer::Hash(list) => json::hash(list),
            Answer::Done(_, header) => json::headed_alone(header.as_ref()),
            Answer::User(_, a) => json::user(a),
            Answer::Users(a) => json::users(a),
            Answer::Role(_, a) => json::role(a),
            Answer::Roles(a) => json::roles(a),
            Answer::AuthStatus(a) => json::auth_status(a),
            Answer::Overview(a) => json::overview(a),
            Answer::Identities(rules, revision) => json::identities(rules, *revision),
            Answer::Explained(a) => json::explained(a),
            Answer::WhoAmI(a) => json::who_am_i(a),
            Answer::Changed(_, revision) => json::policy_revision(*revision),
            Answer::Applied(a) => json::applied(a),
            Answer::Sheet(sheet) => sheet.json.to_string(),
        }
    }

    fn fields(&self, answer: &Answer<'_>) -> Result<String, Failure> {
        let ids = if self.notation == Notation::Hex { fields::Ids::Hex } else { fields::Ids::Decimal };
        let mut out = Fields::new(ids);
        match answer {
            Answer::Range(a) => out.range(a),
            Answer::Put(a) => out.put(a),
            Answer::Delete(a) => out.delete(a),
            Answer::Txn(a) => out.txn(a),
            Answer::Watch(a) => out.watch(a),
            Answer::Grant(a) => out.grant(a),
            Answer::Revoke(_, a) => out.header(a.header.as_ref()),
            Answer::KeepAlive(a) => out.keep_alive(a),
            Answer::TimeToLive(a, _) => out.time_to_live(a),
            Answer::Leases(a) => out.leases(a),
            Answer::Members(a) => out.members(a),
            Answer::Alarm(a) => out.alarm(a),
            Answer::Health(list) => out.health(list),
            Answer::Status(list) => out.status(list),
            Answer::Hash(list) => out.hash(list),
            Answer::Done(_, header) => out.header(header.as_ref()),
            Answer::Role(_, a) => out.role(a),
            Answer::Roles(a) => out.roles(a),
            Answer::Overview(a) => out.overview(a),
            Answer::Identities(rules, _) => out.identities(rules),
            Answer::Explained(a) => out.explained(a),
            Answer::WhoAmI(a) => out.who_am_i(a),
            Answer::Changed(_, revision) => out.policy_revision(*revision),
            Answer::User(..)
            | Answer::Users(_)
            | Answer::AuthStatus(_)
            | Answer::Applied(_)
            | Answer::Sheet(_)
            | Answer::MemberAdd(_)
            | Answer::MemberRemove(..)
            | Answer::MemberUpdate(..)
            | Answer::MemberPromote(..)
            | Answer::MoveLeader(..)
            | Answer::Downgrade(..) => return Err(self.unsupported()),
        }
        Ok(out.finish())
    }

    fn table(&self, answer: &Answer<'_>) -> Result<String, Failure> {
        match answer {
            Answer::Members(a) => Ok(table::members(&a.members).boxed()),
            Answer::Health(list) => Ok(table::health(list).boxed()),
            Answer::Status(list) => Ok(table::status(list).boxed()),
            Answer::Hash(list) => Ok(table::hash(list).boxed()),
            Answer::Overview(a) => Ok(access::overview_table(a)),
            Answer::Identities(rules, _) => Ok(access::identities_table(rules)),
            Answer::Explained(a) => Ok(access::explained_table(a)),
            Answer::WhoAmI(a) => Ok(access::who_am_i_table(a)),
            Answer::Changed(sentence, revision) => Ok(access::changed_table(sentence, *revision)),
            Answer::Applied(a) => Ok(access::applied_table(a)),
            Answer::Sheet(Sheet { table: Some(table), .. }) => Ok(table.clone()),
            _ => Err(self.unsupported()),
        }
    }

    /// Lease answers print their header alone, as etcdctl does; a watch answer goes without its watch's number.
    fn protobuf(&self, answer: &Answer<'_>) -> Result<Vec<u8>, Failure> {
        let header = |header: &Option<pb::ResponseHeader>| header.unwrap_or_default().encode_to_vec();
        Ok(match answer {
            Answer::Range(a) => a.encode_to_vec(),
            Answer::Put(a) => a.encode_to_vec(),
            Answer::Delete(a) => a.encode_to_vec(),
            Answer::Txn(a) => a.encode_to_vec(),
            Answer::Watch(a) => {
                let shown = pb::WatchResponse {
                    watch_id: 0,
                    cancel_reason: String::new(),
                    fragment: false,
                    ..(*a).clone()
                };
                shown.encode_to_vec()
            }
            Answer::Grant(a) => header(&a.header),
            Answer::KeepAlive(a) => header(&a.header),
            Answer::TimeToLive(a, _) => header(&a.header),
            Answer::Leases(a) => header(&a.header),
            Answer::Members(a) => a.encode_to_vec(),
            Answer::MemberAdd(a) => a.encode_to_vec(),
            Answer::MemberRemove(_, a) => a.encode_to_vec(),
            Answer::MemberUpdate(_, a) => a.encode_to_vec(),
            Answer::MemberPromote(_, a) => a.encode_to_vec(),
            Answer::Alarm(a) => a.encode_to_vec(),
            Answer::MoveLeader(_, _, a) => a.encode_to_vec(),
            Answer::Downgrade(_, a) => a.encode_to_vec(),
            // The header is the first field of each of these answers.
            Answer::Done(_, header) => pb::AuthUserAddResponse { header: *header }.encode_to_vec(),
            Answer::User(_, a) => a.encode_to_vec(),
            Answer::Users(a) => a.encode_to_vec(),
            Answer::Role(_, a) => a.encode_to_vec(),
            Answer::Roles(a) => a.encode_to_vec(),
            Answer::AuthStatus(a) => a.encode_to_vec(),
            Answer::Explained(a) => a.encode_to_vec(),
            Answer::WhoAmI(a) => a.encode_to_vec(),
            // Each of our answers to a change is this one field.
            Answer::Changed(_, revision) => own::SetRoleResponse { auth_revision: *revision }.encode_to_vec(),
            Answer::Overview(_) | Answer::Identities(..) | Answer::Applied(_) | Answer::Sheet(_) => {
                return Err(self.unsupported());
            }
            Answer::Revoke(..) | Answer::Health(_) | Answer::Status(_) | Answer::Hash(_) => {
                return Err(self.unsupported());
            }
        })
    }
}

/// The name of an alarm, or its number where we do not know it.
pub(crate) fn alarm_name(alarm: i32) -> String {
    pb::AlarmType::try_from(alarm).map_or_else(|_| alarm.to_string(), |known| known.as_str_name().to_owned())
}

/// The name of a kind of event.
pub(crate) fn event_name(kind: i32) -> &'static str {
    if kind == mvccpb::event::EventType::Delete as i32 { "DELETE" } else { "PUT" }
}
