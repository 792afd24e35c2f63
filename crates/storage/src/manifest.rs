//! The manifest: the sealed, numbered list of the store's files and of what they mean (docs/formats/manifest.md).
//!
//! Owns its encoding and the choice of one at start: the newest that opens, whose files are whole, and which the log
//! continues. The last two generations are kept, so that one damaged manifest or a copy taken while running loses nothing:
//! the log is released only below what the older one needs.

use crate::ahead;
use crate::codec::{self, Input, Unreadable, put_bytes};
use crate::dir::Dir;
use crate::file::{self, SegmentFile, damaged};
use crate::store::Checkpoint;
use crate::{Error, names};
use bytes::Bytes;
use seal::{Extent, Purpose};
use std::collections::BTreeSet;
use std::path::Path;
use types::{LogIndex, Term};

const VERSION: u8 = 2;
/// Larger than any manifest: 10,000 segments, configuration and the upper rooms' part.
const BYTES_MAX: u64 = 16 << 20;
/// What one segment takes.
const LISTED_BYTES: usize = 100;
/// Stands where a segment has no index: every real one has a header.
const NO_INDEX: Extent = Extent { length: 0, records: 0, hash: [0; 32] };

/// One generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) generation: u64,
    pub(crate) checkpoint: Checkpoint,
    /// The first segment number never used.
    pub(crate) next_segment: u32,
    /// The store's segments, in the order of their records.
    pub(crate) segments: Vec<Listed>,
}

/// A segment of the store as a manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) number: u32,
    /// How much of it counts.
    pub(crate) extent: Extent,
    /// The file that says what is in it, if there is one.
    pub(crate) index: Option<Extent>,
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let Checkpoint { consistent_index, term, conf_state, state_hash, meta } = &self.checkpoint;
        let mut out =
            Vec::with_capacity(64 + conf_state.len() + meta.len() + self.segments.len() * LISTED_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&consistent_index.0.to_be_bytes());
        out.extend_from_slice(&term.0.to_be_bytes());
        out.extend_from_slice(&state_hash.to_be_bytes());
        put_bytes(&mut out, conf_state);
        put_bytes(&mut out, meta);
        out.extend_from_slice(&self.next_segment.to_be_bytes());
        let count = u32::try_from(self.segments.len()).expect("segments are numbered with 32 bits");
        out.extend_from_slice(&count.to_be_bytes());
        for Listed { number, extent, index } in &self.segments {
            out.extend_from_slice(&number.to_be_bytes());
            put_extent(&mut out, extent);
            put_extent(&mut out, index.as_ref().unwrap_or(&NO_INDEX));
        }
        out
    }

    /// A segment that it lists.
    pub(crate) fn listed(&self, number: u32) -> Option<&Listed> {
        self.segments.iter().find(|listed| listed.number == number)
    }

    /// The numbers that it lists.
    pub(crate) fn numbers(&self) -> BTreeSet<u32> {
        self.segments.iter().map(|listed| listed.number).collect()
    }

    fn decode(payload: Bytes) -> Result<Self, Unreadable> {
        let mut input = Input::new(payload);
        if input.u8()? != VERSION {
            return Err("an unknown version of the payload");
        }
        let generation = input.u64()?;
        let consistent_index = LogIndex(input.u64()?);
        let term = Term(input.u64()?);
        let state_hash = input.u32()?;
        let (conf_state, meta) = (input.bytes()?, input.bytes()?);
        let checkpoint = Checkpoint { consistent_index, term, conf_state, state_hash, meta };
        let (next_segment, count) = (input.u32()?, input.u32()?);
        let (mut segments, mut numbers) = (Vec::new(), BTreeSet::new());
        for _ in 0..count {
            let number = input.u32()?;
            let (extent, index) = (extent(&mut input)?, extent(&mut input)?);
            if number >= next_segment || !numbers.insert(number) {
                return Err("it lists a segment twice, or one that was never used");
            }
            segments.push(Listed { number, extent, index: Some(index).filter(|index| *index != NO_INDEX) });
        }
        input.end()?;
        Ok(Self { generation, checkpoint, next_segment, segments })
    }

    /// Writes this generation, durably.
    pub(crate) fn write(&self, dir: &Dir) -> Result<(), Error> {
        let sealed = seal::seal_file(
            &dir.keyring,
            Purpose::Manifest,
            self.generation,
            &self.encode(),
            &*dir.env.random,
        )?;
        Ok(dir.env.disk.replace(&names::manifest(&dir.path, self.generation), &sealed)?)
    }

    /// Reads a generation.
    pub(crate) fn read(dir: &Dir, generation: u64) -> Result<Self, Error> {
        let path = names::manifest(&dir.path, generation);
        let sealed = dir.env.disk.read(&path, BYTES_MAX)?;
        let payload = seal::open_file(&dir.keyring, Purpose::Manifest, generation, &sealed)
            .map_err(|why| Error::unopened(&path, why))?;
        if let Some(version) = codec::newer(&payload, VERSION) {
            return Err(Error::Version { path, version });
        }
        let manifest = Self::decode(payload.into()).map_err(|why| damaged(&path, 0, why))?;
        if manifest.generation == generation {
            Ok(manifest)
        } else {
            Err(damaged(&path, 0, "its generation is not its name's"))
        }
    }

    /// Whether its files hold what it lists, and the log goes on after it. A segment that `trusted` lists just so is looked at
    /// by its length only: whoever reads the store finds everything else. An index is never needed.
    fn check_whole(&self, dir: &Dir, log_begins: Option<LogIndex>, trusted: &Self) -> Result<(), Error> {
        // In a young store that is all of it.
        let check = |at| self.segments.get(at).map_or(Ok(()), |listed| check_file(dir, listed, trusted));
        ahead::in_order(dir.env.processors, self.segments.len(), check, |checked| checked)?;
        let after = self.checkpoint.consistent_index.next();
        match log_begins {
            Some(begins) if begins > after => Err(damaged(
                &names::manifest(&dir.path, self.generation),
                0,
                format!(
                    "the store ends at entry {}, but the log begins at {begins}",
                    self.checkpoint.consistent_index
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn put_extent(out: &mut Vec<u8>, Extent { length, records, hash }: &Extent) {
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&records.to_be_bytes());
    out.extend_from_slice(hash);
}

fn extent(input: &mut Input) -> Result<Extent, Unreadable> {
    Ok(Extent { length: input.u64()?, records: input.u64()?, hash: input.array()? })
}

/// Whether a segment that is listed holds what is listed of it.
fn check_file(dir: &Dir, Listed { number, extent, .. }: &Listed, trusted: &Manifest) -> Result<(), Error> {
    let path = names::store_segment(&dir.path, *number);
    let len = dir.env.disk.stat(&path)?.map(|stat| stat.len);
    match len {
        None => return Err(damaged(&path, 0, "the manifest lists it, but it is not there")),
        Some(len) if len < extent.length => {
            let why = format!("the manifest lists {} bytes, but only {len} are there", extent.length);
            return Err(damaged(&path, len, why));
        }
        Some(_) if trusted.listed(*number).is_some_and(|trusted| trusted.extent == *extent) => return Ok(()),
        Some(_) => {}
    }
    let segment = SegmentFile::open(&*dir.env.disk, &dir.keyring, Purpose::Store, (*number).into(), &path)?;
    file::visit(&segment, extent, |_, _, _| Ok(()))
}

/// What the choice at start came to.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) manifest: Manifest,
    /// Every generation whose file is there.
    pub(crate) generations: Vec<u64>,
    /// Why newer generations were passed over.
    pub(crate) passed_over: Vec<String>,
}

/// The generations in a directory, oldest first.
pub(crate) fn generations(disk: &dyn env::Disk, path: &Path) -> Result<Vec<u64>, Error> {
    let mut all: Vec<_> = disk.list(path)?.iter().filter_map(|name| names::parse_manifest(name)).collect();
    all.sort_unstable();
    Ok(all)
}

/// Chooses the manifest to start from. `log_begins` is the first entry of the log, if it has segments.
///
/// In a copy that was taken while a member ran, a manifest may have been copied after the files that it lists. What the oldest
/// manifest lists too was there before; the rest is read to its end before the manifest counts. One that a newer program
/// wrote is not passed over: going on from an older one would take back what that program did.
pub(crate) fn choose(dir: &Dir, log_begins: Option<LogIndex>) -> Result<Chosen, Error> {
    let generations = generations(&*dir.env.disk, &dir.path)?;
    let oldest = generations.first().and_then(|oldest| Manifest::read(dir, *oldest).ok());
    let trusted = oldest.unwrap_or_default();
    let mut passed_over = Vec::new();
    let mut first_failure = None;
    for generation in generations.iter().rev() {
        let tried = Manifest::read(dir, *generation)
            .and_then(|manifest| manifest.check_whole(dir, log_begins, &trusted).map(|()| manifest));
        match tried {
            Ok(manifest) => return Ok(Chosen { manifest, generations, passed_over }),
            Err(failure @ Error::Damaged { .. }) => {
                passed_over.push(failure.to_string());
                first_failure.get_or_insert(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    Err(first_failure.unwrap_or_else(|| Error::Inconsistent {
        path: dir.path.clone(),
        why: "there is no manifest; hint: restore a backup".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            generation: 7,
            checkpoint: Checkpoint {
                consistent_index: LogIndex(100),
                term: Term(3),
                conf_state: Bytes::from_static(b"conf"),
                state_hash: 0xdead_beef,
                meta: Bytes::from_static(b"meta"),
            },
            next_segment: 9,
            segments: vec![
                Listed { number: 8, extent: extent(20), index: None },
                Listed { number: 2, extent: extent(10), index: Some(extent(30)) },
            ],
        }
    }

    fn extent(length: u64) -> Extent {
        Extent { length, records: 1, hash: [length as u8; 32] }
    }

    /// A list that names a segment twice, or one from the future, was not written by this program.
    #[test]
    fn a_list_that_cannot_be_is_refused() {
        for (number, refused) in [(8, true), (9, true), (7, false)] {
            let mut manifest = sample();
            manifest.segments.push(Listed { number, extent: extent(1), index: None });
            assert_eq!(Manifest::decode(manifest.encode().into()).is_err(), refused, "{number}");
        }
    }

    /// What is written is what is read: the whole store hangs on this list.
    #[test]
    fn a_manifest_survives_the_round_trip() {
        for manifest in [sample(), Manifest::default()] {
            assert_eq!(Manifest::decode(manifest.encode().into()).unwrap(), manifest);
        }
    }

    /// A payload cut anywhere, or too long, is refused and never panics.
    #[test]
    fn cut_and_overlong_payloads_are_refused() {
        let bytes = Bytes::from(sample().encode());
        for len in 0..bytes.len() {
            assert!(Manifest::decode(bytes.slice(..len)).is_err(), "cut to {len}");
        }
        assert!(Manifest::decode([bytes, Bytes::from_static(b"0")].concat().into()).is_err());
    }
}
