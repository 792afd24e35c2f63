//! Torn or damaged: what stands where the last segment's good records end.
//!
//! A batch is written after the one before is synced. So a crash leaves at most one batch in part, the last, and what is
//! missing of it is missing by sectors, which read as zeros since files are never recycled. Everything else that does
//! not open was changed, and is damage:
//!
//! - all bytes from here on are zero: the log ends here;
//! - inside a batch whose first record is good: torn if nothing is written after the batch's end, and the bad record meets a
//!   512-byte sector of which the batch's part is zero, or the file ends before the batch does;
//! - where a batch should begin: torn if the first record of a batch that would stand here meets such a sector, or the file
//!   ends within it, and no other batch begins after it.

use super::record::{BATCH, BATCH_PAYLOAD_BYTES, BATCH_RECORD_BYTES};
use crate::Error;
use crate::file::SegmentFile;
use env::DiskFile;
use seal::HEAD_BYTES;
use std::ops::Range;

const SECTOR: u64 = 512;
const READ_BYTES: u64 = 1 << 20;
/// Leading bytes of a batch's first record that are zero anyway: its length is 16.
const ZERO_ANYWAY: u64 = 3;

/// What stands at a place where no good record does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: the log ends here.
    End,
    /// Part of a batch that was never durable, up to this byte.
    Torn(u64),
    /// Something that was changed.
    Damage(&'static str),
}

/// Judges what stands at `at`, where the record does not open. `batch` is the batch whose first record was good and that
/// reaches beyond `at`; `claims` are the bytes that the record's head claims for it, if it has one.
pub(crate) fn judge(
    segment: &SegmentFile,
    at: u64,
    claims: Option<u64>,
    batch: Option<Range<u64>>,
) -> Result<Verdict, Error> {
    let len = segment.file.len()?;
    let written = match last_written(&*segment.file, at..len)? {
        None if batch.is_none() => return Ok(Verdict::End),
        written => written.unwrap_or(at),
    };
    let (span, batch) = match batch {
        Some(batch) if written > batch.end => {
            return Ok(Verdict::Damage("a record does not open, and a later batch follows"));
        }
        Some(batch) => (at..at.saturating_add(claims.unwrap_or(HEAD_BYTES as u64)).min(batch.end), batch),
        None => {
            let first = at..at.saturating_add(BATCH_RECORD_BYTES);
            (first.clone(), first)
        }
    };
    let is_cut = batch.end > len;
    if !is_cut && !meets_lost_sector(segment, at, &span, &batch)? {
        return Ok(Verdict::Damage("a record does not open, and no sector of it is missing"));
    }
    if batch.start == at && a_batch_follows(segment, at, written)? {
        return Ok(Verdict::Damage("a batch does not open, and a later batch follows"));
    }
    Ok(Verdict::Torn(written))
}

/// Whether what does not open at `at` is missing (the file ends there, or a sector of it is zero) and was not changed; the
/// arguments are those of [`judge`]. Where more follows, a disk has lost it, or the file is a copy that was made while the log was
/// written: its end was read before what is missing was there, and the rest of it after.
pub(crate) fn is_missing(
    segment: &SegmentFile,
    at: u64,
    claims: Option<u64>,
    batch: Option<Range<u64>>,
) -> Result<bool, Error> {
    let len = segment.file.len()?;
    let first = at..at.saturating_add(BATCH_RECORD_BYTES);
    let (span, batch) = match batch {
        Some(batch) => (at..at.saturating_add(claims.unwrap_or(HEAD_BYTES as u64)).min(batch.end), batch),
        None => (first.clone(), first),
    };
    Ok(batch.end > len || meets_lost_sector(segment, at, &span, &batch)?)
}

/// Whether some sector that meets `span` is zero as far as `batch` reaches into it.
fn meets_lost_sector(
    segment: &SegmentFile,
    at: u64,
    span: &Range<u64>,
    batch: &Range<u64>,
) -> Result<bool, Error> {
    let mut sector = span.start / SECTOR * SECTOR;
    while sector < span.end {
        let part = sector.max(batch.start)..(sector + SECTOR).min(batch.end);
        let says_something = part.end > at.saturating_add(ZERO_ANYWAY);
        if says_something && last_written(&*segment.file, part)?.is_none() {
            return Ok(true);
        }
        sector += SECTOR;
    }
    Ok(false)
}

/// Whether a batch begins anywhere after `at`: its first record opens, or looks like one and the record after it opens as its
/// successor (the tag that the first one needs may have been lost with what is judged here). Looks through a window at a time:
/// what somebody appended may be larger than the memory.
fn a_batch_follows(segment: &SegmentFile, at: u64, written: u64) -> Result<bool, Error> {
    let head = [0, 0, 0, BATCH_PAYLOAD_BYTES as u8, BATCH];
    let mut start = at.saturating_add(1);
    let left = READ_BYTES.min(written.saturating_sub(start));
    let mut window = vec![0; usize::try_from(left).unwrap_or(0) + HEAD_BYTES];
    while start < written {
        let count = segment.file.read_at(&mut window, start)?;
        let bytes = window.get(..count).unwrap_or_default();
        let places = (start..start.saturating_add(READ_BYTES)).zip(bytes.windows(HEAD_BYTES));
        for (place, _) in places.filter(|(_, found)| *found == head) {
            let after = place.saturating_add(BATCH_RECORD_BYTES);
            if opens(segment, place, written)? || opens(segment, after, written)? {
                return Ok(true);
            }
        }
        start = start.saturating_add(READ_BYTES);
    }
    Ok(false)
}

/// Whether a valid record stands at `place`, within what was written.
fn opens(segment: &SegmentFile, place: u64, written: u64) -> Result<bool, Error> {
    match segment.read(place, written) {
        Ok(_) => Ok(true),
        Err(Error::Damaged { .. }) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// One after the last byte in `range` that is not zero.
pub(crate) fn last_written(file: &dyn DiskFile, range: Range<u64>) -> Result<Option<u64>, Error> {
    let mut last = None;
    let mut at = range.start;
    let mut buffer = vec![0; usize::try_from(READ_BYTES.min(range.end.saturating_sub(at))).unwrap_or(0)];
    let zeros = vec![0; buffer.len()];
    while at < range.end {
        let want = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
        let count = file.read_at(buffer.get_mut(..want).unwrap_or_default(), at)?;
        if count == 0 {
            break;
        }
        let read = buffer.get(..count).unwrap_or_default();
        // Most of a segment was never written: comparing is many times faster than looking at each byte.
        if zeros.get(..count) == Some(read) {
            at += count as u64;
            continue;
        }
        if let Some(found) = read.iter().rposition(|byte| *byte != 0) {
            last = Some(at + found as u64 + 1);
        }
        at += count as u64;
    }
    Ok(last)
}
