//! The log's and the manifest's formats, held to their vectors. The first case of each is put together here by hand, from
//! the format's description, and not by the code that is tried.

use crate::cases::{cases, check, check_written};
use crate::world::{DATA, STORE, all_entries};
use env::Env;
use env::sim::SimRandom;
use seal::{Keyring, Purpose, Sealer, seal_file};
use std::path::{Path, PathBuf};
use storage::{DataDir, Error, KeyFile, Keys, Log, LogOptions, Store};

const KEY: &str = "/strongroom.key";

/// A world with the vectors' key and a data directory with their keyring.
fn world() -> (Env, KeyFile) {
    let (env, ..) = Env::simulated(0);
    env.disk.replace(Path::new(KEY), &cases("key-file.txt")[0].bytes).unwrap();
    for dir in ["", "log", "store"] {
        env.disk.create_dir(&Path::new(DATA).join(dir)).unwrap();
    }
    env.disk.replace(&Path::new(DATA).join("keyring"), &cases("keyring.txt")[0].bytes).unwrap();
    let key = KeyFile::open(&*env.disk, Path::new(KEY)).unwrap();
    (env, key)
}

fn keyring() -> Keyring {
    let (_, key) = world();
    Keyring::open(&cases("keyring.txt")[0].bytes, &key).unwrap()
}

/// Puts numbers of the given widths one after the other.
fn numbers(parts: &[(u64, usize)]) -> Vec<u8> {
    parts.iter().flat_map(|(number, width)| number.to_be_bytes()[8 - width..].to_vec()).collect()
}

fn manifest_payload() -> Vec<u8> {
    let head = numbers(&[(2, 1), (7, 8), (5, 8), (2, 8), (0xabcd, 4)]);
    [
        head,
        numbers(&[(4, 4)]),
        b"conf".to_vec(),
        numbers(&[(4, 4)]),
        b"meta".to_vec(),
        numbers(&[(3, 4), (0, 4)]),
    ]
    .concat()
}

fn open_with(file: &str, bytes: &[u8]) -> Result<(Env, DataDir), Error> {
    let (env, _) = world();
    env.disk.replace(&Path::new(DATA).join(file), bytes)?;
    if !file.starts_with("manifest") {
        let empty = numbers(&[(2, 1), (1, 8), (0, 8), (0, 8), (0, 4), (0, 4), (0, 4), (1, 4), (0, 4)]);
        let sealed = seal_file(&keyring(), Purpose::Manifest, 1, &empty, &SimRandom::new(9))?;
        env.disk.replace(&Path::new(DATA).join("manifest-0000000000000001"), &sealed)?;
    }
    let dir = DataDir::open(&env, Path::new(DATA), None, Keys::Files(&[PathBuf::from(KEY)]))?;
    Ok((env, dir))
}

/// Manifests: what one says comes out, and everything else is refused. A case of payload bytes is sealed first.
#[test]
fn manifests() {
    let name = "manifest-0000000000000007";
    let sealed =
        |payload: &[u8]| seal_file(&keyring(), Purpose::Manifest, 7, payload, &SimRandom::new(6)).unwrap();
    check_written("manifest.txt", &manifest_payload());
    check("manifest.txt", |payload| {
        let (_env, dir) = open_with(name, &sealed(payload))?;
        let store = Store::open(&dir, STORE)?;
        let at = store.last_checkpoint();
        Ok::<_, Error>(format!(
            "entry {} term {} hash {:x} conf {} meta {} segments {}",
            at.consistent_index,
            at.term,
            at.state_hash,
            at.conf_state.escape_ascii(),
            at.meta.escape_ascii(),
            store.segments().len()
        ))
    });
}

fn log_segment() -> Vec<u8> {
    let mut out = Vec::new();
    let mut sealer = Sealer::begin(&keyring(), Purpose::Log, 1, &SimRandom::new(7), &mut out).unwrap();
    let head = [
        numbers(&[(1, 1), (0, 4), (0, 8), (0, 8)]),
        vec![0; 32],
        numbers(&[(0, 8); 3]),
        numbers(&[(0, 8); 2]),
    ];
    sealer.seal(1, &[&head.concat()], &mut out).unwrap();
    // Two batches: hard state and entry 1; entry 2, an audit intent.
    sealer.seal(2, &[&numbers(&[(1, 8), (37 + 45 + 41, 8)])], &mut out).unwrap();
    sealer.seal(3, &[&numbers(&[(1, 8), (2, 8), (1, 8)])], &mut out).unwrap();
    sealer.seal(4, &[&numbers(&[(1, 8), (1, 8), (0, 1)]), b"one"], &mut out).unwrap();
    sealer.seal(2, &[&numbers(&[(2, 8), (37 + 41 + 22, 8)])], &mut out).unwrap();
    sealer.seal(4, &[&numbers(&[(2, 8), (1, 8), (1, 1)]), b"two"], &mut out).unwrap();
    sealer.seal(5, &[b"a"], &mut out).unwrap();
    out
}

/// Log segments: entries come out up to the authenticated end, zeros, or a batch cut short; everything else is damage.
#[test]
fn log_segments() {
    check_written("log.txt", &log_segment());
    check("log.txt", |bytes| {
        let (_env, dir) = open_with("log/0000000000000001.log", bytes)?;
        let (_, reader, recovered) = Log::open(&dir, LogOptions { segment_bytes: 4096, tail_bytes: 4096 })?;
        let entry = |entry: &consensus::Entry| format!("{} {}, ", entry.index, entry.data.escape_ascii());
        let entries: String = all_entries(&reader).iter().map(entry).collect();
        let state = recovered.hard_state;
        let torn = recovered.torn_tail.map_or(String::new(), |torn| format!(", torn at {}", torn.position));
        Ok::<_, Error>(format!(
            "{entries}term {} vote {:x} commit {}{torn}",
            state.term, state.vote.0, state.commit
        ))
    });
}
