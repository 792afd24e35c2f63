//! Small pieces of text as the Go tools write them: quoted strings, hex, sizes, durations, base64.
//!
//! Pure. The rules are those of Go's `strconv.Quote` and `time.Duration`, of RFC 4648, and of decimal byte sizes; scripts
//! compare this output, so each rule has a test.

use std::fmt::Write;
use std::time::Duration;

/// A Go string literal: printable text stays, everything else is escaped, broken UTF-8 byte by byte.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            quote_character(&mut out, character);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn quote_character(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        ' '..='~' => out.push(character),
        c if c.is_ascii() => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if printable(c) => out.push(c),
        c if u32::from(c) < 0x1_0000 => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => {
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        }
    }
}

/// Letters, marks, numbers, punctuation and symbols, as the standard library's table has them. A combining mark is escaped
/// by `escape_debug` only at the start of a text, hence the letter before it.
fn printable(character: char) -> bool {
    let mut text = String::from("a");
    text.push(character);
    let mut escaped = text.escape_debug();
    escaped.next();
    escaped.next() == Some(character) && escaped.next().is_none()
}

/// Every byte as `\x` and two digits.
pub(crate) fn hex_escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(4));
    for byte in bytes {
        let _ = write!(out, "\\x{byte:02x}");
    }
    out
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for position in 0..4 {
            if position > group.len() {
                out.push('=');
            } else {
                let digit = (word >> (18 - 6 * position)) & 0x3f;
                out.push(char::from(DIGITS[digit as usize]));
            }
        }
    }
    out
}

/// A size in decimal units, one digit behind the point below ten: `20 kB`, `2.1 GB`, `7 B`.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if size < 10 {
        return format!("{size} B");
    }
    let exponent = (size.ilog(1000) as usize).min(UNITS.len() - 1);
    #[allow(clippy::cast_precision_loss)] // shown with two digits
    let value =
        (size as f64 / 1000f64.powi(i32::try_from(exponent).unwrap_or(0)) * 10.0 + 0.5).floor() / 10.0;
    let unit = UNITS[exponent];
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A duration in the largest units that fit: `2.82ms`, `1m2.5s`, `0s`.
pub(crate) fn duration(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(nanos, 1_000_000)),
        _ => {
            let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
            let (hours, minutes) = (minutes / 60, minutes % 60);
            let seconds = fraction(rest, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn fraction(nanos: u128, unit: u128) -> String {
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0digits$}").trim_end_matches('0'))
}

/// Reads a duration as Go writes it: numbers with units, `1m30s`, `1.5h`, `500ms`; a bare `0` is zero.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("invalid duration {}: write for example 500ms, 5s or 1m30s", quote(text.as_bytes()));
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at_checked(end).ok_or_else(wrong)?;
        let units =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (unit, seconds) = units.into_iter().find(|(unit, _)| tail.starts_with(unit)).ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail.strip_prefix(unit).unwrap_or_default();
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys hold any bytes; the quoted form must show each of them unmistakably and match the Go tools.
    #[test]
    fn quoting_keeps_printable_text_and_escapes_the_rest() {
        assert_eq!(quote(b"a\"\\\t\n\r\x07\x08\x0b\x0c\x00\x1f\x7f"), r#""a\"\\\t\n\r\a\b\v\f\x00\x1f\x7f""#);
        assert_eq!(quote("é💡e\u{301}".as_bytes()), "\"é💡e\u{301}\"");
        assert_eq!(quote("\u{301}".as_bytes()), "\"\u{301}\"");
        assert_eq!(quote("\u{2028}\u{a0}\u{e000}\u{10ffff}".as_bytes()), r#""\u2028\u00a0\ue000\U0010ffff""#);
        assert_eq!(quote(b"\xff\xc3(\xe2\x80"), r#""\xff\xc3(\xe2\x80""#);
    }

    /// RFC 4648's own examples: JSON consumers decode this.
    #[test]
    fn base64_is_padded() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    /// Sizes in tables are read by people, with etcd's decimal units.
    #[test]
    fn sizes_are_decimal_with_two_digits() {
        let rows = [
            (0, "0 B"),
            (9, "9 B"),
            (10, "10 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (20_480, "20 kB"),
            (2_147_483_648, "2.1 GB"),
            (u64::MAX, "18 EB"),
        ];
        for (size, text) in rows {
            assert_eq!(bytes(size), text);
        }
    }

    /// Durations print as in etcd's output, and what is printed can be read again.
    #[test]
    fn durations_print_and_read_back() {
        let rows = [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5µs"),
            (2_820_863, "2.820863ms"),
            (5_000_000_000, "5s"),
            (62_500_000_000, "1m2.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ];
        for (nanos, text) in rows {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
            assert_eq!(parse_duration(text).unwrap(), Duration::from_nanos(nanos), "{text}");
        }
        for wrong in ["", "5", "s", "5x", "1.2.3s", "-1s", "99999999999999999999h", "5s "] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
