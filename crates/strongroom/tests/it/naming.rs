//! The member's name: data keeps the one it was made with.

use crate::place::Place;

/// Whoever names another member than the data's has mistaken the directory: refused with both names and the step, nothing
/// is changed, and without a name, or with the right one, the member goes on, a sudden end before it or not.
#[test]
fn data_is_not_taken_for_another_members() {
    let place = Place::new();
    place.up(&["--name=one"]).stop();
    // Dropped, not stopped: what was said last is in the log alone.
    drop(place.up(&["--name=one"]));
    let listen = format!("--listen=unix:{}", place.path("clients").display());
    let refused = place.run(&["up", &listen, "--name=two"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let (cause, step) = said.rsplit_once("\n  next: ").unwrap_or_else(|| panic!("{said}"));
    assert!(cause.contains("the data is of the member \"one\", and the settings name \"two\""), "{said}");
    assert!(step.contains("start it as \"one\""), "{said}");
    for flags in [&[][..], &["--name=one"]] {
        let running = place.up(flags);
        let members = place.run(&["member", "list"]);
        assert!(String::from_utf8_lossy(&members.stdout).contains(", one, "), "{members:?}");
        running.stop();
    }
}
