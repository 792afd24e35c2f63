//! What is said about the settings: problems that stop the start, and notes for the first lines of the log.

use serde_json::Value;
use std::fmt;

/// Something that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The log message it is reported under, as in etcd: `failed to verify flags` for most.
    pub message: &'static str,
    /// The name of the field that carries `what`.
    pub field: &'static str,
    /// What is wrong; etcd's own words where etcd knows the mistake.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl Problem {
    /// etcd's usual heading, which it warns under; all others are fatal.
    pub const USUAL: &'static str = "failed to verify flags";

    /// One under etcd's usual heading.
    #[must_use]
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: Self::USUAL, field: "error", what: what.into(), hint: hint.into() }
    }

    /// One that etcd finds only while starting, which it reports under this odd heading whatever it is.
    #[must_use]
    pub fn at_start(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: "discovery failed", ..Self::new(what, hint) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; hint: {}", self.what, self.hint)
    }
}

/// How a note is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// An operator should do something about it.
    Warn,
}

/// A line for the log at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How it is logged.
    pub severity: Severity,
    /// The message.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(&'static str, Value)>,
}

impl Note {
    /// A note without fields.
    #[must_use]
    pub fn info(message: impl Into<String>) -> Self {
        Self { severity: Severity::Info, message: message.into(), fields: Vec::new() }
    }

    /// A warning without fields.
    #[must_use]
    pub fn warn(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warn, message: message.into(), fields: Vec::new() }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

/// Why no member is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The user asked for words, not for a server.
    Said {
        /// For standard output.
        stdout: String,
        /// For standard error.
        stderr: String,
    },
    /// The command line cannot be read: text for standard error, without any log line.
    Usage {
        /// What is wrong, with the usage.
        stderr: String,
    },
    /// The settings can be read and not followed.
    Refused {
        /// What was noticed before.
        notes: Vec<Note>,
        /// All that is wrong; at least one.
        problems: Vec<Problem>,
    },
}

impl Exit {
    /// The process's exit code, as etcd's.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Said { .. } => 0,
            Self::Usage { .. } => 2,
            Self::Refused { .. } => 1,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { stdout, .. } => f.write_str(stdout),
            Self::Usage { stderr } => f.write_str(stderr),
            Self::Refused { problems, .. } => {
                for (at, problem) in problems.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "\n" };
                    write!(f, "{separator}{problem}")?;
                }
                Ok(())
            }
        }
    }
}
