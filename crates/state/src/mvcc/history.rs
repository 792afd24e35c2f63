//! The past: events for watchers that catch up, and the pair before a change.
//!
//! Owns the reading of history by revision. A page holds whole revisions, looks at a bounded number of records, and says
//! where the next one begins, so that a watcher far behind never holds anything for long.

use super::KeySpace;
use super::index::Change;
use super::view::View;
use crate::error::{Error, Refusal};
use crate::outcome::{Event, EventKind, EventPage};
use crate::pair::{Pair, PairView};
use crate::query::PageLimits;
use types::limits::{HISTORY_PAGE_RECORDS, INDEX_PAGE_KEYS};
use types::{ModRevision, Revision};

impl KeySpace {
    /// The events of revisions `from..=to` whose key `keep` accepts, as many as a page holds.
    pub(crate) fn events(
        &self,
        from: Revision,
        to: Revision,
        keep: impl Fn(&[u8]) -> bool,
        limits: PageLimits,
    ) -> Result<EventPage, Error> {
        let pin = self.pin();
        if from < pin.compacted {
            return Err(Refusal::Compacted { compacted: pin.compacted }.into());
        }
        let to = to.min(pin.current);
        let mut page = EventPage { events: Vec::new(), next: from };
        let mut room = Room { limits, bytes: 0, records: 0 };
        let mut at = ModRevision::new(from, 0);
        loop {
            let changes = self.index().changes(at, INDEX_PAGE_KEYS);
            for change in &changes {
                if change.at.main > to {
                    page.next = from.max(to.next());
                    return Ok(page);
                }
                if change.at.main > page.next && room.is_full(&page) {
                    page.next = change.at.main;
                    return Ok(page);
                }
                page.next = change.at.main;
                room.records += 1;
                if let Some(event) = self.event(*change, &keep)? {
                    room.bytes = room.bytes.saturating_add(event.pair.0.len());
                    page.events.push(event);
                }
            }
            match changes.last() {
                Some(last) if changes.len() == INDEX_PAGE_KEYS => at = just_after(last.at),
                _ => {
                    page.next = from.max(to.next());
                    return Ok(page);
                }
            }
        }
    }

    fn event(&self, change: Change, keep: impl Fn(&[u8]) -> bool) -> Result<Option<Event>, Error> {
        let read = self.values.read(change.at, change.position)?;
        let view = read.pair.view()?;
        if !keep(view.key) {
            return Ok(None);
        }
        let (kind, pair) = match read.tombstone {
            false => (EventKind::Put, read.pair),
            true => (EventKind::Delete, deletion_pair(view.key, change.at.main)),
        };
        Ok(Some(Event { revision: change.at, kind, pair }))
    }

    /// The pair before the change of `key` at `mod_revision`.
    pub(crate) fn previous(&self, key: &[u8], mod_revision: Revision) -> Result<Option<Pair>, Error> {
        let pin = self.pin();
        let before = Revision(mod_revision.0.saturating_sub(1));
        if before <= Revision::ZERO || before < pin.compacted || before > pin.current {
            return Ok(None);
        }
        View::pinned(self, &pin).pair_at(key, before)
    }
}

/// The pair of a deletion's event: the key, and when.
pub(crate) fn deletion_pair(key: &[u8], at: Revision) -> Pair {
    PairView { key, mod_revision: at, ..PairView::default() }.to_pair()
}

fn just_after(at: ModRevision) -> ModRevision {
    match at.sub.checked_add(1) {
        Some(sub) => ModRevision::new(at.main, sub),
        None => ModRevision::new(at.main.next(), 0),
    }
}

/// What is left of a page.
struct Room {
    limits: PageLimits,
    bytes: usize,
    records: usize,
}

impl Room {
    fn is_full(&self, page: &EventPage) -> bool {
        page.events.len() >= self.limits.items.max(1)
            || self.bytes >= self.limits.bytes.max(1)
            || self.records >= HISTORY_PAGE_RECORDS
    }
}
