//! One keyring, many lives: copies that go on apart, old ones put back, space that runs out. No key ever seals two texts at one
//! nonce, or whoever has both reads both and forges more. (A stop at every act is in `crash.rs`, under the same eyes.)

use crate::crash::{Model, work};
use crate::world::{World, checkpoint, entry};
use env::Random;
use env::sim::{Fault, SimRandom};
use seal::{Identity, Keyring, Purpose, Sealer};
use std::path::Path;
use storage::{Error, LogBatch, RecordKind};
use types::{ClusterId, LogIndex, MemberId};

/// The directory is copied at any moment, in the middle of a write and of a start too, and all copies go on, each with sudden
/// ends of its own: the copy of an hour ago that is put back is one of them, and so is the clone of the machine.
#[test]
fn copies_and_their_originals_seal_apart() {
    for seed in 0..12 {
        let why = format!("seed {seed}");
        let chance = SimRandom::new(seed);
        let (world, seals) = World::recorded(seed);
        let mut copies = vec![(world, Model::new())];
        for _ in 0..25 {
            let of = usize::try_from(chance.below(copies.len() as u64)).unwrap();
            let (world, model) = &mut copies[of];
            let faults = [Fault::PowerAfter, Fault::PowerBefore, Fault::Io, Fault::NoSpace];
            world.disk.fail_at(1 + chance.below(120), faults[chance.below(4) as usize]);
            let _ = work(world, model, &chance, &why);
            world.disk.clear_fault();
            if copies.len() < 6 && chance.below(2) == 0 {
                // What a copy of a machine draws is not what the original draws.
                let copy = (copies[of].0.copy(chance.number()), copies[of].1.clone());
                copies.push(copy);
            }
            copies[of].0.disk.crash(chance.number());
        }
        assert!(copies.len() > 3 && seals.count() > 300, "{why}: {} copies, {}", copies.len(), seals.count());
        for (world, mut model) in copies {
            model.check(&world.live().unwrap(), &why).unwrap();
        }
    }
}

/// The disk is full again and again, at another byte each time, and what was refused is tried once more by the same writer:
/// what it sealed for the first attempt must not be sealed anew at the same place.
#[test]
fn what_was_refused_for_want_of_space_is_sealed_anew_elsewhere() {
    let (world, seals) = World::recorded(1);
    let chance = SimRandom::new(1);
    let used = || world.disk.files().values().map(|bytes| bytes.len() as u64).sum::<u64>();
    let mut refused = 0;
    let mut index = 0;
    for round in 0..60 {
        let mut life = world.live().unwrap();
        for _ in 0..6 {
            index += 1;
            let mut again = |mut act: Box<dyn FnMut() -> Result<(), Error> + '_>| {
                world.disk.set_capacity(Some(used() + chance.below(4_000)));
                match act() {
                    Err(Error::NoSpace { .. }) => {
                        refused += 1;
                        world.disk.set_capacity(None);
                        act().unwrap_or_else(|error| panic!("round {round}: {error}"));
                    }
                    done => done.unwrap_or_else(|error| panic!("round {round}: {error}")),
                }
            };
            let entries = [entry(index, 1, vec![b'e'; chance.below(900) as usize])];
            let writer = &mut life.writer;
            again(Box::new(|| writer.append(LogBatch { entries: &entries, ..LogBatch::default() })));
            again(Box::new(|| writer.sync()));
            let record = vec![b'r'; chance.below(500) as usize];
            let store = &mut life.store;
            again(Box::new(|| store.append(RecordKind(1), &record).map(drop)));
            again(Box::new(|| store.checkpoint(checkpoint(index, 1))?.run().map(drop)));
            again(Box::new(|| {
                let closed = store.segments().into_iter().filter(|segment| !segment.is_active);
                let run: Vec<_> = closed.map(|segment| segment.number).collect();
                if run.len() < 3 {
                    return Ok(());
                }
                let mut rewriting = store.rewrite(&run)?;
                rewriting.copy(|new, _, kind, payload| {
                    new.append(kind, &payload)?;
                    new.index(kind, &payload)
                })?;
                let replaced = rewriting.finish().and_then(|rewritten| store.replace(rewritten))?;
                store.retire(&replaced);
                Ok(())
            }));
            world.disk.set_capacity(None);
            writer.release(LogIndex(index.saturating_sub(4))).unwrap();
        }
    }
    assert!(refused > 60 && seals.count() > 1_000, "{refused} refused, {} seals", seals.count());
}

/// Begins a store segment with a salt by seed, and one record.
fn begun(seed: u64, text: &[u8]) -> Vec<u8> {
    let identity = Identity { cluster: ClusterId(1), member: MemberId(1) };
    let keyring = Keyring::generate(identity, &SimRandom::new(1));
    let mut out = Vec::new();
    let mut sealer = Sealer::begin(&keyring, Purpose::Store, 1, &SimRandom::new(seed), &mut out).unwrap();
    sealer.seal(1, &[text], &mut out).unwrap();
    out
}

/// The eyes are open: the same text twice is nothing, another salt is another key, a second text is seen.
#[test]
#[should_panic(expected = "nonce 128 seals a second text")]
fn a_second_text_is_seen() {
    let (world, seals) = World::recorded(1);
    let write = |name, bytes: &[u8]| {
        world.env.disk.create(Path::new(name), 0).unwrap().write_at(bytes, 0).unwrap();
    };
    write("/1", &begun(1, b"text"));
    write("/2", &begun(1, b"text"));
    write("/3", &begun(2, b"other"));
    assert_eq!(seals.count(), 2);
    write("/4", &begun(1, b"other"));
}

/// The eyes are open: who writes on in a file that was there before is seen.
#[test]
#[should_panic(expected = "written to by another than who began it")]
fn an_inherited_segment_is_seen() {
    let (world, _) = World::recorded(1);
    let segment = begun(1, b"text");
    world.env.disk.create(Path::new("/1"), 0).unwrap().write_at(&segment, 0).unwrap();
    let record = &begun(1, b"other")[seal::HEADER_BYTES..];
    world.env.disk.open(Path::new("/1")).unwrap().write_at(record, segment.len() as u64).unwrap();
}
