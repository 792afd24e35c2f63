//! Writes and transactions: revisions, headers, comparisons, validation before the first write.

use crate::rig::{Rig, delete, get, put, put_op, range, show};
use bytes::Bytes;
use state::Refusal;
use state::command::*;
use state::outcome::*;
use state::query::RangeQuery;
use types::{KeyRange, LeaseId, Revision};

fn success(success: Vec<Op>) -> Txn {
    Txn { success, ..Txn::default() }
}

fn compare(start: &str, end: &str, operand: CompareOperand, relation: CompareRelation) -> Compare {
    Compare { range: range(start, end), operand, relation }
}

fn value(text: &'static str) -> CompareOperand {
    CompareOperand::Value(Bytes::from_static(text.as_bytes()))
}

/// The first write is revision 2; each changing entry takes one, and one that changes nothing none.
#[test]
fn only_changes_take_a_revision() {
    let mut rig = Rig::new();
    assert_eq!(rig.revision(), 1);
    rig.put("a", "1");
    assert_eq!(rig.revision(), 2);
    rig.delete("absent");
    rig.txn(success(vec![Op::DeleteRange(delete("x", "z")), Op::Range(get("a", ""))])).unwrap();
    assert_eq!(rig.revision(), 2);
    rig.delete("a");
    assert_eq!(rig.revision(), 3);
}

/// Creation, modification and version of a key through writes, deletion and a new life.
#[test]
fn a_key_counts_its_lives() {
    let mut rig = Rig::new();
    let facts = |rig: &Rig| {
        let found = rig.reader().range(&get("a", "")).unwrap();
        let view = found.pairs[0].view().unwrap();
        (view.create_revision.0, view.mod_revision.0, view.version)
    };
    rig.put("a", "1");
    rig.put("b", "1");
    rig.put("a", "2");
    assert_eq!(facts(&rig), (2, 4, 2));
    rig.delete("a");
    rig.put("a", "3");
    assert_eq!(facts(&rig), (6, 6, 1));
}

/// The transaction that was played to a real etcd, with every header revision it answered: before the first change the
/// old revision, after it the new one, and none for transactions within. Nested comparisons look at the time before.
#[test]
fn operations_see_earlier_ones_and_answer_etcds_revisions() {
    let mut rig = Rig::new();
    rig.put("a", "1");
    let inner = success(vec![
        Op::Range(get("b", "")),
        Op::DeleteRange(delete("zz", "")),
        Op::DeleteRange(DeleteRange { prev_kv: true, ..delete("a", "") }),
        Op::Range(get("a", "")),
    ]);
    let before = Txn {
        compare: vec![compare("b", "", CompareOperand::Version(1), CompareRelation::Equal)],
        success: vec![Op::Range(get("c", ""))],
        failure: vec![Op::DeleteRange(delete("x", ""))],
    };
    let outcome = rig.txn(success(vec![
        Op::Range(get("a", "")),
        Op::Put(Put { prev_kv: true, ..put_op("b", "2") }),
        Op::Range(get("b", "")),
        Op::Txn(inner),
        Op::Txn(before),
        Op::Range(RangeQuery::latest(KeyRange::all())),
    ]));
    assert_eq!(
        told(&outcome.unwrap()),
        "true[range@2(a=1) put@3() range@3(b=2) txn@0:true[range@3(b=2) del@3:0() del@3:1(a=1) range@3()] \
         txn@0:false[del@3:0()] range@3(b=2)]"
    );
    assert_eq!(rig.revision(), 3);
    assert_eq!(rig.dump(2), ["a=1"]);
}

/// A txn's outcome in one line.
fn told(txn: &TxnOutcome) -> String {
    let pairs = |pairs: &[Pair]| pairs.iter().map(show).collect::<Vec<_>>().join(",");
    let ops = txn.ops.iter().map(|op| match op {
        OpOutcome::Range(found) => format!("range@{}({})", found.revision, pairs(&found.pairs)),
        OpOutcome::Put(put, at) => format!("put@{at}({})", put.prev.as_ref().map(show).unwrap_or_default()),
        OpOutcome::DeleteRange(gone, at) => format!("del@{at}:{}({})", gone.deleted, pairs(&gone.prev)),
        OpOutcome::Txn(inner, at) => format!("txn@{at}:{}", told(inner)),
    });
    format!("{}[{}]", txn.succeeded, ops.collect::<Vec<_>>().join(" "))
}

/// Every target and relation, on a present key, an absent one and over ranges; a value never compares with nothing, and a
/// relation etcd does not know lets pass.
#[test]
fn comparisons_hold_as_in_etcd() {
    use CompareOperand::{Create, Lease, Mod, Version};
    use CompareRelation::{Equal, Greater, Less, NotEqual, Unknown};
    let mut rig = Rig::new();
    rig.grant(7);
    rig.put("a", "m"); // 2
    rig.put("a", "n"); // 3
    rig.put_leased("b", 7); // 4, value v
    let cases = [
        ("a", "", Version(2), Equal, true),
        ("a", "", Version(1), Greater, true),
        ("a", "", Version(2), NotEqual, false),
        ("a", "", Create(2), Equal, true),
        ("a", "", Mod(4), Less, true),
        ("a", "", Lease(0), Equal, true),
        ("b", "", Lease(7), Equal, true),
        ("a", "", value("n"), Equal, true),
        ("a", "", value("m"), Greater, true),
        ("a", "", value("n"), Less, false),
        ("a", "", value("x"), Unknown, true),
        ("absent", "", Version(0), Equal, true),
        ("absent", "", Create(0), NotEqual, false),
        ("absent", "", Mod(1), Less, true),
        ("absent", "", Lease(0), Equal, true),
        ("absent", "", Version(5), Unknown, true),
        ("absent", "", value(""), Equal, false),
        ("absent", "", value("x"), NotEqual, false),
        ("absent", "", value("x"), Unknown, false),
        ("a", "c", Version(0), Greater, true),
        ("a", "c", Mod(3), Equal, false),
        ("a", "c", value("z"), Less, true),
        ("a", "c", value("u"), Less, false),
        ("x", "z", Mod(0), Equal, true),
        ("x", "z", value(""), Equal, false),
        ("\0", "\0", Create(1), Greater, true),
    ];
    for (start, end, operand, relation, holds) in cases {
        let case = format!("{start} {end} {operand:?} {relation:?}");
        let txn = Txn { compare: vec![compare(start, end, operand, relation)], ..Txn::default() };
        assert_eq!(rig.reader().txn_read(&txn).unwrap().1.succeeded, holds, "{case}");
        assert_eq!(rig.txn(txn).unwrap().succeeded, holds, "{case}");
    }
}

/// All comparisons must hold; none means success.
#[test]
fn comparisons_are_a_conjunction() {
    let mut rig = Rig::new();
    rig.put("a", "1");
    let holds = compare("a", "", value("1"), CompareRelation::Equal);
    let fails = compare("a", "", value("2"), CompareRelation::Equal);
    let mut outcome = |compare| rig.txn(Txn { compare, ..Txn::default() }).unwrap().succeeded;
    assert!(outcome(vec![]));
    assert!(outcome(vec![holds.clone(), holds.clone()]));
    assert!(!outcome(vec![holds, fails]));
}

/// Whatever makes a transaction impossible is found before its first write, also deep inside and after writes: half a
/// transaction must never exist. What stands on the list not taken does not matter.
#[test]
fn nothing_is_written_when_any_taken_operation_cannot_be() {
    let bad_lease = Op::Put(Put { lease: PutLease::Set(LeaseId(9)), ..put_op("x", "1") });
    let keep_value = Op::Put(Put { value: PutValue::Keep, ..put_op("x", "") });
    let keep_lease = Op::Put(Put { lease: PutLease::Keep, ..put_op("x", "") });
    let ahead = Op::Range(RangeQuery { revision: Revision(99), ..get("a", "") });
    let behind = Op::Range(RangeQuery { revision: Revision(2), ..get("a", "") });
    let negative = Op::Range(RangeQuery { revision: Revision(-1), ..get("a", "") });
    let mut rig = Rig::new();
    (0..4).for_each(|_| rig.put("a", "1"));
    rig.compact(4).unwrap();
    let compacted = Refusal::Compacted { compacted: Revision(4) };
    let cases = [
        (bad_lease, Refusal::LeaseNotFound(LeaseId(9))),
        (keep_value, Refusal::KeyNotFound),
        (keep_lease, Refusal::KeyNotFound),
        (ahead, Refusal::FutureRevision { current: Revision(5) }),
        (behind, compacted.clone()),
        (negative, compacted),
    ];
    for (bad, refusal) in cases {
        let write = Op::Put(put_op("w", "1"));
        let nested = Op::Txn(success(vec![Op::Put(put_op("v", "1")), bad.clone()]));
        assert_eq!(rig.txn(success(vec![write.clone(), bad.clone()])), Err(refusal.clone()));
        assert_eq!(rig.txn(success(vec![write, nested])), Err(refusal));
        assert_eq!((rig.revision(), rig.dump(5)), (5, vec!["a=1".into()]));
        rig.txn(Txn { failure: vec![bad], ..Txn::default() }).unwrap();
    }
}

/// A put checks its lease before its key, keeps the value or the lease when told to, and answers the pair before.
#[test]
fn puts_keep_what_they_are_told_to_keep() {
    let mut rig = Rig::new();
    let nowhere = Put { value: PutValue::Keep, lease: PutLease::Set(LeaseId(9)), ..put_op("l", "") };
    assert_eq!(rig.apply(Command::Put(nowhere)), Err(Refusal::LeaseNotFound(LeaseId(9))));
    let keep_value = Put { value: PutValue::Keep, ..put_op("l", "") };
    assert_eq!(rig.apply(Command::Put(keep_value.clone())), Err(Refusal::KeyNotFound));
    rig.grant(8);
    rig.put_leased("l", 8);
    rig.apply(Command::Put(Put { lease: PutLease::Keep, ..put_op("l", "new") })).unwrap();
    let view = |rig: &Rig| {
        let pair = rig.reader().range(&get("l", "")).unwrap().pairs.remove(0);
        let view = pair.view().unwrap();
        (String::from_utf8(view.value.to_vec()).unwrap(), view.lease.0)
    };
    assert_eq!(view(&rig), ("new".into(), 8));
    let Ok(Outcome::Put(outcome)) = rig.apply(Command::Put(Put { prev_kv: true, ..keep_value })) else {
        panic!()
    };
    assert_eq!(show(&outcome.prev.unwrap()), "l=new");
    assert_eq!(view(&rig), ("new".into(), 0));
    assert_eq!(rig.apply(put("fresh", "1")), Ok(Outcome::Put(PutOutcome::default())));
}

/// A deletion answers how many, and the pairs as they were.
#[test]
fn deletions_answer_what_was_there() {
    let mut rig = Rig::new();
    ["a", "b", "c"].iter().for_each(|key| rig.put(key, key));
    let Ok(Outcome::DeleteRange(gone)) =
        rig.apply(Command::DeleteRange(DeleteRange { prev_kv: true, ..delete("a", "c") }))
    else {
        panic!()
    };
    assert_eq!(
        (gone.deleted, gone.prev.iter().map(show).collect::<Vec<_>>()),
        (2, vec!["a=a".into(), "b=b".into()])
    );
    assert_eq!(rig.dump(0), ["c=c"]);
    assert_eq!(rig.reader().sizes().keys, 1);
}

/// One request that stops a real etcd 3.7.3 for good (it panics at the entry, and again at every start): a deletion from a
/// key on escapes its search for duplicates, and a put after it wants to keep what is gone. Here it keeps what was there.
#[test]
fn a_put_after_a_deletion_keeps_what_was_there_before() {
    let mut rig = Rig::new();
    rig.grant(7);
    rig.put_leased("k", 7);
    let from_key_on = DeleteRange { prev_kv: true, ..delete("a", "\0") };
    let keep = Put { value: PutValue::Keep, lease: PutLease::Keep, prev_kv: true, ..put_op("k", "") };
    for put in [Op::Put(keep.clone()), Op::Txn(success(vec![Op::Put(keep)]))] {
        rig.txn(success(vec![Op::DeleteRange(from_key_on.clone()), put])).unwrap();
        let found = rig.reader().range(&get("k", "")).unwrap().pairs.remove(0);
        let view = found.view().unwrap();
        assert_eq!((view.value, view.lease, view.version), (&b"v"[..], LeaseId(7), 1));
    }
    rig.checkpoint();
    rig.crash();
    assert_eq!(
        (rig.dump(2), rig.dump(3), rig.dump(4)),
        (vec!["k=v".into()], vec!["k=v".into()], vec!["k=v".into()])
    );
}

/// One key put, deleted and put again in one transaction (possible the same way) keeps its order, across restarts too.
#[test]
fn one_key_may_change_often_within_a_transaction() {
    let mut rig = Rig::new();
    rig.put("k", "0");
    let ops = || vec![Op::Put(put_op("k", "1")), Op::DeleteRange(delete("k", "")), Op::Put(put_op("k", "2"))];
    rig.txn(success(ops())).unwrap();
    rig.txn(success([ops(), vec![Op::DeleteRange(delete("a", "z"))]].concat())).unwrap();
    for _ in 0..2 {
        assert_eq!((rig.dump(2), rig.dump(3), rig.dump(4)), (vec!["k=0".into()], vec!["k=2".into()], vec![]));
        rig.checkpoint();
        rig.crash();
    }
}

/// A reader evaluates read-only transactions itself, and refuses to be given another.
#[test]
fn a_reader_evaluates_what_only_reads() {
    let mut rig = Rig::new();
    rig.put("a", "1");
    let nested = success(vec![Op::Range(get("a", "")), Op::Txn(success(vec![Op::Range(get("b", ""))]))]);
    let (revision, outcome) = rig.reader().txn_read(&nested).unwrap();
    assert_eq!((revision.0, told(&outcome)), (2, "true[range@2(a=1) txn@0:true[range@2()]]".into()));
    assert_eq!(rig.txn(nested).unwrap(), outcome);
    let writes = success(vec![Op::Put(put_op("a", "2"))]);
    assert!(matches!(rig.reader().txn_read(&writes), Err(state::Error::NotReadOnly)));
}
