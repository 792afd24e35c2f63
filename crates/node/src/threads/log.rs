//! The log thread: writes and syncs, and waits where there is no space; nothing else.

use super::OnFailure;
use crate::core::Write;
use crate::inbox::Inbox;
use crate::input::{Input, LogInput};
use crate::shared::{FULL_DISK_PAUSE, Shared};
use env::Disk;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use storage::{FreshnessMark, LogWriter, Mark};

/// How often an idle member looks whether there is space.
const LOOK: Duration = Duration::from_secs(1);

/// Where the data lies, and how much must be free there.
pub(crate) struct Space {
    pub disk: Arc<dyn Disk>,
    pub path: PathBuf,
    /// Bytes: room for the store's next segment. What needs no room lives on it when nothing else is taken any more.
    pub least: u64,
}

impl Space {
    /// Whether there is too little; with room for a quarter more it has recovered.
    fn is_short(&self, was_short: bool) -> bool {
        let needed = if was_short { self.least.saturating_add(self.least / 4) } else { self.least };
        // A file system that does not say is believed to have some.
        self.disk.free_bytes(&self.path).is_ok_and(|free| free < needed)
    }
}

/// The log thread.
pub(crate) struct LogThread {
    writer: LogWriter,
    mark: Option<FreshnessMark>,
    /// The last mark could not be written.
    is_unmarked: bool,
    space: Space,
    shared: Arc<Shared>,
    inputs: Receiver<LogInput>,
    /// What came while a write waited for space.
    next: VecDeque<LogInput>,
    consensus: Arc<Inbox<Input>>,
}

impl LogThread {
    pub(crate) fn new(
        writer: LogWriter,
        mark: Option<FreshnessMark>,
        space: Space,
        shared: Arc<Shared>,
        inputs: Receiver<LogInput>,
        consensus: Arc<Inbox<Input>>,
    ) -> Self {
        Self { writer, mark, is_unmarked: false, space, shared, inputs, next: VecDeque::new(), consensus }
    }

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
                // Nobody was told that what is not written would be kept.
                Err(error @ storage::Error::NoSpace { .. }) if self.shared.is_ending() => {
                    return tracing::warn!(%error, "stopped on a full disk: what waited for space is refused");
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
        let noted = mark.note(Mark { generation, position: self.writer.synced_position() });
        let was_unmarked = std::mem::replace(&mut self.is_unmarked, noted.is_err());
        if let (Err(error), false) = (noted, was_unmarked) {
            tracing::warn!(%error, "cannot write the freshness mark: an old copy of the data would not be noticed");
        }
    }

    /// What is to be done next; now and then nothing comes, and it is time to look for space.
    fn next_input(&mut self) -> Result<LogInput, RecvTimeoutError> {
        if let Some(next) = self.next.pop_front() {
            return Ok(next);
        }
        let full = self.shared.full_disk.load(Ordering::Acquire);
        self.inputs.recv_timeout(if full { FULL_DISK_PAUSE } else { LOOK })
    }

    /// The next segment is reserved ahead, and room for the store's is looked for: when one fails, what would grow the store is
    /// refused at the door, while the rest carries deletions and compactions.
    fn look_for_space(&mut self) -> Result<(), storage::Error> {
        let was_full = self.shared.full_disk.load(Ordering::Acquire);
        let store_waits = self.shared.store_waits.load(Ordering::Acquire);
        let mut full = store_waits || self.space.is_short(was_full);
        if full && self.writer.free_released()? {
            full = store_waits || self.space.is_short(was_full);
        }
        full |= self.writer.is_short_of_space() && self.writer.look_for_space()?;
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
            if !matches!(error, storage::Error::NoSpace { .. }) || self.shared.is_ending() {
                return Err(error);
            }
            self.release_what_waits()?;
            self.look_for_space()?;
            self.shared.pause(FULL_DISK_PAUSE);
        }
        if write.must_sync || !write.intents.is_empty() {
            self.sync()?;
            self.note_how_far();
        }
        self.look_for_space()
    }

    /// A release that waits behind this write may be what makes room for it.
    fn release_what_waits(&mut self) -> Result<(), storage::Error> {
        while let Ok(input) = self.inputs.try_recv() {
            match input {
                LogInput::Release(below) => self.writer.release(below)?,
                write @ LogInput::Write(_) => self.next.push_back(write),
            }
        }
        Ok(())
    }
}
