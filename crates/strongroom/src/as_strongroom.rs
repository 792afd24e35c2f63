//! Called `strongroom`: `up` starts a member, every other command talks to one.

use crate::{memory, welcome};
use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use env::Env;
use server::config::{Exit, Surroundings, etcd, strongroom};
use server::{log, run};
use std::ffi::OsString;
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

/// The command that starts a member.
const UP: &str = "up";

#[derive(Subcommand, Debug)]
enum Command {
    /// Start a member; the first start makes its data, keys and certificates
    Up(strongroom::Flags),
    #[command(flatten)]
    Client(ctl::Command),
}

/// This program's version, the commit it was built from, and the version of etcd whose interface it speaks.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let fips = if cfg!(feature = "fips") { ", fips" } else { "" };
    format!("{} (commit {}, etcd {}{fips})", env!("CARGO_PKG_VERSION"), etcd::commit(), etcd::VERSION)
});

pub(crate) fn run() -> ExitCode {
    let parsed = as_read(Cli::command()).try_get_matches().and_then(|matches| {
        refuse_client_options(&matches)?;
        Cli::from_arg_matches(&matches)
    });
    match parsed {
        Ok(Cli { command: Command::Up(flags), .. }) => up(&flags),
        Ok(Cli { command: Command::Client(ctl::Command::Pki(ctl::Pki::Recover(recover))), .. }) => {
            recovery(&recover)
        }
        Ok(Cli { global, command: Command::Client(command) }) => {
            ctl::execute(&global, command, &mut Cli::command())
        }
        Err(error) => {
            let is_help = matches!(error.kind(), DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand);
            let help = is_help.then(|| as_shown(Cli::command()).try_get_matches().err()).flatten();
            let _ = help.as_ref().unwrap_or(&error).print();
            ExitCode::from(if error.use_stderr() { 128 } else { 0 })
        }
    }
}

/// The command line as it is read: the commands that talk to a member take their options as etcdctl does.
fn as_read(root: clap::Command) -> clap::Command {
    root.mut_subcommands(
        |command| if command.get_name() == UP { command } else { ctl::as_in_etcdctl(command) },
    )
}

/// The command line as help shows it. The options of the commands that talk to a member mean nothing to `up`, which hides them.
fn as_shown(mut root: clap::Command) -> clap::Command {
    root.build();
    root.mut_subcommand(UP, |up| {
        up.mut_args(|option| if option.is_global_set() { option.hide(true) } else { option })
    })
}

/// `up` with an option of the other commands is refused: who writes `--cert` there means the member's own certificate, and
/// must not believe that it is in use.
fn refuse_client_options(matches: &clap::ArgMatches) -> Result<(), clap::Error> {
    let Some(up) = matches.subcommand_matches(UP) else { return Ok(()) };
    let of_clients = Cli::command();
    let given = of_clients.get_arguments().filter(|option| option.is_global_set()).find(|option| {
        matches!(up.try_contains_id(option.get_id().as_str()), Ok(true))
            && up.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    });
    let Some(option) = given.and_then(clap::Arg::get_long) else { return Ok(()) };
    let instead = match option {
        "cert" | "key" => "the member's own certificate is --tls-cert with --tls-key",
        "cacert" => "the CA of clients' certificates is --tls-client-ca",
        "endpoints" => "the addresses to serve are --listen",
        "max-request-bytes" => "the largest request to take is --request-bytes",
        _ => "see strongroom up --help",
    };
    let text =
        format!("--{option} is for the commands that talk to a member and means nothing to up; {instead}\n");
    Err(clap::Error::raw(clap::error::ErrorKind::UnknownArgument, text))
}

fn up(flags: &strongroom::Flags) -> ExitCode {
    let config = match strongroom::configure(flags, &Surroundings::of_process(2)) {
        Ok(config) => config,
        Err(exit) => return leave(&exit),
    };
    if let Err(error) = log::start(&config.log) {
        return fail(&error.to_string());
    }
    memory::keep_off_swap();
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
    match started.until_stopped(memory::give_back) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure.to_string()),
    }
}

/// Makes an administrator's certificate on a member that is not running.
fn recovery(options: &ctl::Recover) -> ExitCode {
    let given = [
        ("--data-dir", &options.data_dir),
        ("--pki-dir", &options.pki_dir),
        ("--key-file", &options.key_file),
    ];
    let given =
        given.into_iter().filter_map(|(flag, path)| Some([OsString::from(flag), path.clone()?.into()]));
    let line = [OsString::from(UP)].into_iter().chain(given.flatten());
    let flags = strongroom::Flags::augment_args(clap::Command::new(UP)).get_matches_from(line);
    let config = match strongroom::Flags::from_arg_matches(&flags)
        .map_err(|error| error.to_string())
        .map(|flags| strongroom::configure(&flags, &Surroundings::of_process(2)))
    {
        Ok(Ok(config)) => config,
        Ok(Err(exit)) => return leave(&exit),
        Err(error) => return fail(&error),
    };
    memory::keep_off_swap();
    match run::recover(&config, &Env::real(), options.recovery_key.as_deref()) {
        Ok(recovered) => {
            let made = &recovered.administrator;
            println!("{}  an administrator's certificate, until {}", made.path.display(), made.ends());
            println!("{}", made.path.with_extension("key").display());
            println!("It is in the register (strongroom pki list), with the word that it was made here.");
            println!("Start the member: strongroom up");
            ExitCode::SUCCESS
        }
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
