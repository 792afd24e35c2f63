//! The record of who asked what, made before the answer.
//!
//! Owns [`Recorded`], the type that `node` takes and nothing else: a request that was authorized and then written down
//! (or knowingly not, while the recorder is empty). Never sees values, passwords or tokens.
//!
//! Invariant: no `Recorded<T>` exists whose request did not go through [`Recorder::record`], and no request gets there
//! without having been authorized.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

use bytes::Bytes;
use state::auth::{Actor, Authorized, Principal};

/// A request that may be made and whose intent is part of what gets made durable with it.
#[derive(Clone, Debug)]
pub struct Recorded<T> {
    request: T,
    principal: Principal,
    actor: Actor,
    intent: Option<Bytes>,
}

impl<T> Recorded<T> {
    /// The request.
    pub fn request(&self) -> &T {
        &self.request
    }

    /// Who made it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The record that must be durable before the request is answered, if any.
    pub fn intent(&self) -> Option<&Bytes> {
        self.intent.as_ref()
    }

    /// Gives the request, whom its entry shall name, and its record away.
    pub fn into_parts(self) -> (T, Actor, Option<Bytes>) {
        (self.request, self.actor, self.intent)
    }
}

/// Writes down what is about to be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorder;

impl Recorder {
    /// The recorder that keeps nothing: the types stand, the record comes with the audit log.
    #[must_use]
    pub fn empty() -> Self {
        Self
    }

    /// Records the intent of a request.
    pub fn record<T>(&self, authorized: Authorized<T>) -> Recorded<T> {
        let (request, principal, actor) = authorized.into_parts();
        Recorded { request, principal, actor, intent: None }
    }
}
