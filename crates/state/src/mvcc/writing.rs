//! One revision being written: its changes go into store and index at once, and become readable together.
//!
//! Owns the pending revision of one entry. Nobody but the writer sees it before [`Writing::finish`]; after a failure in
//! between the member must stop, since the index then holds half a revision that never becomes readable.
//!
//! Invariant: an entry that changes no key takes no revision.

use super::KeySpace;
use super::history::deletion_pair;
use super::versions::Version;
use super::view::View;
use crate::changes::{Changes, Revised};
use crate::error::Error;
use crate::journal::Journal;
use crate::leases::Leases;
use crate::lock;
use crate::outcome::{Event, EventKind};
use crate::pair::{Pair, PairView};
use crate::record::{self, REVISION_BYTES};
use crate::tally::Part;
use bytes::Bytes;
use std::ops::ControlFlow;
use std::sync::RwLock;
use types::{Key, KeyRange, LeaseId, ModRevision, Revision};

/// The revision that an entry writes.
pub(crate) struct Writing<'a> {
    space: &'a KeySpace,
    leases: &'a RwLock<Leases>,
    journal: &'a mut Journal,
    begin: Revision,
    events: Vec<Event>,
    /// What it has done so far, to be counted at its end.
    pub(crate) part: Part,
}

impl<'a> Writing<'a> {
    /// Begins to write the revision after the current one.
    pub(crate) fn begin(space: &'a KeySpace, leases: &'a RwLock<Leases>, journal: &'a mut Journal) -> Self {
        let (begin, part) = (space.horizon.current(), Part::default());
        Self { space, leases, journal, begin, events: Vec::new(), part }
    }

    /// The key space with what was written so far.
    pub(crate) fn view(&self) -> View<'a> {
        View::writer(self.space, self.revision())
    }

    /// The key space as it was before anything was written.
    pub(crate) fn view_before(&self) -> View<'a> {
        View::writer(self.space, self.begin)
    }

    /// The revision as it stands: the pending one once something was written.
    pub(crate) fn revision(&self) -> Revision {
        if self.events.is_empty() { self.begin } else { self.begin.next() }
    }

    /// Whether nothing was written yet.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.events.is_empty()
    }

    fn next_place(&self) -> ModRevision {
        let sub = u32::try_from(self.events.len()).expect("one entry changes fewer than 2^32 keys");
        ModRevision::new(self.begin.next(), sub)
    }

    /// Writes one key; the lease exists.
    pub(crate) fn put(&mut self, key: &Key, value: &[u8], lease: LeaseId) -> Result<(), Error> {
        self.part.puts += 1;
        self.part.put_bytes += (key.as_slice().len() + value.len()) as u64;
        let at = self.next_place();
        let before = View::writer(self.space, at.main).find(key.as_slice());
        let view = PairView {
            key: key.as_slice(),
            create_revision: before.map_or(at.main, |found| found.created),
            mod_revision: at.main,
            version: before.map_or(1, |found| found.number.saturating_add(1)),
            value,
            lease,
        };
        let payload = Bytes::from(record::pair_payload(at, &view));
        let version = self.append(record::PUT, at, &payload)?;
        let pair = Pair(payload.slice(REVISION_BYTES..));
        self.space.values.remember(at, pair.clone());
        self.space.index_mut().put(key.as_slice(), version);
        self.attach(key.as_slice(), lease);
        self.events.push(Event { revision: at, kind: EventKind::Put, pair });
        Ok(())
    }

    /// Deletes the keys of a range; answers how many there were.
    pub(crate) fn delete_range(&mut self, range: &KeyRange) -> Result<i64, Error> {
        self.part.deletes += 1;
        let mut keys = Vec::new();
        self.view().walk(range, self.revision(), |key, _| {
            keys.push(Box::<[u8]>::from(key));
            ControlFlow::Continue(())
        });
        keys.iter().try_for_each(|key| self.delete(key))?;
        Ok(i64::try_from(keys.len()).unwrap_or(i64::MAX))
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        let at = self.next_place();
        let payload = record::pair_payload(at, &PairView { key, ..PairView::default() });
        let version = self.append(record::DELETION, at, &payload)?;
        self.space.index_mut().end(key, version);
        self.attach(key, LeaseId::NONE);
        let pair = deletion_pair(key, at.main);
        self.events.push(Event { revision: at, kind: EventKind::Delete, pair });
        Ok(())
    }

    fn append(&mut self, kind: u8, at: ModRevision, payload: &[u8]) -> Result<Version, Error> {
        let position = self.journal.append_payload(kind, payload)?;
        Ok(Version::new(at, position, payload.len()))
    }

    /// Attaches the key to the lease, or to none. The lock is taken only where a lease comes or goes.
    fn attach(&self, key: &[u8], lease: LeaseId) {
        let attached = lock::read(self.leases).of(key);
        if attached != lease {
            lock::write(self.leases).attach(key, lease);
        }
    }

    /// Makes the revision readable, if anything was written, and tells `changes`; answers the latest revision.
    pub(crate) fn finish(self, changes: &mut Changes) -> Revision {
        self.space.tally.add(self.part);
        let revision = self.revision();
        if !self.events.is_empty() {
            self.space.horizon.advance(revision);
            changes.revisions.push(Revised { revision, events: self.events });
        }
        revision
    }
}
