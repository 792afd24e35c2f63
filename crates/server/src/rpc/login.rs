//! Logging in: a password compared, a token given.
//!
//! Owns the order of things: who guesses too fast is refused before the slow comparison; the token counts only if the
//! policy did not change between the comparison and it, since the change may have been of this very password. An account's
//! absence looks, and takes as long, as a wrong password.

use super::Services;
use super::status::Failure;
use crate::gate::Caller;
use crate::login::{Tokens, Unhashable};
use state::command::Authenticate;
use state::{Command, Outcome};
use std::borrow::Cow;
use tonic::Code;
use types::{AuthRevision, Revision};
use zeroize::Zeroizing;

/// Tries while the policy keeps changing between the password and the token.
const LOGIN_TRIES: usize = 5;

impl Services {
    /// The user's token; its password is compared first.
    pub(super) async fn login(
        &self,
        caller: &Caller,
        user: String,
        password: String,
    ) -> Result<(Revision, String), Failure> {
        let password = Zeroizing::new(password);
        self.barrier().await?;
        let source = caller.connection().map_or("in process", |connection| host(&connection.peer)).to_owned();
        for _ in 0..LOGIN_TRIES {
            let checked = self.check_password(&source, &user, password.clone()).await?;
            let (revision, token) = self.token(caller, &user, checked).await?;
            // Whoever changed the policy meanwhile may have changed this very password.
            if self.member().gauges().auth_revision() == checked {
                return Ok((revision, token));
            }
        }
        Err(Failure::AuthOldRevision)
    }

    /// Whether the password is right; answers the policy's revision of which that is so.
    async fn check_password(
        &self,
        source: &str,
        user: &str,
        password: Zeroizing<String>,
    ) -> Result<AuthRevision, Failure> {
        let found = self.member().gauges().password_of(user).ok_or(Failure::AuthNotEnabled)?;
        let (revision, hash) = found;
        let (throttle, metrics) = (&self.throttle, &self.context.metrics);
        let wait_ms = throttle.wait_ms(source, user, self.now().millis());
        if wait_ms > 0 {
            metrics.logins_throttled.inc();
            return Err(too_many_failures(wait_ms));
        }
        if self.context.passwords.is_right(password, hash).await? {
            throttle.succeeded(source, user);
            return Ok(revision);
        }
        throttle.failed(source, user, self.now().millis());
        metrics.logins_failed.inc();
        tracing::warn!(user, source, "a login failed");
        Err(Failure::AuthFailed)
    }

    async fn token(
        &self,
        caller: &Caller,
        user: &str,
        known: AuthRevision,
    ) -> Result<(Revision, String), Failure> {
        let context = &self.context;
        match &context.tokens {
            Tokens::Jwt(jwt) => {
                let now = context.clock.wall().unix_seconds();
                let token = jwt.sign(user, known, caller.connection(), now).ok_or(VERIFY_ONLY)?;
                Ok((self.member().gauges().revision(), token))
            }
            Tokens::Simple => {
                let token_prefix = Tokens::prefix(&*context.random, caller.connection());
                let ask = Authenticate { user: user.to_owned(), token_prefix };
                let done = self.propose(&self.gate().member(), Command::Authenticate(ask)).await?;
                let Outcome::Authenticated { token } = done.outcome else {
                    return Err(self.mismatch("authenticate"));
                };
                Ok((done.revision, token.as_ref().to_owned()))
            }
            // etcd's provider of nothing gives an empty token.
            Tokens::Off => Ok((self.member().gauges().revision(), String::new())),
        }
    }
}

/// etcd's words for a key that can only check.
const VERIFY_ONLY: Failure =
    Failure::Other(Code::Unknown, Cow::Borrowed("auth: token signing attempted with verify-only key"));

fn too_many_failures(wait_ms: u64) -> Failure {
    let seconds = wait_ms.div_ceil(1_000);
    let text = format!("strongroom: too many failed logins; try again in {seconds} s");
    Failure::Other(Code::ResourceExhausted, Cow::Owned(text))
}

/// A peer's address without its port, which is another one for every connection.
fn host(peer: &str) -> &str {
    peer.rsplit_once(':').map_or(peer, |(host, _)| host)
}

impl From<Unhashable> for Failure {
    fn from(why: Unhashable) -> Self {
        match why {
            Unhashable::TooLongForBcrypt => Self::Other(Code::Unknown, Cow::Owned(why.to_string())),
            Unhashable::Busy => Self::TooManyRequests,
            Unhashable::TooLong | Unhashable::TooShort(_) => {
                Self::Other(Code::InvalidArgument, Cow::Owned(format!("strongroom: {why}; choose another")))
            }
            Unhashable::Failed(_) => {
                tracing::error!(%why, "a password was not hashed");
                Self::Other(Code::Internal, Cow::Owned(format!("strongroom: {why}")))
            }
        }
    }
}
