//! The queue in front of the consensus thread: many senders, one receiver, and no more wake-ups than it needs.
//!
//! Owns what waits, and whom to wake. While a write is out, a proposal can only wait for its end: it lies in the queue
//! without waking anybody, and one wake-up then takes all that came. A channel would wake the thread for each.
//!
//! Invariants: what was taken in is handed out once and in order, or handed back by [`Inbox::close`]; a sleeper that
//! something urgent came for is awake.

use crate::shared::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the receiver sleeps for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// Anything ends it.
    Light,
    /// Only what is urgent.
    Deep,
}

/// Why something was not taken in.
#[derive(Debug)]
pub(crate) enum Refusal<T> {
    /// As much waits as may.
    Full(T),
    /// The receiver has ended.
    Closed(T),
}

/// The queue.
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    bell: Condvar,
    /// How much may wait that is not urgent.
    capacity: usize,
}

struct State<T> {
    waiting: Vec<T>,
    has_urgent: bool,
    sleeps: Option<Sleep>,
    is_closed: bool,
}

impl<T> Inbox<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { waiting: Vec::new(), has_urgent: false, sleeps: None, is_closed: false };
        Self { state: Mutex::new(state), bell: Condvar::new(), capacity }
    }

    /// Takes in what can wait.
    pub(crate) fn push(&self, item: T) -> Result<(), Refusal<T>> {
        let mut state = lock(&self.state);
        if state.waiting.len() >= self.capacity && !state.is_closed {
            return Err(Refusal::Full(item));
        }
        self.take_in(&mut state, item, |sleep| sleep == Sleep::Light)
    }

    /// Takes in what cannot wait.
    pub(crate) fn push_urgent(&self, item: T) -> Result<(), Refusal<T>> {
        let mut state = lock(&self.state);
        state.has_urgent = true;
        self.take_in(&mut state, item, |_| true)
    }

    fn take_in(
        &self,
        state: &mut State<T>,
        item: T,
        wakes: impl Fn(Sleep) -> bool,
    ) -> Result<(), Refusal<T>> {
        if state.is_closed {
            return Err(Refusal::Closed(item));
        }
        state.waiting.push(item);
        if state.sleeps.is_some_and(wakes) {
            state.sleeps = None;
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes all that waits into `taken`, which is empty; sleeps up to `limit` when there is nothing worth waking for.
    pub(crate) fn take(&self, sleep: Sleep, limit: Duration, taken: &mut Vec<T>) {
        let mut state = lock(&self.state);
        let is_due = |state: &State<T>| match sleep {
            Sleep::Light => !state.waiting.is_empty(),
            Sleep::Deep => state.has_urgent,
        };
        if !is_due(&state) {
            state.sleeps = Some(sleep);
            let still_sleeps = |state: &mut State<T>| state.sleeps.is_some();
            let woken = self.bell.wait_timeout_while(state, limit, still_sleeps);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.sleeps = None;
        }
        state.has_urgent = false;
        std::mem::swap(&mut state.waiting, taken);
    }

    /// Takes in nothing any more; answers what was never taken.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = lock(&self.state);
        state.is_closed = true;
        std::mem::take(&mut state.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(60);

    fn taken(inbox: &Inbox<u32>, sleep: Sleep, limit: Duration) -> Vec<u32> {
        let mut taken = Vec::new();
        inbox.take(sleep, limit, &mut taken);
        taken
    }

    /// Everything comes out once, in order; what can wait does not end a deep sleep, what is urgent does, and brings the
    /// rest along.
    #[test]
    fn what_can_wait_waits_for_what_is_urgent() {
        let inbox = Arc::new(Inbox::new(10));
        inbox.push(1).unwrap();
        inbox.push(2).unwrap();
        assert_eq!(taken(&inbox, Sleep::Light, LONG), [1, 2]);
        inbox.push(3).unwrap();
        assert_eq!(taken(&inbox, Sleep::Deep, Duration::ZERO), [3], "time ends every sleep");
        inbox.push(4).unwrap();
        let sleeper = std::thread::spawn({
            let inbox = inbox.clone();
            move || taken(&inbox, Sleep::Deep, LONG)
        });
        inbox.push(5).unwrap();
        inbox.push_urgent(6).unwrap();
        assert_eq!(sleeper.join().unwrap(), [4, 5, 6]);
        let sleeper = std::thread::spawn({
            let inbox = inbox.clone();
            move || taken(&inbox, Sleep::Light, LONG)
        });
        inbox.push(7).unwrap();
        assert_eq!(sleeper.join().unwrap(), [7]);
    }

    /// The queue is bounded for what can wait, never for what keeps the member going; closed, it hands everything back.
    #[test]
    fn a_full_or_closed_inbox_hands_back() {
        let inbox = Inbox::new(2);
        inbox.push(1).unwrap();
        inbox.push(2).unwrap();
        assert!(matches!(inbox.push(3), Err(Refusal::Full(3))));
        inbox.push_urgent(4).unwrap();
        assert_eq!(inbox.close(), [1, 2, 4]);
        assert!(matches!(inbox.push(5), Err(Refusal::Closed(5))));
        assert!(matches!(inbox.push_urgent(6), Err(Refusal::Closed(6))));
    }

    /// Whoever pushes beside a receiver that sleeps and wakes loses nothing: a lost wake-up would be a hung member.
    #[test]
    fn nothing_is_lost_between_sleeping_and_waking() {
        let inbox = Arc::new(Inbox::new(1_000_000));
        let senders: Vec<_> = (0..4u32)
            .map(|sender| {
                let inbox = inbox.clone();
                std::thread::spawn(move || {
                    for i in 0..5_000 {
                        inbox.push(sender * 10_000 + i).unwrap();
                    }
                    inbox.push_urgent(sender * 10_000 + 5_000).unwrap();
                })
            })
            .collect();
        let mut all = Vec::new();
        while all.len() < 4 * 5_001 {
            let sleep = if all.len() % 3 == 0 { Sleep::Light } else { Sleep::Deep };
            let limit = if sleep == Sleep::Light { LONG } else { Duration::from_millis(1) };
            all.extend(taken(&inbox, sleep, limit));
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        for sender in 0..4 {
            let of_one: Vec<_> = all.iter().filter(|item| **item / 10_000 == sender).copied().collect();
            assert_eq!(of_one, (0..=5_000).map(|i| sender * 10_000 + i).collect::<Vec<_>>());
        }
    }
}
