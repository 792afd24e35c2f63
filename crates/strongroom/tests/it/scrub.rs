//! The running member's own check of its data: seen in the log and the metrics.

use crate::place::Place;
use std::fs;
use std::os::unix::fs::FileExt;

/// A place with data of one life, and the flags to look at its metrics with.
fn made() -> (Place, String) {
    let place = Place::new();
    let running = place.up(&[]);
    place.put("key", "value");
    running.stop();
    let metrics = format!("--listen-metrics=unix:{}", place.path("metrics").display());
    (place, metrics)
}

/// Waits until the log says something; the member writes it soon after it serves.
fn until_said(place: &Place, what: &str) {
    place.until(what, || place.log().contains(what));
}

/// A whole directory is read once, without a word of damage, and the numbers say so; stopping does not wait for a check.
#[test]
fn a_round_over_whole_data_is_told() {
    let (place, metrics) = made();
    let running = place.up(&[&metrics]);
    until_said(&place, "checked the stored data");
    assert_eq!(place.scraped("metrics", "strongroom_scrub_rounds_total"), 1.0);
    assert_eq!(place.scraped("metrics", "strongroom_scrub_damage"), 0.0);
    assert!(place.scraped("metrics", "strongroom_scrub_bytes_total") > 500.0);
    assert!(place.scraped("metrics", "strongroom_scrub_ended_seconds") > 1.7e9);
    assert!(!place.log().contains("is damaged"), "{}", place.log());
    running.stop();
}

/// Damage that the start passes over, as it is in the older manifest, is found while the member runs: an error with file
/// and next step, a metric to alert on, and the member goes on.
#[test]
fn damage_is_told_while_the_member_runs() {
    let (place, metrics) = made();
    let files = place.files("data");
    let (older, _) = files.iter().find(|(path, _)| path.to_string_lossy().contains("manifest")).unwrap();
    fs::OpenOptions::new().write(true).open(older).unwrap().write_all_at(&[0xff, 0xff], 180).unwrap();
    let running = place.up(&[&metrics, "--log-format=json"]);
    until_said(&place, "checked the stored data");
    let log = place.log();
    let line = log
        .lines()
        .find(|line| line.contains("the stored data is damaged"))
        .unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains(older.to_str().unwrap()) && line.contains("hint") && line.contains("error"),
        "{line}"
    );
    assert_eq!(place.scraped("metrics", "strongroom_scrub_damage"), 1.0);
    place.put("key", "another value");
    running.stop();
}

/// A rate of 0 turns the check off, which is said.
#[test]
fn the_check_can_be_turned_off() {
    let (place, metrics) = made();
    let running = place.up(&[&metrics, "--scrub-rate=0"]);
    assert!(place.log().contains("is not checked while the member runs"), "{}", place.log());
    assert_eq!(place.scraped("metrics", "strongroom_scrub_bytes_total"), 0.0);
    running.stop();
}
