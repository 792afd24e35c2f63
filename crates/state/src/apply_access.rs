//! Users, roles and tokens: how an entry changes the access store, and whether its proposer may have it done.
//!
//! Deterministic like the rest of `apply`. The edge has asked the policy before; it is asked again here, of the accounts
//! as they stand when the entry's turn comes. Source: etcd's `etcdserver/apply/auth.go` and `auth/store.go`, whose order
//! of refusals is kept, since it is part of the replicated outcome.

use crate::auth::{
    self, AccessChange, Accesses, Accounts, Actor, Denied, Permission, ROOT, Role, User, etcds_order,
};
use crate::changes::TokenChange;
use crate::command::{Authenticate, Command};
use crate::error::{Error, Refusal};
use crate::lock;
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::record::Record;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::{AuthRevision, LogIndex};

/// What a change comes to.
#[derive(Default)]
struct Effects {
    records: Vec<Record<'static>>,
    tokens: Option<TokenChange>,
}

impl Machine {
    /// Whether the policy lets the entry's proposer do this.
    pub(crate) fn refuse_by_policy(&self, actor: &Actor, command: &Command) -> Result<(), Denied> {
        let accounts = lock::read(&self.shared.accounts);
        if !accounts.is_enabled() {
            return Ok(());
        }
        match command {
            Command::Access(_) | Command::Certificates(_) => accounts.check_administrator(&actor.user),
            Command::Put(_) | Command::DeleteRange(_) | Command::Txn(_) | Command::LeaseRevoke(_)
                if actor.known >= accounts.revision()
                    && accounts.grants(&actor.user).is_some_and(|grants| grants.is_root()) =>
            {
                Ok(())
            }
            Command::Put(_) | Command::DeleteRange(_) | Command::Txn(_) | Command::LeaseRevoke(_) => {
                let leases = lock::read(&self.shared.leases);
                auth::check_keys(&accounts, &leases, (&actor.user, actor.known), &Accesses::of(command))
            }
            // As in etcd the edge alone decides of these: none of them shows or changes a key.
            Command::Compact(_)
            | Command::LeaseGrant(_)
            | Command::LeaseCheckpoint(_)
            | Command::Alarm(_)
            | Command::Authenticate(_)
            | Command::ClusterVersionSet(_)
            | Command::MemberAttributesSet(_)
            | Command::DowngradeSet(_)
            | Command::Nothing => Ok(()),
        }
    }

    pub(crate) fn change_access(&mut self, change: AccessChange) -> Result<Outcome, Error> {
        let Effects { records, tokens } = decide(&lock::read(&self.shared.accounts), change)?;
        if records.is_empty() {
            return Ok(Outcome::Nothing);
        }
        for record in &records {
            self.journal.append(record)?;
        }
        let mut accounts = lock::write(&self.shared.accounts);
        records.into_iter().for_each(|record| take(&mut accounts, record));
        self.shared.policy_epoch.fetch_add(1, Ordering::Release);
        drop(accounts);
        self.changes.policy = true;
        self.changes.tokens.extend(tokens);
        Ok(Outcome::Nothing)
    }

    /// Gives a token: the proposer's random beginning and the entry's index, which no other token has.
    pub(crate) fn authenticate(&mut self, index: LogIndex, ask: Authenticate) -> Result<Outcome, Error> {
        let accounts = lock::read(&self.shared.accounts);
        if !accounts.is_enabled() {
            return Err(Refusal::AccessControlOff.into());
        }
        if accounts.user(&ask.user).is_none_or(|user| user.no_password) {
            return Err(Refusal::AuthenticationFailed.into());
        }
        let token: Arc<str> = format!("{}.{index}", ask.token_prefix).into();
        self.changes.tokens.push(TokenChange::Given { token: token.clone(), user: ask.user.into() });
        Ok(Outcome::Authenticated { token })
    }
}

/// Takes an effect into the accounts: as it happens, and again when the state is rebuilt.
pub(crate) fn take(accounts: &mut Accounts, record: Record<'_>) {
    match record {
        Record::Policy { is_enabled, revision } => {
            accounts.set_enabled(is_enabled);
            accounts.set_revision(revision);
        }
        Record::User { name, user } => accounts.set_user(name, user),
        Record::UserGone(name) => accounts.remove_user(&name),
        Record::Role { name, role } => accounts.set_role(name, role),
        Record::RoleGone(name) => accounts.remove_role(&name),
        Record::Terms { role, terms } => accounts.set_terms(role, terms),
        Record::Identity { name, rule } => accounts.set_identity(name, rule),
        Record::IdentityGone(name) => accounts.remove_identity(&name),
        Record::Put(..)
        | Record::Deletion(..)
        | Record::Compaction(_)
        | Record::Lease { .. }
        | Record::LeaseGone(_)
        | Record::Alarm(_)
        | Record::AlarmGone(_)
        | Record::Member(_)
        | Record::MemberGone(_)
        | Record::ClusterVersion(_)
        | Record::Downgrade(_)
        | Record::Pki(_) => {}
    }
}

/// The effects of a change, or why it is refused; none when everything is as it was.
fn decide(accounts: &Accounts, change: AccessChange) -> Result<Effects, Refusal> {
    match change {
        AccessChange::Enable => enable(accounts),
        AccessChange::Disable if !accounts.is_enabled() => Ok(Effects::default()),
        AccessChange::Disable => {
            let records = vec![policy(false, next(accounts))];
            Ok(Effects { records, tokens: Some(TokenChange::Void) })
        }
        AccessChange::UserAdd { name, .. } if name.is_empty() => Err(Refusal::UserNameEmpty),
        AccessChange::UserAdd { name, .. } if accounts.user(&name).is_some() => Err(Refusal::UserExists),
        AccessChange::UserAdd { name, no_password, password } => {
            Ok(changed(accounts, vec![user(name, User::new(no_password, password, Vec::new()))]))
        }
        AccessChange::UserDelete { name } if accounts.is_enabled() && name == ROOT => {
            Err(Refusal::InvalidAccessChange)
        }
        AccessChange::UserDelete { name } => {
            known_user(accounts, &name)?;
            let tokens = Some(TokenChange::VoidOf(name.clone()));
            Ok(Effects { tokens, ..changed(accounts, vec![Record::UserGone(name)]) })
        }
        AccessChange::UserChangePassword { name, password } => {
            let User { no_password, roles, .. } = known_user(accounts, &name)?.clone();
            let password = if no_password { auth::PasswordHash::default() } else { password };
            let tokens = Some(TokenChange::VoidOf(name.clone()));
            let record = user(name, User::new(no_password, password, roles));
            Ok(Effects { tokens, ..changed(accounts, vec![record]) })
        }
        AccessChange::UserGrantRole { user: name, role } => grant_role(accounts, name, role),
        AccessChange::UserRevokeRole { user: name, role } => revoke_role(accounts, name, &role),
        AccessChange::RoleAdd { name } if name.is_empty() => Err(Refusal::RoleNameEmpty),
        AccessChange::RoleAdd { name } if accounts.role(&name).is_some() => Err(Refusal::RoleExists),
        AccessChange::RoleAdd { name } => {
            Ok(changed(accounts, vec![Record::Role { name, role: Role::default() }]))
        }
        AccessChange::RoleDelete { name } => delete_role(accounts, name),
        AccessChange::RoleGrantPermission { role, permission } => {
            grant_permission(accounts, role, permission.ok_or(Refusal::PermissionNotGiven)?)
        }
        AccessChange::SetTerms { role, .. } if role == ROOT => Err(Refusal::InvalidAccessChange),
        AccessChange::SetTerms { role, terms } => {
            known_role(accounts, &role)?;
            if terms.deny.iter().any(|denied| !denied.is_valid()) {
                return Err(Refusal::InvalidAccessChange);
            }
            Ok(changed(accounts, vec![Record::Terms { role, terms }]))
        }
        AccessChange::SetIdentity { name, rule } if name.is_empty() || rule.user.is_empty() => {
            Err(Refusal::UserNameEmpty)
        }
        AccessChange::SetIdentity { name, rule } => {
            Ok(changed(accounts, vec![Record::Identity { name, rule }]))
        }
        AccessChange::RemoveIdentity { name } => {
            if accounts.identities().all(|(known, _)| known != name) {
                return Err(Refusal::IdentityRuleNotFound);
            }
            Ok(changed(accounts, vec![Record::IdentityGone(name)]))
        }
        AccessChange::RoleRevokePermission { role: name, key, range_end } => {
            let mut role = known_role(accounts, &name)?.clone();
            let before = role.permissions.len();
            role.permissions.retain(|held| held.key != key || held.range_end != range_end);
            if role.permissions.len() == before {
                return Err(Refusal::PermissionNotGranted);
            }
            Ok(changed(accounts, vec![Record::Role { name, role }]))
        }
    }
}

fn enable(accounts: &Accounts) -> Result<Effects, Refusal> {
    if accounts.is_enabled() {
        return Ok(Effects::default());
    }
    let root = accounts.user(ROOT).ok_or(Refusal::RootUserMissing)?;
    if !root.has_role(ROOT) {
        return Err(Refusal::RootRoleMissing);
    }
    // etcd does not count this as a change of the policy.
    Ok(Effects { records: vec![policy(true, accounts.revision())], tokens: None })
}

fn grant_role(accounts: &Accounts, name: String, role: String) -> Result<Effects, Refusal> {
    let User { no_password, password, mut roles, .. } = known_user(accounts, &name)?.clone();
    if role != ROOT {
        known_role(accounts, &role)?;
    }
    let Err(place) = roles.binary_search(&role) else { return Ok(Effects::default()) };
    roles.insert(place, role);
    Ok(changed(accounts, vec![user(name, User::new(no_password, password, roles))]))
}

fn revoke_role(accounts: &Accounts, name: String, role: &str) -> Result<Effects, Refusal> {
    if accounts.is_enabled() && name == ROOT && role == ROOT {
        return Err(Refusal::InvalidAccessChange);
    }
    let without = without_role(known_user(accounts, &name)?, role).ok_or(Refusal::RoleNotGranted)?;
    Ok(changed(accounts, vec![user(name, without)]))
}

fn delete_role(accounts: &Accounts, name: String) -> Result<Effects, Refusal> {
    if accounts.is_enabled() && name == ROOT {
        return Err(Refusal::InvalidAccessChange);
    }
    known_role(accounts, &name)?;
    let holders = accounts
        .users()
        .filter_map(|(holder, held)| Some(user(holder.to_owned(), without_role(held, &name)?)));
    let mut records: Vec<_> = holders.collect();
    records.push(Record::RoleGone(name));
    Ok(changed(accounts, records))
}

fn grant_permission(accounts: &Accounts, name: String, permission: Permission) -> Result<Effects, Refusal> {
    if !permission.is_valid() {
        return Err(Refusal::InvalidAccessChange);
    }
    let mut role = known_role(accounts, &name)?.clone();
    let held = &mut role.permissions;
    let place = held.partition_point(|each| each.key < permission.key);
    match held.get_mut(place).filter(|at| at.key == permission.key && at.range_end == permission.range_end) {
        Some(same) => same.kind = permission.kind,
        None => {
            held.push(permission);
            etcds_order::sort(held, |a, b| a.key < b.key);
        }
    }
    Ok(changed(accounts, vec![Record::Role { name, role }]))
}

fn known_user<'a>(accounts: &'a Accounts, name: &str) -> Result<&'a User, Refusal> {
    accounts.user(name).ok_or(Refusal::UserNotFound)
}

fn known_role<'a>(accounts: &'a Accounts, name: &str) -> Result<&'a Role, Refusal> {
    accounts.role(name).ok_or(Refusal::RoleNotFound)
}

/// The user without the role; none when it did not hold it.
fn without_role(user: &User, role: &str) -> Option<User> {
    let roles: Vec<_> = user.roles.iter().filter(|held| *held != role).cloned().collect();
    (roles.len() < user.roles.len()).then(|| User::new(user.no_password, user.password.clone(), roles))
}

fn user(name: String, user: User) -> Record<'static> {
    Record::User { name, user }
}

fn policy(is_enabled: bool, revision: AuthRevision) -> Record<'static> {
    Record::Policy { is_enabled, revision }
}

fn next(accounts: &Accounts) -> AuthRevision {
    AuthRevision(accounts.revision().0.saturating_add(1))
}

/// The effects of a change that counts: these records, and the policy's next revision.
fn changed(accounts: &Accounts, mut records: Vec<Record<'static>>) -> Effects {
    records.push(policy(accounts.is_enabled(), next(accounts)));
    Effects { records, tokens: None }
}
