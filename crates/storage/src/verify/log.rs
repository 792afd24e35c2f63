//! The log's segments: every record that counts, the chain through all of them, and where the last one ends.
//!
//! The same rules as at start (`log/recover.rs`), but past the first damage, and with nothing kept of the entries.

use super::finding::{Part, note};
use super::store::{bytes_after_the_end, region};
use super::sweep::{Step, Sweep};
use super::{Check, Halt, Mode};
use crate::file::{SegmentFile, damaged};
use crate::log::record::{self, Head};
use crate::log::torn::{self, Verdict};
use crate::{Error, LogPosition, names};
use bytes::Bytes;
use seal::{Extent, HEADER_BYTES, Purpose};
use types::LogIndex;

/// What the log came to.
#[derive(Default)]
pub(super) struct Ends {
    /// The first entry that it may hold, if it has a segment that says so.
    pub(super) begins: Option<LogIndex>,
    /// The last entry that was seen.
    pub(super) last: Option<LogIndex>,
    /// How far it is good.
    pub(super) position: LogPosition,
}

struct Found {
    number: u32,
    /// None if it does not open; that is told already.
    open: Option<(SegmentFile, Head)>,
}

pub(super) fn check(check: &mut Check<'_>) -> Result<Ends, Halt> {
    let (numbers, reserved) = numbers(check)?;
    let mut found = Vec::new();
    for number in &numbers {
        let path = names::log_segment(&check.dir.path, *number);
        let open = match open(check, *number) {
            Ok(open) => Some(open),
            // The running member released it.
            Err(Error::Disk(error)) if check.mode == Mode::Live && error.is_not_found() => None,
            Err(error) => {
                check.found(Part::Log.failure(path, &error));
                None
            }
        };
        found.push(Found { number: *number, open });
    }
    for (number, next) in numbers.iter().zip(numbers.iter().skip(1)) {
        let missing = number.saturating_add(1);
        if missing != *next {
            let count = next.saturating_sub(missing);
            let what = format!("the segments around it are there, but it is not ({count} missing in a row)");
            check.found(Part::Log.damage(names::log_segment(&check.dir.path, missing), None, what));
        }
    }
    let mut entries = Entries::default();
    let mut ends = Ends::default();
    if let Some((_, head)) = found.first().and_then(|first| first.open.as_ref()) {
        entries.begin(head.base.0);
        ends.begins = Some(head.base.0.next());
    }
    for (i, segment) in found.iter().enumerate() {
        let next = found.get(i + 1);
        let Some((file, _)) = &segment.open else { continue };
        if next.is_none() && check.mode == Mode::Live {
            // The member writes to it at this moment.
            continue;
        }
        ends.position = LogPosition { segment: segment.number, offset: HEADER_BYTES as u64 };
        check.enters(&file.path);
        ends.position.offset = match next {
            Some(next) => {
                let follows = next.number == segment.number.saturating_add(1);
                match next.open.as_ref().filter(|_| follows).map(|(file, head)| (file, head.predecessor)) {
                    Some((_, (number, extent))) if number == segment.number => {
                        closed(check, file, extent, &mut entries)?
                    }
                    Some((successor, _)) => {
                        let what = "it does not name the segment before it as its predecessor";
                        check.found(Part::Log.damage(&successor.path, HEADER_BYTES as u64, what));
                        open_ended(check, file, &mut entries)?
                    }
                    None => open_ended(check, file, &mut entries)?,
                }
            }
            None => last(check, file, &mut entries, reserved)?,
        };
    }
    ends.last = entries.last;
    check.tally.last_entry = entries.last;
    Ok(ends)
}

/// The segments that began, and whether one is reserved after them.
fn numbers(check: &mut Check<'_>) -> Result<(Vec<u32>, bool), Halt> {
    let below = check.dir.path.join(names::LOG);
    let list = |check: &Check<'_>| check.dir.env.disk.list(&below);
    let parse = |names: &[String]| {
        let mut numbers: Vec<_> = names.iter().filter_map(|name| names::parse_log_segment(name)).collect();
        numbers.sort_unstable();
        numbers
    };
    let mut names = match list(check) {
        Ok(names) => names,
        Err(error) => {
            check.found(Part::Directory.failure(&below, &error.into()));
            return Ok((Vec::new(), false));
        }
    };
    let has_gap =
        |numbers: &[u32]| numbers.iter().zip(numbers.iter().skip(1)).any(|(a, b)| a.saturating_add(1) != *b);
    if check.mode == Mode::Live && has_gap(&parse(&names)) {
        // Segments may be released while they are listed; nothing but that makes a gap for a moment.
        names = list(check).map_err(Error::from)?;
    }
    if check.mode == Mode::Offline {
        for name in names.iter().filter(|name| names::parse_log_segment(name).is_none()) {
            check.found(super::foreign(below.join(name)));
        }
    }
    let mut numbers = parse(&names);
    let mut reserved = false;
    while let Some(number) = numbers.last().copied() {
        let opened = open(check, number);
        let Err(Error::Damaged { .. }) = opened else { break };
        let path = names::log_segment(&check.dir.path, number);
        let file = check.dir.env.disk.open_read(&path).map_err(Error::from)?;
        let len = file.len().map_err(Error::from)?;
        let after = torn::last_written(&*file, record::BEGIN_BYTES..len);
        if !matches!(after, Ok(None)) {
            break;
        }
        let begun = torn::last_written(&*file, 0..record::BEGIN_BYTES.min(len));
        if check.mode == Mode::Offline && !matches!(begun, Ok(None)) {
            let means = "a crash cut its beginning short, or it was changed; nothing was ever written after it, and the next \
                         start deletes it";
            check.found(note(path, 0, "its beginning does not open", means));
        }
        reserved = true;
        numbers.pop();
    }
    Ok((numbers, reserved))
}

fn open(check: &Check<'_>, number: u32) -> Result<(SegmentFile, Head), Error> {
    let dir = check.dir;
    let path = names::log_segment(&dir.path, number);
    let file = dir.env.disk.open_read(&path)?;
    let segment = SegmentFile::of(file, &dir.keyring, Purpose::Log, number.into(), &path)?;
    let at = HEADER_BYTES as u64;
    match segment.read(at, u64::MAX)? {
        (record::HEAD, payload) => {
            if let Some(version) = Head::newer(&payload) {
                return Err(Error::Version { path, version });
            }
            let head = Head::decode(payload).map_err(|why| damaged(&path, at, why))?;
            Ok((segment, head))
        }
        _ => Err(damaged(&path, at, "its first record is no head")),
    }
}

/// A segment whose successor says how much of it counts. Answers how far it is good.
fn closed(
    check: &mut Check<'_>,
    segment: &SegmentFile,
    extent: Extent,
    entries: &mut Entries,
) -> Result<u64, Halt> {
    let len = segment.file.len().map_err(Error::from)?;
    if len < extent.length {
        let what = format!("{} bytes of it count, but only {len} are there", extent.length);
        check.found(Part::Log.damage(&segment.path, len, what));
        entries.is_broken = true;
    }
    let mut sweep = Sweep::new(segment, extent.length.min(len));
    let mut has_end = false;
    loop {
        match sweep.step(check)? {
            Step::Record(at, kind, payload) => entries.record(check, segment, at, kind, payload),
            Step::End => has_end = true,
            Step::Limit => break,
            Step::Bad { why, claims } => {
                entries.is_broken = true;
                let at = sweep.position();
                let goes_on = sweep.resume(claims, check)?;
                if len >= extent.length || goes_on {
                    let what = region(&why, at, goes_on.then_some(sweep.position()), extent.length);
                    check.found(Part::Log.damage(&segment.path, at, what));
                }
                if !goes_on {
                    return Ok(at);
                }
            }
        }
    }
    if sweep.extent().is_some_and(|seen| seen != extent) && len >= extent.length {
        let what = "its chain hash is not what its successor says: records are others or missing";
        check.found(Part::Log.damage(&segment.path, extent.length, what));
    }
    if has_end && check.mode == Mode::Offline {
        bytes_after_the_end(check, segment, extent.length)?;
    }
    Ok(sweep.position())
}

/// A segment whose successor cannot say how much of it counts; that is told already.
fn open_ended(check: &mut Check<'_>, segment: &SegmentFile, entries: &mut Entries) -> Result<u64, Halt> {
    let len = segment.file.len().map_err(Error::from)?;
    let mut sweep = Sweep::new(segment, len);
    loop {
        match sweep.step(check)? {
            Step::Record(at, kind, payload) => entries.record(check, segment, at, kind, payload),
            Step::End | Step::Limit => break,
            Step::Bad { why, claims } => {
                let at = sweep.position();
                if matches!(torn::last_written(&*segment.file, at..len), Ok(None))
                    || !sweep.resume(claims, check)?
                {
                    break;
                }
                check.found(Part::Log.damage(
                    &segment.path,
                    at,
                    region(&why, at, Some(sweep.position()), len),
                ));
            }
        }
    }
    entries.is_broken = true;
    Ok(sweep.position())
}

/// The last segment.
fn last(
    check: &mut Check<'_>,
    segment: &SegmentFile,
    entries: &mut Entries,
    reserved: bool,
) -> Result<u64, Halt> {
    let len = segment.file.len().map_err(Error::from)?;
    let mut sweep = Sweep::new(segment, len);
    let mut batch = None;
    loop {
        match sweep.step(check)? {
            Step::Record(at, kind, payload) => {
                if kind == record::BATCH {
                    let bytes = record::decode_batch(payload.clone()).unwrap_or(0);
                    batch = Some(at..at.saturating_add(bytes));
                }
                entries.record(check, segment, at, kind, payload);
            }
            Step::End => {
                if !reserved {
                    let means = "a start on a full disk, or a crash in the middle of one, leaves that; after anything else, \
                                 the log's last file was removed";
                    let what =
                        "it is the last segment and full, and the one that is reserved after it is not there";
                    check.found(note(&segment.path, sweep.position(), what, means));
                }
                bytes_after_the_end(check, segment, sweep.position())?;
                break;
            }
            Step::Limit => break,
            Step::Bad { why, claims } => {
                let at = sweep.position();
                let within = batch.clone().filter(|batch: &std::ops::Range<u64>| at < batch.end);
                match torn::judge(segment, at, claims, within) {
                    Ok(Verdict::End) => break,
                    Ok(Verdict::Torn(written)) => {
                        let what =
                            format!("a torn batch: {} bytes that do not open", written.saturating_sub(at));
                        let means = "a crash cut the last batch short; it was never acknowledged, and the next start leaves it out";
                        check.found(note(&segment.path, at, what, means));
                        break;
                    }
                    Ok(Verdict::Damage(verdict)) => {
                        entries.is_broken = true;
                        let goes_on = sweep.resume(claims, check)?;
                        let why = format!("{verdict} ({why})");
                        let what = region(&why, at, goes_on.then_some(sweep.position()), len);
                        check.found(Part::Log.damage(&segment.path, at, what));
                        if !goes_on {
                            break;
                        }
                    }
                    Err(error) => {
                        check.found(Part::Log.failure(&segment.path, &error));
                        break;
                    }
                }
            }
        }
    }
    Ok(sweep.position())
}

/// Whether entry follows on entry.
#[derive(Default)]
struct Entries {
    base: LogIndex,
    last: Option<LogIndex>,
    /// Whether entries are missing already, for a reason that is told.
    is_broken: bool,
}

impl Entries {
    fn begin(&mut self, base: LogIndex) {
        (self.base, self.last, self.is_broken) = (base, Some(base), false);
    }

    fn record(&mut self, check: &mut Check<'_>, segment: &SegmentFile, at: u64, kind: u8, payload: Bytes) {
        if let Err(why) = self.take(kind, payload) {
            check.found(Part::Log.damage(&segment.path, at, why));
            self.is_broken = true;
        }
    }

    fn take(&mut self, kind: u8, payload: Bytes) -> Result<(), &'static str> {
        match kind {
            record::HEAD => drop(Head::decode(payload)?),
            record::BATCH => drop(record::decode_batch(payload)?),
            record::HARD_STATE => drop(record::decode_hard_state(payload)?),
            record::AUDIT => {}
            record::START => self.begin(record::decode_base(payload)?.0),
            record::ENTRY => {
                let index = record::decode_entry(payload)?.index;
                let is_gap = self.last.is_some_and(|last| index > last.next()) && !self.is_broken;
                self.last = Some(index);
                if is_gap {
                    return Err("an entry is missing before it");
                }
                if index <= self.base {
                    self.base = index;
                }
            }
            _ => return Err("a record of an unknown type"),
        }
        Ok(())
    }
}
