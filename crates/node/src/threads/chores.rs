//! Chores: the store's work that has time, on a thread of its own, one at a time.
//!
//! Owns when a chore is begun, how fast it may go, and the checkpoints that make its effect durable; on a full disk also those
//! by which the log is let go of, since no others may come. What a chore does is the state's. A chore that meets damage is said
//! to have done so and is the last one of this life: the data it met answers for itself when it is read.

use super::OnFailure;
use crate::apply::Applier;
use crate::failure::Failure;
use crate::shared::Shared;
use state::{Chore, ChoreDone, CollectionLimits};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;
use types::LogIndex;
use types::limits::CHORE_BYTES_PER_SECOND;

/// How often an idle member looks whether there is a chore.
const LOOK: Duration = Duration::from_secs(1);
/// How often it looks whether the one that is out is done.
const LOOK_FOR_DONE: Duration = Duration::from_millis(50);
/// How long a chore that found no space is left alone.
const NO_SPACE_PAUSE: Duration = Duration::from_secs(10);
/// Checkpoints after the last chore until the files it replaced are listed by no manifest that is kept.
const SETTLING_CHECKPOINTS: u32 = 2;
/// A chore may run ahead of its pace by so much.
const BURST_BYTES: u64 = 1024 * 1024;

/// The apply thread's side of it.
pub(crate) struct Chores {
    to: SyncSender<Chore>,
    done: Receiver<ChoreDone>,
    is_out: bool,
    look_at: Duration,
    checkpoints_due: u32,
    /// The last entry that such checkpoints cover.
    covered: LogIndex,
}

impl Chores {
    pub(crate) fn new(to: SyncSender<Chore>, done: Receiver<ChoreDone>) -> Self {
        Self { to, done, is_out: false, look_at: Duration::ZERO, checkpoints_due: 0, covered: LogIndex(0) }
    }

    /// How long the apply thread may wait for something else.
    pub(crate) fn patience(&self) -> Duration {
        if self.is_out { LOOK_FOR_DONE } else { LOOK }
    }

    /// Takes back what is done and gives out what is due; whether a checkpoint should follow.
    pub(crate) fn tend(
        &mut self,
        applier: &mut Applier,
        now: Duration,
        is_full: bool,
    ) -> Result<bool, Failure> {
        if self.is_out {
            let Ok(done) = self.done.try_recv() else { return Ok(false) };
            self.is_out = false;
            self.look_at = match done.found_no_space() {
                true => now + if is_full { LOOK } else { NO_SPACE_PAUSE },
                false => now,
            };
            self.checkpoints_due = SETTLING_CHECKPOINTS;
            applier.end_chore(done)?;
            return Ok(true);
        }
        if now < self.look_at {
            return Ok(false);
        }
        self.look_at = now + LOOK;
        if is_full && applier.applied() > self.covered {
            self.covered = applier.applied();
            self.checkpoints_due = SETTLING_CHECKPOINTS;
        }
        let limits = if is_full { CollectionLimits::scarce() } else { CollectionLimits::default() };
        if let Some(chore) = applier.begin_chore(limits)? {
            self.is_out = true;
            // The thread is gone only after a failure it has told.
            let _ = self.to.try_send(chore);
            return Ok(false);
        }
        let is_due = self.checkpoints_due > 0;
        self.checkpoints_due = self.checkpoints_due.saturating_sub(1);
        Ok(is_due)
    }
}

/// The chore thread.
pub(crate) fn run_chores(
    inputs: &Receiver<Chore>,
    done: &SyncSender<ChoreDone>,
    shared: &Shared,
    on_failure: &OnFailure,
) {
    while let Ok(chore) = inputs.recv() {
        let mut pace = Pace { began: now(shared), bytes: 0 };
        match chore.run(|bytes| pace.spend(bytes, shared)) {
            Ok(outcome) => drop(done.send(outcome)),
            Err(state::Error::Storage(error @ storage::Error::Damaged { .. })) => tracing::error!(
                %error,
                hint = "stop the member and run `strongroom verify`; until then no space is given back",
                "the store is damaged"
            ),
            Err(error) => return on_failure(error.into()),
        }
    }
}

/// How fast a chore goes.
struct Pace {
    began: Duration,
    bytes: u64,
}

impl Pace {
    /// Waits as long as the bytes read so far should have taken; a member that stops waits for nothing.
    fn spend(&mut self, bytes: usize, shared: &Shared) {
        let before = self.bytes / BURST_BYTES;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes / BURST_BYTES == before || shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let due = Duration::from_micros(self.bytes.saturating_mul(1_000_000) / CHORE_BYTES_PER_SECOND);
        shared.pause(due.saturating_sub(now(shared).saturating_sub(self.began)));
    }
}

fn now(shared: &Shared) -> Duration {
    Duration::from_millis(shared.clock.monotonic().millis())
}
