//! Streams that end when nobody leads: for clients that ask for it by `hasleader`.
//!
//! Owns the patience: three elections in a row without a leader, as etcd has it, since connecting anew costs a client more
//! than a refused request.

use super::Services;
use super::status::Failure;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_stream::Stream;
use tonic::Status;

/// Elections without a leader after which a stream is cut.
const PATIENCE: u32 = 3;

/// How long a stream's client bears having no leader: for ever, unless it asked not to.
pub(super) struct Patience(Option<(Services, Interval, u32)>);

impl Patience {
    /// As the request's metadata say.
    pub(super) fn of<T>(services: &Services, request: &tonic::Request<T>) -> Self {
        let wanted = request.metadata().get("hasleader").is_some_and(|value| value.as_bytes() == b"true");
        Self(wanted.then(|| {
            let period = services.limits().election_timeout.max(std::time::Duration::from_millis(1));
            let mut interval = interval_at(Instant::now() + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            (services.clone(), interval, 0)
        }))
    }

    /// Whether it has run out.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((services, interval, without)) = &mut self.0 else { return false };
        while interval.poll_tick(cx).is_ready() {
            *without = match services.member().status().leader {
                Some(_) => 0,
                None => without.saturating_add(1),
            };
            if *without >= PATIENCE {
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
