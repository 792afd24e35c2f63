//! The store's rules one by one.

use crate::world::{Life, World, all_records, checkpoint};
use bytes::Bytes;
use env::sim::Fault;
use std::num::NonZero;
use std::path::Path;
use std::path::PathBuf;
use storage::{Error, Gather, Position, RecordKind, Replayed, Rewritten, SegmentNumber, Store};
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

/// Writes anew the run from the first segment to `last`, keeping records of even kinds.
fn keep_even(store: &mut Store, last: SegmentNumber) -> Result<Rewritten, Error> {
    let run: Vec<_> = store.segments().iter().map(|segment| segment.number).collect();
    let count = run.iter().position(|number| *number == last).unwrap() + 1;
    let mut rewriting = store.rewrite(&run[..count])?;
    let copied = rewriting.copy(|new, _, kind, payload| {
        if kind.0 % 2 == 0 {
            let at = new.append(kind, &payload)?;
            new.index(kind, &at.offset().to_be_bytes())?;
        }
        Ok::<_, Error>(())
    });
    match copied {
        Ok(()) => rewriting.finish(),
        Err(error) => {
            rewriting.abandon();
            Err(error)
        }
    }
}

/// Records of every kind, over several segments.
fn filled(world: &World) -> (Life, Vec<(RecordKind, Bytes)>) {
    let mut life = world.live().unwrap();
    let records: Vec<_> =
        (1..=60u8).map(|i| (RecordKind(i), Bytes::from(vec![i; 100 + usize::from(i)]))).collect();
    for (kind, payload) in &records {
        life.store.append(*kind, payload).unwrap();
    }
    let _ = life.store.checkpoint(checkpoint(1, 1)).unwrap().run().unwrap();
    (life, records)
}

fn is_there(world: &World, name: &str) -> bool {
    world.env.disk.stat(&Path::new("/data/store").join(name)).unwrap().is_some()
}

/// Space comes back: what is wanted of a run is copied in its order and takes its place; the run can be read until it is
/// retired, its files go when no kept manifest lists them, and a restart finds the records in the same order.
#[test]
fn a_run_is_written_anew_and_its_files_go() {
    let world = World::new(1);
    let (mut life, records) = filled(&world);
    let segments = life.store.segments();
    let last = segments[segments.len() / 2].number;
    let place = |store: &Store, kind: u8| {
        let mut at = None;
        store
            .scan(|position, found, _| {
                if found.0 == kind {
                    at = Some(position);
                }
                Ok::<_, Error>(())
            })
            .unwrap();
        at
    };
    let (odd, even) = (place(&life.store, 1).unwrap(), place(&life.store, 2).unwrap());
    let rewritten = keep_even(&mut life.store, last).unwrap();
    let replaced = life.store.replace(rewritten).unwrap();
    let moved = place(&life.store, 2).unwrap();
    assert_ne!(moved, even);
    assert_eq!(life.store.reader().read(moved).unwrap(), records[1]);
    assert_eq!(life.store.reader().read(odd).unwrap(), records[0], "still readable");
    life.store.retire(&replaced);
    assert!(life.store.reader().read(odd).is_err());
    let gone = life.store.segments().iter().map(|s| s.number).collect::<Vec<_>>();
    assert!(!gone.contains(&last));
    let first = format!("{:08x}.store", odd.segment().0);
    let mut is_there_after = |index| {
        let _ = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
        is_there(&world, &first)
    };
    assert!(is_there_after(2), "the older manifest still lists it");
    assert!(!is_there_after(3));
    let (kept, before) = (all_records(&life.store).unwrap(), life.store.segments().len());
    let expected: Vec<_> = records
        .iter()
        .filter(|(kind, _)| kind.0 % 2 == 0 || kept.iter().any(|k| k.0 == *kind))
        .cloned()
        .collect();
    assert_eq!(kept, expected);
    assert!(kept.len() < records.len() && kept.iter().any(|(kind, _)| kind.0 % 2 == 1));
    drop(life);
    let life = world.live().unwrap();
    assert_eq!((all_records(&life.store).unwrap(), life.store.segments().len()), (kept, before));
}

/// A run of which nothing is wanted leaves no file behind.
#[test]
fn a_run_without_survivors_goes_whole() {
    let world = World::new(1);
    let (mut life, _) = filled(&world);
    let first = life.store.segments()[0].number;
    let rewriting = life.store.rewrite(&[first]).unwrap();
    let replaced = rewriting.finish().and_then(|rewritten| life.store.replace(rewritten)).unwrap();
    life.store.retire(&replaced);
    for index in 2..=3 {
        let _ = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
    }
    assert_eq!(world.env.disk.list(Path::new("/data/store")).unwrap().len(), life.store.segments().len());
    assert!(!all_records(&life.store).unwrap().iter().any(|(kind, _)| kind.0 == 1));
}

/// A rewriting that was not listed before the process ended is as if it had never been; so is one without space.
#[test]
fn an_unlisted_rewriting_never_was() {
    let world = World::new(1);
    let (mut life, records) = filled(&world);
    let last = life.store.segments()[2].number;
    let used: u64 = world.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    world.disk.set_capacity(Some(used + 100));
    let refused = keep_even(&mut life.store, last).unwrap_err();
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused}");
    world.disk.set_capacity(None);
    assert_eq!(all_records(&life.store).unwrap(), records);
    let _ = keep_even(&mut life.store, last).unwrap();
    drop(life);
    let mut life = world.live().unwrap();
    assert_eq!(all_records(&life.store).unwrap(), records);
    life.store.discard_leftovers().unwrap();
    assert_eq!(world.env.disk.list(Path::new("/data/store")).unwrap().len(), life.store.segments().len());
}

/// Only closed segments that follow each other can be written anew: the order of records is the store's meaning.
#[test]
fn what_is_no_run_is_refused() {
    let world = World::new(1);
    let (mut life, _) = filled(&world);
    let numbers: Vec<_> = life.store.segments().iter().map(|segment| segment.number).collect();
    let active = *numbers.last().unwrap();
    for wrong in
        [&[][..], &[active], &[numbers[1], numbers[0]], &[numbers[0], numbers[2]], &[SegmentNumber(77)]]
    {
        assert!(matches!(life.store.rewrite(wrong), Err(Error::Misuse(_))), "{wrong:?}");
    }
    let (first, second) =
        (keep_even(&mut life.store, numbers[1]).unwrap(), keep_even(&mut life.store, numbers[0]).unwrap());
    let _ = life.store.replace(first).unwrap();
    assert!(matches!(life.store.replace(second), Err(Error::Misuse(_))), "its run is gone");
}

/// What a start reads of one segment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    kinds: Vec<u8>,
    indexed: usize,
    is_complete: bool,
}

/// An entry of an index that no reader understands.
const NONSENSE: u8 = 99;

impl Gather for Seen {
    type Error = Error;

    fn add(&mut self, replayed: Replayed<'_>) -> Result<(), Error> {
        self.kinds.push(match replayed {
            Replayed::Record(_, kind, _) => kind.0,
            Replayed::Indexed(_, kind, [NONSENSE]) => {
                return Err(Error::Misuse(format!("nonsense {}", kind.0)));
            }
            Replayed::Indexed(_, kind, payload) => {
                self.indexed += 1;
                assert_eq!(*payload, [kind.0]);
                kind.0
            }
        });
        Ok(())
    }

    fn complete(&mut self) {
        self.is_complete = true;
    }
}

/// What a start reads, segment by segment, and why indexes were passed over.
fn replayed(store: &mut Store) -> Result<(Vec<Seen>, Vec<String>), Error> {
    let (mut segments, mut passed_over) = (Vec::new(), Vec::new());
    store.replay(
        |why| passed_over.push(why.to_string()),
        |segment| {
            segments.push(segment);
            Ok(())
        },
    )?;
    Ok((segments, passed_over))
}

/// What a start reads: indexes where they are, segments where not or where the index is damaged, in the order of records.
#[test]
fn a_start_reads_indexes_and_passes_damaged_ones_over() {
    let world = World::new(1);
    let (mut life, _) = filled(&world);
    let numbers: Vec<_> = life.store.segments().iter().map(|segment| segment.number).collect();
    for number in &numbers[..2] {
        let indexing = life.store.index(*number).unwrap();
        let indexed = indexing.write(|_, kind, _| Ok::<_, Error>(vec![kind.0])).unwrap();
        life.store.put_index(indexed);
        assert!(matches!(life.store.index(*number), Err(Error::Misuse(_))), "it has one");
    }
    let _ = life.store.checkpoint(checkpoint(2, 1)).unwrap().run().unwrap();
    drop(life);
    let read = |world: &World| {
        let (segments, passed_over) = replayed(&mut world.live().unwrap().store).unwrap();
        assert!(segments.iter().all(|segment| segment.is_complete));
        let kinds: Vec<_> = segments.iter().flat_map(|segment| &segment.kinds).copied().collect();
        assert_eq!(kinds, (1..=60).collect::<Vec<_>>());
        (segments.iter().map(|segment| segment.indexed).sum::<usize>(), passed_over)
    };
    let (whole, none) = read(&world);
    assert!(whole > 0 && none.is_empty());
    let index = format!("/data/store/{:08x}.index", numbers[0].0);
    world.env.disk.open(Path::new(&index)).unwrap().write_at(b"!", 150).unwrap();
    let (fewer, passed_over) = read(&world);
    assert!(fewer < whole && passed_over[0].contains(&index), "{passed_over:?}");
    world.env.disk.remove(Path::new(&index)).unwrap();
    assert_eq!(read(&world).0, fewer);
    let mut life = world.live().unwrap();
    replayed(&mut life.store).unwrap();
    let indexed =
        life.store.index(numbers[0]).unwrap().write(|_, kind, _| Ok::<_, Error>(vec![kind.0])).unwrap();
    life.store.put_index(indexed);
    let _ = life.store.checkpoint(checkpoint(3, 1)).unwrap().run().unwrap();
    drop(life);
    assert_eq!(read(&world), (whole, Vec::new()), "it was written anew");
}

/// A world with segments that have an index, segments that have none, and manifests that all list them; answers the numbers of
/// the segments.
fn indexed() -> (World, Vec<SegmentNumber>) {
    let world = World::new(1);
    let (mut life, _) = filled(&world);
    let numbers: Vec<_> = life.store.segments().iter().map(|segment| segment.number).collect();
    for number in numbers.iter().take(numbers.len() - 1).filter(|number| number.0 % 3 != 0) {
        let indexing = life.store.index(*number).unwrap();
        let indexed = indexing.write(|_, kind, _| Ok::<_, Error>(vec![kind.0])).unwrap();
        life.store.put_index(indexed);
    }
    for index in 2..=4 {
        let _ = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
    }
    (world, numbers)
}

/// What a start with so many processors makes of a copy of this world, or why it fails.
fn started(world: &World, processors: usize) -> Result<(Vec<Seen>, Vec<String>), String> {
    let mut copy = world.copy(1);
    copy.env.processors = NonZero::new(processors).unwrap();
    let mut life = copy.live().map_err(|why| why.to_string())?;
    replayed(&mut life.store).map_err(|why| why.to_string())
}

/// However many threads read the store, the same is made of it: what the member serves must not hang on who was faster.
#[test]
fn any_number_of_threads_reads_the_same() {
    let (world, numbers) = indexed();
    let (segments, passed_over) = started(&world, 1).unwrap();
    assert!(numbers.len() > 8 && segments.len() >= numbers.len() && passed_over.is_empty());
    assert!(segments.iter().any(|segment| segment.indexed > 0));
    assert!(segments.iter().any(|segment| segment.indexed == 0 && !segment.kinds.is_empty()));
    for processors in [2, 3, 4, 64] {
        for _ in 0..20 {
            assert_eq!(started(&world, processors).unwrap().0, segments, "{processors} processors");
        }
    }
}

/// Damage is found and named with file and place just as one thread names it, whichever file it is in; of two files it is the first
/// in the order of records that is named. Only indexes are passed over, all of them.
#[test]
fn any_number_of_threads_names_the_same_damage() {
    let (world, numbers) = indexed();
    let damage = |world: &World, path: &Path| {
        let file = world.env.disk.open(path).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, 170).unwrap();
        file.write_at(&[byte[0] ^ 1], 170).unwrap();
    };
    let is_of_store = |path: &PathBuf| path.starts_with("/data/store");
    let files: Vec<_> = world.disk.files().into_keys().filter(is_of_store).collect();
    let has_index = |path: &Path| files.contains(&path.with_extension("index"));
    let (mut passed_over, mut refused) = (0, 0);
    for first in &files {
        for second in [first, &files[files.len() / 2]] {
            let copy = world.copy(1);
            damage(&copy, first);
            if first != second {
                damage(&copy, second);
            }
            let one = started(&copy, 1);
            for processors in [2, 4] {
                assert_eq!(started(&copy, processors), one, "{} {}", first.display(), second.display());
            }
            match &one {
                Ok((_, why)) => passed_over += why.len(),
                Err(why) => {
                    refused += 1;
                    let name =
                        why.contains(first.to_str().unwrap()) || why.contains(second.to_str().unwrap());
                    assert!(name && why.contains("byte 128"), "{why}");
                }
            }
            if first == second && first.extension().unwrap() == "index" {
                let (_, why) = one.unwrap();
                assert!(why.len() == 1 && why[0].contains(first.to_str().unwrap()), "{why:?}");
            } else if first == second && !has_index(first) {
                assert!(one.is_err(), "{}", first.display());
            }
        }
    }
    assert!(passed_over > 5 && refused > 5, "{passed_over} {refused} of {numbers:?}");
}

/// In a young store every manifest is newer than its files: then they are read to their end before the manifest counts, and the
/// first damage of several is named, by any number of threads.
#[test]
fn any_number_of_threads_finds_a_manifest_whole_or_not() {
    let world = World::new(1);
    let (life, _) = filled(&world);
    let numbers: Vec<_> = life.store.segments().iter().map(|segment| segment.number).collect();
    drop(life);
    for number in numbers[2..].iter().rev() {
        let path = format!("/data/store/{:08x}.store", number.0);
        world.env.disk.open(Path::new(&path)).unwrap().write_at(b"!!", 170).unwrap();
        for processors in [1, 2, 4] {
            let mut copy = world.copy(1);
            copy.env.processors = NonZero::new(processors).unwrap();
            let dir = copy.open_dir().unwrap();
            let [why] = dir.passed_over() else { panic!("{:?}", dir.passed_over()) };
            assert!(why.contains(&path) && why.contains("byte 128"), "{why}");
        }
    }
}

/// An entry that is not understood is refused if its index is whole; in a damaged one it says nothing, and the segment is read.
#[test]
fn a_refusal_counts_only_in_a_whole_index() {
    let world = World::new(1);
    let (mut life, _) = filled(&world);
    let first = life.store.segments()[0].number;
    let indexing = life.store.index(first).unwrap();
    let nonsense = indexing.write(|_, _, _| Ok::<_, Error>(vec![NONSENSE])).unwrap();
    life.store.put_index(nonsense);
    let _ = life.store.checkpoint(checkpoint(2, 1)).unwrap().run().unwrap();
    drop(life);
    for processors in [1, 3] {
        assert!(started(&world, processors).unwrap_err().contains("nonsense 1"));
    }
    let index = PathBuf::from(format!("/data/store/{:08x}.index", first.0));
    let len = world.env.disk.stat(&index).unwrap().unwrap().len;
    world.env.disk.open(&index).unwrap().write_at(b"!!", len - 80).unwrap();
    for processors in [1, 3] {
        let (segments, passed_over) = started(&world, processors).unwrap();
        assert_eq!((segments[0].indexed, passed_over.len()), (0, 1));
    }
}

/// What only the older manifest lists survives a restart, so that falling back on it works then too.
#[test]
fn the_older_manifest_keeps_its_files_over_a_restart() {
    let world = World::new(1);
    let (mut life, records) = filled(&world);
    let last = life.store.segments()[1].number;
    let rewritten = keep_even(&mut life.store, last).unwrap();
    let replaced = life.store.replace(rewritten).unwrap();
    life.store.retire(&replaced);
    let _ = life.store.checkpoint(checkpoint(2, 1)).unwrap().run().unwrap();
    drop(life);
    drop(world.live().unwrap());
    let damaged = world.copy(1);
    damaged.env.disk.remove(Path::new("/data/manifest-0000000000000003")).unwrap();
    let life = damaged.live().unwrap();
    assert_eq!(
        (life.store.last_checkpoint(), all_records(&life.store).unwrap()),
        (checkpoint(1, 1), records)
    );
    let mut life = world.live().unwrap();
    let _ = life.store.checkpoint(checkpoint(3, 1)).unwrap().run().unwrap();
    assert!(!is_there(&world, "00000001.store"));
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

/// Room that was made is there: records of so many bytes are appended on a disk that became full meanwhile; where there is
/// none, nothing changes.
#[test]
fn room_that_was_made_is_there() {
    let world = World::new(3);
    let mut life = world.live().unwrap();
    life.store.append(RecordKind(1), &[1; 700]).unwrap();
    let used: u64 = world.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    world.disk.set_capacity(Some(used + 600));
    let segments = life.store.segments();
    assert!(matches!(life.store.make_room(700), Err(Error::NoSpace { .. })));
    assert_eq!(life.store.segments(), segments);
    world.disk.set_capacity(None);
    life.store.make_room(700).unwrap();
    world.disk.set_capacity(Some(0));
    life.store.append(RecordKind(1), &[2; 650]).unwrap();
    assert!(matches!(life.store.append(RecordKind(1), &[2; 700]), Err(Error::NoSpace { .. })));
}
