//! Ready policies: what known programs and duties need, exactly, and what of it is not there yet.
//!
//! Pure. Invariants: a step only adds; the steps of a policy that is there already are none; a user gets the role last, so that
//! a policy that is applied half gives nobody half of it.

use super::super::auth::ROOT;
use super::super::range::prefix_end;
use super::overview::Holder;
use super::terms::{Right, grant, is_same_range};
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

    const fn rights(self) -> &'static [Right] {
        match self {
            Self::Kubernetes => &[Right::Compact],
            Self::Kubeadm => &[Right::Membership],
            Self::Backup => &[Right::Hash, Right::Snapshot],
            Self::Metrics | Self::Admin => &[],
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

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    AddRole,
    Grant(Permission),
    /// Set the terms, for these rights that are new in them.
    SetTerms(RoleTerms, Vec<&'static str>),
    AddUser(String),
    GrantRole(String),
}

/// The steps from what is there to what the policy gives.
pub(super) fn steps(policy: Policy, prefix: &str, users: &[String], present: &Present) -> Vec<Step> {
    let mut steps = Vec::new();
    if present.role.is_none() {
        steps.push(Step::AddRole);
    }
    let role = present.role.clone().unwrap_or_default();
    for wanted in policy.permissions(prefix) {
        // A grant replaces the one before it of the same range; ours are readwrite, so that it never becomes less.
        if !role.permissions.contains(&wanted) {
            steps.push(Step::Grant(wanted));
        }
    }
    let names = policy.rights().iter().map(|right| right.name());
    let missing: Vec<&str> =
        names.filter(|name| !role.terms.abilities.iter().any(|known| known == name)).collect();
    if !missing.is_empty() {
        let mut terms = role.terms;
        grant(&mut terms, missing.iter().copied());
        steps.push(Step::SetTerms(terms, missing));
    }
    for user in users {
        let roles = present.users.get(user);
        if roles.is_none() {
            steps.push(Step::AddUser(user.clone()));
        }
        if roles.is_none_or(|roles| !roles.iter().any(|role| role == policy.role())) {
            steps.push(Step::GrantRole(user.clone()));
        }
    }
    steps
}

/// What the role has besides the policy, which stays as somebody made it.
pub(super) fn has_more(policy: Policy, prefix: &str, present: &Present) -> bool {
    let Some(role) = present.role.as_ref().filter(|_| policy != Policy::Admin) else { return false };
    let wanted = policy.permissions(prefix);
    let rights: Vec<&str> = policy.rights().iter().map(|right| right.name()).collect();
    let beyond = RoleTerms { abilities: Vec::new(), ..role.terms.clone() };
    beyond != RoleTerms::default()
        || role.terms.abilities.iter().any(|known| !rights.contains(&known.as_str()))
        || role.permissions.iter().any(|known| !wanted.iter().any(|wanted| is_same_range(known, wanted)))
}
