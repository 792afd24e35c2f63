//! The shape of lines, and what never gets into them.

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn said(level: Level, format: Format, say: impl FnOnce(&Control)) -> String {
    let captured = Captured::default();
    let settings = Settings { level, format, outputs: Vec::new() };
    let (subscriber, control) = subscriber(&settings, vec![Box::new(captured.clone())]);
    tracing::subscriber::with_default(subscriber, || say(&control));
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// etcd's tests read every line as JSON with these four keys and these types; so do people's collectors.
#[test]
fn a_json_line_has_zaps_shape() {
    let text = said(Level::Debug, Format::Json, |_| {
        tracing::warn!("remote-addr" = "1.2.3.4:5", count = 3, ok = true, error = %"bad \"x\"", hint = "do it", "a message");
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "warn");
    assert_eq!(line["msg"], "a message");
    assert_eq!(line["remote-addr"], "1.2.3.4:5");
    assert_eq!((&line["count"], &line["ok"]), (&3.into(), &true.into()));
    assert_eq!(line["error"], "bad \"x\"");
    let caller = line["caller"].as_str().unwrap();
    assert!(caller.starts_with("log/tests.rs:"), "{caller}");
    let ts = line["ts"].as_str().unwrap();
    assert!(ts.len() == 27 && ts.ends_with('Z') && ts.as_bytes()[10] == b'T', "{ts}");
    let keys = ["\"level\":", "\"ts\":", "\"caller\":", "\"msg\":", "\"remote-addr\":"]
        .map(|key| text.find(key).unwrap());
    assert!(keys.is_sorted(), "{text}");
}

/// etcd's test harness waits for this line, word for word; without it no test of etcd's starts.
#[test]
fn the_ready_line_is_etcds() {
    let text = said(Level::Info, Format::Json, |_| {
        ready();
        serving("127.0.0.1:2379", "grpc+http", Secured::ByTls);
        serving("127.0.0.1:2379", "grpc+http", Secured::NotAtAll);
    });
    assert!(text.contains("\"msg\":\"ready to serve client requests\"}"));
    assert!(text.contains("\"msg\":\"serving client traffic securely\",\"traffic\":\"grpc+http\",\"address\":\"127.0.0.1:2379\"}"));
    assert!(text.contains("\"msg\":\"serving client traffic insecurely; this is strongly discouraged!\","));
}

/// What a client sends ends up in fields: it must not be able to begin a line of its own or steer a terminal.
#[test]
fn what_comes_from_outside_cannot_forge_a_line() {
    let evil = "x\n2026 INFO all is well\r\x1b[2J";
    for format in [Format::Json, Format::Console, Format::Human(Colours::Off)] {
        let text = said(Level::Info, format, |_| tracing::info!(host = evil, "{evil}"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text}");
    }
}

/// A person sees the hint where the eye goes next: below the message.
#[test]
fn the_human_form_puts_the_hint_on_its_own_line() {
    let text = said(Level::Info, Format::Human(Colours::Off), |_| {
        tracing::warn!(address = "127.0.0.1:2379", hint = "do this", "it went wrong");
    });
    let mut lines = text.lines();
    assert!(lines.next().unwrap().ends_with("WARN  it went wrong address=127.0.0.1:2379"), "{text}");
    assert_eq!(lines.next().unwrap().trim(), "hint: do this");
    let coloured = said(Level::Info, Format::Human(Colours::On), |_| tracing::warn!("it went wrong"));
    assert!(coloured.contains("\x1b[33mWARN"), "{coloured:?}");
}

/// etcd's console form: tabs between the parts, the fields as one object.
#[test]
fn the_console_form_is_separated_by_tabs() {
    let text = said(Level::Info, Format::Console, |_| tracing::info!(a = 1, b = "x", "hello"));
    let parts: Vec<_> = text.trim_end().split('\t').collect();
    assert_eq!((parts[1], parts[3], parts[4]), ("info", "hello", "{\"a\": 1, \"b\": \"x\"}"));
}

/// The level can be changed while running, and holds for our crates only: a library's chatter stays out.
#[test]
fn the_level_can_be_changed_while_running() {
    let text = said(Level::Warn, Format::Json, |control| {
        tracing::info!("one");
        control.set_level(Level::Debug);
        tracing::debug!("two");
        tracing::debug!(target: "h2::codec", "three");
        tracing::warn!(target: "h2::codec", "four");
        control.set_level(Level::Error);
        tracing::warn!("five");
    });
    let said: Vec<_> =
        ["one", "two", "three", "four", "five"].into_iter().filter(|word| text.contains(word)).collect();
    assert_eq!(said, ["two", "four"]);
}

/// A request's span names it once; its events need not repeat who asked.
#[test]
fn events_carry_the_fields_of_their_span() {
    let text = said(Level::Info, Format::Json, |_| {
        let span = tracing::info_span!("request", request_id = 7, principal = tracing::field::Empty);
        span.record("principal", "root");
        span.in_scope(|| tracing::info!("done"));
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["request_id"], &line["principal"]), (&7.into(), &"root".into()));
}

/// A log file holds who did what: only its owner reads it.
#[test]
fn a_log_file_is_appended_to_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    for _ in 0..2 {
        Output::File(path.clone()).open().unwrap().write_all(b"x\n").unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "x\nx\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let missing = Output::File(directory.path().join("no/such/log"));
    assert!(matches!(missing.open(), Err(Error::Open { .. })));
}

/// Fields that are known only while running stand in the line like others: etcd's tests look for `"name":value` in it.
#[test]
fn fields_known_late_stand_in_the_line() {
    let fields =
        || [("snapshot-catchup-entries", 1000.into()), ("a", "x \"y\"\n".into()), ("hint", "do it".into())];
    let say = |_: &Control| with_fields(crate::config::Severity::Warn, "settings {}", fields());
    let text = said(Level::Info, Format::Json, say);
    assert!(
        text.contains("\"msg\":\"settings {}\"") && text.contains("\"snapshot-catchup-entries\":1000"),
        "{text}"
    );
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["a"], line["level"].as_str()), (&"x \"y\"\n".into(), Some("warn")));
    let human = said(Level::Info, Format::Human(Colours::Off), say);
    assert!(human.contains("hint: do it") && human.lines().count() == 2, "{human}");
}
