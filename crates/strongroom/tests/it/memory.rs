//! The running member's memory, as the system sees it.

use crate::place::Place;

/// A member that crashes leaves no core file, whatever the shell that started it allows: it would hold keys in the clear.
#[test]
fn a_member_leaves_no_core_file() {
    let place = Place::new();
    let running = place.up(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let values: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(values, ["0", "0"], "{core}");
    running.stop();
}
