//! The freshness mark tells what the data directory cannot: that it is older than it was.

use crate::world::{DATA, Life, World, checkpoint, entry};
use env::sim::SimClock;
use env::{Clock, Env};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::{Freshness, FreshnessMark, LogBatch, LogPosition, Mark};

fn opened(world: &World, life: &Life) -> (FreshnessMark, Freshness) {
    FreshnessMark::open(&life.dir, &life.recovered, world.mark()).unwrap()
}

/// Writes an entry and a checkpoint, and notes how far that is.
fn go_on(life: &mut Life, mark: &mut FreshnessMark, index: u64) -> bool {
    let entries = [entry(index, 1, b"data")];
    life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
    life.writer.sync().unwrap();
    let generation = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap().generation;
    mark.note(Mark { generation, position: life.writer.synced_position() }).unwrap()
}

/// The key directory has the mark beside the key; the world's `key` must go on finding the key.
fn world() -> (World, SimClock) {
    let mut world = World::new(1);
    let clock = SimClock::new();
    world.env = Env { clock: Arc::new(clock.clone()), ..world.env };
    (world, clock)
}

/// A member that was stopped and started, by power failures too, is never called rolled back.
#[test]
fn an_untouched_directory_is_fresh() {
    let (world, clock) = world();
    for index in 1..=30 {
        let mut life = world.live().unwrap();
        let (mut mark, freshness) = opened(&world, &life);
        let is_expected = match freshness {
            Freshness::Fresh => true,
            Freshness::Unmarked | Freshness::Unreadable(_) => true,
            Freshness::RolledBack { .. } => false,
        };
        assert!(is_expected, "{freshness:?}");
        assert!(go_on(&mut life, &mut mark, index));
        clock.advance(Duration::from_secs(2));
        drop((life, mark));
        if index % 2 == 0 { world.disk.kill() } else { world.disk.crash(index) }
    }
}

/// A directory put back from an old copy is behind its mark.
#[test]
fn an_old_copy_is_found() {
    let (world, clock) = world();
    let mut life = world.live().unwrap();
    let (mut mark, freshness) = opened(&world, &life);
    assert_eq!(freshness, Freshness::Unmarked);
    assert!(go_on(&mut life, &mut mark, 1));
    let old: Vec<_> = world.disk.files().into_iter().filter(|(path, _)| path.starts_with(DATA)).collect();
    clock.advance(Duration::from_secs(2));
    assert!(go_on(&mut life, &mut mark, 2));
    drop((life, mark));
    let copy = world.copy(1);
    assert_eq!(opened(&copy, &copy.live().unwrap()).1, Freshness::Fresh);
    for path in world.disk.files().keys().filter(|path| path.starts_with(DATA)) {
        world.env.disk.remove(path).unwrap();
    }
    old.iter().for_each(|(path, bytes)| world.env.disk.replace(path, bytes).unwrap());
    let (_, freshness) = opened(&world, &world.live().unwrap());
    assert!(matches!(freshness, Freshness::RolledBack { .. }), "{freshness:?}");
}

/// The last batch zeroed looks like one that was never written; the mark knows better.
#[test]
fn a_lost_tail_is_found() {
    let (world, clock) = world();
    let mut life = world.live().unwrap();
    let (mut mark, _) = opened(&world, &life);
    go_on(&mut life, &mut mark, 1);
    let before = life.writer.synced_position();
    clock.advance(Duration::from_secs(2));
    go_on(&mut life, &mut mark, 2);
    let after = life.writer.synced_position();
    drop((life, mark));
    let file = world.env.disk.open(Path::new("/data/log/0000000000000001.log")).unwrap();
    file.write_at(&vec![0; (after.offset - before.offset) as usize], before.offset).unwrap();
    let life = world.live().unwrap();
    assert_eq!(life.recovered.last.0, 1, "storage alone cannot tell");
    let Freshness::RolledBack { marked, found } = opened(&world, &life).1 else { panic!() };
    assert_eq!((marked.position, found.position), (after, before));
    assert_eq!(marked.generation, found.generation);
}

/// At most one mark a second, however often it is asked for: it is on the way of every batch.
#[test]
fn a_mark_is_written_once_a_second() {
    let (world, clock) = world();
    let life = world.live().unwrap();
    let (mut mark, _) = opened(&world, &life);
    let mut note =
        |offset| mark.note(Mark { generation: 1, position: LogPosition { segment: 1, offset } }).unwrap();
    assert!(note(1));
    clock.advance(Duration::from_millis(999));
    assert!(!note(2));
    clock.advance(Duration::from_millis(1));
    assert!(note(3));
    clock.advance(Duration::from_secs(5));
    assert!(!note(3), "nothing new");
    assert!(clock.monotonic().millis() == 6000);
}

/// A mark that was changed or cut says nothing, and never stands in the way of a start.
#[test]
fn a_changed_mark_is_unreadable() {
    let (world, _) = world();
    let mut life = world.live().unwrap();
    let (mut mark, _) = opened(&world, &life);
    go_on(&mut life, &mut mark, 1);
    let bytes = world.disk.files()[&world.mark()].clone();
    for (at, byte) in bytes.iter().enumerate() {
        let file = world.env.disk.open(&world.mark()).unwrap();
        file.write_at(&[byte ^ 1], at as u64).unwrap();
        assert!(matches!(opened(&world, &life).1, Freshness::Unreadable(_)), "byte {at}");
        file.write_at(&[*byte], at as u64).unwrap();
    }
    for len in 0..bytes.len() {
        world.env.disk.replace(&world.mark(), &bytes[..len]).unwrap();
        assert!(matches!(opened(&world, &life).1, Freshness::Unreadable(_)), "cut to {len}");
    }
}
