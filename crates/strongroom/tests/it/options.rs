//! Which options belong to which command.

use crate::place::Place;

/// An option of the client commands, given to `up`, would change nothing: who writes `--cert` there must not believe that
/// their certificate is served. It is refused with the right name, before anything is made.
#[test]
fn up_refuses_the_options_of_the_other_commands() {
    let place = Place::new();
    let starts = [
        (&["up", "--cert", "mine.crt"][..], "--tls-cert"),
        (&["--cacert", "mine.crt", "up"], "--tls-client-ca"),
        (&["up", "--endpoints=h:1"], "--listen"),
        (&["up", "-w", "json"], "up --help"),
    ];
    for (start, instead) in starts {
        let output = place.run(start);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(128), "{said}");
        assert!(said.contains("means nothing to up") && said.contains(instead), "{said}");
    }
    assert!(place.files(".").is_empty());

    let help = |command: &str| String::from_utf8(place.run(&[command, "--help"]).stdout).unwrap();
    assert!(help("up").contains("--tls-cert") && !help("up").contains("--endpoints"), "{}", help("up"));
    assert!(help("get").contains("--endpoints"));
}
