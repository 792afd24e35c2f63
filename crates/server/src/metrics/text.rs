//! The Prometheus text format, version 0.0.4, as the Go clients read it.
//!
//! Owns the spelling: `# HELP`, `# TYPE`, one sample a line, numbers as Go's shortest `%g` writes them. Written here
//! because the registries at hand write OpenMetrics, which renames etcd's counters (`_total`) and ends in `# EOF`.
//! Source: the exposition format's description; the exponent rule is Go's strconv with six digits.

use super::value::HistogramReading;
use std::fmt::Write;

/// The content type of what [`Text`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of family follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

/// Label names and values of one sample.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text that is being written, family by family.
#[derive(Debug, Default)]
pub struct Text {
    out: String,
}

impl Text {
    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &str, help: &str, kind: Kind) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.out.push_str("# HELP ");
        self.out.push_str(name);
        self.out.push(' ');
        escape(&mut self.out, help, Quotes::Kept);
        self.out.push_str("\n# TYPE ");
        self.out.push_str(name);
        self.out.push(' ');
        self.out.push_str(kind);
        self.out.push('\n');
    }

    /// One sample of the family that was begun.
    pub fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.line(name, "", labels, None, value);
    }

    /// All samples of one histogram of the family that was begun.
    pub fn histogram(&mut self, name: &str, labels: Labels<'_>, reading: &HistogramReading) {
        for (bound, count) in &reading.buckets {
            self.line(name, "_bucket", labels, Some(*bound), whole(*count));
        }
        self.line(name, "_bucket", labels, Some(f64::INFINITY), whole(reading.count));
        self.line(name, "_sum", labels, None, reading.sum);
        self.line(name, "_count", labels, None, whole(reading.count));
    }

    /// The finished text.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }

    fn line(&mut self, name: &str, suffix: &str, labels: Labels<'_>, bound: Option<f64>, value: f64) {
        self.out.push_str(name);
        self.out.push_str(suffix);
        let mut separator = '{';
        for (label, text) in labels {
            self.out.push(separator);
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(&mut self.out, text, Quotes::Escaped);
            self.out.push('"');
            separator = ',';
        }
        if let Some(bound) = bound {
            self.out.push(separator);
            self.out.push_str("le=\"");
            number(&mut self.out, bound);
            self.out.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.out.push('}');
        }
        self.out.push(' ');
        number(&mut self.out, value);
        self.out.push('\n');
    }
}

/// A count as the format's only number type; exact up to 2^53, as for every reader of it.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn whole(count: u64) -> f64 {
    count as f64
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Kept,
    Escaped,
}

fn escape(out: &mut String, text: &str, quotes: Quotes) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes == Quotes::Escaped => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

fn number(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = match exponent {
        -4..6 => write!(out, "{value}"),
        _ if exponent < 0 => write!(out, "{digits}e-{:02}", exponent.unsigned_abs()),
        _ => write!(out, "{digits}e+{exponent:02}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers look as Go writes them, so that texts can be compared with etcd's byte for byte.
    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.0005, "0.0005"),
            (7.367e-05, "7.367e-05"),
            (20000.0, "20000"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (2_147_483_648.0, "2.147483648e+09"),
            (1.8446744073709552e19, "1.8446744073709552e+19"),
            (f64::INFINITY, "+Inf"),
        ] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, expected);
        }
    }

    /// A label value with quotes, backslashes or line ends cannot forge a sample.
    #[test]
    fn label_values_are_escaped() {
        let mut text = Text::default();
        text.sample("m", &[("l", "a\"b\\c\nd")], 1.0);
        assert_eq!(text.finish(), "m{l=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}
