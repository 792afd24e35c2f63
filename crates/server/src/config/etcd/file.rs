//! etcd's configuration file: YAML or JSON with the flags' names, TLS nested.
//!
//! Facts from etcd (embed.configYAML, sigs.k8s.io/yaml): names are matched whatever their case, unknown ones are ignored
//! (here with a warning), durations are integer nanoseconds, lists of URLs are one text, `cipher-suites` and `log-outputs`
//! are lists, and a value of the wrong type gets encoding/json's error. Flags that have no key in that struct (most of
//! the peers' timeouts) are unknown here too.

use super::super::number::GoDuration;
use super::super::{Note, Problem};
use super::line::{Given, Origin};
use super::table;
use super::value::{Kind, Value as Setting};
use serde_json::{Map, Value};

/// Largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

const HINT: &str = "see etcd.conf.yml.sample of etcd 3.7: the flags' names, durations as integer nanoseconds";

/// The keys of the two TLS sections, with the flag that each is for clients; members' flags have `peer-` before it.
const SECTION: &[(&str, &str)] = &[
    ("cert-file", "cert-file"),
    ("key-file", "key-file"),
    ("client-cert-file", "client-cert-file"),
    ("client-key-file", "client-key-file"),
    ("client-cert-auth", "client-cert-auth"),
    ("trusted-ca-file", "trusted-ca-file"),
    ("auto-tls", "auto-tls"),
    ("allowed-hostname", "client-cert-allowed-hostname"),
];

/// Those of the members' section whose flags have another name.
const PEER_SECTION: &[(&str, &str)] = &[
    ("cert-file", "peer-cert-file"),
    ("key-file", "peer-key-file"),
    ("client-cert-file", "peer-client-cert-file"),
    ("client-key-file", "peer-client-key-file"),
    ("client-cert-auth", "peer-client-cert-auth"),
    ("trusted-ca-file", "peer-trusted-ca-file"),
    ("auto-tls", "peer-auto-tls"),
    ("allowed-cn", "peer-cert-allowed-cn"),
    ("allowed-hostname", "peer-cert-allowed-hostname"),
    ("skip-client-san-verification", "peer-skip-client-san-verification"),
];

/// Flags that have no key of their own in the file.
const FLAGS_ONLY: &[&str] = &["raft-read-timeout", "raft-write-timeout", "discovery-fallback"];

/// Keys whose value the file's own struct keeps as text.
const TEXT_IN_FILE: &[&str] = &[
    "listen-peer-urls",
    "listen-client-urls",
    "listen-client-http-urls",
    "initial-advertise-peer-urls",
    "advertise-client-urls",
    "cors",
    "host-whitelist",
    "feature-gates",
];

/// Reads the file into `given`.
pub(super) fn read(path: &str, given: &mut Given, notes: &mut Vec<Note>) -> Result<(), Vec<Problem>> {
    let text = text_of(path).map_err(|problem| vec![problem])?;
    parse(&text, given, notes)
}

fn text_of(path: &str) -> Result<String, Problem> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Problem::new(format!("open {path}: {why}"), "name a file that this user can read with --config-file")
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        let what = format!("{path} is larger than {FILE_BYTES_MAX} bytes");
        return Err(Problem::new(what, "a configuration file has a few lines; is this the right one?"));
    }
    Ok(text)
}

/// Reads the file's text into `given`; all problems at once.
pub(super) fn parse(text: &str, given: &mut Given, notes: &mut Vec<Note>) -> Result<(), Vec<Problem>> {
    let no_yaml =
        |why: String| vec![Problem::new(format!("error converting YAML to JSON: yaml: {why}"), HINT)];
    let value = if text.trim().is_empty() {
        Value::Null
    } else {
        serde_saphyr::from_str::<Value>(text).map_err(|error| no_yaml(first_line(&error.to_string())))?
    };
    let settings = match value {
        Value::Null => Map::new(),
        Value::Object(settings) => settings,
        other => {
            let what = format!("cannot unmarshal {} into Go value of type embed.configYAML", word(&other));
            return Err(vec![decoding(&what)]);
        }
    };
    let mut problems = Vec::new();
    for (key, value) in &settings {
        let name = key.to_ascii_lowercase();
        let outcome = match name.as_str() {
            "client-transport-security" => section(&name, value, SECTION, given, notes),
            "peer-transport-security" => section(&name, value, PEER_SECTION, given, notes),
            "socket-options" => section(
                &name,
                value,
                &[("reuse-port", "socket-reuse-port"), ("reuse-address", "socket-reuse-address")],
                given,
                notes,
            ),
            "discovery-config" => section(&name, value, &[("token", "discovery-token")], given, notes),
            _ => top(&name, value, given, notes),
        };
        problems.extend(outcome.err().into_iter().flatten());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn top(name: &str, value: &Value, given: &mut Given, notes: &mut Vec<Note>) -> Result<(), Vec<Problem>> {
    let in_section = SECTION.iter().chain(PEER_SECTION).any(|(_, flag)| *flag == name);
    let flag = table::named(name).filter(|_| !in_section && !FLAGS_ONLY.contains(&name));
    if let Some(flag) = flag {
        return one(name, flag, value, given).map_err(|problem| vec![problem]);
    }
    if table::successor(name).is_some() {
        // The file's form of a value is the flag's text for all kinds that had such a spelling, durations apart.
        let text = match (value, super::line::kind(name)) {
            (Value::Number(nanos), Some(Kind::Duration)) => {
                GoDuration(nanos.as_i64().unwrap_or(i64::MAX)).to_string()
            }
            (Value::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        };
        let set = given.set(name, &text, Origin::File);
        return set.map_err(|why| vec![Problem::new(format!("{name}: {why}"), HINT)]);
    }
    if value.is_null() {
        return Ok(());
    }
    notes.push(
        Note::warn("unknown key in the configuration file is ignored, as etcd does without a word")
            .with("key", name)
            .with("hint", "check its spelling; TLS files belong under client-transport-security and peer-transport-security"),
    );
    Ok(())
}

fn section(
    name: &str,
    value: &Value,
    keys: &[(&str, &'static str)],
    given: &mut Given,
    notes: &mut Vec<Note>,
) -> Result<(), Vec<Problem>> {
    let settings = match value {
        Value::Null => return Ok(()),
        Value::Object(settings) => settings,
        other => {
            let (owner, kind) = match name {
                "client-transport-security" | "peer-transport-security" => {
                    ("configJSON", "embed.securityConfig")
                }
                "socket-options" => ("Config", "transport.SocketOpts"),
                _ => ("Config", "v3discovery.DiscoveryConfig"),
            };
            let what = format!(
                "cannot unmarshal {} into Go struct field configYAML.{owner}.{name} of type {kind}",
                word(other)
            );
            return Err(vec![decoding(&what)]);
        }
    };
    let mut problems = Vec::new();
    for (key, value) in settings {
        let key = key.to_ascii_lowercase();
        let flag = keys.iter().find(|(known, _)| *known == key).and_then(|(_, flag)| table::named(flag));
        match flag {
            Some(flag) => problems.extend(one(&format!("{name}.{key}"), flag, value, given).err()),
            None => notes.push(
                Note::warn("unknown key in the configuration file is ignored, as etcd does without a word")
                    .with("key", format!("{name}.{key}")),
            ),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn one(key: &str, flag: &'static table::Flag, value: &Value, given: &mut Given) -> Result<(), Problem> {
    let mismatch = |value: &Value, type_name: &str| {
        let owner = if TEXT_IN_FILE.contains(&flag.name) { "configJSON" } else { "Config" };
        decoding(&format!(
            "cannot unmarshal {} into Go struct field configYAML.{owner}.{key} of type {type_name}",
            word(value)
        ))
    };
    let text_is_wrong = |why: String| match flag.kind {
        Kind::Urls(_) => Problem::new(format!("unexpected error setting up {}: {why}", flag.name), HINT),
        _ => Problem::new(why, HINT),
    };
    let in_text = TEXT_IN_FILE.contains(&flag.name) || flag.name == "listen-metrics-urls";
    let setting = match (flag.kind, value) {
        (_, Value::Null) => return Ok(()),
        (Kind::Strings, Value::Array(words)) if !in_text => {
            let mut texts = Vec::new();
            for word in words {
                texts.push(word.as_str().ok_or_else(|| mismatch(word, "string"))?.to_owned());
            }
            Setting::Strings(texts)
        }
        (Kind::Strings, _) if !in_text => return Err(mismatch(value, "[]string")),
        (
            Kind::Text | Kind::OneOf(_) | Kind::ManyOf(_) | Kind::Urls(_) | Kind::Gates | Kind::Strings,
            Value::String(text),
        ) => {
            if text.is_empty() {
                return Ok(());
            }
            match flag.kind {
                // The file's own check comes later and has its own words.
                Kind::OneOf(_) | Kind::ManyOf(_) => Setting::Text(text.clone()),
                kind => kind.parse(text).map_err(text_is_wrong)?,
            }
        }
        (Kind::Text | Kind::OneOf(_) | Kind::ManyOf(_) | Kind::Urls(_) | Kind::Gates | Kind::Strings, _) => {
            return Err(mismatch(value, "string"));
        }
        (Kind::Bool | Kind::Forgotten, value) => {
            Setting::Bool(truth(value).ok_or_else(|| mismatch(value, "bool"))?)
        }
        (Kind::Uint | Kind::U64 | Kind::U32, value) => {
            let type_name = match flag.kind {
                Kind::U64 => "uint64",
                Kind::U32 => "uint32",
                _ => "uint",
            };
            let found =
                value.as_u64().filter(|found| flag.kind != Kind::U32 || *found <= u64::from(u32::MAX));
            Setting::Unsigned(found.ok_or_else(|| mismatch(value, type_name))?)
        }
        (Kind::Int | Kind::Int64, value) => {
            let type_name = if flag.kind == Kind::Int { "int" } else { "int64" };
            Setting::Signed(value.as_i64().ok_or_else(|| mismatch(value, type_name))?)
        }
        (Kind::Duration, value) => {
            let nanos = value.as_i64().ok_or_else(|| mismatch(value, "time.Duration"))?;
            Setting::Duration(GoDuration(nanos))
        }
    };
    given.keep(flag.name, setting, Origin::File);
    Ok(())
}

/// YAML 1.1 has more words for a boolean than the parser knows.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(word) => match word.as_str() {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => Some(true),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn decoding(what: &str) -> Problem {
    Problem::new(format!("error unmarshaling JSON: while decoding JSON: json: {what}"), HINT)
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(number) if number.is_f64() || number.as_i64().is_some_and(|n| n < 0) => {
            format!("number {number}")
        }
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
