//! Reads the vectors and gives each to the reader of its format. The first case of a file is also made anew from seeded
//! randomness, so that writing is held to the format as reading is.

use crate::cases::{cases, check, check_written};
use env::Env;
use env::sim::SimRandom;
use seal::{
    Identity, KeyFile, Keyring, KeyringHead, Opened, Purpose, RecordHead, Sealer, SegmentKey, Walk,
    open_file, seal_file,
};
use std::path::{Path, PathBuf};
use types::{ClusterId, MemberId};

const US: Identity = Identity { cluster: ClusterId(1), member: MemberId(2) };

fn key_file(env: &Env) -> KeyFile {
    KeyFile::create(&*env.disk, Path::new("/"), &SimRandom::new(1)).unwrap()
}

fn open_key_file(bytes: &[u8]) -> Result<KeyFile, seal::Error> {
    let (env, ..) = Env::simulated(0);
    let path = PathBuf::from("/strongroom.key");
    env.disk.replace(&path, bytes).unwrap();
    KeyFile::open(&*env.disk, &path)
}

fn keyring() -> Keyring {
    let key = open_key_file(&cases("key-file.txt")[0].bytes).unwrap();
    Keyring::open(&cases("keyring.txt")[0].bytes, &key).unwrap()
}

/// Key files: one good one, and every way in which a file can fail to be one.
#[test]
fn key_files() {
    let (env, ..) = Env::simulated(0);
    check_written("key-file.txt", &env.disk.read(key_file(&env).path(), 1000).unwrap());
    check("key-file.txt", |bytes| {
        open_key_file(bytes).map(|key| seal::KeyProvider::key_id(&key).to_string())
    });
}

/// Keyrings: the good one opens with the key file of the vectors and no other does.
#[test]
fn keyrings() {
    let (env, ..) = Env::simulated(0);
    let random = SimRandom::new(2);
    let keyring = Keyring::generate(US, &random);
    let key = key_file(&env);
    check_written("keyring.txt", &keyring.encode(&[&key], &random).unwrap());
    check("keyring.txt", |bytes| {
        let head = KeyringHead::decode(bytes)?;
        Keyring::open(bytes, &key).map(|keyring| format!("{}, {} wrap", keyring.identity(), head.wraps.len()))
    });
}

fn read_segment(keyring: &Keyring, purpose: Purpose, bytes: &[u8]) -> Result<String, String> {
    let text = |error: seal::Error| error.to_string();
    let header = bytes.first_chunk().ok_or("header: cut short")?;
    let key = SegmentKey::open(keyring, purpose, 7, header).map_err(text)?;
    let (mut walk, mut found) = (Walk::new(&key), String::new());
    loop {
        let rest = &bytes[walk.position() as usize..];
        let head = RecordHead::decode(rest.first_chunk().ok_or("record: cut short")?).map_err(text)?;
        let head = head.ok_or("record: nothing is there")?;
        let mut record = rest.get(..head.record_bytes()).ok_or("record: cut short")?.to_vec();
        match walk.step(&key, &mut record).map_err(text)? {
            Opened::Record(at, kind, payload) => {
                found += &format!("{at} {kind} {}, ", payload.escape_ascii())
            }
            Opened::End => return Ok(found + "end"),
        }
    }
}

/// Segments of a chained and of an unchained purpose, whole and broken in every place that the format names.
#[test]
fn segments() {
    let keyring = keyring();
    for (file, purpose, seed) in
        [("segment.txt", Purpose::Log, 3), ("segment-unchained.txt", Purpose::Store, 4)]
    {
        let mut written = Vec::new();
        let mut sealer = Sealer::begin(&keyring, purpose, 7, &SimRandom::new(seed), &mut written).unwrap();
        sealer.seal(1, &[b"first"], &mut written).unwrap();
        sealer.seal(254, &[b""], &mut written).unwrap();
        sealer.seal(2, &[b"first"], &mut written).unwrap();
        sealer.end(&mut written).unwrap();
        check_written(file, &written);
        check(file, |bytes| read_segment(&keyring, purpose, bytes));
    }
}

/// Sealed files: one record, an end, and not a byte more.
#[test]
fn sealed_files() {
    let keyring = keyring();
    check_written(
        "sealed-file.txt",
        &seal_file(&keyring, Purpose::Freshness, 7, b"payload", &SimRandom::new(5)).unwrap(),
    );
    check("sealed-file.txt", |bytes| {
        open_file(&keyring, Purpose::Freshness, 7, bytes).map(|payload| payload.escape_ascii().to_string())
    });
}
