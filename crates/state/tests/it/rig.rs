//! A machine with a log: numbers entries, keeps them for replay, and says things briefly.

use crate::home::Home;
use bytes::Bytes;
use state::command::*;
use state::outcome::*;
use state::query::*;
use state::{CollectionLimits, Machine, Reader, Refusal, Room, Sweep};
use types::{Key, KeyRange, LeaseId, LogIndex, Revision, Term};

const CACHE_BYTES: u64 = 4096;
/// Collects for a single dead byte, a segment or two at a time.
pub(crate) const EAGER: CollectionLimits = CollectionLimits {
    garbage_bytes_min: 0,
    garbage_percent: 0,
    small_segments_max: usize::MAX,
    piece_bytes: 600,
    room: Room::Ample,
};

pub(crate) struct Rig {
    pub(crate) machine: Machine,
    pub(crate) home: Home,
    pub(crate) log: Vec<Command>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (home, store) = Home::new();
        Self { machine: Machine::open(store, CACHE_BYTES).unwrap(), home, log: Vec::new() }
    }

    /// As after a crash: what the last checkpoint did not cover is gone, and replayed from the log.
    pub(crate) fn crash(&mut self) {
        self.machine = Machine::open(self.home.crash(), CACHE_BYTES).unwrap();
        for (i, command) in self.log.iter().enumerate() {
            let index = LogIndex(i as u64 + 1);
            let known = index <= self.machine.applied().0;
            let before = self.machine.reader().revision();
            self.machine.apply(index, Term(1), command.clone()).unwrap();
            assert!(!known || before == self.machine.reader().revision(), "an entry took effect twice");
        }
        self.machine.take_changes();
    }

    pub(crate) fn checkpoint(&mut self) {
        self.machine.checkpoint(Bytes::from_static(b"conf")).unwrap().run().unwrap();
    }

    pub(crate) fn apply(&mut self, command: Command) -> Result<Outcome, Refusal> {
        self.log.push(command.clone());
        let index = LogIndex(self.log.len() as u64);
        let applied = self.machine.apply(index, Term(1), command).unwrap();
        assert_eq!(applied.revision, self.reader().revision());
        applied.result
    }

    pub(crate) fn reader(&self) -> Reader {
        self.machine.reader()
    }

    pub(crate) fn revision(&self) -> i64 {
        self.reader().revision().0
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.apply(put(key, value)).unwrap();
    }

    pub(crate) fn delete(&mut self, key: &str) {
        self.apply(Command::DeleteRange(delete(key, ""))).unwrap();
    }

    pub(crate) fn txn(&mut self, txn: Txn) -> Result<TxnOutcome, Refusal> {
        self.apply(Command::Txn(txn)).map(|outcome| match outcome {
            Outcome::Txn(outcome) => outcome,
            other => panic!("not a transaction's outcome: {other:?}"),
        })
    }

    pub(crate) fn grant(&mut self, id: i64) {
        self.apply(Command::LeaseGrant(LeaseGrant { id: LeaseId(id), ttl_seconds: 60 })).unwrap();
    }

    pub(crate) fn put_leased(&mut self, key: &str, lease: i64) {
        let put = Put { lease: PutLease::Set(LeaseId(lease)), ..put_op(key, "v") };
        self.apply(Command::Put(put)).unwrap();
    }

    pub(crate) fn compact(&mut self, revision: i64) -> Result<(), Refusal> {
        self.apply(Command::Compact(Compact { revision: Revision(revision), physical: false })).map(drop)
    }

    pub(crate) fn sweep(&mut self) {
        while self.machine.compact_step(3).unwrap() == Sweep::More {}
    }

    /// One chore, however little there is to gain; whether one was due, and had space.
    pub(crate) fn chore(&mut self) -> bool {
        self.chore_within(EAGER)
    }

    pub(crate) fn chore_within(&mut self, limits: CollectionLimits) -> bool {
        let Some(chore) = self.machine.begin_chore(limits).unwrap() else { return false };
        let done = chore.run(|_| {}).unwrap();
        let had_space = !done.found_no_space();
        self.machine.end_chore(done).unwrap();
        had_space
    }

    /// The keys of a query's answer, in its order.
    pub(crate) fn keys(&self, query: &RangeQuery) -> Vec<String> {
        keys_of(&self.reader().range(query).unwrap().pairs)
    }

    /// "key=value" of everything at a revision.
    pub(crate) fn dump(&self, revision: i64) -> Vec<String> {
        let query = RangeQuery { revision: Revision(revision), ..RangeQuery::latest(KeyRange::all()) };
        self.reader().range(&query).unwrap().pairs.iter().map(show).collect()
    }
}

pub(crate) fn show(pair: &Pair) -> String {
    let view = pair.view().unwrap();
    format!("{}={}", view.key.escape_ascii(), view.value.escape_ascii())
}

pub(crate) fn keys_of(pairs: &[Pair]) -> Vec<String> {
    pairs.iter().map(|pair| pair.view().unwrap().key.escape_ascii().to_string()).collect()
}

pub(crate) fn key(key: &str) -> Key {
    Key::new(Bytes::copy_from_slice(key.as_bytes())).unwrap()
}

pub(crate) fn range(start: &str, end: &str) -> KeyRange {
    KeyRange::from_pair(key(start), Bytes::copy_from_slice(end.as_bytes()))
}

pub(crate) fn put_op(k: &str, value: &str) -> Put {
    Put {
        key: key(k),
        value: PutValue::Set(Bytes::copy_from_slice(value.as_bytes())),
        lease: PutLease::Set(LeaseId::NONE),
        prev_kv: false,
    }
}

pub(crate) fn put(key: &str, value: &str) -> Command {
    Command::Put(put_op(key, value))
}

pub(crate) fn delete(start: &str, end: &str) -> DeleteRange {
    DeleteRange { range: range(start, end), prev_kv: false }
}

pub(crate) fn get(start: &str, end: &str) -> RangeQuery {
    RangeQuery::latest(range(start, end))
}
