//! A log whose newest batch was cut short by a sudden end.

use crate::place::Place;
use std::fs;

/// What is cut is told with file, place and hint: who misses a write that was never acknowledged finds the reason. All that
/// was acknowledged before is there.
#[test]
fn a_torn_end_is_told_and_costs_nothing_acknowledged() {
    let place = Place::new();
    let running = place.up(&[]);
    place.put("kept", "value");
    place.put("cut", "while it was written");
    drop(running);
    let (log, bytes) =
        place.files("data/log").into_iter().rfind(|(_, bytes)| bytes.iter().any(|byte| *byte != 0)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(used as u64 - 5).unwrap();
    // The mark would say that an end is missing which this test has taken away.
    let marks = place
        .files("strongroom-keys")
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|is| is == "mark"));
    marks.for_each(|(path, _)| fs::remove_file(path).unwrap());
    let running = place.up(&["--log-format=json"]);
    let said = place.log();
    let line = said
        .lines()
        .find(|line| line.contains("cut the torn end of the log"))
        .unwrap_or_else(|| panic!("{said}"));
    let name = log.file_name().unwrap().to_str().unwrap();
    assert!(
        line.contains("\"level\":\"warn\"")
            && line.contains(name)
            && line.contains("\"hint\":\"nothing to do"),
        "{line}"
    );
    let kept = place.run(&["get", "kept"]);
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "kept\nvalue\n");
    assert_eq!(String::from_utf8_lossy(&place.run(&["get", "cut"]).stdout), "");
    running.stop();
}
