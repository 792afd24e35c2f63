//! Ranges: etcd's rules of order, limit, count, filter and projection, each as seen on a real etcd 3.7.3.

use crate::rig::{Rig, get, key, keys_of, put_op, range, show};
use state::command::{Command, Put, PutLease};
use state::outcome::RangePage;
use state::query::*;
use state::{Error, Refusal};
use types::{KeyRange, LeaseId, Revision};

/// s1..s8 at revisions 2..9 with values v8..v1.
fn eight() -> Rig {
    let mut rig = Rig::new();
    for i in 1..9 {
        rig.put(&format!("s{i}"), &format!("v{}", 9 - i));
    }
    rig
}

fn sorted(target: SortTarget, order: SortOrder, limit: u64) -> RangeQuery {
    RangeQuery { sort: Some(Sort { target, order }), limit, ..get("s", "t") }
}

/// The count is of the whole range whatever the limit and the filters say: clients page by it.
#[test]
fn the_count_ignores_limit_and_filters() {
    let rig = eight();
    let limited = rig.reader().range(&RangeQuery { limit: 3, ..get("s", "t") }).unwrap();
    assert_eq!((keys_of(&limited.pairs).len(), limited.more, limited.count), (3, true, 8));
    let filtered =
        rig.reader().range(&RangeQuery { min_mod_revision: 8, limit: 3, ..get("s", "t") }).unwrap();
    assert_eq!(
        (keys_of(&filtered.pairs), filtered.more, filtered.count),
        (vec!["s7".into(), "s8".into()], false, 8)
    );
    let exact = rig.reader().range(&RangeQuery { limit: 8, ..get("s", "t") }).unwrap();
    assert_eq!((exact.more, exact.count), (false, 8));
    let counted =
        rig.reader().range(&RangeQuery { projection: Projection::CountOnly, limit: 1, ..get("s", "t") });
    let counted = counted.unwrap();
    assert_eq!((counted.pairs.len(), counted.more, counted.count), (0, false, 8));
}

/// Filters run before the limit, on either side, by modification and by creation.
#[test]
fn filters_run_before_the_limit() {
    let mut rig = eight();
    rig.put("s1", "again");
    let all = get("s", "t");
    assert_eq!(rig.keys(&RangeQuery { min_mod_revision: 9, limit: 1, ..all.clone() }), ["s1"]);
    assert_eq!(rig.keys(&RangeQuery { max_mod_revision: 3, ..all.clone() }), ["s2"]);
    assert_eq!(rig.keys(&RangeQuery { min_create_revision: 8, ..all.clone() }), ["s7", "s8"]);
    assert_eq!(rig.keys(&RangeQuery { max_create_revision: 3, limit: 5, ..all.clone() }), ["s1", "s2"]);
    assert_eq!(rig.keys(&RangeQuery { max_create_revision: 3, max_mod_revision: 5, ..all }), ["s2"]);
}

/// A sort looks at the whole range and then cuts; but a target without an order cuts first and sorts what is left: etcd
/// pushes the limit down for the latter, and clients see the difference.
#[test]
fn sorting_cuts_last_unless_no_order_was_named() {
    let rig = eight();
    use SortOrder::{Ascending, Descending, Unspecified};
    assert_eq!(rig.keys(&sorted(SortTarget::Value, Ascending, 3)), ["s8", "s7", "s6"]);
    assert_eq!(rig.keys(&sorted(SortTarget::Value, Unspecified, 3)), ["s4", "s3", "s2"]);
    assert_eq!(rig.keys(&sorted(SortTarget::Value, Descending, 2)), ["s1", "s2"]);
    assert_eq!(rig.keys(&sorted(SortTarget::Key, Descending, 2)), ["s8", "s7"]);
    assert_eq!(rig.keys(&sorted(SortTarget::Key, Unspecified, 2)), ["s1", "s2"]);
    assert_eq!(rig.keys(&sorted(SortTarget::Mod, Descending, 2)), ["s8", "s7"]);
    assert_eq!(rig.keys(&sorted(SortTarget::Create, Descending, 1)), ["s8"]);
    let more = rig.reader().range(&sorted(SortTarget::Value, Unspecified, 3)).unwrap();
    assert_eq!((more.more, more.count), (true, 8));
}

/// Keys alone come without value and, being made from the index, without lease; unless they are sorted by value, which
/// loads the pairs. Version, creation and modification are right either way.
#[test]
fn keys_alone_carry_a_lease_only_when_sorted_by_value() {
    let mut rig = Rig::new();
    rig.grant(8);
    let put = Put { lease: PutLease::Set(LeaseId(8)), ..put_op("l", "1") };
    rig.apply(Command::Put(put.clone())).unwrap();
    rig.apply(Command::Put(put)).unwrap();
    let only = RangeQuery { projection: Projection::KeysOnly, ..get("l", "") };
    let sort = Some(Sort { target: SortTarget::Value, order: SortOrder::Unspecified });
    for (query, lease) in [(only.clone(), 0), (RangeQuery { sort, ..only }, 8)] {
        let found = rig.reader().range(&query).unwrap();
        let view = found.pairs[0].view().unwrap();
        assert_eq!((view.create_revision.0, view.mod_revision.0, view.version), (2, 3, 2));
        assert_eq!((view.value, view.lease), (&b""[..], LeaseId(lease)));
    }
}

/// The four spellings of a range, and an inverted one.
#[test]
fn ranges_mean_what_etcd_means() {
    let mut rig = Rig::new();
    ["a", "b", "bb", "c"].iter().for_each(|key| rig.put(key, "v"));
    assert_eq!(rig.keys(&get("b", "")), ["b"]);
    assert_eq!(rig.keys(&get("b", "c")), ["b", "bb"]);
    assert_eq!(rig.keys(&get("b", "\0")), ["b", "bb", "c"]);
    assert_eq!(rig.keys(&RangeQuery::latest(KeyRange::all())), ["a", "b", "bb", "c"]);
    let none = Vec::<String>::new();
    assert_eq!(
        (rig.keys(&get("c", "a")), rig.keys(&get("b", "b")), rig.keys(&get("z", "")), none.clone()).0,
        none
    );
    assert_eq!(rig.reader().range(&get("c", "a")).unwrap().count, 0);
}

/// A revision at the compaction is readable, one below is not, one ahead never; zero and below mean the latest.
#[test]
fn revisions_are_readable_from_the_compaction_to_the_present() {
    let mut rig = Rig::new();
    (1..6).for_each(|i| rig.put("a", &i.to_string()));
    assert_eq!(rig.dump(3), ["a=2"]);
    rig.compact(4).unwrap();
    let at = |revision| {
        let query = RangeQuery { revision: Revision(revision), ..get("a", "") };
        match rig.reader().range(&query) {
            Ok(found) => Ok((found.revision.0, show(&found.pairs[0]))),
            Err(Error::Refused(refusal)) => Err(refusal),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(at(3), Err(Refusal::Compacted { compacted: Revision(4) }));
    assert_eq!(at(4), Ok((6, "a=3".into())));
    assert_eq!(at(7), Err(Refusal::FutureRevision { current: Revision(6) }));
    assert_eq!(at(0), Ok((6, "a=5".into())));
    assert_eq!(at(-1), Ok((6, "a=5".into())));
}

/// Pages at a pinned revision put together are the range: kube-apiserver lists this way while writes go on, and a
/// compaction in between must end it.
#[test]
fn pages_at_a_pinned_revision_make_the_range() {
    let mut rig = Rig::new();
    (0..1200).for_each(|i| rig.put(&format!("k{i:04}"), "value"));
    let pinned = rig.revision();
    let limits = |items, bytes| PageLimits { items, bytes };
    for limits in
        [limits(7, 1 << 20), limits(600, 1 << 20), limits(1200, 1 << 20), limits(10_000, 300), limits(0, 0)]
    {
        let mut keys = Vec::new();
        let mut page = RangePage::default();
        loop {
            rig.put("k0500", "changed meanwhile");
            rig.delete("k1100");
            let at = Revision(pinned);
            let next = page.next.take();
            page = rig
                .reader()
                .range_page(&range("k", "l"), at, next.as_ref(), Projection::KeysAndValues, limits)
                .unwrap();
            assert!(!page.pairs.is_empty() && page.pairs.len() <= limits.items.max(1));
            assert!(page.pairs.iter().all(|pair| pair.view().unwrap().value == b"value"));
            keys.extend(keys_of(&page.pairs));
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(keys.len(), 1200);
        assert!(keys.is_sorted());
    }
    rig.compact(rig.revision()).unwrap();
    let gone = rig.reader().range_page(
        &range("k", "l"),
        Revision(pinned),
        Some(&key("k5")),
        Projection::KeysOnly,
        limits(9, 9),
    );
    assert!(matches!(gone, Err(Error::Refused(Refusal::Compacted { .. }))));
}

/// Walking more keys than one lock's page finds each once, whatever their number.
#[test]
fn long_walks_cross_pages() {
    for count in [511, 512, 513, 1024, 1025] {
        let mut rig = Rig::new();
        (0..count).for_each(|i| rig.put(&format!("k{i:05}"), ""));
        let found = rig.reader().range(&get("k", "l")).unwrap();
        assert_eq!((found.count, found.pairs.len() as i64), (count, count));
        assert_eq!(rig.reader().sizes().keys, count as u64);
    }
}
