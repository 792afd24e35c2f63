//! Key ranges as the options say them: a key, `[key, end)`, a prefix, or everything from a key on.

use crate::exit::Failure;
use bytes::Bytes;

/// A range of keys, as the API writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The first key, or the only one.
    pub(crate) key: Bytes,
    /// The end, itself not included; empty for one key, a zero byte for no end.
    pub(crate) end: Bytes,
}

/// What of a key is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The key itself, or up to a given end.
    Given,
    /// All keys that begin with it.
    Prefix,
    /// It and all keys behind it.
    From,
}

impl Extent {
    /// Reads the two options, which exclude each other.
    pub(crate) fn of(prefix: bool, from_key: bool) -> Result<Self, Failure> {
        match (prefix, from_key) {
            (true, true) => Err(Failure::arguments(
                "`--prefix` and `--from-key` cannot be set at the same time, choose one",
            )),
            (true, false) => Ok(Self::Prefix),
            (false, true) => Ok(Self::From),
            (false, false) => Ok(Self::Given),
        }
    }
}

const NO_END: Bytes = Bytes::from_static(b"\0");

impl Keys {
    /// The range of a key, perhaps with an end. An empty prefix, or an empty key to begin at, means all keys.
    pub(crate) fn new(key: Bytes, end: Option<Bytes>, extent: Extent) -> Result<Self, Failure> {
        match (extent, end) {
            (Extent::Given, end) => Ok(Self { key, end: end.unwrap_or_default() }),
            (_, Some(_)) => Err(Failure::arguments(
                "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
            )),
            (Extent::Prefix | Extent::From, None) if key.is_empty() => Ok(Self { key: NO_END, end: NO_END }),
            (Extent::Prefix, None) => Ok(Self { end: prefix_end(&key), key }),
            (Extent::From, None) => Ok(Self { key, end: NO_END }),
        }
    }
}

/// The first key behind all that begin with the prefix.
pub(crate) fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end.into();
        }
    }
    NO_END
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrong end deletes the wrong keys: the edges are the bytes ff and the empty prefix.
    #[test]
    fn prefixes_end_behind_their_last_key() {
        let range = |key: &'static [u8], extent| {
            let keys = Keys::new(Bytes::from_static(key), None, extent).unwrap();
            (keys.key.to_vec(), keys.end.to_vec())
        };
        assert_eq!(range(b"a", Extent::Given), (b"a".to_vec(), vec![]));
        assert_eq!(range(b"a", Extent::Prefix), (b"a".to_vec(), b"b".to_vec()));
        assert_eq!(range(b"a\xff", Extent::Prefix), (b"a\xff".to_vec(), b"b".to_vec()));
        assert_eq!(range(b"\xff\xff", Extent::Prefix), (b"\xff\xff".to_vec(), b"\0".to_vec()));
        assert_eq!(range(b"", Extent::Prefix), (b"\0".to_vec(), b"\0".to_vec()));
        assert_eq!(range(b"a", Extent::From), (b"a".to_vec(), b"\0".to_vec()));
        assert_eq!(range(b"", Extent::From), (b"\0".to_vec(), b"\0".to_vec()));
        assert_eq!(Extent::of(true, true).unwrap_err().code, 128);
        assert_eq!(Keys::new("a".into(), Some("b".into()), Extent::Prefix).unwrap_err().code, 128);
    }
}
