//! Where connections are opened: a thread beside each worker, which gives way to everything else.
//!
//! A full handshake costs some hundred microseconds of a processor. On the worker's own thread a thousand of them would stand
//! before everybody's requests; and on any other thread the system lets one go on for milliseconds before it gives the
//! processor to a request that has come. So they are worked out on a thread of low priority, which gives the processor up after
//! each step: it has what the others leave, and never nothing. How it gives way was measured: docs/benchmarks.md.
//!
//! Owns that thread. The sockets are the worker's, who goes on with what is opened here; a connection that its worker gives up
//! is dropped. Their number is bounded by that on unfinished handshakes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::task;

/// By so much its thread gives way: it weighs about a tenth of the others.
const NICENESS: i32 = 10;

/// A worker's desk; its thread ends when it is dropped.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    runtime: Handle,
    /// Never sends: the thread waits for the last of these to go.
    _open: mpsc::Sender<()>,
}

impl Desk {
    /// A desk with its thread.
    pub(super) fn open(name: String) -> io::Result<(Self, JoinHandle<()>)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (open, mut closed) = mpsc::channel(1);
        let desk = Self { runtime: runtime.handle().clone(), _open: open };
        let run = move || {
            // On Linux a thread's own. Where it is refused, connections are opened as before, at everybody's cost.
            let _ = rustix::process::nice(NICENESS);
            runtime.block_on(closed.recv());
        };
        Ok((desk, std::thread::Builder::new().name(name).spawn(run)?))
    }

    /// Has this worked on in steps; nothing comes of it when the desk closes before.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        Working(self.runtime.spawn(Stepwise(Box::pin(work)))).await
    }
}

/// Gives the processor up after each step.
struct Stepwise<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Future for Stepwise<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let polled = self.0.as_mut().poll(cx);
        std::thread::yield_now();
        polled
    }
}

/// Something under way, which ends when nobody waits for it any more.
struct Working<T>(task::JoinHandle<T>);

impl<T> Future for Working<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<T> Drop for Working<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::testing::block_on;
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// Handshakes that rank like requests make those wait for milliseconds each time a thread has to be woken for them.
    #[test]
    fn what_is_worked_on_gives_way() {
        // How this thread ranks.
        let rank = || rustix::process::nice(0).unwrap();
        let mine = rank();
        let (desk, thread) = Desk::open("handshake-test".to_owned()).unwrap();
        assert_eq!(block_on(desk.work(async move { rank() })), Some((mine + NICENESS).min(19)));
        assert_eq!(rank(), mine, "the others keep their rank");
        drop(desk);
        thread.join().unwrap();
    }

    /// A handshake that was given up, at its deadline or as the oldest of too many, must not be worked on.
    #[test]
    fn what_is_given_up_is_dropped() {
        let (desk, thread) = Desk::open("handshake-test".to_owned()).unwrap();
        block_on(async {
            let (held, dropped) = oneshot::channel::<()>();
            let endless = desk.work(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
            assert!(tokio::time::timeout(Duration::from_millis(10), endless).await.is_err());
            assert!(tokio::time::timeout(Duration::from_secs(5), dropped).await.unwrap().is_err());
        });
        drop(desk);
        thread.join().unwrap();
    }
}
