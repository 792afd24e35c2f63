//! Lists: a range that is read step by step, while everything else goes on, answers what one step would have answered.

use crate::rig::{Rig, get};
use proptest::prelude::*;
use proptest::test_runner::{TestRng, TestRunner};
use state::outcome::{Pair, RangeOutcome};
use state::query::*;
use state::{Error, List, Looked, Refusal, Sweep};
use types::Revision;

const KEYS: usize = 300;

/// Keys with values of all lengths, some written again, some deleted, more than a page of them.
fn store(rng: &mut TestRng) -> Rig {
    let mut rig = Rig::new();
    (0..KEYS).for_each(|i| rig.put(&format!("k{i:03}"), &value(rng)));
    (0..60).for_each(|_| change(&mut rig, rng));
    rig
}

fn value(rng: &mut TestRng) -> String {
    let bytes = if rng.random_bool(0.02) { rng.random_range(0..200_000) } else { rng.random_range(0..1_600) };
    "v".repeat(bytes)
}

fn change(rig: &mut Rig, rng: &mut TestRng) {
    let key = format!("k{:03}", rng.random_range(0..KEYS));
    if rng.random_bool(0.3) { rig.delete(&key) } else { rig.put(&key, &value(rng)) }
}

/// What may happen between two steps.
fn meanwhile(rig: &mut Rig, rng: &mut TestRng) {
    match rng.random_range(0..6) {
        0 => rig.compact(rng.random_range(1..=rig.revision())).unwrap_or(()),
        1 => rig.sweep(),
        2 => drop(rig.chore()),
        3 => rig.checkpoint(),
        _ => change(rig, rng),
    }
}

fn query(rng: &mut TestRng, revision: i64) -> RangeQuery {
    let bound = |rng: &mut TestRng| if rng.random_bool(0.8) { 0 } else { rng.random_range(1..=revision) };
    let mut one = |all: &[SortTarget]| all[rng.random_range(0..all.len())];
    use SortTarget::{Create, Key, Mod, Value, Version};
    let target = one(&[Key, Version, Create, Mod, Value]);
    let order = match rng.random_range(0..3) {
        0 => SortOrder::Unspecified,
        1 => SortOrder::Ascending,
        _ => SortOrder::Descending,
    };
    RangeQuery {
        limit: if rng.random_bool(0.5) { 0 } else { rng.random_range(1..400) },
        revision: Revision(bound(rng)),
        sort: rng.random_bool(0.3).then_some(Sort { target, order }),
        projection: match rng.random_range(0..10) {
            0 => Projection::CountOnly,
            1..4 => Projection::KeysOnly,
            _ => Projection::KeysAndValues,
        },
        min_mod_revision: bound(rng),
        max_mod_revision: bound(rng),
        min_create_revision: bound(rng),
        max_create_revision: bound(rng),
        ..if rng.random_bool(0.8) { get("k", "l") } else { get("k050", "k290") }
    }
}

/// Reads a list to its end.
fn read(list: &mut List, bytes: usize, mut meanwhile: impl FnMut()) -> Result<RangeOutcome, Error> {
    while !list.survey()? {
        meanwhile();
    }
    meanwhile();
    if !list.is_by_key() {
        return list.rest();
    }
    let mut pairs = Vec::new();
    while list.left() > 0 {
        let page = list.page(bytes)?;
        let but_last = page.iter().rev().skip(1).map(|pair| pair.0.len()).sum::<usize>();
        assert!(but_last < bytes.max(1), "a page of {but_last} bytes and one more pair, for {bytes}");
        pairs.extend(page);
        meanwhile();
    }
    Ok(RangeOutcome { revision: list.revision(), pairs, more: list.more(), count: list.totals().count })
}

/// Bytes of a pair as field 2 of an answer.
fn framed(pair: &Pair) -> u64 {
    let len = pair.0.len();
    (1 + [0x80, 0x4000, 0x20_0000].iter().filter(|bound| len >= **bound).count() + 1 + len) as u64
}

/// The real thing: whatever is asked, in whatever steps, and whatever is written, compacted, swept and moved in between, the
/// answer is the one that a single step gives. kube-apiserver builds its caches from these answers.
#[test]
fn a_list_is_the_range_whatever_happens_meanwhile() {
    let seed = rand_seed();
    let mut large = 0;
    for round in 0..60_u8 {
        let mut bytes = seed;
        bytes[0] = bytes[0].wrapping_add(round);
        let mut rng = TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &bytes);
        let mut rig = store(&mut rng);
        for _ in 0..8 {
            let query = query(&mut rng, rig.revision());
            let expected = match rig.reader().range(&query) {
                Ok(expected) => expected,
                Err(Error::Refused(refusal)) => {
                    assert!(
                        matches!(rig.reader().look(&query), Err(Error::Refused(same)) if same == refusal)
                    );
                    continue;
                }
                Err(other) => panic!("{other}"),
            };
            let found = match rig.reader().look(&query).unwrap() {
                Looked::Small(found) => found,
                Looked::Large(mut list) => {
                    large += 1;
                    let bytes = rng.random_range(0..150_000);
                    let found = read(&mut list, bytes, || meanwhile(&mut rig, &mut rng)).unwrap();
                    let totals = list.totals();
                    let whole =
                        if list.is_by_key() { found.pairs.iter().map(framed).sum() } else { totals.bytes };
                    assert_eq!((totals.pairs, totals.bytes), (found.pairs.len() as u64, whole), "{query:?}");
                    assert!(found.pairs.iter().all(|pair| pair.0.len() <= totals.largest));
                    let held: usize = found.pairs.iter().map(|pair| pair.0.len()).sum();
                    assert!(list.bytes_at_once() >= held as u64);
                    found
                }
            };
            assert!(found == expected, "round {round}, seed {seed:?}: {query:?}");
        }
    }
    assert!(large > 100, "only {large} lists were large");
}

fn rand_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    TestRunner::default().new_rng().fill_bytes(&mut seed);
    println!("seed {seed:?}");
    seed
}

/// A store of more keys than one step looks at.
fn wide(keys: usize) -> Rig {
    let mut rig = Rig::new();
    (0..keys).for_each(|i| rig.put(&format!("k{i:05}"), "value"));
    rig
}

/// However little is answered, looking at many keys takes steps after the first look: a count, a limit, a filter that lets nothing through. Else
/// one request would hold its thread for as long as the key space is wide.
#[test]
fn wide_ranges_are_counted_in_steps() {
    let rig = wide(20_000);
    let all = get("k", "l");
    for (query, steps) in [
        (RangeQuery { projection: Projection::CountOnly, ..all.clone() }, 2),
        (RangeQuery { limit: 5, ..all.clone() }, 2),
        (RangeQuery { min_mod_revision: 20_001, ..all.clone() }, 2),
        (RangeQuery { projection: Projection::KeysOnly, ..get("k1", "k2") }, 1),
    ] {
        let expected = rig.reader().range(&query).unwrap();
        let Looked::Large(mut list) = rig.reader().look(&query).unwrap() else { panic!("{query:?} is wide") };
        let mut surveys = 1;
        while !list.survey().unwrap() {
            surveys += 1;
        }
        assert_eq!(surveys, steps, "{query:?}");
        assert_eq!(read(&mut list, 1_000, || {}).unwrap(), expected);
    }
    assert!(
        matches!(rig.reader().look(&get("k0", "k00001")).unwrap(), Looked::Small(found) if found.count == 1)
    );
}

/// While a list holds its revision, a compaction beyond it takes effect at once but removes nothing; once let go, what was
/// held is removed, and the list is refused as any read of a compacted revision: never with pairs left out.
#[test]
fn a_compaction_waits_for_the_hold_and_then_ends_the_list() {
    let mut rig = wide(10_000);
    let query = get("k", "l");
    let begin = |rig: &Rig| match rig.reader().look(&query).unwrap() {
        Looked::Large(list) => list,
        Looked::Small(_) => panic!("small"),
    };
    let (mut kept, mut gone, mut passed) = (begin(&rig), begin(&rig), begin(&rig));
    assert_eq!(rig.reader().open_reads(), 3);
    while !kept.survey().unwrap() || !gone.survey().unwrap() || !passed.survey().unwrap() {}
    // Let go of, but not compacted: goes on.
    passed.hold().let_go();
    let first = passed.page(1_000).unwrap();
    (0..5_000).for_each(|i| rig.put(&format!("k{i:05}"), "changed"));
    rig.compact(rig.revision()).unwrap();
    let refused = |list: &mut List| {
        assert!(!list.is_readable());
        matches!(list.page(1_000), Err(Error::Refused(Refusal::Compacted { .. })))
    };
    assert!(refused(&mut passed) && !first.is_empty());
    let sweep = |rig: &mut Rig| loop {
        match rig.machine.compact_step(100_000).unwrap() {
            Sweep::More => {}
            other => break other,
        }
    };
    assert_eq!(sweep(&mut rig), Sweep::Waiting);
    assert!(kept.is_readable());
    let found = read(&mut kept, 10_000, || {}).unwrap();
    assert_eq!(found.pairs.len(), 10_000);
    assert!(found.pairs.iter().all(|pair| pair.view().unwrap().value == b"value"));
    // The list is read, but stands until it is dropped; the other is let go from elsewhere.
    assert_eq!(sweep(&mut rig), Sweep::Waiting);
    drop(kept);
    assert_eq!(sweep(&mut rig), Sweep::Waiting);
    let hold = gone.hold();
    std::thread::scope(|scope| drop(scope.spawn(|| hold.let_go())));
    assert!(matches!(sweep(&mut rig), Sweep::Done(_)));
    assert!(refused(&mut gone));
    assert_eq!(rig.reader().open_reads(), 0);
}

/// What the index knows of lengths it knows after a restart too, whether from the records or from a segment's index.
#[test]
fn lengths_are_known_after_a_restart() {
    let mut rng = TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &[7; 32]);
    let mut rig = store(&mut rng);
    rig.checkpoint();
    while rig.chore() {}
    rig.checkpoint();
    rig.crash();
    let query = get("k", "l");
    let Looked::Large(mut list) = rig.reader().look(&query).unwrap() else { panic!("small") };
    let found = read(&mut list, 50_000, || {}).unwrap();
    assert_eq!(list.totals().bytes, found.pairs.iter().map(framed).sum::<u64>());
    assert_eq!(found, rig.reader().range(&query).unwrap());
}
