//! How often the key space was read and written, for the member's numbers: what etcd counts as `etcd_mvcc_*_total`.
//!
//! Owns counters only; nothing replicated is decided by them and they begin at zero with the process. Operations count,
//! not keys: a deletion of many keys, or of none, is one. The reads that an operation needs count too: a comparison, the
//! pair before a put that asks for it. Several operations in one part count as a transaction; a transaction that may
//! write has two parts, first comparing and checking, then doing. Source: etcd's `storage/mvcc/metrics_txn.go`, and a
//! member that was asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters; written by the writer and by every reader.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ranges: AtomicU64,
    puts: AtomicU64,
    deletes: AtomicU64,
    txns: AtomicU64,
    put_bytes: AtomicU64,
    swept: AtomicU64,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// Range reads.
    pub ranges: u64,
    /// Puts.
    pub puts: u64,
    /// Deletions, however many keys each took.
    pub deletes: u64,
    /// Parts of more than one operation.
    pub txns: u64,
    /// Bytes of keys and values put.
    pub put_bytes: u64,
    /// Versions that compactions removed.
    pub swept: u64,
}

/// The operations of one part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    pub(crate) ranges: u64,
    pub(crate) puts: u64,
    pub(crate) deletes: u64,
    pub(crate) put_bytes: u64,
}

impl Part {
    /// One range read.
    pub(crate) const RANGE: Self = Self { ranges: 1, puts: 0, deletes: 0, put_bytes: 0 };
}

impl Tally {
    /// Counts a part that has ended, well or not.
    pub(crate) fn add(&self, part: Part) {
        let Part { ranges, puts, deletes, put_bytes } = part;
        let several = u64::from(ranges.saturating_add(puts).saturating_add(deletes) > 1);
        for (counter, more) in [
            (&self.ranges, ranges),
            (&self.puts, puts),
            (&self.deletes, deletes),
            (&self.put_bytes, put_bytes),
            (&self.txns, several),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    /// Counts versions that a compaction removed.
    pub(crate) fn add_swept(&self, versions: u64) {
        self.swept.fetch_add(versions, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Tallied {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tallied {
            ranges: of(&self.ranges),
            puts: of(&self.puts),
            deletes: of(&self.deletes),
            txns: of(&self.txns),
            put_bytes: of(&self.put_bytes),
            swept: of(&self.swept),
        }
    }

    pub(crate) fn clear(&self) {
        for counter in [&self.ranges, &self.puts, &self.deletes, &self.txns, &self.put_bytes, &self.swept] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One operation alone is no transaction, however it was asked for; several are one, whatever they are.
    #[test]
    fn several_operations_are_a_transaction() {
        let tally = Tally::default();
        let (put, delete) =
            (Part { puts: 1, put_bytes: 9, ..Part::default() }, Part { deletes: 1, ..Part::default() });
        [Part::default(), Part::RANGE, put, delete].into_iter().for_each(|part| tally.add(part));
        assert_eq!(tally.read().txns, 0);
        tally.add(Part { ranges: 2, ..Part::default() });
        tally.add(Part { ranges: 1, ..put });
        tally.add_swept(3);
        let expected = Tallied { ranges: 4, puts: 2, deletes: 1, txns: 2, put_bytes: 18, swept: 3 };
        assert_eq!(tally.read(), expected);
        tally.clear();
        assert_eq!(tally.read(), Tallied::default());
    }
}
