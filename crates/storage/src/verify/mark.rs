//! The freshness mark: data that is whole in itself and older than it was.

use super::finding::{Part, note};
use super::{Check, Halt, MarkSays};
use crate::LogPosition;
use crate::freshness::{self, Mark};
use std::path::PathBuf;

/// Looks for the member's mark at these paths and holds the data against the first that is there.
pub(super) fn check(
    check: &mut Check<'_>,
    mut marks: impl Iterator<Item = PathBuf>,
    generation: u64,
    position: LogPosition,
) -> Result<(), Halt> {
    let is_there = |path: &PathBuf| matches!(check.dir.env.disk.stat(path), Ok(Some(_)));
    let Some(path) = marks.find(is_there) else { return Ok(()) };
    check.enters(&path);
    match freshness::read(check.dir, &path)? {
        None => {}
        Some(Err(why)) => {
            check.tally.mark = MarkSays::Unreadable;
            let means = "a power failure cut it short, or it was changed; whether the data is an old copy cannot be told";
            let what = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
            check.found(note(path, None, what, means));
        }
        Some(Ok((_, Mark { generation: marked, .. }))) if generation < marked => {
            let what = format!(
                "the newest manifest is {generation:016x}, but the mark beside the key has seen {marked:016x}"
            );
            older(check, what);
        }
        Some(Ok((_, Mark { position: marked, .. }))) if position < marked => {
            let what = format!(
                "the log ends in segment {} at byte {}, but the mark beside the key has seen segment {} byte {}",
                position.segment, position.offset, marked.segment, marked.offset
            );
            older(check, what);
        }
        Some(Ok(_)) => check.tally.mark = MarkSays::Fresh,
    }
    Ok(())
}

fn older(check: &mut Check<'_>, what: String) {
    check.tally.mark = MarkSays::Older;
    let means = "an old copy was put back, or the end of the log was removed: writes that were acknowledged are not there";
    let next = "put the newest copy back; to go on with this one, start once with --accept-rollback";
    check.found(super::Finding { means, next, ..Part::Log.damage(&check.dir.path, None, what) });
}
