//! Policies: what known programs and duties need, exactly, and what of a wanted role is not there yet.
//!
//! Pure. Invariants: a step only adds; the steps of a policy that is there already are none; a user gets the role last, so that
//! a policy that is applied half gives nobody half of it.

use super::super::auth::ROOT;
use super::super::range::prefix_end;
use super::overview::Holder;
use super::terms::{Right, both, grant, is_same_range};
use bytes::Bytes;
use clap::ValueEnum;
use proto::authpb::Permission;
use proto::authpb::permission::Type;
use proto::strongroom::v1::RoleTerms;
use std::collections::BTreeMap;

/// A ready policy.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// A kube-apiserver: its keys and compaction
    Kubernetes,
    /// kubeadm: members of the cluster, no keys
    Kubeadm,
    /// Backups: snapshot and hash, no keys
    Backup,
    /// Monitoring: state, members and alarms, no keys
    Metrics,
    /// An administrator: everything; name who with --for
    Admin,
}

/// kube-apiserver's key for the compaction that several of them agree on; at the root, outside of its prefix.
const COMPACTION_KEY: &[u8] = b"compact_rev_key";

impl Policy {
    /// Its name, and its role's.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Kubeadm => "kubeadm",
            Self::Backup => "backup",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }

    pub(super) const fn role(self) -> &'static str {
        match self {
            Self::Admin => ROOT,
            other => other.name(),
        }
    }

    /// What it gives, in a line.
    pub(super) fn gives(self, prefix: &str) -> String {
        match self {
            Self::Kubernetes => format!(
                "a kube-apiserver reads and writes {prefix} and its compaction key, and compacts history; nothing else"
            ),
            Self::Kubeadm => {
                "kubeadm adds, promotes and removes members, and asks for their state; it sees no key".into()
            }
            Self::Backup => {
                "a backup gets snapshots, which hold everything, and hashes to check them; it changes nothing"
                    .into()
            }
            Self::Metrics => {
                "monitoring asks for state, members and alarms; it sees and changes nothing".into()
            }
            Self::Admin => "an administrator does everything, the policy included: etcd's role root".into(),
        }
    }

    /// The user whose name is in the certificate that its program has by default.
    pub(super) const fn user(self) -> Option<&'static str> {
        match self {
            Self::Kubernetes => Some("kube-apiserver-etcd-client"),
            Self::Kubeadm => Some("kube-etcd-healthcheck-client"),
            Self::Backup => Some("strongroom-backup"),
            Self::Metrics => Some("strongroom-metrics"),
            Self::Admin => None,
        }
    }

    /// Its role, with kube-apiserver's prefix.
    pub(super) fn wanted(self, prefix: &str) -> Wanted {
        let rights: &[Right] = match self {
            Self::Kubernetes => &[Right::Compact],
            Self::Kubeadm => &[Right::Membership],
            Self::Backup => &[Right::Hash, Right::Snapshot],
            Self::Metrics | Self::Admin => &[],
        };
        Wanted {
            role: self.role().to_owned(),
            permissions: self.permissions(prefix),
            rights: rights.iter().map(|right| right.name().to_owned()).collect(),
        }
    }

    fn permissions(self, prefix: &str) -> Vec<Permission> {
        if self != Self::Kubernetes {
            return Vec::new();
        }
        let perm_type = Type::Readwrite.into();
        let key = Bytes::copy_from_slice(prefix.as_bytes());
        vec![
            Permission { perm_type, range_end: prefix_end(&key), key },
            Permission { perm_type, key: COMPACTION_KEY.into(), range_end: Bytes::new() },
        ]
    }
}

/// The prefix of all keys of a kube-apiserver with this `--etcd-prefix`, as it makes it: one slash before and one behind.
pub(super) fn registry(prefix: &str) -> String {
    let parts: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() { "/".to_owned() } else { format!("/{}/", parts.join("/")) }
}

/// What is there already: of the role, if there is one, and the roles of each of the users that are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Present {
    pub(super) role: Option<Holder>,
    pub(super) users: BTreeMap<String, Vec<String>>,
}

/// A role as it is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) role: String,
    pub(super) permissions: Vec<Permission>,
    pub(super) rights: Vec<String>,
}

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    AddRole,
    Grant(Permission),
    /// Set the terms, for these rights that are new in them.
    SetTerms(RoleTerms, Vec<String>),
    AddUser(String),
    GrantRole(String),
}

/// The steps from what is there to what is wanted.
pub(super) fn steps(wanted: &Wanted, users: &[String], present: &Present) -> Vec<Step> {
    let mut steps = Vec::new();
    if present.role.is_none() {
        steps.push(Step::AddRole);
    }
    let role = present.role.clone().unwrap_or_default();
    for permission in &wanted.permissions {
        // A grant replaces the one before it of the same range: it must never become less.
        let known = role.permissions.iter().find(|known| is_same_range(known, permission));
        let perm_type =
            known.map_or(permission.perm_type, |known| both(known.perm_type, permission.perm_type));
        if known.is_none_or(|known| known.perm_type != perm_type) {
            steps.push(Step::Grant(Permission { perm_type, ..permission.clone() }));
        }
    }
    let is_missing = |name: &&String| !role.terms.abilities.contains(name);
    let missing: Vec<String> = wanted.rights.iter().filter(is_missing).cloned().collect();
    if !missing.is_empty() {
        let mut terms = role.terms;
        grant(&mut terms, missing.iter().map(String::as_str));
        steps.push(Step::SetTerms(terms, missing));
    }
    for user in users {
        let roles = present.users.get(user);
        if roles.is_none() {
            steps.push(Step::AddUser(user.clone()));
        }
        if roles.is_none_or(|roles| !roles.contains(&wanted.role)) {
            steps.push(Step::GrantRole(user.clone()));
        }
    }
    steps
}

/// What the role has besides, which stays as somebody made it.
pub(super) fn has_more(wanted: &Wanted, present: &Present) -> bool {
    let Some(role) = present.role.as_ref().filter(|_| wanted.role != ROOT) else { return false };
    let beyond = RoleTerms { abilities: Vec::new(), ..role.terms.clone() };
    beyond != RoleTerms::default()
        || role.terms.abilities.iter().any(|known| !wanted.rights.contains(known))
        || role
            .permissions
            .iter()
            .any(|known| !wanted.permissions.iter().any(|wanted| is_same_range(known, wanted)))
}
