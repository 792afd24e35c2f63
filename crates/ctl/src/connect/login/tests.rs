//! A member that forgets logins: what is asked again, how often, and with which token.

use super::*;
use crate::connect::Client;
use crate::connect::tests::clear_server;
use crate::exit::Failure;
use crate::settings::{Global, Settings, Surroundings};
use std::collections::VecDeque;
use tonic::service::Routes;
use tonic::{Request, Response};

/// What a member heard, in order: `login` or the token of a request.
#[derive(Clone, Default)]
struct Member {
    heard: Arc<Mutex<Vec<String>>>,
    /// Refusals of the next requests, and of the next logins.
    refusals: Arc<Mutex<VecDeque<Status>>>,
    refused_logins: Arc<Mutex<VecDeque<Status>>>,
}

impl Member {
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

macro_rules! member {
    ($($method:ident($request:ident) -> $response:ident),+ $(,)?) => {
        #[tonic::async_trait]
        impl pb::auth_server::Auth for Member {
            /// Gives the tokens `token-1`, `token-2` and so on.
            async fn authenticate(
                &self,
                _: Request<pb::AuthenticateRequest>,
            ) -> Result<Response<pb::AuthenticateResponse>, Status> {
                let mut heard = self.heard.lock().unwrap();
                heard.push("login".to_owned());
                if let Some(refusal) = self.refused_logins.lock().unwrap().pop_front() {
                    return Err(refusal);
                }
                let count = heard.iter().filter(|each| *each == "login").count();
                Ok(Response::new(pb::AuthenticateResponse { token: format!("token-{count}"), header: None }))
            }

            async fn user_list(
                &self,
                request: Request<pb::AuthUserListRequest>,
            ) -> Result<Response<pb::AuthUserListResponse>, Status> {
                let token = request.metadata().get(TOKEN).map_or("none", |token| token.to_str().unwrap());
                self.heard.lock().unwrap().push(token.to_owned());
                match self.refusals.lock().unwrap().pop_front() {
                    Some(refusal) => Err(refusal),
                    None => Ok(Response::new(pb::AuthUserListResponse::default())),
                }
            }

            $(async fn $method(&self, _: Request<pb::$request>) -> Result<Response<pb::$response>, Status> {
                Err(Status::unimplemented(""))
            })+
        }
    };
}

member! {
    auth_enable(AuthEnableRequest) -> AuthEnableResponse,
    auth_disable(AuthDisableRequest) -> AuthDisableResponse,
    auth_status(AuthStatusRequest) -> AuthStatusResponse,
    user_add(AuthUserAddRequest) -> AuthUserAddResponse,
    user_get(AuthUserGetRequest) -> AuthUserGetResponse,
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

async fn served(member: &Member) -> String {
    clear_server(Routes::new(pb::auth_server::AuthServer::new(member.clone()))).await.to_string()
}

/// Who asks in a test.
enum As {
    Alice,
    Token,
    Nobody,
}

fn settings(who: &As, endpoints: Vec<String>) -> Arc<Settings> {
    let mut global = Global { endpoints, ..Global::default() };
    match who {
        As::Alice => global.user = Some("alice:hush".into()),
        As::Token => global.auth_jwt_token = Some("given".into()),
        As::Nobody => {}
    }
    Arc::new(Settings::resolve(&global, &Surroundings { variable: &|_| None }).unwrap())
}

/// Connects, and asks once.
async fn ask(who: &As, endpoints: Vec<String>) -> Result<(), Failure> {
    let client = Client::connect(&settings(who, endpoints)).await?;
    client.call(client.auth().user_list(client.request(pb::AuthUserListRequest {}))).await.map(|_| ())
}

fn refusal(words: &str) -> Status {
    Status::unauthenticated(words)
}

/// Each request carries who asks, in the place where members look; nobody sends nothing.
#[tokio::test]
async fn each_request_says_who_asks() {
    for (who, heard) in
        [(As::Alice, &["login", "token-1"][..]), (As::Token, &["given"]), (As::Nobody, &["none"])]
    {
        let member = Member::default();
        ask(&who, vec![served(&member).await]).await.unwrap();
        assert_eq!(member.heard(), heard);
    }
}

/// A login ends after minutes, or when somebody changes a role: a command in the middle of its work must not fail of it. A token
/// that was given cannot be renewed, and a certificate needs no login, only another try.
#[tokio::test]
async fn a_login_that_is_over_is_renewed_once() {
    for (words, who, heard) in [
        (INVALID_TOKEN, As::Alice, &["login", "token-1", "login", "token-2"][..]),
        (OLD_REVISION, As::Alice, &["login", "token-1", "login", "token-2"]),
        (NOBODY, As::Alice, &["login", "token-1", "login", "token-2"]),
        (OLD_REVISION, As::Nobody, &["none", "none"]),
    ] {
        let member = Member::default();
        member.refusals.lock().unwrap().push_back(refusal(words));
        ask(&who, vec![served(&member).await]).await.unwrap();
        assert_eq!(member.heard(), heard, "{words}");
    }
    for (words, who, heard) in [
        ("etcdserver: permission denied", As::Alice, &["login", "token-1"][..]),
        (INVALID_TOKEN, As::Token, &["given"]),
        (OLD_REVISION, As::Token, &["given"]),
        (INVALID_TOKEN, As::Nobody, &["none"]),
        (NOBODY, As::Nobody, &["none"]),
    ] {
        let member = Member::default();
        member.refusals.lock().unwrap().push_back(refusal(words));
        let failure = ask(&who, vec![served(&member).await]).await.unwrap_err();
        assert_eq!((failure.message.as_str(), failure.code), (words, 1));
        assert_eq!(member.heard(), heard, "{words}");
    }
}

/// A member that forgets every login must not be asked for ever; and a new login that is refused is the answer.
#[tokio::test]
async fn the_second_refusal_is_the_answer() {
    let member = Member::default();
    member.refusals.lock().unwrap().extend([refusal(INVALID_TOKEN), refusal(INVALID_TOKEN)]);
    let failure = ask(&As::Alice, vec![served(&member).await]).await.unwrap_err();
    assert_eq!(failure.message, INVALID_TOKEN);
    assert_eq!(member.heard(), ["login", "token-1", "login", "token-2"]);

    let member = Member::default();
    let client = Client::connect(&settings(&As::Alice, vec![served(&member).await])).await.unwrap();
    member.refusals.lock().unwrap().push_back(refusal(INVALID_TOKEN));
    member.refused_logins.lock().unwrap().push_back(Status::invalid_argument("etcdserver: no longer"));
    let request = client.request(pb::AuthUserListRequest {});
    let failure = client.call(client.auth().user_list(request)).await.unwrap_err();
    assert_eq!(failure.message, "etcdserver: no longer");
    assert_eq!(member.heard(), ["login", "token-1", "login"]);
}

/// Where access control is off, a user is nobody in particular, as in etcdctl; scripts name one before it is on.
#[tokio::test]
async fn a_user_without_access_control_goes_on_without_a_token() {
    let member = Member::default();
    member.refused_logins.lock().unwrap().push_back(Status::failed_precondition(NOT_ENABLED));
    member.refusals.lock().unwrap().push_back(Status::permission_denied("etcdserver: permission denied"));
    let failure = ask(&As::Alice, vec![served(&member).await]).await.unwrap_err();
    assert_eq!(member.heard(), ["login", "none"]);
    assert!(failure.hint.as_deref().is_some_and(|hint| hint.starts_with("nobody is asking")), "{failure}");
}

/// A wrong password is wrong at every member: it is tried once, lest the account be locked or the log filled. A member that
/// cannot answer is passed over.
#[tokio::test]
async fn a_refused_login_is_not_tried_elsewhere_and_a_failed_one_is() {
    let (first, second) = (Member::default(), Member::default());
    let endpoints = vec![served(&first).await, served(&second).await];
    let wrong = "etcdserver: authentication failed, invalid user ID or password";
    first.refused_logins.lock().unwrap().push_back(Status::invalid_argument(wrong));
    let failure = ask(&As::Alice, endpoints.clone()).await.unwrap_err();
    assert_eq!((failure.message.as_str(), failure.code), (wrong, 2));
    assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains("user passwd alice")), "{failure}");
    assert!(second.heard().is_empty() && !failure.to_string().contains("hush"));

    first.refused_logins.lock().unwrap().push_back(Status::unavailable("etcdserver: no leader"));
    ask(&As::Alice, endpoints).await.unwrap();
    assert_eq!(second.heard(), ["login", "token-1"]);
}
