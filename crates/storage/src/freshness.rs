//! The freshness mark: how far this member was when it last looked, kept beside the key and not in the data directory
//! (docs/formats/freshness.md).
//!
//! A data directory put back from an old copy, or a log whose end was taken away, is whole in itself; only something
//! outside it can tell. Owns the mark's file and the comparison; what follows from it is the caller's to decide: alone a
//! member refuses or warns, in a cluster the peers know.
//!
//! Invariants: a mark is written only after what it marks is durable, so a mark is never ahead of an untouched directory,
//! whatever crashes; it is written at most once a second and never synced, so it costs the write path nothing.

use crate::codec::{Input, Unreadable};
use crate::dir::Dir;
use crate::{DataDir, Error, LogPosition, Recovered};
use env::{DiskError, Monotonic};
use seal::{HEADER_BYTES, Identity, KeyId, Purpose, SegmentHeader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const VERSION: u8 = 1;
const BYTES_MAX: u64 = 4096;
/// How long a mark is good enough.
const INTERVAL: Duration = Duration::from_secs(1);

/// How far a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The newest manifest's number.
    pub generation: u64,
    /// How much of the log is synced.
    pub position: LogPosition,
}

/// What the mark says about a directory that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The directory is at least as far as the mark.
    Fresh,
    /// There is no mark: the directory is new, or the mark was lost or never brought along.
    Unmarked,
    /// There is a mark that does not open: a power failure cut it short, it is another member's, or somebody changed it.
    Unreadable(String),
    /// The directory is not as far as it was: an old copy was put back, or the end of the log is gone.
    RolledBack {
        /// How far it was.
        marked: Mark,
        /// How far it is.
        found: Mark,
    },
}

/// Keeps the mark.
#[derive(Debug)]
pub struct FreshnessMark {
    dir: Arc<Dir>,
    path: PathBuf,
    number: u64,
    last: Option<(Mark, Monotonic)>,
}

impl FreshnessMark {
    /// The name of the mark of a member whose keyring names `key` first. Ids of members follow from settings where `etcd` is
    /// asked to found a cluster, and keys of several members may lie in one directory: together they are one member's.
    #[must_use]
    pub fn file_name(identity: Identity, key: KeyId) -> String {
        format!("strongroom-{}-{key}.mark", identity.member)
    }

    /// Reads the mark at `path` and compares it with what was found in `dir`.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn open(dir: &DataDir, recovered: &Recovered, path: PathBuf) -> Result<(Self, Freshness), Error> {
        let generation = dir.chosen.generations.last().copied().unwrap_or(0);
        let found = Mark { generation, position: recovered.position };
        let mut mark = Self { dir: dir.dir.clone(), path, number: 0, last: None };
        let freshness = match mark.read()? {
            None => Freshness::Unmarked,
            Some(Err(why)) => Freshness::Unreadable(why),
            Some(Ok(marked)) if found.generation < marked.generation || found.position < marked.position => {
                Freshness::RolledBack { marked, found }
            }
            Some(Ok(_)) => Freshness::Fresh,
        };
        Ok((mark, freshness))
    }

    /// Notes how far the member is, unless that was done within the last second; answers whether it was written. To be
    /// called after the log's sync, with nothing that is not durable.
    ///
    /// # Errors
    /// The disk's failure; the old mark may be lost then. The data is not touched by it.
    pub fn note(&mut self, mark: Mark) -> Result<bool, Error> {
        let now = self.dir.env.clock.monotonic();
        if self.last.is_some_and(|(last, at)| last == mark || now.since(at) < INTERVAL) {
            return Ok(false);
        }
        self.write(mark)?;
        self.last = Some((mark, now));
        Ok(true)
    }

    fn read(&mut self) -> Result<Option<Result<Mark, String>>, Error> {
        Ok(read(&self.dir, &self.path)?.map(|read| {
            let (number, mark) = read?;
            self.number = number;
            Ok(mark)
        }))
    }

    fn write(&mut self, mark: Mark) -> Result<(), Error> {
        let Dir { env, keyring, .. } = &*self.dir;
        self.number = self.number.wrapping_add(1);
        let sealed = seal::seal_file(keyring, Purpose::Freshness, self.number, &encode(mark), &*env.random)?;
        let mut name = self.path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        let written: Result<(), DiskError> = match env.disk.remove(&temporary) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => env.disk.create(&temporary, 0).and_then(|file| file.write_at(&sealed, 0)),
        };
        written?;
        Ok(env.disk.rename(&temporary, &self.path)?)
    }
}

/// A mark with its number, or why it does not open.
pub(crate) type Opened = Result<(u64, Mark), String>;

/// The mark at `path`; nothing if it is not there.
pub(crate) fn read(dir: &Dir, path: &Path) -> Result<Option<Opened>, Error> {
    let sealed = match dir.env.disk.read(path, BYTES_MAX) {
        Ok(sealed) => sealed,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(unseal(dir, &sealed).map_err(|why| format!("{}: {why}", path.display()))))
}

fn unseal(dir: &Dir, sealed: &[u8]) -> Opened {
    let header = sealed.first_chunk::<HEADER_BYTES>().ok_or("cut short")?;
    let number = SegmentHeader::decode(header).map_err(|why| why.to_string())?.number;
    let opened = seal::open_file(&dir.keyring, Purpose::Freshness, number, sealed);
    Ok((number, decode(opened.map_err(|why| why.to_string())?)?))
}

fn encode(mark: Mark) -> Vec<u8> {
    let Mark { generation, position } = mark;
    let mut out = vec![VERSION];
    out.extend_from_slice(&generation.to_be_bytes());
    out.extend_from_slice(&position.segment.to_be_bytes());
    out.extend_from_slice(&position.offset.to_be_bytes());
    out
}

fn decode(payload: Vec<u8>) -> Result<Mark, Unreadable> {
    let mut input = Input::new(payload.into());
    if input.u8()? != VERSION {
        return Err("a mark of an unknown version");
    }
    let generation = input.u64()?;
    let position = LogPosition { segment: input.u32()?, offset: input.u64()? };
    input.end()?;
    Ok(Mark { generation, position })
}
