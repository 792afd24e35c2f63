//! The value of a flag: what kinds there are, and how Go reads each from text.
//!
//! Errors are the words of Go's `flag` package and of etcd's own flag types, since people search for them.

use super::super::number::{self, GoDuration, NoNumber, quoted};
use super::super::url::Url;
use super::gates;
use std::collections::BTreeMap;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A boolean; may stand without a value.
    Bool,
    /// Go's `uint`.
    Uint,
    /// Go's `uint64`.
    U64,
    /// Go's `uint32`, with the errors of `strconv`.
    U32,
    /// Go's `int`.
    Int,
    /// Go's `int64`.
    Int64,
    /// Go's `time.Duration`.
    Duration,
    /// URLs with commas between them; the text named here is allowed too and changes nothing.
    Urls(&'static str),
    /// Words with commas between them.
    Strings,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Some of these, with commas between them.
    ManyOf(&'static [&'static str]),
    /// Feature gates.
    Gates,
    /// A flag that is forgotten at once; may stand without a value.
    Forgotten,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of `Text`, `OneOf`, `ManyOf`.
    Text(String),
    /// Of `Bool`.
    Bool(bool),
    /// Of `Uint`, `U64`, `U32`.
    Unsigned(u64),
    /// Of `Int`, `Int64`.
    Signed(i64),
    /// Of `Duration`.
    Duration(GoDuration),
    /// Of `Urls`.
    Urls(Vec<Url>),
    /// Of `Strings`.
    Strings(Vec<String>),
    /// Of `Gates`.
    Gates(BTreeMap<&'static str, bool>),
    /// Of `Forgotten`, and of URLs that are `*`.
    Nothing,
}

impl Kind {
    /// Whether it may stand without a value.
    #[must_use]
    pub fn is_boolean(self) -> bool {
        matches!(self, Self::Bool | Self::Forgotten)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// Go's words.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let number = |error| match error {
            NoNumber::Syntax => "parse error".to_owned(),
            NoNumber::Range => "value out of range".to_owned(),
        };
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Bool => number::boolean(text).map(Value::Bool).ok_or_else(|| "parse error".to_owned()),
            Self::Uint | Self::U64 => number::unsigned(text).map(Value::Unsigned).map_err(number),
            Self::U32 => {
                let found = number::unsigned(text).and_then(|found| {
                    if found > u64::from(u32::MAX) { Err(NoNumber::Range) } else { Ok(found) }
                });
                found.map(Value::Unsigned).map_err(|error| {
                    let why = match error {
                        NoNumber::Syntax => "invalid syntax",
                        NoNumber::Range => "value out of range",
                    };
                    format!("strconv.ParseUint: parsing {}: {why}", quoted(text))
                })
            }
            Self::Int | Self::Int64 => number::signed(text).map(Value::Signed).map_err(number),
            Self::Duration => {
                GoDuration::parse(text).map(Value::Duration).map_err(|_| "parse error".to_owned())
            }
            Self::Urls(allowed) if text == allowed => Ok(Value::Nothing),
            Self::Urls(_) => Url::parse_list(text).map(Value::Urls),
            Self::Strings => Ok(Value::Strings(text.split(',').map(str::to_owned).collect())),
            Self::OneOf(valid) => {
                if valid.contains(&text) {
                    Ok(Value::Text(text.to_owned()))
                } else {
                    Err("invalid value".to_owned())
                }
            }
            Self::ManyOf(valid) => match text.split(',').find(|word| !valid.contains(word)) {
                Some(wrong) => Err(format!("invalid value {}", quoted(wrong))),
                None => Ok(Value::Text(text.to_owned())),
            },
            Self::Gates => gates::parse(text).map(Value::Gates),
            Self::Forgotten => Ok(Value::Nothing),
        }
    }
}
