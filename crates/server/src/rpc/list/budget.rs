//! The memory of all large lists together: what they reserve, and who waits for it.
//!
//! Owns the account. A list reserves what it may hold at one moment (a few pages, however large it is; all of it where it
//! cannot be read in pages) before its first pair is read, and gives it back when its last byte has left the transport.
//! Where there is no room, lists wait, first come first served, up to a number; further ones are refused.

use crate::metrics::Metrics;
use crate::rpc::status::Failure;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::limits;

/// What is counted in: a semaphore's permits are few.
const UNIT: u64 = 1024;

/// The bounds of large lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// Bytes in memory, of all together. One that needs more is taken when it is alone.
    pub bytes: u64,
    /// Lists that may wait for them.
    pub waiting: usize,
    /// How long a list keeps its revision, in seconds.
    pub hold_seconds: u64,
    /// After how long without a byte taken a client's list is cut, in seconds.
    pub stalled_seconds: u64,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self {
            bytes: limits::LISTS_BYTES_MAX,
            waiting: limits::LISTS_WAITING_MAX,
            hold_seconds: limits::LIST_HOLD_SECONDS_MAX,
            stalled_seconds: limits::LIST_STALLED_SECONDS_MAX,
        }
    }
}

/// The account.
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
    waiting: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// What a list has reserved; given back when dropped.
pub(super) struct Reserved {
    bytes: i64,
    metrics: Arc<Metrics>,
    _units: OwnedSemaphorePermit,
}

/// One more that waits.
struct Waits<'a>(&'a Metrics);

impl Budget {
    pub(crate) fn new(limits: &ListLimits, metrics: Arc<Metrics>) -> Self {
        let units_max = u32::try_from(limits.bytes / UNIT).unwrap_or(u32::MAX).max(1);
        let semaphore = |permits| Arc::new(Semaphore::new(Semaphore::MAX_PERMITS.min(permits)));
        Self { units: semaphore(units_max as usize), units_max, waiting: semaphore(limits.waiting), metrics }
    }

    /// Reserves so many bytes, or all there are; waits for them if it has to.
    pub(super) async fn reserve(&self, bytes: u64) -> Result<Reserved, Failure> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units_max);
        let permit = match self.units.clone().try_acquire_many_owned(units) {
            Ok(permit) => permit,
            Err(_) => self.wait(units).await?,
        };
        let bytes = i64::from(units).saturating_mul(UNIT as i64);
        self.metrics.lists_bytes.add(bytes);
        Ok(Reserved { bytes, metrics: self.metrics.clone(), _units: permit })
    }

    async fn wait(&self, units: u32) -> Result<OwnedSemaphorePermit, Failure> {
        let Ok(_place) = self.waiting.try_acquire() else {
            self.metrics.lists_refused.inc();
            return Err(Failure::TooManyRequests);
        };
        self.metrics.lists_waiting.inc();
        let _waits = Waits(&self.metrics);
        self.units.clone().acquire_many_owned(units).await.map_err(|_| Failure::Stopped)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.lists_waiting.dec();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.metrics.lists_bytes.add(self.bytes.saturating_neg());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    fn budget(bytes: u64, waiting: usize) -> Budget {
        let metrics = Arc::new(Metrics::new([], Arc::default()));
        Budget::new(&ListLimits { bytes, waiting, ..ListLimits::default() }, metrics)
    }

    /// What is reserved never exceeds the bound; who does not fit waits in order, a large one is not overtaken for ever; too
    /// many that wait are refused; and whoever stops waiting gives its place back.
    #[tokio::test]
    async fn lists_wait_in_order_and_are_refused_at_the_bound() {
        let budget = budget(10 * UNIT, 2);
        let (bytes, waiting) =
            (|| budget.metrics.lists_bytes.value(), || budget.metrics.lists_waiting.value());
        let first = budget.reserve(6 * UNIT).await.unwrap();
        // More than there is: all there is.
        let mut large = Box::pin(budget.reserve(1_000 * UNIT));
        let mut small = Box::pin(budget.reserve(1));
        assert!(futures(&mut large).is_pending() && futures(&mut small).is_pending());
        assert_eq!((bytes(), waiting()), (6 * UNIT as i64, 2));
        assert!(matches!(budget.reserve(1).await, Err(Failure::TooManyRequests)));
        assert_eq!(budget.metrics.lists_refused.value(), 1);
        drop(first);
        assert!(futures(&mut small).is_pending(), "the large one was first");
        let Poll::Ready(Ok(all)) = futures(&mut large) else { panic!("there is room") };
        assert_eq!((bytes(), waiting()), (10 * UNIT as i64, 1));
        drop(small);
        assert_eq!(waiting(), 0);
        drop(all);
        assert_eq!(bytes(), 0);
        budget.reserve(10 * UNIT).await.unwrap();
    }

    fn futures<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
