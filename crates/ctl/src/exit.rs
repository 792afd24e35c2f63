//! How a command ends: the exit codes and the one error type, with its hint.
//!
//! Codes are etcdctl's. A failure to connect is always 2, also where etcdctl waits five seconds and ends in 1.

use crate::connect::explain::Explanation;
use std::fmt;

/// How a command ends; the numbers are etcdctl's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The server refused, or something else went wrong.
    Error = 1,
    /// No connection, or no trust between the two sides.
    Connection = 2,
    /// Standard input of `txn` or `watch` does not parse.
    Input = 3,
    /// A known flag has a value that is not supported.
    Feature = 4,
    /// The server ended a watch.
    Interrupted = 5,
    /// Wrong arguments.
    Arguments = 128,
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code, which may be a child's.
    pub code: u8,
    /// What happened, as etcdctl says it where it has a sentence; empty when all is said already.
    pub message: String,
    /// The likely cause, where it is not plain.
    pub cause: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code as u8, message: message.into(), cause: None, hint: None }
    }

    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(Code::Error, message)
    }

    pub(crate) fn arguments(message: impl Into<String>) -> Self {
        Self::new(Code::Arguments, message)
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(Code::Input, message)
    }

    pub(crate) fn feature(message: impl Into<String>) -> Self {
        Self::new(Code::Feature, message)
    }

    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Code::Interrupted, message)
    }

    /// Ends with this code and says nothing more.
    pub(crate) fn silent(code: u8) -> Self {
        Self { code, message: String::new(), cause: None, hint: None }
    }

    pub(crate) fn connection(explanation: Explanation) -> Self {
        Self {
            code: Code::Connection as u8,
            message: explanation.happened,
            cause: Some(explanation.cause),
            hint: Some(explanation.next),
        }
    }

    #[must_use]
    pub(crate) fn hinting(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn coded(mut self, code: Code) -> Self {
        if self.code == Code::Error as u8 {
            self.code = code as u8;
        }
        self
    }

    /// Puts the message into a sentence, `failed to grant lease (…)`.
    #[must_use]
    pub(crate) fn inside(mut self, sentence: &str) -> Self {
        self.message = format!("{sentence} ({})", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error: {}", self.message)?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  likely: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  next:   {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
