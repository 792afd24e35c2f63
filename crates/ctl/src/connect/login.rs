//! Who asks: the token that goes with each request, and logging in for one, again where the member has forgotten it.
//!
//! [`Door`] stands between the commands and the channel. A request that is refused because its login is over, or because users or
//! roles changed under it, was not carried out, so it is sent once more after a new login, as etcd's own client does. A stream
//! takes the token of the moment it is opened. Invariant: no more than one new login for a request, and none with a token that
//! we were given.
//!
//! ```text
//! request + token ──► channel ──► answer
//!      ▲                            │ "invalid auth token", "revision of auth store is old", "user name is empty"
//!      └──────── Authenticate ◄─────┘ once
//! ```

use crate::credentials::Credentials;
use http_body_util::{BodyExt, Full};
use proto::etcdserverpb as pb;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{StdError, http};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tower::{Service, ServiceExt};

/// Where a member looks for the token.
const TOKEN: &str = "token";
/// Calls whose requests are a stream, which cannot be sent twice.
const STREAMS: [&str; 2] = ["/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"];

/// etcd's words for a login that the member does not know (any more).
pub(super) const INVALID_TOKEN: &str = "etcdserver: invalid auth token";
/// etcd's words for users or roles that changed between the check of a request and its turn.
pub(super) const OLD_REVISION: &str = "etcdserver: revision of auth store is old";
/// etcd's words for a request that says nobody asks.
pub(super) const NOBODY: &str = "etcdserver: user name is empty";
/// etcd's words where everybody may do everything.
const NOT_ENABLED: &str = "etcdserver: authentication is not enabled";

/// Our credentials, and the token that stands for them.
pub(super) struct Login {
    credentials: Credentials,
    token: Mutex<Option<MetadataValue<Ascii>>>,
    /// Whether the member said that access control is off, so that a user is nobody in particular.
    is_off: AtomicBool,
}

impl Login {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, token: Mutex::new(None), is_off: AtomicBool::new(false) }
    }

    fn token(&self) -> Option<MetadataValue<Ascii>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether requests go with a token.
    pub(super) fn stands(&self) -> bool {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The user that we log in as, where that counts.
    pub(super) fn user(&self) -> Option<&str> {
        match &self.credentials {
            Credentials::User(name, _) if !self.is_off.load(Ordering::Relaxed) => Some(name),
            _ => None,
        }
    }

    /// Gets a token; none where access control is off.
    pub(super) async fn begin(&self, channel: &Channel) -> Result<(), Status> {
        let text = match &self.credentials {
            Credentials::None => return Ok(()),
            Credentials::Token(token) => Some(token.clone()),
            Credentials::User(name, password) => {
                let password =
                    password.reveal().map_err(|failure| Status::unauthenticated(failure.message))?;
                let request =
                    pb::AuthenticateRequest { name: name.clone(), password: password.expose().to_owned() };
                match pb::auth_client::AuthClient::new(channel.clone()).authenticate(request).await {
                    Ok(answer) => Some(answer.into_inner().token.into()),
                    Err(status) if status.message() == NOT_ENABLED => None,
                    Err(status) => return Err(status),
                }
            }
        };
        self.is_off.store(text.is_none(), Ordering::Relaxed);
        let mut token: Option<MetadataValue<Ascii>> = text
            .map(|text| text.expose().parse())
            .transpose()
            .map_err(|_| Status::invalid_argument("the token holds characters that cannot be sent"))?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    /// Whether a request that was refused with these words may pass after a new login.
    pub(crate) fn is_over(&self, words: &str) -> bool {
        match self.credentials {
            Credentials::User(..) => [INVALID_TOKEN, OLD_REVISION, NOBODY].contains(&words),
            Credentials::None => words == OLD_REVISION,
            Credentials::Token(_) => false,
        }
    }
}

/// A channel whose requests say who asks.
#[derive(Clone)]
pub(crate) struct Door {
    pub(super) channel: Channel,
    pub(super) login: Arc<Login>,
}

impl Door {
    async fn pass(self, request: http::Request<Body>) -> Result<http::Response<Body>, StdError> {
        let (parts, body) = request.into_parts();
        if STREAMS.contains(&parts.uri.path()) {
            return self.send(parts, body).await;
        }
        let body = body.collect().await?.to_bytes();
        let again = parts.clone();
        let answer = self.send(parts, Body::new(Full::new(body.clone()))).await?;
        let refused = Status::from_header_map(answer.headers());
        if !refused.is_some_and(|status| self.login.is_over(status.message())) {
            return Ok(answer);
        }
        match self.login.begin(&self.channel).await {
            Ok(()) => self.send(again, Body::new(Full::new(body))).await,
            Err(status) => Ok(status.into_http()),
        }
    }

    async fn send(
        &self,
        mut parts: http::request::Parts,
        body: Body,
    ) -> Result<http::Response<Body>, StdError> {
        if let Some(token) = self.login.token() {
            let mut value = http::HeaderValue::from_bytes(token.as_encoded_bytes())?;
            value.set_sensitive(true);
            parts.headers.insert(TOKEN, value);
        }
        Ok(self.channel.clone().oneshot(http::Request::from_parts(parts, body)).await?)
    }
}

impl Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, StdError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.clone().pass(request))
    }
}

#[cfg(test)]
mod tests;
