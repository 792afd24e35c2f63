//! Changes of the access store as etcd's requests, both ways.
//!
//! A hash travels as etcd has it: base64 of its text. A password in the clear (entries of an etcd before 3.5) is refused: it
//! would have to be hashed while applying, with chance that every member draws anew.

use super::{Unreadable, own, unreadable};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proto::authpb;
use proto::etcdserverpb as pb;
use state::auth::{AccessChange, PasswordHash};
use zeroize::Zeroize;

/// Puts a change into an entry.
pub(super) fn put(change: AccessChange, request: &mut pb::InternalRaftRequest) {
    match change {
        AccessChange::Enable => request.auth_enable = Some(pb::AuthEnableRequest {}),
        AccessChange::Disable => request.auth_disable = Some(pb::AuthDisableRequest {}),
        AccessChange::UserAdd { name, no_password, password } => {
            request.auth_user_add = Some(pb::AuthUserAddRequest {
                name,
                options: Some(authpb::UserAddOptions { no_password }),
                hashed_password: written(&password),
                ..Default::default()
            });
        }
        AccessChange::UserDelete { name } => {
            request.auth_user_delete = Some(pb::AuthUserDeleteRequest { name });
        }
        AccessChange::UserChangePassword { name, password } => {
            request.auth_user_change_password = Some(pb::AuthUserChangePasswordRequest {
                name,
                hashed_password: written(&password),
                ..Default::default()
            });
        }
        AccessChange::UserGrantRole { user, role } => {
            request.auth_user_grant_role = Some(pb::AuthUserGrantRoleRequest { user, role });
        }
        AccessChange::UserRevokeRole { user, role } => {
            request.auth_user_revoke_role = Some(pb::AuthUserRevokeRoleRequest { name: user, role });
        }
        AccessChange::RoleAdd { name } => request.auth_role_add = Some(pb::AuthRoleAddRequest { name }),
        AccessChange::RoleDelete { name } => {
            request.auth_role_delete = Some(pb::AuthRoleDeleteRequest { role: name });
        }
        AccessChange::RoleGrantPermission { role, permission } => {
            let perm = permission.as_ref().map(own::permission_to);
            request.auth_role_grant_permission =
                Some(pb::AuthRoleGrantPermissionRequest { name: role, perm });
        }
        // Entries of our own (`own.rs`).
        AccessChange::SetTerms { .. }
        | AccessChange::SetIdentity { .. }
        | AccessChange::RemoveIdentity { .. } => {}
        AccessChange::RoleRevokePermission { role, key, range_end } => {
            request.auth_role_revoke_permission =
                Some(pb::AuthRoleRevokePermissionRequest { role, key, range_end });
        }
    }
}

/// The change in an entry, if it is one.
pub(super) fn take(request: pb::InternalRaftRequest) -> Result<Option<AccessChange>, Unreadable> {
    Ok(Some(if request.auth_enable.is_some() {
        AccessChange::Enable
    } else if request.auth_disable.is_some() {
        AccessChange::Disable
    } else if let Some(add) = request.auth_user_add {
        let no_password = add.options.is_some_and(|options| options.no_password);
        let password =
            if no_password { PasswordHash::default() } else { hash(add.password, add.hashed_password)? };
        AccessChange::UserAdd { name: add.name, no_password, password }
    } else if let Some(delete) = request.auth_user_delete {
        AccessChange::UserDelete { name: delete.name }
    } else if let Some(change) = request.auth_user_change_password {
        let password = hash(change.password, change.hashed_password)?;
        AccessChange::UserChangePassword { name: change.name, password }
    } else if let Some(grant) = request.auth_user_grant_role {
        AccessChange::UserGrantRole { user: grant.user, role: grant.role }
    } else if let Some(revoke) = request.auth_user_revoke_role {
        AccessChange::UserRevokeRole { user: revoke.name, role: revoke.role }
    } else if let Some(add) = request.auth_role_add {
        AccessChange::RoleAdd { name: add.name }
    } else if let Some(delete) = request.auth_role_delete {
        AccessChange::RoleDelete { name: delete.role }
    } else if let Some(grant) = request.auth_role_grant_permission {
        AccessChange::RoleGrantPermission {
            role: grant.name,
            permission: grant.perm.map(own::permission_from),
        }
    } else if let Some(revoke) = request.auth_role_revoke_permission {
        AccessChange::RoleRevokePermission { role: revoke.role, key: revoke.key, range_end: revoke.range_end }
    } else {
        return Ok(None);
    }))
}

fn written(hash: &PasswordHash) -> String {
    BASE64_STANDARD.encode(hash.as_bytes())
}

fn hash(password: String, mut hashed: String) -> Result<PasswordHash, Unreadable> {
    if !password.is_empty() {
        return unreadable("a password that is not hashed, of an etcd before 3.5");
    }
    let decoded = BASE64_STANDARD.decode(&hashed);
    hashed.zeroize();
    // etcd refuses such a request when it applies it; none of its members writes one.
    decoded.map(PasswordHash::new).map_err(|_| Unreadable { what: "a hash that is not base64" })
}
