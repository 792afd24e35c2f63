//! The ranges of keys that one user reads or writes, counted, in bounded room.
//!
//! Owns how ranges become wider: single ranges that lie below the same border, a `/` or `:` in the key, become the border's
//! prefix when there are many of them. Never knows who asked.
//!
//! Invariants: what was noted is covered by what is kept, unless it was counted as missed; nothing is kept that reaches beyond
//! the last border which a noted range lies behind, and nothing becomes wider than a first border with a name before it, so
//! that the whole key space is there only where somebody asked for it.

use std::collections::{BTreeMap, BTreeSet};
use types::limits::{LEARNED_RANGE_BYTES_MAX, LEARNED_RANGES_MAX};
use types::{KeyRange, RangeEnd};

/// A range as a permission has it: `end` is empty for one key, and a zero byte for no end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) key: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

/// Ranges, and how often each was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    spans: BTreeMap<Span, u64>,
    /// How often something was asked for that there was no room to keep.
    missed: u64,
    /// Widening made no room: the keys have no borders in common.
    is_full: bool,
}

/// Behind these a name in a key ends.
const BORDERS: &[u8] = b"/:";
/// How many ranges of one border are few enough to be kept apart, while room is looked for: as many as can be.
const STEPS: [usize; 5] = [32, 16, 8, 4, 2];

impl Span {
    /// A copy: the bytes of a request hold the whole message.
    pub(super) fn of(range: &KeyRange) -> Self {
        let end = match &range.end {
            // A range that holds nothing takes the right to its first key.
            _ if range.is_empty() => Vec::new(),
            RangeEnd::Single => Vec::new(),
            RangeEnd::Before(end) => end.to_vec(),
            RangeEnd::Unbounded => vec![0],
        };
        Self { key: range.start.as_slice().to_vec(), end }
    }

    /// All keys behind this border.
    fn behind(border: &[u8]) -> Self {
        let mut end = border.to_vec();
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        Self { key: border.to_vec(), end }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self.end.as_slice(), other.end.as_slice()) {
            _ if self == other => true,
            ([], _) => false,
            ([0], _) => self.key <= other.key,
            (_, [0]) => false,
            (mine, []) => self.key <= other.key && other.key.as_slice() < mine,
            (mine, theirs) => self.key <= other.key && theirs <= mine,
        }
    }

    /// The borders that the whole range lies behind, the last one first.
    fn borders(&self) -> impl Iterator<Item = &[u8]> {
        let ends = (1..=self.key.len()).rev().filter_map(|length| self.key.get(..length));
        let is_border = |start: &&[u8]| {
            start.last().is_some_and(|last| BORDERS.contains(last))
                && start.iter().any(|byte| !BORDERS.contains(byte))
        };
        ends.filter(is_border).filter(|start| Self::behind(start).covers(self))
    }
}

impl Uses {
    /// Notes that this was asked for.
    pub(super) fn note(&mut self, range: &KeyRange) {
        let end = if let RangeEnd::Before(end) = &range.end { end.len() } else { 0 };
        if range.start.as_slice().len().saturating_add(end) > LEARNED_RANGE_BYTES_MAX {
            self.missed = self.missed.saturating_add(1);
            return;
        }
        let span = Span::of(range);
        if self.count(&span) {
            return;
        }
        if self.spans.len() >= LEARNED_RANGES_MAX {
            self.make_room();
            if self.count(&span) {
                return;
            }
        }
        if self.spans.len() >= LEARNED_RANGES_MAX {
            self.missed = self.missed.saturating_add(1);
        } else {
            self.spans.insert(span, 1);
        }
    }

    /// Counts it where something that covers it is kept already.
    fn count(&mut self, span: &Span) -> bool {
        let known = if self.spans.contains_key(span) {
            Some(span.clone())
        } else {
            span.borders().map(Span::behind).find(|wider| self.spans.contains_key(wider))
        };
        let times = known.and_then(|known| self.spans.get_mut(&known));
        times.map(|times| *times = times.saturating_add(1)).is_some()
    }

    /// Widens until a quarter is free.
    fn make_room(&mut self) {
        for few in STEPS.iter().filter(|_| !self.is_full) {
            self.spans = self.widened(*few);
            if self.spans.len() <= LEARNED_RANGES_MAX / 4 * 3 {
                return;
            }
        }
        self.is_full = true;
    }

    /// The same, with the prefix of a border in place of `from` or more ranges behind it, the innermost borders first.
    fn widened(&self, from: usize) -> BTreeMap<Span, u64> {
        let mut borders: BTreeSet<(std::cmp::Reverse<usize>, &[u8])> = BTreeSet::new();
        for span in self.spans.keys() {
            borders.extend(span.borders().map(|border| (std::cmp::Reverse(border.len()), border)));
        }
        let mut spans = self.spans.clone();
        for (_, border) in borders {
            let prefix = Span::behind(border);
            let start = Span { key: border.to_vec(), end: Vec::new() };
            let behind: Vec<Span> = spans
                .range(start..)
                .map(|(span, _)| span)
                .take_while(|span| span.key.starts_with(border))
                .filter(|span| prefix.covers(span))
                .cloned()
                .collect();
            if behind.len() >= from || behind.contains(&prefix) {
                let times = behind.iter().filter_map(|span| spans.remove(span)).fold(0, u64::saturating_add);
                spans.insert(prefix, times);
            }
        }
        spans
    }

    /// What to permit, so that all that was kept is permitted: ranges that others do not cover, widened from this many on.
    pub(super) fn proposed(&self, from: usize) -> Vec<(Span, u64)> {
        let mut proposed: Vec<(Span, u64)> = Vec::new();
        // What begins first, and of that what ends last, is looked at first: what covers comes before what it covers.
        let mut all: Vec<(Span, u64)> = self.widened(from).into_iter().collect();
        all.sort_by(|(one, _), (other, _)| {
            one.key.cmp(&other.key).then_with(|| reach(other).cmp(&reach(one)))
        });
        for (span, times) in all {
            match proposed.iter_mut().find(|(wider, _)| wider.covers(&span)) {
                Some((_, sum)) => *sum = sum.saturating_add(times),
                None => proposed.push((span, times)),
            }
        }
        proposed
    }

    /// How often something was asked for that was not kept.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

/// Orders spans of one key by how far they reach.
fn reach(span: &Span) -> (bool, &[u8]) {
    (span.end == [0], &span.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use types::Key;

    fn range(key: &str, end: &str) -> KeyRange {
        KeyRange::from_pair(Key::new(key.to_owned().into()).unwrap(), end.to_owned().into())
    }

    fn of(ranges: &[(&str, &str)]) -> Uses {
        let mut uses = Uses::default();
        ranges.iter().for_each(|(key, end)| uses.note(&range(key, end)));
        uses
    }

    fn proposed(uses: &Uses, from: usize) -> Vec<(String, String, u64)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        uses.proposed(from).into_iter().map(|(span, times)| (text(span.key), text(span.end), times)).collect()
    }

    fn said(key: &str, end: &str, times: u64) -> (String, String, u64) {
        (key.into(), end.into(), times)
    }

    /// Few keys are proposed as they are, many of one directory as the directory, and what lies beside it stays out.
    #[test]
    fn many_keys_of_a_directory_become_the_directory() {
        let uses =
            of(&[("app/a", ""), ("app/b", ""), ("app/b", ""), ("app/c", ""), ("apple", ""), ("other/x", "")]);
        assert_eq!(
            proposed(&uses, 3),
            [said("app/", "app0", 4), said("apple", "", 1), said("other/x", "", 1)]
        );
        assert_eq!(proposed(&uses, 4).len(), 5);
    }

    /// Directories of a directory count as it does; but nobody who asked for keys only gets the key space, or all of "/".
    #[test]
    fn nothing_grows_beyond_a_first_name() {
        let mut uses = Uses::default();
        for kind in 0..5 {
            for name in 0..5 {
                uses.note(&range(&format!("/registry/{kind}/{name}"), ""));
                uses.note(&range(&format!("/{kind}"), ""));
                uses.note(&range(&format!("{kind}/{name}"), ""));
            }
        }
        let all = proposed(&uses, 2);
        assert!(all.contains(&said("/registry/", "/registry0", 25)), "{all:?}");
        assert!(all.contains(&said("3/", "30", 5)) && all.contains(&said("/3", "", 5)), "{all:?}");
        assert_eq!(all.len(), 11, "{all:?}");
    }

    /// Pages of a list begin anywhere in its directory: with the list itself they are one.
    #[test]
    fn what_another_range_covers_is_not_proposed_beside_it() {
        let uses =
            of(&[("a/b/c\0", "a/b0"), ("a/b/", "a/b0"), ("a/b/x", ""), ("m", "q"), ("n", ""), ("m", "n")]);
        assert_eq!(proposed(&uses, usize::MAX), [said("a/b/", "a/b0", 3), said("m", "q", 3)]);
        assert_eq!(proposed(&of(&[("k", "\0"), ("z/1", "z/2"), ("\0", "\0")]), 2), [said("\0", "\0", 3)]);
        assert_eq!(proposed(&of(&[("b", "a")]), 2), [said("b", "", 1)], "an empty range takes its first key");
    }

    /// However many keys there are, no more are kept than there is room for; what does not fit is said.
    #[test]
    fn the_room_is_bounded_and_what_is_left_out_is_counted() {
        let mut uses = Uses::default();
        for number in 0..100_000 {
            uses.note(&range(&format!("jobs/{}/{}", number % 1_000, number), ""));
            assert!(uses.spans.len() <= LEARNED_RANGES_MAX);
        }
        assert_eq!(proposed(&uses, 2), [said("jobs/", "jobs0", 100_000)]);
        assert_eq!(uses.missed(), 0);
        let mut flat = Uses::default();
        (0..LEARNED_RANGES_MAX + 7).for_each(|number| flat.note(&range(&format!("key{number}"), "")));
        assert_eq!((flat.spans.len(), flat.missed()), (LEARNED_RANGES_MAX, 7));
        flat.note(&range("key0", ""));
        flat.note(&range(&"x".repeat(LEARNED_RANGE_BYTES_MAX + 1), ""));
        assert_eq!((flat.spans.len(), flat.missed()), (LEARNED_RANGES_MAX, 8));
    }

    fn some_key() -> impl Strategy<Value = String> {
        "[ab]{0,2}(/[ab]{0,1}){0,3}".prop_filter("keys are not empty", |key| !key.is_empty())
    }

    proptest! {
        /// A policy that lacks something that was used would break its program; one that reaches further than the borders
        /// say would let it in where it never was.
        #[test]
        fn all_that_was_used_is_proposed_and_little_else(
            keys in proptest::collection::vec((some_key(), prop_oneof![Just(String::new()), some_key()]), 1..40),
            from in 1_usize..6,
        ) {
            let mut uses = Uses::default();
            keys.iter().for_each(|(key, end)| uses.note(&range(key, end)));
            let proposed = uses.proposed(from);
            for (key, end) in &keys {
                let noted = Span::of(&range(key, end));
                prop_assert!(proposed.iter().any(|(span, _)| span.covers(&noted)), "{:?} is missing", noted);
            }
            let asked: u64 = proposed.iter().map(|(_, times)| times).sum();
            prop_assert_eq!(asked, keys.len() as u64);
            for (span, _) in &proposed {
                let inside = keys.iter().map(|(key, end)| Span::of(&range(key, end))).filter(|noted| span.covers(noted));
                let is_as_noted = keys.iter().any(|(key, end)| Span::of(&range(key, end)) == *span);
                prop_assert!(is_as_noted || inside.count() >= from, "{:?} is too wide", span);
            }
        }
    }
}
