//! Numbers, sizes and durations as people write them, in Go's syntax where etcd is spoken to.

use std::fmt;
use std::time::Duration;

/// A duration as Go knows it: signed nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub i64);

/// Why a text is no duration, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time: {0}")]
pub struct NoDuration(String);

impl GoDuration {
    /// As a length of time; negative ones count as none.
    #[must_use]
    pub fn length(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Reads `1h15m30.5s` and the like: `[-+]` and pairs of decimal number and unit.
    ///
    /// # Errors
    /// Go's words for what is wrong.
    pub fn parse(text: &str) -> Result<Self, NoDuration> {
        let invalid = || NoDuration(format!("invalid duration {}", quoted(text)));
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            if number.is_empty() || number == "." || number.matches('.').count() > 1 {
                return Err(invalid());
            }
            let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            if unit.is_empty() {
                return Err(NoDuration(format!("missing unit in duration {}", quoted(text))));
            }
            let Some(scale) = scale(unit) else {
                return Err(NoDuration(format!(
                    "unknown unit {} in duration {}",
                    quoted(unit),
                    quoted(text)
                )));
            };
            total = part(number, scale).and_then(|part| total.checked_add(part)).ok_or_else(invalid)?;
            if total > i128::from(i64::MAX) {
                return Err(invalid());
            }
            rest = after;
        }
        i64::try_from(if negative { -total } else { total }).map(Self).map_err(|_| invalid())
    }
}

fn scale(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    })
}

fn part(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(scale)?;
    let mut unit = scale;
    for digit in fraction.chars() {
        unit /= 10;
        nanos = nanos.checked_add(i128::from(digit.to_digit(10)?).checked_mul(unit)?)?;
    }
    Some(nanos)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let trimmed = |value: u64, unit: u64| {
            let fraction = value % unit;
            if fraction == 0 {
                return (value / unit).to_string();
            }
            let width = unit.ilog10() as usize;
            let fraction = format!("{fraction:0width$}");
            format!("{}.{}", value / unit, fraction.trim_end_matches('0'))
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => write!(f, "{sign}{}µs", trimmed(nanos, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{sign}{}ms", trimmed(nanos, 1_000_000)),
            _ => {
                let minutes = nanos / 60_000_000_000;
                let seconds = trimmed(nanos % 60_000_000_000, 1_000_000_000);
                match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(f, "{sign}{seconds}s"),
                    (0, minutes) => write!(f, "{sign}{minutes}m{seconds}s"),
                    (hours, minutes) => write!(f, "{sign}{hours}h{minutes}m{seconds}s"),
                }
            }
        }
    }
}

impl From<Duration> for GoDuration {
    fn from(length: Duration) -> Self {
        Self(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// Why a text is no number, as Go's flag package says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoNumber {
    Syntax,
    Range,
}

/// A whole number without sign in Go's base-0 syntax: `10`, `0x1f`, `0o17`, `017`, `0b1`, `1_000`.
pub(super) fn unsigned(text: &str) -> Result<u64, NoNumber> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix, prefixed) = if let Some(rest) = lower.strip_prefix("0x") {
        (rest, 16, true)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (rest, 8, true)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (rest, 2, true)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (lower.get(1..).unwrap_or_default(), 8, true)
    } else {
        (lower.as_str(), 10, false)
    };
    let well_separated =
        !digits.ends_with('_') && !digits.contains("__") && (prefixed || !digits.starts_with('_'));
    let digits = digits.replace('_', "");
    if digits.is_empty() || !well_separated || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(NoNumber::Syntax);
    }
    u64::from_str_radix(&digits, radix).map_err(|_| NoNumber::Range)
}

/// The same with a sign.
pub(super) fn signed(text: &str) -> Result<i64, NoNumber> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = i128::from(unsigned(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| NoNumber::Range)
}

/// Go's booleans.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Bytes: a number, or one with KiB, MiB, GiB, TiB (or KB, MB, GB, TB, which count thousands).
pub(super) fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let scale: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        "TiB" | "Ti" => 1 << 40,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

/// A text in Go's `%q`.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() && u32::from(c) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations are read and written as Go does, since etcd's messages and its one line of settings show them.
    #[test]
    fn durations_are_gos() {
        for (text, nanos, shown) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("5s", 5_000_000_000, "5s"),
            ("1m", 60_000_000_000, "1m0s"),
            ("1h", 3_600_000_000_000, "1h0m0s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("1h15m30.918s", 4_530_918_000_000, "1h15m30.918s"),
            ("100ms", 100_000_000, "100ms"),
            ("1.5ms", 1_500_000, "1.5ms"),
            ("10us", 10_000, "10µs"),
            ("7ns", 7, "7ns"),
            ("-5s", -5_000_000_000, "-5s"),
            (".5s", 500_000_000, "500ms"),
        ] {
            let duration = GoDuration::parse(text).unwrap();
            assert_eq!((duration.0, duration.to_string().as_str()), (nanos, shown), "{text}");
        }
        for (text, error) in [
            ("foo", "time: invalid duration \"foo\""),
            ("", "time: invalid duration \"\""),
            ("-5", "time: missing unit in duration \"-5\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("99999999999999h", "time: invalid duration \"99999999999999h\""),
        ] {
            assert_eq!(GoDuration::parse(text).unwrap_err().to_string(), error, "{text}");
        }
    }

    /// Numbers take Go's prefixes and separators, because manifests use them.
    #[test]
    fn numbers_are_gos() {
        for (text, value) in
            [("0", 0), ("0x1F", 31), ("017", 15), ("0b11", 3), ("1_000", 1000), ("0x_1f", 31)]
        {
            assert_eq!(unsigned(text), Ok(value), "{text}");
        }
        for text in ["", "x", "1__0", "_1", "1_", "08", "0x", "-1", "1.5"] {
            assert_eq!(unsigned(text), Err(NoNumber::Syntax), "{text}");
        }
        assert_eq!(unsigned("18446744073709551616"), Err(NoNumber::Range));
        assert_eq!(signed("-5"), Ok(-5));
        assert_eq!(signed("9223372036854775808"), Err(NoNumber::Range));
        assert_eq!(signed("-9223372036854775808"), Ok(i64::MIN));
    }

    /// A quota is written with a unit by people and without by machines.
    #[test]
    fn sizes_have_units() {
        for (text, value) in
            [("8589934592", 8_589_934_592), ("8GiB", 8 << 30), ("512Mi", 512 << 20), ("2 GB", 2_000_000_000)]
        {
            assert_eq!(bytes(text), Some(value), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GiB", "99999999999GiB", "1 parsec"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
