//! A directory that cannot be gone on from stays as it is, byte for byte and name for name: whoever starts the right program,
//! or puts the missing file back, must find everything. Newer formats are made with the directory's own keys, so that nothing but
//! the version is wrong with them.

use crate::world::{DATA, World, checkpoint, entry};
use bytes::Bytes;
use consensus::LogRead;
use seal::{HEAD_BYTES, HEADER_BYTES, Keyring, Opened, Purpose, RecordHead, Sealer, SegmentKey, Walk};
use std::path::{Path, PathBuf};
use storage::{Error, LogBatch, RecordKind};

/// Two lives, the second cut off with everything open: tails, an unlisted segment, reserved space, a replacement cut short.
fn left_in_a_hurry() -> World {
    let world = World::new(3);
    for life in 1..=2u64 {
        let mut life_ = world.live().unwrap();
        for index in life * 4 - 3..=life * 4 {
            let entries = [entry(index, 1, [7; 90])];
            life_.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
            life_.writer.sync().unwrap();
            life_.store.append(RecordKind(1), &index.to_be_bytes()).unwrap();
            if index % 2 == 0 {
                let _ = life_.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
            }
        }
        // More than a segment holds, and no checkpoint after it.
        (0..3).for_each(|_| assert!(life_.store.append(RecordKind(1), &[8; 700]).is_ok()));
        assert_eq!(life_.reader.last_index().0, life * 4);
        drop(life_);
        world.disk.kill();
    }
    world.env.disk.create(&path("manifest-00000000000000ff.tmp"), 10).unwrap();
    world
}

fn path(name: &str) -> PathBuf {
    Path::new(DATA).join(name)
}

fn keyring(world: &World) -> Keyring {
    Keyring::open(&world.disk.files()[&path("keyring")], &world.key()).unwrap()
}

fn newest(world: &World, part: &str, extension: &str) -> PathBuf {
    let files = world.disk.files();
    let is_it = |path: &&PathBuf| {
        let name = path.strip_prefix(DATA).ok().and_then(Path::to_str).unwrap_or_default();
        name.starts_with(part) && name.ends_with(extension)
    };
    files.keys().rfind(is_it).unwrap().clone()
}

/// The segment in these bytes with its first record's first byte, its version, one higher.
fn newer_payload(world: &World, purpose: Purpose, number: u64, bytes: &[u8]) -> Vec<u8> {
    let keyring = keyring(world);
    let key = SegmentKey::open(&keyring, purpose, number, bytes.first_chunk().unwrap()).unwrap();
    let (mut walk, mut out) = (Walk::new(&key), Vec::new());
    let mut sealer = Sealer::begin(&keyring, purpose, number, &*world.env.random, &mut out).unwrap();
    let mut at = HEADER_BYTES;
    while let Some(head) = bytes.get(at..at + HEAD_BYTES) {
        let Some(head) = RecordHead::decode(head.first_chunk().unwrap()).unwrap() else { break };
        let mut record = bytes[at..at + head.record_bytes()].to_vec();
        match walk.step(&key, &mut record).unwrap() {
            Opened::Record(position, kind, payload) => {
                payload[0] += u8::from(position == HEADER_BYTES as u64);
                assert_eq!(sealer.seal(kind, &[payload], &mut out).unwrap(), position);
            }
            Opened::End => assert!(sealer.end(&mut out).is_ok()),
        }
        at += head.record_bytes();
    }
    out.resize(bytes.len().max(out.len()), 0);
    out
}

/// A start is refused, says so of this file, and leaves everything as it was.
fn refused(world: &World, file: &Path, why: &str) -> Error {
    let before = world.disk.files();
    let acts = world.disk.acts();
    let error = world.live().err().unwrap_or_else(|| panic!("{}: it starts", file.display()));
    let said = error.to_string();
    assert!(said.contains(file.to_str().unwrap()) && said.contains(why), "{}: {said}", file.display());
    assert_eq!(world.disk.acts(), acts, "{said}: something was done");
    assert!(world.disk.files() == before, "{said}: something was changed");
    error
}

/// What a newer program wrote is told apart from damage in every format that a start needs, with the step to take. A newer
/// manifest above all is not passed over for an older one, which would take back what that program did.
#[test]
fn a_newer_format_is_named_and_left_alone() {
    let world = left_in_a_hurry();
    let (log, store, manifest) =
        (newest(&world, "log", ".log"), newest(&world, "store", ".store"), newest(&world, "manifest", ""));
    let manifest = match manifest.extension() {
        Some(_) => path("manifest-0000000000000005"),
        None => manifest,
    };
    let version = |file: &Path, version: u16, bytes: Vec<u8>| {
        let copy = world.copy(4);
        copy.env.disk.replace(file, &bytes).unwrap();
        let why =
            format!("format version {version} is not known; hint: it was written by a newer strongroom");
        assert!(matches!(refused(&copy, file, &why), Error::Version { .. }));
    };
    let files = world.disk.files();
    let listed = path("store/00000001.store");
    for (file, at) in [(&path("keyring"), 9), (&log, 9), (&listed, 9), (&manifest, 9)] {
        let mut bytes = files[file].clone();
        bytes[at] += 1;
        version(file, u16::from(bytes[at]), bytes);
    }
    version(&manifest, 3, newer_payload(&world, Purpose::Manifest, number(&manifest), &files[&manifest]));
    version(&log, 2, newer_payload(&world, Purpose::Log, number(&log), &files[&log]));
    assert!(files.contains_key(&store) && store != listed, "an unlisted segment is among the leftovers");
}

fn number(file: &Path) -> u64 {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    u64::from_str_radix(stem.trim_start_matches("manifest-"), 16).unwrap()
}

/// Damage anywhere, and files that were not copied: found before the first change, also where it is found last, in the log.
#[test]
fn a_damaged_or_half_copied_directory_is_left_alone() {
    let world = left_in_a_hurry();
    let files = world.disk.files();
    for (file, at) in [
        (path("keyring"), 100),
        (path("log/0000000000000001.log"), 10),
        (path("log/0000000000000001.log"), 400),
        (path("log/0000000000000002.log"), 400),
    ] {
        let copy = world.copy(4);
        let mut bytes = files[&file].clone();
        bytes[at] ^= 4;
        copy.env.disk.replace(&file, &bytes).unwrap();
        let error = refused(&copy, &file, "damaged: ");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
    let (copy, gone) = (world.copy(4), path("store/00000001.store"));
    copy.env.disk.remove(&gone).unwrap();
    refused(&copy, &gone, "the manifest lists it, but it is not there");
    let copy = world.copy(4);
    for manifest in files.keys().filter(|file| file.to_str().is_some_and(|name| name.contains("manifest"))) {
        copy.env.disk.remove(manifest).unwrap();
    }
    refused(&copy, Path::new(DATA), "there is no manifest; hint: restore a backup");
    let copy = world.copy(4);
    copy.env.disk.remove(&path("keyring")).unwrap();
    let before = copy.disk.files();
    let refused = copy.live().err().unwrap().to_string();
    assert!(refused.contains("its keyring is gone; hint: "), "{refused}");
    assert!(copy.disk.files() == before);
}

/// What was left alone is cleared away once the directory is gone on from: the refusals above refuse no more than they say.
#[test]
fn leftovers_go_when_the_directory_is_gone_on_from() {
    let world = left_in_a_hurry();
    let before = world.disk.files().len();
    let mut life = world.live().unwrap();
    assert!(life.store.append(RecordKind(1), &Bytes::from_static(b"on")).is_ok());
    let after = world.disk.files();
    assert!(!after.contains_key(&path("manifest-00000000000000ff.tmp")));
    assert!(after.len() < before, "{before} files, then {}", after.len());
}
