//! A segment read from its first record on, past damage too.
//!
//! Like a scan (`file.rs`), but it stays where a record does not open, and can look for the next one that does: each
//! record opens only at its place, so one that opens is where it belongs. Memory is bounded by one chunk and the largest record.
//!
//! Invariant: the extent is known only while nothing was passed over.

use super::{Check, Halt};
use crate::Error;
use crate::file::SegmentFile;
use bytes::{Buf, Bytes, BytesMut};
use seal::{Extent, HEAD_BYTES, HEADER_BYTES, Opened, RECORD_OVERHEAD, RecordHead, TAG_BYTES, Walk};

/// The type of a segment's end record.
const END: u8 = 255;
/// Larger records are not looked for after damage: their heads are too easily found in what is no head.
const SOUGHT_PAYLOAD_MAX: usize = 0xffff;
/// How much is looked through at once.
const SOUGHT_WINDOW: usize = 1 << 20;

/// What stands at a place.
pub(super) enum Step {
    /// A record: position, type, payload.
    Record(u64, u8, Bytes),
    /// The end record.
    End,
    /// The bytes to read end here.
    Limit,
    /// No record: why, and how many bytes its head claims for it, if it has one.
    Bad { why: String, claims: Option<u64> },
}

/// The way through a segment.
pub(super) struct Sweep<'a> {
    segment: &'a SegmentFile,
    limit: u64,
    position: u64,
    previous: [u8; TAG_BYTES],
    /// None once something was passed over.
    walk: Option<Walk>,
    /// Bytes from the position on.
    buffer: BytesMut,
}

impl<'a> Sweep<'a> {
    /// Through the first `limit` bytes.
    pub(super) fn new(segment: &'a SegmentFile, limit: u64) -> Self {
        let walk = Some(Walk::new(&segment.key));
        let previous = segment.key.first_previous();
        Self { segment, limit, position: HEADER_BYTES as u64, previous, walk, buffer: BytesMut::new() }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What was seen so far, unless something was passed over.
    pub(super) fn extent(&self) -> Option<Extent> {
        self.walk.as_ref().map(Walk::extent)
    }

    /// The next record, or what stands in its place; then the sweep stays there.
    pub(super) fn step(&mut self, check: &mut Check<'_>) -> Result<Step, Halt> {
        if self.position >= self.limit {
            return Ok(Step::Limit);
        }
        let bad = |why: String, claims| Ok(Step::Bad { why, claims });
        match self.fill(HEAD_BYTES, check) {
            Ok(true) => {}
            Ok(false) => return bad("the file ends within a record".to_owned(), None),
            Err(Halt::Failed(error)) => return bad(error.to_string(), None),
            Err(stopped) => return Err(stopped),
        }
        let head = match self.buffer.first_chunk::<HEAD_BYTES>().map(RecordHead::decode) {
            Some(Ok(Some(head))) => head,
            Some(Err(why)) => return bad(why.to_string(), None),
            _ => return bad("nothing is there".to_owned(), None),
        };
        let bytes = head.record_bytes();
        let claims = Some(bytes as u64);
        match self.fill(bytes, check) {
            Ok(true) => {}
            Ok(false) => return bad("the record runs beyond the end".to_owned(), claims),
            Err(Halt::Failed(error)) => return bad(error.to_string(), claims),
            Err(stopped) => return Err(stopped),
        }
        let mut record = BytesMut::from(self.buffer.get(..bytes).unwrap_or_default());
        let tag = record.last_chunk().copied().unwrap_or_default();
        let opened = match &mut self.walk {
            Some(walk) => walk.step(&self.segment.key, &mut record).map(|opened| match opened {
                Opened::Record(_, kind, _) => kind,
                Opened::End => END,
            }),
            None => {
                self.segment.key.open_at(self.position, &self.previous, &mut record).map(|(kind, _)| kind)
            }
        };
        let kind = match opened {
            Ok(kind) => kind,
            Err(why) => return bad(why.to_string(), claims),
        };
        let at = self.position;
        self.position = at.saturating_add(bytes as u64);
        self.previous = tag;
        self.buffer.advance(bytes);
        check.tally.records = check.tally.records.saturating_add(1);
        if kind == END {
            return Ok(Step::End);
        }
        Ok(Step::Record(at, kind, record.freeze().slice(HEAD_BYTES..bytes - TAG_BYTES)))
    }

    /// After a bad step: goes to the next place at which a record opens; false if there is none. `claims` as the step said.
    pub(super) fn resume(&mut self, claims: Option<u64>, check: &mut Check<'_>) -> Result<bool, Halt> {
        let after = claims.map(|claims| self.position.saturating_add(claims));
        if after == Some(self.limit) {
            self.jump(self.limit, [0; TAG_BYTES]);
            return Ok(true);
        }
        if let Some(after) = after.filter(|after| *after < self.limit)
            && self.segment.read(after, self.limit).is_ok()
        {
            let mut tag = [0; TAG_BYTES];
            let _ = self
                .segment
                .file
                .read_at(&mut tag, after.saturating_sub(TAG_BYTES as u64))
                .map_err(Error::from)?;
            self.jump(after, tag);
            return Ok(true);
        }
        self.search(check)
    }

    fn jump(&mut self, to: u64, previous: [u8; TAG_BYTES]) {
        (self.position, self.previous, self.walk) = (to, previous, None);
        self.buffer.clear();
    }

    /// Tries every place after this one.
    fn search(&mut self, check: &mut Check<'_>) -> Result<bool, Halt> {
        let mut start = self.position.saturating_add(1);
        let reach = TAG_BYTES + SOUGHT_WINDOW + SOUGHT_PAYLOAD_MAX + RECORD_OVERHEAD;
        let left = usize::try_from(self.limit.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let mut window = vec![0; reach.min(left.saturating_add(TAG_BYTES))];
        while start < self.limit {
            let from = start.saturating_sub(TAG_BYTES as u64);
            let left = usize::try_from(self.limit.saturating_sub(from)).unwrap_or(usize::MAX).min(reach);
            let space = window.get_mut(..left).unwrap_or_default();
            // Where the disk cannot be read nothing is found; the finding says so already.
            let Ok(count) = self.segment.file.read_at(space, from) else { return Ok(false) };
            let seen = window.get(..count).unwrap_or_default();
            for (offset, bytes) in (start..).zip((0..SOUGHT_WINDOW).map_while(|i| seen.get(i..))) {
                let Some((previous, rest)) = bytes.split_first_chunk::<TAG_BYTES>() else { break };
                if self.opens(offset, previous, rest) {
                    self.jump(offset, *previous);
                    return Ok(true);
                }
            }
            check.passed(SOUGHT_WINDOW.min(count) as u64)?;
            start = start.saturating_add(SOUGHT_WINDOW as u64);
        }
        Ok(false)
    }

    fn opens(&self, position: u64, previous: &[u8; TAG_BYTES], bytes: &[u8]) -> bool {
        let [0, 0, high, low, kind, ..] = *bytes else { return false };
        let record = usize::from(high) << 8 | usize::from(low);
        let record = bytes.get(..record + RECORD_OVERHEAD).filter(|_| kind != 0);
        record
            .is_some_and(|record| self.segment.key.open_at(position, previous, &mut record.to_vec()).is_ok())
    }

    /// Has at least `need` bytes in the buffer; false if so many are not there.
    fn fill(&mut self, need: usize, check: &mut Check<'_>) -> Result<bool, Halt> {
        if self.buffer.len() >= need {
            return Ok(true);
        }
        let end = self.position.saturating_add(self.buffer.len() as u64);
        let left = usize::try_from(self.limit.saturating_sub(end)).unwrap_or(usize::MAX);
        let missing = need.saturating_sub(self.buffer.len());
        if left < missing {
            return Ok(false);
        }
        let start = self.buffer.len();
        self.buffer.resize(start.saturating_add(missing.max(check.chunk).min(left)), 0);
        let space = self.buffer.get_mut(start..).unwrap_or_default();
        let read = self.segment.file.read_at(space, end).map_err(Error::from);
        let count = read.as_ref().map_or(0, |count| *count);
        self.buffer.truncate(start.saturating_add(count));
        read?;
        check.passed(count as u64)?;
        Ok(self.buffer.len() >= need)
    }
}
