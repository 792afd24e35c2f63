//! What a disk promises while the power is on, tried on the real one and the simulated one alike.

use env::real::RealDisk;
use env::sim::SimDisk;
use env::{DIR_MODE, Disk, FILE_MODE, Kind};
use std::path::Path;

/// Runs a test on both disks, in an empty directory.
fn on_both(test: impl Fn(&dyn Disk, &Path)) {
    let temporary = tempfile::tempdir().unwrap();
    test(&RealDisk, temporary.path());
    let simulated = SimDisk::new();
    simulated.create_dir(Path::new("/dir")).unwrap();
    test(&simulated, Path::new("/dir"));
}

/// What is made is private to its owner, and made once only: exclusive creation is what keeps a key file from being
/// overwritten.
#[test]
fn creation_is_private_and_exclusive() {
    on_both(|disk, dir| {
        let (below, file) = (dir.join("below"), dir.join("file"));
        disk.create_dir(&below).unwrap();
        assert!(disk.create_dir(&below).unwrap_err().is_already_exists());
        disk.create(&file, 0).unwrap();
        assert!(disk.create(&file, 0).unwrap_err().is_already_exists());
        let stat = disk.stat(&below).unwrap().unwrap();
        assert_eq!((stat.kind, stat.mode), (Kind::Directory, DIR_MODE));
        let stat = disk.stat(&file).unwrap().unwrap();
        assert_eq!((stat.kind, stat.mode, stat.len), (Kind::File, FILE_MODE, 0));
        assert_eq!(stat.device, disk.stat(dir).unwrap().unwrap().device);
        assert_eq!(disk.list(dir).unwrap(), ["below", "file"]);
    });
}

/// Reserved space reads as zeros over its whole length: the log's end is told by zeros.
#[test]
fn reserved_space_is_zeros() {
    on_both(|disk, dir| {
        let file = disk.create(&dir.join("file"), 10_000).unwrap();
        assert_eq!(file.len().unwrap(), 10_000);
        let mut bytes = vec![1; 20_000];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 10_000);
        assert!(bytes[..10_000].iter().all(|byte| *byte == 0));
    });
}

/// Bytes are read where they were written, through any handle; short only at the end of the file.
#[test]
fn bytes_are_where_they_were_written() {
    on_both(|disk, dir| {
        let path = dir.join("file");
        let file = disk.create(&path, 0).unwrap();
        file.write_at(b"hello", 3).unwrap();
        file.write_at(b"j", 3).unwrap();
        file.sync_data().unwrap();
        let mut bytes = [9; 10];
        for file in [disk.open(&path).unwrap(), disk.open_read(&path).unwrap(), file] {
            assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 8);
            assert_eq!(&bytes[..8], b"\0\0\0jello");
            assert_eq!(file.read_at(&mut bytes, 8).unwrap(), 0);
            assert_eq!(file.read_at(&mut bytes, 1 << 40).unwrap(), 0);
        }
        assert_eq!(disk.read(&path, 8).unwrap(), b"\0\0\0jello");
        assert!(disk.read(&path, 7).is_err(), "larger than expected");
    });
}

/// A length can be cut and grown; what was beyond does not come back.
#[test]
fn a_cut_is_a_cut() {
    on_both(|disk, dir| {
        let path = dir.join("file");
        let file = disk.create(&path, 0).unwrap();
        file.write_at(b"secret", 0).unwrap();
        file.set_len(2).unwrap();
        file.set_len(6).unwrap();
        assert_eq!(disk.read(&path, 6).unwrap(), b"se\0\0\0\0");
    });
}

/// Replacing puts the whole new content, over nothing, over old content, and over a replacement that was cut short.
#[test]
fn a_replacement_is_whole() {
    on_both(|disk, dir| {
        let path = dir.join("file");
        disk.replace(&path, b"a longer first").unwrap();
        disk.create(&dir.join("file.tmp"), 100).unwrap();
        disk.replace(&path, b"second").unwrap();
        assert_eq!(disk.read(&path, 100).unwrap(), b"second");
        assert_eq!(disk.list(dir).unwrap(), ["file"]);
        assert_eq!(disk.stat(&path).unwrap().unwrap().mode, FILE_MODE);
    });
}

/// Names move and go; who has a file open reads on: a reader must survive the release of its segment.
#[test]
fn an_open_file_outlives_its_name() {
    on_both(|disk, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        disk.create(&a, 0).unwrap().write_at(b"x", 0).unwrap();
        disk.rename(&a, &b).unwrap();
        assert!(disk.stat(&a).unwrap().is_none());
        let open = disk.open(&b).unwrap();
        disk.remove(&b).unwrap();
        disk.sync_dir(dir).unwrap();
        let mut byte = [0];
        assert_eq!((open.read_at(&mut byte, 0).unwrap(), byte), (1, *b"x"));
        assert!(disk.open(&b).unwrap_err().is_not_found());
        assert!(disk.remove(&b).unwrap_err().is_not_found());
        assert!(disk.rename(&a, &b).unwrap_err().is_not_found());
        assert!(disk.list(&a).unwrap_err().is_not_found());
    });
}

/// A directory is held by one at a time and given back with the lock.
#[test]
fn a_directory_is_locked_once() {
    on_both(|disk, dir| {
        let lock = disk.lock_dir(dir).unwrap();
        assert!(lock.is_some());
        assert!(disk.lock_dir(dir).unwrap().is_none());
        drop(lock);
        assert!(disk.lock_dir(dir).unwrap().is_some());
    });
}

/// There is free space to ask for, and failures name what was done to what: an operator reads them.
#[test]
fn failures_name_act_and_path() {
    on_both(|disk, dir| {
        assert!(disk.free_bytes(dir).unwrap() > 0);
        let path = dir.join("nowhere");
        let text = disk.open(&path).unwrap_err().to_string();
        assert!(text.starts_with(&format!("cannot open {}: ", path.display())), "{text}");
    });
}

/// No space is a failure of its own kind that leaves no file behind. (The real disk is asked for more than any disk has.)
#[test]
fn no_space_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let simulated = SimDisk::new();
    simulated.set_capacity(Some(1 << 30));
    let real: (&dyn Disk, &Path) = (&RealDisk, temporary.path());
    for (disk, dir) in [real, (&simulated, Path::new("/"))] {
        let path = dir.join("file");
        let error = disk.create(&path, 1 << 50).unwrap_err();
        assert!(error.is_no_space(), "{error}");
        assert!(disk.stat(&path).unwrap().is_none());
    }
}
