//! `strongroom verify` on directories that the member made: exit codes, words, and that nothing is touched.

use crate::place::Place;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A member that lived twice and stopped in order; `older` is its data after the first life.
fn made() -> Place {
    static MADE: OnceLock<Place> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let place = Place::new();
        for life in 1..=2 {
            let running = place.up(&[]);
            (0..4).for_each(|i| place.put(&format!("key-{life}-{i}"), "some value that takes a few bytes"));
            running.stop();
            if life == 1 {
                let copied = std::process::Command::new("cp")
                    .args(["-a", "--sparse=always"])
                    .args([place.path("data"), place.path("older")])
                    .status();
                assert!(copied.unwrap().success());
            }
        }
        place
    });
    made.copy()
}

/// Exit code, standard output and standard error.
fn verify(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let output = place.run(&[&["verify"], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn flip(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// The first file of a part of the data.
fn first(place: &Place, below: &str) -> PathBuf {
    place.files(below).first().unwrap().0.clone()
}

/// Whole is 0, with what was checked; no byte, no time of a file and no name changes, also where nothing may be written.
#[test]
fn a_whole_directory_is_whole_and_untouched() {
    let place = made();
    for (path, _) in place.files("data") {
        fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
    }
    for dir in ["data/log", "data/store", "data"] {
        fs::set_permissions(place.path(dir), fs::Permissions::from_mode(0o500)).unwrap();
    }
    let times = || {
        let modified = |(path, bytes): (PathBuf, Vec<u8>)| {
            (fs::metadata(&path).unwrap().modified().unwrap(), path, bytes)
        };
        place.files("data").into_iter().map(modified).collect::<Vec<_>>()
    };
    let before = times();
    let (code, out, err) = verify(&place, &[]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("whole: ") && out.contains("not older than its freshness mark"), "{out}");
    assert!(out.contains("0 findings of damage, 0 unchecked"), "{out}");
    assert!(times() == before);
    for dir in ["data", "data/log", "data/store"] {
        fs::set_permissions(place.path(dir), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

/// Damage is 1; every finding names file, byte, meaning and next step, in each form of the output.
#[test]
fn damage_is_named_in_every_form() {
    let place = made();
    let (log, store) = (first(&place, "data/log"), first(&place, "data/store"));
    flip(&log, 300);
    flip(&store, 200);
    let (code, out, _) = verify(&place, &[]);
    assert_eq!(code, 1, "{out}");
    assert_eq!(out.matches("\n  next:  ").count(), 2, "{out}");
    for path in [&log, &store] {
        assert!(out.contains(&format!("damage: {} byte ", path.display())), "{out}");
    }
    assert!(out.contains("\ndamaged: ") && out.contains("2 findings of damage"), "{out}");
    let (code, table, _) = verify(&place, &["-w", "table"]);
    assert!(code == 1 && table.contains("SEVERITY") && table.contains(store.to_str().unwrap()), "{table}");
    let (code, json, _) = verify(&place, &["-w", "json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &report["verdict"], &report["damaged"]), (1, &"damaged".into(), &2.into()), "{json}");
    let findings = report["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding["file"] == store.to_str().unwrap() && finding["position"] == 128)
    );
}

/// What is missing or old is damage too: files removed, and the whole directory as it was one life earlier. Of the manifests
/// all are removed: without the newest one alone the log tells all that it said.
#[test]
fn missing_files_and_old_copies_are_found() {
    for (below, count) in [("data/keyring", 1), ("data/log", 1), ("data/store", 1), ("data/manifest", 9)] {
        let place = made();
        let files = place.files("data");
        let below = place.path(below);
        let is_there = |path: &&PathBuf| path.to_string_lossy().starts_with(&*below.to_string_lossy());
        let gone: Vec<_> = files.iter().rev().map(|(path, _)| path).filter(is_there).take(count).collect();
        assert!(!gone.is_empty());
        gone.iter().for_each(|path| fs::remove_file(path).unwrap());
        let (code, out, err) = verify(&place, &[]);
        assert_eq!(code, 1, "without {gone:?}: {out}{err}");
    }
    let place = made();
    fs::rename(place.path("data"), place.path("newer")).unwrap();
    fs::rename(place.path("older"), place.path("data")).unwrap();
    let (code, out, _) = verify(&place, &[]);
    assert!(code == 1 && out.contains("the mark beside the key has seen"), "{out}");
    assert!(out.contains("1 finding of damage") && out.contains("--accept-rollback"), "{out}");
}

/// What cannot be checked is 2, with the cause and what to do: a running member, no key, no directory, another program's, a
/// newer format. A script must not take any of them for whole or for damaged.
#[test]
fn what_cannot_be_checked_is_told_apart() {
    let place = made();
    let refused = |place: &Place, arguments: &[&str], cause: &str, next: &str| {
        let (code, out, err) = verify(place, arguments);
        assert_eq!(code, 2, "{out}{err}");
        assert!(err.contains(cause) && err.contains(next) && out.is_empty(), "{out}{err}");
    };
    let running = place.up(&[]);
    refused(&place, &[], "is in use by another process", "stop the member");
    running.stop();
    assert_eq!(verify(&place, &[]).0, 0);
    refused(&place, &["--data-dir", "nowhere"], "nowhere holds no data", "--data-dir");
    fs::create_dir_all(place.path("etcd/member")).unwrap();
    refused(&place, &["--data-dir", "etcd"], "data of etcd", "--data-dir");
    fs::rename(place.path("strongroom-keys"), place.path("elsewhere")).unwrap();
    refused(&place, &[], "not found; tried", "STRONGROOM_KEY_FILE");
    assert_eq!(verify(&place, &["--key-file", "elsewhere"]).0, 0, "the key is where it is said to be");
    let keyring = place.path("data/keyring");
    flip(&keyring, 9);
    refused(&place, &["--key-file", "elsewhere"], "format version 0 is not known", "newer strongroom");
    flip(&keyring, 9);
    // A newer format among ours leaves the rest checked.
    let store = first(&place, "data/store");
    fs::OpenOptions::new().write(true).open(&store).unwrap().write_all_at(&[2], 9).unwrap();
    let (code, out, _) = verify(&place, &["--key-file", "elsewhere"]);
    assert!(
        code == 2 && out.contains("unchecked: ") && out.contains("format version 2 is not known"),
        "{out}"
    );
    assert_eq!(verify(&place, &["-w", "fields"]).0, 4);
}
