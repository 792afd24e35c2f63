//! Asking the member: from its callbacks to futures, with the time a request may take.
//!
//! Owns the waiting. A future that is dropped (the client left) abandons the answer, not the act.

use super::status::Failure;
use super::{Inner, Services};
use audit::Recorded;
use node::{Proposed, Refused, Reply};
use state::auth::{Demanding, Principal};
use state::command::{Alarm, AlarmAction, AlarmChange, AlarmKind, Command};
use state::{Outcome, quota};
use types::Revision;

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
        Ok(self.gate.admit(principal, request)?)
    }

    /// Who sends this request.
    pub(super) fn principal<T>(&self, request: &tonic::Request<T>) -> Principal {
        match request.extensions().get::<Principal>() {
            Some(principal) => principal.clone(),
            None => self.gate.principal(&http::Extensions::new()),
        }
    }

    /// The state, for the holder of an admitted request.
    pub(super) fn inspect<T>(&self, proof: &Recorded<T>) -> &state::Reader {
        self.member().inspect(proof)
    }

    async fn wait<T: Send + 'static>(&self, ask: impl FnOnce(Reply<T>)) -> Result<T, Failure> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        ask(Box::new(move |reply| {
            // Nobody waits any more when the client has left.
            let _ = answer.send(reply);
        }));
        match tokio::time::timeout(self.limits().request_timeout, answered).await {
            Ok(Ok(reply)) => Ok(reply?),
            Ok(Err(_)) => Err(Failure::Stopped),
            Err(_) => Err(Refused::TimedOut.into()),
        }
    }

    /// Proposes a command for `principal` and waits for what comes of it.
    pub(super) async fn propose(&self, principal: &Principal, command: Command) -> Result<Done, Failure> {
        let command = self.admit(principal, command)?;
        self.room_for(&command).await?;
        let proposed: Proposed = self.wait(|reply| self.member().propose(command, reply)).await?;
        Ok(Done { revision: proposed.applied.revision, outcome: proposed.applied.result? })
    }

    /// Proposes without waiting: for what must be done although nobody is there to hear of it.
    pub(super) fn propose_unheard(&self, command: Command) {
        if let Ok(command) = self.admit(&self.gate.member(), command) {
            self.member().propose(command, Box::new(|_| {}));
        }
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
        let raise = self.admit(&self.gate.member(), raise)?;
        // Whether it could be raised or not: there is no room.
        let _: Result<Proposed, Failure> = self.wait(|reply| self.member().propose(raise, reply)).await;
        Err(Failure::NoSpace)
    }

    /// Waits until a read sees every write acknowledged before.
    pub(super) async fn barrier(&self) -> Result<(), Failure> {
        self.wait(|reply| self.member().read_barrier(reply)).await
    }
}

impl Services {
    /// The outcome was of another kind than the command: our own fault, seen before it can do harm.
    pub(super) fn mismatch(&self, what: &'static str) -> Failure {
        tracing::error!(what, "a command was answered with another's outcome");
        Failure::StoreFailed
    }
}
