//! `access show`: the whole policy, or one role, gathered from etcd's Auth service and ours.
//!
//! The answers are of one moment each, not all of the same one.

use super::super::show;
use super::terms::read;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::Args;
use proto::authpb::Permission;
use proto::etcdserverpb as pb;
use proto::strongroom::v1::{IdentityRule, RoleTerms};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `access show [role]`
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// One role instead of all
    role: Option<String>,
}

/// The policy, or one role's part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overview {
    pub(crate) enabled: bool,
    pub(crate) revision: u64,
    /// The roles, by name.
    pub(crate) roles: BTreeMap<String, Holder>,
    /// The rules that make somebody a user of one of these roles; all, where all roles are shown.
    pub(crate) identities: Vec<IdentityRule>,
    /// Users without any role.
    pub(crate) idle: Vec<String>,
}

/// What whoever holds a role may and may not do, and who that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Holder {
    pub(crate) permissions: Vec<Permission>,
    pub(crate) terms: RoleTerms,
    pub(crate) users: Vec<String>,
}

impl Show {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        let overview = Overview::of(&client, self.role.as_deref()).await?;
        show(&client, &Answer::Overview(&overview))
    }
}

impl Overview {
    /// Asks for everything; `only` one role where there is a name.
    pub(super) async fn of(client: &Client, only: Option<&str>) -> Result<Self, Failure> {
        let own = read(client).await?;
        let request = client.request(pb::AuthStatusRequest {});
        let status = client.call(client.auth().auth_status(request)).await?;
        let names = match only {
            Some(role) => vec![role.to_owned()],
            None => {
                client.call(client.auth().role_list(client.request(pb::AuthRoleListRequest {}))).await?.roles
            }
        };
        let mut all = Self { enabled: status.enabled, revision: own.auth_revision, ..Self::default() };
        for role in names {
            let request = client.request(pb::AuthRoleGetRequest { role: role.clone() });
            let permissions = client.call(client.auth().role_get(request)).await?.perm;
            let terms = own.roles.get(&role).cloned().unwrap_or_default();
            all.roles.insert(role, Holder { permissions, terms, users: Vec::new() });
        }
        all.identities = own.identities;
        all.identities.sort_by(|one, other| one.name.cmp(&other.name));
        all.add_users(client, only).await?;
        Ok(all)
    }

    async fn add_users(&mut self, client: &Client, only: Option<&str>) -> Result<(), Failure> {
        let request = client.request(pb::AuthUserListRequest {});
        for user in client.call(client.auth().user_list(request)).await?.users {
            let request = client.request(pb::AuthUserGetRequest { name: user.clone() });
            let roles = client.call(client.auth().user_get(request)).await?.roles;
            if roles.is_empty() && only.is_none() {
                self.idle.push(user.clone());
            }
            for role in roles {
                if let Some(holder) = self.roles.get_mut(&role) {
                    holder.users.push(user.clone());
                }
            }
        }
        if only.is_some() {
            let users: Vec<&String> = self.roles.values().flat_map(|holder| &holder.users).collect();
            self.identities.retain(|rule| users.contains(&&rule.user));
        }
        Ok(())
    }
}
