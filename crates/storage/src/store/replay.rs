//! Reading the store at a start: each segment for itself, on all processors; then what was made of them, in order.
//!
//! Owns the choice between a segment and its index. Never knows what is gathered: that is the caller's [`Gather`]. Whether a
//! thread or ten have read, the caller sees the same.

use super::read::Shared;
use super::{Position, RecordKind, SegmentNumber};
use crate::file::{self, SegmentFile};
use crate::manifest::Listed;
use crate::{Error, ahead, names};
use seal::{Extent, Purpose};

/// What a start reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed<'a> {
    /// A record.
    Record(Position, RecordKind, &'a [u8]),
    /// An entry of a segment's index, as it was given to [`super::Rewriting::index`].
    Indexed(SegmentNumber, RecordKind, &'a [u8]),
}

/// What a start makes of the records of one segment, without knowing those before: that may happen on another thread.
pub trait Gather: Default + Send {
    /// Why a record is refused.
    type Error: From<Error> + Send;

    /// Takes the segment's next record, or the next entry of its index.
    ///
    /// # Errors
    /// It is not understood.
    fn add(&mut self, replayed: Replayed<'_>) -> Result<(), Self::Error>;

    /// All of the segment was taken.
    fn complete(&mut self);
}

/// Gathers all segments, and hands over each in order, with why its index was passed over if it was.
pub(super) fn replay<G: Gather>(
    shared: &Shared,
    listed: &[Listed],
    mut take: impl FnMut(u32, Option<Error>, G) -> Result<(), G::Error>,
) -> Result<(), G::Error> {
    let work = |at| listed.get(at).map(|listed| gather(shared, listed));
    ahead::in_order(shared.dir.env.processors, listed.len(), work, |gathered| match gathered {
        Some((number, index_damage, gathered)) => take(number, index_damage, gathered?),
        None => Ok(()),
    })
}

type Gathered<G> = (u32, Option<Error>, Result<G, <G as Gather>::Error>);

fn gather<G: Gather>(shared: &Shared, Listed { number, extent, index }: &Listed) -> Gathered<G> {
    let mut index_damage = None;
    if let Some(index) = index {
        match from_index(shared, *number, index) {
            Ok(gathered) => return (*number, None, gathered),
            Err(why) => index_damage = Some(why),
        }
    }
    (*number, index_damage, from_segment(shared, *number, extent))
}

/// Gathers an index; fails where it is damaged. A refusal of what is in it counts only in a whole one.
fn from_index<G: Gather>(
    shared: &Shared,
    number: u32,
    extent: &Extent,
) -> Result<Result<G, G::Error>, Error> {
    let dir = &shared.dir;
    let path = names::store_index(&dir.path, number);
    let file = SegmentFile::open(&*dir.env.disk, &dir.keyring, Purpose::Index, number.into(), &path)?;
    let mut gathered = Ok(G::default());
    file::visit(&file, extent, |_, kind, payload| {
        if let Ok(gather) = &mut gathered
            && let Err(refusal) =
                gather.add(Replayed::Indexed(SegmentNumber(number), RecordKind(kind), payload))
        {
            gathered = Err(refusal);
        }
        Ok::<_, Error>(())
    })?;
    Ok(gathered.map(completed))
}

fn from_segment<G: Gather>(shared: &Shared, number: u32, extent: &Extent) -> Result<G, G::Error> {
    let mut gathered = G::default();
    shared
        .segment(number)?
        .look(extent, |position, kind, payload| gathered.add(Replayed::Record(position, kind, payload)))?;
    Ok(completed(gathered))
}

fn completed<G: Gather>(mut gathered: G) -> G {
    gathered.complete();
    gathered
}
