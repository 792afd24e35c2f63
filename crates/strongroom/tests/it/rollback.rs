//! Data that is older than it was, and which member's mark tells.

use crate::place::Place;
use std::fs;
use std::path::{Path, PathBuf};

const METRIC: &str = "strongroom_rollback_accepted";

fn copy(from: &Path, to: &Path) {
    let mut cp = std::process::Command::new("cp");
    cp.arg("-a").arg("--sparse=always").arg(from).arg(to);
    assert!(cp.status().unwrap().success());
}

/// The file of the member's only mark.
fn mark(place: &Place) -> PathBuf {
    let keys = place.files("strongroom-keys").into_iter().map(|(path, _)| path);
    let marks: Vec<_> = keys.filter(|path| path.extension().is_some_and(|is| is == "mark")).collect();
    let [mark] = marks.as_slice() else { panic!("{marks:?}") };
    mark.clone()
}

/// An `etcd` starts with an old copy, as kubeadm needs it; that nobody has to read its log to hear of it, a metric stands at
/// one until the next start. The mark is found beside the key, whatever place for keys the settings name by then.
#[test]
fn a_drop_in_with_an_old_copy_shows_it_as_a_metric() {
    let place = Place::new();
    place.up_as_etcd(&[]).stop();
    copy(&place.path("data"), &place.path("old"));
    place.up_as_etcd(&[]).stop();
    assert!(!place.log().contains("older than it was"), "{}", place.log());
    fs::remove_dir_all(place.path("data")).unwrap();
    fs::rename(place.path("old"), place.path("data")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    let named = [("STRONGROOM_KEY_FILE", place.path("elsewhere"))];

    let running = place.up_as_etcd(&named);
    let log = place.log();
    let line = log.lines().find(|line| line.contains("older than it was")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("\"level\":\"warn\"") && line.contains("\"hint\""), "{line}");
    assert_eq!(place.scraped("clients", METRIC), 1.0);
    running.stop();
    mark(&place);

    let running = place.up_as_etcd(&named);
    assert_eq!(place.scraped("clients", METRIC), 0.0);
    assert!(!place.log().contains("older than it was"), "{}", place.log());
    running.stop();
}

/// Called `strongroom`, the binary refuses an old copy, at each of the starts that a service manager tries, and changes nothing
/// in the log or the mark by that: whoever rolled the data back must not get it served by the second try.
#[test]
fn an_old_copy_is_refused_at_every_start() {
    let place = Place::new();
    place.up(&[]).stop();
    copy(&place.path("data"), &place.path("old"));
    let running = place.up(&[]);
    place.put("deleted", "by the copy");
    running.stop();
    fs::remove_dir_all(place.path("data")).unwrap();
    fs::rename(place.path("old"), place.path("data")).unwrap();
    let found = (place.files("data/log"), place.files("strongroom-keys"));
    let listen = format!("--listen=unix:{}", place.path("clients").display());
    for _ in 0..3 {
        let refused = place.run(&["up", &listen]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("older than it was") && said.contains("--accept-rollback"), "{said}");
        assert!(
            (place.files("data/log"), place.files("strongroom-keys")) == found,
            "a refused start changed a file"
        );
    }
    place.up(&["--accept-rollback"]).stop();
    place.up(&[]).stop();
}

/// Two members of the same id, as `etcd` gives them where names and addresses are equal, keep their keys in one directory:
/// each has its own mark, or one's would hide that the other's data was put back from an old copy.
#[test]
fn members_that_share_a_directory_for_keys_have_a_mark_each() {
    let place = Place::new();
    place.up_as_etcd(&[]).stop();
    let (first, before) = (mark(&place), fs::read(mark(&place)).unwrap());
    place.up_as_etcd(&[("ETCD_DATA_DIR", place.path("other"))]).stop();
    assert_eq!(fs::read(&first).unwrap(), before);
    assert_eq!(place.files("strongroom-keys").len(), 4, "two keys, two marks");
    place.up_as_etcd(&[]).stop();
    assert!(!place.log().contains("freshness mark"), "{}", place.log());
}
