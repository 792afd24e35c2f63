//! The one encoding of a key-value pair: etcd's `mvccpb.KeyValue`, from the store's record to the wire.
//!
//! Owns [`Pair`] (the bytes) and [`PairView`] (what they say). HashKV hashes these bytes, so they must equal what etcd's
//! members write: fields in ascending order, zeros and empty strings left out.
//!
//! ```text
//! field 1 key (bytes) · 2 create_revision · 3 mod_revision · 4 version (varints) · 5 value (bytes) · 6 lease (varint)
//! ```
//!
//! Invariant: decoding is strict; whatever is not exactly such an encoding (unknown, repeated or disordered field, cut
//! varint, length beyond the end) is [`Malformed`], never a panic.

use bytes::Bytes;
use types::{LeaseId, Revision};

/// A key-value pair as etcd encodes it (`mvccpb.KeyValue`).
#[derive(Clone, PartialEq, Eq)]
pub struct Pair(pub Bytes);

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pair({} bytes)", self.0.len())
    }
}

/// The bytes are not a key-value pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed key-value pair: {0}")]
pub struct Malformed(&'static str);

/// What a pair says; the slices point into its bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct PairView<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Revision of the key's creation; 0 in the record of a deletion.
    pub create_revision: Revision,
    /// Revision of this write.
    pub mod_revision: Revision,
    /// Number of writes since creation; 0 in the record of a deletion.
    pub version: i64,
    /// The value.
    pub value: &'a [u8],
    /// The lease the key is attached to.
    pub lease: LeaseId,
}

impl std::fmt::Debug for PairView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairView")
            .field("key", &format_args!("\"{}\"", self.key.escape_ascii()))
            .field("create_revision", &self.create_revision.0)
            .field("mod_revision", &self.mod_revision.0)
            .field("version", &self.version)
            .field("value_bytes", &self.value.len())
            .field("lease", &self.lease)
            .finish()
    }
}

impl Pair {
    /// What the bytes say.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a pair.
    pub fn view(&self) -> Result<PairView<'_>, Malformed> {
        PairView::decode(&self.0)
    }

    /// The value as shared bytes, without a copy.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not a pair.
    pub fn value(&self) -> Result<Bytes, Malformed> {
        Ok(self.0.slice_ref(self.view()?.value))
    }
}

impl<'a> PairView<'a> {
    /// The pair of these fields.
    #[must_use]
    pub fn to_pair(&self) -> Pair {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes);
        Pair(bytes.into())
    }

    /// The encoding's length.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let bytes = |value: &[u8]| if value.is_empty() { 0 } else { delimited_len(value.len()) };
        let number = |value: i64| if value == 0 { 0 } else { 1 + varint_len(value.cast_unsigned()) };
        bytes(self.key)
            .saturating_add(bytes(self.value))
            .saturating_add(number(self.create_revision.0))
            .saturating_add(number(self.mod_revision.0))
            .saturating_add(number(self.version))
            .saturating_add(number(self.lease.0))
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, 1, self.key);
        put_number(out, 2, self.create_revision.0);
        put_number(out, 3, self.mod_revision.0);
        put_number(out, 4, self.version);
        put_bytes(out, 5, self.value);
        put_number(out, 6, self.lease.0);
    }

    /// Reads an encoding.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not exactly one.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let mut pair = Self::default();
        let mut last = 0;
        while let Some((&tag, after)) = rest.split_first() {
            let field = tag >> 3;
            if field <= last {
                return Err(Malformed("fields repeat or are out of order"));
            }
            last = field;
            rest = after;
            match tag {
                0x0a => pair.key = take_bytes(&mut rest)?,
                0x10 => pair.create_revision = Revision(take_number(&mut rest)?),
                0x18 => pair.mod_revision = Revision(take_number(&mut rest)?),
                0x20 => pair.version = take_number(&mut rest)?,
                0x2a => pair.value = take_bytes(&mut rest)?,
                0x30 => pair.lease = LeaseId(take_number(&mut rest)?),
                _ => return Err(Malformed("unknown field or wire type")),
            }
        }
        Ok(pair)
    }
}

fn put_number(out: &mut Vec<u8>, field: u8, value: i64) {
    if value != 0 {
        out.push(field << 3);
        put_varint(out, value.cast_unsigned());
    }
}

fn put_bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    if !value.is_empty() {
        out.push(field << 3 | 2);
        put_varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

/// Bytes that a field of `len` bytes takes in its message, with a tag of one byte and its length.
pub(crate) fn delimited_len(len: usize) -> usize {
    len.saturating_add(1).saturating_add(varint_len(len as u64))
}

/// Bytes of a varint: seven bits in each.
fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_number(rest: &mut &[u8]) -> Result<i64, Malformed> {
    take_varint(rest).map(u64::cast_signed)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(take_varint(rest)?).map_err(|_| Malformed("length beyond memory"))?;
    let (taken, after) = rest.split_at_checked(len).ok_or(Malformed("length beyond the end"))?;
    *rest = after;
    Ok(taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(Malformed("cut varint"))?;
        *rest = after;
        if shift == 63 && byte > 1 {
            return Err(Malformed("varint beyond 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed("varint beyond 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// HashKV compares these bytes with etcd's (the vectors in `testdata` prove the whole): one pair written out by hand.
    #[test]
    fn a_pair_encodes_as_etcd_does() {
        let view = PairView {
            key: b"a",
            create_revision: Revision(2),
            mod_revision: Revision(300),
            version: 1,
            value: b"1",
            lease: LeaseId(-1),
        };
        let expected =
            b"\x0a\x01a\x10\x02\x18\xac\x02\x20\x01\x2a\x011\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(view.to_pair().0.as_ref(), expected);
        assert_eq!(PairView::decode(expected).unwrap(), view);
    }

    /// Zeros and empty strings are left out, as protobuf's third syntax does; a deletion's record is its key alone.
    #[test]
    fn zeros_are_left_out() {
        let tombstone = PairView { key: b"k", ..PairView::default() };
        assert_eq!(tombstone.to_pair().0.as_ref(), b"\x0a\x01k");
    }

    /// A record that is not a pair is refused and never read past its end: the store may be damaged.
    #[test]
    fn malformed_pairs_are_refused() {
        let cases: &[&[u8]] = &[
            b"\x0a",                                             // no length
            b"\x0a\x02a",                                        // length beyond the end
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",     // length beyond memory
            b"\x10\x80",                                         // cut varint
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",     // 65 bits
            b"\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", // eleven bytes
            b"\x0a\x01a\x0a\x01a",                               // repeated field
            b"\x10\x01\x0a\x01a",                                // disordered fields
            b"\x38\x01",                                         // unknown field
            b"\x08\x01",                                         // wrong wire type
            b"\x00",                                             // field number 0
        ];
        for case in cases {
            assert!(PairView::decode(case).is_err(), "{}", case.escape_ascii());
        }
    }

    proptest! {
        /// What is encoded is read back the same, and its zero-copy value is the value.
        #[test]
        fn pairs_survive_the_round_trip(
            key in prop::collection::vec(any::<u8>(), 0..9), value in prop::collection::vec(any::<u8>(), 0..300),
            create: i64, modified: i64, version: i64, lease: i64,
        ) {
            let view = PairView {
                key: &key, create_revision: Revision(create), mod_revision: Revision(modified), version,
                value: &value, lease: LeaseId(lease),
            };
            let pair = view.to_pair();
            prop_assert_eq!(pair.view().unwrap(), view);
            let found = pair.value().unwrap();
            prop_assert_eq!(found.as_ref(), value.as_slice());
            prop_assert_eq!(pair.0.len(), view.encoded_len());
        }

        /// No bytes make the decoder panic.
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = PairView::decode(&bytes);
        }
    }
}
