//! Options as etcdctl reads them: a switch may say `=false`, of an option given twice the last counts, and numbers may be
//! written as in Go (`0x10`, `1_000`).
//!
//! Owns the change to a command line that clap has derived. Help is printed from the unchanged one, which names a switch without
//! what may stand behind it.

use crate::print::text::quote;
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;

/// The same commands, their options read as etcdctl reads them.
#[must_use]
pub fn as_in_etcdctl(command: Command) -> Command {
    command.args_override_self(true).mut_args(read).mut_subcommands(as_in_etcdctl)
}

fn read(option: Arg) -> Arg {
    let holds = option.get_value_parser().type_id();
    match option.get_action() {
        ArgAction::SetTrue => option
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .value_parser(truth),
        ArgAction::Set if holds == TypeId::of::<bool>() => option.value_parser(truth),
        ArgAction::Set if holds == TypeId::of::<i64>() => option.value_parser(number),
        _ => option,
    }
}

/// Whether a text is true or false, as Go reads it.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}

/// A whole number in the notation that it shows: decimal, or behind `0x`, `0o` (or `0`) and `0b`.
fn number(text: &str) -> Result<i64, String> {
    let wrong = || format!("{} is no whole number", quote(text.as_bytes()));
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)),
        [b'0', b'b', ..] => (2, lower.get(2..)),
        [b'0', b'o', ..] => (8, lower.get(2..)),
        [b'0', _, ..] => (8, lower.get(1..)),
        _ => (10, Some(lower.as_str())),
    };
    let digits = digits.unwrap_or_default();
    // Between digits, and behind what shows the notation.
    let bare = digits.strip_prefix('_').filter(|_| radix != 10).unwrap_or(digits);
    if bare.split('_').any(|group| group.is_empty() || !group.chars().all(|each| each.is_digit(radix))) {
        return Err(wrong());
    }
    i64::from_str_radix(&format!("{sign}{}", bare.replace('_', "")), radix).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Line {
        #[arg(long)]
        prefix: bool,
        #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
        rev: i64,
        key: Option<String>,
    }

    fn line(words: &[&str]) -> Result<(bool, i64, Option<String>), clap::Error> {
        let matches = as_in_etcdctl(<Line as clap::CommandFactory>::command())
            .try_get_matches_from(std::iter::once(&"get").chain(words))?;
        let Line { prefix, rev, key } = <Line as clap::FromArgMatches>::from_arg_matches(&matches)?;
        Ok((prefix, rev, key))
    }

    /// Scripts made for etcdctl write `--prefix=false` and give an option twice; neither may change its meaning.
    #[test]
    fn switches_take_a_value_and_the_last_of_two_counts() {
        let of = |words: &[&str]| line(words).map(|(prefix, ..)| prefix).ok();
        for (words, meaning) in [
            (&[][..], Some(false)),
            (&["--prefix"], Some(true)),
            (&["--prefix=true"], Some(true)),
            (&["--prefix=0"], Some(false)),
            (&["--prefix", "--prefix=false"], Some(false)),
            (&["--prefix=x"], None),
        ] {
            assert_eq!(of(words), meaning, "{words:?}");
        }
        let (prefix, rev, key) = line(&["--prefix", "true", "--rev=1", "--rev", "-2"]).unwrap();
        assert_eq!((prefix, rev, key.as_deref()), (true, -2, Some("true")), "a word of its own is a key");
    }

    /// A number must mean what it means to etcdctl: a leading zero is octal there, and not passed over.
    #[test]
    fn numbers_show_their_notation() {
        for (text, value) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("0x1F", Some(31)),
            ("-0b101", Some(-5)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("1_000", Some(1000)),
            ("0x_f", Some(15)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("08", None),
            ("0x", None),
            ("--1", None),
            ("", None),
            ("1.5", None),
        ] {
            assert_eq!(number(text).ok(), value, "{text}");
        }
    }
}
