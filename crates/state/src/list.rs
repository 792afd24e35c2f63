//! A range that is too large to be read at once: read step by step, at one revision, with exactly the answer that one step
//! would have given.
//!
//! Owns where a list stands, and the hold on its revision. Counting comes first ([`List::survey`]): it knows from the index
//! how many pairs will come and how long they are, to the byte, before the first is read. Then the pairs come in pages
//! ([`List::page`]). A step costs a bounded look at the index and a page of pairs, whatever the range holds; between two
//! steps nothing is locked, and writes go on.
//!
//! Invariants: every step sees the revision that the list began with; pages are disjoint and ascending and hold the pairs
//! that the survey counted, or a step fails. A [`Hold`] keeps the revision from being removed; once it is let go, the list
//! goes on only while its revision is readable, and is refused as compacted after that.
//!
//! ```text
//! look → small: the answer
//!      → large: survey, survey, … → by key: page, page, …   (left() = 0: all)
//!                                 → in another order: whole  (in one step: nothing of it is known before all is)
//! ```

use crate::error::{Error, Refusal};
use crate::lock;
use crate::mvcc::horizon::{Move, Pin};
use crate::mvcc::index::Cursor;
use crate::mvcc::view::{self, Begun, Hit, View};
use crate::outcome::{Pair, RangeOutcome};
use crate::pair::delimited_len;
use crate::query::{Projection, RangeQuery};
use crate::shared::Shared;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use types::Revision;
use types::limits::LIST_INDEX_PAGES;

/// A range, looked at.
pub enum Looked {
    /// All of it.
    Small(RangeOutcome),
    /// It takes more than one step.
    Large(Box<List>),
}

/// A range on its way.
pub struct List {
    shared: Arc<Shared>,
    query: RangeQuery,
    /// The revision that is read.
    at: Revision,
    /// The latest revision when it began.
    current: Revision,
    hold: Hold,
    totals: Totals,
    /// Where the survey goes on; `None` when it is done.
    surveying: Option<Cursor>,
    /// Where the pages go on; `None` when no key is left.
    reading: Option<Cursor>,
    /// The next pairs, where the first look has found them already: what is to be read from there on comes behind them.
    known: VecDeque<Hit>,
    /// The move of records after which that look was: after another one they may be elsewhere.
    known_after: Move,
    /// Pairs that have not been read.
    left: u64,
}

/// What a survey has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Keys in the range, before limit and filters.
    pub count: i64,
    /// Pairs that the filters let through.
    pub passing: u64,
    /// Pairs that the answer holds.
    pub pairs: u64,
    /// Their bytes as fields of a message, each with tag and length. In another order than by key: of all that pass.
    pub bytes: u64,
    /// Bytes of the longest of them.
    pub largest: usize,
}

/// Keeps a list's revision from being removed by a compaction, until it is let go or the list has ended.
#[derive(Clone)]
pub struct Hold(Arc<Held>);

struct Held {
    shared: Arc<Shared>,
    at: Revision,
    standing: Mutex<bool>,
}

/// A hold for the time of one step.
struct Again<'a>(&'a Held);

impl Looked {
    /// The whole answer, whatever it takes.
    ///
    /// # Errors
    /// As the steps.
    pub fn whole(self) -> Result<RangeOutcome, Error> {
        match self {
            Self::Small(found) => Ok(found),
            Self::Large(mut list) => {
                while !list.survey()? {}
                list.rest()
            }
        }
    }
}

impl List {
    /// Goes on from the first look, under the pin that it was made with.
    pub(crate) fn begin(shared: Arc<Shared>, query: RangeQuery, pin: &Pin<'_>, begun: Begun) -> Self {
        let Begun { at, totals, hits, rest } = begun;
        shared.space.horizon.hold(at);
        let hold = Hold(Arc::new(Held { shared: shared.clone(), at, standing: Mutex::new(true) }));
        let mut list = Self {
            shared,
            at,
            current: pin.current,
            hold,
            totals,
            surveying: rest,
            reading: Some(Cursor::start_of(&query.range)),
            known: hits.into(),
            known_after: pin.made_after(),
            left: 0,
            query,
        };
        list.counted();
        list
    }

    /// Counts on; answers whether all is counted.
    ///
    /// # Errors
    /// `Refused` when the revision was let go and is compacted.
    pub fn survey(&mut self) -> Result<bool, Error> {
        let Some(from) = self.surveying.take() else { return Ok(true) };
        let (query, mut totals) = (&self.query, self.totals);
        let counting = query.projection == Projection::CountOnly;
        // What another order cuts off is not known yet.
        let most = if query.limit == 0 || !self.is_by_key() { u64::MAX } else { query.limit };
        let next = {
            let pin = self.shared.space.pin();
            let (view, _again) = self.view(&pin)?;
            view.walk_pages(from, &query.range, self.at, LIST_INDEX_PAGES, |key, found| {
                totals.count = totals.count.saturating_add(1);
                if view::passes(query, found) {
                    totals.passing = totals.passing.saturating_add(1);
                    if !counting && totals.pairs < most {
                        totals.add(view::pair_bytes(query, key, found));
                    }
                }
                ControlFlow::Continue(())
            })
        };
        (self.totals, self.surveying) = (totals, next);
        Ok(self.counted())
    }

    /// Whether all is counted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.surveying.is_none()
    }

    fn counted(&mut self) -> bool {
        if self.is_counted() && !self.is_by_key() && self.query.limit > 0 {
            self.totals.pairs = self.totals.pairs.min(self.query.limit);
        }
        self.left = self.totals.pairs;
        self.is_counted()
    }

    /// The next page: pairs of about so many bytes (the pair that crosses them is the last), or fewer where few of many keys
    /// pass the filters, even none; there are more while [`List::left`] says so.
    ///
    /// # Errors
    /// `Refused` when the revision was let go and is compacted, or the store's failure.
    pub fn page(&mut self, bytes_max: usize) -> Result<Vec<Pair>, Error> {
        assert!(self.surveying.is_none() && self.is_by_key(), "pages come after the survey, by key");
        if self.left == 0 {
            return Ok(Vec::new());
        }
        if let Some(pairs) = self.known_page(bytes_max)? {
            return Ok(pairs);
        }
        let Some(from) = self.reading.take() else { return Err(fewer()) };
        let query = &self.query;
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (mut hits, mut bytes, mut stopped) = (Vec::new(), 0usize, None);
        let pin = self.shared.space.pin();
        let (view, again) = self.view(&pin)?;
        let rest = view.walk_pages(from, &query.range, self.at, LIST_INDEX_PAGES, |key, found| {
            if !view::passes(query, found) {
                return ControlFlow::Continue(());
            }
            if bytes >= bytes_max && !hits.is_empty() {
                stopped = Some(Cursor::From(key.into()));
                return ControlFlow::Break(());
            }
            let hit = Hit::new(query, key, found);
            bytes = bytes.saturating_add(hit.bytes());
            hits.push(hit);
            if hits.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let left = self.left.saturating_sub(hits.len() as u64);
        let reading = stopped.or(rest);
        if left > 0 && reading.is_none() {
            return Err(fewer());
        }
        let pairs = view.load(hits)?;
        drop(again);
        (self.left, self.reading) = (left, reading);
        Ok(pairs)
    }

    /// A page of pairs that the first look has found, while they are where it found them.
    fn known_page(&mut self, bytes_max: usize) -> Result<Option<Vec<Pair>>, Error> {
        let pin = self.shared.space.pin();
        if pin.made_after() != self.known_after {
            self.known = VecDeque::new();
        }
        let (mut bytes, mut number) = (0usize, 0usize);
        for hit in &self.known {
            if number > 0 && bytes >= bytes_max {
                break;
            }
            bytes = bytes.saturating_add(hit.bytes());
            number = number.saturating_add(1);
        }
        if number == 0 {
            return Ok(None);
        }
        // Put back only when the page is there: after a failure nothing goes on.
        self.reading = None;
        let mut known = std::mem::take(&mut self.known);
        let (view, again) = self.view(&pin)?;
        let pairs = view.load(known.drain(..number).collect())?;
        drop(again);
        drop(pin);
        self.reading =
            pairs.last().map(|last| Ok::<_, Error>(Cursor::After(last.view()?.key.into()))).transpose()?;
        self.known = known;
        self.left = self.left.saturating_sub(number as u64);
        Ok(Some(pairs))
    }

    /// All that is left, with what the survey counted, in one step.
    ///
    /// # Errors
    /// As [`List::page`].
    pub fn rest(&mut self) -> Result<RangeOutcome, Error> {
        assert!(self.surveying.is_none(), "the survey comes first");
        if !self.is_by_key() {
            let pin = self.shared.space.pin();
            let (view, _again) = self.view(&pin)?;
            return view.range(&RangeQuery { revision: self.at, ..self.query.clone() });
        }
        let mut pairs = Vec::new();
        while self.left > 0 {
            pairs.append(&mut self.page(usize::MAX)?);
        }
        let (revision, more, count) = (self.current, self.more(), self.totals.count);
        Ok(RangeOutcome { revision, pairs, more, count })
    }

    /// The latest revision when it began: what the answer's header carries.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.current
    }

    /// What was counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether the limit cuts the answer.
    #[must_use]
    pub fn more(&self) -> bool {
        let counting = self.query.projection == Projection::CountOnly;
        !counting && self.query.limit > 0 && self.totals.passing > self.query.limit
    }

    /// Pairs that are not read yet.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether it can be read in pages.
    #[must_use]
    pub fn is_by_key(&self) -> bool {
        view::is_by_key(&self.query)
    }

    /// Bytes that [`List::rest`] takes in memory, roughly and at most, once surveyed.
    #[must_use]
    pub fn bytes_at_once(&self) -> u64 {
        let Totals { passing, pairs, bytes, largest, .. } = self.totals;
        let hits = if self.is_by_key() { pairs } else { passing };
        let by_value = self.query.sort.is_some_and(|sort| sort.target == crate::query::SortTarget::Value);
        let pairs_bytes = if by_value { bytes } else { bytes.min(pairs.saturating_mul(largest as u64)) };
        hits.saturating_mul(size_of::<Hit>() as u64).saturating_add(pairs_bytes)
    }

    /// Bytes that it takes itself, beside its pages.
    #[must_use]
    pub fn bytes_kept(&self) -> u64 {
        (self.known.capacity() * size_of::<Hit>()) as u64
    }

    /// Whether the next step will see the revision.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.view(&self.shared.space.pin()).is_ok()
    }

    /// What keeps the revision.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.hold.clone()
    }

    /// The key space as it was when the list began. The second part has to outlive the look: from letting go on, a
    /// compaction may remove what is looked at.
    fn view(&self, pin: &Pin<'_>) -> Result<(View<'_>, Option<Again<'_>>), Refusal> {
        let again = self.hold.again();
        if again.is_none() && self.at < pin.compacted {
            return Err(Refusal::Compacted { compacted: pin.compacted });
        }
        Ok((View::held(&self.shared.space, self.current, self.at), again))
    }
}

/// The index does not hold what it held: never so, unless a hold does not hold.
fn fewer() -> Error {
    Error::Record { place: "the key index".to_owned(), what: "fewer keys than were counted" }
}

impl Totals {
    pub(crate) fn add(&mut self, pair_bytes: usize) {
        self.pairs = self.pairs.saturating_add(1);
        self.bytes = self.bytes.saturating_add(delimited_len(pair_bytes) as u64);
        self.largest = self.largest.max(pair_bytes);
    }
}

impl Hold {
    /// Lets go of the revision.
    pub fn let_go(&self) {
        self.0.let_go();
    }

    fn again(&self) -> Option<Again<'_>> {
        let standing = lock::lock(&self.0.standing);
        standing.then(|| {
            self.0.shared.space.horizon.hold(self.0.at);
            Again(&self.0)
        })
    }
}

impl Held {
    fn let_go(&self) {
        if std::mem::replace(&mut *lock::lock(&self.standing), false) {
            self.shared.space.horizon.let_go(self.at);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        self.0.shared.space.horizon.let_go(self.0.at);
    }
}
