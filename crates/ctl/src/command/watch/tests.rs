use super::Options;
use super::request::{Fault, Line, Variables, Wanted, command, wanted};
use proto::etcdserverpb as pb;
use std::ffi::OsString;

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

fn variables(key: &str, end: &str) -> Variables {
    let (key, end) = (key.to_owned(), end.to_owned());
    Variables::read(&move |name| match name {
        "ETCDCTL_WATCH_KEY" => Some(key.clone().into()),
        "ETCDCTL_WATCH_RANGE_END" => Some(end.clone().into()),
        _ => None,
    })
    .unwrap()
}

fn shown(wanted: &Wanted) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let program: Vec<_> = wanted.program.iter().map(|word| word.to_string_lossy()).collect();
    format!("{}|{}|{}", text(&wanted.request.key), text(&wanted.request.range_end), program.join(" "))
}

/// Keys come from arguments or from variables, never from both, and programs behind the separator: the rows are those that
/// etcdctl accepts and refuses.
#[test]
fn keys_come_from_one_place() {
    let options = Options::default();
    let none = Variables::default();
    let key = variables("foo", "");
    let both = variables("foo", "bar");
    for (keys, program, separated, from, expected) in [
        ("foo", "", false, &none, Ok("foo||")),
        ("foo bar", "", false, &none, Ok("foo|bar|")),
        ("foo", "echo Hello", false, &none, Ok("foo||echo Hello")),
        ("", "", false, &key, Ok("foo||")),
        ("", "echo x", false, &both, Ok("foo|bar|echo x")),
        ("", "", false, &none, Err("bad number of arguments")),
        ("", "echo", false, &none, Err("bad number of arguments")),
        ("foo bar baz", "", false, &none, Err("bad number of arguments")),
        ("foo", "", true, &none, Err("bad number of arguments (found separator --, but no commands)")),
        ("foo", "", false, &key, Err("bad number of arguments (found conflicting environment key)")),
        ("foo", "echo", false, &both, Err("bad number of arguments (found conflicting environment key)")),
    ] {
        let result = wanted(&words(keys), &words(program), separated, &options, from);
        let result = result.as_ref().map(shown).map_err(|failure| (failure.message.as_str(), failure.code));
        assert_eq!(
            result,
            expected.map(str::to_owned).map_err(|message| (message, 128)),
            "{keys} -- {program}"
        );
    }
    let prefix = Options { prefix: true, ..Options::default() };
    assert!(wanted(&words("a b"), &[], false, &prefix, &none).is_err());
    assert_eq!(shown(&wanted(&words("a"), &[], false, &prefix, &none).unwrap()), "a|b|");
}

/// Lines of standard input are typed by people: a wrong one is answered, and only a wrong option ends the program.
#[test]
fn lines_are_watches_or_progress() {
    let none = Variables::default();
    let line = |text: &str| command(text.as_bytes(), &none);
    assert_eq!(line("progress"), Ok(Line::Progress));
    let Ok(Line::Watch(wanted)) = line("watch --rev 3 \"a b\" --prev-kv -- echo 'x y'") else { panic!() };
    assert_eq!(shown(&wanted), "a b||echo x y");
    assert_eq!((wanted.request.start_revision, wanted.request.prev_kv), (3, true));
    for text in ["", "watch", "hello"] {
        assert!(matches!(line(text), Err(Fault::Line(_))), "{text}");
    }
    for text in ["watch a --bogus", "watch a --", "watch \"\\q\""] {
        assert!(matches!(line(text), Err(Fault::End(_))), "{text}");
    }
}

/// The reason for the end of a watch decides whether to begin again: the three kinds must be told apart.
#[test]
fn the_end_of_a_watch_has_a_reason() {
    let answer = |compact_revision, reason: &str| pb::WatchResponse {
        canceled: true,
        compact_revision,
        cancel_reason: reason.into(),
        ..pb::WatchResponse::default()
    };
    assert!(super::ended(&answer(5, "")).ends_with("has been compacted"));
    assert_eq!(super::ended(&answer(0, "etcdserver: permission denied")), "etcdserver: permission denied");
    assert!(super::ended(&answer(0, "")).ends_with("is a future revision"));
}
