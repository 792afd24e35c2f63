//! The lines of a transaction: comparisons and requests.
//!
//! Pure. What etcdctl takes is taken; where it crashes (an unknown operator, a lease) there is an error or the evident
//! meaning. `testdata/txn.txt` lists lines and meanings.

use super::words::{literal, split};
use crate::command::{del::Del, get::Get, parse_int, put::Put};
use crate::exit::Failure;
use crate::options::as_in_etcdctl;
use crate::print::text::quote;
use clap::{Args, Command, FromArgMatches};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

fn lossy(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// The three parts of a comparison behind its target, as far as they can be read.
#[derive(Default)]
struct Parts {
    key: Option<Vec<u8>>,
    operator: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

fn parts(text: &[u8]) -> Parts {
    let mut parts = Parts::default();
    let Some((key, rest)) = literal(text.trim_ascii_start()) else { return parts };
    parts.key = Some(key);
    let Some(rest) = rest.strip_prefix(b")").filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
    else {
        return parts;
    };
    let rest = rest.trim_ascii_start();
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let Some((operator, rest)) = rest.split_at_checked(end) else { return parts };
    if operator.is_empty() {
        return parts;
    }
    parts.operator = Some(operator.to_vec());
    parts.value = literal(rest.trim_ascii_start()).map(|(value, _)| value);
    parts
}

/// Reads a comparison: `target("key") operator "value"`.
pub(crate) fn comparison(line: &[u8]) -> Result<pb::Compare, Failure> {
    let malformed = || format!("malformed comparison: {}", lossy(line));
    let example =
        "write for example: mod(\"key\") > \"0\", value(\"key\") = \"text\"; operators are = != < >";
    let Some(bracket) = line.iter().position(|byte| *byte == b'(') else {
        return Err(Failure::input(malformed()).hinting(example));
    };
    let (target, rest) = line.split_at_checked(bracket).unwrap_or_default();
    let found = parts(rest.strip_prefix(b"(").unwrap_or_default());
    let (Some(key), Some(operator), Some(value)) = (&found.key, &found.operator, &found.value) else {
        let shown = |part: &Option<Vec<u8>>| part.clone().unwrap_or_default();
        return Err(Failure::input(format!(
            "{}; got {}({}) {} {}",
            malformed(),
            lossy(target),
            quote(&shown(&found.key)),
            lossy(&shown(&found.operator)),
            quote(&shown(&found.value))
        ))
        .hinting(example));
    };
    let invalid =
        |_| Failure::input(format!("invalid txn compare request: {}", lossy(line))).hinting(example);
    let number = |radix| parse_int(&lossy(value), radix).map_err(invalid);
    let (target, union) = match target {
        b"ver" | b"version" => (CompareTarget::Version, TargetUnion::Version(number(10)?)),
        b"c" | b"create" => (CompareTarget::Create, TargetUnion::CreateRevision(number(10)?)),
        b"m" | b"mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(10)?)),
        b"val" | b"value" => (CompareTarget::Value, TargetUnion::Value(value.clone().into())),
        b"lease" => (CompareTarget::Lease, TargetUnion::Lease(number(16)?)),
        unknown => {
            return Err(Failure::input(format!("{} (unknown target {})", malformed(), lossy(unknown)))
                .hinting("targets are version, create, mod, value and lease"));
        }
    };
    let result = match operator.as_slice() {
        b"=" => CompareResult::Equal,
        b"!=" => CompareResult::NotEqual,
        b">" => CompareResult::Greater,
        b"<" => CompareResult::Less,
        unknown => {
            return Err(Failure::input(format!("{} (unknown operator {})", malformed(), lossy(unknown)))
                .hinting(example));
        }
    };
    Ok(pb::Compare {
        result: result.into(),
        target: target.into(),
        key: key.clone().into(),
        range_end: bytes::Bytes::new(),
        target_union: Some(union),
    })
}

/// Reads a request: `get`, `put` or `del` with the options of these commands.
pub(crate) fn operation(line: &[u8]) -> Result<pb::RequestOp, Failure> {
    let words = split(line)
        .map_err(|_| Failure::input("invalid syntax").hinting("look at the quotes and escapes"))?;
    let invalid = || Failure::input(format!("invalid txn request: {}", lossy(line)));
    if words.len() < 2 {
        return Err(Failure::input(format!("invalid txn compare request: {}", lossy(line)))
            .hinting("requests are get, put and del, with a key"));
    }
    let name = words.first().cloned().unwrap_or_default();
    let arguments = words.into_iter().map(OsString::from_vec);
    let request = match name.as_slice() {
        b"get" => Request::RequestRange(parse::<Get>(arguments, &invalid)?.request()?),
        b"put" => Request::RequestPut(parse::<Put>(arguments, &invalid)?.request(|| None)?),
        b"del" => Request::RequestDeleteRange(parse::<Del>(arguments, &invalid)?.request()?),
        _ => return Err(invalid().hinting("requests are get, put and del")),
    };
    Ok(pb::RequestOp { request: Some(request) })
}

fn parse<A: Args + FromArgMatches>(
    words: impl Iterator<Item = OsString>,
    invalid: &dyn Fn() -> Failure,
) -> Result<A, Failure> {
    let command = as_in_etcdctl(A::augment_args(Command::new("request")).disable_help_flag(true));
    let parsed = command.try_get_matches_from(words).and_then(|matches| A::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        invalid().hinting(first)
    })
}
