//! The `strongroom` personality: `strongroom up` with its flags, `STRONGROOM_` variables and one TOML or YAML file.
//!
//! A flag counts before a variable, a variable before the file, the file before the default. Everything is secure
//! without a setting: mutual TLS with certificates of its own, on loopback. What is less says `insecure` in its name.
//! [`Flags`] is for the binary's command line; [`configure`] does the rest.

mod convert;
mod file;
mod issuer;
pub mod table;

#[cfg(test)]
mod tests;

use super::{Config, Exit, Note, Problem, Surroundings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use table::{SETTINGS, Takes};

/// Where made certificates of this data directory lie: beside it, so that a copy of the data holds no key.
#[must_use]
pub fn pki_dir(data_dir: &Path) -> PathBuf {
    beside(data_dir, "-pki")
}

fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    // "data/" and "data" are one directory.
    let mut name: std::ffi::OsString = data_dir.components().collect::<PathBuf>().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In a variable.
    Variable,
    /// In this file.
    File(PathBuf),
}

/// What was given for one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// One text, or one for each time it was given.
    pub texts: Vec<String>,
    /// Where.
    pub origin: Origin,
}

impl Given {
    /// How to name the setting in a message.
    fn called(&self, name: &str) -> String {
        match &self.origin {
            Origin::Flag => format!("--{name}"),
            Origin::Variable => table::variable(name),
            Origin::File(path) => format!("{name} in {}", path.display()),
        }
    }
}

/// What people wrote, by the setting's name.
pub type Settings = BTreeMap<&'static str, Given>;

/// The flags of `strongroom up`, for the binary's command line (`#[command(flatten)]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// What was given on the command line.
    pub given: Settings,
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if matches.value_source(setting.name) != Some(clap::parser::ValueSource::CommandLine) {
                continue;
            }
            let texts: Vec<String> = match setting.takes {
                Takes::Switch => vec!["true".to_owned()],
                _ => matches.get_many::<String>(setting.name).into_iter().flatten().cloned().collect(),
            };
            self.given.insert(setting.name, Given { texts, origin: Origin::Flag });
        }
        Ok(())
    }
}

impl clap::Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        SETTINGS.iter().fold(command, |command, setting| {
            let help = if setting.default.is_empty() {
                setting.about.to_owned()
            } else {
                format!("{} [default: {}]", setting.about, setting.default)
            };
            let argument = clap::Arg::new(setting.name).long(setting.name).help(help);
            command.arg(match setting.takes {
                Takes::Switch => argument.action(clap::ArgAction::SetTrue),
                Takes::Many(what) => argument.value_name(what).action(clap::ArgAction::Append),
                Takes::One(what) => argument.value_name(what).action(clap::ArgAction::Set),
            })
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Reads variables and file beside the flags and makes the configuration.
///
/// # Errors
/// All problems at once.
pub fn configure(flags: &Flags, around: &Surroundings) -> Result<Config, Box<Exit>> {
    let mut notes = Vec::new();
    let mut problems = Vec::new();
    let mut settings = flags.given.clone();
    for (name, given) in from_variables(&around.variables, &mut notes) {
        settings.entry(name).or_insert(given);
    }
    if let Some(path) = settings.get("config").and_then(|given| given.texts.last()) {
        let (from_file, wrong) = file::read(Path::new(path));
        problems.extend(wrong);
        for (name, given) in from_file {
            settings.entry(name).or_insert(given);
        }
    }
    into_config(&settings, around, notes, problems)
}

/// Checks all settings together.
///
/// # Errors
/// All problems at once, those found before among them.
pub fn into_config(
    settings: &Settings,
    around: &Surroundings,
    notes: Vec<Note>,
    problems: Vec<Problem>,
) -> Result<Config, Box<Exit>> {
    convert::convert(settings, around, notes, problems)
        .map_err(|(notes, problems)| Box::new(Exit::Refused { notes, problems }))
}

fn from_variables(variables: &[(String, String)], notes: &mut Vec<Note>) -> Settings {
    let mut settings = Settings::new();
    for (variable, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        if !variable.starts_with("STRONGROOM_") {
            continue;
        }
        let setting = SETTINGS.iter().find(|setting| table::variable(setting.name) == *variable);
        if let Some(setting) = setting {
            let texts = match setting.takes {
                Takes::Many(_) => value.split(',').map(|text| text.trim().to_owned()).collect(),
                Takes::One(_) | Takes::Switch => vec![value.clone()],
            };
            settings.insert(setting.name, Given { texts, origin: Origin::Variable });
        } else if !table::OTHER_VARIABLES.contains(&variable.as_str()) {
            notes.push(
                Note::warn("unknown variable is ignored")
                    .with("variable", variable.as_str())
                    .with("hint", "see strongroom up --help; every flag has a variable of its name"),
            );
        }
    }
    settings
}
