//! A machine that comes for certificates with a token: what lies there when it was given none.

use crate::place::Place;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

const NAMES: [&str; 3] = ["client.crt", "client.key", "root.crt"];

fn token(place: &Place) -> String {
    let output = place.run(&["pki", "token", "--role", "client", "--name", "app"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn enroll(place: &Place, token: &str, dir: &str, more: &[&str]) -> Output {
    place.run(&[&["enroll", "--token", token, "--dir", dir], more].concat())
}

/// Files and directories below this one, by name.
fn below(place: &Place, dir: &str) -> Vec<PathBuf> {
    let mut names: Vec<_> =
        fs::read_dir(place.path(dir)).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

/// What a refused attempt leaves would be taken for a good root by whoever comes next: nothing is there afterwards that was not
/// there before, neither a file nor a directory, and what was there is as it was.
#[test]
fn a_refused_enrolment_leaves_nothing_behind() {
    let place = Place::new();
    let running = place.up(&[]);
    let used = token(&place);
    assert!(enroll(&place, &used, "good", &[]).status.success());
    assert_eq!(below(&place, "good"), NAMES.map(PathBuf::from));

    let refused = |dir: &str| {
        let output = enroll(&place, &used, dir, &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("used"), "{said}");
    };
    refused("a/b/c");
    assert!(!place.path("a").exists());

    // A directory that is somebody's stays with what it holds, an old root too.
    fs::create_dir_all(place.path("mine/more")).unwrap();
    rustix::fs::chmod(place.path("mine/more"), rustix::fs::Mode::RWXU).unwrap();
    fs::write(place.path("mine/more/root.crt"), "of another cluster").unwrap();
    refused("mine/more");
    refused("mine/new");
    assert_eq!(below(&place, "mine"), ["more"].map(PathBuf::from));
    assert_eq!(below(&place, "mine/more"), ["root.crt"].map(PathBuf::from));
    assert_eq!(fs::read_to_string(place.path("mine/more/root.crt")).unwrap(), "of another cluster");

    // Nobody is there to ask.
    running.stop();
    assert!(!enroll(&place, &used, "nobody/there", &[]).status.success());
    assert!(!place.path("nobody").exists());
}

/// What can be known before is said before: the token is good for the next attempt.
#[test]
fn an_enrolment_that_cannot_end_well_costs_no_token() {
    let place = Place::new();
    let _running = place.up(&[]);
    let member = place.run(&["pki", "token", "--role", "member", "--name", "two", "--san", "localhost"]);
    let member = String::from_utf8(member.stdout).unwrap().split_whitespace().next().unwrap().to_owned();
    let output = enroll(&place, &member, "two", &["--write-profile"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no client's"), "{output:?}");
    assert!(!place.path("two").exists());
    fs::write(place.path("file"), "").unwrap();
    assert!(!enroll(&place, &member, "file/two", &[]).status.success());
    assert!(enroll(&place, &member, "two", &[]).status.success());
    assert!(place.path("two/peer.key").exists());
}
