//! Apply: the second step machine of a member. Committed entries in; effects on the state, answers and news out.
//!
//! Owns the machine (the state's one writer) and the replies that wait for their entry. Never talks to a thread or a disk
//! itself, nor to a clock but to measure: its driver feeds it and carries out what it returns.
//!
//! Invariants: entries are applied in log order, each once; a reply is given only after its entry's effects can be read;
//! an entry for whose effects the store has no room waits here whole, so that checkpoints and collections, which make
//! room, go on; an error here means that this member cannot go on, and nothing is answered after it but that.

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
use std::collections::{HashMap, VecDeque};
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
    /// Committed entries that are not applied yet, for want of room in the store.
    unapplied: VecDeque<Committed>,
    /// Bytes of the entries applied since the last checkpoint was prepared.
    bytes_since_checkpoint: u64,
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
        Self {
            machine,
            unapplied: VecDeque::new(),
            bytes_since_checkpoint: 0,
            waiting,
            sweeping,
            conf_state,
            sweep_is_due,
            sweep_waits,
            compaction_records,
            meter,
        }
    }

    /// Applies a batch, as far as the store has room: the rest waits for the next call, which may bring an empty batch.
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
        self.unapplied.extend(batch.entries);
        while let Some(next) = self.unapplied.front()
            && self.machine.make_room(next.entry.data.len())?
            && let Some(next) = self.unapplied.pop_front()
        {
            self.apply_one(next, &mut effects)?;
        }
        effects.changes = self.machine.take_changes();
        self.sweep_is_due |= effects.changes.compacted.is_some();
        Ok(effects)
    }

    fn apply_one(&mut self, committed: Committed, effects: &mut Effects) -> Result<(), Failure> {
        let Entry { index, term, kind, data } = committed.entry;
        self.bytes_since_checkpoint = self.bytes_since_checkpoint.saturating_add(data.len() as u64);
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
        let applied =
            self.meter.time(op, || self.machine.apply_for(index, term, &envelope.actor, envelope.command))?;
        let Some(reply) = self.waiting.remove(&envelope.id) else { return Ok(()) };
        let proposed = Proposed { applied, index };
        if physical && matches!(proposed.applied, Applied { result: Ok(Outcome::Compact), .. }) {
            self.sweeping.push((self.machine.reader().compacted(), reply, proposed));
        } else {
            effects.answers.push((reply, Ok(proposed)));
        }
        Ok(())
    }

    /// Whether an entry waits for room in the store.
    pub(crate) fn waits_for_room(&self) -> bool {
        !self.unapplied.is_empty()
    }

    /// Bytes of the entries applied since the last checkpoint was prepared.
    pub(crate) fn bytes_since_checkpoint(&self) -> u64 {
        self.bytes_since_checkpoint
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
        self.bytes_since_checkpoint = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;
    use state::command::{Put, PutLease, PutValue};
    use std::path::Path;
    use storage::{DataDir, Identity, KeyFile, Store, StoreOptions};
    use types::{ClusterId, Key, LeaseId, MemberId};

    fn put(index: u64) -> Committed {
        let value = PutValue::Set(Bytes::from(vec![b'x'; 3_000]));
        let key = Key::new(Bytes::from(format!("k{index}"))).unwrap();
        let put = Put { key, value, lease: PutLease::Set(LeaseId::NONE), prev_kv: false };
        let data = codec::encode(codec::Envelope {
            id: RequestId(index),
            actor: state::auth::Actor::system(),
            command: Command::Put(put),
        });
        let entry = Entry { index: LogIndex(index), term: Term(1), kind: EntryKind::Normal, data };
        Committed { entry, conf_state: None }
    }

    fn batch(indexes: std::ops::RangeInclusive<u64>) -> Batch {
        let expected =
            indexes.clone().map(|index| -> (_, Reply<Proposed>) { (RequestId(index), Box::new(drop)) });
        Batch { expected: expected.collect(), entries: indexes.map(put).collect(), ..Batch::default() }
    }

    /// An entry for which the store has no room waits whole, and those after it: a checkpoint of what is before it can be made,
    /// which may be what makes room. With room it is applied, once.
    #[test]
    fn an_entry_without_room_waits_whole() {
        let (env, _, disk) = Env::simulated(7);
        env.disk.create_dir(Path::new("/keys")).unwrap();
        let key = KeyFile::create(&*env.disk, Path::new("/keys"), &*env.random).unwrap();
        let identity = Identity { cluster: ClusterId(5), member: MemberId(6) };
        let dir = DataDir::create(&env, Path::new("/data"), identity, &key).unwrap();
        let options = StoreOptions { segment_bytes: 1 << 17, ..StoreOptions::default() };
        let machine = Machine::open(Store::open(&dir, options).unwrap(), 1 << 20).unwrap();
        let meter = Meter { clock: env.clock.clone(), counts: Arc::default() };
        let mut applier = Applier::new(machine, Bytes::new(), meter, 1_000);
        assert_eq!(applier.apply(batch(1..=1)).unwrap().answers.len(), 1);
        let used: u64 = disk.files().values().map(|bytes| bytes.len() as u64).sum();
        disk.set_capacity(Some(used + 20_000));
        let first = applier.apply(batch(2..=100)).unwrap().answers.len();
        assert!(first > 30 && first < 60 && applier.waits_for_room(), "{first}");
        let durable = applier.checkpoint().unwrap().run().expect("room is left for it");
        assert_eq!(durable.consistent_index, applier.applied());
        assert!(applier.apply(batch(101..=101)).unwrap().answers.is_empty(), "in order");
        disk.set_capacity(None);
        assert_eq!(applier.apply(Batch::default()).unwrap().answers.len(), 100 - first);
        assert!(!applier.waits_for_room());
        assert_eq!(applier.applied(), LogIndex(101));
    }
}
