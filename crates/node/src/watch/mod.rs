//! Watching: what a client asks for, what it is sent, and the way between the hub and one stream.
//!
//! A stream's sink is bounded and never blocks the hub: when it is full, the stream's watchers fall back to reading
//! history and catch up when there is room again. Order and completeness per watcher hold in every case.

mod history;
mod hub;
mod interest;

pub(crate) use hub::{Change, Hub};

/// The hub of a running member.
pub(crate) type HubState = Hub<state::Reader>;

use state::auth::{Accesses, Demand, Demanding};
use state::outcome::Pair;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use types::{KeyRange, Revision};

/// A watcher's number in its stream, chosen by the client or the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub i64);

impl WatchId {
    /// In answers that concern no single watcher; in requests, "choose one".
    pub const NONE: Self = Self(-1);
}

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// The number the client wants; `None` lets the hub choose the next free one from 0.
    pub id: Option<WatchId>,
    /// Which keys.
    pub range: KeyRange,
    /// From which revision on, included; `ZERO` means from now on. The edge has refused negative ones.
    pub start: Revision,
    /// Leave out puts.
    pub no_puts: bool,
    /// Leave out deletions.
    pub no_deletes: bool,
    /// Send each pair as it was before, too.
    pub prev_kv: bool,
    /// Tell now and then, when idle, how far the watch is.
    pub progress_notify: bool,
}

impl Demanding for WatchRequest {
    fn demand(&self) -> Demand {
        Demand::Keys(Accesses::reading(self.range.clone()))
    }
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// Put or delete.
    pub kind: WatchEventKind,
    /// The pair after the change; of a deletion, the key and the revision only.
    pub pair: Pair,
    /// The pair before it, when asked for and still known.
    pub prev: Option<Pair>,
}

/// Put or delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEventKind {
    /// The key was written.
    Put,
    /// The key was deleted.
    Delete,
}

/// What a stream is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchUpdate {
    /// The watcher stands; every event from its start on will come.
    Created {
        /// Its number.
        id: WatchId,
        /// The store's revision.
        revision: Revision,
    },
    /// The watcher was refused: its number is in use in this stream.
    DuplicateId {
        /// The store's revision.
        revision: Revision,
    },
    /// All events of one or more whole revisions, in order.
    Events {
        /// Whose.
        id: WatchId,
        /// The revision up to which the watcher has now seen everything.
        revision: Revision,
        /// The changes, never none.
        events: Vec<WatchEvent>,
    },
    /// The watcher is gone: its client asked for that.
    Canceled {
        /// Whose.
        id: WatchId,
        /// The store's revision.
        revision: Revision,
    },
    /// The watcher is gone: history below this revision is forgotten, and it had not seen it.
    Compacted {
        /// Whose.
        id: WatchId,
        /// The oldest revision that can still be watched.
        compacted: Revision,
    },
    /// Everything up to this revision has been sent, to this watcher or (`NONE`) to all of the stream.
    Progress {
        /// Whose.
        id: WatchId,
        /// How far.
        revision: Revision,
    },
}

/// There is no room in the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Where the hub puts what one stream is to be sent. Bounded by its owner; must not block.
pub trait WatchSink: Send + 'static {
    /// Takes the update, or has no room.
    ///
    /// # Errors
    /// [`Full`]; the hub offers the same update, or the history that contains it, again later.
    fn offer(&mut self, update: WatchUpdate) -> Result<(), Full>;

    /// Whether nobody reads any more.
    fn is_closed(&self) -> bool;
}

/// A stream's number in the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What the hub is told, by the edge and by apply.
pub(crate) enum HubInput {
    /// Changes were applied, up to this revision.
    Changes(Vec<Change>, Revision),
    /// The end.
    Stop,
    /// A stream opens.
    Open(StreamId, Box<dyn WatchSink>),
    /// A watcher is wanted.
    Create(StreamId, WatchRequest),
    /// A watcher is to go; unknown numbers are ignored.
    Cancel(StreamId, WatchId),
    /// How far is the stream?
    Progress(StreamId),
    /// The stream is closed.
    Close(StreamId),
}

/// One client's stream of watchers. Dropping it closes the stream.
pub struct WatchStream {
    id: StreamId,
    hub: SyncSender<HubInput>,
    open: Arc<AtomicUsize>,
}

impl WatchStream {
    /// Opens a stream, counted in `open` for as long as it may need to be told of changes.
    pub(crate) fn open(
        id: StreamId,
        hub: SyncSender<HubInput>,
        open: Arc<AtomicUsize>,
        sink: Box<dyn WatchSink>,
    ) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        let stream = Self { id, hub, open };
        stream.tell(HubInput::Open(id, sink));
        stream
    }

    /// Asks for a watcher; the sink is told what came of it.
    pub fn create(&self, request: audit::Recorded<WatchRequest>) {
        self.tell(HubInput::Create(self.id, request.into_parts().0));
    }

    /// Ends a watcher.
    pub fn cancel(&self, id: WatchId) {
        self.tell(HubInput::Cancel(self.id, id));
    }

    /// Asks how far the stream is; answered when all its watchers have seen everything so far.
    pub fn progress(&self) {
        self.tell(HubInput::Progress(self.id));
    }

    fn tell(&self, input: HubInput) {
        // A hub that is gone has closed every sink; the stream's reader sees that.
        let _ = self.hub.send(input);
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.tell(HubInput::Close(self.id));
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}
