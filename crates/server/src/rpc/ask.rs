//! Asking the member: from its callbacks to futures, with the time a request may take.
//!
//! Owns the waiting. A future that is dropped (the client left) abandons the answer, not the act.

use super::requests::Reading;
use super::status::Failure;
use super::{Inner, Services};
use crate::gate::Caller;
use crate::letterbox::Letterbox;
use audit::Recorded;
use env::Monotonic;
use node::{Op, Proposed, Refused, Reply};
use state::auth::{Demanding, Denied, Principal};
use state::command::{Alarm, AlarmAction, AlarmChange, AlarmKind, Command};
use state::outcome::RangeOutcome;
use state::query::RangeQuery;
use state::{Outcome, quota};
use std::borrow::Cow;
use std::time::Duration;
use tonic::Code;
use types::Revision;

/// A barrier that takes longer is counted as slow (etcd's time between two tries).
const SLOW_BARRIER: Duration = Duration::from_millis(500);

/// How new what is read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Every write acknowledged before is seen.
    Linearizable,
    /// What this member has applied is good enough.
    AsApplied,
}

impl Freshness {
    /// What a request's `serializable` asks for.
    pub(super) fn of_serializable(serializable: bool) -> Self {
        if serializable { Self::AsApplied } else { Self::Linearizable }
    }
}

/// What came of a command that was carried out.
pub(super) struct Done {
    /// The store's revision after it.
    pub revision: Revision,
    /// The outcome.
    pub outcome: Outcome,
}

impl Inner {
    /// Lets a request through the gate.
    pub(super) fn admit<T: Demanding>(
        &self,
        principal: &Principal,
        request: T,
    ) -> Result<Recorded<T>, Failure> {
        self.gate().admit(principal, request).map_err(|denied| self.denied(denied))
    }

    /// Counts a denial.
    pub(super) fn denied(&self, denied: Denied) -> Failure {
        let metrics = &self.context.metrics;
        let counter = match denied {
            Denied::InvalidToken => &metrics.tokens_refused,
            Denied::Anonymous | Denied::OldRevision | Denied::UnknownUser | Denied::Forbidden => {
                &metrics.requests_denied
            }
        };
        counter.inc();
        denied.into()
    }

    /// Who sends this request.
    pub(super) fn principal<T>(&self, request: &tonic::Request<T>) -> Principal {
        self.caller(request).principal().clone()
    }

    /// Who sends this request, for streams: whether it still may is asked again.
    pub(super) fn caller<T>(&self, request: &tonic::Request<T>) -> Caller {
        match request.extensions().get::<Caller>() {
            Some(caller) => caller.clone(),
            None => self.gate().caller(&http::Extensions::new(), &http::HeaderMap::new()),
        }
    }

    /// The state, for the holder of an admitted request.
    pub(super) fn inspect<T>(&self, proof: &Recorded<T>) -> &state::Reader {
        self.member().inspect(proof)
    }

    async fn wait<T: Send + 'static>(&self, ask: impl FnOnce(Reply<T>)) -> Result<T, Failure> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Nobody waits any more when the client has left.
        match Letterbox::here() {
            Some(here) => ask(Box::new(move |reply| here.post(Box::new(move || drop(answer.send(reply)))))),
            None => ask(Box::new(move |reply| drop(answer.send(reply)))),
        }
        match tokio::time::timeout(self.limits().request_timeout, answered).await {
            Ok(Ok(reply)) => Ok(reply?),
            Ok(Err(_)) => Err(Failure::Stopped),
            Err(_) => Err(Refused::TimedOut.into()),
        }
    }

    /// Proposes a command for `principal` and waits for what comes of it.
    pub(super) async fn propose(&self, principal: &Principal, command: Command) -> Result<Done, Failure> {
        let command = self.admit(principal, command)?;
        self.propose_admitted(principal, command).await
    }

    /// The same of a command that was let in.
    pub(super) async fn propose_admitted(
        &self,
        principal: &Principal,
        command: Recorded<Command>,
    ) -> Result<Done, Failure> {
        self.check_size(principal, &command)?;
        self.room_for(&command).await?;
        let proposed = self.wait(|reply| self.member().propose(command, reply)).await;
        if matches!(proposed, Err(Failure::Timeout)) {
            self.context.metrics.proposals_timed_out.inc();
        }
        let proposed: Proposed = proposed?;
        Ok(Done { revision: proposed.applied.revision, outcome: proposed.applied.result? })
    }

    /// Proposes without waiting: for what must be done although nobody is there to hear of it.
    pub(super) fn propose_unheard(&self, command: Command) {
        if let Ok(command) = self.admit(&self.gate().member(), command) {
            self.member().propose(command, Box::new(|_| {}));
        }
    }

    /// Refuses what is larger than the roles of its sender allow.
    fn check_size(&self, principal: &Principal, command: &Recorded<Command>) -> Result<(), Failure> {
        let limit = principal.limits().write_bytes_max;
        if limit == 0 || quota::bytes(command.request()) <= limit {
            return Ok(());
        }
        self.context.metrics.requests_limited.inc();
        let user = principal.user().unwrap_or_default();
        let text = format!("strongroom: a write of more than {limit} bytes, which a role of {user:?} limits");
        Err(Failure::Other(Code::ResourceExhausted, Cow::Owned(text)))
    }

    /// Refuses what the store has no room for, and raises the alarm that then stands until it is cleared.
    async fn room_for(&self, command: &Recorded<Command>) -> Result<(), Failure> {
        let cost = quota::cost(command.request());
        if self.inspect(command).room_for(cost, self.limits().quota_bytes) {
            return Ok(());
        }
        let alarm = Alarm { member: self.member().status().member, kind: AlarmKind::NoSpace };
        tracing::warn!(cost, quota = self.limits().quota_bytes, "the store has no room; raising its alarm");
        let raise = Command::Alarm(AlarmChange { action: AlarmAction::Raise, alarm });
        let raise = self.admit(&self.gate().member(), raise)?;
        // Whether it could be raised or not: there is no room.
        let _: Result<Proposed, Failure> = self.wait(|reply| self.member().propose(raise, reply)).await;
        Err(Failure::NoSpace)
    }

    /// Waits until a read sees every write acknowledged before.
    pub(super) async fn barrier(&self) -> Result<(), Failure> {
        let (metrics, began) = (&self.context.metrics, self.now());
        let confirmed = self.wait(|reply| self.member().read_barrier(reply)).await;
        if confirmed.is_err() {
            metrics.read_indexes_failed_total.inc();
        }
        if self.now().since(began) > SLOW_BARRIER {
            metrics.slow_read_indexes_total.inc();
        }
        confirmed
    }

    /// Reads a range for `principal`, after a barrier where that is asked for.
    pub(super) async fn range(
        &self,
        principal: &Principal,
        query: RangeQuery,
        freshness: Freshness,
    ) -> Result<RangeOutcome, Failure> {
        let began = self.now();
        let found = self.range_untimed(principal, query, freshness).await;
        let (took, counts) = (self.now().since(began), self.member().counts());
        counts.requests.note(Op::Range, found.as_ref(), took);
        counts.note_if_slow(took);
        found
    }

    async fn range_untimed(
        &self,
        principal: &Principal,
        query: RangeQuery,
        freshness: Freshness,
    ) -> Result<RangeOutcome, Failure> {
        let reading = self.admit(principal, Reading(query))?;
        if freshness == Freshness::Linearizable {
            self.barrier().await?;
        }
        Ok(self.time_range(|| self.inspect(&reading).range(&reading.request().0))?)
    }

    /// Notes how long a look at the key space takes.
    pub(super) fn time_range<T, E>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let began = self.now();
        let found = read();
        self.observe_range(found.is_ok(), self.now().since(began));
        found
    }

    /// The moment, for measuring.
    pub(super) fn now(&self) -> Monotonic {
        self.context.clock.monotonic()
    }
}

impl Services {
    /// The outcome was of another kind than the command: our own fault, seen before it can do harm.
    pub(super) fn mismatch(&self, what: &'static str) -> Failure {
        tracing::error!(what, "a command was answered with another's outcome");
        Failure::StoreFailed
    }
}
