//! The checkpoint thread: makes durable what apply prepared, and lets the log go of what that covers.

use super::OnFailure;
use crate::shared::{Release, Shared, lock};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use storage::PendingCheckpoint;

/// The checkpoint thread: writes what apply prepared, then lets the log go of what it covers.
pub(crate) fn run_checkpoints(
    inputs: &Receiver<PendingCheckpoint>,
    kept: u64,
    shared: &Shared,
    on_failure: &OnFailure,
) {
    while let Ok(pending) = inputs.recv() {
        match run_timed(pending, shared) {
            Ok(durable) => {
                shared.generation.store(durable.generation, Ordering::Release);
                *lock(&shared.release) = Release {
                    below: durable.release_below,
                    kept_from: durable.consistent_index.saturating_back(kept).next(),
                };
            }
            // The manifest before stands; a later checkpoint covers this too.
            Err(error @ storage::Error::NoSpace { .. }) => {
                tracing::error!(%error, "no room for a checkpoint")
            }
            Err(error) => {
                on_failure(error.into());
                return;
            }
        }
    }
}

/// Makes what was applied durable, and measures it.
pub(super) fn run_timed(
    pending: PendingCheckpoint,
    shared: &Shared,
) -> Result<storage::Durable, storage::Error> {
    let began = shared.clock.monotonic();
    let durable = pending.run()?;
    shared.counts.commits.observe_duration(shared.clock.monotonic().since(began));
    Ok(durable)
}
