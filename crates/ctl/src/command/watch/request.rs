//! What is to be watched: from arguments, from a line of standard input, or from variables.
//!
//! Pure. `ETCDCTL_WATCH_KEY` and `ETCDCTL_WATCH_RANGE_END` stand for the arguments, and may not be given beside them.

use super::Options;
use crate::command::range::{Extent, Keys};
use crate::command::raw;
use crate::command::txn::words::split;
use crate::exit::Failure;
use crate::options::as_in_etcdctl;
use crate::print::text::quote;
use clap::{Args, Command, FromArgMatches};
use proto::etcdserverpb as pb;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// More keys than a range has. Other watches of the program go on after such a line, as after the next one.
const TOO_MANY: &str = "bad number of arguments: more than a key and a range_end";
/// A range with two ends.
const TWO_ENDS: &str = "`range_end` and `--prefix` are mutually exclusive";

/// One watch, and the program to run for each of its events.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) request: pb::WatchCreateRequest,
    pub(crate) program: Vec<OsString>,
}

/// The range that the environment names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    key: Option<OsString>,
    end: Option<OsString>,
}

impl Variables {
    pub(crate) fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let found = Self { key: set("ETCDCTL_WATCH_KEY"), end: set("ETCDCTL_WATCH_RANGE_END") };
        match (&found.key, &found.end) {
            (None, Some(end)) => Err(Failure::arguments(format!(
                "ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END={}",
                quote(end.as_bytes())
            ))),
            _ => Ok(found),
        }
    }
}

/// What a line of standard input asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    Watch(Wanted),
    Progress,
}

/// What is wrong with a line: worth a message, or the end of the program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    Line(String),
    End(Failure),
}

/// The watch that arguments and variables mean. `separated` says that the arguments end in `--`.
pub(crate) fn wanted(
    keys: &[OsString],
    program: &[OsString],
    separated: bool,
    options: &Options,
    variables: &Variables,
) -> Result<Wanted, Failure> {
    let wrong = |text: &str| Err(Failure::arguments(text));
    if separated && program.is_empty() {
        return wrong("bad number of arguments (found separator --, but no commands)");
    }
    if variables.key.is_some() && !keys.is_empty() {
        return wrong("bad number of arguments (found conflicting environment key)");
    }
    let (key, end) = match (keys, &variables.key) {
        ([], Some(key)) => (key, variables.end.as_ref()),
        ([key], None) => (key, None),
        ([key, end], None) => (key, Some(end)),
        ([], None) => return wrong("bad number of arguments"),
        _ => return wrong(TOO_MANY),
    };
    if options.prefix && end.is_some() {
        return wrong(TWO_ENDS);
    }
    let extent = if options.prefix { Extent::Prefix } else { Extent::Given };
    let Keys { key, end } = Keys::new(raw(key), end.map(|end| raw(end)), extent)?;
    let request = pb::WatchCreateRequest {
        key,
        range_end: end,
        start_revision: options.rev.max(0),
        progress_notify: options.progress_notify,
        prev_kv: options.prev_kv,
        ..pb::WatchCreateRequest::default()
    };
    Ok(Wanted { request, program: program.to_vec() })
}

/// Reads a line: `watch [options] key [range_end] [-- program …]` or `progress`.
pub(crate) fn command(line: &[u8], variables: &Variables) -> Result<Line, Fault> {
    let shown = String::from_utf8_lossy(line);
    let words = split(line).map_err(|_| Fault::End(Failure::input("invalid syntax")))?;
    let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
    let Some(first) = words.first() else {
        return Err(Fault::Line(format!("Invalid command: {shown} (watch and progress supported)")));
    };
    match first.as_bytes() {
        b"progress" => Ok(Line::Progress),
        b"watch" if words.len() < 2 && variables.key.is_none() => {
            Err(Fault::Line(format!("Invalid command {shown} (command type or key is not provided)")))
        }
        b"watch" => {
            let bare = Command::new("watch").disable_help_flag(true);
            let parsed = as_in_etcdctl(Arguments::augment_args(bare)).try_get_matches_from(&words);
            let arguments =
                parsed.and_then(|matches| Arguments::from_arg_matches(&matches)).map_err(|error| {
                    let text = error.to_string();
                    let first =
                        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    Fault::End(Failure::arguments(first))
                })?;
            let separated = words.last().is_some_and(|last| last == "--");
            let Arguments { keys, options, program } = arguments;
            wanted(&keys, &program, separated, &options, variables).map(Line::Watch).map_err(|failure| {
                if [TOO_MANY, TWO_ENDS].contains(&failure.message.as_str()) {
                    Fault::Line(format!("Invalid command {shown} ({})", failure.message))
                } else {
                    Fault::End(failure)
                }
            })
        }
        _ => Err(Fault::Line(format!("Invalid command {shown} (only support watch)"))),
    }
}

/// The arguments of a `watch` line.
#[derive(Args, Debug)]
struct Arguments {
    keys: Vec<OsString>,
    #[command(flatten)]
    options: Options,
    #[arg(last = true)]
    program: Vec<OsString>,
}
