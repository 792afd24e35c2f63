//! The power fails, a write fails, the disk fills up: at every single act of a workload, in several ways. Afterwards
//! everything that was synced is there, in order, and nothing that was never written; and over all lives no key seals two
//! texts at one nonce.

use crate::verify::assert_not_accused;
use crate::world::{Life, World, all_records, checkpoint, entry, try_all_entries};
use bytes::Bytes;
use consensus::{Entry, HardState, LogRead};
use env::Random;
use env::sim::{Fault, SimRandom};
use storage::{Error, LogBatch, RecordKind};
use types::{LogIndex, MemberId, Term};

/// What must be there, and what may be.
#[derive(Clone, Default)]
pub(crate) struct Model {
    synced: Vec<Entry>,
    pending: Vec<Entry>,
    hard_states: Vec<HardState>,
    /// Checkpoints that may be the store's state: the last one that returned, then the one under way.
    checkpoints: Vec<u64>,
    term: u64,
}

fn superseded(old: &[Entry], by: &[Entry]) -> Vec<Entry> {
    let Some(first) = by.first() else { return old.to_vec() };
    old.iter().take_while(|entry| entry.index < first.index).chain(by).cloned().collect()
}

/// The records that the store has at a checkpoint: three for each entry.
fn records_at(index: u64) -> Vec<(RecordKind, Bytes)> {
    let record =
        |i: u64, j: u64| (RecordKind(1 + j as u8), Bytes::from(format!("record {i}.{j} {}", "r".repeat(40))));
    (1..=index).flat_map(|i| (0..3).map(move |j| record(i, j))).collect()
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { checkpoints: vec![0], hard_states: vec![HardState::default()], ..Self::default() }
    }

    /// Checks what a new life finds, and takes it as the truth from here on.
    pub(crate) fn check(&mut self, life: &Life, why: &str) -> Result<(), Error> {
        let found = entries_of(life)?;
        let (first, last) = (life.recovered.first, life.recovered.last);
        assert_eq!((first, last), (life.reader.first_index(), life.reader.last_index()), "{why}");
        let possible: Vec<_> =
            (0..=self.pending.len()).map(|count| superseded(&self.synced, &self.pending[..count])).collect();
        let visible =
            |all: &Vec<Entry>| all.iter().filter(|entry| entry.index >= first).cloned().collect::<Vec<_>>();
        let whole = possible
            .iter()
            .find(|all| visible(all) == found && all.last().map_or(LogIndex(0), |entry| entry.index) == last);
        let whole = whole.unwrap_or_else(|| panic!("{why}: found {found:?} of {:?}", self.synced));
        let commit = |state: &HardState| HardState { commit: state.commit.min(last), ..*state };
        let states: Vec<_> = self.hard_states.iter().map(commit).collect();
        assert!(states.contains(&life.recovered.hard_state), "{why}: {:?}", life.recovered.hard_state);
        let at = life.store.last_checkpoint();
        let index = at.consistent_index.0;
        assert!(self.checkpoints.contains(&index), "{why}: checkpoint {index} of {:?}", self.checkpoints);
        if index > 0 {
            assert_eq!(at, checkpoint(index, at.term.0), "{why}");
        }
        assert_eq!(all_records(&life.store)?, records_at(index), "{why}");
        assert!(first.0 <= index + 1, "{why}: log begins at {first}, store ends at {index}");
        self.synced = whole.clone();
        self.pending.clear();
        self.hard_states = vec![life.recovered.hard_state];
        self.checkpoints = vec![index];
        Ok(())
    }
}

/// All entries; the disk's failure while reading them is one of the faults that are tried.
fn entries_of(life: &Life) -> Result<Vec<Entry>, Error> {
    try_all_entries(&life.reader).map_err(|error| Error::Misuse(error.to_string()))
}

/// Writes all closed segments anew, all records being wanted, or gives the last of them an index: what the store holds stays.
fn rewrite_all(life: &mut Life, round: u64) -> Result<(), Error> {
    let closed: Vec<_> = life.store.segments().into_iter().filter(|segment| !segment.is_active).collect();
    match closed.last() {
        Some(last) if round % 4 == 1 && !last.is_indexed => {
            let indexed = life.store.index(last.number)?.write(|_, kind, _| Ok::<_, Error>(vec![kind.0]))?;
            life.store.put_index(indexed);
        }
        Some(_) => {
            let run: Vec<_> = closed.iter().map(|segment| segment.number).collect();
            let mut rewriting = life.store.rewrite(&run)?;
            rewriting.copy(|new, _, kind, payload| {
                new.append(kind, &payload)?;
                new.index(kind, &[kind.0])
            })?;
            let replaced = rewriting.finish().and_then(|rewritten| life.store.replace(rewritten))?;
            life.store.retire(&replaced);
        }
        None => {}
    }
    Ok(())
}

/// Opens, checks, and works: appends with conflicts, syncs, checkpoints, releases.
pub(crate) fn work(world: &World, model: &mut Model, chance: &SimRandom, why: &str) -> Result<(), Error> {
    let mut life = world.live()?;
    model.check(&life, why)?;
    model.term += 1;
    for round in 0..7u64 {
        let last = model.synced.len() as u64;
        let committed = model.checkpoints.last().copied().unwrap_or(0);
        // Sometimes a new leader supersedes what was not committed.
        let first = if round % 3 == 2 { committed + 1 } else { last + 1 };
        let count = 1 + chance.below(3);
        let size = if round == 4 { 1500 } else { chance.below(300) as usize };
        let entries: Vec<_> = (first..first + count)
            .map(|i| entry(i, model.term, format!("entry {i} {}", "e".repeat(size))))
            .collect();
        let commit = LogIndex(first + count - 1);
        let hard_state = HardState { term: Term(model.term), vote: MemberId(round), commit };
        model.pending = entries.clone();
        model.hard_states.push(hard_state);
        let audit = [Bytes::from_static(b"somebody did something")];
        life.writer.append(LogBatch { hard_state: Some(hard_state), entries: &entries, audit: &audit })?;
        life.writer.sync()?;
        model.synced = superseded(&model.synced, &entries);
        model.pending.clear();
        model.hard_states = vec![hard_state];
        if round % 3 == 1 {
            let commit_only = HardState { vote: MemberId(100 + round), ..hard_state };
            model.hard_states.push(commit_only);
            life.writer.append(LogBatch { hard_state: Some(commit_only), ..LogBatch::default() })?;
        }
        if round % 2 == 1 {
            let index = model.synced.len() as u64;
            for (kind, payload) in records_at(index).into_iter().skip(records_at(committed).len()) {
                life.store.append(kind, &payload)?;
            }
            model.checkpoints.push(index);
            let durable = life.store.checkpoint(checkpoint(index, model.term))?.run()?;
            assert_eq!(durable.consistent_index, LogIndex(index), "{why}");
            model.checkpoints = vec![index];
            life.writer.release(durable.release_below)?;
            model.check_reader(&life)?;
            rewrite_all(&mut life, round)?;
        }
    }
    Ok(())
}

impl Model {
    fn check_reader(&self, life: &Life) -> Result<(), Error> {
        let first = life.reader.first_index();
        let expected: Vec<_> = self.synced.iter().filter(|entry| entry.index >= first).cloned().collect();
        assert_eq!(entries_of(life)?, expected);
        Ok(())
    }
}

/// Runs the workload with `fault` at every act in turn, `survive` deciding what is left afterwards.
fn at_every_act(fault: Fault, survive: impl Fn(&World, u64)) {
    for act in 1.. {
        for seed in 0..3 {
            let why = format!("{fault:?} at act {act}, seed {seed}");
            let (world, seals) = World::recorded(seed);
            let chance = SimRandom::new(seed);
            let mut model = Model::new();
            world.disk.fail_at(act, fault);
            let outcome = work(&world, &mut model, &chance, &why);
            if world.disk.clear_fault() {
                assert!(act > 60, "the workload has only {act} acts");
                assert!(seals.count() > 60, "only {} seals were recorded", seals.count());
                outcome.unwrap();
                return;
            }
            survive(&world, chance.number());
            assert_not_accused(&world, &why);
            // Two more lives: the first finds what is left, the second what the first made of it.
            for _ in 0..2 {
                work(&world, &mut model, &chance, &why).unwrap_or_else(|error| panic!("{why}: {error}"));
                world.disk.crash(chance.number());
            }
            model.check(&world.live().unwrap(), &why).unwrap();
        }
    }
}

/// A power failure before any act loses nothing that was synced; what was being written is there in part at most.
#[test]
fn the_power_fails_before_every_act() {
    at_every_act(Fault::PowerBefore, |world, seed| world.disk.crash(seed));
}

/// The same just after each act: what returned counts, what was done and did not return may.
#[test]
fn the_power_fails_after_every_act() {
    at_every_act(Fault::PowerAfter, |world, seed| world.disk.crash(seed));
}

/// After any failed act the process is restarted on a disk that keeps everything: nothing of it is taken for more than it is.
#[test]
fn every_act_fails_and_the_process_restarts() {
    at_every_act(Fault::Io, |world, _| world.disk.kill());
}

/// After any failed act the power fails too: a failed sync is believed to have done nothing.
#[test]
fn every_act_fails_and_the_power_fails() {
    at_every_act(Fault::Io, |world, seed| world.disk.crash(seed));
}

/// Running out of space at any act loses nothing either.
#[test]
fn every_act_finds_the_disk_full() {
    at_every_act(Fault::NoSpace, |world, seed| world.disk.crash(seed));
}

/// Power failures one after the other, at random: wear of this kind must not add up.
#[test]
fn power_failures_follow_each_other() {
    for seed in 100..130 {
        let (world, _) = World::recorded(seed);
        let chance = SimRandom::new(seed);
        let mut model = Model::new();
        for _ in 0..12 {
            world.disk.fail_at(1 + chance.below(90), Fault::PowerAfter);
            let _ = work(&world, &mut model, &chance, &format!("seed {seed}"));
            world.disk.crash(chance.number());
            assert_not_accused(&world, &format!("seed {seed}"));
        }
        model.check(&world.live().unwrap(), &format!("seed {seed}")).unwrap();
    }
}
