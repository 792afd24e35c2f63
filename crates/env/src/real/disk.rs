//! The file systems of this machine.
//!
//! Owns the mapping of each act to system calls (Linux): `fallocate` for reserved space, `fdatasync`, `flock` on the
//! directory itself (so that no lock file lies about), `statvfs`. Where a file system knows no `fallocate`, the length
//! is set without reserving.

use crate::disk::{DIR_MODE, DirLock, Disk, DiskError, DiskFile, FILE_MODE, Kind, Operation, Stat};
use rustix::fs::{FallocateFlags, FlockOperation};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The real disk.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
}

#[derive(Debug)]
struct RealLock {
    /// Closing it gives the lock back.
    _dir: File,
}

impl DirLock for RealLock {}

fn failed(operation: Operation, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| DiskError::new(operation, path, source)
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        DirBuilder::new().mode(DIR_MODE).create(path).map_err(failed(Operation::Create, path))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, DiskError> {
        let mut names = std::fs::read_dir(path)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                    .collect::<io::Result<Vec<_>>>()
            })
            .map_err(failed(Operation::List, path))?;
        names.sort_unstable();
        Ok(names)
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>, DiskError> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DiskError::new(Operation::Stat, path, error)),
        };
        let kind = match () {
            () if metadata.is_file() => Kind::File,
            () if metadata.is_dir() => Kind::Directory,
            () => Kind::Other,
        };
        Ok(Some(Stat {
            kind,
            mode: metadata.mode() & 0o7777,
            owner: metadata.uid(),
            len: metadata.len(),
            device: metadata.dev(),
        }))
    }

    fn create(&self, path: &Path, preallocate: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)
            .map_err(failed(Operation::Create, path))?;
        if preallocate > 0
            && let Err(error) = reserve(&file, preallocate)
        {
            drop(file);
            // Best effort: an empty file left behind is no harm, the failure that matters is the one reported.
            let _ = std::fs::remove_file(path);
            return Err(DiskError::new(Operation::Preallocate, path, error));
        }
        Ok(Arc::new(RealFile { file, path: path.to_owned() }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(failed(Operation::Open, path))?;
        Ok(Arc::new(RealFile { file, path: path.to_owned() }))
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file = File::open(path).map_err(failed(Operation::Open, path))?;
        Ok(Arc::new(RealFile { file, path: path.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        std::fs::rename(from, to).map_err(failed(Operation::Rename, from))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        std::fs::remove_file(path).map_err(failed(Operation::Remove, path))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        File::open(path).and_then(|dir| dir.sync_all()).map_err(failed(Operation::SyncDir, path))
    }

    fn lock_dir(&self, path: &Path) -> Result<Option<Box<dyn DirLock>>, DiskError> {
        let dir = File::open(path).map_err(failed(Operation::Lock, path))?;
        match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(RealLock { _dir: dir }))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(DiskError::new(Operation::Lock, path, error.into())),
        }
    }

    fn free_bytes(&self, path: &Path) -> Result<u64, DiskError> {
        let stat = rustix::fs::statvfs(path)
            .map_err(|error| DiskError::new(Operation::FreeBytes, path, error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn reserve(file: &File, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(len),
        Err(error) => Err(error.into()),
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DiskError::new(Operation::Read, &self.path, error)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset).map_err(failed(Operation::Write, &self.path))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(failed(Operation::Sync, &self.path))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len).map_err(failed(Operation::SetLen, &self.path))
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.file.metadata().map_err(failed(Operation::Stat, &self.path))?.len())
    }
}
