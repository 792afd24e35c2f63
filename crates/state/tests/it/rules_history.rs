//! History: events for watchers, the pair before a change, compaction.

use crate::rig::{Rig, delete, put_op, show};
use state::command::*;
use state::outcome::*;
use state::query::PageLimits;
use state::{Error, Refusal, Sweep};
use types::Revision;

const ROOMY: PageLimits = PageLimits { items: 10_000, bytes: 1 << 20 };

fn told(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| {
        let view = event.pair.view().unwrap();
        assert_eq!(view.mod_revision, event.revision.main, "an event's pair carries its revision");
        match event.kind {
            EventKind::Put => format!("{} {}", event.revision, show(&event.pair)),
            EventKind::Delete => format!("{} -{}", event.revision, view.key.escape_ascii()),
        }
    };
    events.iter().map(line).collect()
}

fn three_revisions() -> Rig {
    let mut rig = Rig::new();
    rig.put("a", "1");
    let success = vec![Op::Put(put_op("b", "2")), Op::DeleteRange(delete("a", ""))];
    rig.txn(Txn { success, ..Txn::default() }).unwrap();
    rig.put("c", "3");
    rig
}

/// What watchers are told as it happens is what they find in history afterwards, in the same order: a watcher that was
/// slow must not see anything else than one that was not.
#[test]
fn live_changes_and_history_are_the_same() {
    let mut rig = three_revisions();
    let live = rig.machine.take_changes();
    let flat: Vec<_> = live.revisions.iter().flat_map(|revised| revised.events.clone()).collect();
    assert_eq!(told(&flat), ["2.0 a=1", "3.0 b=2", "3.1 -a", "4.0 c=3"]);
    let page = rig.reader().events(Revision(2), Revision(9), |_| true, ROOMY).unwrap();
    assert_eq!((page.events, page.next), (flat, Revision(5)));
    assert!(rig.machine.take_changes().is_empty());
}

/// Pages never split a revision and make progress however small; filters and bounds hold.
#[test]
fn pages_hold_whole_revisions() {
    let rig = three_revisions();
    let tiny = PageLimits { items: 0, bytes: 0 };
    let mut from = Revision(1);
    let mut pages = Vec::new();
    while from <= rig.reader().revision() {
        let page = rig.reader().events(from, Revision(i64::MAX - 1), |_| true, tiny).unwrap();
        assert!(page.next > from);
        from = page.next;
        pages.push(told(&page.events));
    }
    assert_eq!(pages, [vec!["2.0 a=1"], vec!["3.0 b=2", "3.1 -a"], vec!["4.0 c=3"]]);
    let only =
        |from, to| rig.reader().events(Revision(from), Revision(to), |key| key == b"a", ROOMY).unwrap();
    assert_eq!(
        (told(&only(1, 9).events), only(1, 9).next),
        (vec!["2.0 a=1".into(), "3.1 -a".into()], Revision(5))
    );
    assert_eq!((told(&only(3, 3).events), only(3, 3).next), (vec!["3.1 -a".into()], Revision(4)));
    assert_eq!((told(&only(4, 4).events), only(4, 4).next), (vec![], Revision(5)));
    assert_eq!((told(&only(7, 9).events), only(7, 9).next), (vec![], Revision(7)));
}

/// History starts at the compaction; below it the watcher is told so, and the pair before a change is silently absent.
#[test]
fn history_starts_at_the_compaction() {
    let mut rig = three_revisions();
    rig.compact(3).unwrap();
    for swept in [false, true] {
        if swept {
            rig.sweep();
        }
        let below = rig.reader().events(Revision(2), Revision(9), |_| true, ROOMY);
        let compacted = Revision(3);
        assert!(matches!(below, Err(Error::Refused(Refusal::Compacted { compacted: c })) if c == compacted));
        let page = rig.reader().events(compacted, Revision(9), |_| true, ROOMY).unwrap();
        assert_eq!(told(&page.events), ["3.0 b=2", "3.1 -a", "4.0 c=3"]);
        assert_eq!(rig.reader().previous(b"a", Revision(3)).unwrap(), None);
    }
}

/// The pair before a change: there, not there, not yet.
#[test]
fn the_pair_before_a_change_is_found() {
    let rig = three_revisions();
    let before =
        |key: &[u8], revision| rig.reader().previous(key, Revision(revision)).unwrap().as_ref().map(show);
    assert_eq!(before(b"a", 3), Some("a=1".into()));
    assert_eq!(
        (before(b"a", 2), before(b"b", 3), before(b"a", 1), before(b"a", 0), before(b"a", 99)),
        Default::default()
    );
}

/// Compaction: refused at or below the last one and ahead of the present; what was live stays, what was not goes, in store
/// accounts too; readers see it at once, the sweep may come later.
#[test]
fn compaction_frees_what_no_reader_can_reach() {
    let mut rig = Rig::new();
    (0..2000).for_each(|i| rig.put(&format!("k{}", i % 700), "some value"));
    rig.delete("k0");
    let full = rig.reader().sizes().live_bytes;
    assert_eq!(rig.compact(rig.revision() + 1), Err(Refusal::FutureRevision { current: Revision(2002) }));
    rig.compact(2002).unwrap();
    assert_eq!(rig.compact(2002), Err(Refusal::Compacted { compacted: Revision(2002) }));
    assert_eq!(rig.reader().compacted(), Revision(2002));
    assert_eq!((rig.reader().sizes().live_bytes, rig.machine.swept()), (full, Revision(-1)));
    let mut steps = 0;
    while rig.machine.compact_step(100).unwrap() == Sweep::More {
        steps += 1;
    }
    assert!(steps > 5, "the sweep is one long stop: {steps}");
    let left = rig.reader().sizes();
    assert!(left.live_bytes * 2 < full && left.keys == 699, "{left:?} of {full}");
    assert_eq!(rig.machine.swept(), Revision(2002));
    assert_eq!(rig.dump(0).len(), 699);
    rig.put("k0", "x");
    rig.compact(2003).unwrap();
    rig.sweep();
    assert_eq!(rig.dump(2003).len(), 700);
}

/// Two compactions asked for before the first is swept are both done, in order.
#[test]
fn compactions_queue() {
    let mut rig = Rig::new();
    (0..9).for_each(|i| rig.put("a", &i.to_string()));
    rig.compact(3).unwrap();
    rig.compact(8).unwrap();
    rig.sweep();
    assert_eq!((rig.machine.swept(), rig.dump(8)), (Revision(8), vec!["a=6".into()]));
}

/// Values are not in the index: what left the cache is read back from the store, and big walks do not break it.
#[test]
fn pairs_beyond_the_cache_are_read_back() {
    let mut rig = Rig::new();
    let long = "x".repeat(1000);
    (0..50).for_each(|i| rig.put(&format!("k{i:02}"), &format!("{i}{long}")));
    for _ in 0..2 {
        let dump = rig.dump(0);
        assert!((0..50).all(|i| dump[i] == format!("k{i:02}={i}{long}")));
    }
}

fn copied(rig: &Rig) -> (Vec<String>, CopiedFacts) {
    let mut lines = Vec::new();
    let facts = rig.reader().copy::<Error>(|at, kind, pair| {
        let sign = if kind == EventKind::Delete { "-" } else { "" };
        lines.push(format!("{at} {sign}{}", pair.view()?.key.escape_ascii()));
        Ok(())
    });
    (lines, facts.unwrap())
}

/// A copy holds what a compaction leaves, in the order of revisions, and the same before the sweep as after: a backup must
/// not depend on background work. The lease that a key hangs on is in it.
#[test]
fn a_copy_is_what_compaction_leaves() {
    let mut rig = three_revisions();
    rig.grant(7);
    rig.put_leased("b", 7);
    rig.put("z", "late");
    assert_eq!(copied(&rig).0, ["2.0 a", "3.0 b", "3.1 -a", "4.0 c", "5.0 b", "6.0 z"]);
    rig.compact(5).unwrap();
    let (lines, facts) = copied(&rig);
    assert_eq!(lines, ["4.0 c", "5.0 b", "6.0 z"]);
    assert_eq!((facts.revision, facts.compacted), (Revision(6), Revision(5)));
    assert!(matches!(facts.leases.as_slice(), [(id, ..)] if id.0 == 7));
    rig.sweep();
    assert_eq!(copied(&rig), (lines, facts));
}
