//! The sealed segment: header, records, end (docs/formats/sealed-segment.md).
//!
//! Owns the layout, the derivation of the segment's key and the nonces. Never reads or writes a file: bytes in, bytes out.
//!
//! Invariants: a pair of key and nonce is used once, because a [`Sealer`] is made only with a fresh salt and its
//! position only grows; a record opens only at its place in its segment, in chained purposes only after its
//! predecessor; nothing is decrypted before the commitment fits.
//!
//! ```text
//! | header 128 | len 4 · type 1 · ciphertext len · tag 16 | … | end record |
//! ```

mod file;
mod header;
mod open;
mod seal;

pub use file::{open_file, seal_file};
pub use header::{HEADER_BYTES, Purpose, SegmentHeader};
pub use open::{Opened, RecordHead, SegmentKey, Walk};
pub use seal::Sealer;

use crate::aead;

/// Bytes of a tag.
pub const TAG_BYTES: usize = aead::TAG_BYTES;
/// Bytes before a record's ciphertext: length and type.
pub const HEAD_BYTES: usize = 5;
/// What a record is longer than its payload.
pub const RECORD_OVERHEAD: usize = HEAD_BYTES + TAG_BYTES;
/// Largest payload of a record.
pub const RECORD_BYTES_MAX: usize = 1 << 28;
/// Bytes of an end record.
pub const END_RECORD_BYTES: usize = RECORD_OVERHEAD + END_PAYLOAD_BYTES;

/// The type of the end record.
const END: u8 = 255;
const END_PAYLOAD_BYTES: usize = 8 + 8 + 32;

/// How much of a segment counts, and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes from the file's beginning.
    pub length: u64,
    /// Records in them.
    pub records: u64,
    /// The chain hash over them.
    pub hash: [u8; 32],
}

fn nonce(position: u64) -> [u8; aead::NONCE_BYTES] {
    let [a, b, c, d, e, f, g, h] = position.to_be_bytes();
    [0, 0, 0, 0, a, b, c, d, e, f, g, h]
}

/// A record's associated data; `previous` counts in chained purposes only.
struct AssociatedData {
    bytes: [u8; 37],
    len: usize,
}

impl AssociatedData {
    fn new(number: u64, position: u64, len: u32, kind: u8, previous: Option<&[u8; TAG_BYTES]>) -> Self {
        let mut bytes = [0; 37];
        let (head, chain) = bytes.split_at_mut(21);
        let parts = number.to_be_bytes().into_iter().chain(position.to_be_bytes()).chain(len.to_be_bytes());
        head.iter_mut().zip(parts.chain([kind])).for_each(|(to, from)| *to = from);
        let Some(previous) = previous else { return Self { bytes, len: 21 } };
        chain.copy_from_slice(previous);
        Self { bytes, len: 37 }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
