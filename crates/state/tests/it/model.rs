//! Random histories against a naive model: a full copy of the key space for every revision.
//!
//! The model knows nothing of indexes, generations, records or pages; it only knows what etcd promises. Crashes,
//! checkpoints, sweeps and chores happen in between and must not show.

use crate::rig::{Rig, key, keys_of};
use bytes::Bytes;
use proptest::prelude::*;
use state::command::*;
use state::outcome::*;
use state::query::*;
use state::{Error, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use types::{KeyRange, LeaseId, Revision};

#[derive(Clone, Debug, PartialEq)]
struct Kv {
    create: i64,
    modified: i64,
    version: i64,
    value: Vec<u8>,
    lease: i64,
}

type Map = BTreeMap<Vec<u8>, Kv>;
type Told = (i64, bool, Vec<u8>);

/// The key space at every revision, the events of each, and the leases.
struct Model {
    at: BTreeMap<i64, Map>,
    events: Vec<Told>,
    compacted: i64,
    leases: BTreeSet<i64>,
}

/// A revision in the making.
struct Draft {
    before: Map,
    map: Map,
    events: Vec<Told>,
    begin: i64,
}

impl Draft {
    fn revision(&self) -> i64 {
        self.begin + i64::from(!self.events.is_empty())
    }

    fn put(&mut self, put: &Put) -> PutOutcome {
        let k = put.key.as_slice().to_vec();
        let old = self.map.get(&k).cloned();
        let kept = old.clone().or_else(|| self.before.get(&k).cloned());
        let next = self.begin + 1;
        let kv = Kv {
            create: old.as_ref().map_or(next, |old| old.create),
            modified: next,
            version: old.as_ref().map_or(1, |old| old.version + 1),
            value: match &put.value {
                PutValue::Set(value) => value.to_vec(),
                PutValue::Keep => kept.as_ref().unwrap().value.clone(),
            },
            lease: match put.lease {
                PutLease::Set(lease) => lease.0,
                PutLease::Keep => kept.as_ref().unwrap().lease,
            },
        };
        self.map.insert(k.clone(), kv);
        self.events.push((next, true, k.clone()));
        PutOutcome { prev: old.filter(|_| put.prev_kv).map(|old| pair(&k, &old)) }
    }

    fn delete(&mut self, delete: &DeleteRange) -> DeleteRangeOutcome {
        let hit: Vec<_> = self.map.keys().filter(|k| delete.range.contains(k)).cloned().collect();
        let gone: Vec<_> = hit.iter().map(|k| (k.clone(), self.map.remove(k).unwrap())).collect();
        self.events.extend(hit.iter().map(|k| (self.begin + 1, false, k.clone())));
        let prev = gone.iter().filter(|_| delete.prev_kv).map(|(k, kv)| pair(k, kv)).collect();
        DeleteRangeOutcome { deleted: gone.len() as i64, prev }
    }
}

fn pair(k: &[u8], kv: &Kv) -> Pair {
    let view = PairView {
        key: k,
        create_revision: Revision(kv.create),
        mod_revision: Revision(kv.modified),
        version: kv.version,
        value: &kv.value,
        lease: LeaseId(kv.lease),
    };
    view.to_pair()
}

impl Model {
    fn new() -> Self {
        Self { at: BTreeMap::from([(1, Map::new())]), events: vec![], compacted: -1, leases: BTreeSet::new() }
    }

    fn current(&self) -> i64 {
        *self.at.last_key_value().unwrap().0
    }

    fn draft(&self) -> Draft {
        let before = self.at[&self.current()].clone();
        Draft { map: before.clone(), before, events: vec![], begin: self.current() }
    }

    fn commit(&mut self, draft: Draft) {
        if !draft.events.is_empty() {
            self.at.insert(draft.begin + 1, draft.map);
            self.events.extend(draft.events);
        }
    }

    fn check_put(&self, put: &Put) -> Result<(), Refusal> {
        match put.lease {
            PutLease::Set(id) if id.0 != 0 && !self.leases.contains(&id.0) => {
                return Err(Refusal::LeaseNotFound(id));
            }
            _ => {}
        }
        let keeps = put.value == PutValue::Keep || put.lease == PutLease::Keep;
        if keeps && !self.at[&self.current()].contains_key(put.key.as_slice()) {
            return Err(Refusal::KeyNotFound);
        }
        Ok(())
    }

    fn holds(&self, compare: &Compare) -> bool {
        let map = &self.at[&self.current()];
        let absent = Kv { create: 0, modified: 0, version: 0, value: vec![], lease: 0 };
        let mut hit: Vec<_> =
            map.iter().filter(|(k, _)| compare.range.contains(k)).map(|(_, kv)| kv).collect();
        if hit.is_empty() {
            if matches!(compare.operand, CompareOperand::Value(_)) {
                return false;
            }
            hit.push(&absent);
        }
        hit.iter().all(|kv| {
            let ordering = match &compare.operand {
                CompareOperand::Version(n) => kv.version.cmp(n),
                CompareOperand::Create(n) => kv.create.cmp(n),
                CompareOperand::Mod(n) => kv.modified.cmp(n),
                CompareOperand::Lease(n) => kv.lease.cmp(n),
                CompareOperand::Value(v) => kv.value.as_slice().cmp(v),
            };
            match compare.relation {
                CompareRelation::Equal => ordering.is_eq(),
                CompareRelation::Greater => ordering.is_gt(),
                CompareRelation::Less => ordering.is_lt(),
                CompareRelation::NotEqual => ordering.is_ne(),
                CompareRelation::Unknown => true,
            }
        })
    }

    /// The lists that a transaction and those in it take, before anything is written, with what forbids them.
    fn check(&self, txn: &Txn) -> Result<(), Refusal> {
        self.taken(txn).1.iter().try_for_each(|op| match op {
            Op::Range(query) if query.revision.0 == 0 => Ok(()),
            Op::Range(query) if query.revision.0 > self.current() => {
                Err(Refusal::FutureRevision { current: Revision(self.current()) })
            }
            Op::Range(query) if query.revision.0 < self.compacted => {
                Err(Refusal::Compacted { compacted: Revision(self.compacted) })
            }
            Op::Range(_) | Op::DeleteRange(_) => Ok(()),
            Op::Put(put) => self.check_put(put),
            Op::Txn(inner) => self.check(inner),
        })
    }

    fn taken<'t>(&self, txn: &'t Txn) -> (bool, &'t [Op]) {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        (succeeded, if succeeded { &txn.success } else { &txn.failure })
    }

    fn execute(&self, draft: &mut Draft, txn: &Txn) -> TxnOutcome {
        let (succeeded, taken) = self.taken(txn);
        let ops = taken.iter().map(|op| match op {
            Op::Range(query) => OpOutcome::Range(self.range(query, draft.revision(), &draft.map).unwrap()),
            Op::Put(put) => OpOutcome::Put(draft.put(put), Revision(draft.revision())),
            Op::DeleteRange(delete) => {
                OpOutcome::DeleteRange(draft.delete(delete), Revision(draft.revision()))
            }
            Op::Txn(inner) => OpOutcome::Txn(self.execute(draft, inner), Revision::ZERO),
        });
        TxnOutcome { succeeded, ops: ops.collect() }
    }

    /// etcd's `executeRange` in its own steps, on whole maps.
    fn range(&self, query: &RangeQuery, current: i64, latest: &Map) -> Result<RangeOutcome, Refusal> {
        let at = if query.revision.0 <= 0 { current } else { query.revision.0 };
        if at > current {
            return Err(Refusal::FutureRevision { current: Revision(current) });
        }
        if at < self.compacted {
            return Err(Refusal::Compacted { compacted: Revision(self.compacted) });
        }
        let map = if at == current { latest } else { &self.at[&at] };
        let mut hit: Vec<_> = map.iter().filter(|(k, _)| query.range.contains(k)).collect();
        let count = hit.len() as i64;
        if query.projection == Projection::CountOnly {
            return Ok(RangeOutcome { revision: Revision(current), pairs: vec![], more: false, count });
        }
        let filters = [
            query.min_mod_revision,
            query.max_mod_revision,
            query.min_create_revision,
            query.max_create_revision,
        ];
        let (target, order) =
            query.sort.map_or((SortTarget::Key, SortOrder::Unspecified), |sort| (sort.target, sort.order));
        let default_order =
            order == SortOrder::Unspecified || (target == SortTarget::Key && order == SortOrder::Ascending);
        if query.limit > 0 && default_order && filters == [0; 4] {
            hit.truncate(query.limit as usize + 1);
        }
        let [min_mod, max_mod, min_create, max_create] = filters;
        hit.retain(|(_, kv)| max_mod == 0 || kv.modified <= max_mod);
        hit.retain(|(_, kv)| min_mod == 0 || kv.modified >= min_mod);
        hit.retain(|(_, kv)| max_create == 0 || kv.create <= max_create);
        hit.retain(|(_, kv)| min_create == 0 || kv.create >= min_create);
        let by = |a: &(&Vec<u8>, &Kv), b: &(&Vec<u8>, &Kv)| match target {
            SortTarget::Key => a.0.cmp(b.0),
            SortTarget::Version => a.1.version.cmp(&b.1.version),
            SortTarget::Create => a.1.create.cmp(&b.1.create),
            SortTarget::Mod => a.1.modified.cmp(&b.1.modified),
            SortTarget::Value => a.1.value.cmp(&b.1.value),
        };
        match order {
            SortOrder::Descending => hit.sort_by(|a, b| by(b, a)),
            SortOrder::Ascending | SortOrder::Unspecified => hit.sort_by(by),
        }
        let more = query.limit > 0 && hit.len() > query.limit as usize;
        if more {
            hit.truncate(query.limit as usize);
        }
        let keys_only = query.projection == Projection::KeysOnly;
        let pairs = hit.iter().map(|(k, kv)| {
            let mut kv = (*kv).clone();
            if keys_only {
                kv.value.clear();
                if target != SortTarget::Value {
                    kv.lease = 0;
                }
            }
            pair(k, &kv)
        });
        Ok(RangeOutcome { revision: Revision(current), pairs: pairs.collect(), more, count })
    }

    fn apply(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        let mut draft = self.draft();
        let outcome = match command {
            Command::Put(put) => {
                self.check_put(put)?;
                Outcome::Put(draft.put(put))
            }
            Command::DeleteRange(delete) => Outcome::DeleteRange(draft.delete(delete)),
            Command::Txn(txn) => {
                self.check(txn)?;
                Outcome::Txn(self.execute(&mut draft, txn))
            }
            Command::Compact(compact) => {
                let revision = compact.revision.0;
                if revision <= self.compacted {
                    return Err(Refusal::Compacted { compacted: Revision(self.compacted) });
                }
                if revision > self.current() {
                    return Err(Refusal::FutureRevision { current: Revision(self.current()) });
                }
                self.compacted = revision;
                Outcome::Compact
            }
            Command::LeaseGrant(grant) => {
                if !self.leases.insert(grant.id.0) {
                    return Err(Refusal::LeaseExists(grant.id));
                }
                Outcome::LeaseGrant { id: grant.id, ttl_seconds: grant.ttl_seconds }
            }
            Command::LeaseRevoke(id) => {
                if !self.leases.remove(&id.0) {
                    return Err(Refusal::LeaseNotFound(*id));
                }
                let hit: Vec<_> =
                    draft.map.iter().filter(|(_, kv)| kv.lease == id.0).map(|(k, _)| k.clone()).collect();
                for k in hit {
                    let range = KeyRange::single(types::Key::new(k.into()).unwrap());
                    draft.delete(&DeleteRange { range, prev_kv: false });
                }
                Outcome::LeaseRevoke
            }
            _ => Outcome::Nothing,
        };
        self.commit(draft);
        Ok(outcome)
    }
}

// ---- what is drawn ----

#[derive(Clone, Debug)]
enum Act {
    Apply(Command),
    /// A compaction this far back from the present.
    CompactBack(i64),
    Query(RangeQuery),
    Sweep(usize),
    /// Work on the store that has time.
    Chores(usize),
    Checkpoint,
    /// A checkpoint that the power cut comes before.
    CheckpointNeverRun,
    Crash,
}

fn a_key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "aa", "ab", "b", "c", "\u{0}"]).prop_map(str::to_owned)
}

fn a_range() -> impl Strategy<Value = KeyRange> {
    let end = prop::sample::select(vec!["", "", "b", "ac", "d", "\0"]);
    (a_key(), end)
        .prop_map(|(start, end)| KeyRange::from_pair(key(&start), Bytes::from_static(end.as_bytes())))
}

fn a_put() -> impl Strategy<Value = Put> {
    let value = prop_oneof![
        8 => "[xyz]{0,2}".prop_map(|v| PutValue::Set(Bytes::from(v))),
        1 => Just(PutValue::Keep)
    ];
    let lease = prop_oneof![
        6 => Just(PutLease::Set(LeaseId::NONE)),
        3 => (1..4i64).prop_map(|id| PutLease::Set(LeaseId(id))),
        1 => Just(PutLease::Keep)
    ];
    (a_key(), value, lease, any::<bool>()).prop_map(|(k, value, lease, prev_kv)| Put {
        key: key(&k),
        value,
        lease,
        prev_kv,
    })
}

fn a_delete() -> impl Strategy<Value = DeleteRange> {
    (a_range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRange { range, prev_kv })
}

fn a_query() -> impl Strategy<Value = RangeQuery> {
    use SortOrder::{Ascending, Descending, Unspecified};
    use SortTarget::{Create, Key, Mod, Value, Version};
    let sort = prop::option::of((
        prop::sample::select(vec![Key, Version, Create, Mod, Value]),
        prop::sample::select(vec![Unspecified, Ascending, Descending]),
    ));
    let projection =
        prop::sample::select(vec![Projection::KeysAndValues, Projection::KeysOnly, Projection::CountOnly]);
    let filter = || prop_oneof![4 => Just(0), 1 => 1..30i64];
    let revision = prop_oneof![3 => Just(0), 1 => -2..40i64];
    (a_range(), 0..5u64, revision, sort, projection, [filter(), filter(), filter(), filter()]).prop_map(
        |(range, limit, revision, sort, projection, filters)| RangeQuery {
            range,
            limit,
            revision: Revision(revision),
            sort: sort.map(|(target, order)| Sort { target, order }),
            projection,
            min_mod_revision: filters[0],
            max_mod_revision: filters[1],
            min_create_revision: filters[2],
            max_create_revision: filters[3],
        },
    )
}

fn a_compare() -> impl Strategy<Value = Compare> {
    use CompareRelation::{Equal, Greater, Less, NotEqual, Unknown};
    let number = 0..12i64;
    let operand = (0..5, number, "[xyz]{0,2}").prop_map(|(target, n, value)| match target {
        0 => CompareOperand::Version(n),
        1 => CompareOperand::Create(n),
        2 => CompareOperand::Mod(n),
        3 => CompareOperand::Lease(n % 4),
        _ => CompareOperand::Value(Bytes::from(value)),
    });
    let relation = prop::sample::select(vec![Equal, Greater, Less, NotEqual, Unknown]);
    (a_range(), operand, relation).prop_map(|(range, operand, relation)| Compare { range, operand, relation })
}

pub(crate) fn a_txn() -> impl Strategy<Value = Txn> {
    let leaf = Just(Txn::default()).boxed();
    leaf.prop_recursive(3, 24, 4, |inner| {
        let op = prop_oneof![
            3 => a_query().prop_map(Op::Range),
            4 => a_put().prop_map(Op::Put),
            2 => a_delete().prop_map(Op::DeleteRange),
            2 => inner.prop_map(Op::Txn),
        ]
        .boxed();
        let ops = || prop::collection::vec(op.clone(), 0..5);
        (prop::collection::vec(a_compare(), 0..3), ops(), ops()).prop_map(|(compare, success, failure)| Txn {
            compare,
            success,
            failure,
        })
    })
}

fn an_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => a_put().prop_map(|put| Act::Apply(Command::Put(put))),
        3 => a_delete().prop_map(|delete| Act::Apply(Command::DeleteRange(delete))),
        8 => a_txn().prop_map(|txn| Act::Apply(Command::Txn(txn))),
        2 => (-1..6i64).prop_map(Act::CompactBack),
        2 => (1..4i64).prop_map(|id| Act::Apply(Command::LeaseGrant(LeaseGrant { id: LeaseId(id), ttl_seconds: 9 }))),
        1 => (1..4i64).prop_map(|id| Act::Apply(Command::LeaseRevoke(LeaseId(id)))),
        8 => a_query().prop_map(Act::Query),
        3 => (1..2000usize).prop_map(Act::Sweep),
        3 => (1..4usize).prop_map(Act::Chores),
        1 => Just(Act::Checkpoint),
        1 => Just(Act::CheckpointNeverRun),
        1 => Just(Act::Crash),
    ]
}

// ---- the comparison ----

fn compare_everything(rig: &Rig, model: &Model) {
    let reader = rig.reader();
    for (revision, map) in model.at.range(model.compacted.max(1)..) {
        let query = RangeQuery { revision: Revision(*revision), ..RangeQuery::latest(KeyRange::all()) };
        let found = reader.range(&query).unwrap();
        let expected: Vec<_> = map.iter().map(|(k, kv)| pair(k, kv)).collect();
        assert_eq!(found.pairs, expected, "at {revision}: {:?}", keys_of(&found.pairs));
    }
    let from = Revision(model.compacted.max(1));
    let limits = PageLimits { items: usize::MAX, bytes: usize::MAX };
    let events = reader.events(from, reader.revision(), |_| true, limits).unwrap().events;
    let told = events.iter().map(|event| {
        let view = event.pair.view().unwrap();
        (event.revision.main.0, event.kind == EventKind::Put, view.key.to_vec())
    });
    let expected: Vec<_> = model.events.iter().filter(|event| event.0 >= from.0).cloned().collect();
    assert_eq!(told.collect::<Vec<_>>(), expected);
    for event in events.iter().filter(|event| event.revision.main.0 > model.compacted.max(1)) {
        let k = event.pair.view().unwrap().key;
        let before = model.at[&(event.revision.main.0 - 1)].get(k).map(|kv| pair(k, kv));
        assert_eq!(reader.previous(k, event.revision.main).unwrap(), before);
    }
    let latest = &model.at[&model.current()];
    assert_eq!(reader.sizes().keys, latest.len() as u64);
    let leases: Vec<_> = reader.leases().iter().map(|(id, _, _)| id.0).collect();
    assert_eq!(leases, model.leases.iter().copied().collect::<Vec<_>>());
    for id in leases {
        let attached: Vec<_> =
            latest.iter().filter(|(_, kv)| kv.lease == id).map(|(k, _)| k.clone()).collect();
        let found = reader.lease(LeaseId(id)).unwrap().keys;
        assert_eq!(found.iter().map(|k| k.as_slice().to_vec()).collect::<Vec<_>>(), attached);
    }
}

fn refused<T>(result: Result<T, Error>) -> Result<T, Refusal> {
    result.map_err(|error| match error {
        Error::Refused(refusal) => refusal,
        other => panic!("{other}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is done, every answer and every readable revision is the model's: this is the whole of what clients rely on.
    #[test]
    fn the_machine_answers_as_the_model(acts in prop::collection::vec(an_act(), 1..60)) {
        let mut rig = Rig::new();
        let mut model = Model::new();
        for act in acts {
            match act {
                Act::Apply(command) => prop_assert_eq!(rig.apply(command.clone()), model.apply(&command)),
                Act::CompactBack(back) => {
                    let revision = Revision(model.current() - back);
                    let command = Command::Compact(Compact { revision, physical: false });
                    prop_assert_eq!(rig.apply(command.clone()), model.apply(&command));
                }
                Act::Query(query) => {
                    let expected = model.range(&query, model.current(), &model.at[&model.current()]);
                    prop_assert_eq!(refused(rig.reader().range(&query)), expected);
                }
                Act::Sweep(budget) => drop(rig.machine.compact_step(budget).unwrap()),
                Act::Chores(pieces) => drop((0..pieces).take_while(|_| rig.chore()).count()),
                Act::Checkpoint => rig.checkpoint(),
                Act::CheckpointNeverRun => drop(rig.machine.checkpoint(Bytes::new()).unwrap()),
                Act::Crash => rig.crash(),
            }
        }
        compare_everything(&rig, &model);
        rig.sweep();
        compare_everything(&rig, &model);
        while rig.chore() {}
        compare_everything(&rig, &model);
        rig.checkpoint();
        rig.crash();
        compare_everything(&rig, &model);
    }
}
