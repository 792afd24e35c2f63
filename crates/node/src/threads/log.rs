//! The log thread: writes and syncs, and waits where there is no space; nothing else.

use super::OnFailure;
use crate::core::Write;
use crate::inbox::Inbox;
use crate::input::{Input, LogInput};
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use storage::{FreshnessMark, LogWriter, Mark};

/// How long a full disk is left alone before the next try.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(200);
/// The log thread: writes and syncs, nothing else.
pub(crate) struct LogThread {
    pub writer: LogWriter,
    pub mark: Option<FreshnessMark>,
    pub shared: Arc<Shared>,
    pub inputs: Receiver<LogInput>,
    pub consensus: Arc<Inbox<Input>>,
}

impl LogThread {
    pub(crate) fn run(mut self, on_failure: &OnFailure) {
        loop {
            let done = match self.next_input() {
                Ok(LogInput::Release(below)) => self.writer.release(below).map(|()| None),
                Ok(LogInput::Write(write)) => self.write(&write).map(|()| Some(write.number)),
                Err(RecvTimeoutError::Timeout) => self.look_for_space().map(|()| None),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match done {
                Ok(None) => {}
                Ok(Some(number)) => {
                    if self.consensus.push_urgent(Input::Persisted(number)).is_err() {
                        return;
                    }
                }
                Err(error) => return on_failure(error.into()),
            }
        }
    }

    /// Notes beside the key how far the log is durable. A mark that cannot be written costs the notice of a rollback, not
    /// the member.
    fn note_how_far(&mut self) {
        let Some(mark) = &mut self.mark else { return };
        let generation = self.shared.generation.load(Ordering::Acquire);
        if let Err(error) = mark.note(Mark { generation, position: self.writer.synced_position() }) {
            tracing::warn!(%error, "cannot write the freshness mark");
        }
    }

    /// What is to be done next; on a full disk it does not wait for long.
    fn next_input(&self) -> Result<LogInput, RecvTimeoutError> {
        match self.shared.full_disk.load(Ordering::Acquire) {
            true => self.inputs.recv_timeout(FULL_DISK_PAUSE),
            false => self.inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// The next segment is reserved ahead: when that fails, what would grow the store is refused at the door, while the
    /// rest of this segment carries deletions and compactions.
    fn look_for_space(&mut self) -> Result<(), storage::Error> {
        let full = self.writer.is_short_of_space() && self.writer.look_for_space()?;
        match (self.shared.full_disk.swap(full, Ordering::AcqRel), full) {
            (false, true) => tracing::error!(
                hint = "free space where the data lies, or compact and delete",
                "the disk is full: refusing what needs room until there is some"
            ),
            (true, false) => tracing::info!("the disk has room again"),
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, batch: storage::LogBatch<'_>) -> Result<(), storage::Error> {
        let began = self.shared.clock.monotonic();
        self.writer.append(batch)?;
        self.shared.counts.log_writes.observe_duration(self.shared.clock.monotonic().since(began));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), storage::Error> {
        let (before, began) = (self.writer.synced_position(), self.shared.clock.monotonic());
        self.writer.sync()?;
        let counts = &self.shared.counts;
        counts.log_syncs.observe_duration(self.shared.clock.monotonic().since(began));
        let after = self.writer.synced_position();
        let begins_at = if after.segment == before.segment { before.offset } else { 0 };
        counts.log_bytes.add(after.offset.saturating_sub(begins_at));
        Ok(())
    }

    /// Writes a batch. A full disk is waited out: nothing of the batch was written.
    fn write(&mut self, write: &Write) -> Result<(), storage::Error> {
        let batch = storage::LogBatch {
            hard_state: write.hard_state,
            entries: &write.entries,
            audit: &write.intents,
        };
        while let Err(error) = self.append(batch) {
            let waits = matches!(error, storage::Error::NoSpace { .. });
            if !waits || self.shared.stopping.load(Ordering::Acquire) {
                return Err(error);
            }
            self.look_for_space()?;
            std::thread::sleep(FULL_DISK_PAUSE);
        }
        if write.must_sync || !write.intents.is_empty() {
            self.sync()?;
            self.note_how_far();
        }
        self.look_for_space()
    }
}
