//! Handshakes take turns: between two steps of handshakes a serving thread does whatever else is ready.
//!
//! A full handshake costs a thread some hundred microseconds, most of it in two steps. A thousand that are ready at once would
//! keep everybody's requests waiting for all of them; in turn, a request waits for one step at most, however many there are. And
//! while requests come, handshakes pause after each [`BURST`]: the member's other threads, which a request also waits for, may share the
//! processor. A thread that has nothing else to do goes from one handshake to the next.
//!
//! Owns the queue of one thread. Its length is bounded by that on unfinished handshakes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long handshakes work at a stretch while requests come.
const BURST: Duration = Duration::from_millis(1);
/// How long they pause then.
const PAUSE: Duration = Duration::from_millis(1);

/// The turns of one thread.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: Mutex<VecDeque<(Waker, Arc<AtomicBool>)>>,
    bell: Notify,
    /// What handshakes have worked since the last pause, in nanoseconds.
    worked: AtomicU64,
    /// Requests since it was last looked whether there are any.
    requests: AtomicU64,
}

impl Turns {
    /// Turns for the thread on whose runtime it is called.
    pub(super) fn here() -> Arc<Self> {
        let turns = Arc::new(Self::default());
        tokio::spawn(turns.clone().give());
        turns
    }

    /// Gives one turn each time the thread has gone round: a task that yields comes behind all that is ready, and behind a
    /// look at the sockets.
    async fn give(self: Arc<Self>) {
        loop {
            match self.next() {
                Some((waker, granted)) => {
                    granted.store(true, Ordering::Relaxed);
                    waker.wake();
                    tokio::task::yield_now().await;
                    if self.should_pause() {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                None => self.bell.notified().await,
            }
        }
    }

    /// A request is at work here, whom handshakes must leave room.
    pub(super) fn note_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Does a piece of a handshake's work.
    pub(super) fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.worked.fetch_add(nanos, Ordering::Relaxed);
        done
    }

    /// Whether handshakes have worked for a stretch, and somebody else wants to.
    fn should_pause(&self) -> bool {
        if u128::from(self.worked.load(Ordering::Relaxed)) < BURST.as_nanos() {
            return false;
        }
        self.worked.store(0, Ordering::Relaxed);
        self.requests.swap(0, Ordering::Relaxed) > 0
    }

    fn next(&self) -> Option<(Waker, Arc<AtomicBool>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn queue(&self, waker: Waker) -> Arc<AtomicBool> {
        let granted = Arc::new(AtomicBool::new(false));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((waker, granted.clone()));
        drop(waiting);
        self.bell.notify_one();
        granted
    }

    /// Waits for a turn.
    pub(super) fn turn(self: &Arc<Self>) -> Turn {
        Turn { turns: self.clone(), granted: None }
    }

    /// Does each step of something in a turn of its own.
    pub(super) fn step<F: Future + Unpin>(self: &Arc<Self>, future: F) -> InTurn<F> {
        InTurn { future, turn: self.turn() }
    }
}

/// Ready when it is its turn.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    granted: Option<Arc<AtomicBool>>,
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &self.granted {
            None => self.granted = Some(self.turns.queue(cx.waker().clone())),
            Some(granted) if granted.load(Ordering::Relaxed) => {
                self.granted = None;
                return Poll::Ready(());
            }
            Some(_) => {}
        }
        Poll::Pending
    }
}

/// Something of which each step waits for its turn.
#[derive(Debug)]
pub(super) struct InTurn<F> {
    future: F,
    turn: Turn,
}

impl<F: Future + Unpin> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        ready!(Pin::new(&mut self.turn).poll(cx));
        let turns = self.turn.turns.clone();
        turns.work(|| Pin::new(&mut self.future).poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// However many handshakes are ready, everything else that is ready goes between each two of them; without turns all of
    /// them would come first.
    #[test]
    fn whatever_is_ready_goes_between_two_steps() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seen = Rc::new(RefCell::new(String::new()));
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let turns = Arc::new(Turns::default());
            tokio::task::spawn_local(turns.clone().give());
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..50 {
                let (turns, seen) = (turns.clone(), seen.clone());
                tasks.spawn_local(async move {
                    turns.turn().await;
                    seen.borrow_mut().push('h');
                });
            }
            let seen = seen.clone();
            tasks.spawn_local(async move {
                for _ in 0..50 {
                    seen.borrow_mut().push('.');
                    tokio::task::yield_now().await;
                }
            });
            while tasks.join_next().await.is_some() {}
        });
        let seen = seen.borrow();
        assert!(!seen.contains("hhh") && seen.matches('h').count() == 50, "{seen}");
    }

    /// While requests come handshakes leave room after each stretch of work; a thread that has none goes on without a pause.
    #[test]
    fn handshakes_pause_for_requests_only() {
        let turns = Turns::default();
        let work = |long: Duration| {
            let began = Instant::now();
            turns.work(|| while began.elapsed() < long {});
        };
        work(Duration::ZERO);
        turns.note_request();
        assert!(!turns.should_pause(), "no stretch of work yet");
        work(BURST);
        assert!(turns.should_pause());
        work(BURST);
        assert!(!turns.should_pause(), "no request since");
    }

    /// One that was given up while it waited holds up nobody behind it.
    #[test]
    fn a_turn_that_nobody_takes_any_more_passes() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let turns = Turns::here();
            for _ in 0..10 {
                let mut given_up = turns.turn();
                std::future::poll_fn(|cx| {
                    assert!(Pin::new(&mut given_up).poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            tokio::time::timeout(std::time::Duration::from_secs(5), turns.turn()).await.unwrap();
        });
    }
}
