//! The log's record types and their payloads (docs/formats/log.md).

use crate::codec::{self, Input, Unreadable};
use bytes::Bytes;
use consensus::{Entry, EntryKind, HardState};
use seal::{Extent, HEADER_BYTES, RECORD_OVERHEAD};
use types::{LogIndex, MemberId, Term};

/// The first record of a segment.
pub(crate) const HEAD: u8 = 1;
/// The first record of a batch.
pub(crate) const BATCH: u8 = 2;
/// The hard state.
pub(crate) const HARD_STATE: u8 = 3;
/// An entry.
pub(crate) const ENTRY: u8 = 4;
/// An audit intent of the batch.
pub(crate) const AUDIT: u8 = 5;
/// The log begins anew after an entry.
pub(crate) const START: u8 = 6;

pub(super) const HEAD_PAYLOAD_BYTES: usize = 1 + 4 + 8 + 8 + 32 + HARD_STATE_BYTES + 16;
pub(super) const BATCH_PAYLOAD_BYTES: usize = 16;
pub(super) const HARD_STATE_BYTES: usize = 24;
pub(super) const ENTRY_HEAD_BYTES: usize = 17;
/// Bytes of a segment's header and head.
pub(crate) const BEGIN_BYTES: u64 = (HEADER_BYTES + RECORD_OVERHEAD + HEAD_PAYLOAD_BYTES) as u64;
/// Bytes of a whole batch record.
pub(super) const BATCH_RECORD_BYTES: u64 = (RECORD_OVERHEAD + BATCH_PAYLOAD_BYTES) as u64;

const HEAD_VERSION: u8 = 1;

/// An entry's place before which everything is gone, with its term.
pub(crate) type Base = (LogIndex, Term);

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The predecessor's number (0 for none) and how much of it counts.
    pub(crate) predecessor: (u32, Extent),
    /// The hard state at the segment's beginning.
    pub(crate) hard_state: HardState,
    /// The last entry before the segment.
    pub(crate) base: Base,
}

/// Puts arrays one after the other.
fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(parts.iter().copied().flatten()).for_each(|(to, from)| *to = *from);
    out
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD_PAYLOAD_BYTES] {
        let (number, Extent { length, records, hash }) = self.predecessor;
        join(&[
            &[HEAD_VERSION],
            &number.to_be_bytes(),
            &length.to_be_bytes(),
            &records.to_be_bytes(),
            &hash,
            &encode_hard_state(self.hard_state),
            &encode_base(self.base),
        ])
    }

    /// The version of a head that a newer program wrote.
    pub(crate) fn newer(payload: &[u8]) -> Option<u16> {
        codec::newer(payload, HEAD_VERSION)
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, Unreadable> {
        let mut input = Input::new(payload);
        if input.u8()? != HEAD_VERSION {
            return Err("a head of an unknown version");
        }
        let number = input.u32()?;
        let extent = Extent { length: input.u64()?, records: input.u64()?, hash: input.array()? };
        let hard_state = take_hard_state(&mut input)?;
        let base = take_base(&mut input)?;
        input.end()?;
        Ok(Self { predecessor: (number, extent), hard_state, base })
    }
}

pub(super) fn encode_batch(number: u64, bytes: u64) -> [u8; BATCH_PAYLOAD_BYTES] {
    join(&[&number.to_be_bytes(), &bytes.to_be_bytes()])
}

/// The batch's bytes, its first record included.
pub(crate) fn decode_batch(payload: Bytes) -> Result<u64, Unreadable> {
    let mut input = Input::new(payload);
    let (_number, bytes) = (input.u64()?, input.u64()?);
    input.end()?;
    Ok(bytes)
}

pub(super) fn encode_hard_state(state: HardState) -> [u8; HARD_STATE_BYTES] {
    join(&[&state.term.0.to_be_bytes(), &state.vote.0.to_be_bytes(), &state.commit.0.to_be_bytes()])
}

fn take_hard_state(input: &mut Input) -> Result<HardState, Unreadable> {
    Ok(HardState { term: Term(input.u64()?), vote: MemberId(input.u64()?), commit: LogIndex(input.u64()?) })
}

pub(crate) fn decode_hard_state(payload: Bytes) -> Result<HardState, Unreadable> {
    let mut input = Input::new(payload);
    let state = take_hard_state(&mut input)?;
    input.end()?;
    Ok(state)
}

pub(super) fn encode_base((index, term): Base) -> [u8; 16] {
    join(&[&index.0.to_be_bytes(), &term.0.to_be_bytes()])
}

fn take_base(input: &mut Input) -> Result<Base, Unreadable> {
    Ok((LogIndex(input.u64()?), Term(input.u64()?)))
}

pub(crate) fn decode_base(payload: Bytes) -> Result<Base, Unreadable> {
    let mut input = Input::new(payload);
    let base = take_base(&mut input)?;
    input.end()?;
    Ok(base)
}

/// An entry's payload before its data.
pub(super) fn encode_entry_head(entry: &Entry) -> [u8; ENTRY_HEAD_BYTES] {
    let kind = match entry.kind {
        EntryKind::Normal => 0,
        EntryKind::ConfChange => 1,
        EntryKind::ConfChangeV2 => 2,
    };
    join(&[&entry.index.0.to_be_bytes(), &entry.term.0.to_be_bytes(), &[kind]])
}

pub(crate) fn decode_entry(payload: Bytes) -> Result<Entry, Unreadable> {
    let mut input = Input::new(payload);
    let (index, term) = take_base(&mut input)?;
    let kind = match input.u8()? {
        0 => EntryKind::Normal,
        1 => EntryKind::ConfChange,
        2 => EntryKind::ConfChangeV2,
        _ => return Err("an entry of an unknown kind"),
    };
    if index.0 == 0 || index.0 == u64::MAX {
        return Err("an entry with an index that no entry has");
    }
    Ok(Entry { index, term, kind, data: input.rest() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is what is read, in every record type: entries are the only durable form of a write.
    #[test]
    fn payloads_survive_the_round_trip() {
        let hard_state = HardState { term: Term(3), vote: MemberId(u64::MAX), commit: LogIndex(9) };
        let extent = Extent { length: 1, records: 2, hash: [7; 32] };
        let head = Head { predecessor: (4, extent), hard_state, base: (LogIndex(5), Term(6)) };
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        assert_eq!(Head::decode(copy(&head.encode())), Ok(head));
        assert_eq!(decode_hard_state(copy(&encode_hard_state(hard_state))), Ok(hard_state));
        assert_eq!(decode_batch(copy(&encode_batch(1, 2))), Ok(2));
        assert_eq!(decode_base(copy(&encode_base(head.base))), Ok(head.base));
        for (kind, data) in
            [(EntryKind::Normal, "data"), (EntryKind::ConfChange, ""), (EntryKind::ConfChangeV2, "x")]
        {
            let entry =
                Entry { term: Term(1), index: LogIndex(2), kind, data: Bytes::from_static(data.as_bytes()) };
            let payload = [&encode_entry_head(&entry)[..], &entry.data].concat();
            assert_eq!(decode_entry(payload.into()), Ok(entry));
        }
    }

    /// A cut or overlong payload is an error, never a panic.
    #[test]
    fn cut_payloads_are_refused() {
        let zeros = Bytes::from_static(&[1; 200]);
        for len in (0..200).filter(|len| *len != HEAD_PAYLOAD_BYTES) {
            assert!(Head::decode(zeros.slice(..len)).is_err());
        }
        for len in (0..40).filter(|len| *len != 16) {
            assert!(decode_batch(zeros.slice(..len)).is_err() && decode_base(zeros.slice(..len)).is_err());
        }
        assert!((0..ENTRY_HEAD_BYTES).all(|len| decode_entry(zeros.slice(..len)).is_err()));
        assert!(decode_hard_state(zeros.slice(..23)).is_err() && decode_hard_state(zeros).is_err());
    }
}
