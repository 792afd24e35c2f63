//! What the member says: one line an event, as JSON in the shape that etcd's tools parse, as etcd's console form, or for
//! a person at a terminal.
//!
//! Owns the subscriber and its level, which can be changed while running. Never writes a value of a key: events carry
//! fields, and no event carries one. What comes from outside is escaped, so it cannot forge a line.
//!
//! Invariants: a line is written whole; a failed write is dropped (logging never stops the member); other people's crates
//! speak from `warn` up only.

mod event;
mod format;

pub use event::{Secured, fatal, listening_for_peers, ready, serving, serving_metrics, with_fields};
pub use format::{Colours, Format};

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

/// The crates whose events follow the level.
const OURS: [&str; 14] = [
    "audit",
    "backup",
    "bbolt",
    "consensus",
    "ctl",
    "env",
    "node",
    "proto",
    "seal",
    "server",
    "state",
    "storage",
    "strongroom",
    "types",
];

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Level {
    /// Everything.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What an operator should know.
    Warn,
    /// What a person should look at.
    Error,
}

impl Level {
    /// From etcd's names; `panic` and `fatal` say no more than `error` here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" | "dpanic" | "panic" | "fatal" => Some(Self::Error),
            _ => None,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl Output {
    /// From etcd's `--log-outputs`: `default` is standard error.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "default" | "stderr" | "systemd/journal" => Self::Stderr,
            "stdout" => Self::Stdout,
            path => Self::File(PathBuf::from(path)),
        }
    }

    fn open(&self) -> Result<Box<dyn Write + Send>, Error> {
        match self {
            Self::Stderr => Ok(Box::new(io::stderr())),
            Self::Stdout => Ok(Box::new(io::stdout())),
            Self::File(path) => append(path).map_or_else(
                |source| Err(Error::Open { path: path.clone(), source }),
                |file| Ok(Box::new(file) as Box<dyn Write + Send>),
            ),
        }
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What is said, how, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much.
    pub level: Level,
    /// In which form.
    pub format: Format,
    /// Where to; none is standard error.
    pub outputs: Vec<Output>,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be opened.
    #[error("cannot open log file {path}: {source}")]
    Open {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else in the process logs already.
    #[error("logging was set up twice")]
    Twice,
}

/// Changes the level of a running log.
#[derive(Clone, Debug)]
pub struct Control {
    filter: reload::Handle<Targets, Registry>,
}

impl Control {
    /// From now on, say this much.
    pub fn set_level(&self, level: Level) {
        // Fails only when the subscriber is gone, and then nothing is said anyway.
        let _ = self.filter.reload(targets(level));
    }
}

fn targets(level: Level) -> Targets {
    let others = level.filter().min(LevelFilter::WARN);
    Targets::new().with_default(others).with_targets(OURS.map(|name| (name, level.filter())))
}

/// Begins to log, for the whole process.
///
/// # Errors
/// [`Error`] when a file cannot be opened or logging was begun before.
pub fn start(settings: &Settings) -> Result<Control, Error> {
    let mut writers = Vec::new();
    for output in &settings.outputs {
        writers.push(output.open()?);
    }
    if writers.is_empty() {
        writers.push(Output::Stderr.open()?);
    }
    let (subscriber, control) = subscriber(settings, writers);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::Twice)?;
    Ok(control)
}

/// Whether a person reads standard error and wants colours (<https://no-color.org>).
#[must_use]
pub fn wants_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn subscriber(
    settings: &Settings,
    writers: Vec<Box<dyn Write + Send>>,
) -> (impl Subscriber + Send + Sync, Control) {
    let (filter, handle) = reload::Layer::new(targets(settings.level));
    let lines = Lines { format: settings.format, writers: Arc::new(Mutex::new(writers)) };
    // The filter stands first so that what is not said costs nothing.
    (Registry::default().with(filter).with(lines), Control { filter: handle })
}

/// Writes JSON to this writer, for the whole test process.
#[cfg(test)]
pub(crate) fn start_for_tests(writer: Box<dyn Write + Send>) {
    let settings = Settings { level: Level::Debug, format: Format::Json, outputs: Vec::new() };
    tracing::subscriber::set_global_default(subscriber(&settings, vec![writer]).0).expect("set once");
}

/// Writes a line for each event.
struct Lines {
    format: Format,
    writers: Arc<Mutex<Vec<Box<dyn Write + Send>>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = format::Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &tracing::span::Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<format::Fields>()
        {
            values.record(fields);
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a line carries the time of day; nothing depends on it")]
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = format::Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<format::Fields>() {
                fields.append(outer);
            }
        }
        let line = self.format.line(event.metadata(), &fields, std::time::SystemTime::now());
        for writer in self.writers.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let _ = writer.write_all(line.as_bytes());
            let _ = writer.flush();
        }
    }
}

#[cfg(test)]
mod tests;
