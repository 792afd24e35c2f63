//! Reads at a revision: ranges with etcd's options, exactly.
//!
//! Owns the order of the steps, which is etcd's (`etcdserver/txn/range.go`): find by key, count, filter by revision, sort,
//! cut at the limit, then project. Looks at the index in pages; never holds its lock while it reads the store.
//!
//! Rules that are easy to get wrong, each with a test: the count ignores limit and filters; the limit is pushed down into
//! the walk only for the default order (which an unspecified order is, whatever the target) and without filters; keys
//! alone come from the index and carry no lease, unless the sort is by value.

use super::KeySpace;
use super::horizon::Pin;
use super::index::Cursor;
use super::versions::Found;
use crate::error::{Error, Refusal};
use crate::list::Totals;
use crate::outcome::{RangeOutcome, RangePage};
use crate::pair::{Pair, PairView};
use crate::query::{PageLimits, Projection, RangeQuery, Sort, SortOrder, SortTarget};
use bytes::Bytes;
use std::ops::ControlFlow;
use types::limits::{LIST_INDEX_PAGES, LIST_PLACES_KEPT, LIST_SMALL_BYTES};
use types::{Key, KeyRange, LeaseId, Revision};

/// The key space as it stands at one moment; in a writing transaction, with what it has written so far.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    space: &'a KeySpace,
    /// The latest revision of this view.
    pub(crate) current: Revision,
    compacted: Revision,
}

/// A pair found by a range: its place, and the pair itself where the index alone can make it.
pub(crate) struct Hit {
    found: Found,
    bare: Option<Pair>,
}

impl Hit {
    pub(crate) fn new(query: &RangeQuery, key: &[u8], found: Found) -> Self {
        Self { found, bare: answers_from_index(query).then(|| keys_only_pair(key, found)) }
    }

    /// Length of the pair's encoding.
    pub(crate) fn bytes(&self) -> usize {
        self.bare.as_ref().map_or(self.found.version.pair_bytes(), |bare| bare.0.len())
    }
}

impl<'a> View<'a> {
    /// The view of a reader that holds `pin`.
    pub(crate) fn pinned(space: &'a KeySpace, pin: &Pin<'_>) -> Self {
        Self { space, current: pin.current, compacted: pin.compacted }
    }

    /// The view of a list that began when `current` was the latest revision, and holds the one that it reads.
    pub(crate) fn held(space: &'a KeySpace, current: Revision, at: Revision) -> Self {
        Self { space, current, compacted: at }
    }

    /// The view of the writer, at the revision it writes or has written.
    pub(crate) fn writer(space: &'a KeySpace, current: Revision) -> Self {
        Self { space, current, compacted: space.horizon.compacted() }
    }

    /// The revision that a request for `asked` reads at; zero and below mean the latest.
    pub(crate) fn readable(&self, asked: Revision) -> Result<Revision, Refusal> {
        if asked > self.current {
            return Err(Refusal::FutureRevision { current: self.current });
        }
        let at = if asked > Revision::ZERO { asked } else { self.current };
        if at < self.compacted {
            return Err(Refusal::Compacted { compacted: self.compacted });
        }
        Ok(at)
    }

    /// Whether a transaction may hold a range at `asked`. Stricter than [`View::readable`]: etcd compares a negative
    /// revision with the compacted one here, instead of taking it for the latest.
    pub(crate) fn check_in_txn(&self, asked: Revision) -> Result<(), Refusal> {
        if asked == Revision::ZERO {
            Ok(())
        } else if asked > self.current {
            Err(Refusal::FutureRevision { current: self.current })
        } else if asked < self.compacted {
            Err(Refusal::Compacted { compacted: self.compacted })
        } else {
            Ok(())
        }
    }

    /// The live version of a key at this view's revision.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Found> {
        self.space.index().get(key)?.at(self.current)
    }

    /// A key's pair at this view's revision.
    pub(crate) fn pair(&self, key: &[u8]) -> Result<Option<Pair>, Error> {
        self.pair_at(key, self.current)
    }

    /// A key's pair at a readable revision.
    pub(crate) fn pair_at(&self, key: &[u8], at: Revision) -> Result<Option<Pair>, Error> {
        let found = self.space.index().get(key).and_then(|versions| versions.at(at));
        found.map(|found| self.space.values.pair(found.version)).transpose()
    }

    /// The pair of a version found in this view.
    pub(crate) fn pair_of(&self, found: Found) -> Result<Pair, Error> {
        self.space.values.pair(found.version)
    }

    /// Shows `visit` every key of `range` that lives at `at`, in order, until it breaks off.
    pub(crate) fn walk(
        &self,
        range: &KeyRange,
        at: Revision,
        visit: impl FnMut(&[u8], Found) -> ControlFlow<()>,
    ) {
        let all = self.walk_pages(Cursor::start_of(range), range, at, usize::MAX, visit);
        debug_assert!(all.is_none(), "a walk without bound ends");
    }

    /// The same from `from` on, in no more than so many pages of the index; answers where to go on, if keys may be left and
    /// `visit` did not break off.
    pub(crate) fn walk_pages(
        &self,
        from: Cursor,
        range: &KeyRange,
        at: Revision,
        pages: usize,
        mut visit: impl FnMut(&[u8], Found) -> ControlFlow<()>,
    ) -> Option<Cursor> {
        let mut from = from;
        for _ in 0..pages {
            from = self.space.index().page(&from, range, |key, versions| match versions.at(at) {
                Some(found) => visit(key, found),
                None => ControlFlow::Continue(()),
            })?;
        }
        Some(from)
    }

    /// Reads a range.
    pub(crate) fn range(&self, query: &RangeQuery) -> Result<RangeOutcome, Error> {
        let at = self.readable(query.revision)?;
        let mut gathered = Gathered::new(query);
        self.walk(&query.range, at, |key, found| {
            gathered.add(query, key, found);
            ControlFlow::Continue(())
        });
        self.outcome(query, gathered)
    }

    /// Reads a range if that is soon done: a few pages of the index at most, and few bytes. Else what
    /// was found of it so far.
    pub(crate) fn range_if_small(&self, query: &RangeQuery) -> Result<Result<RangeOutcome, Begun>, Error> {
        Ok(match self.small(query)? {
            Ok((gathered, _)) => Ok(self.outcome(query, gathered)?),
            Err(begun) => Err(begun),
        })
    }

    /// The same without a look at what is stored: what it would answer, in bytes of pairs.
    pub(crate) fn weight_if_small(&self, query: &RangeQuery) -> Result<Result<u64, Begun>, Refusal> {
        Ok(self.small(query)?.map(|(_, bytes)| bytes))
    }

    fn small(&self, query: &RangeQuery) -> Result<Result<(Gathered, u64), Begun>, Refusal> {
        let at = self.readable(query.revision)?;
        let mut gathered = Gathered::new(query);
        let by_key = is_by_key(query);
        let limit = if by_key && query.limit > 0 { query.limit } else { u64::MAX };
        let (mut totals, mut stopped) = (Totals::default(), None);
        let from = Cursor::start_of(&query.range);
        let rest = self.walk_pages(from, &query.range, at, LIST_INDEX_PAGES, |key, found| {
            let enough = if by_key { LIST_PLACES_KEPT } else { 0 };
            if totals.bytes > LIST_SMALL_BYTES as u64 && gathered.hits.len() >= enough {
                stopped = Some(Cursor::From(key.into()));
                return ControlFlow::Break(());
            }
            if let Some(hit) = gathered.add(query, key, found) {
                let bytes = hit.bytes();
                totals.passing = totals.passing.saturating_add(1);
                if totals.pairs < limit {
                    totals.add(bytes);
                }
            }
            ControlFlow::Continue(())
        });
        let rest = stopped.or(rest);
        if rest.is_none() && totals.bytes <= LIST_SMALL_BYTES as u64 {
            return Ok(Ok((gathered, totals.bytes)));
        }
        let Gathered { count, mut hits, .. } = gathered;
        totals.count = count;
        let keep = by_key && !answers_from_index(query);
        hits.truncate(if keep {
            usize::try_from(totals.pairs).unwrap_or(usize::MAX).min(LIST_PLACES_KEPT)
        } else {
            0
        });
        Ok(Err(Begun { at, totals, hits, rest }))
    }

    fn outcome(&self, query: &RangeQuery, gathered: Gathered) -> Result<RangeOutcome, Error> {
        let Gathered { count, hits, .. } = gathered;
        let counting = query.projection == Projection::CountOnly;
        let (pairs, more) = if counting { (Vec::new(), false) } else { self.finish(query, hits)? };
        Ok(RangeOutcome { revision: self.current, pairs, more, count })
    }

    /// Sorts, cuts and projects what was found.
    fn finish(&self, query: &RangeQuery, mut hits: Vec<Hit>) -> Result<(Vec<Pair>, bool), Error> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = limit > 0 && hits.len() > limit;
        let kept = if more { limit } else { hits.len() };
        let Some(sort) = query.sort else {
            hits.truncate(kept);
            return Ok((self.load(hits)?, more));
        };
        let descending = sort.order == SortOrder::Descending;
        let number: fn(&Hit) -> i64 = match sort.target {
            SortTarget::Value => {
                let pairs = by_value(self.load(hits)?, descending)?;
                return Ok((project(pairs, query.projection, kept)?, more));
            }
            SortTarget::Key => {
                if descending {
                    hits.reverse();
                }
                hits.truncate(kept);
                return Ok((self.load(hits)?, more));
            }
            SortTarget::Version => |hit| hit.found.number,
            SortTarget::Create => |hit| hit.found.created.0,
            SortTarget::Mod => |hit| hit.found.version.at().main.0,
        };
        match descending {
            false => hits.sort_by_key(number),
            true => hits.sort_by_key(|hit| std::cmp::Reverse(number(hit))),
        }
        hits.truncate(kept);
        Ok((self.load(hits)?, more))
    }

    /// The pairs that were found.
    pub(crate) fn load(&self, hits: Vec<Hit>) -> Result<Vec<Pair>, Error> {
        hits.into_iter().map(|hit| hit.bare.map_or_else(|| self.pair_of(hit.found), Ok)).collect()
    }

    /// One page of a range by key: as many pairs as `limits` allow, but one at least. The walk knows each pair's size from
    /// the index and stops there, so a page costs what it answers, whatever the range holds.
    pub(crate) fn page(
        &self,
        range: &KeyRange,
        at: Revision,
        projection: Projection,
        limits: PageLimits,
    ) -> Result<RangePage, Error> {
        let at = self.readable(at)?;
        let mut hits = Vec::new();
        let mut bytes = 0usize;
        let mut more = false;
        self.walk(range, at, |key, found| {
            more = !hits.is_empty() && (hits.len() >= limits.items || bytes >= limits.bytes);
            if more {
                return ControlFlow::Break(());
            }
            let bare = (projection == Projection::KeysOnly).then(|| keys_only_pair(key, found));
            bytes =
                bytes.saturating_add(bare.as_ref().map_or(found.version.bytes as usize, |bare| bare.0.len()));
            hits.push(Hit { found, bare });
            ControlFlow::Continue(())
        });
        let pairs = self.load(hits)?;
        let next = if more { pairs.last().map(after).transpose()? } else { None };
        Ok(RangePage { revision: self.current, pairs, next })
    }
}

/// The smallest key after a pair's.
fn after(pair: &Pair) -> Result<Key, Error> {
    let mut next = pair.view()?.key.to_vec();
    next.push(0);
    Key::new(Bytes::from(next)).ok_or(Error::Record { place: "memory".to_owned(), what: "an empty key" })
}

/// The first look at a range that has turned out to be large.
pub(crate) struct Begun {
    /// The revision that is read.
    pub(crate) at: Revision,
    pub(crate) totals: Totals,
    /// The first pairs of the answer, where it is by key.
    pub(crate) hits: Vec<Hit>,
    /// Where counting goes on; `None` when all is counted.
    pub(crate) rest: Option<Cursor>,
}

/// What a walk over a range has found so far.
struct Gathered {
    /// Keys, whether they pass or not.
    count: i64,
    hits: Vec<Hit>,
    /// How many are wanted.
    most: usize,
}

impl Gathered {
    fn new(query: &RangeQuery) -> Self {
        let counting = query.projection == Projection::CountOnly;
        Self { count: 0, hits: Vec::new(), most: if counting { 0 } else { hits_wanted(query) } }
    }

    /// Takes in the next key; answers it if it is among the wanted.
    fn add(&mut self, query: &RangeQuery, key: &[u8], found: Found) -> Option<&Hit> {
        self.count = self.count.saturating_add(1);
        if self.hits.len() >= self.most || !passes(query, found) {
            return None;
        }
        self.hits.push(Hit::new(query, key, found));
        self.hits.last()
    }
}

/// Whether the answer is in the order of the index: then it can be read page by page.
pub(crate) fn is_by_key(query: &RangeQuery) -> bool {
    let by_key = |sort: Sort| sort.target == SortTarget::Key && sort.order != SortOrder::Descending;
    query.sort.is_none_or(by_key)
}

/// How many pairs the walk must bring: one beyond the limit tells whether there are more.
fn hits_wanted(query: &RangeQuery) -> usize {
    let default_order = query.sort.is_none_or(|sort| {
        sort.order == SortOrder::Unspecified
            || (sort.target == SortTarget::Key && sort.order == SortOrder::Ascending)
    });
    match query.limit {
        1.. if default_order && !has_filters(query) => {
            usize::try_from(query.limit).unwrap_or(usize::MAX).saturating_add(1)
        }
        _ => usize::MAX,
    }
}

fn has_filters(query: &RangeQuery) -> bool {
    query.min_mod_revision != 0
        || query.max_mod_revision != 0
        || query.min_create_revision != 0
        || query.max_create_revision != 0
}

/// Whether the filters let a pair through.
pub(crate) fn passes(query: &RangeQuery, found: Found) -> bool {
    let (modified, created) = (found.version.at().main.0, found.created.0);
    (query.max_mod_revision == 0 || modified <= query.max_mod_revision)
        && (query.min_mod_revision == 0 || modified >= query.min_mod_revision)
        && (query.max_create_revision == 0 || created <= query.max_create_revision)
        && (query.min_create_revision == 0 || created >= query.min_create_revision)
}

/// Whether the answer needs nothing that only the store knows.
fn answers_from_index(query: &RangeQuery) -> bool {
    let by_value = query.sort.is_some_and(|sort| sort.target == SortTarget::Value);
    query.projection == Projection::KeysOnly && !by_value
}

/// Length of the pair's encoding, as the query wants it, without making it.
pub(crate) fn pair_bytes(query: &RangeQuery, key: &[u8], found: Found) -> usize {
    if answers_from_index(query) { keys_only(key, found).encoded_len() } else { found.version.pair_bytes() }
}

/// What etcd answers for keys alone: made from the index, so without the lease.
fn keys_only(key: &[u8], found: Found) -> PairView<'_> {
    PairView {
        key,
        create_revision: found.created,
        mod_revision: found.version.at().main,
        version: found.number,
        value: &[],
        lease: LeaseId::NONE,
    }
}

fn keys_only_pair(key: &[u8], found: Found) -> Pair {
    keys_only(key, found).to_pair()
}

fn by_value(pairs: Vec<Pair>, descending: bool) -> Result<Vec<Pair>, Error> {
    let mut valued = Vec::with_capacity(pairs.len());
    for pair in pairs {
        valued.push((pair.value()?, pair));
    }
    match descending {
        false => valued.sort_by(|a, b| a.0.cmp(&b.0)),
        true => valued.sort_by(|a, b| b.0.cmp(&a.0)),
    }
    Ok(valued.into_iter().map(|(_, pair)| pair).collect())
}

fn project(mut pairs: Vec<Pair>, projection: Projection, kept: usize) -> Result<Vec<Pair>, Error> {
    pairs.truncate(kept);
    if projection != Projection::KeysOnly {
        return Ok(pairs);
    }
    pairs.iter().map(|pair| Ok(PairView { value: &[], ..pair.view()? }.to_pair())).collect()
}
