//! What people write, turned into what the member runs on.
//!
//! Two personalities have their own words: [`strongroom`] (flags, `STRONGROOM_` variables, a TOML or YAML file; a
//! nearer source wins) and [`etcd`] (etcd's flags, `ETCD_` variables, its YAML file, with its rules and texts). Both end in
//! one [`Config`], which has no invalid state and is never checked again. All problems are reported at once, each with a
//! hint. Owns no file but the configuration file; never opens a port, a data directory or a certificate.
//!
//! Invariants of every [`Config`]:
//! - a [`Security::DangerouslyClear`] listener for clients or peers exists only where the operator wrote
//!   `--insecure-clear-text` (or its variable or key), and a note says so;
//! - clear text without that word is on loopback or a unix socket, or serves metrics and health only;
//! - the election timeout is at least five heartbeats and at most 50 s.

pub mod etcd;
pub mod identity;
mod keys;
mod model;
mod note;
mod number;
pub mod strongroom;
mod url;

pub use keys::{KeyPlaces, KeyRule};
pub use model::{
    Advertised, AutoCompaction, Bootstrap, Cluster, ClusterState, Config, Keepalive, Limits, Listener,
    Logins, Metrics, Personality, Pki, Rollback, Security, Serves, Slow, Timing, Tokens,
};
pub use note::{Exit, Note, Problem, Severity};
pub use url::{Scheme, Url};

/// The flag, in both personalities, without which no clear text is served beyond loopback and unix sockets.
pub const INSECURE_CLEAR_TEXT: &str = "insecure-clear-text";

/// What the settings are read in: the process's arguments, variables and user, so that tests can bring their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The arguments after the program's name (and, as `strongroom`, after `up`).
    pub arguments: Vec<String>,
    /// The variables, in their order.
    pub variables: Vec<(String, String)>,
    /// Whether the user is root.
    pub is_root: bool,
    /// The host's name, if it has one.
    pub host_name: Option<String>,
    /// Whether standard error is a terminal, which a person reads.
    pub has_terminal: bool,
}

impl Surroundings {
    /// Those of this process. Arguments and variables that are not UTF-8 come with replacement characters, and are
    /// refused as unknown or malformed later.
    #[must_use]
    pub fn of_process(skip_arguments: usize) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            arguments: std::env::args_os().skip(skip_arguments).map(text).collect(),
            variables: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            is_root: rustix::process::geteuid().is_root(),
            host_name: host_name(),
            has_terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().rev().find(|(variable, _)| variable == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }
}

fn host_name() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok()?;
    (!name.is_empty() && name != "(none)").then(|| name.to_owned())
}
