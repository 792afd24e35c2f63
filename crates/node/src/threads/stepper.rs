//! Consensus between the threads that drive it: each brings its inputs, and one at a time steps.
//!
//! Owns the lock, and the way of what was committed to apply. Whoever steps carries out the write that comes of it, or hands
//! it to the thread that may wait for a disk; nobody holds the lock while a disk is waited for, so ticks go on.
//!
//! Invariants: batches reach apply in the order of the log; a batch that apply has no room for goes out with a later step.

use crate::batch::Batch;
use crate::core::{Core, Write};
use crate::error::Refused;
use crate::failure::Failure;
use crate::shared::{Shared, lock};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use storage::LogReader;
use types::LogIndex;

/// Consensus with its lock.
pub(crate) struct Stepper {
    core: Mutex<Core<LogReader>>,
    shared: Arc<Shared>,
    apply: SyncSender<Batch>,
}

impl Stepper {
    pub(crate) fn new(core: Core<LogReader>, shared: Arc<Shared>, apply: SyncSender<Batch>) -> Self {
        Self { core: Mutex::new(core), shared, apply }
    }

    /// Lets `act` put its inputs in, hands on what was committed, and answers what is to be written.
    ///
    /// # Errors
    /// `act`'s and the library's: the member cannot go on.
    pub(crate) fn step(
        &self,
        act: impl FnOnce(&mut Core<LogReader>) -> Result<(), Failure>,
    ) -> Result<Option<Write>, Failure> {
        let mut core = lock(&self.core);
        core.applied(LogIndex(self.shared.applied.load(Ordering::Acquire)));
        act(&mut core)?;
        let effects = core.step()?;
        *lock(&self.shared.position) = core.position();
        if let Some(write) = &effects.write {
            // The library reads back what it handed out before it is written.
            core.log().stage(&write.entries);
        }
        // Their values are in the state's cache, and in memory once only.
        core.log().let_go(core.wanted_from());
        if let Some(batch) = effects.apply
            && let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
                self.apply.try_send(batch)
        {
            core.put_back(batch);
        }
        Ok(effects.write)
    }

    /// The end: what no batch carries any more is refused.
    pub(crate) fn refuse_expected(&self) {
        let expected = lock(&self.core).take_expected();
        expected.into_iter().for_each(|reply| reply(Err(Refused::Stopped)));
    }
}
