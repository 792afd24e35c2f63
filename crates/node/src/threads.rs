//! The threads that drive a member's step machines in production: consensus, log, apply, watch, checkpoint.
//!
//! Owns the channels between them. Decides nothing that a step machine decides: it waits, calls, writes and hands on.
//!
//! ```text
//!   propose ─▶ consensus ─ Write ─▶ log ─ Persisted ─▶ consensus ─ Batch ─▶ apply ─ changes ─▶ watch
//!                                    ▲                                        │ └─ replies
//!                                    └─ Release ── checkpoint ◀── prepared ───┘
//! ```
//!
//! Invariants: the consensus thread waits for nobody but its queue (one write is out at a time, a full apply queue gives
//! the batch back); a failure of any thread is told once and stops all.

use crate::apply::{Applier, Batch, Failure};
use crate::codec::{self, Envelope};
use crate::core::{Core, Proposal, Write};
use crate::counts::{Counts, Op};
use crate::error::Refused;
use crate::member::{Proposed, Reply, Shared, lock};
use crate::watch::{Change, HubInput, HubState};
use consensus::Role;
use state::changes::{Changes, LeaseChange};
use state::command::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;
use storage::{FreshnessMark, LogReader, LogWriter, Mark, PendingCheckpoint};
use types::limits::{LEASES_REVOKED_PER_TICK, PROPOSALS_PER_BATCH_MAX};
use types::{LogIndex, RequestId};

/// What the consensus thread is told.
pub(crate) enum Input {
    /// A proposal.
    Propose(Proposal),
    /// The write of this number is durable.
    Persisted(u64),
    /// Leadership is to go to another member.
    Transfer(types::MemberId),
    /// The end.
    Stop,
}

/// What the log thread is told.
pub(crate) enum LogInput {
    /// Write this, and sync it if it says so.
    Write(Write),
    /// Entries below this index are not needed any more.
    Release(LogIndex),
}

/// The running threads.
pub(crate) struct Threads(pub(crate) Vec<JoinHandle<()>>);

impl Threads {
    pub(crate) fn join(self) {
        for thread in self.0 {
            // A thread that panicked has said so; the others still end in order.
            let _ = thread.join();
        }
    }
}

/// Told once, by whichever thread fails first.
pub(crate) type OnFailure = Arc<dyn Fn(Failure) + Send + Sync>;

/// How long a full disk is left alone before the next try.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(200);
/// How often a waiting watch hub looks again.
const HUB_BUSY: Duration = Duration::from_millis(5);
/// How often an idle one does.
const HUB_IDLE: Duration = Duration::from_millis(100);

/// The consensus thread.
pub(crate) struct ConsensusThread {
    pub core: Core<LogReader>,
    pub shared: Arc<Shared>,
    pub inputs: Receiver<Input>,
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
        let queued = self.inputs.try_iter().filter_map(|input| match input {
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
        while !self.shared.broken.load(Ordering::Acquire) {
            self.step()?;
            let wait = next_tick.saturating_sub(self.now());
            match self.inputs.recv_timeout(wait) {
                Ok(input) => {
                    if self.take(input) || self.take_waiting() {
                        return self.step();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    next_tick = self.now() + self.tick;
                    self.core.tick()?;
                    self.revoke_expired_leases();
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.shared.clock.monotonic().millis())
    }

    /// Takes what else waits, up to a batch. Whether the end was among it.
    fn take_waiting(&mut self) -> bool {
        for _ in 0..PROPOSALS_PER_BATCH_MAX {
            match self.inputs.try_recv() {
                Ok(input) => {
                    if self.take(input) {
                        return true;
                    }
                }
                Err(_) => break,
            }
        }
        false
    }

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
            && let Err(TrySendError::Full(batch)) = self.apply.try_send(batch)
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

/// The log thread: writes and syncs, nothing else.
pub(crate) struct LogThread {
    pub writer: LogWriter,
    pub mark: Option<FreshnessMark>,
    pub shared: Arc<Shared>,
    pub inputs: Receiver<LogInput>,
    pub consensus: SyncSender<Input>,
}

impl LogThread {
    pub(crate) fn run(mut self, on_failure: &OnFailure) {
        loop {
            let done = match self.next_input() {
                Ok(LogInput::Release(below)) => self.writer.release(below).map(|()| None),
                Ok(LogInput::Write(write)) => self.write(&write).map(|()| Some(write.number)),
                Err(RecvTimeoutError::Timeout) => self.look_for_space().map(|()| None),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match done {
                Ok(None) => {}
                Ok(Some(number)) => {
                    if self.consensus.send(Input::Persisted(number)).is_err() {
                        return;
                    }
                }
                Err(error) => return on_failure(error.into()),
            }
        }
    }

    /// Notes beside the key how far the log is durable. A mark that cannot be written costs the notice of a rollback, not
    /// the member.
    fn note_how_far(&mut self) {
        let Some(mark) = &mut self.mark else { return };
        let generation = self.shared.generation.load(Ordering::Acquire);
        if let Err(error) = mark.note(Mark { generation, position: self.writer.synced_position() }) {
            tracing::warn!(%error, "cannot write the freshness mark");
        }
    }

    /// What is to be done next; on a full disk it does not wait for long.
    fn next_input(&self) -> Result<LogInput, RecvTimeoutError> {
        match self.shared.full_disk.load(Ordering::Acquire) {
            true => self.inputs.recv_timeout(FULL_DISK_PAUSE),
            false => self.inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// The next segment is reserved ahead: when that fails, what would grow the store is refused at the door, while the
    /// rest of this segment carries deletions and compactions.
    fn look_for_space(&mut self) -> Result<(), storage::Error> {
        let full = self.writer.is_short_of_space() && self.writer.look_for_space()?;
        match (self.shared.full_disk.swap(full, Ordering::AcqRel), full) {
            (false, true) => tracing::error!(
                hint = "free space where the data lies, or compact and delete",
                "the disk is full: refusing what needs room until there is some"
            ),
            (true, false) => tracing::info!("the disk has room again"),
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, batch: storage::LogBatch<'_>) -> Result<(), storage::Error> {
        let began = self.shared.clock.monotonic();
        self.writer.append(batch)?;
        self.shared.counts.log_writes.observe_duration(self.shared.clock.monotonic().since(began));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), storage::Error> {
        let (before, began) = (self.writer.synced_position(), self.shared.clock.monotonic());
        self.writer.sync()?;
        let counts = &self.shared.counts;
        counts.log_syncs.observe_duration(self.shared.clock.monotonic().since(began));
        let after = self.writer.synced_position();
        let begins_at = if after.segment == before.segment { before.offset } else { 0 };
        counts.log_bytes.add(after.offset.saturating_sub(begins_at));
        Ok(())
    }

    /// Writes a batch. A full disk is waited out: nothing of the batch was written.
    fn write(&mut self, write: &Write) -> Result<(), storage::Error> {
        let batch = storage::LogBatch {
            hard_state: write.hard_state,
            entries: &write.entries,
            audit: &write.intents,
        };
        while let Err(error) = self.append(batch) {
            let waits = matches!(error, storage::Error::NoSpace { .. });
            if !waits || self.shared.stopping.load(Ordering::Acquire) {
                return Err(error);
            }
            self.look_for_space()?;
            std::thread::sleep(FULL_DISK_PAUSE);
        }
        if write.must_sync || !write.intents.is_empty() {
            self.sync()?;
            self.note_how_far();
        }
        self.look_for_space()
    }
}

/// The apply thread.
pub(crate) struct ApplyThread {
    pub applier: Applier,
    pub shared: Arc<Shared>,
    pub inputs: Receiver<Batch>,
    pub hub: SyncSender<HubInput>,
    pub checkpoints: SyncSender<PendingCheckpoint>,
    /// A checkpoint is due after so many entries.
    pub checkpoint_entries: u64,
    pub checkpointed: LogIndex,
    /// When the physical work began that is going on.
    pub compacting_since: Option<env::Monotonic>,
}

impl ApplyThread {
    pub(crate) fn run(mut self, on_failure: &OnFailure) {
        let result = self.run_until_stopped();
        if let Err(failure) = &result {
            let refused = Refused::Storage(failure.to_string());
            answer(self.applier.refuse_all(&refused).answers);
        } else {
            answer(self.applier.refuse_all(&Refused::Stopped).answers);
        }
        if let Err(failure) = result {
            on_failure(failure);
        }
        let _ = self.hub.send(HubInput::Stop);
    }

    fn run_until_stopped(&mut self) -> Result<(), Failure> {
        loop {
            let batch = if self.applier.has_sweep() {
                match self.inputs.try_recv() {
                    Ok(batch) => Some(batch),
                    Err(std::sync::mpsc::TryRecvError::Empty) => None,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => break,
                }
            } else {
                match self.inputs.recv() {
                    Ok(batch) => Some(batch),
                    Err(_) => break,
                }
            };
            let effects = match batch {
                Some(batch) => self.applier.apply(batch)?,
                None => self.applier.sweep()?,
            };
            self.time_compaction(&effects.changes);
            self.shared.applied.store(self.applier.applied().0, Ordering::Release);
            self.tell(effects.changes);
            answer(effects.answers);
            if self.applier.applied().0.saturating_sub(self.checkpointed.0) >= self.checkpoint_entries {
                self.checkpoint_if_idle()?;
            }
        }
        // The last checkpoint of this life, so that the next start has nothing to replay.
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

    /// Tells lease timers and watchers what changed.
    fn tell(&mut self, changes: Changes) {
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
        if let Some(upto) = upto {
            let changes =
                changes.revisions.into_iter().flat_map(|revised| revised.events).map(Change::of).collect();
            // A full queue is no loss: the hub sees the gap and reads history.
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

fn seconds(whole: i64) -> Duration {
    Duration::from_secs(u64::try_from(whole).unwrap_or_default())
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn answer(answers: Vec<crate::apply::Answer>) {
    for (reply, answer) in answers {
        reply(answer);
    }
}

/// Makes what was applied durable, and measures it.
fn run_timed(pending: PendingCheckpoint, shared: &Shared) -> Result<storage::Durable, storage::Error> {
    let began = shared.clock.monotonic();
    let durable = pending.run()?;
    shared.counts.commits.observe_duration(shared.clock.monotonic().since(began));
    Ok(durable)
}

/// The checkpoint thread: writes what apply prepared, then lets the log go of what it covers.
pub(crate) fn run_checkpoints(
    inputs: &Receiver<PendingCheckpoint>,
    log: &SyncSender<LogInput>,
    kept: u64,
    shared: &Shared,
    on_failure: &OnFailure,
) {
    while let Ok(pending) = inputs.recv() {
        match run_timed(pending, shared) {
            Ok(durable) => {
                shared.generation.store(durable.generation, Ordering::Release);
                let below = durable.release_below.min(durable.consistent_index.saturating_back(kept).next());
                let _ = log.send(LogInput::Release(below));
            }
            // The manifest before stands; a later checkpoint covers this too.
            Err(error @ storage::Error::NoSpace { .. }) => {
                tracing::error!(%error, "no room for a checkpoint")
            }
            Err(error) => {
                on_failure(error.into());
                return;
            }
        }
    }
}

/// The watch thread.
pub(crate) fn run_hub(
    mut hub: HubState,
    inputs: &Receiver<HubInput>,
    clock: &dyn env::Clock,
    counts: &Counts,
) {
    let mut wait = HUB_IDLE;
    loop {
        let mut next = match inputs.recv_timeout(wait) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now = clock.monotonic().millis();
        while let Some(input) = next {
            match input {
                HubInput::Open(id, sink) => hub.open(id, sink, now),
                HubInput::Create(id, request) => hub.create(id, request),
                HubInput::Cancel(id, watch) => hub.cancel(id, watch),
                HubInput::Progress(id) => hub.progress(id),
                HubInput::Close(id) => hub.close(id),
                HubInput::Changes(changes, upto) => hub.changes(&changes, upto),
                HubInput::Stop => return,
            }
            next = inputs.try_recv().ok();
        }
        let more = hub.work(now);
        let (streams, watchers, behind) = hub.census();
        counts.watch_streams.set(signed(streams));
        counts.watchers.set(signed(watchers));
        counts.watchers_behind.set(signed(behind));
        wait = match (more, hub.is_waiting()) {
            (true, _) => Duration::ZERO,
            (false, true) => HUB_BUSY,
            (false, false) => HUB_IDLE,
        };
    }
}
