//! What a start believes of the log that it finds.
//!
//! Segments are read oldest first. Of each but the last, its successor's head says how much counts, and the chain hash must
//! fit; the last ends at its authenticated end, at zeros, or in a torn batch (`torn.rs`). Anything else is damage. Files
//! after the last segment that never began hold nothing.

use super::record::{self, Base, Head};
use super::torn::{self, Verdict};
use super::{LogPosition, Recovered, read::Tail};
use crate::dir::Dir;
use crate::file::{Scan, SegmentFile, Step, damaged};
use crate::{Error, names};
use bytes::Bytes;
use consensus::{Entry, HardState};
use seal::{Extent, Purpose};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use types::{LogIndex, Term};

/// The end of a batch that a crash cut short; none of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's file.
    pub path: PathBuf,
    /// Where the last good record ends.
    pub position: u64,
    /// Bytes from there to the last one that was written.
    pub bytes: u64,
}

/// What a start makes of a place in the log where bytes are missing although more of it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gaps {
    /// The disk has lost what was durable.
    AreDamage,
    /// The directory is a copy that was made while the log was written.
    EndTheLog,
}

/// What to do about such a place.
const MISSING: &str = "it is missing, not changed, as in a copy that was made while a member wrote; hint: if this is such \
                       a copy, start once with --accept-rollback";

/// A segment that was found.
#[derive(Debug)]
pub(super) struct Inherited {
    pub(super) number: u32,
    pub(super) file: Arc<SegmentFile>,
    pub(super) base: Base,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) segments: Vec<Inherited>,
    pub(super) tail: Tail,
    pub(super) base: Base,
    pub(super) hard_state: HardState,
    /// How much of the last segment counts.
    pub(super) last_extent: Extent,
    pub(super) torn_tail: Option<TornTail>,
    /// Files reserved ahead and never used.
    pub(super) unused: Vec<PathBuf>,
}

impl Found {
    pub(super) fn summary(&self) -> Recovered {
        let last = self.tail.last();
        let commit = self.hard_state.commit.min(last);
        Recovered {
            hard_state: HardState { commit, ..self.hard_state },
            first: self.base.0.next(),
            last,
            position: LogPosition {
                segment: self.segments.last().map_or(0, |last| last.number),
                offset: self.last_extent.length,
            },
            torn_tail: self.torn_tail.clone(),
        }
    }
}

/// The log's files: the numbers of segments in order, without a gap, then the unused ones, the newest first.
struct Files {
    numbers: Vec<u32>,
    unused: Vec<PathBuf>,
    /// Segments before a gap, and the first one that is missing in it.
    cut_off: Option<(Vec<u32>, u32)>,
}

fn files(dir: &Dir) -> Result<Files, Error> {
    let below = dir.path.join(names::LOG);
    let mut numbers = Vec::new();
    for name in dir.env.disk.list(&below)? {
        let number = names::parse_log_segment(&name).ok_or_else(|| Error::Inconsistent {
            path: below.join(&name),
            why: "it does not belong there; hint: move it away".to_owned(),
        })?;
        numbers.push(number);
    }
    numbers.sort_unstable();
    let mut unused = Vec::new();
    while let Some(number) = numbers.last() {
        if has_begun(dir, *number)? {
            break;
        }
        unused.push(names::log_segment(&dir.path, *number));
        numbers.pop();
    }
    let is_followed = |pair: &[u32]| matches!(pair, [number, next] if number.checked_add(1) == Some(*next));
    let before_gap = numbers.windows(2).rposition(|pair| !is_followed(pair));
    let cut_off = before_gap.map(|last| {
        let after = numbers.split_off(last + 1);
        let before = std::mem::replace(&mut numbers, after);
        let missing = before.last().map_or(0, |last| last.saturating_add(1));
        (before, missing)
    });
    Ok(Files { numbers, unused, cut_off })
}

impl Files {
    /// What is wrong if segments are missing in between.
    fn gap(&self, dir: &Dir) -> Option<Error> {
        let (_, missing) = self.cut_off.as_ref()?;
        let path = names::log_segment(&dir.path, *missing);
        Some(damaged(&path, 0, format!("the segments around it are there, but it is not; {MISSING}")))
    }
}

fn open(dir: &Dir, number: u32) -> Result<SegmentFile, Error> {
    let path = names::log_segment(&dir.path, number);
    SegmentFile::open(&*dir.env.disk, &dir.keyring, Purpose::Log, number.into(), &path)
}

/// Opens all segments with their heads; one whose beginning is missing ends the log where gaps do, and is the first of the
/// files that are left out.
fn open_all(dir: &Dir, files: &mut Files, gaps: Gaps) -> Result<Vec<(u32, SegmentFile, Head)>, Error> {
    let mut segments = Vec::new();
    for (i, number) in files.numbers.iter().enumerate() {
        let opened = open(dir, *number).and_then(|segment| {
            let head = head(&segment, &mut Scan::new(&segment, segment.file.len()?))?;
            Ok((*number, segment, head))
        });
        match opened {
            Ok(opened) => segments.push(opened),
            Err(Error::Damaged { path, position, why }) if i > 0 && beginning_is_missing(dir, *number)? => {
                if gaps == Gaps::AreDamage {
                    return Err(Error::Damaged { path, position, why: format!("{why}; {MISSING}") });
                }
                break;
            }
            Err(failure) => return Err(failure),
        }
    }
    let left_out = files.numbers.iter().skip(segments.len()).rev();
    files.unused.extend(left_out.map(|number| names::log_segment(&dir.path, *number)));
    Ok(segments)
}

fn beginning_is_missing(dir: &Dir, number: u32) -> Result<bool, Error> {
    let file = dir.env.disk.open(&names::log_segment(&dir.path, number))?;
    Ok(torn::last_written(&*file, 0..record::BEGIN_BYTES)?.is_none())
}

/// Whether a segment was ever part of the log. Its head is synced before a batch is written after it; so one without
/// a head and with nothing after the head's place holds nothing that anybody was told of: it was reserved ahead, or a crash or a
/// failed write cut its beginning short.
fn has_begun(dir: &Dir, number: u32) -> Result<bool, Error> {
    let path = names::log_segment(&dir.path, number);
    let file = dir.env.disk.open(&path)?;
    let len = file.len()?;
    let begun = open(dir, number).and_then(|segment| head(&segment, &mut Scan::new(&segment, len)));
    match begun {
        Ok(_) => Ok(true),
        Err(Error::Damaged { .. }) => Ok(torn::last_written(&*file, record::BEGIN_BYTES..len)?.is_some()),
        Err(failure) => Err(failure),
    }
}

/// Reads a segment's head from a scan at its beginning.
fn head(segment: &SegmentFile, scan: &mut Scan<'_>) -> Result<Head, Error> {
    match scan.step()? {
        Step::Record(at, record::HEAD, payload) => match Head::newer(&payload) {
            Some(version) => Err(Error::Version { path: segment.path.clone(), version }),
            None => Head::decode(payload).map_err(|why| segment.damaged(at, why)),
        },
        Step::Bad { why, .. } => Err(segment.damaged(scan.position(), why)),
        _ => Err(segment.damaged(scan.position(), "its first record is no head")),
    }
}

/// Where the log that can be read begins.
pub(crate) struct Begins {
    /// The first entry that its oldest segment may hold; nothing if there is no segment.
    pub(crate) at: Option<LogIndex>,
    /// What is wrong if there are older segments, and some are missing in between.
    pub(crate) gap: Option<Error>,
}

/// Where the log begins, or goes on after a gap.
pub(crate) fn begins(dir: &Dir) -> Result<Begins, Error> {
    let files = files(dir)?;
    let gap = files.gap(dir);
    let Some(oldest) = files.numbers.first().copied() else { return Ok(Begins { at: None, gap }) };
    let oldest = open(dir, oldest)?;
    let mut scan = Scan::new(&oldest, oldest.file.len()?);
    Ok(Begins { at: Some(head(&oldest, &mut scan)?.base.0.next()), gap })
}

/// Reads the whole log. Of what the store has up to `consistent` no entry stays in memory.
pub(super) fn recover(
    dir: &Dir,
    tail_bytes: usize,
    consistent: LogIndex,
    gaps: Gaps,
) -> Result<Found, Error> {
    let mut files = files(dir)?;
    if let Some(gap) = files.gap(dir).filter(|_| gaps == Gaps::AreDamage) {
        return Err(gap);
    }
    let mut segments = open_all(dir, &mut files, gaps)?;
    // What is before a gap was released, or the store that was chosen would not be one from which the rest goes on.
    let before_gap = files.cut_off.take().map(|(before, _)| before).unwrap_or_default();
    files.unused.extend(before_gap.into_iter().map(|number| names::log_segment(&dir.path, number)));
    let base = segments.first().map_or((LogIndex(0), Term(0)), |(_, _, head)| head.base);
    let (tail, hard_state) = (Tail::new(base, tail_bytes, consistent.next()), HardState::default());
    let mut replay = Replay { tail, hard_state, batch: None, gaps };
    let mut last = (Extent { length: 0, records: 0, hash: [0; 32] }, None);
    let mut count = 0;
    for (number, segment, _) in &segments {
        count += 1;
        let next = segments.get(count).map(|(_, _, next)| next.predecessor);
        last = match next {
            Some((predecessor, extent)) if predecessor == *number => {
                read_closed(*number, segment, extent, &mut replay)?
            }
            Some(_) => return Err(segment.damaged(0, "its successor names another predecessor")),
            None => read_last(*number, segment, &mut replay)?,
        };
        if last.1.is_some() {
            break;
        }
    }
    // The newest is deleted first: at no moment is there a segment without the one before it.
    let left_out = segments.drain(count..).rev();
    files.unused.extend(left_out.map(|(number, ..)| names::log_segment(&dir.path, number)));
    let inherited = segments.into_iter();
    let segments =
        inherited.map(|(number, file, head)| Inherited { number, file: file.into(), base: head.base });
    let (last_extent, torn_tail) = last;
    Ok(Found {
        segments: segments.collect(),
        base: replay.tail.base(),
        tail: replay.tail,
        hard_state: replay.hard_state,
        last_extent,
        torn_tail,
        unused: files.unused,
    })
}

/// Reads a segment of which `extent` counts.
fn read_closed(
    number: u32,
    segment: &SegmentFile,
    extent: Extent,
    replay: &mut Replay,
) -> Result<(Extent, Option<TornTail>), Error> {
    let mut scan = Scan::new(segment, extent.length);
    loop {
        match scan.step()? {
            Step::Record(at, kind, payload) => {
                replay.record(number, at, kind, payload).map_err(|why| segment.damaged(at, why))?;
            }
            Step::End => {}
            Step::Limit if scan.extent() == extent => return Ok((extent, None)),
            Step::Limit => {
                return Err(segment.damaged(extent.length, "its chain hash is not what its successor says"));
            }
            Step::Bad { why, claims } => {
                let gap = replay.gap(segment, scan.position(), claims, extent.length, why)?;
                return Ok((scan.extent(), Some(gap)));
            }
        }
    }
}

/// Reads the last segment up to where it ends.
fn read_last(
    number: u32,
    segment: &SegmentFile,
    replay: &mut Replay,
) -> Result<(Extent, Option<TornTail>), Error> {
    let mut scan = Scan::new(segment, segment.file.len()?);
    loop {
        match scan.step()? {
            Step::Record(at, kind, payload) => {
                replay.record(number, at, kind, payload).map_err(|why| segment.damaged(at, why))?;
            }
            Step::End | Step::Limit => return Ok((scan.extent(), None)),
            Step::Bad { claims, why } => {
                let at = scan.position();
                return match torn::judge(segment, at, claims, replay.batch_at(at))? {
                    Verdict::End => Ok((scan.extent(), None)),
                    Verdict::Torn(written) => {
                        let bytes = written.saturating_sub(at);
                        Ok((
                            scan.extent(),
                            Some(TornTail { path: segment.path.clone(), position: at, bytes }),
                        ))
                    }
                    Verdict::Damage(verdict) => {
                        let (len, why) = (segment.file.len()?, format!("{verdict} ({why})"));
                        Ok((scan.extent(), Some(replay.gap(segment, at, claims, len, why)?)))
                    }
                };
            }
        }
    }
}

/// The log's content as its records come by.
struct Replay {
    tail: Tail,
    hard_state: HardState,
    /// The last batch that began in this segment.
    batch: Option<Range<u64>>,
    gaps: Gaps,
}

impl Replay {
    /// The batch that reaches beyond `at`.
    fn batch_at(&self, at: u64) -> Option<Range<u64>> {
        self.batch.clone().filter(|batch| at < batch.end)
    }

    /// What does not open at `at`, though more of the log follows, up to `end` in this segment: where that may be, and it is
    /// missing and not changed, the log ends there; else it is damage.
    fn gap(
        &self,
        segment: &SegmentFile,
        at: u64,
        claims: Option<u64>,
        end: u64,
        why: String,
    ) -> Result<TornTail, Error> {
        let is_missing = torn::is_missing(segment, at, claims, self.batch_at(at))?;
        match (is_missing, self.gaps) {
            (true, Gaps::EndTheLog) => {
                Ok(TornTail { path: segment.path.clone(), position: at, bytes: end.saturating_sub(at) })
            }
            (true, Gaps::AreDamage) => Err(segment.damaged(at, format!("{why}; {MISSING}"))),
            (false, _) => Err(segment.damaged(at, why)),
        }
    }

    fn record(&mut self, segment: u32, at: u64, kind: u8, payload: Bytes) -> Result<(), &'static str> {
        match kind {
            record::HEAD => {
                self.hard_state = Head::decode(payload)?.hard_state;
                self.batch = None;
            }
            record::BATCH => self.batch = Some(at..at.saturating_add(record::decode_batch(payload)?)),
            record::AUDIT => {}
            record::HARD_STATE => self.hard_state = record::decode_hard_state(payload)?,
            record::ENTRY => self.entry(record::decode_entry(payload)?, segment, at)?,
            record::START => self.tail.restart(record::decode_base(payload)?),
            _ => return Err("a record of an unknown type"),
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry, segment: u32, at: u64) -> Result<(), &'static str> {
        let offset = u32::try_from(at).map_err(|_| "a record beyond 4 GiB")?;
        if entry.index > self.tail.last().next() {
            return Err("an entry is missing before it");
        }
        if entry.index <= self.tail.base().0 {
            // It superseded entries whose segments were released since; so it was released with them.
            self.tail.restart((entry.index, entry.term));
            return Ok(());
        }
        let index = entry.index;
        self.tail.put(entry);
        self.tail.written(index, segment, offset);
        Ok(())
    }
}
