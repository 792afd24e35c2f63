//! Moments as people write them: RFC 3339, or a span from now on, as `+90d`.
//!
//! Pure: who asks says what time it is. No leap seconds, no fractions: a role's end is a whole Unix second.

use crate::command::span;

const DAY: u64 = 86_400;
/// The last year that RFC 3339 can write.
const YEAR_MAX: u64 = 9_999;

/// A moment that is written, before one knows the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Unix seconds.
    At(u64),
    /// Seconds from now.
    In(u64),
}

impl Moment {
    /// Unix seconds.
    pub(crate) fn seconds(self, now: u64) -> u64 {
        match self {
            Self::At(seconds) => seconds,
            Self::In(seconds) => now.saturating_add(seconds),
        }
    }

    /// Reads a moment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "write a time as 2027-01-31T00:00:00Z, or from now as +90d (w, d, h, m, s)".to_owned();
        if let Some(span) = text.strip_prefix('+') {
            return span::parse(span).map(Self::In).map_err(|_| wrong());
        }
        rfc3339(text).filter(|seconds| *seconds > 0).map(Self::At).ok_or_else(wrong)
    }
}

fn rfc3339(text: &str) -> Option<u64> {
    let fixed = text.get(..19)?;
    let marks = [(4, '-'), (7, '-'), (13, ':'), (16, ':')];
    if marks.iter().any(|(at, mark)| fixed.chars().nth(*at) != Some(*mark))
        || !matches!(fixed.as_bytes().get(10), Some(b'T' | b't' | b' '))
    {
        return None;
    }
    let (year, month, day) = (digits(fixed, 0, 4)?, digits(fixed, 5, 7)?, digits(fixed, 8, 10)?);
    let (hour, minute, second) = (digits(fixed, 11, 13)?, digits(fixed, 14, 16)?, digits(fixed, 17, 19)?);
    if year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day)?;
    let local = days * DAY + hour * 3_600 + minute * 60 + second;
    let zone = text.get(19..)?;
    match zone.as_bytes() {
        b"Z" | b"z" => Some(local),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (digits(zone, 1, 3)?, digits(zone, 4, 6)?);
            let offset = hours * 3_600 + minutes * 60;
            if hours > 23 || minutes > 59 {
                return None;
            }
            if *sign == b'+' { local.checked_sub(offset) } else { local.checked_add(offset) }
        }
        _ => None,
    }
}

fn digits(text: &str, from: usize, to: usize) -> Option<u64> {
    let part = text.get(from..to)?;
    part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
}

/// Days since 1970 of a date that exists: the one whose number gives the date back.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Howard Hinnant's `days_from_civil`.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    (civil(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of a number of days since 1970 (`civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Unix seconds as RFC 3339; what that cannot write stays a number.
pub(crate) fn written(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY);
    if year > YEAR_MAX {
        return format!("{seconds} s after 1970");
    }
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A role that ends on another day than was meant locks somebody out or leaves a door open: dates that do not exist, zones
    /// and leap years are the edges.
    #[test]
    fn moments_are_those_that_were_meant() {
        for (text, meaning) in [
            ("2100-02-28T23:59:59Z", Some(Moment::At(4_107_542_399))),
            ("2100-03-01t00:00:00z", Some(Moment::At(4_107_542_400))),
            ("2000-02-29T00:00:00Z", Some(Moment::At(951_782_400))),
            ("2000-02-29T02:00:00+02:00", Some(Moment::At(951_782_400))),
            ("2000-02-28T18:30:00-05:30", Some(Moment::At(951_782_400))),
            ("+90d", Some(Moment::In(90 * 86_400))),
            ("+2w", Some(Moment::In(14 * 86_400))),
            ("+1s", Some(Moment::In(1))),
            ("2100-02-29T00:00:00Z", None),
            ("2027-04-31T00:00:00Z", None),
            ("2027-13-01T00:00:00Z", None),
            ("2027-01-01T24:00:00Z", None),
            ("2027-01-01T00:00:00", None),
            ("2027-01-01", None),
            ("1970-01-01T00:00:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("2027-01-01T00:00:00+1:00", None),
            ("2027-01-0\u{e9}T00:00:00Z", None),
            ("+0d", None),
            ("+d", None),
            ("++1d", None),
            ("+1dd", None),
            ("+", None),
            ("+18446744073709551615w", None),
            ("90d", None),
            ("", None),
        ] {
            assert_eq!(Moment::parse(text).ok(), meaning, "{text}");
        }
        assert_eq!(Moment::In(5).seconds(100), 105);
        assert_eq!(Moment::At(7).seconds(100), 7);
    }

    /// What is shown can be written again, and a number beyond all years is no panic.
    #[test]
    fn moments_are_shown_as_they_are_written() {
        for seconds in [1, 951_782_400, 4_107_542_399, 253_402_300_799] {
            assert_eq!(Moment::parse(&written(seconds)), Ok(Moment::At(seconds)));
        }
        assert_eq!(written(u64::MAX), "18446744073709551615 s after 1970");
    }
}
