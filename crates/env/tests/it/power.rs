//! What the simulated disk loses when the power fails: no more than it may, and all that it may, so that what survives a test on
//! it did not survive by luck.

use env::Disk;
use env::sim::{Fault, SimDisk};
use std::collections::BTreeSet;
use std::path::Path;

fn disk_with(content: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    let file = disk.create(Path::new("/file"), 0).unwrap();
    file.write_at(content, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

/// Synced bytes and names survive every power failure; files opened before it are dead.
#[test]
fn what_is_synced_survives() {
    for seed in 0..50 {
        let disk = disk_with(b"synced");
        let open = disk.open(Path::new("/file")).unwrap();
        disk.crash(seed);
        assert_eq!(disk.read(Path::new("/file"), 100).unwrap(), b"synced");
        assert!(open.write_at(b"x", 0).is_err());
    }
}

/// Of an unsynced write any sectors may be lost: all, none and some are seen, and each sector is old or new as a whole.
#[test]
fn an_unsynced_write_tears_at_sectors() {
    let mut fates = BTreeSet::new();
    for seed in 0..200 {
        let disk = disk_with(&[1; 2048]);
        disk.open(Path::new("/file")).unwrap().write_at(&[2; 1500], 100).unwrap();
        disk.crash(seed);
        let bytes = disk.read(Path::new("/file"), 4096).unwrap();
        let new = |range: std::ops::Range<usize>| {
            let all = bytes[range.clone()].iter().all(|byte| *byte == 2);
            assert!(all || bytes[range].iter().all(|byte| *byte == 1));
            all
        };
        assert!(bytes[..100].iter().chain(&bytes[1600..]).all(|byte| *byte == 1));
        fates.insert([new(100..512), new(512..1024), new(1024..1536), new(1536..1600)]);
    }
    assert_eq!(fates.len(), 16, "every combination is seen: {fates:?}");
}

/// Unsynced names may be lost, but a later one never survives without an earlier one; a replacement is old or new.
#[test]
fn unsynced_names_survive_in_order() {
    let mut fates = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk_with(b"old");
        disk.create(Path::new("/a"), 0).unwrap();
        disk.create(Path::new("/b"), 0).unwrap();
        disk.remove(Path::new("/file")).unwrap();
        disk.crash(seed);
        let there = |path| disk.stat(Path::new(path)).unwrap().is_some();
        fates.insert((there("/a"), there("/b"), !there("/file")));
    }
    let expected = [(false, false, false), (true, false, false), (true, true, false), (true, true, true)];
    assert_eq!(fates, BTreeSet::from(expected));
}

/// A replacement cut short at any act leaves the old or the new content, whole.
#[test]
fn a_replacement_cut_short_is_old_or_new() {
    let mut seen = BTreeSet::new();
    for act in 1..=6 {
        for seed in 0..20 {
            let disk = disk_with(b"old");
            disk.fail_at(act, Fault::PowerAfter);
            let done = disk.replace(Path::new("/file"), b"new content");
            let is_over = disk.clear_fault();
            disk.crash(seed);
            let content = disk.read(Path::new("/file"), 100).unwrap();
            assert!(content == b"old" || content == b"new content");
            assert!(!is_over || (done.is_ok() && content == b"new content"));
            seen.insert(content);
        }
    }
    assert_eq!(seen.len(), 2);
}

/// A replacement that fails leaves nothing behind but the old content: on a full disk one more file for each try would take the space
/// that the next one needs.
#[test]
fn a_replacement_that_fails_leaves_nothing_behind() {
    let mut failed = 0;
    for act in 1..=4 {
        for fault in [Fault::NoSpace, Fault::Io] {
            let disk = disk_with(b"old");
            disk.fail_at(act, fault);
            let done = disk.replace(Path::new("/file"), b"new content");
            disk.clear_fault();
            failed += u32::from(done.is_err());
            let content = disk.read(Path::new("/file"), 100).unwrap();
            assert_eq!(content, if done.is_ok() { &b"new content"[..] } else { b"old" }, "act {act}");
            assert_eq!(disk.list(Path::new("/")).unwrap(), ["file"], "act {act}, {fault:?}");
        }
    }
    assert!(failed >= 6, "{failed}");
}

/// A killed process loses nothing that it wrote, synced or not; its locks are given back.
#[test]
fn a_killed_process_loses_nothing() {
    let disk = disk_with(b"old");
    let lock = disk.lock_dir(Path::new("/")).unwrap();
    disk.open(Path::new("/file")).unwrap().write_at(b"new", 0).unwrap();
    disk.kill();
    assert_eq!(disk.read(Path::new("/file"), 100).unwrap(), b"new");
    let again = disk.lock_dir(Path::new("/")).unwrap();
    assert!(again.is_some());
    drop(lock);
    assert!(disk.lock_dir(Path::new("/")).unwrap().is_none(), "a dead lock gives nothing back");
}

/// Faults strike the act they were set for, once.
#[test]
fn a_fault_strikes_once() {
    let disk = disk_with(b"old");
    let file = disk.open(Path::new("/file")).unwrap();
    disk.fail_at(2, Fault::Io);
    file.write_at(b"x", 0).unwrap();
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    disk.fail_at(1, Fault::NoSpace);
    assert!(file.write_at(b"x", 0).unwrap_err().is_no_space());
    disk.fail_at(1, Fault::PowerBefore);
    assert!(file.write_at(b"y", 0).is_err() && disk.list(Path::new("/")).is_err());
    disk.crash(1);
    assert_eq!(disk.read(Path::new("/file"), 100).unwrap(), b"old", "the failed sync made nothing durable");
}
