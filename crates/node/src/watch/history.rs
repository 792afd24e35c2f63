//! The state's reader as the hub's history.

use super::hub::{Change, Forgotten, History, Page};
use super::{WatchEvent, WatchEventKind};
use state::outcome::{Event, EventKind, Pair};
use state::query::PageLimits;
use state::{Error, Refusal};
use types::limits::WATCH_HISTORY_BYTES_PER_PAGE;
use types::{Key, KeyRange, Revision};

impl Change {
    /// The hub's form of the state machine's event.
    ///
    /// # Panics
    /// If the state machine made an event without a key, which it cannot.
    pub(crate) fn of(event: Event) -> Self {
        let kind = match event.kind {
            EventKind::Put => WatchEventKind::Put,
            EventKind::Delete => WatchEventKind::Delete,
        };
        let view = event.pair.view().expect("the state machine encodes every event's pair");
        let creates = event.kind == EventKind::Put && view.create_revision == view.mod_revision;
        let key = Key::new(event.pair.0.slice_ref(view.key)).expect("the state machine keeps no empty key");
        let revision = event.revision.main;
        Self { key, revision, creates, event: WatchEvent { kind, pair: event.pair, prev: None } }
    }
}

impl History for state::Reader {
    fn revision(&self) -> Revision {
        Self::revision(self)
    }

    fn changes(&self, range: &KeyRange, from: Revision, to: Revision, max: usize) -> Result<Page, Forgotten> {
        let limits = PageLimits { items: max, bytes: WATCH_HISTORY_BYTES_PER_PAGE };
        match self.events(from, to, |key| range.contains(key), limits) {
            Ok(page) => {
                Ok(Page { changes: page.events.into_iter().map(Change::of).collect(), next: page.next })
            }
            Err(Error::Refused(Refusal::Compacted { compacted })) => Err(Forgotten { oldest: compacted }),
            Err(error) => {
                // A store that cannot be read stops the member on its own path; the watcher waits for that.
                tracing::error!(%error, "history cannot be read");
                Ok(Page { changes: Vec::new(), next: from })
            }
        }
    }

    fn before(&self, key: &Key, at: Revision) -> Option<Pair> {
        self.previous(key.as_slice(), at).unwrap_or_else(|error| {
            tracing::error!(%error, "a previous pair cannot be read");
            None
        })
    }
}
