//! The queue in front of the log thread: many senders, one receiver, and no more wake-ups than it needs.
//!
//! Owns what waits, and whether its receiver sleeps. While a write is out the receiver does not, so what is proposed
//! meanwhile lies here without waking anybody, and is then taken all at once. A channel would hand out one at a time.
//!
//! Invariants: what was taken in is handed out once and in order, or handed back by [`Inbox::close`]; a sleeper that
//! something came for is awake.

use crate::shared::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

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
    sleeps: bool,
    is_closed: bool,
}

impl<T> Inbox<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { waiting: Vec::new(), sleeps: false, is_closed: false };
        Self { state: Mutex::new(state), bell: Condvar::new(), capacity }
    }

    /// Takes in what can be refused.
    pub(crate) fn push(&self, item: T) -> Result<(), Refusal<T>> {
        let mut state = lock(&self.state);
        if state.waiting.len() >= self.capacity && !state.is_closed {
            return Err(Refusal::Full(item));
        }
        self.take_in(&mut state, item)
    }

    /// Takes in what keeps the member going, however much waits.
    pub(crate) fn push_urgent(&self, item: T) -> Result<(), Refusal<T>> {
        self.take_in(&mut lock(&self.state), item)
    }

    fn take_in(&self, state: &mut State<T>, item: T) -> Result<(), Refusal<T>> {
        if state.is_closed {
            return Err(Refusal::Closed(item));
        }
        state.waiting.push(item);
        if std::mem::take(&mut state.sleeps) {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes all that waits into `taken`, which is empty; sleeps up to `limit` while nothing does.
    pub(crate) fn take(&self, limit: Duration, taken: &mut Vec<T>) {
        let mut state = lock(&self.state);
        if state.waiting.is_empty() && !limit.is_zero() {
            state.sleeps = true;
            let woken = self.bell.wait_timeout_while(state, limit, |state| state.sleeps);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.sleeps = false;
        }
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

    fn taken(inbox: &Inbox<u32>, limit: Duration) -> Vec<u32> {
        let mut taken = Vec::new();
        inbox.take(limit, &mut taken);
        taken
    }

    /// Everything comes out once, in order, all at once; whatever comes ends a sleep, and so does its time.
    #[test]
    fn what_comes_ends_a_sleep() {
        let inbox = Arc::new(Inbox::new(10));
        inbox.push(1).unwrap();
        inbox.push(2).unwrap();
        assert_eq!(taken(&inbox, LONG), [1, 2]);
        assert!(taken(&inbox, Duration::from_millis(1)).is_empty());
        for urgent in [false, true] {
            let sleeper = std::thread::spawn({
                let inbox = inbox.clone();
                move || taken(&inbox, LONG)
            });
            if urgent { inbox.push_urgent(3) } else { inbox.push(3) }.unwrap();
            assert_eq!(sleeper.join().unwrap(), [3]);
        }
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
            let limit = if all.len() % 3 == 0 { LONG } else { Duration::ZERO };
            all.extend(taken(&inbox, limit));
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        for sender in 0..4 {
            let of_one: Vec<_> = all.iter().filter(|item| **item / 10_000 == sender).copied().collect();
            assert_eq!(of_one, (0..=5_000).map(|i| sender * 10_000 + i).collect::<Vec<_>>());
        }
    }
}
