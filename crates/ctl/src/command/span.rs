//! Lengths of time as people write them: what is left of something, and how long something is to last.

use crate::connect::dial;
use std::time::{SystemTime, UNIX_EPOCH};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What this machine's clock says, Unix seconds.
pub(crate) fn now() -> u64 {
    let now: SystemTime = dial::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time from `now` to the end, for people: `6d 23h`, `ended 3h ago`.
pub(crate) fn left(end: u64, now: u64) -> String {
    match end.checked_sub(now) {
        Some(seconds) => span(seconds),
        None => format!("ended {} ago", span(now.saturating_sub(end))),
    }
}

/// A length of time in its two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / DAY, seconds % DAY / HOUR, seconds % HOUR / MINUTE);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, ..) => format!("{hours}h {minutes}m"),
        (1..30, ..) => format!("{days}d {hours}h"),
        _ => format!("{days}d"),
    }
}

/// Reads a length of time: a number with w, d, h, m or s.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || "write a time as 30d, 12h or 45m (w, d, h, m, s)".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'w' => 7 * DAY,
        'd' => DAY,
        'h' => HOUR,
        'm' => MINUTE,
        's' => 1,
        _ => return Err(wrong()),
    };
    let digits = text.strip_suffix(unit).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|length| *length > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two largest units say enough, and an end that has passed is told as that.
    #[test]
    fn times_left_are_short_and_honest() {
        for (seconds, said) in
            [(0, "0s"), (59, "59s"), (61, "1m"), (3_660, "1h 1m"), (90_000, "1d 1h"), (40 * DAY, "40d")]
        {
            assert_eq!(span(seconds), said);
        }
        assert_eq!(left(100, 40), "1m");
        assert_eq!(left(40, 100), "ended 1m ago");
    }

    /// A length is a number with a unit: what could be misread is refused.
    #[test]
    fn lives_have_a_unit() {
        assert_eq!(parse("30d"), Ok(30 * DAY));
        assert_eq!(parse("90m"), Ok(90 * MINUTE));
        for wrong in ["", "d", "30", "0d", "-1d", "+1d", "1y", "1.5d", "99999999999999999999d", "1d "] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
