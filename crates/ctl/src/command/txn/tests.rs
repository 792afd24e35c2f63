//! The lines of `testdata/txn.txt`, and input that ends too early.

use super::grammar::{comparison, operation};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::TargetUnion;
use proto::etcdserverpb::request_op::Request;

/// A comparison in a form that the test data can state.
fn compared(compare: &pb::Compare) -> String {
    let value = match compare.target_union.clone().unwrap() {
        TargetUnion::Version(n) | TargetUnion::CreateRevision(n) | TargetUnion::ModRevision(n) => {
            n.to_string()
        }
        TargetUnion::Lease(id) => format!("lease {id}"),
        TargetUnion::Value(value) => crate::print::text::quote(&value),
    };
    format!(
        "{} {} {} {value}",
        compare.target().as_str_name(),
        crate::print::text::quote(&compare.key),
        compare.result().as_str_name()
    )
}

/// A request in such a form: what differs from the default.
fn requested(op: &pb::RequestOp) -> String {
    let quote = crate::print::text::quote;
    let range = |key: &[u8], end: &[u8]| {
        if end.is_empty() { quote(key) } else { format!("{}..{}", quote(key), quote(end)) }
    };
    let mut out = String::new();
    let mut add = |set: bool, text: &str| {
        if set {
            out += " ";
            out += text;
        }
    };
    let head = match op.request.clone().unwrap() {
        Request::RequestRange(r) => {
            add(r.limit != 0, &format!("limit={}", r.limit));
            add(r.revision != 0, &format!("rev={}", r.revision));
            add(r.sort_order != 0, r.sort_order().as_str_name());
            add(r.sort_target != 0, r.sort_target().as_str_name());
            add(r.serializable, "serializable");
            add(r.keys_only, "keys-only");
            add(r.count_only, "count-only");
            format!("get {}", range(&r.key, &r.range_end))
        }
        Request::RequestPut(r) => {
            add(r.lease != 0, &format!("lease={}", r.lease));
            add(r.prev_kv, "prev");
            add(r.ignore_value, "ignore-value");
            add(r.ignore_lease, "ignore-lease");
            format!("put {} {}", quote(&r.key), quote(&r.value))
        }
        Request::RequestDeleteRange(r) => {
            add(r.prev_kv, "prev");
            format!("del {}", range(&r.key, &r.range_end))
        }
        Request::RequestTxn(_) => "txn".into(),
    };
    head + &out
}

/// Scripts feed transactions through standard input: each line of the test data must mean what etcdctl takes it for, and
/// each wrong one must be refused with its words and code.
#[test]
fn lines_mean_what_etcdctl_takes_them_for() {
    let data = include_str!("../../../testdata/txn.txt");
    let mut checked = 0;
    let mut lines = data.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    while let Some(line) = lines.next() {
        let expected = lines.next().unwrap();
        let outcome = match line.split_once(": ") {
            Some(("compare", text)) => comparison(text.as_bytes()).map(|compare| compared(&compare)),
            Some(("request", text)) => operation(text.as_bytes()).map(|op| requested(&op)),
            _ => panic!("the test data has an odd line: {line}"),
        };
        let outcome = outcome.unwrap_or_else(|failure| format!("error {} {}", failure.code, failure.message));
        assert_eq!(outcome, expected.trim(), "{line}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

/// A transaction cut short must not run: the rest might be the failure branch.
#[test]
fn input_that_ends_early_is_refused() {
    for (text, good) in [
        ("\n\n\n", true),
        ("mod(\"a\") = \"1\"\n\nput a b\n\n\n", true),
        ("\n\n", false),
        ("\n\nput a b\n", false),
        ("", false),
        ("\n\n\nrest", true),
    ] {
        let result = super::read(&mut text.as_bytes(), |_| Ok(()));
        assert_eq!(result.is_ok(), good, "{text:?}");
        if let Err(failure) = result {
            assert_eq!((failure.code, failure.message.as_str()), (3, "EOF"));
        }
    }
}
