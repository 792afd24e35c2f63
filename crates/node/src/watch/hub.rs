//! The watch hub: every watcher of this member, as a step machine with one owner.
//!
//! In: changes as they are applied, what streams ask, and the time. Out: updates offered to the streams' sinks. It never
//! blocks and never waits: a watcher whose sink is full falls back to history, which it reads in pages when there is room.
//!
//! ```text
//!            start > revision                 sink full, or changes were missed
//!   create ──────────────────────▶ following ─────────────────────────────────▶ behind
//!      └── start <= revision ──▶ behind ── has read history up to revision ──▶ following
//! ```
//!
//! Invariants: a following watcher has been offered every matching event below `hub.next`; a watcher's `next` is the
//! first revision it has not been offered; all events of one revision go into one update; nothing overtakes a stream's
//! control answers, which wait in its outbox when the sink is full.

use super::interest::{Interest, WatcherKey};
use super::{StreamId, WatchEvent, WatchEventKind, WatchId, WatchRequest, WatchSink, WatchUpdate};
use crate::lease_clock::Millis;
use std::collections::{BTreeMap, VecDeque};
use types::limits::{WATCH_CONTROL_WAITING_MAX, WATCH_HISTORY_EVENTS_PER_PAGE};
use types::{KeyRange, Revision};

/// One change as the state machine tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The changed key.
    pub key: types::Key,
    /// Put or delete, with the pair.
    pub event: WatchEvent,
    /// The revision of its transaction.
    pub revision: Revision,
    /// Whether the key did not exist before, within its transaction: such an event has no pair before it, even where
    /// the same transaction deleted one.
    pub creates: bool,
}

/// A piece of history, whole revisions in order.
pub(crate) struct Page {
    /// The changes in the range.
    pub changes: Vec<Change>,
    /// The first revision that the page does not cover.
    pub next: Revision,
}

/// The history is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// The oldest revision that can be read.
    pub oldest: Revision,
}

/// Where the hub reads what it did not keep.
pub(crate) trait History: Send {
    /// The latest applied revision.
    fn revision(&self) -> Revision;
    /// Changes in `range` from revision `from` up to and including `to`, about `max` of them.
    fn changes(&self, range: &KeyRange, from: Revision, to: Revision, max: usize) -> Result<Page, Forgotten>;
    /// The pair of `key` just before revision `at`, if it existed and is still known.
    fn before(&self, key: &types::Key, at: Revision) -> Option<state::outcome::Pair>;
}

/// All watchers of a member.
pub(crate) struct Hub<H> {
    history: H,
    streams: BTreeMap<StreamId, Stream>,
    following: Interest,
    behind: VecDeque<WatcherKey>,
    /// The first revision whose changes the hub has not been told.
    next: Revision,
    progress_interval: Millis,
}

struct Stream {
    sink: Box<dyn WatchSink>,
    outbox: VecDeque<WatchUpdate>,
    watchers: BTreeMap<WatchId, Watcher>,
    next_id: i64,
    progress_wanted: bool,
    progress_due: Millis,
}

struct Watcher {
    request: WatchRequest,
    next: Revision,
    following: bool,
    /// Whether anything was sent since the last progress round.
    busy: bool,
}

impl<H: History> Hub<H> {
    /// A hub that knows everything the history holds.
    pub(crate) fn new(history: H, progress_interval: Millis) -> Self {
        let next = history.revision().next();
        Self {
            history,
            streams: BTreeMap::new(),
            following: Interest::default(),
            behind: VecDeque::new(),
            next,
            progress_interval,
        }
    }

    fn revision(&self) -> Revision {
        Revision(self.next.0 - 1)
    }

    /// How many streams and watchers there are, and how many of those are behind.
    pub(crate) fn census(&self) -> (usize, usize, usize) {
        let watchers = self.streams.values().map(|stream| stream.watchers.len()).sum();
        (self.streams.len(), watchers, self.behind.len())
    }

    /// A stream opens. Before the first one nobody told the hub anything.
    pub(crate) fn open(&mut self, id: StreamId, sink: Box<dyn WatchSink>, now: Millis) {
        if self.streams.is_empty() {
            self.look();
        }
        let stream = Stream {
            sink,
            outbox: VecDeque::new(),
            watchers: BTreeMap::new(),
            next_id: 0,
            progress_wanted: false,
            progress_due: now.saturating_add(self.progress_interval),
        };
        self.streams.insert(id, stream);
    }

    /// A stream is closed: its watchers go.
    pub(crate) fn close(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else { return };
        for (watch, watcher) in &stream.watchers {
            self.following.remove(WatcherKey(id, *watch), &watcher.request.range);
        }
        self.behind.retain(|watcher| watcher.0 != id);
    }

    /// A watcher is wanted. From now on means after all that was applied, told or not.
    pub(crate) fn create(&mut self, id: StreamId, request: WatchRequest) {
        let revision = self.revision().max(self.history.revision());
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(watch) = stream.choose_id(request.id) else {
            self.control(id, WatchUpdate::DuplicateId { revision });
            return;
        };
        let next = if request.start == Revision::ZERO { revision.next() } else { request.start };
        let following = next >= self.next;
        let key = WatcherKey(id, watch);
        if following {
            self.following.insert(key, &request.range);
        } else {
            self.behind.push_back(key);
        }
        stream.watchers.insert(watch, Watcher { request, next, following, busy: false });
        self.control(id, WatchUpdate::Created { id: watch, revision });
    }

    /// A watcher is to go.
    pub(crate) fn cancel(&mut self, id: StreamId, watch: WatchId) {
        let revision = self.revision();
        if self.remove(WatcherKey(id, watch)) {
            self.control(id, WatchUpdate::Canceled { id: watch, revision });
        }
    }

    /// How far is the stream? Answered at once, or when its last watcher has caught up.
    pub(crate) fn progress(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.progress_wanted = true;
        self.answer_progress(id);
    }

    /// Changes were applied: whole revisions, in order. A gap before them means that some were not told.
    pub(crate) fn changes(&mut self, changes: &[Change], upto: Revision) {
        if upto < self.next {
            return;
        }
        let first = changes.first().map_or(upto, |change| change.revision);
        if first > self.next {
            self.missed(upto);
            return;
        }
        let mut matched: BTreeMap<WatcherKey, Vec<usize>> = BTreeMap::new();
        for (n, change) in changes.iter().enumerate().filter(|(_, change)| change.revision >= self.next) {
            self.following.of(change.key.as_slice(), |watcher| matched.entry(watcher).or_default().push(n));
        }
        self.next = upto.next();
        for (key, numbers) in matched {
            self.offer_following(key, numbers.iter().filter_map(|n| changes.get(*n)));
        }
    }

    /// Looks whether the hub was told of everything: when nothing is on its way, what it does not know it never will.
    pub(crate) fn look(&mut self) {
        let latest = self.history.revision();
        if latest >= self.next {
            self.missed(latest);
        }
    }

    /// Does a bounded piece of the work that waits: outboxes, watchers behind, progress. Whether more waits that could
    /// be done at once.
    pub(crate) fn work(&mut self, now: Millis) -> bool {
        self.sweep_closed();
        self.flush_outboxes();
        let mut moved = false;
        for _ in 0..self.behind.len() {
            let Some(key) = self.behind.pop_front() else { break };
            moved |= self.catch_up(key);
        }
        self.tell_progress(now);
        moved && !self.behind.is_empty()
    }

    /// Whether something waits for room or history, so that [`Hub::work`] should run soon without a new input.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.behind.is_empty()
            || self.streams.values().any(|stream| !stream.outbox.is_empty() || stream.progress_wanted)
    }

    /// The hub was not told of changes up to `upto`: every follower has to read them from history.
    fn missed(&mut self, upto: Revision) {
        let next = self.next;
        let following = std::mem::take(&mut self.following);
        drop(following);
        for (id, stream) in &mut self.streams {
            for (watch, watcher) in stream.watchers.iter_mut().filter(|(_, watcher)| watcher.following) {
                if watcher.next > upto {
                    self.following.insert(WatcherKey(*id, *watch), &watcher.request.range);
                    continue;
                }
                watcher.next = watcher.next.max(next);
                watcher.following = false;
                self.behind.push_back(WatcherKey(*id, *watch));
            }
        }
        self.next = upto.next();
    }

    /// Offers a follower its share of the changes just applied.
    fn offer_following<'a>(&mut self, key: WatcherKey, changes: impl Iterator<Item = &'a Change>) {
        let revision = self.revision();
        let Some(stream) = self.streams.get_mut(&key.0) else { return };
        let Some(watcher) = stream.watchers.get_mut(&key.1) else { return };
        let (events, first) = wanted(&self.history, watcher, changes);
        let Some(first) = first else { return };
        let update = WatchUpdate::Events { id: key.1, revision, events };
        if stream.outbox.is_empty() && stream.sink.offer(update).is_ok() {
            watcher.busy = true;
            return;
        }
        watcher.next = first;
        watcher.following = false;
        self.following.remove(key, &watcher.request.range);
        self.behind.push_back(key);
    }

    /// Reads one page of history for a watcher that is behind and offers it. Whether it got on.
    fn catch_up(&mut self, key: WatcherKey) -> bool {
        let revision = self.revision();
        let Some(stream) = self.streams.get_mut(&key.0) else { return false };
        let Some(watcher) = stream.watchers.get_mut(&key.1) else { return false };
        if !stream.outbox.is_empty() {
            self.behind.push_back(key);
            return false;
        }
        let read = self.history.changes(
            &watcher.request.range,
            watcher.next,
            revision,
            WATCH_HISTORY_EVENTS_PER_PAGE,
        );
        let page = match read {
            Ok(page) => page,
            Err(Forgotten { oldest }) => {
                self.remove(key);
                self.control(key.0, WatchUpdate::Compacted { id: key.1, compacted: oldest });
                return true;
            }
        };
        let (events, first) = wanted(&self.history, watcher, page.changes.iter());
        if first.is_some() {
            let update = WatchUpdate::Events { id: key.1, revision, events };
            if stream.sink.offer(update).is_err() {
                self.behind.push_back(key);
                return false;
            }
            watcher.busy = true;
        }
        watcher.next = page.next;
        if watcher.next > revision {
            watcher.following = true;
            self.following.insert(key, &watcher.request.range);
            self.answer_progress(key.0);
        } else {
            self.behind.push_back(key);
        }
        true
    }

    fn remove(&mut self, key: WatcherKey) -> bool {
        let Some(stream) = self.streams.get_mut(&key.0) else { return false };
        let Some(watcher) = stream.watchers.remove(&key.1) else { return false };
        if watcher.following {
            self.following.remove(key, &watcher.request.range);
        } else {
            self.behind.retain(|each| *each != key);
        }
        true
    }

    /// Sends a control answer, behind those that wait already. A stream that lets too many wait is closed.
    fn control(&mut self, id: StreamId, update: WatchUpdate) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.outbox.push_back(update);
        stream.flush();
        if stream.outbox.len() > WATCH_CONTROL_WAITING_MAX {
            self.close(id);
        }
    }

    fn flush_outboxes(&mut self) {
        self.streams.values_mut().for_each(Stream::flush);
        let wanted: Vec<_> =
            self.streams.iter().filter(|(_, stream)| stream.progress_wanted).map(|(id, _)| *id).collect();
        wanted.into_iter().for_each(|id| self.answer_progress(id));
    }

    fn sweep_closed(&mut self) {
        let closed: Vec<_> =
            self.streams.iter().filter(|(_, stream)| stream.sink.is_closed()).map(|(id, _)| *id).collect();
        closed.into_iter().for_each(|id| self.close(id));
    }

    fn answer_progress(&mut self, id: StreamId) {
        let revision = self.revision();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let all_follow = stream.watchers.values().all(|watcher| watcher.following);
        if !(stream.progress_wanted && all_follow && stream.outbox.is_empty()) {
            return;
        }
        if stream.sink.offer(WatchUpdate::Progress { id: WatchId::NONE, revision }).is_ok() {
            stream.progress_wanted = false;
        }
    }

    /// Tells idle watchers that asked for it how far they are, once in each interval.
    fn tell_progress(&mut self, now: Millis) {
        let revision = self.revision();
        for stream in self.streams.values_mut().filter(|stream| stream.progress_due <= now) {
            stream.progress_due = now.saturating_add(self.progress_interval);
            for (id, watcher) in &mut stream.watchers {
                let busy = std::mem::take(&mut watcher.busy);
                if watcher.request.progress_notify && watcher.following && !busy && stream.outbox.is_empty() {
                    // No room means that something else is on its way, which tells the client as much.
                    let _ = stream.sink.offer(WatchUpdate::Progress { id: *id, revision });
                }
            }
        }
    }
}

impl Stream {
    /// The number for a new watcher, or nothing if the client's choice is in use.
    fn choose_id(&mut self, asked: Option<WatchId>) -> Option<WatchId> {
        if let Some(id) = asked {
            return (!self.watchers.contains_key(&id)).then_some(id);
        }
        while self.watchers.contains_key(&WatchId(self.next_id)) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = WatchId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        Some(id)
    }

    fn flush(&mut self) {
        while let Some(update) = self.outbox.pop_front() {
            if self.sink.offer(update.clone()).is_err() {
                self.outbox.push_front(update);
                return;
            }
        }
    }
}

/// The events of `changes` that the watcher wants, and the revision of the first.
fn wanted<'a, H: History>(
    history: &H,
    watcher: &Watcher,
    changes: impl Iterator<Item = &'a Change>,
) -> (Vec<WatchEvent>, Option<Revision>) {
    let request = &watcher.request;
    let mut first = None;
    let mut events = Vec::new();
    for change in changes.filter(|change| change.revision >= watcher.next) {
        let filtered = match change.event.kind {
            WatchEventKind::Put => request.no_puts,
            WatchEventKind::Delete => request.no_deletes,
        };
        if filtered {
            continue;
        }
        let mut event = change.event.clone();
        if request.prev_kv && !change.creates {
            event.prev = history.before(&change.key, change.revision);
        }
        first = first.or(Some(change.revision));
        events.push(event);
    }
    (events, first)
}

#[cfg(test)]
mod tests;
