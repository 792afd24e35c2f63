//! The Auth service: users, roles, logging in.
//!
//! Owns etcd's messages of it. Changes go through the log, where they are decided; questions are answered from the applied
//! state after a barrier. Passwords become hashes before anything is replicated, and only for who may make the change.

use super::Services;
use super::requests::{AboutAccess, Act};
use super::status::Failure;
use node::Op;
use node::own_messages::{permission_from, permission_to};
use proto::authpb;
use proto::etcdserverpb as pb;
use state::Command;
use state::auth::{AccessChange, Accounts, PasswordHash, PermissionKind, Principal, ROOT};
use std::borrow::Cow;
use tonic::{Code, Request, Response, Status};
use zeroize::Zeroizing;

/// The Auth service.
#[derive(Clone)]
pub(super) struct Auth(pub Services);

const ALWAYS_ON: &str = "strongroom: access control is always on here; take rights away with roles instead, or run the \
    member under the name etcd, where it can be turned off";

impl Auth {
    /// Changes the access store; answers the store's revision for the header.
    async fn change(
        &self,
        principal: &Principal,
        change: AccessChange,
    ) -> Result<Option<pb::ResponseHeader>, Status> {
        let done = self.0.propose(principal, Command::Access(change)).await?;
        Ok(Some(self.0.header(done.revision)))
    }

    /// Asks the access store, after a barrier; answers the store's revision with what was found.
    async fn ask<A>(
        &self,
        principal: &Principal,
        (op, about): (Op, AboutAccess),
        look: impl FnOnce(&Accounts) -> Result<A, Failure>,
    ) -> Result<(Option<pb::ResponseHeader>, A), Status> {
        let began = self.0.now();
        let proof = self.0.admit(principal, about)?;
        let answered = match self.0.barrier().await {
            Ok(()) => self.0.inspect(&proof).look_at_accounts(look),
            Err(failure) => Err(failure),
        };
        self.0.member().counts().requests.note(op, answered.as_ref(), self.0.now().since(began));
        Ok((Some(self.0.header_now()), answered?))
    }

    /// The hash of a new password, for who may set it.
    async fn hash(&self, principal: &Principal, password: Zeroizing<String>) -> Result<PasswordHash, Status> {
        self.0.admit(principal, Act::AccessControl)?;
        Ok(self.0.context.passwords.hash(password).await.map_err(Failure::from)?)
    }
}

/// What etcd says the root role may do.
fn everything() -> authpb::Permission {
    let perm_type = PermissionKind::ReadWrite.number();
    authpb::Permission { perm_type, key: [].as_slice().into(), range_end: [0].as_slice().into() }
}

#[tonic::async_trait]
impl pb::auth_server::Auth for Auth {
    async fn auth_status(
        &self,
        request: Request<pb::AuthStatusRequest>,
    ) -> Result<Response<pb::AuthStatusResponse>, Status> {
        let look = |accounts: &Accounts| Ok((accounts.is_enabled(), accounts.revision().0));
        let principal = self.0.principal(&request);
        let (header, (enabled, auth_revision)) =
            self.ask(&principal, (Op::AuthStatus, AboutAccess::Status), look).await?;
        Ok(Response::new(pb::AuthStatusResponse { header, enabled, auth_revision }))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        let caller = self.0.caller(&request);
        let pb::AuthenticateRequest { name, password } = request.into_inner();
        let (revision, token) = self.0.login(&caller, name, password).await?;
        Ok(Response::new(pb::AuthenticateResponse { header: Some(self.0.header(revision)), token }))
    }

    async fn auth_disable(
        &self,
        request: Request<pb::AuthDisableRequest>,
    ) -> Result<Response<pb::AuthDisableResponse>, Status> {
        let principal = self.0.principal(&request);
        if !self.0.context.can_be_opened {
            self.0.admit(&principal, Act::AccessControl)?;
            return Err(Failure::Other(Code::FailedPrecondition, Cow::Borrowed(ALWAYS_ON)).into());
        }
        let header = self.change(&principal, AccessChange::Disable).await?;
        Ok(Response::new(pb::AuthDisableResponse { header }))
    }

    async fn user_add(
        &self,
        request: Request<pb::AuthUserAddRequest>,
    ) -> Result<Response<pb::AuthUserAddResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let password = Zeroizing::new(asked.password);
        let no_password = asked.options.is_some_and(|options| options.no_password);
        let password =
            if no_password { PasswordHash::default() } else { self.hash(&principal, password).await? };
        let change = AccessChange::UserAdd { name: asked.name, no_password, password };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthUserAddResponse { header }))
    }

    async fn user_change_password(
        &self,
        request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Result<Response<pb::AuthUserChangePasswordResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let password = Zeroizing::new(asked.password);
        // As in etcd: an empty password takes the password away.
        let password = if password.is_empty() && self.0.context.can_be_opened {
            PasswordHash::default()
        } else {
            self.hash(&principal, password).await?
        };
        let change = AccessChange::UserChangePassword { name: asked.name, password };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthUserChangePasswordResponse { header }))
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<Response<pb::AuthUserGetResponse>, Status> {
        let principal = self.0.principal(&request);
        let name = request.into_inner().name;
        let about = (Op::AuthUserGet, AboutAccess::User(name.clone()));
        let look = |accounts: &Accounts| {
            accounts.user(&name).map(|user| user.roles.clone()).ok_or(Failure::UserNotFound)
        };
        let (header, roles) = self.ask(&principal, about, look).await?;
        Ok(Response::new(pb::AuthUserGetResponse { header, roles }))
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<Response<pb::AuthUserListResponse>, Status> {
        let look = |accounts: &Accounts| Ok(accounts.users().map(|(name, _)| name.to_owned()).collect());
        let principal = self.0.principal(&request);
        let (header, users) = self.ask(&principal, (Op::AuthUserList, AboutAccess::Names), look).await?;
        Ok(Response::new(pb::AuthUserListResponse { header, users }))
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<Response<pb::AuthRoleGetResponse>, Status> {
        let principal = self.0.principal(&request);
        let name = request.into_inner().role;
        let about = (Op::AuthRoleGet, AboutAccess::Role(name.clone()));
        let look = |accounts: &Accounts| {
            let role = accounts.role(&name).ok_or(Failure::RoleNotFound)?;
            let written = || role.permissions.iter().map(permission_to).collect();
            Ok(if name == ROOT { vec![everything()] } else { written() })
        };
        let (header, perm) = self.ask(&principal, about, look).await?;
        Ok(Response::new(pb::AuthRoleGetResponse { header, perm }))
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<Response<pb::AuthRoleListResponse>, Status> {
        let look = |accounts: &Accounts| Ok(accounts.roles().map(|(name, _)| name.to_owned()).collect());
        let principal = self.0.principal(&request);
        let (header, roles) = self.ask(&principal, (Op::AuthRoleList, AboutAccess::Names), look).await?;
        Ok(Response::new(pb::AuthRoleListResponse { header, roles }))
    }

    async fn auth_enable(
        &self,
        request: Request<pb::AuthEnableRequest>,
    ) -> Result<Response<pb::AuthEnableResponse>, Status> {
        let principal = self.0.principal(&request);
        let change = AccessChange::Enable;
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthEnableResponse { header }))
    }

    async fn user_delete(
        &self,
        request: Request<pb::AuthUserDeleteRequest>,
    ) -> Result<Response<pb::AuthUserDeleteResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let change = AccessChange::UserDelete { name: asked.name };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthUserDeleteResponse { header }))
    }

    async fn user_grant_role(
        &self,
        request: Request<pb::AuthUserGrantRoleRequest>,
    ) -> Result<Response<pb::AuthUserGrantRoleResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let change = AccessChange::UserGrantRole { user: asked.user, role: asked.role };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthUserGrantRoleResponse { header }))
    }

    async fn user_revoke_role(
        &self,
        request: Request<pb::AuthUserRevokeRoleRequest>,
    ) -> Result<Response<pb::AuthUserRevokeRoleResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let change = AccessChange::UserRevokeRole { user: asked.name, role: asked.role };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthUserRevokeRoleResponse { header }))
    }

    async fn role_add(
        &self,
        request: Request<pb::AuthRoleAddRequest>,
    ) -> Result<Response<pb::AuthRoleAddResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let change = AccessChange::RoleAdd { name: asked.name };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthRoleAddResponse { header }))
    }

    async fn role_delete(
        &self,
        request: Request<pb::AuthRoleDeleteRequest>,
    ) -> Result<Response<pb::AuthRoleDeleteResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let change = AccessChange::RoleDelete { name: asked.role };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthRoleDeleteResponse { header }))
    }

    async fn role_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Result<Response<pb::AuthRoleGrantPermissionResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let change = AccessChange::RoleGrantPermission {
            role: asked.name,
            permission: asked.perm.map(permission_from),
        };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthRoleGrantPermissionResponse { header }))
    }

    async fn role_revoke_permission(
        &self,
        request: Request<pb::AuthRoleRevokePermissionRequest>,
    ) -> Result<Response<pb::AuthRoleRevokePermissionResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        let change = AccessChange::RoleRevokePermission {
            role: asked.role,
            key: asked.key,
            range_end: asked.range_end,
        };
        let header = self.change(&principal, change).await?;
        Ok(Response::new(pb::AuthRoleRevokePermissionResponse { header }))
    }
}
