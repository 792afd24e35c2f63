//! The commands, one file each, with etcdctl's names, options and words.
//!
//! A command checks its arguments before it connects, prints what the member answered, and knows nothing of transports.

pub(crate) mod access;
pub(crate) mod alarm;
pub(crate) mod auth;
pub(crate) mod compaction;
pub(crate) mod completion;
pub(crate) mod defrag;
pub(crate) mod del;
pub(crate) mod downgrade;
pub(crate) mod elect;
pub(crate) mod endpoint;
pub(crate) mod enroll;
pub(crate) mod env;
pub(crate) mod get;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod member;
pub(crate) mod move_leader;
pub(crate) mod pki;
pub(crate) mod put;
pub(crate) mod range;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod span;
pub(crate) mod txn;
pub(crate) mod user;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod watch;

use crate::connect::Client;
use crate::exit::Failure;
use crate::print::text::quote;
use crate::settings::{Global, Settings};
use clap::Subcommand;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

/// Every command of this crate.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Read a key or a range of keys
    #[command(override_usage = "strongroom get [OPTIONS] <KEY> [RANGE_END]")]
    Get(get::Get),
    /// Write a key
    #[command(override_usage = "strongroom put [OPTIONS] <KEY> [VALUE]")]
    Put(put::Put),
    /// Remove a key or a range of keys
    #[command(override_usage = "strongroom del [OPTIONS] <KEY> [RANGE_END]")]
    Del(del::Del),
    /// Do several things at once, or others instead, depending on comparisons
    #[command(override_usage = "strongroom txn [OPTIONS]")]
    Txn(txn::Txn),
    /// Print changes of a key or a range of keys as they happen
    #[command(override_usage = "strongroom watch [OPTIONS] [KEY] [RANGE_END] [-- PROGRAM ARGUMENTS…]")]
    Watch(watch::Watch),
    /// Keys that end by themselves: grant, revoke, ask about and renew leases
    #[command(subcommand)]
    Lease(lease::Lease),
    /// Forget the history before a revision
    #[command(visible_alias = "compact")]
    #[command(override_usage = "strongroom compaction [OPTIONS] <REVISION>")]
    Compaction(compaction::Compaction),
    /// Health, state and hash of the members
    #[command(subcommand)]
    Endpoint(endpoint::Endpoints),
    /// List and end alarms
    #[command(subcommand)]
    Alarm(alarm::Alarm),
    /// List and change the members of the cluster
    #[command(subcommand)]
    Member(member::Member),
    /// Give free space back to the disk
    Defrag(defrag::Defrag),
    /// Hold a lock, perhaps while a program runs
    #[command(override_usage = "strongroom lock [OPTIONS] <NAME> [-- PROGRAM ARGUMENTS…]")]
    Lock(lock::Lock),
    /// Stand for election, or watch who is elected
    #[command(override_usage = "strongroom elect [OPTIONS] <ELECTION> [PROPOSAL]")]
    Elect(elect::Elect),
    /// Hand the leadership to another member
    #[command(override_usage = "strongroom move-leader [OPTIONS] <MEMBER_ID>")]
    MoveLeader(move_leader::MoveLeader),
    /// Prepare or end a downgrade of the cluster
    #[command(subcommand)]
    Downgrade(downgrade::Downgrade),
    /// Make, list and remove users, set their passwords, and grant roles
    #[command(subcommand)]
    User(user::User),
    /// Make, list and remove roles, and say which keys they may read and write
    #[command(subcommand)]
    Role(role::Role),
    /// Turn access control on or off
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Beyond users and roles: denials, conditions, limits, administrative rights, certificates by other names, ready policies
    #[command(subcommand)]
    Access(access::Access),
    /// Certificates: issue, renew, revoke and list them, tokens for new machines, a look at anybody's files
    #[command(subcommand)]
    Pki(pki::Pki),
    /// Come for this machine's certificates with a token of pki token
    Enroll(enroll::Enroll),
    /// Check a data directory while no member runs on it: every sealed byte, and that nothing is missing or old
    Verify(verify::Verify),
    /// Print settings for etcdctl and other clients: eval "$(strongroom env)"
    Env(env::Env),
    /// Print completions for a shell
    Completion(completion::Completion),
    /// Print the versions of this program and of the API
    Version,
}

impl Command {
    /// Runs a command that needs no settings, so that a damaged profile cannot keep it from working; gives back the others.
    /// `root` is the whole command line, for completions.
    pub(crate) fn run_offline(
        self,
        global: &Global,
        root: &mut clap::Command,
    ) -> Result<Option<Self>, Failure> {
        match self {
            Self::Completion(completion) => completion.run(root).map(|()| None),
            Self::Verify(verify) => verify.run(global).map(|()| None),
            Self::Version => version::run().map(|()| None),
            Self::Pki(pki) => Ok(pki.run_offline(global)?.map(Self::Pki)),
            other => Ok(Some(other)),
        }
    }
}

/// Runs a command that needs settings.
pub(crate) async fn run(command: Command, settings: Settings) -> Result<(), Failure> {
    let settings = Arc::new(settings);
    match command {
        Command::Get(get) => get.run(&settings).await,
        Command::Put(put) => put.run(&settings).await,
        Command::Del(del) => del.run(&settings).await,
        Command::Txn(txn) => txn.run(&settings).await,
        Command::Watch(watch) => watch.run(&settings).await,
        Command::Lease(lease) => lease.run(&settings).await,
        Command::Compaction(compaction) => compaction.run(&settings).await,
        Command::Endpoint(endpoint) => endpoint.run(&settings).await,
        Command::Alarm(alarm) => alarm.run(&settings).await,
        Command::Member(member) => member.run(&settings).await,
        Command::Defrag(defrag) => defrag.run(&settings).await,
        Command::Lock(lock) => lock.run(&settings).await,
        Command::Elect(elect) => elect.run(&settings).await,
        Command::MoveLeader(leader) => leader.run(&settings).await,
        Command::Downgrade(downgrade) => downgrade.run(&settings).await,
        Command::User(user) => user.run(&settings).await,
        Command::Role(role) => role.run(&settings).await,
        Command::Auth(auth) => auth.run(&settings).await,
        Command::Access(access) => access.run(&settings).await,
        Command::Pki(pki) => pki.run(&settings).await,
        Command::Enroll(enroll) => enroll.run(&settings).await,
        Command::Env(env) => env.run(&settings),
        Command::Completion(_) | Command::Verify(_) | Command::Version => Ok(()),
    }
}

/// Writes to standard output. A reader that has enough, as `head` does, ends the program in silence.
pub(crate) fn emit(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Failure::silent(0)
        } else {
            Failure::error(format!("standard output: {error}"))
        }
    })
}

/// Writes lines to standard output.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    emit(format!("{text}\n").as_bytes())
}

/// Prints an answer in the chosen form.
pub(crate) fn show(client: &Client, answer: &crate::print::Answer<'_>) -> Result<(), Failure> {
    emit(&client.printer.render(answer)?)
}

/// Prints a sheet that no member was asked for.
pub(crate) fn say_sheet(global: &Global, sheet: &crate::print::Sheet) -> Result<(), Failure> {
    let around = crate::settings::Surroundings { variable: &|name| std::env::var_os(name) };
    emit(&crate::print::sheet(crate::settings::format(global, &around)?, sheet)?)
}

/// The bytes of an argument: keys and values need not be text.
pub(crate) fn raw(argument: &OsStr) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(argument.as_bytes())
}

/// Reads a number as Go's `ParseInt` does, with its words for what is wrong.
pub(crate) fn parse_int(text: &str, radix: u32) -> Result<i64, String> {
    i64::from_str_radix(text, radix).map_err(|error| number_fault("ParseInt", text, &error))
}

/// Reads an unsigned number, as above.
pub(crate) fn parse_uint(text: &str, radix: u32) -> Result<u64, String> {
    if text.starts_with('+') {
        return Err(format!("strconv.ParseUint: parsing {}: invalid syntax", quote(text.as_bytes())));
    }
    u64::from_str_radix(text, radix).map_err(|error| number_fault("ParseUint", text, &error))
}

fn number_fault(function: &str, text: &str, error: &std::num::ParseIntError) -> String {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let reason = if matches!(error.kind(), PosOverflow | NegOverflow) {
        "value out of range"
    } else {
        "invalid syntax"
    };
    format!("strconv.{function}: parsing {}: {reason}", quote(text.as_bytes()))
}

/// How a program ended, in the words that etcdctl has for it.
pub(crate) fn ended(status: std::process::ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Why a program did not start, in the words that etcdctl has for it.
pub(crate) fn not_started(program: &OsStr, error: &std::io::Error) -> String {
    let name = program.as_bytes();
    if error.kind() == std::io::ErrorKind::NotFound && !name.contains(&b'/') {
        return format!("exec: {}: executable file not found in $PATH", quote(name));
    }
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default().to_lowercase();
    format!("fork/exec {}: {reason}", program.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts read why a program of `watch` or `lock` failed, in etcdctl's words.
    #[test]
    fn a_program_that_failed_is_told_in_etcdctls_words() {
        use std::process::ExitStatus;
        assert_eq!(ended(ExitStatus::from_raw(3 << 8)), "exit status 3");
        assert_eq!(ended(ExitStatus::from_raw(9)), "signal 9");
        let absent = std::io::Error::from(std::io::ErrorKind::NotFound);
        let text = not_started(OsStr::new("nope"), &absent);
        assert_eq!(text, r#"exec: "nope": executable file not found in $PATH"#);
        let absent = std::io::Error::from_raw_os_error(2);
        assert_eq!(not_started(OsStr::new("/nope"), &absent), "fork/exec /nope: no such file or directory");
    }

    /// Numbers are read as etcdctl reads them, and refused in its words: scripts look for them.
    #[test]
    fn numbers_are_refused_in_gos_words() {
        assert_eq!(parse_int("-7f", 16), Ok(-127));
        assert_eq!(parse_int("x\n", 10).unwrap_err(), r#"strconv.ParseInt: parsing "x\n": invalid syntax"#);
        assert_eq!(parse_int("", 16).unwrap_err(), r#"strconv.ParseInt: parsing "": invalid syntax"#);
        assert!(parse_int("9223372036854775808", 10).unwrap_err().ends_with("value out of range"));
        assert_eq!(parse_uint("ffffffffffffffff", 16), Ok(u64::MAX));
        assert!(parse_uint("-1", 16).unwrap_err().ends_with("invalid syntax"));
        assert!(parse_uint("+1", 16).unwrap_err().ends_with("invalid syntax"));
    }

    /// An argument named as an option of all commands takes its place, and ends the program where its type is another one.
    #[test]
    fn no_argument_is_named_as_an_option_of_all_commands() {
        use clap::{Args, Command as Clap};
        let all = Global::augment_args(Clap::new("all"));
        let common: Vec<&str> = all.get_arguments().map(|option| option.get_id().as_str()).collect();
        assert!(common.contains(&"user"));
        let mut waiting = vec![Command::augment_subcommands(Clap::new("root"))];
        while let Some(command) = waiting.pop() {
            for argument in command.get_arguments().map(|argument| argument.get_id().as_str()) {
                assert!(!common.contains(&argument), "{argument} of {}", command.get_name());
            }
            waiting.extend(command.get_subcommands().cloned());
        }
    }
}
