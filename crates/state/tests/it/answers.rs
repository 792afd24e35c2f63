//! Nine hundred random requests and what a real etcd 3.7.3 answered, word for word.

use crate::rig::{Rig, range};
use bytes::Bytes;
use serde_json::Value;
use state::command::*;
use state::outcome::*;
use state::query::*;
use state::{Error, Refusal};
use types::{Key, KeyRange, LeaseId, Revision};

/// Puts, deletions, nested transactions with range comparisons, ranges with every option, leases, compactions, hashes: every
/// pair, count, header revision and refusal is etcd's. Read-only transactions are asked both of a reader and of the log.
#[test]
fn random_requests_are_answered_as_in_etcd() {
    let mut rig = Rig::new();
    let lines = include_str!("../../testdata/answers.txt").lines();
    let mut asked = 0;
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let (request, expected) = line.split_once('\t').unwrap();
        let request: Value = serde_json::from_str(request).unwrap();
        let (kind, body) = request.as_object().unwrap().iter().next().unwrap();
        assert_eq!(answer(&mut rig, kind, body), expected, "line {}: {request}", number + 1);
        asked += 1;
    }
    assert_eq!(asked, 900);
}

fn answer(rig: &mut Rig, kind: &str, body: &Value) -> String {
    let told = match kind {
        "range" => refused(rig.reader().range(&query(body))).map(|found| told_range(&found)),
        "hash" => refused(rig.reader().hash_kv(Revision::ZERO))
            .map(|found| format!("{} {} {}", found.hash, found.compact_revision, found.hash_revision)),
        "txn" => ask_txn(rig, txn(body)),
        "put" => apply(rig, Command::Put(put(body))),
        "del" => apply(rig, Command::DeleteRange(deletion(body))),
        "grant" => apply(rig, Command::LeaseGrant(LeaseGrant { id: lease(body), ttl_seconds: 10_000 })),
        "revoke" => apply(rig, Command::LeaseRevoke(lease(body))),
        "compact" => {
            let revision = Revision(body.as_i64().unwrap());
            let told = apply(rig, Command::Compact(Compact { revision, physical: true }));
            rig.sweep();
            told
        }
        other => panic!("unknown request {other}"),
    };
    told.unwrap_or_else(|refusal| format!("! {}", told_refusal(&refusal)))
}

fn ask_txn(rig: &mut Rig, txn: Txn) -> Result<String, Refusal> {
    let read = txn.is_read_only_as_etcd_says().then(|| {
        refused(rig.reader().txn_read(&txn)).map(|(revision, outcome)| told_txn(&outcome, revision))
    });
    let told = apply(rig, Command::Txn(txn));
    assert!(read.is_none_or(|read| read == told));
    told
}

fn apply(rig: &mut Rig, command: Command) -> Result<String, Refusal> {
    let outcome = rig.apply(command)?;
    let revision = rig.reader().revision();
    Ok(match outcome {
        Outcome::Put(put) => told_put(&put, revision),
        Outcome::DeleteRange(gone) => told_deletion(&gone, revision),
        Outcome::Txn(txn) => told_txn(&txn, revision),
        _ => "ok".to_owned(),
    })
}

fn refused<T>(result: Result<T, Error>) -> Result<T, Refusal> {
    result.map_err(|error| match error {
        Error::Refused(refusal) => refusal,
        other => panic!("{other}"),
    })
}

fn told_refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::KeyNotFound => "key not found",
        Refusal::LeaseNotFound(_) => "lease not found",
        Refusal::LeaseExists(_) => "lease exists",
        Refusal::Compacted { .. } => "compacted",
        Refusal::FutureRevision { .. } => "future",
        other => panic!("{other}"),
    }
}

fn told_range(found: &RangeOutcome) -> String {
    let more = if found.more { "+" } else { "" };
    format!("range@{} {}{more}({})", found.revision, found.count, told_pairs(&found.pairs))
}

fn told_put(put: &PutOutcome, at: Revision) -> String {
    format!("put@{at}({})", told_pairs(put.prev.as_slice()))
}

fn told_deletion(gone: &DeleteRangeOutcome, at: Revision) -> String {
    format!("del@{at} {}({})", gone.deleted, told_pairs(&gone.prev))
}

fn told_txn(txn: &TxnOutcome, at: Revision) -> String {
    let ops = txn.ops.iter().map(|op| match op {
        OpOutcome::Range(found) => told_range(found),
        OpOutcome::Put(put, at) => told_put(put, *at),
        OpOutcome::DeleteRange(gone, at) => told_deletion(gone, *at),
        OpOutcome::Txn(inner, at) => told_txn(inner, *at),
    });
    format!("txn@{at} {}[{}]", if txn.succeeded { "yes" } else { "no" }, ops.collect::<Vec<_>>().join(" "))
}

fn told_pairs(pairs: &[Pair]) -> String {
    let told = pairs.iter().map(|pair| {
        let view = pair.view().unwrap();
        let (key, value) = (String::from_utf8_lossy(view.key), String::from_utf8_lossy(view.value));
        let (create, modified, lease) = (view.create_revision, view.mod_revision, view.lease.0);
        format!("{key}={value}:{create}.{modified}.{}.{lease}", view.version)
    });
    told.collect::<Vec<_>>().join(",")
}

// ---- from the file's words ----

fn text(body: &Value, field: &str) -> Bytes {
    Bytes::copy_from_slice(body[field].as_str().unwrap_or_default().as_bytes())
}

fn number(body: &Value, field: &str) -> i64 {
    body[field].as_i64().unwrap_or_default()
}

fn flag(body: &Value, field: &str) -> bool {
    body[field].as_bool().unwrap_or_default()
}

fn lease(body: &Value) -> LeaseId {
    LeaseId(body.as_i64().unwrap())
}

fn keys(body: &Value) -> KeyRange {
    range(body["key"].as_str().unwrap(), body["end"].as_str().unwrap())
}

fn put(body: &Value) -> Put {
    let value = if flag(body, "keep_value") { PutValue::Keep } else { PutValue::Set(text(body, "value")) };
    let lease =
        if flag(body, "keep_lease") { PutLease::Keep } else { PutLease::Set(LeaseId(number(body, "lease"))) };
    Put { key: Key::new(text(body, "key")).unwrap(), value, lease, prev_kv: flag(body, "prev") }
}

fn deletion(body: &Value) -> DeleteRange {
    DeleteRange { range: keys(body), prev_kv: flag(body, "prev") }
}

fn query(body: &Value) -> RangeQuery {
    let sort = body["target"].as_str().map(|target| Sort {
        target: match target {
            "KEY" => SortTarget::Key,
            "VERSION" => SortTarget::Version,
            "CREATE" => SortTarget::Create,
            "MOD" => SortTarget::Mod,
            _ => SortTarget::Value,
        },
        order: match body["order"].as_str().unwrap() {
            "NONE" => SortOrder::Unspecified,
            "ASCEND" => SortOrder::Ascending,
            _ => SortOrder::Descending,
        },
    });
    let projection = match (flag(body, "count_only"), flag(body, "keys_only")) {
        (true, _) => Projection::CountOnly,
        (false, true) => Projection::KeysOnly,
        (false, false) => Projection::KeysAndValues,
    };
    RangeQuery {
        range: keys(body),
        limit: number(body, "limit").unsigned_abs(),
        revision: Revision(number(body, "rev")),
        sort,
        projection,
        min_mod_revision: number(body, "min_mod"),
        max_mod_revision: number(body, "max_mod"),
        min_create_revision: number(body, "min_create"),
        max_create_revision: number(body, "max_create"),
    }
}

fn compare(body: &Value) -> Compare {
    let operand = match body["target"].as_str().unwrap() {
        "VERSION" => CompareOperand::Version(number(body, "with")),
        "CREATE" => CompareOperand::Create(number(body, "with")),
        "MOD" => CompareOperand::Mod(number(body, "with")),
        "LEASE" => CompareOperand::Lease(number(body, "with")),
        _ => CompareOperand::Value(text(body, "with")),
    };
    let relation = match body["rel"].as_str().unwrap() {
        "EQUAL" => CompareRelation::Equal,
        "GREATER" => CompareRelation::Greater,
        "LESS" => CompareRelation::Less,
        _ => CompareRelation::NotEqual,
    };
    Compare { range: keys(body), operand, relation }
}

fn txn(body: &Value) -> Txn {
    let list = |field: &str| body[field].as_array().unwrap().clone();
    let ops = |field: &str| list(field).iter().map(op).collect();
    Txn {
        compare: list("compare").iter().map(compare).collect(),
        success: ops("success"),
        failure: ops("failure"),
    }
}

fn op(body: &Value) -> Op {
    let (kind, body) = body.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "range" => Op::Range(query(body)),
        "put" => Op::Put(put(body)),
        "del" => Op::DeleteRange(deletion(body)),
        _ => Op::Txn(txn(body)),
    }
}
