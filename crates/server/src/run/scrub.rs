//! The check of the stored data while the member runs: what nobody reads would otherwise be found damaged years later.
//!
//! Owns the thread, its budget and what it says. What is read and what counts as damage is `storage::verify`'s: manifests,
//! finished log segments, the store as far as the manifests list it. Damage is told in the log and the metrics and changes nothing
//! else: what is damaged is refused when it is read.
//!
//! Invariant: no more bytes a second are read than the rate says, taken over a few seconds.

use crate::metrics::Metrics;
use env::Clock;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use storage::DataDir;
use storage::verify::{Finding, Observer, Severity, scrub};
use types::limits::{SCRUB_CHUNK_BYTES, SCRUB_INTERVAL_SECONDS};

/// The running check; dropping it ends it.
pub(super) struct Scrub {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts to check `dir` at `rate` bytes a second; 0 checks nothing.
pub(super) fn start(rate: u64, dir: DataDir, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Scrub {
    let (stop, stopped) = channel();
    if rate == 0 {
        tracing::warn!(
            hint = "drop --scrub-rate=0, or run strongroom verify now and then",
            "the stored data is not checked while the member runs"
        );
        return Scrub { stop: None, thread: None };
    }
    let spawned = std::thread::Builder::new().name("scrub".to_owned()).spawn(move || {
        let wait = |span| matches!(stopped.recv_timeout(span), Err(RecvTimeoutError::Timeout));
        loop {
            round(&dir, &metrics, &*clock, Pace { rate, owed: 0, wait: &wait });
            if !wait(Duration::from_secs(SCRUB_INTERVAL_SECONDS)) {
                return;
            }
        }
    });
    match spawned {
        Ok(thread) => Scrub { stop: Some(stop), thread: Some(thread) },
        Err(error) => {
            tracing::error!(%error, hint = "raise the limit of threads", "cannot check the stored data while the member runs");
            Scrub { stop: None, thread: None }
        }
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Reads everything once.
fn round(dir: &DataDir, metrics: &Metrics, clock: &dyn Clock, pace: Pace<'_>) {
    let mut watch = Watch { metrics, pace, damaged: 0 };
    match scrub(dir, SCRUB_CHUNK_BYTES, &mut watch) {
        Ok(verified) if verified.is_stopped => {}
        Ok(verified) => {
            metrics.scrub_rounds.inc();
            metrics.scrub_damage.set(watch.damaged);
            let now = clock.wall().unix_nanos() / 1_000_000_000;
            metrics.scrub_ended.set(i64::try_from(now).unwrap_or(i64::MAX));
            let (files, bytes, damaged) = (verified.files, verified.bytes, watch.damaged);
            tracing::info!(files, bytes, damaged, "checked the stored data");
        }
        Err(error) => {
            tracing::error!(%error, hint = "see whether the disk is well", "the check of the stored data ended early");
        }
    }
}

/// How fast.
struct Pace<'a> {
    /// Bytes a second.
    rate: u64,
    /// Bytes read that are not waited for yet.
    owed: u64,
    /// Waits; false when the member stops.
    wait: &'a dyn Fn(Duration) -> bool,
}

/// Shorter waits are gathered.
const WAIT_MIN: Duration = Duration::from_millis(20);

impl Pace<'_> {
    fn passed(&mut self, bytes: u64) -> ControlFlow<()> {
        self.owed = self.owed.saturating_add(bytes);
        let micros = u128::from(self.owed) * 1_000_000 / u128::from(self.rate.max(1));
        let span = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        if span < WAIT_MIN {
            return ControlFlow::Continue(());
        }
        self.owed = 0;
        if (self.wait)(span) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

struct Watch<'a> {
    metrics: &'a Metrics,
    pace: Pace<'a>,
    damaged: i64,
}

impl Observer for Watch<'_> {
    fn begins(&mut self, _: u64) {}

    fn enters(&mut self, _: &Path) {}

    fn passed(&mut self, bytes: u64) -> ControlFlow<()> {
        self.metrics.scrub_bytes.add(bytes);
        self.pace.passed(bytes)
    }

    fn found(&mut self, finding: Finding) {
        if finding.severity == Severity::Note {
            return;
        }
        self.damaged = self.damaged.saturating_add(1);
        // Shown at once, not only when the round ends; a whole round sets it back.
        self.metrics.scrub_damage.set(self.damaged.max(self.metrics.scrub_damage.value()));
        let file = finding.path.display();
        tracing::error!(
            %file,
            position = finding.position,
            cause = finding.what,
            means = finding.means,
            hint = finding.next,
            "the stored data is damaged"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// The budget holds whatever the sizes of the reads are: 100 MiB at 4 MiB a second take 25 s, or the disk of a busy member
    /// would be read at full speed.
    #[test]
    fn the_budget_holds() {
        for chunk in [100, 4096, 300_000, 5 << 20] {
            let waited = Cell::new(Duration::ZERO);
            let wait = |span| {
                waited.set(waited.get() + span);
                true
            };
            let mut pace = Pace { rate: 4 << 20, owed: 0, wait: &wait };
            for _ in 0..(100u64 << 20) / chunk {
                assert!(pace.passed(chunk).is_continue());
            }
            let millis = waited.get().as_millis();
            assert!((24_000..=26_000).contains(&millis), "{chunk}: {millis} ms");
        }
    }

    /// A member that stops is not kept waiting for the round's end.
    #[test]
    fn the_end_comes_at_the_next_wait() {
        let mut pace = Pace { rate: 1, owed: 0, wait: &|_| false };
        assert!(pace.passed(1).is_break());
    }
}
