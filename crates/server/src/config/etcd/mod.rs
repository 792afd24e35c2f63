//! The `etcd` personality: etcd 3.7.3's command line, variables and configuration file, with its rules and its texts.
//!
//! The way of the settings, which is etcd's: the command line is read (a mistake is exit 2 with the usage); then either
//! the configuration file alone counts, or the variables are added (one that is also set as a flag is fatal); then all
//! is checked together. etcd stops at the first problem; here all are reported, etcd's first one first.

mod convert;
mod file;
pub mod gates;
mod help;
mod idle;
mod line;
mod listeners;
mod logins;
mod summary;
pub mod table;
mod value;

#[cfg(test)]
mod fates;
#[cfg(test)]
mod tests;

pub use help::{VERSION, commit, help, version};

use super::number::quoted;
use super::{Config, Exit, Note, Problem, Surroundings};
use line::{Given, Mistake, Origin};
use table::Successor;

/// Reads everything and makes the configuration.
///
/// # Errors
/// Why no member is started; `--help` and `--version` among them.
pub fn configure(surroundings: &Surroundings) -> Result<Config, Box<Exit>> {
    if let Some(command @ ("gateway" | "grpc-proxy")) = surroundings.arguments.first().map(String::as_str) {
        return Err(Box::new(Exit::Usage { stderr: proxy_refusal(command) }));
    }
    let line = line::parse(&surroundings.arguments).map_err(|mistake| {
        Box::new(match mistake {
            Mistake::Help => Exit::Said { stdout: help(), stderr: help::USAGE.to_owned() },
            Mistake::Wrong(why) => Exit::Usage { stderr: format!("{why}\n{}\n", help::USAGE) },
        })
    })?;
    let mut notes = Vec::new();
    let refused = |notes: Vec<Note>, problems| Box::new(Exit::Refused { notes, problems });
    if let Some(stray) = line.stray {
        let hint = "flags begin with a dash; see etcd --help";
        let problem = Problem::new(format!("{} is not a valid flag", quoted(&stray)), hint);
        return Err(refused(notes, vec![problem]));
    }
    if line.version {
        return Err(Box::new(Exit::Said { stdout: version(), stderr: String::new() }));
    }
    let named_by_variable = surroundings.variable("ETCD_CONFIG_FILE").map(str::to_owned);
    let mut given = line.given;
    let mut problems = Vec::new();
    if let Some(path) = line.config_file.or(named_by_variable) {
        given = Given::default();
        problems.extend(file::read(&path, &mut given, &mut notes).err().into_iter().flatten());
        notes.push(
            Note::info(
                "loaded server configuration, other configuration command line flags and environment variables will be ignored if provided",
            )
            .with("path", path),
        );
    } else {
        problems.extend(add_variables(&surroundings.variables, &mut given, &mut notes));
    }
    if !problems.is_empty() {
        return Err(refused(notes, problems));
    }
    notes.extend(about_old_spellings(&given));
    convert::convert(&given, surroundings, notes).map_err(|(notes, problems)| refused(notes, problems))
}

/// Adds the `ETCD_` variables to what the command line gave.
fn add_variables(variables: &[(String, String)], given: &mut Given, notes: &mut Vec<Note>) -> Vec<Problem> {
    let from_line = given.clone();
    let mut conflicts = Vec::new();
    let mut mistakes = Vec::new();
    for (variable, value) in variables {
        let Some(rest) = variable.strip_prefix("ETCD_") else { continue };
        let name = rest.to_ascii_lowercase().replace('_', "-");
        // A lower-case variable is another variable.
        let is_known = line::kind(&name).is_some() && table::variable(&name) == *variable;
        if variable == "ETCD_VERSION" && !value.is_empty() {
            notes.push(
                Note::warn("cannot set special environment variable")
                    .with("key", "ETCD_VERSION")
                    .with("value", value.as_str()),
            );
        } else if is_known && name != "config-file" && was_given(&from_line, &name) {
            conflicts.push(Problem {
                message: "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))",
                field: "environment-variable",
                what: variable.clone(),
                hint: format!("unset {variable}, or drop --{name}"),
            });
        } else if is_known && !value.is_empty() {
            match given.set(&name, value, Origin::Variable) {
                Ok(()) => notes.push(
                    Note::info("recognized and used environment variable")
                        .with("variable-name", variable.as_str())
                        .with("variable-value", shown(&name, value)),
                ),
                Err(why) => mistakes.push((
                    name,
                    Problem::new(
                        format!("invalid value {} for {variable}: {why}", quoted(value)),
                        format!("correct {variable}, or unset it"),
                    ),
                )),
            }
        } else if !value.is_empty() || !is_known {
            notes.push(
                Note::warn("unrecognized environment variable")
                    .with("environment-variable", format!("{variable}={value}")),
            );
        }
    }
    // etcd goes through the flags by name and keeps the last mistake; a conflict ends it before that.
    mistakes.sort_by(|left, right| right.0.cmp(&left.0));
    conflicts.into_iter().chain(mistakes.into_iter().map(|(_, problem)| problem)).collect()
}

fn was_given(line: &Given, name: &str) -> bool {
    line.has(name)
        || line.forgotten.contains(&name)
        || line.experimental.iter().any(|(experimental, _)| experimental == name)
}

/// A password is the one secret that a variable can hold.
fn shown(name: &str, value: &str) -> String {
    if matches!(name, "discovery-password" | "discovery-user") { "***".to_owned() } else { value.to_owned() }
}

fn about_old_spellings(given: &Given) -> Vec<Note> {
    let forgotten = given.forgotten.iter().map(|name| {
        Note::warn("flag is no longer supported - ignoring")
            .with("flag-name", *name)
            .with("hint", "etcd has ignored it for years: drop it")
    });
    let experimental = given.experimental.iter().map(|(name, successor)| {
        let note = Note::warn(format!("--{name} was removed in etcd 3.7 and is still taken here"))
            .with("flag-name", name.as_str());
        match successor {
            Successor::Flag(now) => note.with("hint", format!("write --{now} instead")),
            Successor::Gate(gate) => {
                note.with("hint", format!("write --feature-gates={gate}=true or =false instead"))
            }
            Successor::Nothing(why) => note.with("hint", format!("it changes nothing, drop it: {why}")),
        }
    });
    forgotten.chain(experimental).collect()
}

fn proxy_refusal(command: &str) -> String {
    let instead = if command == "gateway" {
        "let clients name all members as endpoints, or put a TCP load balancer in front"
    } else {
        "let clients speak to the members themselves"
    };
    format!(
        "etcd {command} is not part of strongroom: {instead}; the proxies of etcd 3.7 work in front of it too\n"
    )
}
