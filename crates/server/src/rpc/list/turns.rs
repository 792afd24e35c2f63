//! Turns: one step of one list at a time on a serving thread, and everything else that waits there in between.
//!
//! Owns the queue of steps of each thread, first come first served; a list has at most one step in it. Were each list to
//! yield for itself, a request that needs a few rounds of its thread would wait for a step of every list in every round.

use crate::rpc::status::Failure;
use std::cell::RefCell;
use tokio::sync::{mpsc, oneshot};

type Step = Box<dyn FnOnce() + Send>;

thread_local! {
    static HERE: RefCell<Option<mpsc::UnboundedSender<Step>>> = const { RefCell::new(None) };
}

/// Queues a step on this thread; its result comes when its turn has come. Dropped before that, it is not carried out.
pub(super) fn queue<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (tell, told) = oneshot::channel();
    let step: Step = Box::new(move || {
        if !tell.is_closed() {
            drop(tell.send(step()));
        }
    });
    HERE.with_borrow_mut(|here| {
        // A queue whose runtime has ended is closed; the thread may have another one.
        let queue = here.take().filter(|queue| !queue.is_closed()).unwrap_or_else(begin);
        drop(queue.send(step));
        *here = Some(queue);
    });
    told
}

/// The same, waiting for the result.
pub(super) async fn take<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    queue(step).await.map_err(|_| Failure::Stopped)
}

fn begin() -> mpsc::UnboundedSender<Step> {
    let (queue, mut steps) = mpsc::unbounded_channel::<Step>();
    tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            step();
            // Back only when everything that is ready has run and the network was looked at.
            tokio::task::yield_now().await;
        }
    });
    queue
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// However many lists are under way, between two steps whatever is ready on the thread runs once: a small request's way
    /// is as long as a few steps, not as a few steps of every list.
    #[tokio::test]
    async fn one_step_a_round() {
        const LISTS: usize = 50;
        let steps = Arc::new(AtomicUsize::new(0));
        let count = |steps: &Arc<AtomicUsize>| {
            let steps = steps.clone();
            move || steps.fetch_add(1, Ordering::Relaxed)
        };
        for _ in 0..LISTS {
            let steps = steps.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    take(count(&steps)).await.unwrap();
                }
            });
        }
        tokio::task::yield_now().await;
        let before = steps.load(Ordering::Relaxed);
        const ROUNDS: usize = 20;
        for _ in 0..ROUNDS {
            tokio::task::yield_now().await;
        }
        let during = steps.load(Ordering::Relaxed) - before;
        assert!((ROUNDS / 4..=ROUNDS + 1).contains(&during), "{during} steps in {ROUNDS} rounds");
    }

    /// A list whose client has left does not take its turn.
    #[tokio::test]
    async fn a_step_that_nobody_waits_for_is_left_out() {
        let done = Arc::new(AtomicUsize::new(0));
        let left = done.clone();
        drop(queue(move || left.fetch_add(1, Ordering::Relaxed)));
        let stayed = done.clone();
        take(move || stayed.fetch_add(10, Ordering::Relaxed)).await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 10);
    }
}
