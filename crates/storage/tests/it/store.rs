//! The store's rules one by one.

use crate::world::{World, all_records, checkpoint};
use bytes::Bytes;
use env::sim::Fault;
use std::path::Path;
use storage::{Error, Position, RecordKind, SegmentNumber};
use types::LogIndex;

/// A record is readable the moment its append returned, whether it lies in memory or on disk, of any size, and positions grow.
#[test]
fn a_record_is_readable_at_once_and_for_ever() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let reader = life.store.reader();
    let mut all: Vec<(Position, RecordKind, Vec<u8>)> = Vec::new();
    for i in 0..200usize {
        let (kind, payload) = (RecordKind(1 + (i % 200) as u8), vec![i as u8; i * i % 6000]);
        let position = life.store.append(kind, &payload).unwrap();
        assert!(all.last().is_none_or(|last| last.0 < position));
        all.push((position, kind, payload));
        for (position, kind, payload) in all.iter().rev().take(7) {
            assert_eq!(reader.read(*position).unwrap(), (*kind, Bytes::copy_from_slice(payload)));
        }
    }
    let check = |store: &storage::Store| {
        let mut expected = all.iter();
        store
            .scan(|position, kind, payload| {
                let (at, of, bytes) = expected.next().unwrap();
                assert_eq!((position, kind, &payload[..]), (*at, *of, &bytes[..]));
                assert_eq!(store.reader().read(position)?, (kind, payload));
                Ok::<_, Error>(())
            })
            .unwrap();
        assert!(expected.next().is_none());
    };
    check(&life.store);
    let _ = life.store.checkpoint(checkpoint(1, 1)).unwrap().run().unwrap();
    drop((life, reader));
    check(&world.live().unwrap().store);
}

/// What no checkpoint covered is discarded at start: the log replays it.
#[test]
fn what_no_manifest_lists_is_discarded() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    life.store.append(RecordKind(1), b"kept").unwrap();
    let _ = life.store.checkpoint(checkpoint(1, 1)).unwrap().run().unwrap();
    for _ in 0..100 {
        life.store.append(RecordKind(1), &[7; 100]).unwrap();
    }
    drop(life.store.checkpoint(checkpoint(2, 1)).unwrap());
    drop(life);
    let life = world.live().unwrap();
    assert_eq!(all_records(&life.store).unwrap(), [(RecordKind(1), Bytes::from_static(b"kept"))]);
    assert_eq!(life.store.last_checkpoint(), checkpoint(1, 1));
    assert_eq!(life.store.segments().len(), 1);
}

/// A checkpoint covers what was appended before it was prepared, and appending goes on while it runs.
#[test]
fn appending_goes_on_while_a_checkpoint_runs() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    life.store.append(RecordKind(1), b"before").unwrap();
    let pending = life.store.checkpoint(checkpoint(1, 1)).unwrap();
    for _ in 0..50 {
        life.store.append(RecordKind(1), &[1; 200]).unwrap();
    }
    let durable = std::thread::spawn(move || pending.run()).join().unwrap().unwrap();
    assert_eq!(durable.consistent_index, LogIndex(1));
    drop(life);
    let life = world.live().unwrap();
    assert_eq!(all_records(&life.store).unwrap(), [(RecordKind(1), Bytes::from_static(b"before"))]);
}

/// A checkpoint that a later one has overtaken does nothing, whatever the order in which threads run them.
#[test]
fn an_overtaken_checkpoint_does_nothing() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let first = life.store.checkpoint(checkpoint(1, 1)).unwrap();
    let second = life.store.checkpoint(checkpoint(2, 1)).unwrap();
    let durable = second.run().unwrap();
    assert_eq!(durable.consistent_index, LogIndex(2));
    assert_eq!(first.run().unwrap(), durable);
    assert_eq!(life.store.last_checkpoint(), checkpoint(2, 1));
}

/// The log is kept for the older of the two manifests, so that a start can fall back on it.
#[test]
fn the_log_is_kept_for_the_older_manifest() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let mut run = |index| life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap().release_below;
    assert_eq!(run(10), LogIndex(1));
    assert_eq!(run(20), LogIndex(11));
    assert_eq!(run(30), LogIndex(21));
}

/// A damaged newest manifest is passed over, with a word about it, and the next checkpoint makes all good.
#[test]
fn a_damaged_manifest_is_passed_over() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for index in 1..=2 {
        life.store.append(RecordKind(1), b"record").unwrap();
        let _ = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
    }
    drop(life);
    let newest = Path::new("/data/manifest-0000000000000003");
    world.env.disk.open(newest).unwrap().write_at(b"!", 140).unwrap();
    let mut life = world.live().unwrap();
    assert_eq!(life.store.last_checkpoint(), checkpoint(1, 1));
    assert!(life.dir.passed_over()[0].contains("manifest-0000000000000003"), "{:?}", life.dir.passed_over());
    life.store.append(RecordKind(1), b"again").unwrap();
    let durable = life.store.checkpoint(checkpoint(2, 1)).unwrap().run().unwrap();
    assert_eq!(durable.generation, 4);
    drop(life);
    let life = world.live().unwrap();
    assert!(life.dir.passed_over().is_empty());
    assert_eq!(all_records(&life.store).unwrap().len(), 2);
    let manifests = world.env.disk.list(Path::new("/data")).unwrap();
    assert_eq!(manifests.iter().filter(|name| name.starts_with("manifest")).count(), 2, "{manifests:?}");
}

/// A removed segment is gone for readers at once; its file stays while a kept manifest lists it, then goes.
#[test]
fn a_removed_segment_goes_when_nothing_lists_it() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let first = life.store.append(RecordKind(1), &[1; 700]).unwrap();
    let second = life.store.append(RecordKind(2), &[2; 700]).unwrap();
    assert_ne!(first.segment(), second.segment());
    let run = |store: &mut storage::Store, index| {
        let _ = store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
        world.env.disk.stat(Path::new("/data/store/00000001.store")).unwrap().is_some()
    };
    assert!(run(&mut life.store, 1));
    let before = life.store.reader().disk_bytes();
    assert!(matches!(life.store.remove_segment(second.segment()), Err(Error::Misuse(_))), "still written to");
    life.store.remove_segment(first.segment()).unwrap();
    assert!(matches!(life.store.remove_segment(SegmentNumber(77)), Err(Error::Misuse(_))));
    assert!(life.store.reader().read(first).is_err());
    assert!(life.store.reader().disk_bytes() < before - 700);
    assert!(run(&mut life.store, 2), "the older manifest still lists it");
    assert!(!run(&mut life.store, 3));
    drop(life);
    let life = world.live().unwrap();
    assert_eq!(all_records(&life.store).unwrap(), [(RecordKind(2), Bytes::from_static(&[2; 700]))]);
}

/// What only the older manifest lists survives a restart, so that falling back on it works then too.
#[test]
fn the_older_manifest_keeps_its_files_over_a_restart() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let first = life.store.append(RecordKind(1), &[1; 700]).unwrap();
    life.store.append(RecordKind(2), &[2; 700]).unwrap();
    let _ = life.store.checkpoint(checkpoint(1, 1)).unwrap().run().unwrap();
    life.store.remove_segment(first.segment()).unwrap();
    let _ = life.store.checkpoint(checkpoint(2, 1)).unwrap().run().unwrap();
    drop(life);
    drop(world.live().unwrap());
    let damaged = world.copy(1);
    damaged.env.disk.remove(Path::new("/data/manifest-0000000000000003")).unwrap();
    let life = damaged.live().unwrap();
    assert_eq!(
        (life.store.last_checkpoint(), all_records(&life.store).unwrap().len()),
        (checkpoint(1, 1), 2)
    );
    let mut life = world.live().unwrap();
    let _ = life.store.checkpoint(checkpoint(3, 1)).unwrap().run().unwrap();
    assert!(world.env.disk.stat(Path::new("/data/store/00000001.store")).unwrap().is_none());
}

/// Positions of removed, discarded or invented places are errors, never another record's bytes or a panic.
#[test]
fn a_wrong_position_is_an_error() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let position = life.store.append(RecordKind(1), &[3; 400]).unwrap();
    let buffered = life.store.append(RecordKind(1), b"buffered").unwrap();
    let reader = life.store.reader();
    let wrong = (0..600).map(|i| Position::from_bits(position.to_bits() - 128 + i));
    for wrong in wrong.filter(|wrong| ![position, buffered].contains(wrong)) {
        assert!(reader.read(wrong).is_err(), "{wrong}");
    }
    for wrong in [0, u64::MAX, 1 << 32, 99 << 32] {
        assert!(reader.read(Position::from_bits(wrong)).is_err());
    }
}

/// A full disk refuses the append that needs a new segment and loses nothing; with space the store goes on.
#[test]
fn a_full_disk_does_not_poison() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let used: u64 = world.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    world.disk.set_capacity(Some(used + 1024));
    let mut count = 0;
    let refused = loop {
        match life.store.append(RecordKind(1), &[1; 100]) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused}");
    assert!(matches!(life.store.checkpoint(checkpoint(1, 1)).unwrap().run(), Err(Error::NoSpace { .. })));
    world.disk.set_capacity(None);
    life.store.append(RecordKind(1), &[1; 100]).unwrap();
    let _ = life.store.checkpoint(checkpoint(1, 1)).unwrap().run().unwrap();
    drop(life);
    assert_eq!(all_records(&world.live().unwrap().store).unwrap().len(), count + 1);
}

/// A failed write poisons the store: an append that cannot be made durable must not be followed by one that can.
#[test]
fn a_failed_write_poisons() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let kept = life.store.append(RecordKind(1), b"kept").unwrap();
    world.disk.fail_at(1, Fault::Io);
    assert!(matches!(life.store.append(RecordKind(1), &[1; 500]), Err(Error::Disk(_))));
    assert!(matches!(life.store.append(RecordKind(1), b"x"), Err(Error::Poisoned { .. })));
    assert!(matches!(life.store.checkpoint(checkpoint(1, 1)), Err(Error::Poisoned { .. })));
    assert_eq!(life.store.reader().read(kept).unwrap().1, "kept");
}

/// A failed sync poisons the store for its writer too, which is on another thread.
#[test]
fn a_failed_checkpoint_poisons() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    life.store.append(RecordKind(1), b"x").unwrap();
    let pending = life.store.checkpoint(checkpoint(1, 1)).unwrap();
    world.disk.fail_at(1, Fault::Io);
    assert!(matches!(pending.run(), Err(Error::Disk(_))));
    assert!(matches!(life.store.append(RecordKind(1), b"x"), Err(Error::Poisoned { .. })));
}

/// The kinds that the segment keeps for itself are refused.
#[test]
fn reserved_kinds_are_refused() {
    let mut life = World::new(1).live().unwrap();
    for kind in [0, 255] {
        assert!(matches!(life.store.append(RecordKind(kind), b""), Err(Error::Misuse(_))));
    }
    life.store.append(RecordKind(254), b"").unwrap();
}
