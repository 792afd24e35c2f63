//! What a stream keeps of its caller: who that is, and when to ask again whether it still may.
//!
//! Owns the waiting for a change of the policy, and for the end of what the caller was recognized by. An etcd checks a
//! stream when it is opened and never again; here whoever lost a right, its account or its token is cut off at once.
//!
//! Invariant: a stream that asks [`Standing::has_changed`] before each thing it sends never sends by an old policy. A token
//! that lives by being used is used by an open stream.

use super::Services;
use super::status::Failure;
use crate::gate::Caller;
use state::auth::{Demanding, Denied, Principal};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;

/// How often a stream whose caller showed a token looks whether it is good, and thereby uses it.
const TOKEN_LOOK: Duration = Duration::from_millis(500);

/// A caller who may lose its rights while a stream is open.
pub(super) struct Standing {
    services: Services,
    caller: Caller,
    /// The policy that was looked at last.
    epoch: u64,
    changes: WatchStream<()>,
    token_looks: Option<Interval>,
}

impl Standing {
    /// The caller of a request.
    pub(super) fn of<T>(services: &Services, request: &tonic::Request<T>) -> Self {
        Self::new(services, services.caller(request))
    }

    pub(super) fn new(services: &Services, caller: Caller) -> Self {
        let epoch = services.gate().policy().epoch();
        let changes = WatchStream::from_changes(services.policy_changes.clone());
        // A token that was never good ends nothing: each thing asked for on the stream is refused by itself, as in etcd.
        let has_good_token = caller.has_token() && !caller.principal().has_bad_token();
        let token_looks = has_good_token.then(|| {
            let mut looks = interval(TOKEN_LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            looks
        });
        Self { services: services.clone(), caller, epoch, changes, token_looks }
    }

    /// Who it is.
    pub(super) fn principal(&self) -> &Principal {
        self.caller.principal()
    }

    /// Whether the policy changed since this was last asked.
    pub(super) fn has_changed(&mut self) -> bool {
        let epoch = self.services.gate().policy().epoch();
        std::mem::replace(&mut self.epoch, epoch) != epoch
    }

    /// Whether the caller may still do this.
    pub(super) fn check<T: Demanding>(&self, request: &T) -> Result<(), Failure> {
        let checked = self.services.gate().check_again(&self.caller, request);
        checked.map_err(|denied| {
            self.services.context.metrics.streams_cut.inc();
            self.services.denied(denied)
        })
    }

    /// The same, if there may be something to ask again.
    pub(super) fn check_if_changed<T: Demanding>(&mut self, request: &T) -> Result<(), Failure> {
        if self.has_changed() { self.check(request) } else { Ok(()) }
    }

    /// Whether the caller is still who it was, for something new on the stream: nothing is cut where it is not.
    pub(super) fn check_anew(&self) -> Result<(), Failure> {
        let gate = self.services.gate();
        // What was bad when the stream began was looked at, and counted, then.
        let was_bad = self.principal().has_bad_token() && gate.policy().is_enabled();
        if !was_bad && gate.is_still(&self.caller) {
            Ok(())
        } else {
            Err(self.services.denied(Denied::InvalidToken))
        }
    }

    /// Whether the caller is still who it was.
    pub(super) fn check_caller(&self) -> Result<(), Failure> {
        self.check_anew().inspect_err(|_| self.services.context.metrics.streams_cut.inc())
    }

    /// Ready when there may be something to ask again: the policy has changed, or the caller's token has ended.
    pub(super) fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while let Some(looks) = &mut self.token_looks
            && looks.poll_tick(cx).is_ready()
        {
            if let Err(failure) = self.check_caller() {
                return Poll::Ready(Err(failure));
            }
        }
        while Pin::new(&mut self.changes).poll_next(cx).is_ready() {
            if self.epoch != self.services.gate().policy().epoch() {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }
}
