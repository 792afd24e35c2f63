//! The hub's end of one stream: a bounded channel that never blocks the hub.

use node::watch::{Full, WatchSink, WatchUpdate};
use tokio::sync::mpsc;

/// Where the hub puts a stream's updates.
pub(crate) struct Sink(mpsc::Sender<WatchUpdate>);

impl Sink {
    /// A sink with room for `waiting` updates, and where they come out.
    pub(crate) fn new(waiting: usize) -> (Self, mpsc::Receiver<WatchUpdate>) {
        let (sender, receiver) = mpsc::channel(waiting.max(1));
        (Self(sender), receiver)
    }
}

impl WatchSink for Sink {
    fn offer(&mut self, update: WatchUpdate) -> Result<(), Full> {
        self.0.try_send(update).map_err(|_| Full)
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::watch::WatchId;
    use types::Revision;

    /// A reader that does not read fills its own channel and nothing else: the hub is told, and offers again later.
    #[test]
    fn a_full_sink_says_so_and_a_closed_one_too() {
        let update = || WatchUpdate::Progress { id: WatchId::NONE, revision: Revision(1) };
        let (mut sink, mut updates) = Sink::new(2);
        assert!(sink.offer(update()).is_ok() && sink.offer(update()).is_ok());
        assert_eq!(sink.offer(update()), Err(Full));
        assert!(updates.try_recv().is_ok());
        assert!(sink.offer(update()).is_ok());
        assert!(!sink.is_closed());
        drop(updates);
        assert!(sink.is_closed());
    }
}
