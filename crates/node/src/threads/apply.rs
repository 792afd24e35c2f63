//! The apply thread: feeds committed entries to the state, then tells watchers and lease timers, then answers.

use super::OnFailure;
use super::checkpoint::run_timed;
use super::chores::Chores;
use crate::apply::{Answer, Applier};
use crate::batch::Batch;
use crate::error::Refused;
use crate::failure::Failure;
use crate::shared::{FULL_DISK_PAUSE, Shared, lock};
use crate::watch::{Change, HubInput};
use state::changes::{Changes, LeaseChange};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;
use storage::PendingCheckpoint;
use types::LogIndex;

/// How long the removal of compacted history waits for somebody who reads it.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// The apply thread.
pub(crate) struct ApplyThread {
    pub applier: Applier,
    pub shared: Arc<Shared>,
    pub inputs: Receiver<Batch>,
    pub hub: SyncSender<HubInput>,
    pub checkpoints: SyncSender<PendingCheckpoint>,
    pub chores: Chores,
    /// A checkpoint is due after so many entries.
    pub checkpoint_entries: u64,
    /// Or after so many bytes of them.
    pub checkpoint_bytes: u64,
    pub checkpointed: LogIndex,
    /// When the physical work began that is going on.
    pub compacting_since: Option<env::Monotonic>,
}

impl ApplyThread {
    pub(crate) fn run(mut self, on_failure: &OnFailure) {
        let failure = match self.run_until_stopped() {
            // Everything acknowledged is in the log: the next start applies it again.
            Err(failure) if failure.is_no_space() && self.shared.is_ending() => {
                tracing::warn!(%failure, "stopped on a full disk: the next start replays the log");
                None
            }
            result => result.err(),
        };
        let refused = failure.as_ref().map_or(Refused::Stopped, |why| Refused::Storage(why.to_string()));
        answer(self.applier.refuse_all(&refused).answers);
        let _ = self.hub.send(HubInput::Stop);
        if let Some(failure) = failure {
            on_failure(failure);
        }
        // The consensus thread ends now or has ended: what it sends until then, or has sent, is answered too.
        for (_, reply) in self.inputs.iter().flat_map(|batch| batch.expected) {
            reply(Err(refused.clone()));
        }
    }

    fn run_until_stopped(&mut self) -> Result<(), Failure> {
        loop {
            let wait = match (self.applier.has_sweep(), self.applier.sweep_waits()) {
                (false, _) if self.applier.waits_for_room() => FULL_DISK_PAUSE,
                (false, _) => self.chores.patience(),
                (true, true) => SWEEP_PAUSE,
                (true, false) => Duration::ZERO,
            };
            let batch = match self.inputs.recv_timeout(wait) {
                Ok(batch) => Some(batch),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let effects = match batch {
                Some(batch) => self.applier.apply(batch)?,
                None if self.applier.has_sweep() => self.applier.sweep()?,
                None => self.applier.apply(Batch::default())?,
            };
            // The log thread tells of it, refuses what would make it worse, and gives back what it can.
            self.shared.store_waits.store(self.applier.waits_for_room(), Ordering::Release);
            self.time_compaction(&effects.changes);
            self.shared.applied.store(self.applier.applied().0, Ordering::Release);
            self.tell(effects.changes);
            answer(effects.answers);
            let now = Duration::from_millis(self.shared.clock.monotonic().millis());
            let is_full = self.shared.full_disk.load(Ordering::Acquire);
            let is_due = self.chores.tend(&mut self.applier, now, is_full)?;
            let entries = self.applier.applied().0.saturating_sub(self.checkpointed.0);
            let bytes = self.applier.bytes_since_checkpoint();
            if is_due || entries >= self.checkpoint_entries || bytes >= self.checkpoint_bytes {
                self.checkpoint_if_idle()?;
            }
        }
        // The last checkpoint of this life, so that the next start has nothing to replay but what waits for room.
        let last = self.applier.checkpoint()?;
        run_timed(last, &self.shared)?;
        Ok(())
    }

    /// Measures the physical work of compactions, from the first that is due to the end of all.
    fn time_compaction(&mut self, changes: &Changes) {
        let now = self.shared.clock.monotonic();
        if changes.compacted.is_some() && self.compacting_since.is_none() {
            self.compacting_since = Some(now);
        }
        if let Some(began) = self.compacting_since.take_if(|_| !self.applier.has_sweep()) {
            let counts = &self.shared.counts;
            counts.compactions.observe(now.since(began).as_secs_f64() * 1000.0);
            let ended = self.shared.clock.wall().unix_seconds();
            counts.compacted_at.set(i64::try_from(ended).unwrap_or(i64::MAX));
        }
    }

    /// Tells lease timers, the holders of tokens and watchers what changed.
    fn tell(&mut self, changes: Changes) {
        if !changes.tokens.is_empty() {
            let now = self.shared.clock.monotonic().millis();
            let mut tokens = lock(&self.shared.tokens);
            changes.tokens.into_iter().for_each(|change| tokens.change(change, now));
        }
        if changes.policy {
            lock(&self.shared.policy_listeners).iter().for_each(|tell| tell());
        }
        if changes.certificates {
            lock(&self.shared.certificate_listeners).iter().for_each(|tell| tell());
        }
        if !changes.leases.is_empty() {
            let now = self.shared.clock.monotonic().millis();
            let mut clock = lock(&self.shared.leases);
            let counts = &self.shared.counts;
            for change in &changes.leases {
                match *change {
                    LeaseChange::Granted { id, ttl_seconds } => {
                        counts.leases_granted.inc();
                        counts.lease_lives.observe_duration(seconds(ttl_seconds));
                        clock.start(id, ttl_seconds, ttl_seconds, now)
                    }
                    LeaseChange::Revoked(id) => {
                        counts.leases_revoked.inc();
                        clock.end(id);
                    }
                    LeaseChange::Checkpointed { .. } => {}
                }
            }
        }
        let upto = changes.revisions.last().map(|revised| revised.revision);
        if let Some(upto) = upto
            && self.shared.open_streams.load(Ordering::SeqCst) > 0
        {
            let changes =
                changes.revisions.into_iter().flat_map(|revised| revised.events).map(Change::of).collect();
            // A full queue is no loss: the hub sees the gap and reads history. So it does when the first stream opens.
            let _ = self.hub.try_send(HubInput::Changes(changes, upto));
        }
    }

    /// Prepares a checkpoint, unless the one before is still being written.
    fn checkpoint_if_idle(&mut self) -> Result<(), Failure> {
        self.checkpointed = self.applier.applied();
        let prepared = self.applier.checkpoint()?;
        // No room means that one is being written; a later one covers this too.
        let _ = self.checkpoints.try_send(prepared);
        Ok(())
    }
}

/// Waits while there is no space in the middle of an entry, which had less room made for it than its effects take, until there
/// is some or the member ends.
pub(crate) fn wait_for_space(shared: Arc<Shared>) -> state::WhenFull {
    Box::new(move || {
        shared.store_waits.store(true, Ordering::Release);
        shared.pause(FULL_DISK_PAUSE);
        !shared.is_ending()
    })
}

fn seconds(whole: i64) -> Duration {
    Duration::from_secs(u64::try_from(whole).unwrap_or_default())
}

fn answer(answers: Vec<Answer>) {
    for (reply, answer) in answers {
        reply(answer);
    }
}
