//! Command families, online over gRPC: what a person types, and what the member answers, in etcdctl's words; and offline, on
//! a data directory.
//!
//! Owns the command line of these commands, the connection to a member, the forms of output and the explanations of what
//! goes wrong. Never a library API for others: the binary builds [`Global`] and [`Command`] into its command line and calls
//! [`execute`]. Exit codes are in [`Code`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod command;
mod connect;
mod credentials;
mod exit;
mod options;
mod print;
mod profile;
mod prompt;
mod secret;
mod settings;

pub use command::Command;
pub use command::pki::{Pki, Recover};
pub use connect::certificate::Certificate;
pub use connect::explain::{Explanation, FileFault, Material, Scene, Stage, Trouble, explain};
pub use exit::{Code, Failure};
pub use options::as_in_etcdctl;
pub use print::{Format, Notation};
pub use profile::{Error as ProfileError, Profile};
pub use secret::Secret;
pub use settings::Global;

use settings::{Settings, Surroundings};
use std::process::ExitCode;

/// What the exit codes mean, for the help text.
pub const EXIT_CODES: &str = "Exit codes: 0 done; 1 the server refused, or an error; 2 no connection or no trust; \
    3 standard input of txn or watch does not parse; 4 unsupported value; 5 the server ended a watch; \
    128 wrong arguments; lock: that of the program; verify: 0 whole, 1 damaged, 2 cannot be checked.";

/// Runs a command to its end. `root` is the whole command line of the program, which completions are made from.
pub fn execute(global: &Global, command: Command, root: &mut clap::Command) -> ExitCode {
    match attempt(global, command, root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("{failure}");
            }
            ExitCode::from(failure.code)
        }
    }
}

fn attempt(global: &Global, command: Command, root: &mut clap::Command) -> Result<(), Failure> {
    let Some(command) = command.run_offline(global, root)? else { return Ok(()) };
    let settings = Settings::resolve(global, &Surroundings { variable: &|name| std::env::var_os(name) })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::error(format!("no runtime: {error}")))?;
    runtime.block_on(command::run(command, settings))
}
