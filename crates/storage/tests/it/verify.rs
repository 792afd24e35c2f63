//! Checking a directory: what is wrong is found, all of it, and named; what is whole is not accused; nothing is changed.

use crate::world::{DATA, KEYS, US, World, all_entries, all_records, checkpoint, entry};
use bytes::Bytes;
use consensus::{Entry, HardState};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use storage::verify::{Finding, MarkSays, Observer, Severity, Verified, scrub, verify};
use storage::{Error, FreshnessMark, LogBatch, Mark, RecordKind};
use types::{LogIndex, Term};

/// Keeps what is told.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    announced: u64,
    files: Vec<PathBuf>,
    /// Ends the check after so many calls.
    patience: Option<u64>,
}

impl Observer for Told {
    fn begins(&mut self, bytes: u64) {
        self.announced = bytes;
    }

    fn enters(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    fn passed(&mut self, _: u64) -> ControlFlow<()> {
        match &mut self.patience {
            Some(0) => return ControlFlow::Break(()),
            Some(left) => *left -= 1,
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

impl Told {
    fn damage(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Damage)
    }
}

fn look(world: &World) -> (Result<Verified, Error>, Told) {
    let mut told = Told::default();
    let verified = verify(&world.env, Path::new(DATA), &[PathBuf::from(KEYS)], &mut told);
    (verified, told)
}

/// Whether a check says that something is wrong.
fn is_found(world: &World) -> bool {
    let (verified, _) = look(world);
    verified.map_or(true, |verified| verified.damaged + verified.unchecked > 0)
}

/// What a crash leaves is no damage: an operator who is told so puts a backup back for nothing.
pub(crate) fn assert_not_accused(world: &World, why: &str) {
    let (verified, told) = look(world);
    match verified {
        Ok(verified) => {
            assert_eq!((verified.damaged, verified.unchecked), (0, 0), "{why}: {:#?}", told.findings)
        }
        // The power failed before there was a directory.
        Err(error) => assert!(matches!(error, Error::NoData { .. }), "{why}: {error}"),
    }
}

type Versions = Vec<BTreeMap<PathBuf, Vec<u8>>>;

/// A history with everything in it: three lives, log and store segments that were finished and that were left open, an
/// index, four checkpoints, entries and records after the last one, a mark. Answers every earlier state of the files too.
fn history() -> (World, Versions) {
    let world = World::new(11);
    let mut versions = Versions::new();
    let mut index = 0;
    for life in 1..=3u64 {
        let mut open = world.live().unwrap();
        let (mut mark, _) = FreshnessMark::open(&open.dir, &open.recovered, world.mark()).unwrap();
        let mut generation = life * 2 - 1;
        for step in 1..=3 {
            index += 1;
            let entries = [entry(index, life, vec![index as u8; 900])];
            let hard_state =
                Some(HardState { term: Term(life), commit: LogIndex(index), ..Default::default() });
            open.writer.append(LogBatch { hard_state, entries: &entries, audit: &[] }).unwrap();
            open.writer.sync().unwrap();
            open.store.append(RecordKind(1), &[index as u8; 300]).unwrap();
            if let (2, 1) = (life, step) {
                let indexing = open.store.index(open.store.segments()[0].number).unwrap();
                let indexed = indexing.write(|_, kind, _| Ok::<_, Error>(vec![kind.0])).unwrap();
                open.store.put_index(indexed);
            }
            if step != 2 && (life, step) != (3, 3) {
                generation =
                    open.store.checkpoint(checkpoint(index, life)).unwrap().run().unwrap().generation;
            }
            versions.push(world.disk.files());
        }
        mark.note(Mark { generation, position: open.writer.synced_position() }).unwrap();
        drop(open);
        world.disk.kill();
        versions.push(world.disk.files());
    }
    (world, versions)
}

type Content = (Vec<Entry>, HardState, u64, Vec<(RecordKind, Bytes)>);

/// What a member would have of it.
fn content(world: &World) -> Result<Content, Error> {
    let life = world.live()?;
    let records = all_records(&life.store)?;
    let index = life.store.last_checkpoint().consistent_index.0;
    Ok((all_entries(&life.reader), life.recovered.hard_state, index, records))
}

fn data_files(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    world.disk.files().into_iter().filter(|(path, _)| path.starts_with(DATA)).collect()
}

/// A whole directory is not accused, is left as it is, and the numbers told are right: a check that cries wolf or leaves
/// traces is not run again.
#[test]
fn a_whole_directory_is_whole_and_stays_as_it_is() {
    let (world, _) = history();
    let (before, acts) = (world.disk.files(), world.disk.acts());
    let (verified, told) = look(&world);
    let verified = verified.unwrap();
    assert_eq!((verified.damaged, verified.unchecked), (0, 0), "{:#?}", told.findings);
    assert_eq!((verified.identity, verified.mark), (Some(US), MarkSays::Fresh));
    assert_eq!((verified.last_entry, verified.consistent_index), (Some(LogIndex(9)), Some(LogIndex(7))));
    assert_eq!(verified.files as usize, told.files.len());
    assert!(verified.bytes > 9 * 1200 && told.announced >= 9 * 1200, "{verified:?} {}", told.announced);
    assert_eq!((world.disk.files(), world.disk.acts()), (before, acts), "nothing is changed");
    // What the last life's records lie in is not listed yet: named, and no damage.
    assert!(told.findings.iter().all(|finding| finding.what.contains("stray")), "{:#?}", told.findings);
    content(&world).unwrap();
}

/// Every single byte of every file flipped: the check finds it and names the file and a place not after it; or a member opens
/// the very same data, because nothing reads the byte. This is what the command is for.
#[test]
fn every_flipped_byte_is_found_or_is_padding() {
    let (world, _) = history();
    let whole = content(&world.copy(1)).unwrap();
    let (mut found, mut noted, mut padding) = (0, 0, 0);
    for (path, bytes) in data_files(&world) {
        for (at, byte) in bytes.iter().enumerate() {
            let flipped = byte ^ if at % 2 == 0 { 0x80 } else { 0x01 };
            let file = world.env.disk.open(&path).unwrap();
            file.write_at(&[flipped], at as u64).unwrap();
            let (verified, told) = look(&world);
            let name = format!("{} byte {at}", path.display());
            match verified {
                Err(_) => {
                    assert!(path.ends_with("keyring"), "{name}: only a key id can lead nowhere");
                    found += 1;
                }
                Ok(verified) if verified.damaged + verified.unchecked > 0 => {
                    let names_it = |finding: &Finding| {
                        finding.path == path && finding.position.is_none_or(|position| position <= at as u64)
                    };
                    let mut bad = told.findings.iter().filter(|finding| finding.severity > Severity::Note);
                    assert!(bad.any(names_it), "{name}: {:#?}", told.findings);
                    found += 1;
                }
                Ok(verified) => {
                    assert!(content(&world.copy(1)).unwrap() == whole, "{name}");
                    match verified.notes > 1 {
                        true => noted += 1,
                        false => padding += 1,
                    }
                }
            }
            file.write_at(&[*byte], at as u64).unwrap();
        }
    }
    println!("found {found}, noted {noted}, padding {padding}");
    assert!(
        found > 14_000 && noted > 100 && padding > 500,
        "found {found}, noted {noted}, padding {padding}"
    );
}

/// Files removed, emptied, cut, swapped with each other, or replaced by what they were at any earlier moment: found, or a member
/// has the very same data. Each is what somebody with access to the disk can do without any key.
#[test]
fn removed_cut_swapped_and_older_files_are_found() {
    let (world, versions) = history();
    let whole = content(&world.copy(1)).unwrap();
    let files = data_files(&world);
    let (mut found, mut harmless) = (0, 0);
    let mut judge = |what: &str, copy: &World| {
        if is_found(copy) {
            found += 1;
        } else {
            let content = content(copy).unwrap();
            // The oldest log segments are let go of when the store covers them: that somebody else did so cannot be told.
            let is_covered = whole.0.ends_with(&content.0) && content.0[0].index.0 <= content.2 + 1;
            assert!(
                is_covered && (content.1, content.2, &content.3) == (whole.1, whole.2, &whole.3),
                "{what}"
            );
            harmless += 1;
        }
    };
    for (path, bytes) in &files {
        let copy = world.copy(1);
        copy.env.disk.remove(path).unwrap();
        judge(&format!("without {}", path.display()), &copy);
        for len in (0..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
            let copy = world.copy(1);
            copy.env.disk.open(path).unwrap().set_len(len as u64).unwrap();
            judge(&format!("{} cut to {len}", path.display()), &copy);
        }
        for more in [&b"x"[..], &[0; 700], &[7; 700]] {
            let copy = world.copy(1);
            copy.env.disk.open(path).unwrap().write_at(more, bytes.len() as u64).unwrap();
            judge(&format!("{} with {} bytes more", path.display(), more.len()), &copy);
        }
        for (other, other_bytes) in files.iter().filter(|(other, _)| *other > path) {
            let copy = world.copy(1);
            copy.env.disk.replace(path, other_bytes).unwrap();
            copy.env.disk.replace(other, bytes).unwrap();
            judge(&format!("{} and {} swapped", path.display(), other.display()), &copy);
        }
        for (moment, older) in versions.iter().enumerate() {
            let Some(older) = older.get(path).filter(|older| *older != bytes) else { continue };
            let copy = world.copy(1);
            copy.env.disk.replace(path, older).unwrap();
            judge(&format!("{} as it was at moment {moment}", path.display()), &copy);
        }
    }
    println!("found {found}, harmless {harmless}");
    assert!(found > 800, "found {found}, harmless {harmless}");
}

/// The whole directory as it was at any earlier moment is whole in itself; the mark beside the key tells, from the next
/// mark on.
#[test]
fn a_whole_older_directory_is_found_by_the_mark() {
    let (world, versions) = history();
    for (moment, older) in versions.iter().enumerate().take(versions.len() - 2) {
        let copy = world.copy(1);
        data_files(&copy).keys().for_each(|path| copy.env.disk.remove(path).unwrap());
        for (path, bytes) in older.iter().filter(|(path, _)| path.starts_with(DATA)) {
            copy.env.disk.replace(path, bytes).unwrap();
        }
        let (verified, told) = look(&copy);
        assert_eq!(verified.unwrap().mark, MarkSays::Older, "moment {moment}");
        assert_eq!(told.damage().count(), 1, "{:#?}", told.findings);
        // A copy beside another key's mark, or none, cannot be told.
        copy.env.disk.remove(&copy.mark()).unwrap();
        let (verified, told) = look(&copy);
        assert_eq!(verified.unwrap().damaged, 0, "{:#?}", told.findings);
    }
}

/// Everything that is wrong is named, not only the first: two places of one file, other files, a manifest. An operator who
/// repairs one thing at a time never ends.
#[test]
fn all_that_is_wrong_is_named() {
    let (world, _) = history();
    let flip = |path: &Path, at: u64| {
        let file = world.env.disk.open(path).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        file.write_at(&[byte[0] ^ 1], at).unwrap();
    };
    let stores = [1, 2].map(|number| Path::new(DATA).join(format!("store/{number:08x}.store")));
    let log = Path::new(DATA).join("log/0000000000000001.log");
    let batch = 37 + 45 + 21 + 17 + 900;
    flip(&stores[0], 128 + 40);
    // A length: where the next record begins has to be looked for.
    flip(&stores[1], 128 + 1);
    // A hard state, and the tag of the next batch's entry, which breaks the record after it too.
    flip(&log, 242 + 37 + 10);
    flip(&log, 242 + 2 * batch - 1);
    let manifest = |path: &PathBuf| path.to_string_lossy().contains("manifest");
    let manifest = data_files(&world).into_keys().find(manifest).unwrap();
    flip(&manifest, 200);
    let (verified, told) = look(&world);
    let named: Vec<_> = told.damage().map(|finding| (finding.path.as_path(), finding.position)).collect();
    let expected = [
        (manifest.as_path(), Some(0)),
        (&log, Some(242 + 37)),
        (&log, Some(242 + batch + 37 + 45)),
        (&stores[0], Some(128)),
        (&stores[1], Some(128)),
    ];
    assert_eq!(named, expected, "{:#?}", told.findings);
    assert_eq!(verified.unwrap().damaged as usize, named.len());
    assert!(told.damage().all(|finding| !finding.means.is_empty() && !finding.next.is_empty()));
}

/// What cannot be checked is an error that says why, and no verdict: a directory in use, without its key, of another
/// program, empty, absent.
#[test]
fn what_cannot_be_checked_is_refused() {
    let (world, _) = history();
    let held = world.open_dir().unwrap();
    assert!(matches!(look(&world).0, Err(Error::InUse { .. })));
    drop(held);
    let verified = verify(&world.env, Path::new(DATA), &[PathBuf::from("/elsewhere")], &mut Told::default());
    assert!(matches!(verified, Err(Error::Seal(seal::Error::KeyMissing { .. }))), "{verified:?}");
    let at = |world: &World, path: &str| verify(&world.env, Path::new(path), &[], &mut Told::default());
    assert!(matches!(at(&world, "/nowhere"), Err(Error::NoData { .. })));
    for (name, expected) in [("member", "data of etcd"), ("photos", "not of strongroom")] {
        let other = World::new(1);
        other.env.disk.create_dir(Path::new("/other")).unwrap();
        assert!(matches!(at(&other, "/other"), Err(Error::NoData { .. })), "empty");
        other.env.disk.create_dir(&Path::new("/other").join(name)).unwrap();
        assert!(at(&other, "/other").unwrap_err().to_string().contains(expected));
    }
    // Without its keyring the data is damaged, not absent.
    world.env.disk.remove(&Path::new(DATA).join("keyring")).unwrap();
    let (verified, told) = look(&world);
    assert_eq!((verified.unwrap().damaged, told.findings.len()), (1, 1));
}

/// Files of others among ours are named and are no damage; a newer format is said to be one, not called damage.
#[test]
fn strays_and_newer_formats_are_told_apart_from_damage() {
    let (world, _) = history();
    let before = look(&world).1.findings.len();
    for name in ["notes.txt", "manifest-0000000000000063.tmp", "log/core", "store/0000002a.store", "store/x"]
    {
        world.env.disk.replace(&Path::new(DATA).join(name), b"hello").unwrap();
    }
    let (verified, told) = look(&world);
    assert_eq!((verified.unwrap().damaged, told.findings.len()), (0, before + 5), "{:#?}", told.findings);
    let store = Path::new(DATA).join("store/00000001.store");
    world.env.disk.open(&store).unwrap().write_at(&[0, 2], 8).unwrap();
    let (verified, told) = look(&world);
    let verified = verified.unwrap();
    assert_eq!((verified.damaged, verified.unchecked), (0, 1), "{:#?}", told.findings);
}

/// The observer can end it, after which nothing is claimed.
#[test]
fn a_check_can_be_ended() {
    let (world, _) = history();
    let mut told = Told { patience: Some(3), ..Told::default() };
    let verified = verify(&world.env, Path::new(DATA), &[PathBuf::from(KEYS)], &mut told).unwrap();
    assert!(verified.is_stopped);
}

/// The check of the running member: silent while it writes, rotates, checkpoints and lets go of files; and each flipped byte
/// of a file that it has finished is found while it runs.
#[test]
fn a_running_member_is_scrubbed() {
    let (world, _) = history();
    let mut life = world.live().unwrap();
    let quiet = |life: &crate::world::Life| {
        let mut told = Told::default();
        let verified = scrub(&life.dir, 512, &mut told).unwrap();
        assert_eq!(verified.damaged + verified.unchecked + verified.notes, 0, "{:#?}", told.findings);
        verified
    };
    for index in 10..=30u64 {
        let entries = [entry(index, 4, vec![index as u8; 900])];
        life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
        life.writer.sync().unwrap();
        life.store.append(RecordKind(1), &[index as u8; 300]).unwrap();
        quiet(&life);
        if index % 4 == 0 {
            let durable = life.store.checkpoint(checkpoint(index, 4)).unwrap().run().unwrap();
            life.writer.release(durable.release_below).unwrap();
            let oldest = life.store.segments()[0];
            let rewriting = life.store.rewrite(&[oldest.number]).unwrap();
            let replaced = rewriting.finish().and_then(|rewritten| life.store.replace(rewritten)).unwrap();
            life.store.retire(&replaced);
            quiet(&life);
        }
    }
    assert!(quiet(&life).records > 20);
    let finished: Vec<_> = {
        let mut told = Told::default();
        scrub(&life.dir, 512, &mut told).unwrap();
        told.files.into_iter().filter(|path| !path.to_string_lossy().contains("manifest")).collect()
    };
    assert!(finished.len() > 3, "{finished:?}");
    for path in finished {
        let file = world.env.disk.open(&path).unwrap();
        for at in [130, 300] {
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            file.write_at(&[byte[0] ^ 4], at).unwrap();
            let mut told = Told::default();
            scrub(&life.dir, 512, &mut told).unwrap();
            assert!(told.damage().any(|finding| finding.path == path), "{} {at}", path.display());
            file.write_at(&byte, at).unwrap();
        }
    }
}

/// The same while another thread writes without a pause, so that files come, fill, are listed and go at any moment of a round:
/// a false alarm in a healthy member would teach its operators to look away.
#[test]
fn a_busy_member_is_not_accused() {
    let (world, _) = history();
    let life = world.live().unwrap();
    let crate::world::Life { dir, mut writer, mut store, .. } = life;
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in 10..=1_000u64 {
                let entries = [entry(index, 4, vec![index as u8; 700])];
                writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
                writer.sync().unwrap();
                store.append(RecordKind(1), &[index as u8; 300]).unwrap();
                if index % 3 == 0 {
                    let durable = store.checkpoint(checkpoint(index, 4)).unwrap().run().unwrap();
                    writer.release(durable.release_below).unwrap();
                }
                if index % 2 == 0 && store.segments().len() > 4 {
                    let rewriting = store.rewrite(&[store.segments()[0].number]).unwrap();
                    let replaced = rewriting.finish().and_then(|rewritten| store.replace(rewritten)).unwrap();
                    store.retire(&replaced);
                }
            }
            is_done.store(true, std::sync::atomic::Ordering::Release);
        });
        let mut rounds = 0;
        while !is_done.load(std::sync::atomic::Ordering::Acquire) || rounds == 0 {
            let mut told = Told::default();
            let verified = scrub(&dir, 256, &mut told).unwrap();
            assert_eq!(verified.damaged + verified.unchecked, 0, "round {rounds}: {:#?}", told.findings);
            rounds += 1;
        }
        println!("{rounds} rounds");
    });
}
