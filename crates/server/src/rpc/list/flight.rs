//! What of a list has been handed to the transport and has not left it.
//!
//! Owns the count of those pieces, the time of the last sign of life, and the list's reservation, which the bytes keep until
//! the transport drops them. So a list knows when to read on, when all is sent, and when its client has stopped taking.

use super::budget::Reserved;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// The account of one list.
pub(super) struct Flight {
    state: Mutex<State>,
    _reserved: Arc<Reserved>,
}

struct State {
    /// Pieces that were handed over and have not left.
    pieces: usize,
    moved: Instant,
    waker: Option<Waker>,
}

/// Bytes on their way; dropped when they have left.
struct Flying {
    bytes: Bytes,
    flight: Arc<Flight>,
}

impl Flight {
    pub(super) fn new(reserved: Arc<Reserved>) -> Arc<Self> {
        let state = State { pieces: 0, moved: Instant::now(), waker: None };
        Arc::new(Self { state: Mutex::new(state), _reserved: reserved })
    }

    /// Hands over bytes.
    pub(super) fn launch(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let mut state = self.lock();
        state.pieces = state.pieces.saturating_add(1);
        state.moved = Instant::now();
        drop(state);
        Bytes::from_owner(Flying { bytes, flight: self.clone() })
    }

    /// Ready when no more than so many of the pieces that were handed over have not left.
    pub(super) fn poll_landed(&self, cx: &Context<'_>, but: usize) -> Poll<()> {
        let mut state = self.lock();
        if state.pieces <= but {
            return Poll::Ready(());
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// When bytes last went in or out.
    pub(super) fn moved(&self) -> Instant {
        self.lock().moved
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Flying {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        let mut state = self.flight.lock();
        state.pieces = state.pieces.saturating_sub(1);
        state.moved = Instant::now();
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
