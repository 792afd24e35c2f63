//! The ways in which the access store is changed, one value per act.

use super::accounts::Permission;
use super::secret::PasswordHash;
use super::terms::{IdentityRule, Terms};
use bytes::Bytes;

/// One change of the access store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessChange {
    /// Turns access control on; there must be a root user with the root role.
    Enable,
    /// Turns it off.
    Disable,
    /// Makes a user.
    UserAdd {
        /// Its name.
        name: String,
        /// Whether it can never log in with a password.
        no_password: bool,
        /// What a password is compared with.
        password: PasswordHash,
    },
    /// Forgets a user.
    UserDelete {
        /// Its name.
        name: String,
    },
    /// Gives a user another password.
    UserChangePassword {
        /// Its name.
        name: String,
        /// What a password is compared with.
        password: PasswordHash,
    },
    /// Gives a role to a user.
    UserGrantRole {
        /// The user's name.
        user: String,
        /// The role's name.
        role: String,
    },
    /// Takes a role from a user.
    UserRevokeRole {
        /// The user's name.
        user: String,
        /// The role's name.
        role: String,
    },
    /// Makes a role.
    RoleAdd {
        /// Its name.
        name: String,
    },
    /// Forgets a role; users that hold it lose it.
    RoleDelete {
        /// Its name.
        name: String,
    },
    /// Gives a permission to a role, or another kind of right to the permission on the same range.
    RoleGrantPermission {
        /// The role's name.
        role: String,
        /// The permission, if one was named.
        permission: Option<Permission>,
    },
    /// Sets what a role is beyond its permissions, whole. No act of etcd's: only where every member is ours.
    SetTerms {
        /// The role's name.
        role: String,
        /// What it is.
        terms: Terms,
    },
    /// Sets a rule by which certificates are recognized. No act of etcd's.
    SetIdentity {
        /// The rule's name.
        name: String,
        /// The rule.
        rule: IdentityRule,
    },
    /// Forgets such a rule. No act of etcd's.
    RemoveIdentity {
        /// The rule's name.
        name: String,
    },
    /// Takes the permission on exactly this range from a role.
    RoleRevokePermission {
        /// The role's name.
        role: String,
        /// The first key.
        key: Bytes,
        /// etcd's end of the range.
        range_end: Bytes,
    },
}
