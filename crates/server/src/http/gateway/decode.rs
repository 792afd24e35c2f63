//! From a JSON value to a message, by the rules of protobuf's JSON form as Go's library applies them.
//!
//! Unknown fields and unknown enum names are ignored (etcd's gateway discards them), names may be proto's or camelCase,
//! 64-bit numbers may be strings, bytes any base64. Errors are in Go's words with line and column, as etcd answers them.

use super::scan::{Part, What};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Why a value is not the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// A value of another kind than the field's.
    Unexpected { place: (usize, usize), raw: String },
    /// The right kind, a wrong value.
    Invalid { place: (usize, usize), kind: &'static str, field: String, raw: String },
    /// A field given twice.
    Duplicate { place: (usize, usize), raw: String },
    /// Two fields of a group of which only one may be given.
    OneOf { place: (usize, usize), raw: String, group: String },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { place: (line, column), raw } => {
                write!(f, "proto: syntax error (line {line}:{column}): unexpected token {raw}")
            }
            Self::Invalid { place: (line, column), kind, field, raw } => {
                write!(f, "proto: (line {line}:{column}): invalid value for {kind} field {field}: {raw}")
            }
            Self::Duplicate { place: (line, column), raw } => {
                write!(f, "proto: (line {line}:{column}): duplicate field {raw}")
            }
            Self::OneOf { place: (line, column), raw, group } => {
                write!(f, "proto: (line {line}:{column}): error parsing {raw}, oneof {group} is already set")
            }
        }
    }
}

/// Reads a message. Nesting was bounded by the scanner.
pub(super) fn message(part: &Part<'_>, descriptor: MessageDescriptor) -> Result<DynamicMessage, Error> {
    let What::Object(members) = &part.what else { return Err(unexpected(part)) };
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut seen = BTreeSet::new();
    let mut groups = BTreeSet::new();
    for (name, value) in members {
        let What::Text(text) = &name.what else { return Err(unexpected(name)) };
        let found = descriptor.get_field_by_json_name(text).or_else(|| descriptor.get_field_by_name(text));
        let Some(field) = found else { continue };
        if !seen.insert(field.number()) {
            return Err(Error::Duplicate { place: name.place, raw: name.raw.to_owned() });
        }
        if value.what == What::Null {
            continue;
        }
        if let Some(group) = field.containing_oneof()
            && !groups.insert(group.name().to_owned())
        {
            let group = group.full_name().to_owned();
            return Err(Error::OneOf { place: name.place, raw: name.raw.to_owned(), group });
        }
        if let Some(value) = self::value(value, &field)? {
            message.set_field(&field, value);
        }
    }
    Ok(message)
}

fn value(part: &Part<'_>, field: &FieldDescriptor) -> Result<Option<Value>, Error> {
    if !field.is_list() {
        return single(part, field);
    }
    let What::List(items) = &part.what else { return Err(unexpected(part)) };
    let mut values = Vec::new();
    for item in items {
        values.extend(single(item, field)?);
    }
    Ok(Some(Value::List(values)))
}

/// One value; nothing for an unknown enum name, which is ignored.
fn single(part: &Part<'_>, field: &FieldDescriptor) -> Result<Option<Value>, Error> {
    let invalid = |kind| Error::Invalid {
        place: part.place,
        kind,
        field: field.json_name().to_owned(),
        raw: part.raw.to_owned(),
    };
    let value = match field.kind() {
        Kind::Message(descriptor) => Value::Message(message(part, descriptor)?),
        Kind::Bool => match part.what {
            What::Bool(value) => Value::Bool(value),
            _ => return Err(invalid("bool")),
        },
        Kind::String => match &part.what {
            What::Text(text) => Value::String(text.clone()),
            _ => return Err(invalid("string")),
        },
        Kind::Bytes => match &part.what {
            What::Text(text) => Value::Bytes(base64(text).ok_or_else(|| invalid("bytes"))?.into()),
            _ => return Err(invalid("bytes")),
        },
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Value::I64(whole(part).and_then(|number| number.try_into().ok()).ok_or_else(|| invalid("int64"))?)
        }
        Kind::Uint64 | Kind::Fixed64 => Value::U64(
            whole(part).and_then(|number| number.try_into().ok()).ok_or_else(|| invalid("uint64"))?,
        ),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Value::I32(whole(part).and_then(|number| number.try_into().ok()).ok_or_else(|| invalid("int32"))?)
        }
        Kind::Uint32 | Kind::Fixed32 => Value::U32(
            whole(part).and_then(|number| number.try_into().ok()).ok_or_else(|| invalid("uint32"))?,
        ),
        Kind::Enum(descriptor) => match &part.what {
            What::Text(name) => match descriptor.get_value_by_name(name) {
                Some(value) => Value::EnumNumber(value.number()),
                None => return Ok(None),
            },
            What::Number => {
                let number = whole(part).and_then(|number| number.try_into().ok());
                Value::EnumNumber(number.ok_or_else(|| invalid("enum"))?)
            }
            _ => return Err(invalid("enum")),
        },
        // etcd's interface has no such field.
        Kind::Double | Kind::Float => return Err(invalid("double")),
    };
    Ok(Some(value))
}

fn unexpected(part: &Part<'_>) -> Error {
    Error::Unexpected { place: part.place, raw: part.raw.to_owned() }
}

/// A whole number, written as a number or as a string of one; "1e2" and "1.0" are whole too.
fn whole(part: &Part<'_>) -> Option<i128> {
    let text = match &part.what {
        What::Number => part.raw,
        What::Text(text) => text.as_str(),
        _ => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let well_formed = !before.is_empty()
        && before.bytes().chain(after.bytes()).all(|byte| byte.is_ascii_digit())
        && (before.len() == 1 || !before.starts_with('0'))
        && !(mantissa.contains('.') && after.is_empty());
    if !well_formed || mantissa.len() > 64 {
        return None;
    }
    let after = after.trim_end_matches('0');
    let shift = exponent.checked_sub(i32::try_from(after.len()).ok()?)?;
    let number: i128 = format!("{before}{after}").parse().ok()?;
    let number = if number == 0 {
        0
    } else if shift >= 0 {
        number.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?
    } else {
        let unit = 10_i128.checked_pow(shift.unsigned_abs())?;
        if number.checked_rem(unit)? != 0 {
            return None;
        }
        number.checked_div(unit)?
    };
    Some(if negative { number.checked_neg()? } else { number })
}

/// Base64 of either alphabet, padded or, where its length says so, not. As in Go, line ends are skipped and left-over
/// bits are not looked at.
fn base64(text: &str) -> Option<Vec<u8>> {
    let url = text.contains(['-', '_']);
    let padded = text.len().checked_rem(4)? == 0;
    let mut symbols: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    if padded {
        let length = symbols.len();
        if length.checked_rem(4)? != 0 {
            return None;
        }
        let padding = symbols.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 {
            return None;
        }
        symbols.truncate(length.saturating_sub(padding));
    }
    let mut bytes = Vec::with_capacity(symbols.len());
    for group in symbols.chunks(4) {
        let mut bits = 0_u32;
        for symbol in group {
            bits = bits << 6 | u32::from(symbol_value(*symbol, url)?);
        }
        let whole = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bits <<= 6_u32.checked_mul(4_u32.checked_sub(u32::try_from(group.len()).ok()?)?)?;
        let [_, a, b, c] = bits.to_be_bytes();
        bytes.extend([a, b, c].into_iter().take(whole));
    }
    Some(bytes)
}

fn symbol_value(symbol: u8, url: bool) -> Option<u8> {
    match (symbol, url) {
        (b'A'..=b'Z', _) => symbol.checked_sub(b'A'),
        (b'a'..=b'z', _) => symbol.checked_sub(b'a')?.checked_add(26),
        (b'0'..=b'9', _) => symbol.checked_sub(b'0')?.checked_add(52),
        (b'+', false) | (b'-', true) => Some(62),
        (b'/', false) | (b'_', true) => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form of base64 that protobuf's JSON allows is read, and nothing else.
    #[test]
    fn base64_is_read_in_every_allowed_form() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("Zm9v", Some(b"foo")),
            ("AA==", Some(b"\0")),
            ("AA", Some(b"\0")),
            ("_-8", Some(b"\xff\xef")),
            ("_-8=", Some(b"\xff\xef")),
            ("/+8=", Some(b"\xff\xef")),
            ("/-8=", None),
            ("A", None),
            ("AAAAA", None),
            ("%%%", None),
            ("A===", None),
            ("=AAA", None),
            ("AA=A", None),
        ] {
            assert_eq!(base64(text).as_deref(), expected, "{text}");
        }
    }

    /// Numbers come as numbers, as strings, and with exponents as JavaScript writes them; nothing is rounded.
    #[test]
    fn whole_numbers_are_read_exactly() {
        let read = |raw: &'static str| whole(&Part { place: (1, 1), raw, what: What::Number });
        for (raw, expected) in [
            ("0", Some(0)),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("1e2", Some(100)),
            ("1.50e1", Some(15)),
            ("1.0", Some(1)),
            ("1.5", None),
            ("1e-1", None),
            ("1e999999999", None),
            ("0e999999999", Some(0)),
            ("01", None),
            (" 1", None),
            ("", None),
            ("x", None),
            ("1.", None),
        ] {
            assert_eq!(read(raw), expected, "{raw}");
        }
    }
}
