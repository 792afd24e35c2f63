//! Making the store durable: sync every listed byte, then put a new manifest, then let go of what nothing lists.
//!
//! A checkpoint is prepared by the writer in no time and run by a thread that may wait for the disk. [`Ledger`] remembers
//! what the kept manifests say; its lock puts runs in order, and one that was overtaken does nothing.

use super::read::Shared;
use super::segment::Segment;
use crate::dir::Dir;
use crate::manifest::{Listed, Manifest};
use crate::superseded::{Going, Superseded};
use crate::{Error, names};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use types::limits::{SUPERSEDED_BYTES_MIN, SUPERSEDED_PART_OF_STORE};
use types::{LogIndex, Term};

/// What the records up to here mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last entry whose effects are in the store.
    pub consistent_index: LogIndex,
    /// Its term.
    pub term: Term,
    /// The configuration of consensus at that entry; opaque.
    pub conf_state: Bytes,
    /// The hash over effects; opaque.
    pub state_hash: u32,
    /// Whatever the rooms above want to find again; opaque.
    pub meta: Bytes,
}

/// What a checkpoint made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The manifest's number.
    pub generation: u64,
    /// The last entry whose effects are durable.
    pub consistent_index: LogIndex,
    /// The log may be released below this entry: the older of the two kept manifests does not need it either.
    pub release_below: LogIndex,
}

#[derive(Debug)]
struct Kept {
    newest: Manifest,
    /// The consistent index of the manifest before the newest one.
    older_index: LogIndex,
    /// The generation before the newest one.
    older: Option<u64>,
    /// The largest generation that ever had a file.
    largest: u64,
    /// The last checkpoint that ran.
    last_run: u64,
    /// Files that nothing needs any more once the newest generation is at least this.
    doomed: Vec<(u64, PathBuf)>,
    /// Files that nothing needs any more.
    superseded: Superseded,
}

/// What the kept manifests say.
#[derive(Debug)]
pub(super) struct Ledger {
    kept: Mutex<Kept>,
}

impl Ledger {
    /// Begins with the manifest that the start chose, of these generations; `older_files` are listed by the generation before
    /// it only.
    pub(super) fn new(dir: &Dir, newest: Manifest, generations: &[u64], older_files: Vec<PathBuf>) -> Self {
        let older = generations.iter().rev().find(|generation| **generation < newest.generation).copied();
        let largest = generations.last().copied().unwrap_or(0);
        let next = largest.saturating_add(1);
        let is_passed = |generation: &&u64| **generation != newest.generation && Some(**generation) != older;
        let passed = generations.iter().filter(is_passed).map(|passed| names::manifest(&dir.path, *passed));
        let doomed = older_files.into_iter().chain(passed).map(|path| (next, path)).collect();
        let superseded = Superseded::default();
        let kept = Kept { older_index: LogIndex(0), older, largest, last_run: 0, doomed, superseded, newest };
        Self { kept: Mutex::new(kept) }
    }

    pub(super) fn last_checkpoint(&self) -> Checkpoint {
        self.kept().newest.checkpoint.clone()
    }

    /// Deletes now what nothing needs any more; answers whether there was anything.
    pub(super) fn free_superseded(&self, dir: &Dir) -> bool {
        delete(dir, &mut self.kept(), Going::All)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn durable(&self) -> Durable {
        let older = self.older_index.min(self.newest.checkpoint.consistent_index);
        Durable {
            generation: self.newest.generation,
            consistent_index: self.newest.checkpoint.consistent_index,
            release_below: older.next(),
        }
    }
}

/// The store's files that stay only for copies under way.
#[derive(Clone, Debug)]
pub struct SupersededFiles {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
}

impl SupersededFiles {
    pub(super) fn new(shared: Arc<Shared>, ledger: Arc<Ledger>) -> Self {
        Self { shared, ledger }
    }

    /// Deletes them, unless a checkpoint is being written, which may do so itself; answers whether there were any.
    #[must_use]
    pub fn free(&self) -> bool {
        let kept = match self.ledger.kept.try_lock() {
            Ok(kept) => Some(kept),
            Err(TryLockError::Poisoned(kept)) => Some(kept.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        kept.is_some_and(|mut kept| delete(&self.shared.dir, &mut kept, Going::All))
    }
}

/// A checkpoint that is prepared; another thread runs it. Dropped unrun, it is as if it had never been asked for.
#[derive(Debug)]
#[must_use = "nothing is durable until it has run"]
pub struct PendingCheckpoint {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
    number: u64,
    manifest: Manifest,
    /// The segments that the manifest lists; held here, as they may be removed meanwhile.
    segments: Vec<Arc<Segment>>,
}

impl PendingCheckpoint {
    pub(super) fn new(shared: Arc<Shared>, ledger: Arc<Ledger>, number: u64, manifest: Manifest) -> Self {
        let readable = shared.segments();
        let segments = manifest.segments.iter().filter_map(|listed| readable.get(&listed.number).cloned());
        let segments = segments.collect();
        drop(readable);
        Self { shared, ledger, number, manifest, segments }
    }

    /// Syncs what the checkpoint lists and replaces the manifest; answers what is durable now. One that a later checkpoint
    /// has overtaken does nothing.
    ///
    /// # Errors
    /// [`Error::NoSpace`]: the old manifest stands, and the next checkpoint may succeed. Else the store is poisoned.
    pub fn run(self) -> Result<Durable, Error> {
        let Self { shared, ledger, number, manifest, segments } = self;
        let mut kept = ledger.kept();
        if number <= kept.last_run {
            return Ok(kept.durable());
        }
        shared.check_sound()?;
        run(&shared, &mut kept, manifest, &segments).map_err(|error| match error {
            Error::NoSpace { .. } => error,
            error => shared.poison(error),
        })?;
        kept.last_run = number;
        Ok(kept.durable())
    }
}

fn run(
    shared: &Shared,
    kept: &mut Kept,
    mut manifest: Manifest,
    segments: &[Arc<Segment>],
) -> Result<(), Error> {
    sync(shared, &manifest, segments)?;
    manifest.generation = kept.largest.saturating_add(1);
    kept.largest = manifest.generation;
    let mut written = manifest.write(&shared.dir);
    let found_no_space = matches!(&written, Err(Error::Disk(error)) if error.is_no_space());
    if found_no_space && delete(&shared.dir, kept, Going::All) {
        written = manifest.write(&shared.dir);
    }
    written.map_err(|error| match error {
        // The manifest is a new file: without space for it the one before stands, whole.
        Error::Disk(error) if error.is_no_space() => Error::NoSpace { path: error.path, bytes: 0 },
        error => error,
    })?;
    let replaced = std::mem::replace(&mut kept.newest, manifest);
    kept.older_index = replaced.checkpoint.consistent_index;
    let newest = kept.newest.generation;
    if let Some(older) = kept.older.replace(replaced.generation) {
        kept.doomed.push((newest, names::manifest(&shared.dir.path, older)));
    }
    let listed = kept.newest.numbers();
    let dropped = replaced.segments.iter().filter(|replaced| !listed.contains(&replaced.number));
    let dropped = dropped.flat_map(|dropped| files_of(&shared.dir, dropped));
    kept.doomed.extend(dropped.map(|path| (newest.saturating_add(1), path)));
    supersede(&shared.dir, kept);
    delete(&shared.dir, kept, Going::of(&shared.dir));
    Ok(())
}

/// Makes every byte that the manifest lists durable, and the names of its files.
fn sync(shared: &Shared, manifest: &Manifest, segments: &[Arc<Segment>]) -> Result<(), Error> {
    let mut has_new = false;
    for segment in segments {
        let length = manifest.listed(segment.number).map_or(0, |listed| listed.extent.length);
        has_new |= segment.sync(length)?;
    }
    if has_new {
        shared.dir.env.disk.sync_dir(&shared.dir.path.join(names::STORE))?;
    }
    Ok(())
}

/// The files of a segment that a manifest lists.
pub(super) fn files_of(dir: &Dir, listed: &Listed) -> impl Iterator<Item = PathBuf> {
    let index = listed.index.map(|_| names::store_index(&dir.path, listed.number));
    std::iter::once(names::store_segment(&dir.path, listed.number)).chain(index)
}

/// What no kept manifest lists is superseded from now on.
fn supersede(dir: &Dir, kept: &mut Kept) {
    let (newest, now) = (kept.newest.generation, dir.env.clock.monotonic());
    let Kept { doomed, superseded, .. } = kept;
    doomed.retain(|(from, path)| {
        if *from <= newest {
            let stat = dir.env.disk.stat(path).ok().flatten();
            superseded.add(path.clone(), stat.map_or(0, |stat| stat.len), now);
        }
        *from > newest
    });
}

/// Deletes superseded files; answers whether there were any. What cannot be deleted now is tried again after the next
/// checkpoint: it only takes space.
fn delete(dir: &Dir, kept: &mut Kept, going: Going) -> bool {
    let now = dir.env.clock.monotonic();
    let stored: u64 = kept.newest.segments.iter().map(|listed| listed.extent.length).sum();
    let bytes_max = SUPERSEDED_BYTES_MIN.max(stored / SUPERSEDED_PART_OF_STORE);
    dir.superseded_bytes_max.store(bytes_max, Ordering::Relaxed);
    let mut is_changed = false;
    while let Some(oldest) = kept.superseded.oldest(going, bytes_max, now) {
        match dir.env.disk.remove(oldest) {
            Err(error) if !error.is_not_found() => break,
            _ => kept.superseded.gone(),
        }
        is_changed = true;
    }
    is_changed
}
