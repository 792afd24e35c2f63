//! Work on the store that has time and needs no order: giving space back, and the indexes that make a start fast.
//!
//! Owns that there is one chore at a time: [`Machine::begin_chore`] gives it out, any thread runs it, and
//! [`Machine::end_chore`] takes it back. What a chore is about is in `collect.rs`, but for the indexes, which are here.

use crate::collect::{Collected, Collection, CollectionLimits};
use crate::error::Error;
use crate::machine::Machine;
use crate::mvcc::values::damaged;
use crate::record;
use storage::{Indexed, Indexing, SegmentNumber};

/// A chore to be run by any thread.
pub struct Chore(Kind);

enum Kind {
    /// Copies what is wanted of some segments.
    Collect(Box<Collection>),
    /// Writes the index of a segment.
    Index(Box<Indexing>),
}

/// A chore that was run, to be given back to the machine.
#[must_use = "the machine gives out no other chore before it has this one back"]
pub struct ChoreDone(Outcome);

enum Outcome {
    Collected(Option<Collected>),
    Indexed(Option<Indexed>),
}

impl ChoreDone {
    /// Whether it came to nothing for want of space: the next try can wait.
    #[must_use]
    pub fn found_no_space(&self) -> bool {
        matches!(self.0, Outcome::Collected(None) | Outcome::Indexed(None))
    }
}

impl Machine {
    /// The next chore, if one is due and none is out.
    ///
    /// # Errors
    /// The store's failure; without space there is no chore.
    pub fn begin_chore(&mut self, limits: CollectionLimits) -> Result<Option<Chore>, Error> {
        self.check_whole()?;
        let collection = match self.chore_is_out {
            true => return Ok(None),
            false => self.collect(limits)?,
        };
        let kind = match collection {
            Some(collection) => Some(Kind::Collect(Box::new(collection))),
            None => self.index_segment()?.map(|indexing| Kind::Index(Box::new(indexing))),
        };
        self.chore_is_out = kind.is_some();
        Ok(kind.map(Chore))
    }

    /// Takes a chore back; its effect is durable with the next checkpoint.
    ///
    /// # Errors
    /// The store's failure.
    pub fn end_chore(&mut self, ChoreDone(outcome): ChoreDone) -> Result<(), Error> {
        self.check_whole()?;
        self.chore_is_out = false;
        match outcome {
            Outcome::Collected(collected) => self.collected(collected)?,
            Outcome::Indexed(Some(indexed)) => self.journal.store.put_index(indexed),
            // A disk without space stays so for a while: the next start tries again.
            Outcome::Indexed(None) => self.without_index = true,
        }
        Ok(())
    }

    /// Begins the index of the oldest closed segment that has none and is not about to be collected.
    fn index_segment(&mut self) -> Result<Option<Indexing>, Error> {
        if self.without_index {
            return Ok(None);
        }
        let Some(segment) = self.segment_to_index() else { return Ok(None) };
        match self.journal.store.index(segment) {
            Ok(indexing) => Ok(Some(indexing)),
            Err(storage::Error::NoSpace { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn segment_to_index(&self) -> Option<SegmentNumber> {
        let segments = self.journal.store.segments();
        let mut bare = segments.iter().filter(|segment| !segment.is_active && !segment.is_indexed);
        let index = self.shared.space.index();
        bare.find(|segment| index.kept_bytes(segment.number) > segment.bytes / 2)
            .map(|segment| segment.number)
    }
}

impl Chore {
    /// Does it. `pace` is told the bytes of every record that was read, and may wait.
    ///
    /// # Errors
    /// Damage, the disk's failure.
    pub fn run(self, mut pace: impl FnMut(usize)) -> Result<ChoreDone, Error> {
        let outcome = match self.0 {
            Kind::Collect(collection) => Outcome::Collected(collection.run(pace)?),
            Kind::Index(indexing) => {
                let written = indexing.write(|position, kind, payload| {
                    pace(payload.len());
                    record::index_entry(kind.0, position.offset(), payload)
                        .map_err(|what| damaged(position, what))
                });
                match written {
                    Ok(indexed) => Outcome::Indexed(Some(indexed)),
                    Err(Error::Storage(storage::Error::NoSpace { .. })) => Outcome::Indexed(None),
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(ChoreDone(outcome))
    }
}
