//! Called `strongroom`: `up` starts a member, every other command talks to one.

use crate::welcome;
use clap::{CommandFactory, Parser, Subcommand};
use env::Env;
use server::config::{Exit, Surroundings, etcd, strongroom};
use server::{log, run};
use std::process::ExitCode;
use std::sync::LazyLock;

/// Strongroom: a store for Kubernetes that speaks etcd's API and is secure before anybody configures it.
#[derive(Parser, Debug)]
#[command(name = "strongroom", version = VERSION.as_str(), after_help = ctl::EXIT_CODES, infer_subcommands = true)]
struct Cli {
    #[command(flatten)]
    global: ctl::Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start a member; the first start makes its data, keys and certificates
    Up(strongroom::Flags),
    #[command(flatten)]
    Client(ctl::Command),
}

/// This program's version, the commit it was built from, and the version of etcd whose interface it speaks.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!("{} (commit {}, etcd {})", env!("CARGO_PKG_VERSION"), etcd::commit(), etcd::VERSION)
});

pub(crate) fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: Command::Up(flags), .. }) => up(&flags),
        Ok(Cli { global, command: Command::Client(command) }) => {
            ctl::execute(&global, command, &mut Cli::command())
        }
        Err(error) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 128 } else { 0 })
        }
    }
}

fn up(flags: &strongroom::Flags) -> ExitCode {
    let config = match strongroom::configure(flags, &Surroundings::of_process(2)) {
        Ok(config) => config,
        Err(exit) => return leave(&exit),
    };
    if let Err(error) = log::start(&config.log) {
        return fail(&error.to_string());
    }
    let started = match run::start(&config, &Env::real()) {
        Ok(started) => started,
        Err(failure) => return fail(&failure.to_string()),
    };
    let profile = welcome::profile(&config, &started.facts);
    let place = ctl::Profile::default_path();
    let written = place.as_deref().map(|place| profile.write(place));
    if let Some(Err(error)) = written {
        let hint = "name the certificates with --cacert, --cert and --key";
        tracing::warn!(%error, hint, "cannot write the client profile");
    }
    welcome::print(&config, &started.facts, place.as_deref());
    match started.until_stopped() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure.to_string()),
    }
}

/// Ends without a member: words that were asked for, or all that is wrong with the settings.
fn leave(exit: &Exit) -> ExitCode {
    match exit {
        Exit::Said { stdout, stderr } => {
            print!("{stdout}");
            eprint!("{stderr}");
        }
        Exit::Usage { stderr } => eprint!("{stderr}"),
        Exit::Refused { problems, .. } => {
            for problem in problems {
                eprintln!("strongroom: {}\n  next: {}", problem.what, problem.hint);
            }
        }
    }
    ExitCode::from(exit.code())
}

/// Says why there is no member (any more): the cause, and below it what to do.
fn fail(message: &str) -> ExitCode {
    let (cause, hint) = message.split_once("; hint: ").unwrap_or((message, ""));
    eprintln!("strongroom: {cause}");
    if !hint.is_empty() {
        eprintln!("  next: {hint}");
    }
    ExitCode::FAILURE
}
