//! A segment that is read while it is written: the file up to `written`, the buffer from there on.
//!
//! The buffer's lock is held for one record, or for one large write; readers need it only for what is not written yet.

use super::{Position, RecordKind, SegmentNumber};
use crate::dir::Dir;
use crate::file::{self, Scan, SegmentFile, Step};
use crate::{Error, names};
use bytes::Bytes;
use seal::{Extent, HEAD_BYTES, Purpose, RecordHead, Sealer, TAG_BYTES};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A segment of the store.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    file: SegmentFile,
    buffer: Mutex<Vec<u8>>,
    /// Bytes that are in the file.
    written: AtomicU64,
    /// Bytes that are synced, with the file's name.
    synced: AtomicU64,
}

impl Segment {
    /// A segment that an earlier life wrote, of which `length` bytes count.
    pub(super) fn inherited(number: u32, file: SegmentFile, length: u64) -> Self {
        Self { number, file, buffer: Mutex::default(), written: length.into(), synced: length.into() }
    }

    /// A new file with its header sealed, and what seals the rest of it.
    pub(super) fn create(
        dir: &Dir,
        purpose: Purpose,
        number: u32,
        capacity: u64,
        buffer_bytes: usize,
    ) -> Result<(Self, Sealer), Error> {
        let path = match purpose {
            Purpose::Index => names::store_index(&dir.path, number),
            _ => names::store_segment(&dir.path, number),
        };
        let file = dir.env.disk.create(&path, capacity).map_err(|error| match error.is_no_space() {
            true => Error::NoSpace { path: path.clone(), bytes: capacity },
            false => error.into(),
        })?;
        let mut buffer = Vec::with_capacity(buffer_bytes);
        let sealer = Sealer::begin(&dir.keyring, purpose, number.into(), &*dir.env.random, &mut buffer)?;
        let file = SegmentFile { path, file, key: sealer.key() };
        let segment = Self { number, file, buffer: Mutex::new(buffer), written: 0.into(), synced: 0.into() };
        Ok((segment, sealer))
    }

    /// Seals a record to the end.
    pub(super) fn append(
        &self,
        sealer: &mut Sealer,
        kind: RecordKind,
        payload: &[u8],
        buffer_bytes: usize,
    ) -> Result<Position, Error> {
        let mut buffer = self.sealed_by(sealer);
        let at = sealer.seal(kind.0, &[payload], &mut buffer)?;
        if buffer.len() >= buffer_bytes {
            self.write(&mut buffer)?;
        }
        let at = u32::try_from(at).map_err(|_| Error::Misuse("a segment beyond 4 GiB".to_owned()))?;
        Ok(Position::new(SegmentNumber(self.number), at))
    }

    /// Seals the end.
    pub(super) fn end(&self, sealer: &mut Sealer) -> Result<Extent, Error> {
        let mut buffer = self.sealed_by(sealer);
        let extent = sealer.end(&mut buffer)?;
        self.write(&mut buffer)?;
        *buffer = Vec::new();
        Ok(extent)
    }

    /// The buffer, for what `sealer` will put there: it began this segment, and stands where the buffer ends.
    fn sealed_by(&self, sealer: &Sealer) -> MutexGuard<'_, Vec<u8>> {
        assert!(sealer.seals_with(&self.file.key), "segment {} is another sealer's", self.number);
        let buffer = self.buffer();
        let end = self.written.load(Ordering::Acquire).saturating_add(buffer.len() as u64);
        assert_eq!(sealer.position(), end, "segment {} is written where it was sealed", self.number);
        buffer
    }

    /// Writes what waits in the buffer.
    pub(super) fn flush(&self) -> Result<(), Error> {
        self.write(&mut self.buffer())
    }

    fn write(&self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        if buffer.is_empty() {
            return Ok(());
        }
        let written = self.written.load(Ordering::Acquire);
        self.file.file.write_at(buffer, written)?;
        // Readers that see the new count find the bytes in the file; the others wait for the lock and look again.
        self.written.store(written.saturating_add(buffer.len() as u64), Ordering::Release);
        buffer.clear();
        Ok(())
    }

    /// Makes the first `length` bytes durable; answers whether the file's name was not durable before.
    pub(super) fn sync(&self, length: u64) -> Result<bool, Error> {
        let synced = self.synced.load(Ordering::Acquire);
        if synced >= length {
            return Ok(false);
        }
        self.file.file.sync_data()?;
        self.synced.store(length, Ordering::Release);
        Ok(synced == 0)
    }

    /// Bytes that are in the file.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Bytes appended.
    pub(super) fn bytes(&self) -> u64 {
        let buffer = self.buffer();
        self.written.load(Ordering::Acquire).saturating_add(buffer.len() as u64)
    }

    /// Reads a record.
    pub(super) fn read(&self, offset: u64) -> Result<(RecordKind, Bytes), Error> {
        let mut written = self.written.load(Ordering::Acquire);
        if offset >= written {
            let buffer = self.buffer();
            written = self.written.load(Ordering::Acquire);
            if offset >= written {
                return self.read_buffered(&buffer, offset, written);
            }
        }
        let (kind, payload) = self.file.read(offset, written)?;
        Ok((RecordKind(kind), payload))
    }

    fn read_buffered(&self, buffer: &[u8], offset: u64, written: u64) -> Result<(RecordKind, Bytes), Error> {
        let nothing = || self.file.damaged(offset, "nothing is there");
        let start = usize::try_from(offset.saturating_sub(written)).unwrap_or(usize::MAX);
        let rest = buffer.get(start..).ok_or_else(nothing)?;
        let head = rest.first_chunk::<HEAD_BYTES>().ok_or_else(nothing)?;
        let head =
            RecordHead::decode(head).map_err(|why| self.file.damaged(offset, why))?.ok_or_else(nothing)?;
        let mut record = rest.get(..head.record_bytes()).ok_or_else(nothing)?.to_vec();
        let opened = self.file.key.open_at(offset, &[0; TAG_BYTES], &mut record);
        let (kind, payload) = opened.map_err(|why| self.file.damaged(offset, why))?;
        Ok((RecordKind(kind), Bytes::copy_from_slice(payload)))
    }

    /// Visits the records of `extent`, to keep them, and checks that they are what it says.
    pub(super) fn scan<E: From<Error>>(
        &self,
        extent: &Extent,
        visit: &mut impl FnMut(Position, RecordKind, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        self.flush()?;
        let mut scan = Scan::new(&self.file, extent.length);
        loop {
            match scan.step()? {
                Step::Record(at, kind, payload) => {
                    let at = u32::try_from(at).map_err(|_| self.file.damaged(at, "a record beyond 4 GiB"))?;
                    visit(Position::new(SegmentNumber(self.number), at), RecordKind(kind), payload)?;
                }
                Step::End => {}
                Step::Limit if scan.extent() == *extent => return Ok(()),
                Step::Limit => {
                    let why = "its chain hash is not what the manifest says";
                    return Err(self.file.damaged(extent.length, why).into());
                }
                Step::Bad { why, .. } => return Err(self.file.damaged(scan.position(), why).into()),
            }
        }
    }

    /// Visits the records of `extent` as [`Segment::scan`] does, to look at them.
    pub(super) fn look<E: From<Error>>(
        &self,
        extent: &Extent,
        mut visit: impl FnMut(Position, RecordKind, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.flush()?;
        file::visit(&self.file, extent, |at, kind, payload| {
            let at = u32::try_from(at).map_err(|_| self.file.damaged(at, "a record beyond 4 GiB"))?;
            visit(Position::new(SegmentNumber(self.number), at), RecordKind(kind), payload)
        })
    }

    /// Gives back the space beyond `length`.
    pub(super) fn cut(&self, length: u64) -> Result<(), Error> {
        if self.file.file.len()? > length {
            self.file.file.set_len(length)?;
        }
        Ok(())
    }

    fn buffer(&self) -> MutexGuard<'_, Vec<u8>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;
    use seal::{Identity, Keyring};
    use std::path::Path;
    use types::{ClusterId, MemberId};

    fn segment(number: u32) -> (Segment, Sealer) {
        let (env, ..) = Env::simulated(u64::from(number));
        let below = Path::new("/store");
        env.disk.create_dir(below).unwrap();
        let identity = Identity { cluster: ClusterId(1), member: MemberId(1) };
        let lock = env.disk.lock_dir(below).unwrap().unwrap();
        let dir = Dir::new(&env, Path::new("/"), Keyring::generate(identity, &*env.random), lock);
        Segment::create(&dir, Purpose::Store, number, 0, 1).unwrap()
    }

    /// A segment that somebody else began, an earlier life above all, is never written on in: its nonces are not known to be
    /// unused, and what is sealed with another key does not open there.
    #[test]
    #[should_panic(expected = "segment 2 is another sealer's")]
    fn a_segment_takes_nothing_from_another_sealer() {
        let ((_, mut ours), (theirs, _)) = (segment(1), segment(2));
        let _ = theirs.append(&mut ours, RecordKind(1), b"text", 1);
    }

    /// What was sealed and did not come into the buffer leaves no gap behind it: the next record would not open at its place.
    #[test]
    #[should_panic(expected = "segment 1 is written where it was sealed")]
    fn a_record_stands_where_it_was_sealed() {
        let (segment, mut sealer) = segment(1);
        sealer.seal(1, &[b"lost"], &mut Vec::new()).unwrap();
        let _ = segment.append(&mut sealer, RecordKind(1), b"text", 1);
    }
}
