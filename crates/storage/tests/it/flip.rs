//! Somebody changes a byte: everything that is read afterwards is what was written, or an error says that it is not.

use crate::world::{DATA, World, all_entries, all_records, checkpoint, entry};
use bytes::Bytes;
use consensus::{Entry, HardState};
use std::path::{Path, PathBuf};
use storage::{Error, LogBatch, RecordKind};
use types::{LogIndex, Term};

/// A small directory: two lives, two checkpoints, entries after the last one.
fn small() -> World {
    let world = World::new(5);
    let mut index = 0;
    for life in 1..=2u64 {
        let mut life_ = world.live().unwrap();
        for _ in 0..3 {
            index += 1;
            let entries = [entry(index, life, format!("marker-entry-{index}"))];
            let hard_state =
                Some(HardState { term: Term(life), commit: LogIndex(index), ..Default::default() });
            life_.writer.append(LogBatch { hard_state, entries: &entries, audit: &[] }).unwrap();
            life_.writer.sync().unwrap();
            life_.store.append(RecordKind(1), format!("marker-record-{index}").as_bytes()).unwrap();
            if index % 3 == 2 {
                let _ = life_.store.checkpoint(checkpoint(index, life)).unwrap().run().unwrap();
            }
        }
        drop(life_);
        world.disk.kill();
    }
    world
}

type Content = (Vec<Entry>, HardState, u64, Vec<(RecordKind, Bytes)>);

fn content(world: &World) -> Result<Content, Error> {
    let life = world.live()?;
    let records = all_records(&life.store)?;
    let index = life.store.last_checkpoint().consistent_index.0;
    Ok((all_entries(&life.reader), life.recovered.hard_state, index, records))
}

/// What may be read: the same; or the older checkpoint with the log that goes on from it; or without the beginning of
/// the log that the store covers.
fn is_harmless(found: &Content, whole: &Content) -> bool {
    let (entries, hard_state, index, records) = found;
    (whole.0.ends_with(entries) && !entries.is_empty() && hard_state == &whole.1)
        && entries.first().is_none_or(|first| first.index.0 <= index + 1)
        && ((index, records) == (&whole.2, &whole.3) || *index < whole.2 && whole.3.starts_with(records))
}

/// Every byte of every file, flipped in two ways: detected, with the file's name, or harmless and equal. Served wrong bytes are what etcd has.
#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let world = small();
    let whole = content(&world.copy(1)).unwrap();
    assert_eq!((whole.0.len(), whole.2), (6, 5));
    let (mut found, mut harmless) = (0, 0);
    for (path, bytes) in world.disk.files().into_iter().filter(|(path, _)| path.starts_with(DATA)) {
        let mut at = 0;
        while at < bytes.len() {
            let copy = world.copy(1);
            let file = copy.env.disk.open(&path).unwrap();
            file.write_at(&[bytes[at] ^ if at % 2 == 0 { 0x80 } else { 0x01 }], at as u64).unwrap();
            match content(&copy) {
                Err(error) => {
                    let (name, error) = (path.file_name().unwrap().to_str().unwrap(), error.to_string());
                    // A newer program's data, or another member's: then nothing is said to be damaged.
                    let is_foreign = error.contains("format version") || error.contains("belongs to member");
                    assert!(error.contains(name) || is_foreign, "{} byte {at}: {error}", path.display());
                    found += 1;
                }
                Ok(content) => {
                    assert!(is_harmless(&content, &whole), "{} byte {at}: {content:?}", path.display());
                    harmless += 1;
                }
            }
            // Long runs of zeros beyond what was written are tried here and there only.
            let zeros = bytes[at..].iter().take_while(|byte| **byte == 0).count();
            at += if zeros > 64 { 17 } else { 1 };
        }
    }
    assert!(found > 1000 && harmless > 100, "found {found}, harmless {harmless}");
}

/// Every file cut, emptied or removed: detected or harmless. A lost file must never pass for an old state unseen, except for
/// the end of the log, which only peers or the freshness mark can tell from one that was never written.
#[test]
fn every_missing_or_cut_file_is_found_or_harmless() {
    let world = small();
    let whole = content(&world.copy(1)).unwrap();
    for (path, bytes) in world.disk.files().into_iter().filter(|(path, _)| path.starts_with(DATA)) {
        let is_log = path.starts_with(Path::new(DATA).join("log"));
        let check = |what: &str, change: &dyn Fn(&World, &PathBuf)| {
            let copy = world.copy(1);
            change(&copy, &path);
            if let Ok(content) = content(&copy) {
                let is_prefix = is_log && whole.0.starts_with(&content.0) && content.2 == whole.2;
                assert!(is_prefix || is_harmless(&content, &whole), "{what} {}: {content:?}", path.display());
            }
        };
        check("without", &|copy, path| copy.env.disk.remove(path).unwrap());
        for len in (0..bytes.len()).step_by(13) {
            check("cut", &|copy, path| copy.env.disk.open(path).unwrap().set_len(len as u64).unwrap());
        }
    }
}

/// Every sector of the log zeroed, as a disk that lost a write: damage, unless it lies in the last batch, which may never have
/// been synced, or in what is dead anyway.
#[test]
fn a_lost_sector_is_damage_except_in_the_last_batch() {
    let world = World::new(6);
    let mut life = world.live().unwrap();
    let mut last_batch = 0;
    for index in 1..=12u64 {
        let entries: Vec<_> = (0..2).map(|i| entry(index * 2 - 1 + i, 1, [7; 40])).collect();
        let path = Path::new(DATA).join("log/0000000000000001.log");
        let written = |world: &World| {
            let bytes = &world.disk.files()[&path];
            bytes.iter().rposition(|byte| *byte != 0).unwrap()
        };
        last_batch = written(&world) + 1;
        life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
        life.writer.sync().unwrap();
    }
    drop(life);
    let path = Path::new(DATA).join("log/0000000000000001.log");
    let len = world.disk.files()[&path].len();
    let (mut damaged, mut torn) = (0, 0);
    for sector in 0..len.div_ceil(512) {
        let copy = world.copy(1);
        copy.env.disk.open(&path).unwrap().write_at(&[0; 512], sector as u64 * 512).unwrap();
        let opened = copy.live().map(|life| all_entries(&life.reader).len());
        match opened {
            Err(Error::Damaged { .. }) => damaged += 1,
            Ok(24) => assert!(sector * 512 > last_batch),
            Ok(22 | 23) => {
                assert!((sector + 1) * 512 > last_batch, "sector {sector}, last batch at {last_batch}");
                torn += 1;
            }
            other => panic!("sector {sector}: {other:?}"),
        }
    }
    assert!(damaged >= 4 && torn <= 2, "{damaged} damaged, {torn} torn");
}

/// The beginnings of batches zeroed one by one: a batch of which even the first record is gone is taken for torn only if
/// it is the last.
#[test]
fn a_lost_batch_is_damage_when_another_follows() {
    let world = World::new(7);
    let mut life = world.live().unwrap();
    // Batches of exactly one sector each, from the second sector on.
    let fill = 512 - 242 - 37 - 21 - 17;
    let whole = 512 - 37 - 21 - 17;
    for index in 1..=4u64 {
        let entries = [entry(index, 1, vec![7; if index == 1 { fill } else { whole }])];
        life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
        life.writer.sync().unwrap();
    }
    drop(life);
    let path = Path::new(DATA).join("log/0000000000000001.log");
    let opened = |sector: u64| {
        let copy = world.copy(1);
        copy.env.disk.open(&path).unwrap().write_at(&[0; 512], sector * 512).unwrap();
        copy.live().map(|life| all_entries(&life.reader).len())
    };
    assert!(matches!(opened(1), Err(Error::Damaged { .. })));
    assert!(matches!(opened(2), Err(Error::Damaged { .. })));
    assert_eq!(opened(3).unwrap(), 3, "the last batch may never have been synced");
}

/// A sector lost inside a batch is damage when another batch follows: that one was written after the first was synced.
#[test]
fn a_sector_lost_inside_a_batch_is_damage_when_another_follows() {
    for batches in [1, 2] {
        let world = World::new(8);
        let mut life = world.live().unwrap();
        for index in 1..=batches {
            let entries = [entry(index, 1, [7; 700])];
            life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
            life.writer.sync().unwrap();
        }
        drop(life);
        let file = world.env.disk.open(Path::new("/data/log/0000000000000001.log")).unwrap();
        file.write_at(&[0; 512], 512).unwrap();
        let opened = world.live().map(|life| all_entries(&life.reader).len());
        match batches {
            1 => assert_eq!(opened.unwrap(), 0),
            _ => assert!(matches!(opened, Err(Error::Damaged { .. })), "{opened:?}"),
        }
    }
}

/// Any two files swapped: each is bound to its name's number, so the swap is found, or what is left is what an earlier
/// moment had. That is so where the last file of the log counts as never begun; as with one that is removed, only peers or
/// the freshness mark can tell.
#[test]
fn swapped_files_are_found() {
    let world = small();
    let whole = content(&world.copy(1)).unwrap();
    let files: Vec<_> = world.disk.files().into_iter().filter(|(path, _)| path.starts_with(DATA)).collect();
    for (i, (a, a_bytes)) in files.iter().enumerate() {
        for (b, b_bytes) in files.iter().skip(i + 1) {
            let copy = world.copy(1);
            copy.env.disk.replace(a, b_bytes).unwrap();
            copy.env.disk.replace(b, a_bytes).unwrap();
            if let Ok(content) = content(&copy) {
                let is_log = [a, b].iter().any(|path| path.starts_with(Path::new(DATA).join("log")));
                let is_earlier = is_log && whole.0.starts_with(&content.0) && whole.3.starts_with(&content.3);
                assert!(is_earlier || is_harmless(&content, &whole), "{} and {}", a.display(), b.display());
            }
        }
    }
}

/// Nothing readable reaches the disk: not raw, not in hexadecimal (ENC-23). The same search finds a marker in a plain file.
#[test]
fn no_marker_is_readable() {
    let world = small();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let contains =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let readable = |world: &World, text: &str| {
        let files = world.disk.files();
        files.values().any(|bytes| contains(bytes, text) || contains(bytes, &hex(text)))
    };
    for marker in ["marker-entry", "marker-record", "conf 5", "meta 5"] {
        assert!(!readable(&world, marker), "{marker}");
    }
    world.env.disk.replace(Path::new("/data/plain"), b"a marker-entry in clear").unwrap();
    assert!(readable(&world, "marker-entry"));
}
