//! A key with its value and versions: the one message that is not generated, since it can stand for bytes that it was encoded
//! to before.
//!
//! A store keeps pairs as the bytes that the wire takes; so they are copied out, whoever asks, instead of being read and
//! written again for each. Owns only that; a decoded pair always has its fields.

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, bytes as octets, int64, skip_field};
use prost::{DecodeError, Message};

/// `mvccpb.KeyValue`: a pair, by its fields or by its encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyValue {
    /// Field 1.
    pub key: Bytes,
    /// Field 2.
    pub create_revision: i64,
    /// Field 3.
    pub mod_revision: i64,
    /// Field 4.
    pub version: i64,
    /// Field 5.
    pub value: Bytes,
    /// Field 6.
    pub lease: i64,
    /// No field: if there are any, these bytes are the encoding, and the fields say nothing.
    pub encoded: Bytes,
}

impl KeyValue {
    /// The pair of which these bytes are the encoding.
    #[must_use]
    pub fn of_encoded(encoded: Bytes) -> Self {
        Self { encoded, ..Self::default() }
    }

    fn numbers(&self) -> [(u32, i64); 3] {
        [(2, self.create_revision), (3, self.mod_revision), (4, self.version)]
    }
}

/// As proto3 has it, what is zero or empty is left out.
impl Message for KeyValue {
    fn encode_raw(&self, out: &mut impl BufMut) {
        if !self.encoded.is_empty() {
            return out.put_slice(&self.encoded);
        }
        if !self.key.is_empty() {
            octets::encode(1, &self.key, out);
        }
        for (tag, number) in self.numbers().iter().filter(|(_, number)| *number != 0) {
            int64::encode(*tag, number, out);
        }
        if !self.value.is_empty() {
            octets::encode(5, &self.value, out);
        }
        if self.lease != 0 {
            int64::encode(6, &self.lease, out);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire: WireType,
        from: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => octets::merge(wire, &mut self.key, from, context),
            2 => int64::merge(wire, &mut self.create_revision, from, context),
            3 => int64::merge(wire, &mut self.mod_revision, from, context),
            4 => int64::merge(wire, &mut self.version, from, context),
            5 => octets::merge(wire, &mut self.value, from, context),
            6 => int64::merge(wire, &mut self.lease, from, context),
            _ => skip_field(wire, tag, from, context),
        }
    }

    fn encoded_len(&self) -> usize {
        if !self.encoded.is_empty() {
            return self.encoded.len();
        }
        let octets =
            |tag, octets: &Bytes| if octets.is_empty() { 0 } else { octets::encoded_len(tag, octets) };
        let number = |tag, number: &i64| if *number == 0 { 0 } else { int64::encoded_len(tag, number) };
        let numbers: usize = self.numbers().iter().map(|(tag, value)| number(*tag, value)).sum();
        octets(1, &self.key)
            .saturating_add(numbers)
            .saturating_add(octets(5, &self.value))
            .saturating_add(number(6, &self.lease))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvccpb::Event;

    /// By its fields or by its encoding, a pair is the same on the wire, also within another message; and it comes back
    /// with its fields. Every client reads these bytes.
    #[test]
    fn a_pair_is_the_same_by_fields_and_by_encoding() {
        let full = KeyValue {
            key: "k".into(),
            create_revision: 2,
            mod_revision: 300,
            version: 1,
            value: "v".into(),
            lease: -1,
            ..KeyValue::default()
        };
        let deleted = KeyValue { key: "k".into(), mod_revision: 9, ..KeyValue::default() };
        for (pair, expected) in [
            (full, &b"\x0a\x01k\x10\x02\x18\xac\x02\x20\x01\x2a\x01v\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..]),
            (deleted, b"\x0a\x01k\x18\x09"),
        ] {
            let encoded = KeyValue::of_encoded(Bytes::from_static(expected));
            assert_eq!(pair.encode_to_vec(), expected);
            assert_eq!(encoded.encode_to_vec(), expected);
            assert_eq!((pair.encoded_len(), encoded.encoded_len()), (expected.len(), expected.len()));
            assert_eq!(KeyValue::decode(expected).unwrap(), pair);
            let event = |kv| Event { r#type: 1, kv: Some(kv), prev_kv: None };
            assert_eq!(event(pair.clone()).encode_to_vec(), event(encoded).encode_to_vec());
            assert_eq!(Event::decode(&*event(pair.clone()).encode_to_vec()).unwrap(), event(pair));
        }
    }

    /// A field that a later version adds is passed over, one of another type is refused.
    #[test]
    fn unknown_fields_are_passed_over() {
        assert_eq!(KeyValue::decode(&b"\x0a\x01k\x38\x05"[..]).unwrap().key, "k");
        assert!(KeyValue::decode(&b"\x08\x01"[..]).is_err());
    }
}
