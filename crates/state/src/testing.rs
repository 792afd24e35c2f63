//! What the crate's property tests draw their cases from.

use proptest::prelude::*;
use types::{Key, KeyRange};

/// How many cases: enough for every day, or as many as `PROPERTY_CASES` says (the long run asks for a million).
pub(crate) fn property_cases() -> ProptestConfig {
    let cases = std::env::var("PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10_000);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// A short key out of few bytes, so that keys meet, with the smallest and the largest among them.
pub(crate) fn some_key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(b'a'), Just(b'b'), Just(0xff)], 1..4)
}

/// A range of every shape: one key, an interval, an inverted one, from a key on, everything.
pub(crate) fn some_range() -> impl Strategy<Value = KeyRange> {
    let end = prop_oneof![Just(Vec::new()), Just(vec![0]), some_key()];
    (some_key(), end).prop_map(|(start, end)| {
        KeyRange::from_pair(Key::new(start.into()).expect("drawn with at least one byte"), end.into())
    })
}
