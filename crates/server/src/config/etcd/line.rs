//! Go's command line: `-f`, `--f`, `=v` or a value of its own, booleans bare; the first mistake ends it.

use super::super::number::quoted;
use super::table::{self, Successor};
use super::value::{Kind, Value};
use std::collections::BTreeMap;

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// On the command line.
    Flag,
    /// In a variable.
    Variable,
    /// In the configuration file.
    File,
}

/// The values that were given, by the flag's name; a later one replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// What was given for each flag, today's names only.
    pub(super) values: BTreeMap<&'static str, (Value, Origin)>,
    /// `--experimental-` spellings in the order they came.
    pub(super) experimental: Vec<(String, Successor)>,
    /// Forgotten flags that were named.
    pub(super) forgotten: Vec<&'static str>,
}

/// What a command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The values.
    pub(super) given: Given,
    /// `--config-file`.
    pub(super) config_file: Option<String>,
    /// `--version`.
    pub(super) version: bool,
    /// The first word that is no flag.
    pub(super) stray: Option<String>,
}

/// Why a command line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// `-h`, `--help`: no mistake.
    Help,
    /// Go's words.
    Wrong(String),
}

/// Reads a command line.
pub(super) fn parse(arguments: &[String]) -> Result<Line, Mistake> {
    let mut line = Line::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
            line.stray = Some(argument.clone());
            break;
        };
        if name == "-" {
            line.stray = rest.next().cloned();
            break;
        }
        let name = name.strip_prefix('-').unwrap_or(name);
        if name.starts_with(['-', '=']) {
            return Err(Mistake::Wrong(format!("bad flag syntax: {argument}")));
        }
        let (name, mut value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let kind = kind(name).ok_or_else(|| match name {
            "help" | "h" => Mistake::Help,
            _ => Mistake::Wrong(format!("flag provided but not defined: -{name}")),
        })?;
        if value.is_none() && !kind.is_boolean() {
            value = rest.next().cloned();
            if value.is_none() {
                return Err(Mistake::Wrong(format!("flag needs an argument: -{name}")));
            }
        }
        let text = value.as_deref().unwrap_or("true");
        set(&mut line, name, text).map_err(|why| {
            Mistake::Wrong(match (kind, &value) {
                (Kind::Bool, Some(_)) => format!("invalid boolean value {} for -{name}: {why}", quoted(text)),
                (Kind::Bool, None) => format!("invalid boolean flag {name}: {why}"),
                _ => format!("invalid value {} for flag -{name}: {why}", quoted(text)),
            })
        })?;
    }
    Ok(line)
}

/// What the flag of this name takes, if there is one.
pub(super) fn kind(name: &str) -> Option<Kind> {
    match name {
        "config-file" => return Some(Kind::Text),
        "version" => return Some(Kind::Bool),
        _ => {}
    }
    if table::FORGOTTEN.contains(&name) {
        return Some(Kind::Forgotten);
    }
    if let Some(successor) = table::successor(name) {
        return match successor {
            Successor::Flag(now) => table::named(now).map(|flag| flag.kind),
            Successor::Gate(_) => Some(Kind::Bool),
            // Of the two flags without a successor one is a boolean; bare or with a value, it is read and dropped.
            Successor::Nothing(_) if name.ends_with("timeout") => Some(Kind::Text),
            Successor::Nothing(_) => Some(Kind::Bool),
        };
    }
    table::named(name).map(|flag| flag.kind)
}

fn set(line: &mut Line, name: &str, text: &str) -> Result<(), String> {
    match name {
        "config-file" => {
            line.config_file = Some(text.to_owned()).filter(|path| !path.is_empty());
            Ok(())
        }
        "version" => {
            let Value::Bool(version) = Kind::Bool.parse(text)? else { return Ok(()) };
            line.version = version;
            Ok(())
        }
        _ => line.given.set(name, text, Origin::Flag),
    }
}

impl Given {
    /// Reads and keeps one value.
    pub(super) fn set(&mut self, name: &str, text: &str, origin: Origin) -> Result<(), String> {
        if let Some(name) = table::FORGOTTEN.iter().find(|forgotten| **forgotten == name) {
            self.forgotten.push(name);
            return Ok(());
        }
        if let Some(successor) = table::successor(name) {
            return self.set_experimental(name, successor, text, origin);
        }
        let Some(flag) = table::named(name) else { return Ok(()) };
        let value = flag.kind.parse(text)?;
        self.keep(flag.name, value, origin);
        Ok(())
    }

    /// Keeps a value that is read already.
    pub(super) fn keep(&mut self, name: &'static str, value: Value, origin: Origin) {
        // Gates add up, and a text that is allowed but means nothing leaves what was there.
        let value = match (self.values.remove(name), value) {
            (Some((Value::Gates(mut before), _)), Value::Gates(now)) => {
                before.extend(now);
                Value::Gates(before)
            }
            (Some((before, _)), Value::Nothing) => before,
            (_, value) => value,
        };
        self.values.insert(name, (value, origin));
    }

    fn set_experimental(
        &mut self,
        name: &str,
        successor: Successor,
        text: &str,
        origin: Origin,
    ) -> Result<(), String> {
        match successor {
            Successor::Flag(now) => {
                let Some(flag) = table::named(now) else { return Ok(()) };
                let value = flag.kind.parse(text)?;
                // Today's spelling wins, whichever comes first.
                if !self.values.contains_key(now) {
                    self.keep(now, value, origin);
                }
            }
            Successor::Gate(gate) => {
                let Value::Bool(on) = Kind::Bool.parse(text)? else { return Ok(()) };
                let already = match self.values.get("feature-gates") {
                    Some((Value::Gates(gates), _)) => gates.contains_key(gate),
                    _ => false,
                };
                if !already {
                    self.keep("feature-gates", Value::Gates([(gate, on)].into()), origin);
                }
            }
            Successor::Nothing(_) => {}
        }
        self.experimental.push((name.to_owned(), successor));
        Ok(())
    }

    /// Whether the flag was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
}
