//! What is said of flags and feature gates that were given and change nothing here.
//!
//! One warning a reason, which names all flags that have it: a start with a full manifest stays readable. A value that is
//! the default says nothing.

use super::super::Note;
use super::convert::Settings;
use super::gates::KNOWN;
use super::table::{self, Fate};

pub(super) fn notes(settings: &Settings<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    let mut add = |why, name: String| match by_reason.iter_mut().find(|(reason, _)| *reason == why) {
        Some((_, names)) => names.push(name),
        None => by_reason.push((why, vec![name])),
    };
    for flag in table::all().filter(|flag| settings.is_set(flag.name)) {
        match flag.fate {
            Fate::Deprecated(text) => notes.push(Note::warn(text)),
            Fate::Idle(why) if settings.differs(flag) => add(why, format!("--{}", flag.name)),
            Fate::Idle(_) | Fate::Acts | Fate::Own => {}
        }
    }
    let gates = settings.gates();
    for gate in KNOWN.iter().filter(|gate| gates.get(gate.name).is_some_and(|set| *set != gate.default)) {
        if let Some(why) = gate.idle {
            add(why, format!("feature gate {}", gate.name));
        }
    }
    notes.extend(by_reason.into_iter().map(|(why, names)| {
        let said = match names.as_slice() {
            [one] => format!("{one} is taken and changes nothing here"),
            many => format!("{} are taken and change nothing here", many.join(", ")),
        };
        Note::warn(said).with("reason", why)
    }));
    notes
}
