//! The data directory tells whose it is, and refuses what it should with a way out.

use crate::world::{DATA, KEYS, US, World};
use env::sim::Fault;
use std::path::{Path, PathBuf};
use storage::{DataDir, Error, Found, Identity, KeyFile, Keys};
use types::MemberId;

fn data() -> &'static Path {
    Path::new(DATA)
}

/// A directory that was made is found to be ours, opens with its key, and is empty.
#[test]
fn what_was_made_opens() {
    let world = World::new(1);
    assert_eq!(DataDir::inspect(&world.env, data()).unwrap(), Found::Nothing);
    drop(world.create().unwrap());
    let found = DataDir::inspect(&world.env, data()).unwrap();
    assert!(matches!(found, Found::Ours { identity: US, .. }), "{found:?}");
    assert_eq!(world.open_dir().unwrap().identity(), US);
}

/// An empty volume mounted as the data directory has no place for the key but inside: that must not make it foreign.
#[test]
fn a_key_that_lies_inside_does_not_stand_in_the_way() {
    let world = World::new(1);
    world.env.disk.create_dir(data()).unwrap();
    let inside = data().join("keys");
    world.env.disk.create_dir(&inside).unwrap();
    let key = KeyFile::create(&*world.env.disk, &inside, &*world.env.random).unwrap();
    drop(DataDir::create(&world.env, data(), US, &key).unwrap());
    assert_eq!(DataDir::open(&world.env, data(), None, Keys::Files(&[inside])).unwrap().identity(), US);
}

/// A creation cut short at any act leaves nothing that stands in the way of the next, and never something half ours.
#[test]
fn a_creation_cut_short_is_done_again() {
    for act in 1.. {
        for seed in 0..4 {
            let world = World::new(seed);
            let key = world.key();
            world.disk.fail_at(act, Fault::PowerAfter);
            let made = DataDir::create(&world.env, data(), US, &key);
            if world.disk.clear_fault() {
                assert!(act > 8 && made.is_ok());
                return;
            }
            drop(made);
            world.disk.crash(seed);
            if DataDir::inspect(&world.env, data()).unwrap() == Found::Nothing {
                drop(world.create().unwrap());
            }
            drop(world.open_dir().unwrap());
        }
    }
}

/// Two processes never write one directory.
#[test]
fn a_directory_in_use_is_refused() {
    let world = World::new(1);
    let held = world.create().unwrap();
    let error = world.open_dir().unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    drop(held);
    world.open_dir().unwrap();
}

/// Log and store hold the directory as long as they live, whatever became of the handle they were opened from.
#[test]
fn the_log_holds_the_directory() {
    let world = World::new(1);
    let life = world.live().unwrap();
    drop((life.dir, life.store));
    assert!(matches!(world.open_dir().unwrap_err(), Error::InUse { .. }));
    drop((life.writer, life.reader));
    world.open_dir().unwrap();
}

/// A directory that others can read is refused with the command that helps.
#[test]
fn a_loose_mode_is_refused() {
    let world = World::new(1);
    drop(world.create().unwrap());
    world.disk.set_mode(data(), 0o750);
    let error = world.open_dir().unwrap_err().to_string();
    assert_eq!(error, "data directory /data has mode 0750; hint: chmod 700 /data");
    let empty = World::new(2);
    empty.env.disk.create_dir(data()).unwrap();
    empty.disk.set_mode(data(), 0o755);
    assert!(matches!(empty.create().unwrap_err(), Error::Mode { mode: 0o755, .. }));
}

/// Etcd's own data is recognized and left alone.
#[test]
fn the_data_of_etcd_is_recognized() {
    let world = World::new(1);
    world.env.disk.create_dir(data()).unwrap();
    world.env.disk.create_dir(&data().join("member")).unwrap();
    for error in [world.create().unwrap_err(), world.open_dir().unwrap_err()] {
        assert!(matches!(error, Error::EtcdData { .. }), "{error}");
    }
}

/// A directory with something else in it is left alone.
#[test]
fn something_foreign_is_left_alone() {
    let world = World::new(1);
    world.env.disk.create_dir(data()).unwrap();
    world.env.disk.replace(&data().join("thesis.tex"), b"").unwrap();
    let error = world.create().unwrap_err().to_string();
    assert!(error.contains("it holds thesis.tex"), "{error}");
}

/// Another member's directory is refused before anything in it is touched.
#[test]
fn another_members_directory_is_refused() {
    let world = World::new(1);
    drop(world.create().unwrap());
    let other = Identity { member: MemberId(2), ..US };
    let keys = [PathBuf::from(KEYS)];
    let error = DataDir::open(&world.env, data(), Some(other), Keys::Files(&keys)).unwrap_err();
    assert!(matches!(error, Error::OtherMember { .. }), "{error}");
}

/// Without its key the data is refused, and every path that was tried is named.
#[test]
fn a_missing_key_is_named_with_every_path_tried() {
    let world = World::new(1);
    drop(world.create().unwrap());
    let Found::Ours { key, .. } = DataDir::inspect(&world.env, data()).unwrap() else { panic!() };
    let keys = ["/".into(), "/etc/strongroom/my.key".into()];
    let error = DataDir::open(&world.env, data(), None, Keys::Files(&keys)).unwrap_err().to_string();
    assert!(error.contains(&format!("tried /strongroom-{key}.key, /etc/strongroom/my.key;")), "{error}");
}

/// Another key with the right name opens nothing.
#[test]
fn a_wrong_key_opens_nothing() {
    let world = World::new(1);
    drop(world.create().unwrap());
    let other = KeyFile::create(&*world.env.disk, Path::new("/"), &*world.env.random).unwrap();
    let error = DataDir::open(&world.env, data(), None, Keys::Provider(&other)).unwrap_err().to_string();
    assert_eq!(error, "damaged: /data/keyring at byte 0: keyring: tampered or wrong key");
}

/// Whichever bit of the keyring was changed, the refusal names the keyring: also where the bit makes it ask for a key that never was.
#[test]
fn a_changed_keyring_is_named() {
    let world = World::new(1);
    drop(world.create().unwrap());
    let path = data().join("keyring");
    let whole = world.disk.files()[&path].clone();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        world.env.disk.replace(&path, &changed).unwrap();
        let keys = [PathBuf::from(KEYS)];
        let error = DataDir::open(&world.env, data(), None, Keys::Files(&keys)).unwrap_err().to_string();
        assert!(error.contains("keyring"), "byte {at}: {error}");
    }
}

/// Data whose keyring is gone is not an empty directory.
#[test]
fn a_lost_keyring_is_not_an_empty_directory() {
    let world = World::new(1);
    drop(world.live().unwrap());
    world.env.disk.remove(&data().join("keyring")).unwrap();
    for error in [world.create().unwrap_err(), world.open_dir().unwrap_err()] {
        assert!(error.to_string().contains("keyring is gone"), "{error}");
    }
}

/// Nothing there is said plainly; data is never made over data.
#[test]
fn nothing_is_no_data_and_data_is_not_made_twice() {
    let world = World::new(1);
    assert!(matches!(world.open_dir().unwrap_err(), Error::NoData { .. }));
    drop(world.create().unwrap());
    assert!(matches!(world.create().unwrap_err(), Error::Misuse(_)));
}
