//! The store's segments and their indexes: every record up to what the manifests list, and that none is missing.

use super::finding::{Part, note};
use super::manifests::Manifests;
use super::sweep::{Step, Sweep};
use super::{Check, Halt, Mode};
use crate::file::SegmentFile;
use crate::log::torn;
use crate::manifest::{self, Manifest};
use crate::{Error, names};
use seal::{Extent, Purpose};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StoreFile {
    Segment(u32),
    Index(u32),
}

impl StoreFile {
    fn parse(name: &str) -> Option<Self> {
        let index = || names::parse_store_index(name).map(Self::Index);
        names::parse_store_segment(name).map(Self::Segment).or_else(index)
    }

    fn is_listed(self, manifest: &Manifest) -> bool {
        match self {
            Self::Segment(number) => manifest.listed(number).is_some(),
            Self::Index(number) => manifest.listed(number).is_some_and(|listed| listed.index.is_some()),
        }
    }

    fn place(self, dir: &Path) -> (PathBuf, Purpose, u32, Part) {
        match self {
            Self::Segment(number) => (names::store_segment(dir, number), Purpose::Store, number, Part::Store),
            Self::Index(number) => (names::store_index(dir, number), Purpose::Index, number, Part::Index),
        }
    }
}

/// What the manifests list: of each file the extents, shortest first.
type Listed = BTreeMap<StoreFile, Vec<Extent>>;

pub(super) fn listed(manifests: &[Manifest]) -> Listed {
    let mut listed = Listed::new();
    for manifest::Listed { number, extent, index } in manifests.iter().flat_map(|m| &m.segments) {
        listed.entry(StoreFile::Segment(*number)).or_default().push(*extent);
        if let Some(index) = index {
            listed.entry(StoreFile::Index(*number)).or_default().push(*index);
        }
    }
    for extents in listed.values_mut() {
        extents.sort_by_key(|extent| extent.length);
        extents.dedup();
    }
    listed
}

/// Bytes that the check reads.
pub(super) fn bytes(listed: &Listed) -> u64 {
    listed
        .values()
        .filter_map(|extents| extents.last())
        .fold(0, |sum, extent| sum.saturating_add(extent.length))
}

pub(super) fn check(check: &mut Check<'_>, manifests: &Manifests) -> Result<(), Halt> {
    let listed = listed(&manifests.kept);
    for (file, extents) in &listed {
        segment(check, *file, extents)?;
    }
    match check.mode {
        Mode::Offline => strays(check, &listed),
        Mode::Live => Ok(()),
    }
}

fn segment(check: &mut Check<'_>, file: StoreFile, extents: &[Extent]) -> Result<(), Halt> {
    let dir = check.dir;
    let (path, purpose, number, part) = file.place(&dir.path);
    check.enters(&path);
    let disk = &*dir.env.disk;
    let opened = disk
        .open_read(&path)
        .map_err(Error::from)
        .and_then(|file| SegmentFile::of(file, &dir.keyring, purpose, number.into(), &path));
    let segment = match opened {
        Ok(segment) => segment,
        Err(Error::Disk(error)) if error.is_not_found() => {
            if check.mode == Mode::Offline || is_still_listed(check, file) {
                check.found(part.damage(path, None, "a manifest lists it, but it is not there"));
            }
            return Ok(());
        }
        Err(error) => {
            check.found(part.failure(path, &error));
            return Ok(());
        }
    };
    let end = extents.last().map_or(0, |extent| extent.length);
    let len = segment.file.len().map_err(Error::from)?;
    if len < end {
        let what = format!("the manifest lists {end} bytes, but only {len} are there");
        check.found(part.damage(&path, len, what));
    }
    let mut sweep = Sweep::new(&segment, end.min(len));
    let mut left = extents.iter().peekable();
    let mut has_end = false;
    loop {
        while let Some(extent) = left.next_if(|extent| extent.length <= sweep.position()) {
            if sweep.extent().is_some_and(|seen| seen != *extent) {
                let what =
                    "its chain hash up to here is not what the manifest says: records are others or missing";
                check.found(part.damage(&path, extent.length, what));
            }
        }
        match sweep.step(check)? {
            Step::Record(..) => {}
            Step::End => has_end = true,
            Step::Limit => break,
            Step::Bad { why, claims } => {
                let at = sweep.position();
                let goes_on = sweep.resume(claims, check)?;
                if len >= end || goes_on {
                    check.found(part.damage(
                        &path,
                        at,
                        region(&why, at, goes_on.then_some(sweep.position()), end),
                    ));
                }
                if !goes_on {
                    return Ok(());
                }
            }
        }
    }
    if has_end && check.mode == Mode::Offline {
        bytes_after_the_end(check, &segment, end)?;
    }
    Ok(())
}

/// How far it is damaged.
pub(super) fn region(why: &str, at: u64, goes_on: Option<u64>, end: u64) -> String {
    match goes_on {
        Some(next) => {
            format!("{why}; {} bytes do not open, from byte {next} on it goes on", next.saturating_sub(at))
        }
        None => format!("{why}; nothing opens from here to the end at byte {end}"),
    }
}

/// Behind an end there is nothing that anybody wrote.
pub(super) fn bytes_after_the_end(
    check: &mut Check<'_>,
    segment: &SegmentFile,
    end: u64,
) -> Result<(), Halt> {
    let len = segment.file.len().map_err(Error::from)?;
    if let Ok(Some(last)) = torn::last_written(&*segment.file, end..len) {
        let what = format!("bytes after the segment's end, up to byte {last}");
        check.found(note(&segment.path, end, what, "they are not of this program; they are never read"));
    }
    Ok(())
}

/// Whether the manifests of this moment list a segment: the running member lets go of files while they are read.
fn is_still_listed(check: &Check<'_>, file: StoreFile) -> bool {
    let disk = &*check.dir.env.disk;
    let generations = manifest::generations(disk, &check.dir.path).unwrap_or_default();
    let newest = generations.iter().rev().find_map(|generation| Manifest::read(check.dir, *generation).ok());
    newest.is_some_and(|manifest| file.is_listed(&manifest))
}

fn strays(check: &mut Check<'_>, listed: &Listed) -> Result<(), Halt> {
    let below = check.dir.path.join(names::STORE);
    let names = match check.dir.env.disk.list(&below) {
        Ok(names) => names,
        Err(error) => {
            check.found(Part::Directory.failure(&below, &error.into()));
            return Ok(());
        }
    };
    for name in names {
        match StoreFile::parse(&name) {
            Some(file) if listed.contains_key(&file) => {}
            Some(_) => check.found(note(
                below.join(&name),
                None,
                "a stray: no manifest lists it",
                "it was not durable yet when the member stopped, or stayed for a copy under way; it is never read, and the next \
                 start deletes it",
            )),
            None => check.found(super::foreign(below.join(&name))),
        }
    }
    Ok(())
}
