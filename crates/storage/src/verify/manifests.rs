//! The manifests: both kept generations must open; which files they list is what the check of the store goes by.

use super::finding::{Part, note};
use super::{Check, Halt, Mode};
use crate::manifest::{self, Manifest};
use crate::{Error, names};
use types::LogIndex;

/// What the manifests say.
pub(super) struct Manifests {
    /// The kept ones that open, newest first; at most two.
    pub(super) kept: Vec<Manifest>,
    /// The newest generation that has a file.
    pub(super) newest: u64,
}

/// Reads the kept generations.
pub(super) fn check(check: &mut Check<'_>) -> Result<Manifests, Halt> {
    let dir = check.dir;
    let disk = &*dir.env.disk;
    let generations = manifest::generations(disk, &dir.path)?;
    let mut kept = Vec::new();
    for generation in generations.iter().rev().take(2) {
        let path = names::manifest(&dir.path, *generation);
        check.enters(&path);
        match Manifest::read(dir, *generation) {
            Ok(manifest) => kept.push(manifest),
            // A checkpoint of the running member has replaced it.
            Err(Error::Disk(error)) if check.mode == Mode::Live && error.is_not_found() => {}
            Err(error) => check.found(Part::Manifest.failure(&path, &error)),
        }
        check.passed(disk.stat(&path).ok().flatten().map_or(0, |stat| stat.len))?;
    }
    if check.mode == Mode::Offline {
        for generation in generations.iter().rev().skip(2) {
            let means = "newer ones have replaced it; the member deletes it in time";
            check.found(note(names::manifest(&dir.path, *generation), None, "it is superseded", means));
        }
        match *generations {
            [] => check.found(Part::Manifest.damage(&dir.path, None, "there is no manifest")),
            [only] if only > 1 => {
                let what =
                    "it is the only manifest, where two generations are kept: the other one is not there";
                check.found(Part::Manifest.damage(names::manifest(&dir.path, only), None, what));
            }
            _ => {}
        }
    }
    let newest = generations.last().copied().unwrap_or(0);
    check.tally.consistent_index = kept.first().map(|manifest| manifest.checkpoint.consistent_index);
    Ok(Manifests { kept, newest })
}

/// The log must go on after each of them without a gap.
pub(super) fn follow(check: &mut Check<'_>, manifests: &Manifests, log_begins: Option<LogIndex>) {
    let Some(begins) = log_begins else { return };
    for manifest in &manifests.kept {
        let end = manifest.checkpoint.consistent_index;
        if begins > end.next() {
            let path = names::manifest(&check.dir.path, manifest.generation);
            let what = format!("the store ends at entry {end}, but the log begins at {begins}");
            check.found(Part::Log.damage(path, None, what));
        }
    }
}
