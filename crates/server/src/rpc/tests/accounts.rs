//! Users and roles for tests, made through the Auth service itself.

use super::rig::Caller;
use bytes::Bytes;
use proto::authpb;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::auth_client::AuthClient;

/// Who makes them.
pub(super) struct Accounts(AuthClient<Caller>);

impl Accounts {
    pub(super) fn of(administrator: &Caller) -> Self {
        Self(AuthClient::new(administrator.clone()))
    }

    /// A role that may read and write from `key` to before `end`.
    pub(super) async fn role(&mut self, name: &str, key: &str, end: &str) {
        self.empty_role(name).await;
        self.grant_permission(name, authpb::permission::Type::Readwrite, key, end).await;
    }

    /// A role that may do nothing yet.
    pub(super) async fn empty_role(&mut self, name: &str) {
        self.0.role_add(pb::AuthRoleAddRequest { name: name.into() }).await.unwrap();
    }

    /// Adds a permission to a role.
    pub(super) async fn grant_permission(
        &mut self,
        role: &str,
        kind: authpb::permission::Type,
        key: &str,
        end: &str,
    ) {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        self.try_grant_permission(role, kind, bytes(key), bytes(end)).await.unwrap();
    }

    /// The same with whatever keys; it may be refused.
    pub(super) async fn try_grant_permission(
        &mut self,
        role: &str,
        kind: authpb::permission::Type,
        key: Bytes,
        range_end: Bytes,
    ) -> Result<(), tonic::Status> {
        let perm = Some(authpb::Permission { perm_type: kind as i32, key, range_end });
        let grant = pb::AuthRoleGrantPermissionRequest { name: role.into(), perm };
        self.0.role_grant_permission(grant).await.map(drop)
    }

    pub(super) async fn revoke_permission(&mut self, role: &str, key: &str, end: &str) {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let revoke =
            pb::AuthRoleRevokePermissionRequest { role: role.into(), key: bytes(key), range_end: bytes(end) };
        self.0.role_revoke_permission(revoke).await.unwrap();
    }

    /// A user with a certificate alone.
    pub(super) async fn user(&mut self, name: &str, roles: &[&str]) {
        let options = Some(authpb::UserAddOptions { no_password: true });
        let add = pb::AuthUserAddRequest { name: name.into(), options, ..Default::default() };
        self.0.user_add(add).await.unwrap();
        self.grant(name, roles).await;
    }

    /// A user with a password.
    pub(super) async fn user_with_password(&mut self, name: &str, password: &str, roles: &[&str]) {
        let add =
            pb::AuthUserAddRequest { name: name.into(), password: password.into(), ..Default::default() };
        self.0.user_add(add).await.unwrap();
        self.grant(name, roles).await;
    }

    async fn grant(&mut self, user: &str, roles: &[&str]) {
        for role in roles {
            let grant = pb::AuthUserGrantRoleRequest { user: user.into(), role: (*role).into() };
            self.0.user_grant_role(grant).await.unwrap();
        }
    }

    pub(super) async fn delete_user(&mut self, name: &str) {
        self.0.user_delete(pb::AuthUserDeleteRequest { name: name.into() }).await.unwrap();
    }

    pub(super) async fn change_password(&mut self, name: &str, password: &str) {
        let change = pb::AuthUserChangePasswordRequest {
            name: name.into(),
            password: password.into(),
            ..Default::default()
        };
        self.0.user_change_password(change).await.unwrap();
    }

    pub(super) async fn enable(&mut self) {
        self.0.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    }

    /// The token of a name and a password.
    pub(super) async fn token(caller: &Caller, name: &str, password: &str) -> Result<String, tonic::Status> {
        let ask = pb::AuthenticateRequest { name: name.into(), password: password.into() };
        Ok(AuthClient::new(caller.clone()).authenticate(ask).await?.into_inner().token)
    }
}
