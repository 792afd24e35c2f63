//! The hub's end of one stream: a bounded channel that never blocks the hub.
//!
//! Owns the channel, and the count of events in it: they wait from the offer on until they are taken, or nobody will any
//! more.

use crate::metrics::Metrics;
use node::watch::{Full, WatchSink, WatchUpdate};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Where the hub puts a stream's updates.
pub(crate) struct Sink {
    updates: mpsc::Sender<WatchUpdate>,
    metrics: Arc<Metrics>,
}

/// Where they come out.
pub(crate) struct Updates {
    updates: mpsc::Receiver<WatchUpdate>,
    metrics: Arc<Metrics>,
}

impl Sink {
    /// A sink with room for `waiting` updates, and where they come out.
    pub(crate) fn new(waiting: usize, metrics: Arc<Metrics>) -> (Self, Updates) {
        let (sender, receiver) = mpsc::channel(waiting.max(1));
        (Self { updates: sender, metrics: metrics.clone() }, Updates { updates: receiver, metrics })
    }
}

/// How many events an update holds.
fn events(update: &WatchUpdate) -> usize {
    match update {
        WatchUpdate::Events { events, .. } => events.len(),
        WatchUpdate::Created { .. }
        | WatchUpdate::DuplicateId { .. }
        | WatchUpdate::Canceled { .. }
        | WatchUpdate::Compacted { .. }
        | WatchUpdate::Progress { .. } => 0,
    }
}

fn signed(events: usize) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}

impl WatchSink for Sink {
    fn offer(&mut self, update: WatchUpdate) -> Result<(), Full> {
        let events = signed(events(&update));
        // Before the offer: the update may be taken before it returns.
        self.metrics.mvcc_pending_events.add(events);
        self.updates.try_send(update).map_err(|_| {
            self.metrics.mvcc_pending_events.add(-events);
            Full
        })
    }

    fn is_closed(&self) -> bool {
        self.updates.is_closed()
    }
}

impl Updates {
    /// The next update; nothing when the hub has closed the stream.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<WatchUpdate>> {
        let polled = self.updates.poll_recv(cx);
        if let Poll::Ready(Some(update)) = &polled {
            self.taken(update);
        }
        polled
    }

    fn taken(&self, update: &WatchUpdate) {
        let events = events(update);
        self.metrics.mvcc_pending_events.add(-signed(events));
        self.metrics.mvcc_events_total.add(events as u64);
    }
}

impl Drop for Updates {
    /// What still waits was sent by the hub and is nobody's any more; etcd counts it so, too.
    fn drop(&mut self) {
        self.updates.close();
        while let Ok(update) = self.updates.try_recv() {
            self.taken(&update);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::watch::WatchId;
    use types::Revision;

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new([], Arc::default()))
    }

    fn event() -> node::watch::WatchEvent {
        let pair = state::outcome::Pair(bytes::Bytes::new());
        node::watch::WatchEvent { kind: node::watch::WatchEventKind::Put, pair, prev: None }
    }

    /// A reader that does not read fills its own channel and nothing else: the hub is told, and offers again later.
    #[test]
    fn a_full_sink_says_so_and_a_closed_one_too() {
        let update = || WatchUpdate::Progress { id: WatchId::NONE, revision: Revision(1) };
        let (mut sink, mut updates) = Sink::new(2, metrics());
        assert!(sink.offer(update()).is_ok() && sink.offer(update()).is_ok());
        assert_eq!(sink.offer(update()), Err(Full));
        assert!(updates.updates.try_recv().is_ok());
        assert!(sink.offer(update()).is_ok());
        assert!(!sink.is_closed());
        drop(updates);
        assert!(sink.is_closed());
    }

    /// Events that wait are shown as waiting, until they are taken or the client is gone; those that did not fit never
    /// were. A gauge that drifts would cry wolf for ever.
    #[tokio::test]
    async fn events_wait_until_they_are_taken_or_the_client_leaves() {
        let metrics = metrics();
        let (mut sink, mut updates) = Sink::new(2, metrics.clone());
        let mut offer = |count: usize| {
            let events = vec![event(); count];
            sink.offer(WatchUpdate::Events { id: WatchId(0), revision: Revision(9), events })
        };
        assert!(offer(2).is_ok() && offer(3).is_ok());
        assert_eq!(offer(4), Err(Full));
        assert_eq!((metrics.mvcc_pending_events.value(), metrics.mvcc_events_total.value()), (5, 0));
        std::future::poll_fn(|cx| updates.poll_recv(cx)).await.unwrap();
        assert_eq!((metrics.mvcc_pending_events.value(), metrics.mvcc_events_total.value()), (3, 2));
        drop(updates);
        assert_eq!((metrics.mvcc_pending_events.value(), metrics.mvcc_events_total.value()), (0, 5));
        assert_eq!(offer(7), Err(Full));
        assert_eq!(metrics.mvcc_pending_events.value(), 0);
    }
}
