//! Streams that end when nobody leads: for clients that ask for it by `hasleader`.
//!
//! Owns the patience: three elections in a row without a leader, as etcd has it, since connecting anew costs a client more
//! than a refused request.

use super::Services;
use super::around::wants_leader;
use super::status::Failure;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_stream::Stream;
use tonic::Status;

/// Elections without a leader after which a stream is cut.
const PATIENCE: u32 = 3;

/// How long a stream's client bears having no leader: for ever, unless it asked not to.
pub(super) struct Patience(Option<Limited>);

struct Limited {
    has_leader: Box<dyn Fn() -> bool + Send>,
    elections: Interval,
    without: u32,
}

impl Patience {
    /// As the request's metadata say.
    pub(super) fn of<T>(services: &Services, request: &tonic::Request<T>) -> Self {
        if !wants_leader(request.metadata().as_ref()) {
            return Self(None);
        }
        let (election, services) = (services.limits().election_timeout, services.clone());
        Self::limited(election, move || services.member().status().leader.is_some())
    }

    fn limited(election: Duration, has_leader: impl Fn() -> bool + Send + 'static) -> Self {
        let election = election.max(Duration::from_millis(1));
        let mut elections = interval_at(Instant::now() + election, election);
        elections.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Some(Limited { has_leader: Box::new(has_leader), elections, without: 0 }))
    }

    /// Whether it has run out.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(limited) = &mut self.0 else { return false };
        while limited.elections.poll_tick(cx).is_ready() {
            limited.without = if (limited.has_leader)() { 0 } else { limited.without.saturating_add(1) };
            if limited.without >= PATIENCE {
                return true;
            }
        }
        false
    }
}

/// A stream, cut when its client wants a leader and there is none.
pub(super) struct Led<S> {
    stream: Option<S>,
    patience: Patience,
}

impl<S> Led<S> {
    pub(super) fn new(stream: S, patience: Patience) -> Self {
        Self { stream: Some(stream), patience }
    }
}

impl<S, T> Stream for Led<S>
where
    S: Stream<Item = Result<T, Status>> + Unpin,
{
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if this.patience.is_over(cx) {
            this.stream = None;
            return Poll::Ready(Some(Err(Failure::NoLeader.into())));
        }
        Pin::new(stream).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio_stream::StreamExt;

    const ELECTION: Duration = Duration::from_secs(1);

    type Silent = tokio_stream::Pending<Result<(), Status>>;

    /// A leader that comes back in time keeps the stream; three elections in a row without one end it, with the error that
    /// makes a client look for another member, and it says so once.
    #[tokio::test(start_paused = true)]
    async fn a_stream_outlives_two_elections_without_a_leader() {
        let leads = Arc::new(AtomicBool::new(false));
        let seen = leads.clone();
        let patience = Patience::limited(ELECTION, move || seen.load(Ordering::SeqCst));
        let mut led = Led::new(tokio_stream::pending() as Silent, patience);
        let quiet = tokio::time::timeout(ELECTION * 5 / 2, led.next()).await;
        assert!(quiet.is_err(), "two elections are borne");
        leads.store(true, Ordering::SeqCst);
        assert!(tokio::time::timeout(ELECTION * 10, led.next()).await.is_err(), "there is a leader");
        leads.store(false, Ordering::SeqCst);
        let began = Instant::now();
        let status = led.next().await.unwrap().unwrap_err();
        assert_eq!(status.message(), "etcdserver: no leader");
        let waited = began.elapsed();
        assert!(waited > ELECTION * 2 && waited <= ELECTION * 3, "{waited:?}");
        assert!(led.next().await.is_none());
    }

    /// Who did not ask for a leader is never cut off.
    #[tokio::test(start_paused = true)]
    async fn without_asking_a_stream_goes_on() {
        let mut led = Led::new(tokio_stream::pending() as Silent, Patience(None));
        assert!(tokio::time::timeout(ELECTION * 100, led.next()).await.is_err());
    }
}
