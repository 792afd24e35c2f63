//! What watches over lists while nobody polls them: their holds lapse, and those whose clients have stopped taking are cut.
//!
//! Owns one look at all lists of a thread, twice a second while there are any. A task and two timers for each list would cost
//! it more than a page.

use super::flight::Flight;
use crate::cut::Cut;
use crate::metrics::Metrics;
use state::Hold;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often lists are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

thread_local! {
    static HERE: RefCell<Option<mpsc::UnboundedSender<Weak<Watched>>>> = const { RefCell::new(None) };
}

/// A list that is watched over until this is dropped, which lets go of its revision.
pub(super) struct Watched {
    hold: Option<Hold>,
    lapses: Instant,
    stalled: Duration,
    sending: OnceLock<(Arc<Flight>, Arc<Cut>)>,
    metrics: Arc<Metrics>,
}

impl Watched {
    /// Watches over the hold of a list from now on.
    pub(super) fn begin(
        hold: Hold,
        hold_time: Duration,
        stalled: Duration,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let (hold, lapses) = (Some(hold), Instant::now() + hold_time);
        Arc::new(Self { hold, lapses, stalled, sending: OnceLock::new(), metrics }).enlisted()
    }

    /// Watches over an answer that is made and being sent: it has to move.
    pub(super) fn begin_sent(
        flight: Arc<Flight>,
        cut: Arc<Cut>,
        stalled: Duration,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let sending = OnceLock::from((flight, cut));
        Arc::new(Self { hold: None, lapses: Instant::now(), stalled, sending, metrics }).enlisted()
    }

    fn enlisted(self: Arc<Self>) -> Arc<Self> {
        // One that lapses at once need not be looked at for that.
        self.look(Instant::now());
        HERE.with_borrow_mut(|here| {
            // A look whose runtime has ended is closed; the thread may have another one.
            let looks = here.take().filter(|looks| !looks.is_closed()).unwrap_or_else(look_on);
            // Closed in this very moment: the runtime ends, and the list with it.
            let _ = looks.send(Arc::downgrade(&self));
            *here = Some(looks);
        });
        self
    }

    /// It is being sent: from now on it has to move.
    pub(super) fn sends(&self, flight: Arc<Flight>, cut: Arc<Cut>) {
        let _ = self.sending.set((flight, cut));
    }

    fn let_go(&self) {
        if let Some(hold) = &self.hold {
            hold.let_go();
        }
    }

    /// Does what is due; whether there may be more to do.
    fn look(&self, now: Instant) -> bool {
        if self.lapses <= now {
            self.let_go();
        }
        let Some((flight, cut)) = self.sending.get() else { return true };
        if now.saturating_duration_since(flight.moved()) < self.stalled {
            return true;
        }
        self.metrics.lists_cut.inc();
        tracing::warn!(
            stalled_seconds = self.stalled.as_secs(),
            hint = "look for a client or proxy that has stopped reading",
            "cut a large answer: its client took nothing of it"
        );
        cut.cut();
        false
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn look_on() -> mpsc::UnboundedSender<Weak<Watched>> {
    let (looks, mut new) = mpsc::unbounded_channel::<Weak<Watched>>();
    tokio::spawn(async move {
        let mut lists = Vec::new();
        loop {
            if lists.is_empty() {
                match new.recv().await {
                    Some(list) => lists.push(list),
                    None => return,
                }
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
            while let Ok(list) = new.try_recv() {
                lists.push(list);
            }
            let now = Instant::now();
            lists.retain(|list| list.upgrade().is_some_and(|list| list.look(now)));
        }
    });
    looks
}
