//! Opening: one record at its place, or a segment's records in order.

use super::header::{Derived, HEADER_BYTES, Purpose, SegmentHeader};
use super::{
    AssociatedData, END, END_PAYLOAD_BYTES, Extent, HEAD_BYTES, RECORD_BYTES_MAX, RECORD_OVERHEAD, TAG_BYTES,
    nonce,
};
use crate::aead::{self, AeadKey, Sha256};
use crate::{Error, Keyring};

const WHAT: &str = "record";

/// The key of one segment, whose commitment fitted. Opens records at their place.
#[derive(Debug)]
pub struct SegmentKey {
    pub(super) header: SegmentHeader,
    pub(super) aead: AeadKey,
    commitment: [u8; 32],
}

/// The clear beginning of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Its type.
    pub kind: u8,
    /// Bytes of its payload.
    pub payload_bytes: usize,
}

impl RecordHead {
    /// Reads a record's head; nothing where zeros stand, which is space never written to.
    ///
    /// # Errors
    /// A head that no record has.
    pub fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Option<Self>, Error> {
        let [a, b, c, d, kind] = *bytes;
        let payload_bytes = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if kind == 0 {
            let why = "type 0 with a length";
            return if payload_bytes == 0 { Ok(None) } else { Err(Error::Malformed { what: WHAT, why }) };
        }
        if payload_bytes > RECORD_BYTES_MAX {
            return Err(Error::Malformed { what: WHAT, why: "longer than any record" });
        }
        Ok(Some(Self { kind, payload_bytes }))
    }

    /// Bytes of the whole record.
    #[must_use]
    pub fn record_bytes(self) -> usize {
        self.payload_bytes.saturating_add(RECORD_OVERHEAD)
    }
}

impl SegmentKey {
    pub(super) fn new(header: SegmentHeader, derived: &Derived) -> Self {
        Self { header, aead: AeadKey::new(&derived.key), commitment: derived.commitment }
    }

    /// The key for the segment with this header, which must be segment `number` of `purpose` of the keyring's member.
    ///
    /// # Errors
    /// Another segment's header, a malformed or a changed one, or another key.
    pub fn open(
        keyring: &Keyring,
        purpose: Purpose,
        number: u64,
        header: &[u8; HEADER_BYTES],
    ) -> Result<Self, Error> {
        let parsed = SegmentHeader::decode(header)?;
        if (parsed.purpose, parsed.number, parsed.identity) != (purpose, number, keyring.identity()) {
            let why = "it is of another purpose, number, member or cluster";
            return Err(Error::Malformed { what: "segment header", why });
        }
        let derived = parsed.derive(keyring.opening(purpose, parsed.epoch)?);
        let commitment = header.last_chunk::<32>().copied().unwrap_or_default();
        if !aead::equal(&commitment, &derived.commitment) {
            return Err(Error::Tampered { what: "segment header" });
        }
        Ok(Self::new(parsed, &derived))
    }

    /// The segment's header.
    #[must_use]
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// What stands before the first record, for its chain.
    #[must_use]
    pub fn first_previous(&self) -> [u8; TAG_BYTES] {
        self.commitment.last_chunk().copied().unwrap_or_default()
    }

    /// Opens, in place, the whole record in `record` as the one at `position`; answers its type and payload. `previous` are
    /// the 16 bytes before it in the file; they count in chained purposes only.
    ///
    /// # Errors
    /// It is not what was sealed there.
    pub fn open_at<'a>(
        &self,
        position: u64,
        previous: &[u8; TAG_BYTES],
        record: &'a mut [u8],
    ) -> Result<(u8, &'a mut [u8]), Error> {
        let (head, text) =
            record.split_first_chunk_mut().ok_or(Error::Malformed { what: WHAT, why: "cut short" })?;
        let head =
            RecordHead::decode(head)?.ok_or(Error::Malformed { what: WHAT, why: "nothing is there" })?;
        if text.len() != head.payload_bytes.saturating_add(TAG_BYTES) {
            return Err(Error::Malformed { what: WHAT, why: "cut short" });
        }
        let len = u32::try_from(head.payload_bytes).unwrap_or(u32::MAX);
        let chain = self.header.purpose.is_chained().then_some(previous);
        let aad = AssociatedData::new(self.header.number, position, len, head.kind, chain);
        let payload = self.aead.open(nonce(position), aad.as_slice(), text);
        Ok((head.kind, payload.map_err(|_| Error::Tampered { what: WHAT })?))
    }
}

/// A record that a walk came by.
#[derive(Debug)]
pub enum Opened<'a> {
    /// A record: its position, type and payload.
    Record(u64, u8, &'a mut [u8]),
    /// The end; everything before it was seen.
    End,
}

/// A walk over a segment's records in order, which keeps the chain and its hash.
#[derive(Clone, Debug)]
pub struct Walk {
    position: u64,
    records: u64,
    previous: [u8; TAG_BYTES],
    hash: Sha256,
}

impl Walk {
    /// A walk from the first record on.
    #[must_use]
    pub fn new(key: &SegmentKey) -> Self {
        let mut hash = Sha256::new();
        hash.update(&key.commitment);
        Self { position: HEADER_BYTES as u64, records: 0, previous: key.first_previous(), hash }
    }

    /// Where the next record begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What was seen so far.
    #[must_use]
    pub fn extent(&self) -> Extent {
        Extent { length: self.position, records: self.records, hash: self.hash.clone().finish() }
    }

    /// Opens the next record in place; the walk stays where it was if it does not open.
    ///
    /// # Errors
    /// It is not what was sealed there; an end record that does not match what was seen.
    pub fn step<'a>(&mut self, key: &SegmentKey, record: &'a mut [u8]) -> Result<Opened<'a>, Error> {
        let position = self.position;
        let bytes = record.len() as u64;
        let tag = record.last_chunk().copied().ok_or(Error::Malformed { what: WHAT, why: "cut short" })?;
        let (kind, payload) = key.open_at(position, &self.previous, record)?;
        if kind == END {
            self.check_end(payload)?;
        }
        self.hash.update(&tag);
        self.previous = tag;
        self.records = self.records.saturating_add(1);
        self.position = position.saturating_add(bytes);
        Ok(if kind == END { Opened::End } else { Opened::Record(position, kind, payload) })
    }

    fn check_end(&self, payload: &[u8]) -> Result<(), Error> {
        let Extent { length, records, hash } = self.extent();
        let mut expected = [0; END_PAYLOAD_BYTES];
        let parts = length.to_be_bytes().into_iter().chain(records.to_be_bytes()).chain(hash);
        expected.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        if aead::equal(&expected, payload) { Ok(()) } else { Err(Error::Tampered { what: "end record" }) }
    }
}
