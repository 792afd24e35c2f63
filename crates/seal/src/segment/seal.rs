//! Sealing: records appended to a segment that begins here.
//!
//! Invariant: `position` only grows, and a sealer cannot be cloned or made for an existing segment, so no nonce repeats.
//! [`Nonces`] counts for itself and stops the program before one would.

use super::header::{HEADER_BYTES, Purpose, SegmentHeader};
use super::open::SegmentKey;
use super::{AssociatedData, END, Extent, HEAD_BYTES, RECORD_BYTES_MAX, RECORD_OVERHEAD, TAG_BYTES, nonce};
use crate::aead::{NONCE_BYTES, Sha256};
use crate::{Error, Keyring};
use env::Random;
use std::sync::Arc;

/// Seals records into one segment.
#[derive(Debug)]
pub struct Sealer {
    key: Arc<SegmentKey>,
    nonces: Nonces,
    position: u64,
    records: u64,
    previous: [u8; TAG_BYTES],
    hash: Sha256,
}

impl Sealer {
    /// Begins a segment with a key of its own; its header goes to the end of `out`.
    ///
    /// # Errors
    /// The keyring has no key for this purpose.
    pub fn begin(
        keyring: &Keyring,
        purpose: Purpose,
        number: u64,
        random: &dyn Random,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let (epoch, data_key) = keyring.sealing(purpose)?;
        let mut salt = [0; 32];
        random.fill(&mut salt);
        let header = SegmentHeader { purpose, epoch, identity: keyring.identity(), number, salt };
        let derived = header.derive(data_key);
        out.extend_from_slice(&header.bound());
        out.extend_from_slice(&derived.commitment);
        let key = SegmentKey::new(header, &derived);
        let mut hash = Sha256::new();
        hash.update(&derived.commitment);
        let previous = key.first_previous();
        let (nonces, position) = (Nonces::default(), HEADER_BYTES as u64);
        Ok(Self { key: Arc::new(key), nonces, position, records: 0, previous, hash })
    }

    /// Seals the concatenation of `parts` as one record of type `kind` to the end of `out`; answers its position.
    ///
    /// # Errors
    /// More than [`RECORD_BYTES_MAX`] bytes; nothing is sealed then.
    ///
    /// # Panics
    /// For the types 0 and 255, which are not the caller's.
    pub fn seal(&mut self, kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<u64, Error> {
        assert!(kind != 0 && kind != END, "record type {kind} is reserved");
        self.seal_any(kind, parts, out)
    }

    /// Ends the segment: the end record goes to the end of `out`. Answers the whole extent, end record included.
    ///
    /// # Errors
    /// Never in practice; an end record is small. What is sealed after it is not read by anybody.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<Extent, Error> {
        let Extent { length, records, hash } = self.extent();
        self.seal_any(END, &[&length.to_be_bytes(), &records.to_be_bytes(), &hash], out)?;
        Ok(self.extent())
    }

    /// How much is sealed so far.
    #[must_use]
    pub fn extent(&self) -> Extent {
        Extent { length: self.position, records: self.records, hash: self.hash.clone().finish() }
    }

    /// Where the next record will begin.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The key to open what was sealed.
    #[must_use]
    pub fn key(&self) -> Arc<SegmentKey> {
        self.key.clone()
    }

    /// Whether this is the key that it seals with: whoever writes what was sealed asks, so that nothing goes into the
    /// segment of another writer.
    #[must_use]
    pub fn seals_with(&self, key: &Arc<SegmentKey>) -> bool {
        Arc::ptr_eq(&self.key, key)
    }

    fn seal_any(&mut self, kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<u64, Error> {
        let bytes = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let len = u32::try_from(bytes).ok().filter(|_| bytes <= RECORD_BYTES_MAX);
        let len = len.ok_or(Error::TooLarge { bytes, limit: RECORD_BYTES_MAX })?;
        let position = self.position;
        let start = out.len() + HEAD_BYTES;
        out.reserve(bytes + RECORD_OVERHEAD);
        out.extend_from_slice(&len.to_be_bytes());
        out.push(kind);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let chain = self.key.header.purpose.is_chained().then_some(&self.previous);
        let aad = AssociatedData::new(self.key.header.number, position, len, kind, chain);
        let text = out.get_mut(start..).unwrap_or_default();
        let tag = self.key.aead.seal(self.nonces.take(position), aad.as_slice(), text);
        out.extend_from_slice(&tag);
        self.hash.update(&tag);
        self.previous = tag;
        self.records += 1;
        self.position += (bytes + RECORD_OVERHEAD) as u64;
        Ok(position)
    }
}

/// The nonces of one segment's key, each given out once at most.
#[derive(Debug, Default)]
struct Nonces {
    taken_below: u64,
}

impl Nonces {
    /// The nonce of a position beyond all that were asked for before. A position that was is our own bug: two texts under one
    /// nonce would give both away, so the program ends instead.
    fn take(&mut self, position: u64) -> [u8; NONCE_BYTES] {
        let Self { taken_below } = *self;
        assert!(
            position >= taken_below,
            "position {position} was sealed before, all below {taken_below} were"
        );
        self.taken_below = position.checked_add(1).expect("a segment is shorter than 2^64 bytes");
        nonce(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;
    use env::sim::SimRandom;
    use types::{ClusterId, MemberId};

    /// A sealer that was set back seals nothing more: a nonce used twice gives away both texts, and the key to forge others.
    #[test]
    #[should_panic(expected = "position 128 was sealed before")]
    fn a_position_is_never_sealed_twice() {
        let random = SimRandom::new(1);
        let identity = Identity { cluster: ClusterId(1), member: MemberId(1) };
        let keyring = Keyring::generate(identity, &random);
        let mut out = Vec::new();
        let mut sealer = Sealer::begin(&keyring, Purpose::Store, 1, &random, &mut out).unwrap();
        sealer.seal(1, &[b"one text"], &mut out).unwrap();
        sealer.position = HEADER_BYTES as u64;
        let _ = sealer.seal(1, &[b"another"], &mut out);
    }
}
