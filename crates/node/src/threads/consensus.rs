//! The consensus thread: time passes for consensus, and for leases. A tick never waits for a disk: what it wants written, the
//! log thread writes.
//!
//! Proposes the end of leases, as a leader does. Sees first that the member is to end, and tells the log thread.

use super::{OnFailure, Stepper};
use crate::codec::{self, Envelope};
use crate::core::{Core, Write};
use crate::counts::Op;
use crate::failure::Failure;
use crate::inbox::Inbox;
use crate::input::Input;
use crate::proposal::{Proposal, Proposed, Reply};
use crate::shared::{Shared, lock};
use consensus::Role;
use state::auth::Actor;
use state::command::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use types::RequestId;
use types::limits::LEASES_REVOKED_PER_TICK;

/// The consensus thread.
pub(crate) struct ConsensusThread {
    pub stepper: Arc<Stepper>,
    pub shared: Arc<Shared>,
    pub inputs: Arc<Inbox<Input>>,
    pub tick: Duration,
}

impl ConsensusThread {
    pub(crate) fn run(self, on_failure: &OnFailure) {
        if let Err(failure) = self.run_until_stopped() {
            on_failure(failure);
        }
        // A log thread that has ended needs no telling.
        let _ = self.inputs.push_urgent(Input::Stop);
    }

    fn run_until_stopped(&self) -> Result<(), Failure> {
        self.hand_on(self.stepper.step(Core::lead_if_alone)?);
        let mut next_tick = self.now() + self.tick;
        while !self.shared.is_ending() {
            self.shared.pause(next_tick.saturating_sub(self.now()));
            if self.now() >= next_tick {
                next_tick = self.now() + self.tick;
                self.hand_on(self.stepper.step(Core::tick)?);
                self.revoke_expired_leases();
            }
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.shared.clock.monotonic().millis())
    }

    fn hand_on(&self, write: Option<Write>) {
        if let Some(write) = write {
            // The log thread is gone only after a failure it has told.
            let _ = self.inputs.push_urgent(Input::Write(write));
        }
    }

    /// Counts what comes of a lease's end.
    fn expiry(&self) -> Reply<Proposed> {
        let (shared, began) = (self.shared.clone(), self.shared.clock.monotonic());
        Box::new(move |answer| {
            let took = shared.clock.monotonic().since(began);
            shared.counts.requests.note(Op::LeaseRevoke, answer.as_ref(), took);
            if answer.is_ok_and(|proposed| proposed.applied.result.is_ok()) {
                shared.counts.leases_expired.inc();
            }
        })
    }

    /// Proposes the end of leases whose time is over; only who leads may.
    fn revoke_expired_leases(&self) {
        if lock(&self.shared.position).role != Role::Leader {
            return;
        }
        let now = self.shared.clock.monotonic().millis();
        let expired = lock(&self.shared.leases).expired(now, LEASES_REVOKED_PER_TICK);
        for lease in expired {
            let id = RequestId(self.shared.next_request.fetch_add(1, Ordering::Relaxed));
            let entry =
                codec::encode(Envelope { id, actor: Actor::system(), command: Command::LeaseRevoke(lease) });
            // No room loses nothing: the lease clock hands it out again.
            let _ =
                self.inputs.push(Input::Propose(Proposal { id, entry, intent: None, reply: self.expiry() }));
        }
    }
}
