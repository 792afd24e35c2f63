//! The log thread: takes what is proposed, lets consensus make a write of it, writes and syncs, and waits where there is no
//! space. So a proposal wakes one thread on its way to the disk, and what comes while a write is out wakes none.

use super::{OnFailure, Stepper};
use crate::core::Write;
use crate::error::Refused;
use crate::failure::Failure;
use crate::inbox::Inbox;
use crate::input::Input;
use crate::shared::{FULL_DISK_PAUSE, Release, Shared, lock};
use env::Disk;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::{FreshnessMark, LogWriter, Mark, SupersededFiles};

/// How often an idle member looks whether there is space.
const LOOK: Duration = Duration::from_secs(1);

/// Where the data lies, and how much must be free there.
pub(crate) struct Space {
    pub disk: Arc<dyn Disk>,
    pub path: PathBuf,
    pub superseded: SupersededFiles,
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
    pub writer: LogWriter,
    pub mark: Option<FreshnessMark>,
    pub space: Space,
    pub shared: Arc<Shared>,
    pub inputs: Arc<Inbox<Input>>,
    pub stepper: Arc<Stepper>,
    /// The last mark could not be written.
    pub is_unmarked: bool,
    /// What was let go of.
    pub released: Release,
    /// Bytes that are kept for members that lag.
    pub bytes_kept: u64,
}

impl LogThread {
    pub(crate) fn run(mut self, on_failure: &OnFailure) {
        match self.run_until_stopped() {
            // Nobody was told that what is not written would be kept.
            Err(failure) if failure.is_no_space() && self.shared.is_ending() => {
                tracing::warn!(%failure, "stopped on a full disk: what waited for space is refused");
            }
            Err(failure) => on_failure(failure),
            Ok(()) => {}
        }
        self.refuse_waiting();
    }

    /// Nobody waits for ever: what came too late is refused, here and, by the closed queue, from now on.
    fn refuse_waiting(self) {
        self.stepper.refuse_expected();
        for input in self.inputs.close() {
            if let Input::Propose(proposal) = input {
                (proposal.reply)(Err(Refused::Stopped));
            }
        }
    }

    fn run_until_stopped(&mut self) -> Result<(), Failure> {
        let (mut taken, mut ends) = (Vec::new(), false);
        while !ends {
            let full = self.shared.full_disk.load(Ordering::Acquire);
            self.inputs.take(if full { FULL_DISK_PAUSE } else { LOOK }, &mut taken);
            self.release()?;
            if taken.is_empty() {
                self.look_for_space()?;
                continue;
            }
            let mut next = self.turn(None, &mut taken, &mut ends)?;
            while let Some(write) = next {
                self.write(&write)?;
                if !ends {
                    self.inputs.take(Duration::ZERO, &mut taken);
                }
                next = self.turn(Some(write.number), &mut taken, &mut ends)?;
            }
        }
        Ok(())
    }

    /// One step of consensus, with the write that is done and all that came meanwhile; answers the next write.
    fn turn(
        &self,
        persisted: Option<u64>,
        taken: &mut Vec<Input>,
        ends: &mut bool,
    ) -> Result<Option<Write>, Failure> {
        let mut ticks = None;
        let write = self.stepper.step(|core| {
            if let Some(number) = persisted {
                core.persisted(number);
            }
            for input in taken.drain(..) {
                match input {
                    Input::Propose(proposal) => core.propose(proposal),
                    Input::Transfer(to) => core.transfer(to),
                    Input::Write(write) => ticks = Some(write),
                    Input::Stop => *ends = true,
                }
            }
            Ok(())
        })?;
        assert!(ticks.is_none() || write.is_none(), "at most one write is out at a time");
        Ok(ticks.or(write))
    }

    /// Lets go of what a checkpoint has covered, but for what is kept for members that lag.
    fn release(&mut self) -> Result<(), storage::Error> {
        let release = *lock(&self.shared.release);
        if release != self.released {
            self.released = release;
            let kept_from = release.kept_from.max(self.writer.first_within(self.bytes_kept));
            self.writer.release(release.below.min(kept_from))?;
        }
        Ok(())
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

    /// The next segment is reserved ahead, and room for the store's is looked for: when one fails, what would grow the store is
    /// refused at the door, while the rest carries deletions and compactions.
    fn look_for_space(&mut self) -> Result<(), storage::Error> {
        let was_full = self.shared.full_disk.load(Ordering::Acquire);
        let store_waits = self.shared.store_waits.load(Ordering::Acquire);
        let mut full = store_waits || self.space.is_short(was_full);
        if full && self.give_back()? {
            full = store_waits || self.space.is_short(was_full);
        }
        full |= self.writer.is_short_of_space() && self.writer.look_for_space()?;
        self.writer.let_go_at_once(full);
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

    /// Gives back what is kept for members that lag, and what waits for copies; answers whether there was any.
    fn give_back(&mut self) -> Result<bool, storage::Error> {
        let covered = lock(&self.shared.release).below;
        self.writer.release(covered)?;
        let log = self.writer.free_released()?;
        Ok(self.space.superseded.free() | log)
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
            // What a checkpoint lets go of may be what makes room.
            self.release()?;
            self.look_for_space()?;
            self.shared.pause(FULL_DISK_PAUSE);
        }
        if write.must_sync || !write.intents.is_empty() {
            self.sync()?;
            self.note_how_far();
        }
        self.look_for_space()
    }
}
