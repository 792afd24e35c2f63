//! `access deny`, `allow-again`, `grant-right`, `revoke-right`: one change of what a role is beyond its permissions.
//!
//! Owns the changes as pure edits of [`RoleTerms`], which say whether there was anything to change; and the reading and writing
//! around them. Two administrators who change one role at the same moment: the later one counts.

use super::super::auth::ROOT;
use super::super::role::Reach;
use super::super::show;
use crate::connect::Client;
use crate::connect::refused::shown;
use crate::exit::Failure;
use crate::print::{Answer, keys, verb};
use crate::settings::Settings;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use proto::authpb::Permission;
use proto::authpb::permission::Type;
use proto::strongroom::v1::{RoleTerms, SetRoleRequest, ShowRequest, ShowResponse};
use std::ffi::OsString;
use std::sync::Arc;

/// `access deny <role> <kind> <key> [end]`
#[derive(Args, Clone, Debug)]
pub struct Deny {
    /// The role
    role: String,
    /// What its holders may not do
    #[arg(value_enum, ignore_case = true, value_name = "PERMISSION")]
    kind: Kind,
    #[command(flatten)]
    keys: Keys<1>,
}

/// `access allow-again <role> <key> [end]`
#[derive(Args, Clone, Debug)]
pub struct AllowAgain {
    /// The role
    role: String,
    #[command(flatten)]
    keys: Keys<1>,
}

/// Keys on a command line, `LEAST` words of them or more.
#[derive(Args, Clone, Debug)]
pub(super) struct Keys<const LEAST: usize> {
    /// The key, perhaps with an end, itself not included
    #[arg(required = LEAST > 0, num_args = LEAST..=2, value_names = ["KEY", "END_KEY"])]
    pub(super) keys: Vec<OsString>,
    #[command(flatten)]
    pub(super) reach: Reach,
}

impl<const LEAST: usize> Keys<LEAST> {
    /// Whether any are named.
    pub(super) fn are_named(&self) -> bool {
        !self.keys.is_empty() || self.reach.prefix || self.reach.from_key
    }

    /// The range, as a permission has it.
    pub(super) fn range(&self) -> Result<(Bytes, Bytes), Failure> {
        self.reach.range(&self.keys)
    }
}

/// `access grant-right <role> <right>…` and `revoke-right`
#[derive(Args, Clone, Debug)]
pub struct Rights {
    /// The role
    role: String,
    /// The rights
    #[arg(required = true, value_enum, value_name = "RIGHT")]
    rights: Vec<Right>,
}

/// What of keys is permitted or denied.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Readwrite,
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Read => Self::Read,
            Kind::Write => Self::Write,
            Kind::Readwrite => Self::Readwrite,
        }
    }
}

/// An administrative right.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Raise and clear alarms
    Alarm,
    /// Forget history
    Compact,
    /// Give free space back to the disk
    Defragment,
    /// Begin and end a downgrade
    Downgrade,
    /// Learn hashes over everything
    Hash,
    /// Change the members of the cluster
    Membership,
    /// Hand leadership over
    MoveLeader,
    /// Get a copy of everything
    Snapshot,
}

impl Right {
    /// Its name, as the service has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Compact => "compact",
            Self::Defragment => "defragment",
            Self::Downgrade => "downgrade",
            Self::Hash => "hash",
            Self::Membership => "membership",
            Self::MoveLeader => "move-leader",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Denies a range; a denial of the same range that is there already becomes as wide as both.
pub(super) fn deny(terms: &mut RoleTerms, denial: Permission) {
    match terms.deny.iter_mut().find(|known| is_same_range(known, &denial)) {
        Some(known) => known.perm_type = both(known.perm_type, denial.perm_type),
        None => terms.deny.push(denial),
    }
}

/// Takes back what is denied of exactly this range.
pub(super) fn allow_again(terms: &mut RoleTerms, range: &Permission) {
    terms.deny.retain(|known| !is_same_range(known, range));
}

/// Adds rights, each once, in the order of their names.
pub(super) fn grant<'a>(terms: &mut RoleTerms, rights: impl IntoIterator<Item = &'a str>) {
    for right in rights {
        if !terms.abilities.iter().any(|known| known == right) {
            terms.abilities.push(right.to_owned());
        }
    }
    terms.abilities.sort();
}

/// Whether two permissions are about the same keys.
pub(super) fn is_same_range(one: &Permission, other: &Permission) -> bool {
    one.key == other.key && one.range_end == other.range_end
}

/// The kind that both together are.
pub(super) fn both(one: i32, other: i32) -> i32 {
    if one == other { one } else { Type::Readwrite.into() }
}

/// Reads the whole policy beyond etcd's.
pub(super) async fn read(client: &Client) -> Result<ShowResponse, Failure> {
    client.call(client.access().show(client.request(ShowRequest {}))).await
}

/// Writes a role's terms, and gives the policy's new revision.
pub(super) async fn write(client: &Client, role: &str, terms: RoleTerms) -> Result<u64, Failure> {
    let request = client.bounded(SetRoleRequest { role: role.to_owned(), terms: Some(terms) })?;
    Ok(client.call(client.access().set_role(request)).await?.auth_revision)
}

/// Changes a role's terms, and says what came of it: `done`, or `nothing` where it was so already.
pub(super) async fn change(
    settings: &Arc<Settings>,
    role: &str,
    edit: impl FnOnce(&mut RoleTerms),
    [done, nothing]: [&str; 2],
) -> Result<(), Failure> {
    if role == ROOT {
        return Err(Failure::error("the role root may do everything, everywhere and always")
            .hinting("make a role of its own: strongroom role add <role>"));
    }
    let client = Client::connect(settings).await?;
    let all = read(&client).await?;
    let before = all.roles.get(role).cloned().unwrap_or_default();
    let mut after = before.clone();
    edit(&mut after);
    if after == before {
        return show(&client, &Answer::Changed(nothing, all.auth_revision));
    }
    let revision = write(&client, role, after).await?;
    show(&client, &Answer::Changed(done, revision))
}

impl Deny {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (key, range_end) = self.keys.range()?;
        let denial = Permission { perm_type: Type::from(self.kind).into(), key, range_end };
        let (role, what) = (shown(&self.role), keys(&denial));
        let word = verb(&denial);
        let said = [
            &format!("Role {role}: its holders may not {word} {what}")[..],
            &format!("Role {role}: nothing to change, {what} was denied already"),
        ];
        change(settings, &self.role, |terms| deny(terms, denial), said).await
    }
}

impl AllowAgain {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (key, range_end) = self.keys.range()?;
        let range = Permission { key, range_end, ..Permission::default() };
        let (role, what) = (shown(&self.role), keys(&range));
        let said = [
            &format!("Role {role}: the denial of {what} is gone")[..],
            &format!(
                "Role {role}: nothing to change, no denial of exactly {what}: see strongroom access show {role}"
            ),
        ];
        change(settings, &self.role, |terms| allow_again(terms, &range), said).await
    }
}

impl Rights {
    fn names(&self) -> Vec<&'static str> {
        self.rights.iter().map(|right| right.name()).collect()
    }

    pub(super) async fn grant(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (role, names) = (shown(&self.role), self.names());
        let said = [
            &format!("Role {role} has the right: {}", names.join(", "))[..],
            &format!("Role {role}: nothing to change, it has the right: {}", names.join(", ")),
        ];
        change(settings, &self.role, |terms| grant(terms, names.iter().copied()), said).await
    }

    pub(super) async fn revoke(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (role, names) = (shown(&self.role), self.names());
        let said = [
            &format!("Role {role} has no more the right: {}", names.join(", "))[..],
            &format!("Role {role}: nothing to change, it has not the right: {}", names.join(", ")),
        ];
        let edit = |terms: &mut RoleTerms| terms.abilities.retain(|known| !names.contains(&known.as_str()));
        change(settings, &self.role, edit, said).await
    }
}
