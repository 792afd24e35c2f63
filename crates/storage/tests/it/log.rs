//! The log's rules one by one.

use crate::world::{LOG, World, all_entries, checkpoint, entry};
use bytes::Bytes;
use consensus::{Entry, HardState, LogError, LogRead};
use env::sim::Fault;
use storage::{Error, Log, LogBatch, LogOptions, LogWriter};
use types::{LogIndex, Term};

fn append(writer: &mut LogWriter, entries: &[Entry]) -> Result<(), Error> {
    writer.append(LogBatch { entries, ..LogBatch::default() })?;
    writer.sync()
}

fn some(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    range.map(|i| entry(i, term, format!("entry {i} of term {term} {}", "x".repeat(100)))).collect()
}

/// Entries come back the same from memory and from disk, within the bytes asked for but at least one.
#[test]
fn entries_are_read_from_memory_and_disk_alike() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let all = some(1..=60, 1);
    for entries in all.chunks(4) {
        append(&mut life.writer, entries).unwrap();
    }
    for low in 1..=60u64 {
        for high in [low, low + 1, 30.max(low), 61] {
            let found = life.reader.entries(LogIndex(low), LogIndex(high), u64::MAX).unwrap();
            assert_eq!(found, all[low as usize - 1..high as usize - 1]);
        }
        let few = life.reader.entries(LogIndex(low), LogIndex(61), 400).unwrap();
        assert!((1..=3).contains(&few.len()) && few == all[low as usize - 1..][..few.len()], "{}", few.len());
        assert_eq!(life.reader.entries(LogIndex(low), LogIndex(61), 0).unwrap().len(), 1);
    }
    assert_eq!(life.reader.entries(LogIndex(0), LogIndex(5), 1), Err(LogError::Compacted));
    assert_eq!(life.reader.entries(LogIndex(60), LogIndex(62), 1), Err(LogError::Unavailable));
    assert_eq!(life.reader.term(LogIndex(0)), Ok(Term(0)));
    assert_eq!(life.reader.term(LogIndex(61)), Err(LogError::Unavailable));
}

/// A conflicting suffix is superseded at once and after a restart, also across segments: a follower's log must become its
/// leader's.
#[test]
fn a_conflicting_suffix_is_superseded() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for entries in some(1..=40, 1).chunks(3) {
        append(&mut life.writer, entries).unwrap();
    }
    append(&mut life.writer, &some(11..=12, 2)).unwrap();
    append(&mut life.writer, &some(13..=13, 3)).unwrap();
    let expected = [some(1..=10, 1), some(11..=12, 2), some(13..=13, 3)].concat();
    assert_eq!(all_entries(&life.reader), expected);
    drop(life);
    let life = world.live().unwrap();
    assert_eq!(all_entries(&life.reader), expected);
    assert_eq!(life.reader.term(LogIndex(12)), Ok(Term(2)));
}

/// Release deletes whole segments of released entries only; the term just before the first entry stays known, for raft's
/// consistency check; the rest survives a restart.
#[test]
fn release_keeps_what_is_needed() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let all = some(1..=60, 7);
    for entries in all.chunks(5) {
        append(&mut life.writer, entries).unwrap();
    }
    let before = world.disk.files().len();
    life.writer.release(LogIndex(1)).unwrap();
    assert_eq!(life.reader.first_index(), LogIndex(1));
    let _ = life.store.checkpoint(checkpoint(39, 7)).unwrap().run().unwrap();
    life.writer.release(LogIndex(40)).unwrap();
    let first = life.reader.first_index();
    assert!(first > LogIndex(20) && first <= LogIndex(40), "{first}");
    assert!(world.disk.files().len() < before);
    assert_eq!(life.reader.term(first.saturating_back(1)), Ok(Term(7)));
    assert_eq!(life.reader.entries(first.saturating_back(1), first, 1), Err(LogError::Compacted));
    drop(life);
    let life = world.live().unwrap();
    assert_eq!(life.recovered.first, first);
    assert_eq!(all_entries(&life.reader), all[first.0 as usize - 1..]);
}

/// What is kept for members that lag is limited in bytes too: five thousand large entries would fill a disk.
#[test]
fn the_newest_segments_within_so_many_bytes_are_known() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for entries in some(1..=60, 1).chunks(2) {
        append(&mut life.writer, entries).unwrap();
    }
    let all = life.writer.first_within(u64::MAX);
    let (few, none) = (life.writer.first_within(2 * LOG.segment_bytes), life.writer.first_within(0));
    assert_eq!(all, LogIndex(1));
    assert!(all < few && few < none && none <= LogIndex(61), "{all} {few} {none}");
    let files =
        |world: &World| world.disk.files().into_keys().filter(|path| path.starts_with("/data/log")).count();
    assert!(files(&world) > 4);
    let _ = life.store.checkpoint(checkpoint(60, 1)).unwrap().run().unwrap();
    life.writer.release(few).unwrap();
    assert_eq!(life.reader.first_index(), few, "a whole segment begins there");
    assert!(files(&world) <= 4, "two, the current one, the next one: {}", files(&world));
    drop(life);
    let life = world.live().unwrap();
    assert_eq!(life.writer.first_within(u64::MAX), few, "known after a restart too");
}

/// Staged entries are readable before they are written, also those that newer ones superseded meanwhile: consensus reads
/// what it handed out, and the writer lags.
#[test]
fn staged_entries_are_readable_before_they_are_written() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let (old, new) = (some(1..=6, 1), some(4..=5, 2));
    life.reader.stage(&old);
    life.reader.stage(&new);
    let expected = [&old[..3], &new[..]].concat();
    assert_eq!(all_entries(&life.reader), expected);
    append(&mut life.writer, &old).unwrap();
    assert_eq!(all_entries(&life.reader), expected);
    append(&mut life.writer, &new).unwrap();
    assert_eq!(all_entries(&life.reader), expected);
    drop(life);
    assert_eq!(all_entries(&world.live().unwrap().reader), expected);
}

/// What is staged stays in memory until it is written, beyond the limit too: there is nowhere else to read it from.
#[test]
fn staged_entries_stay_in_memory_until_they_are_written() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let all = some(1..=50, 1);
    for entries in all.chunks(10) {
        life.reader.stage(entries);
    }
    append(&mut life.writer, &all[..10]).unwrap();
    assert_eq!(all_entries(&life.reader), all);
}

/// Superseding and release together: entries that superseded released ones go with them, the rest stays readable, also
/// after a restart, and the newest terms count.
#[test]
fn entries_that_superseded_released_ones_go_with_them() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for entries in some(1..=36, 1).chunks(4).chain(some(11..=70, 2).chunks(4)) {
        append(&mut life.writer, entries).unwrap();
    }
    let _ = life.store.checkpoint(checkpoint(45, 2)).unwrap().run().unwrap();
    life.writer.release(LogIndex(30)).unwrap();
    let first = life.reader.first_index();
    assert!(first > LogIndex(11) && first <= LogIndex(30), "{first}");
    assert_eq!(life.reader.term(first.saturating_back(1)), Ok(Term(2)));
    drop(life);
    let life = world.live().unwrap();
    let found = all_entries(&life.reader);
    assert!(life.recovered.first <= LogIndex(30) && life.recovered.last == LogIndex(70));
    assert_eq!(found, some(life.recovered.first.0..=70, 2));
    assert_eq!(life.reader.term(life.recovered.first.saturating_back(1)), Ok(Term(2)));
}

/// A reset begins the log anew after an entry, durably: what an installed snapshot does.
#[test]
fn a_reset_begins_anew() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    append(&mut life.writer, &some(1..=3, 1)).unwrap();
    let _ = life.store.checkpoint(checkpoint(100, 5)).unwrap().run().unwrap();
    assert!(matches!(life.writer.reset(LogIndex(3), Term(1)), Err(Error::Misuse(_))));
    life.writer.reset(LogIndex(100), Term(5)).unwrap();
    append(&mut life.writer, &some(101..=102, 5)).unwrap();
    drop(life);
    let life = world.live().unwrap();
    assert_eq!((life.recovered.first, life.recovered.last), (LogIndex(101), LogIndex(102)));
    assert_eq!(life.reader.term(LogIndex(100)), Ok(Term(5)));
    assert_eq!(all_entries(&life.reader), some(101..=102, 5));
}

/// A log that begins after the store's end is refused: entries are missing between them.
#[test]
fn a_gap_between_store_and_log_is_refused() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    life.writer.reset(LogIndex(100), Term(5)).unwrap();
    drop(life);
    let dir = world.open_dir().unwrap();
    let error = Log::open(&dir, LOG).unwrap_err().to_string();
    assert!(error.contains("the store ends at entry 0, but the log begins at 101"), "{error}");
}

/// The hard state survives, and its commit never points beyond the log, which the raft library would not forgive.
#[test]
fn the_hard_state_survives_within_the_log() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let state = HardState { term: Term(9), vote: types::MemberId(3), commit: LogIndex(50) };
    life.writer.append(LogBatch { hard_state: Some(state), entries: &some(1..=2, 9), audit: &[] }).unwrap();
    life.writer.sync().unwrap();
    drop(life);
    for _ in 0..3 {
        let life = world.live().unwrap();
        assert_eq!(life.recovered.hard_state, HardState { commit: LogIndex(2), ..state });
    }
}

/// A new commit index alone costs no write: it goes with the next batch, or with a sync that asks for it.
#[test]
fn a_hard_state_alone_waits_for_company() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    append(&mut life.writer, &some(1..=3, 1)).unwrap();
    let acts = world.disk.acts();
    let commit = |index| HardState { term: Term(1), vote: types::MemberId(1), commit: LogIndex(index) };
    let only = |index| LogBatch { hard_state: Some(commit(index)), ..LogBatch::default() };
    life.writer.append(only(1)).unwrap();
    life.writer.append(only(2)).unwrap();
    assert_eq!(world.disk.acts() - acts, 0);
    append(&mut life.writer, &some(4..=4, 1)).unwrap();
    assert_eq!(world.disk.acts() - acts, 2, "one write, one sync");
    assert_eq!(world.copy(1).live().unwrap().recovered.hard_state, commit(2));
    life.writer.append(only(4)).unwrap();
    life.writer.sync().unwrap();
    assert_eq!(world.disk.acts() - acts, 4);
    assert_eq!(world.copy(1).live().unwrap().recovered.hard_state, commit(4));
    life.writer.sync().unwrap();
    assert_eq!(world.disk.acts() - acts, 4, "nothing to do");
}

/// A batch that does not go on where the log ends is the caller's mistake; the log goes on.
#[test]
fn a_gap_in_a_batch_is_refused() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for wrong in [some(2..=2, 1), [some(1..=1, 1), some(3..=3, 1)].concat()] {
        assert!(matches!(append(&mut life.writer, &wrong), Err(Error::Misuse(_))));
    }
    append(&mut life.writer, &some(1..=1, 1)).unwrap();
}

/// After a failed write or sync the writer refuses everything: what is durable is not known any more.
#[test]
fn a_failed_write_or_sync_poisons() {
    for act in 1..=2 {
        let world = World::new(1);
        let mut life = world.live().unwrap();
        append(&mut life.writer, &some(1..=1, 1)).unwrap();
        world.disk.fail_at(act, Fault::Io);
        assert!(matches!(append(&mut life.writer, &some(2..=2, 1)), Err(Error::Disk(_))));
        for _ in 0..2 {
            assert!(matches!(append(&mut life.writer, &some(2..=2, 1)), Err(Error::Poisoned { .. })));
        }
        assert!(matches!(life.writer.sync(), Err(Error::Poisoned { .. })));
        assert!(matches!(life.writer.release(LogIndex(1)), Err(Error::Poisoned { .. })));
    }
}

/// A full disk shows ahead, while the segment under way has room; a batch without room is refused whole; with space the
/// log goes on as if nothing had been.
#[test]
fn a_full_disk_shows_ahead_and_does_not_poison() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let used: u64 = world.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    world.disk.set_capacity(Some(used));
    let mut last = 0;
    let refused = loop {
        match append(&mut life.writer, &some(last + 1..=last + 1, 1)) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused}");
    assert!(life.writer.is_short_of_space() && last > 10, "{last}");
    world.disk.set_capacity(None);
    for i in last + 1..=last + 20 {
        append(&mut life.writer, &some(i..=i, 1)).unwrap();
    }
    assert!(!life.writer.is_short_of_space());
    drop(life);
    assert_eq!(all_entries(&world.live().unwrap().reader), some(1..=last + 20, 1));
}

/// A member starts on a full disk, with a smaller segment, says that it is short of space, and has all its entries: etcd
/// does not come up again then.
#[test]
fn a_start_on_a_full_disk_makes_do_with_less() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for i in 1..=6 {
        append(&mut life.writer, &some(i..=i, 1)).unwrap();
    }
    drop(life);
    let used: u64 = world.disk.files().values().map(|bytes| bytes.len() as u64).sum();
    world.disk.set_capacity(Some(used));
    let mut life = world.live().unwrap();
    assert_eq!(all_entries(&life.reader), some(1..=6, 1));
    assert!(life.writer.is_short_of_space());
    append(&mut life.writer, &some(7..=7, 1)).unwrap();
    drop(life);
    world.disk.set_capacity(None);
    let life = world.live().unwrap();
    assert_eq!(all_entries(&life.reader), some(1..=7, 1));
    assert!(!life.writer.is_short_of_space());
}

/// A batch larger than a segment gets a segment of its size.
#[test]
fn a_large_batch_gets_a_large_segment() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let large = [entry(1, 1, vec![7; 10_000]), entry(2, 1, vec![8; 20_000])];
    append(&mut life.writer, &large).unwrap();
    append(&mut life.writer, &some(3..=3, 1)).unwrap();
    drop(life);
    assert_eq!(all_entries(&world.live().unwrap().reader), [&large[..], &some(3..=3, 1)].concat());
}

/// Memory is bounded: only the newest entries stay in it, the rest is read from the disk (and fails with it).
#[test]
fn old_entries_leave_memory() {
    let world = World::new(1);
    let dir = world.create().unwrap();
    let options = LogOptions { segment_bytes: 1 << 20, tail_bytes: 1000 };
    let (mut writer, reader, _) = Log::open(&dir, options).unwrap();
    append(&mut writer, &some(1..=100, 1)).unwrap();
    world.disk.fail_at(1, Fault::PowerBefore);
    let _ = append(&mut writer, &some(101..=101, 1));
    assert!(reader.entries(LogIndex(99), LogIndex(101), u64::MAX).is_ok());
    let error = reader.entries(LogIndex(1), LogIndex(2), u64::MAX).unwrap_err();
    assert!(matches!(error, LogError::Broken(_)), "{error}");
}

/// Audit intents ride in the batch of their entries: they cost no sync of their own.
#[test]
fn audit_intents_ride_along() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let audit = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
    let acts = world.disk.acts();
    life.writer.append(LogBatch { audit: &audit, entries: &some(1..=2, 1), hard_state: None }).unwrap();
    life.writer.sync().unwrap();
    assert_eq!(world.disk.acts() - acts, 2, "one write and one sync a batch");
    drop(life);
    assert_eq!(all_entries(&world.live().unwrap().reader), some(1..=2, 1));
}
