//! Keys and key ranges, parsed once from etcd's (key, range_end) pairs.
//!
//! Invariants: a `Key` is never empty; a `KeyRange` may be empty (start >= end), which etcd answers with no keys.
//! The pair's meaning (etcd's KV API): no end = one key; end `\0` = from the key on; else `[key, end)`; key `\0` with
//! end `\0` is everything.

use bytes::Bytes;
use std::fmt;

/// A key: one or more bytes, in byte order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The smallest key, `\0`: where "everything" begins.
    pub const MIN: Self = Self(Bytes::from_static(b"\0"));

    /// A key of these bytes, or nothing if there are none.
    #[must_use]
    pub fn new(bytes: Bytes) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The key's bytes, shared.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Gives the bytes back.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(\"{}\")", self.0.escape_ascii())
    }
}

/// Where a range ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RangeEnd {
    /// After its first key: the range is that one key.
    Single,
    /// Before these bytes.
    Before(Bytes),
    /// Never.
    Unbounded,
}

/// A set of keys: one key, a half-open interval, or everything from a key on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first key.
    pub start: Key,
    /// Where it ends.
    pub end: RangeEnd,
}

impl KeyRange {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Key::MIN, end: RangeEnd::Unbounded }
    }

    /// The one key `key`.
    #[must_use]
    pub fn single(key: Key) -> Self {
        Self { start: key, end: RangeEnd::Single }
    }

    /// The range that etcd's pair of fields means.
    #[must_use]
    pub fn from_pair(start: Key, range_end: Bytes) -> Self {
        let end = match range_end.as_ref() {
            [] => RangeEnd::Single,
            [0] => RangeEnd::Unbounded,
            _ => RangeEnd::Before(range_end),
        };
        Self { start, end }
    }

    /// Whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => key == self.start.as_slice(),
            RangeEnd::Before(end) => self.start.as_slice() <= key && key < end.as_ref(),
            RangeEnd::Unbounded => self.start.as_slice() <= key,
        }
    }

    /// Whether no key can lie in the range (an inverted interval).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.end, RangeEnd::Before(end) if end.as_ref() <= self.start.as_slice())
    }

    /// Whether the range is exactly one key.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.end == RangeEnd::Single
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &'static str, end: &'static str) -> KeyRange {
        KeyRange::from_pair(
            Key::new(Bytes::from_static(start.as_bytes())).unwrap(),
            Bytes::from_static(end.as_bytes()),
        )
    }

    /// etcd's four spellings of a range mean four different sets; access control and ranges both stand on this.
    #[test]
    fn the_pair_of_fields_means_what_etcd_means() {
        assert!(range("a", "").contains(b"a") && !range("a", "").contains(b"aa"));
        assert!(range("a", "c").contains(b"b") && !range("a", "c").contains(b"c"));
        assert!(range("b", "\0").contains(b"zzz") && !range("b", "\0").contains(b"a"));
        assert!(range("\0", "\0").contains(b"\0") && range("\0", "\0") == KeyRange::all());
        assert!(range("c", "a").is_empty() && !range("c", "a").contains(b"b"));
    }
}
