//! A member whose data was taken away, started again with the same settings.

use crate::place::Place;
use std::fs;

/// Who empties the data directory and starts again, as a reset of a control plane does, begins a new life: the mark of the
/// former one, which lies beside the key, says nothing about it and must not raise an alarm.
#[test]
fn a_member_that_begins_anew_is_not_held_against_its_former_life() {
    let place = Place::new();
    place.up_as_etcd(&[]).stop();
    let has_mark = || {
        let keys = place.files("strongroom-keys");
        keys.iter().any(|(path, _)| path.extension().is_some_and(|is| is == "mark"))
    };
    assert!(has_mark());
    fs::remove_dir_all(place.path("data")).unwrap();
    let running = place.up_as_etcd(&[]);
    assert!(!place.log().contains("the freshness mark cannot be read"), "{}", place.log());
    running.stop();
    assert!(has_mark());
    place.up_as_etcd(&[]).stop();
    assert!(!place.log().contains("freshness mark"), "{}", place.log());
}
