//! Readers beside the writer: a pinned read never sees half a transaction, nor a hole where a compaction swept.

use crate::rig::{Rig, get, put_op};
use state::command::*;
use state::query::{PageLimits, RangeQuery};
use state::{Error, Refusal, Sweep};
use std::sync::atomic::{AtomicBool, Ordering};
use types::Revision;

/// Every transaction sets all of 1,300 keys (more than two pages) to the same value. Readers on other threads, at the
/// latest and at pinned older revisions, must always see 1,300 equal values, while compactions sweep behind them.
#[test]
fn readers_see_whole_transactions_while_compactions_sweep() {
    const KEYS: usize = 1300;
    let mut rig = Rig::new();
    let write = |rig: &mut Rig, round: usize| {
        let ops = (0..KEYS).map(|i| Op::Put(put_op(&format!("k{i:04}"), &round.to_string())));
        rig.txn(Txn { success: ops.collect(), ..Txn::default() }).unwrap();
    };
    write(&mut rig, 0);
    let stop = AtomicBool::new(false);
    let check = |reader: &state::Reader, revision: Revision| match reader
        .range(&RangeQuery { revision, ..get("k", "l") })
    {
        Ok(found) => {
            let first = found.pairs[0].view().unwrap().value;
            assert_eq!(found.pairs.len(), KEYS);
            assert!(found.pairs.iter().all(|pair| pair.view().unwrap().value == first));
        }
        Err(Error::Refused(Refusal::Compacted { .. })) => {}
        Err(other) => panic!("{other}"),
    };
    std::thread::scope(|scope| {
        for back in 0..3 {
            let reader = rig.reader();
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let revision = Revision((reader.revision().0 - back).max(2));
                    check(&reader, revision);
                    let limits = PageLimits { items: 100, bytes: 1 << 20 };
                    match reader.events(revision, revision, |_| true, limits) {
                        Ok(page) => assert_eq!(page.events.len(), KEYS),
                        Err(Error::Refused(Refusal::Compacted { .. })) => {}
                        Err(other) => panic!("{other}"),
                    }
                    reader.hash_kv(Revision::ZERO).unwrap();
                }
            });
        }
        for round in 1..25 {
            write(&mut rig, round);
            rig.machine.take_changes();
            if round % 3 == 0 {
                rig.compact(rig.revision() - 1).unwrap();
            }
            rig.machine.compact_step(5000).unwrap();
            rig.chore();
        }
        stop.store(true, Ordering::Relaxed);
    });
    while !matches!(rig.machine.compact_step(5000).unwrap(), Sweep::Done(_)) {}
    check(&rig.reader(), Revision::ZERO);
    assert!(rig.machine.swept() > Revision(20));
}
