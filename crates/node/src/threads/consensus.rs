//! The consensus thread: proposals, ticks and completed writes in; writes and batches on to the other threads.
//!
//! Waits for nobody but its queue. Proposes the end of leases, as a leader does.

use super::OnFailure;
use crate::batch::Batch;
use crate::codec::{self, Envelope};
use crate::core::Core;
use crate::counts::Op;
use crate::error::Refused;
use crate::failure::Failure;
use crate::inbox::{Inbox, Sleep};
use crate::input::{Input, LogInput};
use crate::proposal::{Proposal, Proposed, Reply};
use crate::shared::{Shared, lock};
use consensus::Role;
use state::command::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;
use storage::LogReader;
use types::limits::LEASES_REVOKED_PER_TICK;
use types::{LogIndex, RequestId};

/// The consensus thread.
pub(crate) struct ConsensusThread {
    pub core: Core<LogReader>,
    pub shared: Arc<Shared>,
    pub inputs: Arc<Inbox<Input>>,
    pub log: SyncSender<LogInput>,
    pub apply: SyncSender<Batch>,
    pub tick: Duration,
}

impl ConsensusThread {
    pub(crate) fn run(mut self, on_failure: &OnFailure) {
        if let Err(failure) = self.run_until_stopped() {
            on_failure(failure);
        }
        self.refuse_waiting();
    }

    /// Nobody waits for ever: what came too late is refused, here and, by the closed queue, from now on.
    fn refuse_waiting(self) {
        let late = self.core.into_expected();
        let queued = self.inputs.close().into_iter().filter_map(|input| match input {
            Input::Propose(proposal) => Some(proposal.reply),
            Input::Persisted(_) | Input::Transfer(_) | Input::Stop => None,
        });
        for reply in late.into_iter().chain(queued) {
            reply(Err(Refused::Stopped));
        }
    }

    fn run_until_stopped(&mut self) -> Result<(), Failure> {
        self.core.lead_if_alone()?;
        let mut next_tick = self.now() + self.tick;
        let mut taken = Vec::new();
        while !self.shared.broken.load(Ordering::Acquire) {
            self.step()?;
            // What is proposed while a write is out goes into the next one: nothing to wake up for.
            let sleep = if self.core.is_writing() { Sleep::Deep } else { Sleep::Light };
            self.inputs.take(sleep, next_tick.saturating_sub(self.now()), &mut taken);
            let mut ends = false;
            for input in taken.drain(..) {
                ends |= self.take(input);
            }
            if ends {
                return self.step();
            }
            if self.now() >= next_tick {
                next_tick = self.now() + self.tick;
                self.core.tick()?;
                self.revoke_expired_leases();
            }
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.shared.clock.monotonic().millis())
    }

    /// Whether it was the end.
    fn take(&mut self, input: Input) -> bool {
        match input {
            Input::Propose(proposal) => self.core.propose(proposal),
            Input::Persisted(number) => self.core.persisted(number),
            Input::Transfer(to) => self.core.transfer(to),
            Input::Stop => return true,
        }
        false
    }

    fn step(&mut self) -> Result<(), Failure> {
        self.core.applied(LogIndex(self.shared.applied.load(Ordering::Acquire)));
        let effects = self.core.step()?;
        *lock(&self.shared.position) = self.core.position();
        if let Some(write) = effects.write {
            // The library reads back what it handed out before it is written.
            self.core.log().stage(&write.entries);
            // The log thread is gone only after a failure it has told.
            let _ = self.log.send(LogInput::Write(write));
        }
        if let Some(batch) = effects.apply
            && let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
                self.apply.try_send(batch)
        {
            self.core.put_back(batch);
        }
        Ok(())
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
    fn revoke_expired_leases(&mut self) {
        if self.core.position().role != Role::Leader {
            return;
        }
        let now = self.shared.clock.monotonic().millis();
        let expired = lock(&self.shared.leases).expired(now, LEASES_REVOKED_PER_TICK);
        for lease in expired {
            let id = RequestId(self.shared.next_request.fetch_add(1, Ordering::Relaxed));
            let entry = codec::encode(Envelope { id, command: Command::LeaseRevoke(lease) });
            let reply = self.expiry();
            self.core.propose(Proposal { id, entry, intent: None, reply });
        }
    }
}
