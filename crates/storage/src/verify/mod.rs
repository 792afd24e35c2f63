//! Checking a data directory: every byte that the formats authenticate, all that is wrong and not only the first.
//!
//! Owns what is looked at and in what order, and what each thing found means. Changes nothing, prints nothing; streams, so
//! that memory is bounded by one chunk and the largest record however large the directory is (the list of its files apart).
//! Two ways: [`verify`] looks at a directory that no member runs on, [`scrub`] at what the running member does not write to
//! any more.
//!
//! Not looked at, because nothing reads it: bytes of a store segment beyond what the manifests list, of a log segment
//! beyond what its successor names, and the zeros after them (docs/formats/). Where there should be zeros and are none, a
//! note says so.
//!
//! Start reading at [`verify`]; `log.rs` and `store.rs` hold the rules, `sweep.rs` the way through one segment.

mod finding;
mod log;
mod manifests;
mod mark;
mod store;
mod sweep;

pub use finding::{Finding, Severity};

use crate::dir::{self, Dir};
use crate::{DataDir, Error, Found, FreshnessMark, names};
use env::{Env, Kind};
use finding::{Part, note};
use seal::{Identity, Keyring};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use types::LogIndex;

/// How much is read at once, offline.
const CHUNK_BYTES: usize = 1 << 20;

/// Who watches a check.
pub trait Observer {
    /// It begins: about so many bytes will be read.
    fn begins(&mut self, bytes: u64);

    /// It comes to a file.
    fn enters(&mut self, path: &Path);

    /// So many bytes more were read. May take its time, which slows the check down; may end it.
    fn passed(&mut self, bytes: u64) -> ControlFlow<()>;

    /// Something was found.
    fn found(&mut self, finding: Finding);
}

/// What the mark beside the key says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkSays {
    /// No mark was found, or none was looked for.
    #[default]
    Nothing,
    /// The data is at least as far as the mark.
    Fresh,
    /// The data is older than the mark.
    Older,
    /// The mark does not open.
    Unreadable,
}

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Whose data it is; none if the keyring does not open.
    pub identity: Option<Identity>,
    /// Files looked at.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Records that opened.
    pub records: u64,
    /// The last entry of the log.
    pub last_entry: Option<LogIndex>,
    /// The last entry whose effects the store holds.
    pub consistent_index: Option<LogIndex>,
    /// What the mark says.
    pub mark: MarkSays,
    /// Findings that are damage.
    pub damaged: u64,
    /// Findings of what could not be checked.
    pub unchecked: u64,
    /// Findings that nobody has to act on.
    pub notes: u64,
    /// Whether the observer ended it early.
    pub is_stopped: bool,
}

/// Whether a member runs on the directory meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Offline,
    Live,
}

/// Why a check ends early.
enum Halt {
    Stopped,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A check that is under way.
struct Check<'a> {
    dir: &'a Dir,
    observer: &'a mut dyn Observer,
    mode: Mode,
    chunk: usize,
    tally: Verified,
}

impl Check<'_> {
    fn enters(&mut self, path: &Path) {
        self.tally.files = self.tally.files.saturating_add(1);
        self.observer.enters(path);
    }

    fn passed(&mut self, bytes: u64) -> Result<(), Halt> {
        self.tally.bytes = self.tally.bytes.saturating_add(bytes);
        match self.observer.passed(bytes) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Halt::Stopped),
        }
    }

    fn found(&mut self, finding: Finding) {
        self.tally.count(&finding);
        self.observer.found(finding);
    }
}

impl Verified {
    fn count(&mut self, finding: &Finding) {
        let counter = match finding.severity {
            Severity::Damage => &mut self.damaged,
            Severity::Unchecked => &mut self.unchecked,
            Severity::Note => &mut self.notes,
        };
        *counter = counter.saturating_add(1);
    }

    fn ended(mut self, outcome: Result<(), Halt>) -> Result<Self, Error> {
        match outcome {
            Ok(()) => Ok(self),
            Err(Halt::Stopped) => {
                self.is_stopped = true;
                Ok(self)
            }
            Err(Halt::Failed(error)) => Err(error),
        }
    }
}

/// Checks the data directory at `path`, on which no member runs; holds it meanwhile. The key is looked for in `places`
/// (files or directories), the mark beside the key and in the directories among them.
///
/// # Errors
/// Nothing can be checked: no data, not ours, in use, no key, the disk's failure.
pub fn verify(
    env: &Env,
    path: &Path,
    places: &[PathBuf],
    observer: &mut dyn Observer,
) -> Result<Verified, Error> {
    let disk = &*env.disk;
    let mut tally = Verified::default();
    let mut tell = |finding: Finding| {
        let mut tally = Verified::default();
        tally.count(&finding);
        observer.found(finding);
        Ok(tally)
    };
    let keyring_path = path.join(names::KEYRING);
    match disk.stat(path)? {
        None => return Err(Error::NoData { path: path.to_owned() }),
        Some(stat) if stat.kind != Kind::Directory => {
            let why = "it is not a directory".to_owned();
            return Err(Error::Inconsistent { path: path.to_owned(), why });
        }
        Some(_) => {}
    }
    match DataDir::inspect(env, path) {
        Ok(Found::Ours { .. }) => {}
        Ok(Found::Nothing) => return Err(Error::NoData { path: path.to_owned() }),
        Err(Error::Inconsistent { .. }) => {
            return tell(Part::Keyring.damage(
                keyring_path,
                None,
                "there is data, but the keyring is not there",
            ));
        }
        Err(Error::Damaged { why, .. }) => return tell(Part::Keyring.damage(keyring_path, 0, why)),
        Err(error) => return Err(error),
    }
    let lock = dir::hold(disk, path)?;
    let (head, sealed) = dir::read_head(disk, path)?;
    let key = dir::find_key(disk, &head, places)?;
    let keyring = match Keyring::open(&sealed, &key) {
        Ok(keyring) => keyring,
        Err(why @ (seal::Error::Malformed { .. } | seal::Error::Tampered { .. })) => {
            return tell(Part::Keyring.damage(keyring_path, 0, why.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let dir = Dir::new(env, path, keyring, lock);
    tally.identity = Some(dir.keyring.identity());
    let mut check = Check { dir: &dir, observer, mode: Mode::Offline, chunk: CHUNK_BYTES, tally };
    let beside = key.path().parent().map(Path::to_owned);
    let name = FreshnessMark::file_name(head.identity, head.first_key());
    let marks = beside.iter().chain(places).map(|place| place.join(&name));
    let outcome = offline(&mut check, marks);
    check.tally.ended(outcome)
}

fn offline(check: &mut Check<'_>, marks: impl Iterator<Item = PathBuf>) -> Result<(), Halt> {
    let path = &check.dir.path;
    let disk = &*check.dir.env.disk;
    let keyring = path.join(names::KEYRING);
    let sizes = |below: &str| {
        let below = path.join(below);
        let names = disk.list(&below).unwrap_or_default();
        names
            .iter()
            .filter_map(|name| disk.stat(&below.join(name)).ok().flatten())
            .fold(0u64, |sum, stat| sum.saturating_add(stat.len))
    };
    let store = manifest_bytes(check);
    check.observer.begins(store.saturating_add(sizes(names::LOG)));
    check.enters(&keyring);
    check.passed(disk.stat(&keyring).map_err(Error::from)?.map_or(0, |stat| stat.len))?;
    surroundings(check)?;
    let manifests = manifests::check(check)?;
    let ends = log::check(check)?;
    manifests::follow(check, &manifests, ends.begins);
    store::check(check, &manifests)?;
    if let (Some(last), Some(newest)) = (ends.last, manifests.kept.first())
        && last < newest.checkpoint.consistent_index
    {
        let what = format!(
            "the log ends at entry {last}, before the store's entry {}",
            newest.checkpoint.consistent_index
        );
        let means = "a copy taken while the member ran looks so, and starts; after anything else, the log's end was removed";
        check.found(note(check.dir.path.join(names::LOG), None, what, means));
    }
    mark::check(check, marks, manifests.newest, ends.position)
}

/// About how many bytes of the store will be read.
fn manifest_bytes(check: &Check<'_>) -> u64 {
    let dir = check.dir;
    let generations = crate::manifest::generations(&*dir.env.disk, &dir.path).unwrap_or_default();
    let kept = generations
        .iter()
        .rev()
        .take(2)
        .filter_map(|generation| crate::manifest::Manifest::read(dir, *generation).ok());
    store::bytes(&store::listed(&kept.collect::<Vec<_>>()))
}

/// What lies in the directory besides.
fn surroundings(check: &mut Check<'_>) -> Result<(), Halt> {
    let path = check.dir.path.clone();
    let disk = &*check.dir.env.disk;
    if let Some(mode) =
        disk.stat(&path).map_err(Error::from)?.map(|stat| stat.mode).filter(|mode| mode & 0o077 != 0)
    {
        let means = "other users can list it; a member closes it or refuses to start";
        check.found(note(&path, None, format!("it has mode {mode:04o}, not 0700"), means));
    }
    for name in disk.list(&path).map_err(Error::from)? {
        let below = path.join(&name);
        if names::is_temporary(&name) {
            check.found(note(
                below,
                None,
                "a replacement that was cut short",
                "it is never read; the next start deletes it",
            ));
        } else if name == names::KEYS {
            let means = "whoever has a copy of the directory has the key; see STRONGROOM_KEY_FILE";
            check.found(note(below, None, "keys lie inside the data directory", means));
        } else if name != names::KEYRING && !names::is_of_creation(&name) {
            check.found(note(below, None, "a stray: nothing of ours has this name", "it is never read"));
        }
    }
    Ok(())
}

/// A file among segments that is none: a start refuses while it is there.
fn foreign(path: PathBuf) -> Finding {
    let means = "no data is touched by it, but the member does not start while it is there";
    Finding { next: "move it away", ..note(path, None, "a stray: it does not belong there", means) }
}

/// Checks what the running member holds and does not write to any more: manifests, finished log segments, and the store
/// as far as the manifests list it. Reads `chunk` bytes at once.
///
/// # Errors
/// The disk's failure.
pub fn scrub(dir: &DataDir, chunk: usize, observer: &mut dyn Observer) -> Result<Verified, Error> {
    let tally = Verified { identity: Some(dir.identity()), ..Verified::default() };
    let mut check = Check { dir: &dir.dir, observer, mode: Mode::Live, chunk, tally };
    let outcome = live(&mut check);
    check.tally.ended(outcome)
}

fn live(check: &mut Check<'_>) -> Result<(), Halt> {
    let bytes = manifest_bytes(check);
    check.observer.begins(bytes);
    let manifests = manifests::check(check)?;
    log::check(check)?;
    store::check(check, &manifests)
}
