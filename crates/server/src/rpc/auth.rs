//! The Auth service: what can be said of access control before there are users and roles.
//!
//! Owns no state. Whether access control is on is told to anybody, as in etcd; logging in is answered as an etcd with
//! authentication off answers (clients then go on without a token). Everything else is for administrators, and refused.

use super::Services;
use super::requests::Act;
use super::status::Failure;
use proto::etcdserverpb as pb;
use tonic::{Request, Response, Status};

/// The Auth service.
#[derive(Clone)]
pub(super) struct Auth(pub Services);

const NOT_YET: &str = "strongroom: users and roles come with a later version; until then the certificate named root \
    is the administrator and no other identity has rights";

const NO_PASSWORDS: &str = "strongroom: passwords and tokens come with a later version; present the administrator's \
    certificate instead (strongroom env prints the settings)";

impl Auth {
    fn refuse<T, R>(&self, request: &Request<T>) -> Result<Response<R>, Status> {
        let principal = self.0.principal(request);
        self.0.admit(&principal, Act::AccessControl)?;
        Err(Failure::not_yet(NOT_YET).into())
    }
}

/// The revision of an access policy that never changed (etcd's, too).
const FIRST_AUTH_REVISION: u64 = 1;

macro_rules! refused {
    ($($method:ident($request:ident) -> $response:ident),+ $(,)?) => {
        #[tonic::async_trait]
        impl pb::auth_server::Auth for Auth {
            async fn auth_status(
                &self,
                _: Request<pb::AuthStatusRequest>,
            ) -> Result<Response<pb::AuthStatusResponse>, Status> {
                Ok(Response::new(pb::AuthStatusResponse {
                    header: Some(self.0.header_now()),
                    enabled: self.0.gate.is_closed(),
                    auth_revision: FIRST_AUTH_REVISION,
                }))
            }

            async fn authenticate(
                &self,
                _: Request<pb::AuthenticateRequest>,
            ) -> Result<Response<pb::AuthenticateResponse>, Status> {
                Err(match self.0.gate.is_closed() {
                    true => Failure::not_yet(NO_PASSWORDS).into(),
                    false => Failure::AuthNotEnabled.into(),
                })
            }

            $(async fn $method(
                &self,
                request: Request<pb::$request>,
            ) -> Result<Response<pb::$response>, Status> {
                self.refuse(&request)
            })+
        }
    };
}

refused! {
    auth_enable(AuthEnableRequest) -> AuthEnableResponse,
    auth_disable(AuthDisableRequest) -> AuthDisableResponse,
    user_add(AuthUserAddRequest) -> AuthUserAddResponse,
    user_get(AuthUserGetRequest) -> AuthUserGetResponse,
    user_list(AuthUserListRequest) -> AuthUserListResponse,
    user_delete(AuthUserDeleteRequest) -> AuthUserDeleteResponse,
    user_change_password(AuthUserChangePasswordRequest) -> AuthUserChangePasswordResponse,
    user_grant_role(AuthUserGrantRoleRequest) -> AuthUserGrantRoleResponse,
    user_revoke_role(AuthUserRevokeRoleRequest) -> AuthUserRevokeRoleResponse,
    role_add(AuthRoleAddRequest) -> AuthRoleAddResponse,
    role_get(AuthRoleGetRequest) -> AuthRoleGetResponse,
    role_list(AuthRoleListRequest) -> AuthRoleListResponse,
    role_delete(AuthRoleDeleteRequest) -> AuthRoleDeleteResponse,
    role_grant_permission(AuthRoleGrantPermissionRequest) -> AuthRoleGrantPermissionResponse,
    role_revoke_permission(AuthRoleRevokePermissionRequest) -> AuthRoleRevokePermissionResponse,
}
