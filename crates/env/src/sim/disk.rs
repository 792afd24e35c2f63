//! A disk in memory that keeps exactly the promises of [`Disk`] and no more.
//!
//! Each file has what is synced and the writes since; each name has what is synced (by its directory) and the changes
//! since. [`SimDisk::crash`] is a power failure: of the unsynced changes of names a prefix survives, of each unsynced write
//! any of its 512-byte sectors, all by seed. What was open before a crash is dead: using it fails.
//!
//! A failed sync forgets the writes that it was for: the next one succeeds and does not make them durable, as on Linux.
//!
//! Faults: the n-th act that changes something (create, write, sync, rename, …, counted from 1) fails as told, or is where
//! the power fails: from it on everything fails until [`SimDisk::crash`].
//!
//! An observer sees every write as it is asked for, also those that fail or are lost.

use super::random::SimRandom;
use crate::disk::{DIR_MODE, DirLock, Disk, DiskError, DiskFile, FILE_MODE, Kind, Operation, Stat};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The act fails with an input/output error; a write may have been done in part.
    Io,
    /// The act fails for lack of space.
    NoSpace,
    /// The power fails just before the act: nothing works until [`SimDisk::crash`].
    PowerBefore,
    /// The power fails just after the act: nothing works until [`SimDisk::crash`].
    PowerAfter,
}

/// A write as it is asked for, before anything goes wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The file's name when it was opened.
    pub path: &'a Path,
    /// Whether the file was there when it was opened: whoever writes did not make it.
    pub is_inherited: bool,
    /// What the file holds so far.
    pub before: &'a [u8],
    /// Where the bytes go.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// Somebody who sees every write to a disk.
pub trait WriteObserver: Send + Sync + std::fmt::Debug {
    /// Sees a write.
    fn sees(&self, write: &Write<'_>);
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Debug, Default)]
struct World {
    names: BTreeMap<PathBuf, Node>,
    synced_names: BTreeMap<PathBuf, Node>,
    changes: Vec<Change>,
    files: Vec<Content>,
    locks: Vec<PathBuf>,
    era: u64,
    acts: u64,
    fault: Option<(u64, Fault)>,
    power_failed: bool,
    capacity: Option<u64>,
    observer: Option<Arc<dyn WriteObserver>>,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Directory { mode: u32 },
    File { content: usize, mode: u32 },
}

#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, Node),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    writes: Vec<(usize, Vec<u8>)>,
}

impl SimDisk {
    /// An empty disk with the directory `/`.
    #[must_use]
    pub fn new() -> Self {
        let disk = Self::default();
        let root = Node::Directory { mode: DIR_MODE };
        let mut world = disk.world();
        world.names.insert(PathBuf::from("/"), root);
        world.synced_names.insert(PathBuf::from("/"), root);
        drop(world);
        disk
    }

    /// Lets the `act`-th changing act from now (1 is the next) go wrong.
    pub fn fail_at(&self, act: u64, fault: Fault) {
        let mut world = self.world();
        world.fault = Some((world.acts.saturating_add(act), fault));
    }

    /// Takes a fault back that has not come yet; answers whether it was still to come.
    pub fn clear_fault(&self) -> bool {
        self.world().fault.take().is_some()
    }

    /// How many changing acts there were so far.
    #[must_use]
    pub fn acts(&self) -> u64 {
        self.world().acts
    }

    /// Limits the sum of all files' lengths.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Shows every write from now on, to copies of this disk too.
    pub fn observe(&self, observer: Arc<dyn WriteObserver>) {
        self.world().observer = Some(observer);
    }

    /// Sets the mode of a name, as `chmod` does.
    pub fn set_mode(&self, path: &Path, to: u32) {
        let mut world = self.world();
        let World { names, synced_names, .. } = &mut *world;
        for all in [names, synced_names] {
            if let Some(Node::Directory { mode } | Node::File { mode, .. }) = all.get_mut(path) {
                *mode = to;
            }
        }
    }

    /// The power fails and comes back: what was not synced survives in part, as `seed` has it.
    pub fn crash(&self, seed: u64) {
        let chance = SimRandom::new(seed);
        let mut world = self.world();
        let world = &mut *world;
        let surviving = chance.below(world.changes.len() as u64 + 1) as usize;
        let mut names = std::mem::take(&mut world.synced_names);
        for change in std::mem::take(&mut world.changes).into_iter().take(surviving) {
            change.apply(&mut names);
        }
        world.synced_names.clone_from(&names);
        world.names = names;
        for file in &mut world.files {
            file.lose_power(&chance);
        }
        world.era += 1;
        world.locks.clear();
        world.power_failed = false;
        world.fault = None;
    }

    /// The process is killed, the machine goes on: everything stays, locks are given back, open files are dead.
    pub fn kill(&self) {
        let mut world = self.world();
        world.era += 1;
        world.locks.clear();
        world.power_failed = false;
        world.fault = None;
    }

    /// Every file with its content, by path.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let world = self.world();
        let mut all = BTreeMap::new();
        for (path, node) in &world.names {
            if let Node::File { content, .. } = node
                && let Some(content) = world.files.get(*content)
            {
                all.insert(path.clone(), content.now.clone());
            }
        }
        all
    }

    /// A disk of its own with the same content, everything synced and nothing open: what a copy of the machine has.
    #[must_use]
    pub fn copy(&self) -> Self {
        let world = self.world();
        let files = world.files.iter().map(|file| Content {
            now: file.now.clone(),
            synced: file.now.clone(),
            writes: Vec::new(),
        });
        let copied = World {
            names: world.names.clone(),
            synced_names: world.names.clone(),
            files: files.collect(),
            observer: world.observer.clone(),
            ..World::default()
        };
        Self { world: Arc::new(Mutex::new(copied)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Link(path, node) => {
                names.insert(path, node);
            }
            Self::Unlink(path) => {
                names.remove(&path);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(&from) {
                    names.insert(to, node);
                }
            }
        }
    }

    fn directories(&self) -> [Option<&Path>; 2] {
        match self {
            Self::Link(path, _) | Self::Unlink(path) => [path.parent(), None],
            Self::Rename(from, to) => [from.parent(), to.parent()],
        }
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.now, offset, bytes);
        self.writes.push((offset, bytes.to_vec()));
    }

    fn sync(&mut self) {
        for (offset, bytes) in self.writes.drain(..) {
            put(&mut self.synced, offset, &bytes);
        }
    }

    fn lose_power(&mut self, chance: &SimRandom) {
        let mut survived = std::mem::take(&mut self.synced);
        for (offset, bytes) in self.writes.drain(..) {
            // Three fates of a write: lost, whole, torn at sectors.
            let fate = chance.below(3);
            let mut at = 0;
            while at < bytes.len() {
                let sector_end = ((offset + at) / SECTOR + 1) * SECTOR - offset;
                let end = sector_end.min(bytes.len());
                if fate == 1 || (fate == 2 && chance.below(2) == 1) {
                    put(&mut survived, offset + at, &bytes[at..end]);
                }
                at = end;
            }
        }
        self.synced.clone_from(&survived);
        self.now = survived;
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn error(operation: Operation, path: &Path, kind: io::ErrorKind) -> DiskError {
    DiskError::new(operation, path, io::Error::from(kind))
}

impl World {
    /// Counts a changing act; answers the fault that strikes it.
    fn act(&mut self, operation: Operation, path: &Path) -> Result<Option<Fault>, DiskError> {
        self.alive(operation, path)?;
        self.acts += 1;
        let Some((_, fault)) = self.fault.take_if(|(at, _)| *at == self.acts) else { return Ok(None) };
        match fault {
            Fault::NoSpace => Err(error(operation, path, io::ErrorKind::StorageFull)),
            Fault::PowerBefore => {
                self.power_failed = true;
                self.alive(operation, path).map(|()| None)
            }
            Fault::Io if operation != Operation::Write => {
                Err(DiskError::new(operation, path, io::Error::other("input/output error")))
            }
            Fault::Io | Fault::PowerAfter => Ok(Some(fault)),
        }
    }

    /// Ends an act that was struck by `fault`.
    fn end(&mut self, operation: Operation, path: &Path, fault: Option<Fault>) -> Result<(), DiskError> {
        match fault {
            None => Ok(()),
            Some(Fault::PowerAfter) => {
                self.power_failed = true;
                self.alive(operation, path)
            }
            Some(_) => Err(DiskError::new(operation, path, io::Error::other("input/output error"))),
        }
    }

    fn alive(&self, operation: Operation, path: &Path) -> Result<(), DiskError> {
        if self.power_failed {
            return Err(DiskError::new(operation, path, io::Error::other("the power failed")));
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    fn parent_exists(&self, operation: Operation, path: &Path) -> Result<(), DiskError> {
        match path.parent().and_then(|parent| self.names.get(parent)) {
            Some(Node::Directory { .. }) => Ok(()),
            _ => Err(error(operation, path, io::ErrorKind::NotFound)),
        }
    }

    fn used(&self) -> u64 {
        let lens = self.names.values().filter_map(|node| match node {
            Node::File { content, .. } => self.files.get(*content).map(|file| file.now.len() as u64),
            Node::Directory { .. } => None,
        });
        lens.sum()
    }

    fn has_room(&self, more: u64) -> bool {
        self.capacity.is_none_or(|capacity| self.used().saturating_add(more) <= capacity)
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        let mut world = self.world();
        let fault = world.act(Operation::Create, path)?;
        world.parent_exists(Operation::Create, path)?;
        if world.names.contains_key(path) {
            return Err(error(Operation::Create, path, io::ErrorKind::AlreadyExists));
        }
        world.change(Change::Link(path.to_owned(), Node::Directory { mode: DIR_MODE }));
        world.end(Operation::Create, path, fault)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, DiskError> {
        let world = self.world();
        world.alive(Operation::List, path)?;
        if !matches!(world.names.get(path), Some(Node::Directory { .. })) {
            return Err(error(Operation::List, path, io::ErrorKind::NotFound));
        }
        let inside = world.names.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>, DiskError> {
        let world = self.world();
        world.alive(Operation::Stat, path)?;
        let stat = |kind, mode, len| Stat { kind, mode, owner: 0, len, device: 1 };
        Ok(world.names.get(path).map(|node| match node {
            Node::Directory { mode } => stat(Kind::Directory, *mode, 0),
            Node::File { content, mode } => {
                let len = world.files.get(*content).map_or(0, |file| file.now.len() as u64);
                stat(Kind::File, *mode, len)
            }
        }))
    }

    fn create(&self, path: &Path, preallocate: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut world = self.world();
        let fault = world.act(Operation::Create, path)?;
        world.parent_exists(Operation::Create, path)?;
        if world.names.contains_key(path) {
            return Err(error(Operation::Create, path, io::ErrorKind::AlreadyExists));
        }
        if !world.has_room(preallocate) {
            return Err(error(Operation::Preallocate, path, io::ErrorKind::StorageFull));
        }
        let zeros = vec![0; usize::try_from(preallocate).unwrap_or(usize::MAX)];
        let content = world.files.len();
        world.files.push(Content { now: zeros.clone(), synced: zeros, writes: Vec::new() });
        world.change(Change::Link(path.to_owned(), Node::File { content, mode: FILE_MODE }));
        world.end(Operation::Create, path, fault)?;
        Ok(Arc::new(self.file(&world, path, content, false)))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        let world = self.world();
        world.alive(Operation::Open, path)?;
        match world.names.get(path) {
            Some(Node::File { content, .. }) => Ok(Arc::new(self.file(&world, path, *content, true))),
            _ => Err(error(Operation::Open, path, io::ErrorKind::NotFound)),
        }
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let mut world = self.world();
        let fault = world.act(Operation::Rename, from)?;
        world.parent_exists(Operation::Rename, to)?;
        if !world.names.contains_key(from) {
            return Err(error(Operation::Rename, from, io::ErrorKind::NotFound));
        }
        world.change(Change::Rename(from.to_owned(), to.to_owned()));
        world.end(Operation::Rename, from, fault)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        let mut world = self.world();
        world.alive(Operation::Remove, path)?;
        if !matches!(world.names.get(path), Some(Node::File { .. })) {
            return Err(error(Operation::Remove, path, io::ErrorKind::NotFound));
        }
        let fault = world.act(Operation::Remove, path)?;
        world.change(Change::Unlink(path.to_owned()));
        world.end(Operation::Remove, path, fault)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        let mut world = self.world();
        let fault = world.act(Operation::SyncDir, path)?;
        if !matches!(world.names.get(path), Some(Node::Directory { .. })) {
            return Err(error(Operation::SyncDir, path, io::ErrorKind::NotFound));
        }
        let (synced, rest) = std::mem::take(&mut world.changes)
            .into_iter()
            .partition(|change| change.directories().contains(&Some(path)));
        world.changes = rest;
        for change in Vec::<Change>::into_iter(synced) {
            change.apply(&mut world.synced_names);
        }
        world.end(Operation::SyncDir, path, fault)
    }

    fn lock_dir(&self, path: &Path) -> Result<Option<Box<dyn DirLock>>, DiskError> {
        let mut world = self.world();
        world.alive(Operation::Lock, path)?;
        if world.locks.iter().any(|held| held == path) {
            return Ok(None);
        }
        world.locks.push(path.to_owned());
        Ok(Some(Box::new(SimLock { world: self.world.clone(), path: path.to_owned(), era: world.era })))
    }

    fn free_bytes(&self, path: &Path) -> Result<u64, DiskError> {
        let world = self.world();
        world.alive(Operation::FreeBytes, path)?;
        Ok(world.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(world.used())))
    }
}

impl SimDisk {
    fn file(&self, world: &World, path: &Path, content: usize, is_inherited: bool) -> SimFile {
        SimFile { world: self.world.clone(), path: path.to_owned(), content, is_inherited, era: world.era }
    }
}

#[derive(Debug)]
struct SimLock {
    world: Arc<Mutex<World>>,
    path: PathBuf,
    era: u64,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.era == self.era {
            world.locks.retain(|held| *held != self.path);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    world: Arc<Mutex<World>>,
    path: PathBuf,
    content: usize,
    is_inherited: bool,
    era: u64,
}

impl SimFile {
    fn world(&self, operation: Operation) -> Result<MutexGuard<'_, World>, DiskError> {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.era != self.era {
            return Err(DiskError::new(operation, &self.path, io::Error::other("opened before the crash")));
        }
        world.alive(operation, &self.path)?;
        Ok(world)
    }

    fn show(&self, world: &World, bytes: &[u8], offset: u64) {
        let (Some(observer), Some(file)) = (&world.observer, world.files.get(self.content)) else { return };
        let Self { path, is_inherited, .. } = self;
        observer.sees(&Write { path, is_inherited: *is_inherited, before: &file.now, offset, bytes });
    }

    fn offset(&self, operation: Operation, offset: u64) -> Result<usize, DiskError> {
        usize::try_from(offset).map_err(|_| error(operation, &self.path, io::ErrorKind::InvalidInput))
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let world = self.world(Operation::Read)?;
        let offset = self.offset(Operation::Read, offset)?;
        let rest = world.files.get(self.content).and_then(|file| file.now.get(offset..)).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        let mut world = self.world(Operation::Write)?;
        self.show(&world, bytes, offset);
        let offset = self.offset(Operation::Write, offset)?;
        let fault = world.act(Operation::Write, &self.path)?;
        let len = world.files.get(self.content).map_or(0, |file| file.now.len());
        let end = offset.checked_add(bytes.len());
        let end = end.ok_or_else(|| error(Operation::Write, &self.path, io::ErrorKind::FileTooLarge))?;
        if end > len && !world.has_room((end - len) as u64) {
            return Err(error(Operation::Write, &self.path, io::ErrorKind::StorageFull));
        }
        // An input/output error leaves the first half of the bytes behind, up to a sector's end.
        let half = (offset + bytes.len() / 2) / SECTOR * SECTOR;
        let done = if fault == Some(Fault::Io) { half.saturating_sub(offset) } else { bytes.len() };
        if let (Some(file), Some(bytes)) = (world.files.get_mut(self.content), bytes.get(..done)) {
            file.write(offset, bytes);
        }
        world.end(Operation::Write, &self.path, fault)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        let mut world = self.world(Operation::Sync)?;
        let fault = match world.act(Operation::Sync, &self.path) {
            Ok(fault) => fault,
            Err(error) => {
                // As Linux does: the pages count as clean now, so that asking again succeeds and makes nothing durable.
                if !world.power_failed
                    && let Some(file) = world.files.get_mut(self.content)
                {
                    file.writes.clear();
                }
                return Err(error);
            }
        };
        if let Some(file) = world.files.get_mut(self.content) {
            file.sync();
        }
        world.end(Operation::Sync, &self.path, fault)
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        let mut world = self.world(Operation::SetLen)?;
        let len = self.offset(Operation::SetLen, len)?;
        let fault = world.act(Operation::SetLen, &self.path)?;
        if let Some(file) = world.files.get_mut(self.content) {
            file.now.resize(len, 0);
            // A length is metadata and reaches the disk at once here; earlier writes beyond it must not bring it back.
            file.synced.resize(len, 0);
            file.writes.retain(|(offset, bytes)| offset + bytes.len() <= len);
        }
        world.end(Operation::SetLen, &self.path, fault)
    }

    fn len(&self) -> Result<u64, DiskError> {
        let world = self.world(Operation::Stat)?;
        Ok(world.files.get(self.content).map_or(0, |file| file.now.len() as u64))
    }
}
