//! Ending the task of one HTTP/2 request from outside.
//!
//! The transport polls an answer's body only while its client takes bytes: a body whose client has stopped taking is never
//! asked again, and has no way to end its own stream. So the requests' tasks run under [`Tasks`], and a body that wants
//! to be endable binds a [`Cut`] to the task that polls it. A task that is cut drops everything it holds; the transport
//! then resets its stream, and frees what was waiting to be sent.
//!
//! Costs a request that binds nothing two exchanges of a thread's own word for each time it is polled.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

thread_local! {
    static RUNNING: RefCell<Running> = const { RefCell::new(Running::Nothing) };
}

/// What this thread polls.
enum Running {
    /// No task that can be cut.
    Nothing,
    Task,
    /// A task that asked to be cut by this.
    Bound(Arc<Cut>),
}

/// Ends the task that it is bound to.
#[derive(Default)]
pub(crate) struct Cut(Mutex<State>);

#[derive(Default)]
struct State {
    cut: bool,
    task: Option<Waker>,
}

impl Cut {
    /// Binds this to the task that is polled on this thread; without effect where that is none that can be cut. The last one
    /// bound counts.
    pub(crate) fn bind(self: &Arc<Self>) {
        RUNNING.with_borrow_mut(|running| {
            if !matches!(running, Running::Nothing) {
                *running = Running::Bound(self.clone());
            }
        });
    }

    /// Ends the task.
    pub(crate) fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Whether it is cut; if not, the task is woken when it is.
    fn is_cut(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if !state.cut && !state.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
        state.cut
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spawns tasks that can be cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tasks;

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        tokio::spawn(cuttable(task));
    }
}

async fn cuttable(task: impl Future) {
    let mut task = pin!(task);
    let mut bound = Bound::default();
    poll_fn(|cx| bound.poll(cx, |cx| task.as_mut().poll(cx)).map(drop)).await;
}

/// What a task has bound while it was polled.
#[derive(Default)]
pub(crate) struct Bound(Option<Arc<Cut>>);

impl Bound {
    /// Polls a task that can be cut: ready with nothing when it was.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        if self.0.as_ref().is_some_and(|cut| cut.is_cut(cx)) {
            return Poll::Ready(None);
        }
        let before = RUNNING.replace(Running::Task);
        let polled = poll(cx);
        if let Running::Bound(bound) = RUNNING.replace(before) {
            // Whoever cuts from now on wakes this task, which then looks again.
            if bound.is_cut(cx) {
                return Poll::Ready(None);
            }
            self.0 = Some(bound);
        }
        polled.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::rt::Executor;
    use tokio::sync::oneshot;

    /// A task that waits for what never comes ends when it is cut, and drops what it holds; one that bound nothing, or was
    /// polled on the same thread meanwhile, does not.
    #[tokio::test]
    async fn a_cut_ends_its_own_task_only() {
        let cuts = [Arc::new(Cut::default()), Arc::new(Cut::default())];
        let mut ends = Vec::new();
        for cut in [Some(cuts[0].clone()), Some(cuts[1].clone()), None] {
            let (held, ended) = oneshot::channel::<()>();
            Tasks.execute(async move {
                let _held = held;
                if let Some(cut) = cut {
                    cut.bind();
                }
                std::future::pending::<()>().await;
            });
            ends.push(ended);
        }
        tokio::task::yield_now().await;
        cuts[0].cut();
        assert!((&mut ends[0]).await.is_err(), "what the task held is dropped");
        tokio::task::yield_now().await;
        assert!(ends[1..].iter_mut().all(|end| end.try_recv() == Err(oneshot::error::TryRecvError::Empty)));
        // Outside of such a task, binding leaves nothing behind for the next one.
        cuts[1].bind();
        let (tell, told) = oneshot::channel();
        Tasks.execute(async move { tell.send(()).unwrap() });
        told.await.unwrap();
        // Cut before its first poll is over: it ends all the same.
        let early = Arc::new(Cut::default());
        early.cut();
        let (held, ended) = oneshot::channel::<()>();
        Tasks.execute(async move {
            let _held = held;
            early.bind();
            std::future::pending::<()>().await;
        });
        assert!(ended.await.is_err());
    }
}
