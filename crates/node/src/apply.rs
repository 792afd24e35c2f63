//! Apply: the second step machine of a member. Committed entries in; effects on the state, answers and news out.
//!
//! Owns the machine (the state's one writer) and the replies that wait for their entry. Never talks to a thread or a disk
//! itself, nor to a clock but to measure: its driver feeds it and carries out what it returns.
//!
//! Invariants: entries are applied in log order, each once; a reply is given only after its entry's effects can be read;
//! an error here means that this member cannot go on, and nothing is answered after it but that.

use crate::batch::{Batch, Committed};
use crate::codec;
use crate::confchange;
use crate::counts::{Counts, Op};
use crate::error::Refused;
use crate::failure::Failure;
use crate::proposal::{Proposed, Reply};
use bytes::Bytes;
use consensus::{Entry, EntryKind};
use env::Clock;
use state::changes::Changes;
use state::command::Command;
use state::{Applied, Chore, ChoreDone, CollectionLimits, Machine, Outcome, Refusal, Sweep};
use std::collections::HashMap;
use std::sync::Arc;
use types::{LogIndex, RequestId, Revision, Term};

/// The outcome of a step, for the driver to carry out in this order: tell `changes`, then give the `answers`.
#[derive(Default)]
pub(crate) struct Effects {
    pub changes: Changes,
    pub answers: Vec<Answer>,
}

/// A reply with what it is to be given.
pub(crate) type Answer = (Reply<Proposed>, Result<Proposed, Refused>);

/// The applying half of a member.
pub(crate) struct Applier {
    machine: Machine,
    waiting: HashMap<RequestId, Reply<Proposed>>,
    /// Compactions whose answer waits until the history is gone from the store, by their revision.
    sweeping: Vec<(Revision, Reply<Proposed>, Proposed)>,
    conf_state: Bytes,
    sweep_is_due: bool,
    /// The sweep waits for somebody who reads what it removes.
    sweep_waits: bool,
    /// Records that one step of a sweep removes.
    compaction_records: usize,
    meter: Meter,
}

/// Measures how long applying takes; nothing is decided by it.
pub(crate) struct Meter {
    pub clock: Arc<dyn Clock>,
    pub counts: Arc<Counts>,
}

impl Meter {
    /// Applies, and notes the time it took under the operation's name. A compaction that was done before is no failure.
    fn time(
        &self,
        op: Option<Op>,
        act: impl FnOnce() -> Result<Applied, state::Error>,
    ) -> Result<Applied, state::Error> {
        let began = self.clock.monotonic();
        let applied = act()?;
        if let Some(op) = op {
            let took = self.clock.monotonic().since(began);
            let ended = match &applied.result {
                Err(refusal) if !matches!(refusal, Refusal::Compacted { .. }) => Err(()),
                _ => Ok(()),
            };
            self.counts.applied.note(op, ended, took);
            self.counts.note_if_slow(took);
        }
        Ok(applied)
    }
}

impl Applier {
    pub(crate) fn new(machine: Machine, conf_state: Bytes, meter: Meter, compaction_records: usize) -> Self {
        let (waiting, sweeping) = (HashMap::new(), Vec::new());
        let (sweep_is_due, sweep_waits) = (true, false);
        Self { machine, waiting, sweeping, conf_state, sweep_is_due, sweep_waits, compaction_records, meter }
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// The member must stop: the store failed, or the log holds what this version does not understand.
    pub(crate) fn apply(&mut self, batch: Batch) -> Result<Effects, Failure> {
        let mut effects = Effects::default();
        self.waiting.extend(batch.expected);
        for (id, refused) in batch.failed {
            if let Some(reply) = self.waiting.remove(&id) {
                effects.answers.push((reply, Err(refused)));
            }
        }
        for committed in batch.entries {
            self.apply_one(committed, &mut effects)?;
        }
        effects.changes = self.machine.take_changes();
        self.sweep_is_due |= effects.changes.compacted.is_some();
        Ok(effects)
    }

    fn apply_one(&mut self, committed: Committed, effects: &mut Effects) -> Result<(), Failure> {
        let Entry { index, term, kind, data } = committed.entry;
        if let Some(conf_state) = committed.conf_state {
            self.conf_state = conf_state;
        }
        match kind {
            EntryKind::Normal => self.apply_normal(index, term, data, effects),
            EntryKind::ConfChange | EntryKind::ConfChangeV2 => {
                let Some(change) = confchange::decode(kind, &data)? else {
                    self.machine.apply(index, term, Command::Nothing)?;
                    return Ok(());
                };
                if let Err(refusal) = self.machine.change_membership(index, term, change)? {
                    tracing::warn!(%index, %refusal, "passed over a membership change");
                }
                Ok(())
            }
        }
    }

    fn apply_normal(
        &mut self,
        index: LogIndex,
        term: Term,
        data: Bytes,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let envelope = codec::decode(data).map_err(|unreadable| Failure::Entry { index, unreadable })?;
        let physical = matches!(&envelope.command, Command::Compact(compact) if compact.physical);
        let op = Op::of(&envelope.command);
        let applied = self.meter.time(op, || self.machine.apply(index, term, envelope.command))?;
        let Some(reply) = self.waiting.remove(&envelope.id) else { return Ok(()) };
        let proposed = Proposed { applied, index };
        if physical && matches!(proposed.applied, Applied { result: Ok(Outcome::Compact), .. }) {
            self.sweeping.push((self.machine.reader().compacted(), reply, proposed));
        } else {
            effects.answers.push((reply, Ok(proposed)));
        }
        Ok(())
    }

    /// Whether [`Applier::sweep`] has work.
    pub(crate) fn has_sweep(&self) -> bool {
        self.sweep_is_due
    }

    /// Whether somebody's reading puts that work off.
    pub(crate) fn sweep_waits(&self) -> bool {
        self.sweep_waits
    }

    /// Does a bounded piece of the physical work of compactions; answers those that waited for its end.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn sweep(&mut self) -> Result<Effects, Failure> {
        let mut effects = Effects::default();
        let swept = self.machine.compact_step(self.compaction_records)?;
        self.sweep_waits = matches!(swept, Sweep::Waiting);
        if let Sweep::Done(upto) = swept {
            self.sweep_is_due = false;
            let (done, waiting) =
                std::mem::take(&mut self.sweeping).into_iter().partition(|(at, ..)| *at <= upto);
            self.sweeping = waiting;
            effects.answers = done.into_iter().map(|(_, reply, proposed)| (reply, Ok(proposed))).collect();
        }
        Ok(effects)
    }

    /// The last entry applied.
    pub(crate) fn applied(&self) -> LogIndex {
        self.machine.applied().0
    }

    /// Begins to make what was applied durable; the rest is the caller's, on a thread that may wait for a disk.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn checkpoint(&mut self) -> Result<storage::PendingCheckpoint, Failure> {
        Ok(self.machine.checkpoint(self.conf_state.clone())?)
    }

    /// The next chore, if one is due (`threads/chores.rs`).
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn begin_chore(&mut self, limits: CollectionLimits) -> Result<Option<Chore>, Failure> {
        Ok(self.machine.begin_chore(limits)?)
    }

    /// Takes a chore back.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn end_chore(&mut self, done: ChoreDone) -> Result<(), Failure> {
        Ok(self.machine.end_chore(done)?)
    }

    /// Refuses everybody who waits: the member stops.
    pub(crate) fn refuse_all(&mut self, why: &Refused) -> Effects {
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let sweeping = std::mem::take(&mut self.sweeping).into_iter().map(|(_, reply, _)| reply);
        let answers = waiting.chain(sweeping).map(|reply| (reply, Err(why.clone()))).collect();
        Effects { changes: Changes::default(), answers }
    }
}
