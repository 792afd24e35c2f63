//! HashKV against numbers that a real etcd answered for the same histories.

use crate::rig::{Rig, delete, put_op};
use bytes::Bytes;
use state::command::*;
use state::{Error, Refusal};
use types::{LeaseId, Revision};

/// Members compare these hashes with etcd's own, and a difference raises the corruption alarm on a whole mixed cluster:
/// tombstones at the compacted revision, compactions that keep nothing, restarts between.
#[test]
fn edges_hash_as_in_etcd() {
    assert!(play(include_str!("../../testdata/hashkv-edges.txt"), Sweeping::AtOnce) > 20);
}

/// The same over a long random history with leases, transactions and many compactions.
#[test]
fn a_random_history_hashes_as_in_etcd() {
    assert!(play(include_str!("../../testdata/hashkv-random.txt"), Sweeping::AtOnce) > 80);
}

/// The hash does not depend on how far the physical sweep has come, nor on crashes and replays between; only a compaction's
/// own remembered hash (which needs the sweep to finish) is left out here.
#[test]
fn the_sweep_does_not_show_in_the_hash() {
    assert!(play(include_str!("../../testdata/hashkv-random.txt"), Sweeping::Never) > 40);
}

#[derive(Clone, Copy, PartialEq)]
enum Sweeping {
    AtOnce,
    Never,
}

/// Plays a history and checks every hash in it; answers how many were checked.
fn play(history: &str, sweeping: Sweeping) -> usize {
    let mut rig = Rig::new();
    let mut checked = 0;
    for (number, line) in history.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let (act, expected) =
            line.split_once(" = ").map_or((line, None), |(act, expected)| (act, Some(expected)));
        let (word, rest) = act.split_once(' ').unwrap_or((act, ""));
        match word {
            "put" | "del" => drop(rig.apply(command(op(act))).unwrap()),
            "txn" => {
                let success = rest.split("; ").map(op).collect();
                rig.txn(Txn { success, ..Txn::default() }).unwrap();
            }
            "grant" => rig.grant(rest.parse().unwrap()),
            "revoke" => drop(rig.apply(Command::LeaseRevoke(LeaseId(rest.parse().unwrap()))).unwrap()),
            "compact" => {
                let done = rig.compact(rest.parse().unwrap());
                assert_eq!(done.map_err(text).err(), expected.map(str::to_owned), "line {}", number + 1);
                if sweeping == Sweeping::AtOnce {
                    rig.sweep();
                }
            }
            "restart" => {
                rig.checkpoint();
                rig.crash();
            }
            "hash" => {
                let expected = expected.unwrap();
                let remembered = expected.split(' ').nth(2) == Some(rest) && compacted_at(&rig, rest);
                if sweeping == Sweeping::AtOnce || !remembered {
                    assert_eq!(hash(&rig, rest.parse().unwrap()), expected, "line {}: {line}", number + 1);
                    checked += 1;
                }
            }
            other => panic!("unknown word {other}"),
        }
    }
    checked
}

fn compacted_at(rig: &Rig, revision: &str) -> bool {
    rig.log
        .iter()
        .any(|command| matches!(command, Command::Compact(c) if c.revision.0.to_string() == revision))
}

fn hash(rig: &Rig, revision: i64) -> String {
    match rig.reader().hash_kv(Revision(revision)) {
        Ok(found) => {
            format!("{} {} {} {}", found.hash, found.compact_revision, found.hash_revision, found.revision)
        }
        Err(Error::Refused(refusal)) => text(refusal),
        Err(other) => panic!("{other}"),
    }
}

fn text(refusal: Refusal) -> String {
    match refusal {
        Refusal::Compacted { .. } => "etcdserver: mvcc: required revision has been compacted".to_owned(),
        Refusal::FutureRevision { .. } => {
            "etcdserver: mvcc: required revision is a future revision".to_owned()
        }
        other => panic!("{other}"),
    }
}

fn command(op: Op) -> Command {
    match op {
        Op::Put(put) => Command::Put(put),
        Op::DeleteRange(delete) => Command::DeleteRange(delete),
        Op::Range(_) | Op::Txn(_) => panic!("not a plain command"),
    }
}

fn op(words: &str) -> Op {
    match words.split(' ').collect::<Vec<_>>()[..] {
        ["put", key, value] => Op::Put(put_op(key, value)),
        ["put", key, value, lease] => {
            let lease = PutLease::Set(LeaseId(lease.parse().unwrap()));
            Op::Put(Put {
                lease,
                value: PutValue::Set(Bytes::copy_from_slice(value.as_bytes())),
                ..put_op(key, "")
            })
        }
        ["del", key] => Op::DeleteRange(delete(key, "")),
        ["del", key, end] => Op::DeleteRange(delete(key, end)),
        _ => panic!("unknown operation {words}"),
    }
}
