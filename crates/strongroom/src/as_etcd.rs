//! Called `etcd`: etcd's command line, its log lines, its exit codes.

use env::Env;
use server::config::{Exit, Severity, Surroundings, etcd};
use server::{log, run};
use std::process::ExitCode;

pub(crate) fn run() -> ExitCode {
    let config = match etcd::configure(&Surroundings::of_process(1)) {
        Ok(config) => config,
        Err(exit) => return leave(&exit),
    };
    if let Err(error) = log::start(&config.log) {
        eprintln!("etcd: {error}");
        return ExitCode::FAILURE;
    }
    let summary = config.summary.iter().map(|(name, value)| (*name, value.clone()));
    log::with_fields(Severity::Info, "starting an etcd server", summary);
    match run::start(&config, &Env::real()).and_then(run::Started::until_stopped) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.to_string();
            let (error, hint) = text.split_once("; hint: ").unwrap_or((&text, "see the lines before"));
            tracing::error!(error, hint, "etcd failed");
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
            for problem in problems {
                tracing::error!(error = problem.what, hint = problem.hint, "{}", problem.message);
            }
        }
    }
    ExitCode::from(exit.code())
}

/// How a refusal is logged: the settings of the log are among those that could not be followed.
fn plain_log() -> log::Settings {
    log::Settings { level: log::Level::Info, format: log::Format::Json, outputs: Vec::new() }
}
