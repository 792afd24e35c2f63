//! One segment file: its records read at their place, or scanned in order.
//!
//! Owns the way from bytes on disk to authenticated records, and the naming of damage by file and position. Knows
//! nothing of what the records mean.

use crate::Error;
use bytes::{Buf, Bytes, BytesMut};
use env::{Disk, DiskFile};
use seal::{
    Extent, HEAD_BYTES, HEADER_BYTES, Keyring, Opened, Purpose, RecordHead, SegmentKey, TAG_BYTES, Walk,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much a scan reads at once.
const SCAN_BYTES: usize = 1 << 20;
/// How much a single read reads at first: enough for most records.
const READ_BYTES: usize = 4096;

/// A segment whose header is authenticated.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) key: Arc<SegmentKey>,
}

impl SegmentFile {
    /// Opens segment `number`.
    pub(crate) fn open(
        disk: &dyn Disk,
        keyring: &Keyring,
        purpose: Purpose,
        number: u64,
        path: &Path,
    ) -> Result<Self, Error> {
        Self::of(disk.open(path)?, keyring, purpose, number, path)
    }

    /// The open file as segment `number`.
    pub(crate) fn of(
        file: Arc<dyn DiskFile>,
        keyring: &Keyring,
        purpose: Purpose,
        number: u64,
        path: &Path,
    ) -> Result<Self, Error> {
        let mut header = [0; HEADER_BYTES];
        if file.read_at(&mut header, 0)? < HEADER_BYTES {
            return Err(damaged(path, 0, "its header is cut short"));
        }
        let key =
            SegmentKey::open(keyring, purpose, number, &header).map_err(|why| Error::unopened(path, why))?;
        Ok(Self { path: path.to_owned(), file, key: Arc::new(key) })
    }

    /// Reads the record at `position`, of the file's first `limit` bytes; answers its type and payload.
    pub(crate) fn read(&self, position: u64, limit: u64) -> Result<(u8, Bytes), Error> {
        let damaged = |why| damaged(&self.path, position, why);
        let mut first = [0; READ_BYTES];
        let start =
            position.checked_sub(TAG_BYTES as u64).ok_or_else(|| damaged("before the first record"))?;
        let count = self.file.read_at(&mut first, start)?;
        let (previous, bytes) = first
            .get_mut(..count)
            .and_then(|bytes| bytes.split_first_chunk_mut())
            .ok_or_else(|| damaged("the file ends there"))?;
        let head = bytes.first_chunk::<HEAD_BYTES>().ok_or_else(|| damaged("the file ends there"))?;
        let head = RecordHead::decode(head).map_err(|why| self.damaged(position, why))?;
        let head = head.ok_or_else(|| damaged("nothing is there"))?;
        let record_bytes = head.record_bytes();
        if position.saturating_add(record_bytes as u64) > limit {
            return Err(damaged("the record runs beyond the end"));
        }
        if let Some(record) = bytes.get_mut(..record_bytes) {
            let opened = self.key.open_at(position, previous, record);
            let (kind, payload) = opened.map_err(|why| self.damaged(position, why))?;
            return Ok((kind, Bytes::copy_from_slice(payload)));
        }
        let mut record = BytesMut::zeroed(record_bytes);
        if self.file.read_at(&mut record, position)? < record_bytes {
            return Err(damaged("the file ends within the record"));
        }
        let (kind, _) =
            self.key.open_at(position, previous, &mut record).map_err(|why| self.damaged(position, why))?;
        Ok((kind, record.freeze().slice(HEAD_BYTES..record_bytes - TAG_BYTES)))
    }

    /// Damage at a place in this file.
    pub(crate) fn damaged(&self, position: u64, why: impl ToString) -> Error {
        damaged(&self.path, position, why)
    }
}

/// Damage at a place in a file.
pub(crate) fn damaged(path: &Path, position: u64, why: impl ToString) -> Error {
    Error::Damaged { path: path.to_owned(), position, why: why.to_string() }
}

/// What a scan came by.
#[derive(Debug)]
pub(crate) enum Step<P = Bytes> {
    /// A record: position, type, payload.
    Record(u64, u8, P),
    /// The authenticated end.
    End,
    /// The bytes that count end here.
    Limit,
    /// What stands here is no record: why, and how many bytes its head claims for it, if it has one.
    Bad { why: String, claims: Option<u64> },
}

/// Visits the records of `extent` with position, type and payload, and checks that they are what it says. Only an end without
/// error says that none is missing.
pub(crate) fn visit<E: From<Error>>(
    segment: &SegmentFile,
    extent: &Extent,
    mut visit: impl FnMut(u64, u8, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut scan = Scan::new(segment, extent.length);
    let bad = loop {
        match scan.look()? {
            Step::Record(at, kind, payload) => visit(at, kind, payload)?,
            Step::End => {}
            Step::Limit => break None,
            Step::Bad { why, .. } => break Some(why),
        }
    };
    match bad {
        Some(why) => Err(segment.damaged(scan.position(), why).into()),
        None if scan.extent() == *extent => Ok(()),
        None => Err(segment.damaged(extent.length, "its chain hash is not what the manifest says").into()),
    }
}

/// A scan over a segment's records.
pub(crate) struct Scan<'a> {
    segment: &'a SegmentFile,
    walk: Walk,
    limit: u64,
    buffer: BytesMut,
    /// Bytes of the buffer that were looked at, and are no more needed.
    seen: usize,
}

impl<'a> Scan<'a> {
    /// A scan of the first `limit` bytes.
    pub(crate) fn new(segment: &'a SegmentFile, limit: u64) -> Self {
        Self { segment, walk: Walk::new(&segment.key), limit, buffer: BytesMut::new(), seen: 0 }
    }

    pub(crate) fn position(&self) -> u64 {
        self.walk.position()
    }

    pub(crate) fn extent(&self) -> Extent {
        self.walk.extent()
    }

    /// The next record, to keep, or why there is none. Only the disk's failure is an error.
    pub(crate) fn step(&mut self) -> Result<Step, Error> {
        let record_bytes = match self.next()? {
            Ok(record_bytes) => record_bytes,
            Err(none) => return Ok(none),
        };
        let mut record = self.buffer.split_to(record_bytes);
        match self.walk.step(&self.segment.key, &mut record) {
            Ok(Opened::Record(position, kind, _)) => {
                let payload = record.freeze().slice(HEAD_BYTES..record_bytes - TAG_BYTES);
                Ok(Step::Record(position, kind, payload))
            }
            Ok(Opened::End) => Ok(Step::End),
            Err(why) => Ok(Step::Bad { why: why.to_string(), claims: Some(record_bytes as u64) }),
        }
    }

    /// The next record, to look at: as [`Scan::step`], without what it costs to keep it.
    pub(crate) fn look(&mut self) -> Result<Step<&[u8]>, Error> {
        let record_bytes = match self.next()? {
            Ok(record_bytes) => record_bytes,
            Err(none) => return Ok(none),
        };
        let record = self.buffer.get_mut(..record_bytes).unwrap_or_default();
        match self.walk.step(&self.segment.key, record) {
            Ok(Opened::Record(position, kind, payload)) => {
                self.seen = record_bytes;
                Ok(Step::Record(position, kind, payload))
            }
            Ok(Opened::End) => {
                self.seen = record_bytes;
                Ok(Step::End)
            }
            Err(why) => Ok(Step::Bad { why: why.to_string(), claims: Some(record_bytes as u64) }),
        }
    }

    /// Has the next record in the buffer, still sealed, and answers how long it is; or why there is none.
    fn next<P>(&mut self) -> Result<Result<usize, Step<P>>, Error> {
        self.buffer.advance(std::mem::take(&mut self.seen));
        let position = self.walk.position();
        if position == self.limit {
            return Ok(Err(Step::Limit));
        }
        if !self.fill(HEAD_BYTES)? {
            return Ok(Err(Step::Bad { why: "the file ends within a record".to_owned(), claims: None }));
        }
        let head = self.buffer.first_chunk::<HEAD_BYTES>().map(RecordHead::decode);
        let head = match head {
            Some(Ok(Some(head))) => head,
            Some(Err(why)) => return Ok(Err(Step::Bad { why: why.to_string(), claims: None })),
            _ => return Ok(Err(Step::Bad { why: "nothing is there".to_owned(), claims: None })),
        };
        let record_bytes = head.record_bytes();
        if self.fill(record_bytes)? {
            return Ok(Ok(record_bytes));
        }
        let claims = Some(record_bytes as u64);
        Ok(Err(Step::Bad { why: "the record runs beyond the end".to_owned(), claims }))
    }

    /// Has at least `need` bytes from the walk's position in the buffer; false if so many do not count.
    fn fill(&mut self, need: usize) -> Result<bool, Error> {
        if self.buffer.len() >= need {
            return Ok(true);
        }
        let have_end = self.walk.position().saturating_add(self.buffer.len() as u64);
        let left = usize::try_from(self.limit.saturating_sub(have_end)).unwrap_or(usize::MAX);
        let missing = need - self.buffer.len();
        if left < missing {
            return Ok(false);
        }
        let start = self.buffer.len();
        self.buffer.resize(start + missing.max(SCAN_BYTES).min(left), 0);
        let space = self.buffer.get_mut(start..).unwrap_or_default();
        let count = self.segment.file.read_at(space, have_end)?;
        self.buffer.truncate(start + count);
        Ok(self.buffer.len() >= need)
    }
}
