//! The settings' file: TOML or YAML by its extension, one key a setting, unknown keys refused with the nearest name.

use super::super::Problem;
use super::table::{SETTINGS, Takes, named};
use super::{Given, Origin, Settings};
use serde_json::Value;
use std::path::Path;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads the file: what it sets, and all that is wrong with it.
pub(super) fn read(path: &Path) -> (Settings, Vec<Problem>) {
    match text_of(path).map_err(|problem| vec![problem]).and_then(|text| parse(path, &text)) {
        Ok(read) => read,
        Err(problems) => (Settings::new(), problems),
    }
}

fn text_of(path: &Path) -> Result<String, Problem> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| {
        let what = format!("cannot read the configuration file {}: {error}", path.display());
        Problem::new(what, "name a file that this user can read with --config")
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        let what = format!("the configuration file {} is larger than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Problem::new(what, "it has a few lines; is this the right one?"));
    }
    Ok(text)
}

/// Reads the file's text; an error where none of it can be read.
fn parse(path: &Path, text: &str) -> Result<(Settings, Vec<Problem>), Vec<Problem>> {
    let malformed = |form: &str, why: &str| {
        let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let what = format!("the configuration file {} is no {form}: {why}", path.display());
        vec![Problem::new(
            what,
            "one line a setting, such as data-dir = \"/var/lib/strongroom\" (TOML) or data-dir: /var/lib/strongroom (YAML)",
        )]
    };
    let value = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => {
            toml::from_str::<Value>(text).map_err(|error| malformed("TOML", &place(text, &error)))?
        }
        Some("yaml" | "yml" | "json") if text.trim().is_empty() => Value::Null,
        Some("yaml" | "yml" | "json") => {
            serde_saphyr::from_str::<Value>(text).map_err(|error| malformed("YAML", &error.to_string()))?
        }
        _ => {
            let what = format!("the configuration file {} has no known extension", path.display());
            return Err(vec![Problem::new(what, "name it .toml, .yaml or .yml")]);
        }
    };
    let entries = match value {
        Value::Null => return Ok((Settings::new(), Vec::new())),
        Value::Object(entries) => entries,
        _ => return Err(malformed("table of settings", "it holds something else")),
    };
    let mut settings = Settings::new();
    let mut problems = Vec::new();
    for (key, value) in entries {
        match one(path, &key, &value) {
            Ok((name, given)) => {
                settings.insert(name, given);
            }
            Err(problem) => problems.push(problem),
        }
    }
    Ok((settings, problems))
}

fn place(text: &str, error: &toml::de::Error) -> String {
    let line =
        error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count());
    let line = line.map_or(0, |newlines| newlines.saturating_add(1));
    format!("line {line}: {}", error.message())
}

fn one(path: &Path, key: &str, value: &Value) -> Result<(&'static str, Given), Problem> {
    let Some(setting) = named(key).filter(|setting| setting.name != "config") else {
        let what = format!("unknown setting {key:?} in {}", path.display());
        return Err(Problem::new(
            what,
            match nearest(key) {
                Some(name) => format!("did you mean {name}?"),
                None => "strongroom up --help lists them".to_owned(),
            },
        ));
    };
    let texts = match (value, setting.takes) {
        (Value::Array(words), Takes::Many(_)) => words.iter().map(scalar).collect(),
        (value, _) => scalar(value).map(|text| vec![text]),
    };
    let texts = texts.ok_or_else(|| {
        let expected = match setting.takes {
            Takes::Switch => "true or false",
            Takes::One(_) => "one value",
            Takes::Many(_) => "a value or a list of them",
        };
        Problem::new(format!("{key} in {} is not {expected}", path.display()), format!("it takes {expected}"))
    })?;
    Ok((setting.name, Given { texts, origin: Origin::File(path.to_owned()) }))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The setting that was meant, if it is near: same letters apart from dashes, underscores and two more.
fn nearest(key: &str) -> Option<&'static str> {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let key: Vec<char> = folded(key).chars().take(64).collect();
    let near = SETTINGS.iter().filter(|setting| setting.name != "config").map(|setting| {
        let name: Vec<char> = folded(setting.name).chars().collect();
        (distance(&key, &name), setting.name)
    });
    near.min().filter(|(distance, _)| *distance <= 2).map(|(_, name)| name)
}

/// How many letters differ (Levenshtein).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.iter().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        let mut next = vec![before];
        for (b, above) in right.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(a != b);
            before = cost.min(before + 1).min(above + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
