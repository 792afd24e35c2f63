//! One event as one line.
//!
//! JSON has zap's shape as etcd configures it: `level`, `ts`, `caller`, `msg`, then the fields in the order they were
//! given. The console form separates the same with tabs. The human form is for a terminal: short time, message, fields,
//! and the hint on a line of its own.

use serde_json::Value;
use std::fmt::{self, Debug, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// etcd's `--log-format=json`.
    Json,
    /// etcd's `--log-format=console`.
    Console,
    /// For a person.
    Human(Colours),
}

/// Whether the human form is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Yes.
    On,
    /// No.
    Off,
}

/// The field whose text is an object of fields that are known only while running; only [`super::event::with_fields`]
/// writes it.
pub(super) const SPLICED: &str = "spliced";

/// An event's fields, in order; the message apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Fields {
    /// Takes over what a surrounding span says, where the event does not say it itself.
    pub(super) fn append(&mut self, outer: &Self) {
        for (name, value) in &outer.fields {
            if !self.fields.iter().any(|(own, _)| own == name) {
                self.fields.push((name, value.clone()));
            }
        }
    }

    /// The fields in order, those that were spliced in among them.
    fn flat(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().flat_map(|(name, value)| match value {
            Value::Object(spliced) if *name == SPLICED => {
                Box::new(spliced.iter().map(|(name, value)| (name.as_str(), value)))
                    as Box<dyn Iterator<Item = (&str, &Value)>>
            }
            value => Box::new(std::iter::once((*name, value))),
        })
    }

    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return;
        }
        match self.fields.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, old)) => *old = value,
            None => self.fields.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == SPLICED
            && let Ok(spliced @ Value::Object(_)) = serde_json::from_str(value)
        {
            return self.put(field, spliced);
        }
        self.put(field, Value::String(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, Value::String(value.to_string()));
    }
}

impl Format {
    pub(super) fn line(self, metadata: &Metadata<'_>, fields: &Fields, now: SystemTime) -> String {
        match self {
            Self::Json => json(metadata, fields, now),
            Self::Console => console(metadata, fields, now),
            Self::Human(colours) => human(metadata, fields, now, colours),
        }
    }
}

fn json(metadata: &Metadata<'_>, fields: &Fields, now: SystemTime) -> String {
    let mut line = format!(
        "{{\"level\":\"{}\",\"ts\":\"{}\",\"caller\":{},\"msg\":{}",
        level(metadata),
        Timestamp(now),
        quoted(&caller(metadata)),
        quoted(&fields.message),
    );
    for (name, value) in fields.flat() {
        // Writing to a String cannot fail, here and below.
        let _ = write!(line, ",{}:{value}", quoted(name));
    }
    line.push_str("}\n");
    line
}

fn console(metadata: &Metadata<'_>, fields: &Fields, now: SystemTime) -> String {
    let message = visible(&fields.message);
    let mut line = format!("{}\t{}\t{}\t{message}", Timestamp(now), level(metadata), caller(metadata));
    let mut separator = "\t{";
    for (name, value) in fields.flat() {
        let _ = write!(line, "{separator}{}: {value}", quoted(name));
        separator = ", ";
    }
    line.push_str(if separator == ", " { "}\n" } else { "\n" });
    line
}

fn human(metadata: &Metadata<'_>, fields: &Fields, now: SystemTime, colours: Colours) -> String {
    let (word, code) = match *metadata.level() {
        Level::ERROR => ("ERROR", "31;1"),
        Level::WARN => ("WARN ", "33"),
        Level::INFO => ("INFO ", "32"),
        Level::DEBUG | Level::TRACE => ("DEBUG", "2"),
    };
    let paint = |code: &str, text: &str| match colours {
        Colours::On => format!("\x1b[{code}m{text}\x1b[0m"),
        Colours::Off => text.to_owned(),
    };
    let ts = Timestamp(now).to_string();
    let clock = ts.get(11..19).unwrap_or_default();
    let mut line = format!("{} {} {}", paint("2", clock), paint(code, word), visible(&fields.message));
    let mut hint = None;
    for (name, value) in fields.flat() {
        let text = value.as_str().map_or_else(|| value.to_string(), visible);
        if name == "hint" {
            hint = Some(text);
        } else {
            let text = if text.contains(' ') || text.is_empty() { format!("{text:?}") } else { text };
            let _ = write!(line, " {}{text}", paint("2", &format!("{name}=")));
        }
    }
    line.push('\n');
    if let Some(hint) = hint {
        let _ = writeln!(line, "               {} {hint}", paint("36", "hint:"));
    }
    line
}

/// The name of events that zap calls fatal; there is no such level here.
pub(super) const FATAL: &str = "fatal";

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::ERROR if metadata.name() == FATAL => "fatal",
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// File and line, with one directory, as zap shortens them.
fn caller(metadata: &Metadata<'_>) -> String {
    let file = metadata.file().unwrap_or("unknown");
    let from = file.rmatch_indices('/').nth(1).map_or(0, |(slash, _)| slash.saturating_add(1));
    format!("{}:{}", file.get(from..).unwrap_or(file), metadata.line().unwrap_or_default())
}

fn quoted(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// The text with everything that could move a terminal's cursor or begin a line spelled out.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

/// A moment as `2006-01-02T15:04:05.000000Z`.
struct Timestamp(SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, micros) = (since.as_secs(), since.subsec_micros());
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of a number of days since 1970 (the algorithm is Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Log collectors parse the time by etcd's pattern.
    #[test]
    fn times_are_written_as_etcd_writes_them() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (1_795_443_337, 508_838, "2026-11-23T14:15:37.508838Z"),
            (4_107_542_399, 999_999, "2100-02-28T23:59:59.999999Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
            assert_eq!(Timestamp(time).to_string(), expected);
        }
    }
}
