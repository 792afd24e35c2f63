//! Called `etcd`: etcd's command line, its log lines, its exit codes.

use crate::memory;
use env::Env;
use server::config::{Exit, Problem, Severity, Surroundings, etcd};
use server::{log, run};
use std::process::ExitCode;

pub(crate) fn run() -> ExitCode {
    let config = match etcd::configure(&Surroundings::of_process(1)) {
        Ok(config) => config,
        Err(exit) => return leave(&exit),
    };
    if let Err(error) = log::start(&config.log) {
        let hint = "name a file in a directory that is there and that this user can write, or stderr";
        return leave(&Exit::Refused {
            notes: Vec::new(),
            problems: vec![Problem::new(error.to_string(), hint)],
        });
    }
    let summary = config.summary.iter().map(|(name, value)| (*name, value.clone()));
    log::with_fields(Severity::Info, "starting an etcd server", summary);
    memory::keep_off_swap();
    // etcd reports whatever keeps it from starting under this odd heading.
    let started = run::start(&config, &Env::real()).map_err(|failure| ("discovery failed", failure));
    let ended = started.and_then(|started| {
        started.until_stopped(memory::give_back).map_err(|failure| ("etcd failed", failure))
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err((heading, failure)) => {
            let text = failure.to_string();
            let (error, hint) = text.split_once("; hint: ").unwrap_or((&text, "see the lines before"));
            log::fatal(heading, [("error", error.into()), ("hint", hint.into())]);
            ExitCode::FAILURE
        }
    }
}

/// Ends without a member: words that were asked for, or what is wrong with the settings, as log lines like etcd's.
fn leave(exit: &Exit) -> ExitCode {
    match exit {
        Exit::Said { stdout, stderr } => {
            print!("{stdout}");
            eprint!("{stderr}");
        }
        Exit::Usage { stderr } => eprint!("{stderr}"),
        Exit::Refused { notes, problems } => {
            if log::start(&plain_log()).is_ok() {
                notes.iter().filter(|note| note.severity == Severity::Warn).for_each(run::tell);
            }
            problems.iter().for_each(tell);
        }
    }
    ExitCode::from(exit.code())
}

/// Says a problem at the level that etcd gives it.
fn tell(problem: &Problem) {
    let fields = [(problem.field, problem.what.as_str().into()), ("hint", problem.hint.as_str().into())];
    if problem.message == Problem::USUAL {
        log::with_fields(Severity::Warn, problem.message, fields);
    } else {
        log::fatal(problem.message, fields);
    }
}

/// How a refusal is logged: the settings of the log are among those that could not be followed.
fn plain_log() -> log::Settings {
    log::Settings { level: log::Level::Info, format: log::Format::Json, outputs: Vec::new() }
}
