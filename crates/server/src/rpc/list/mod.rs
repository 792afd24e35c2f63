//! Ranges for clients: small ones at once, large ones in pages that are read as their client takes them.
//!
//! Owns the way of a large range: it is counted in steps, waits for its part of the memory of all lists, and becomes a body
//! that is sent in place of the message ([`Streamed`]). The answer is the same to the byte. Whoever may not read any more gets no
//! further page.
//!
//! ```text
//! look ── small ───────────────────────────────────────────────→ RangeResponse, as ever
//!   └─ large: survey, survey, … ── small after all ────────────→ RangeResponse
//!               └─ reserve (waits, or too many requests) ──────→ body: prefix header │ page │ page │ … │ more count │ status
//! ```
//!
//! Answers that cannot be sent in pages, and may be as large, reserve all that they take (`held`).
//!
//! Invariants: whatever a list holds in memory it has reserved; one step at a time runs on a thread ([`turns`]); a list keeps
//! its revision for [`LIST_HOLD_SECONDS_MAX`](types::limits::LIST_HOLD_SECONDS_MAX) and a client that takes nothing keeps
//! its list for [`LIST_STALLED_SECONDS_MAX`](types::limits::LIST_STALLED_SECONDS_MAX) at most.

mod body;
mod budget;
mod flight;
pub(super) mod held;
mod pages;
mod turns;
mod watch;

pub(super) use budget::Budget;
pub use budget::ListLimits;
pub(crate) use held::{Gathers, Held};

use super::ask::Freshness;
use super::requests::Reading;
use super::standing::Standing;
use super::status::Failure;
use super::{Inner, SEND_BYTES_MAX, Services};
use crate::cut::Cut;
use crate::gate::Caller;
use body::ListBody;
use env::Clock;
use flight::Flight;
use http::Response;
use node::Op;
use pages::Pages;
use state::outcome::RangeOutcome;
use state::query::RangeQuery;
use state::{List, Looked, Totals};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tonic::body::Body;
use types::Revision;
use types::limits::{LIST_PAGE_BYTES, LIST_SMALL_BYTES};
use watch::Watched;

/// A range, read or under way.
pub(super) enum Listed {
    Small(RangeOutcome),
    Large(Streamed, Option<Held>),
}

/// A large range, counted.
enum Begun {
    /// It has turned out to be small.
    Small(RangeOutcome),
    Large(Box<Parts>, Option<Held>),
}

/// What a body is made of, beside its permission.
struct Parts {
    first: Vec<u8>,
    pages: Pages,
    flight: Arc<Flight>,
    timed: Timed,
    cut: Arc<Cut>,
    watched: Arc<Watched>,
}

/// A body that takes the place of a message that was never made: it travels in the answer's extensions, past the encoder.
#[derive(Clone)]
pub(super) struct Streamed(Arc<Mutex<Option<Body>>>);

impl Streamed {
    fn new(body: ListBody) -> Self {
        Self(Arc::new(Mutex::new(Some(Body::new(body)))))
    }

    /// The answer with the body that it is to have.
    pub(super) fn put_into(mut response: Response<Body>) -> Response<Body> {
        let Some(Self(streamed)) = response.extensions_mut().remove::<Self>() else {
            return Held::put_into(response);
        };
        if let Some(body) = streamed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            *response.body_mut() = body;
        }
        response
    }
}

impl Services {
    /// Reads a range for a caller, after a barrier where that is asked for; one whose answer is gathered whole reserves all of it.
    pub(super) async fn list(
        &self,
        caller: &Caller,
        query: RangeQuery,
        freshness: Freshness,
        gathers: Option<Gathers>,
    ) -> Result<Listed, Failure> {
        let began = self.now();
        let listed = self.list_untimed(caller, query, freshness, gathers).await;
        // What is under way notes itself when it ends.
        if !matches!(listed, Ok(Listed::Large(..))) {
            let (took, counts) = (self.now().since(began), self.member().counts());
            counts.requests.note(Op::Range, listed.as_ref(), took);
            counts.note_if_slow(took);
        }
        listed
    }

    async fn list_untimed(
        &self,
        caller: &Caller,
        query: RangeQuery,
        freshness: Freshness,
        gathers: Option<Gathers>,
    ) -> Result<Listed, Failure> {
        let reading = self.admit(caller.principal(), Reading(query))?;
        if freshness == Freshness::Linearizable {
            self.barrier().await?;
        }
        let query = &reading.request().0;
        loop {
            let began = self.now();
            let looked = self.inspect(&reading).look(query);
            let took = self.now().since(began);
            let list = match looked {
                Ok(Looked::Large(list)) => list,
                Ok(Looked::Small(found)) => {
                    self.observe_range(true, took);
                    return Ok(Listed::Small(found));
                }
                Err(error) => {
                    self.observe_range(false, took);
                    return Err(error.into());
                }
            };
            match self.large(list, took, gathers).await? {
                Some(Begun::Small(found)) => return Ok(Listed::Small(found)),
                Some(Begun::Large(parts, held)) => {
                    let standing = Standing::new(self, caller.clone());
                    // It may have waited for long since it was admitted.
                    standing.check(reading.request())?;
                    let body = ListBody::new(*parts, standing, reading);
                    return Ok(Listed::Large(Streamed::new(body), held));
                }
                // It had to wait for so long that its revision is gone.
                None if query.revision > Revision::ZERO => return Err(Failure::Compacted),
                None => {}
            }
        }
    }

    /// Counts a list and sends it on its way; `None` if its revision is gone before it could begin.
    async fn large(
        &self,
        list: Box<List>,
        took: Duration,
        gathers: Option<Gathers>,
    ) -> Result<Option<Begun>, Failure> {
        let limits = self.limits().lists;
        let mut timed = Timed::new(self.clone(), took);
        let (hold, stalled) = (limits.hold_seconds, limits.stalled_seconds);
        let (hold, stalled) = (Duration::from_secs(hold), Duration::from_secs(stalled));
        let watched = Watched::begin(list.hold(), hold, stalled, self.context.metrics.clone());
        let list = timed.survey(list).await?;
        if list.totals().bytes <= LIST_SMALL_BYTES as u64 {
            return timed.gather(list).await.map(|found| Some(Begun::Small(found)));
        }
        let (reserved, held) = match gathers {
            None => (Arc::new(self.lists.reserve(bytes_held(&list)).await?), None),
            Some(Gathers) => {
                let held = self.hold_gathered(list.totals()).await?;
                (held.reserved(), Some(held))
            }
        };
        let header = self.header(list.revision());
        let mut pages = if list.is_by_key() {
            Pages::listed(header, list, SEND_BYTES_MAX)?
        } else if list.is_readable() {
            let RangeOutcome { pairs, more, count, .. } = timed.rest(list).await?;
            Pages::sorted(header, pairs, more, count, SEND_BYTES_MAX)?
        } else {
            return Ok(None);
        };
        // The first page comes at once, as a small answer does; what is wrong with it still has a status of its own.
        let began = self.now();
        let first = pages.next();
        timed.spent(self.now().since(began));
        let first = match first {
            Ok(first) => first,
            Err(state::Error::Refused(state::Refusal::Compacted { .. })) => return Ok(None),
            Err(error) => {
                timed.observe(false);
                return Err(error.into());
            }
        };
        let (flight, cut) = (Flight::new(reserved), Arc::new(Cut::default()));
        watched.sends(flight.clone(), cut.clone());
        Ok(Some(Begun::Large(Box::new(Parts { first, pages, flight, timed, cut, watched }), held)))
    }
}

impl Inner {
    /// Notes how long a look at the key space took.
    pub(super) fn observe_range(&self, well: bool, took: Duration) {
        let metrics = &self.context.metrics;
        let times = if well { &metrics.range_duration } else { &metrics.range_duration_failed };
        times.observe_duration(took);
    }
}

/// What a list holds in memory at most: a page on its way and one as pairs and as bytes, or two on their way; and everything,
/// where it cannot be read in pages.
fn bytes_held(list: &List) -> u64 {
    let Totals { largest, .. } = list.totals();
    let page = (LIST_PAGE_BYTES as u64).saturating_add(largest as u64).saturating_mul(3);
    let page = page.saturating_add(list.bytes_kept());
    if list.is_by_key() { page } else { page.saturating_add(list.bytes_at_once()) }
}

/// The time that a list's steps took, noted once when it ends: as etcd counts it, without waiting for the client.
struct Timed {
    services: Services,
    spent: Duration,
    noted: bool,
}

impl Timed {
    fn new(services: Services, spent: Duration) -> Self {
        Self { services, spent, noted: false }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.services.context.clock.clone()
    }

    fn spent(&mut self, took: Duration) {
        self.spent = self.spent.saturating_add(took);
    }

    /// Carries out one step of a list in its turn.
    async fn step<T: Send + 'static>(
        &mut self,
        mut list: Box<List>,
        step: impl FnOnce(&mut List) -> Result<T, state::Error> + Send + 'static,
    ) -> Result<(Box<List>, T), Failure> {
        let clock = self.clock();
        let (list, done, took) = turns::take(move || {
            let began = clock.monotonic();
            let done = step(&mut list);
            (list, done, clock.monotonic().since(began))
        })
        .await?;
        self.spent(took);
        match done {
            Ok(done) => Ok((list, done)),
            Err(error) => {
                self.observe(false);
                Err(error.into())
            }
        }
    }

    async fn survey(&mut self, mut list: Box<List>) -> Result<Box<List>, Failure> {
        while !list.is_counted() {
            list = self.step(list, List::survey).await?.0;
        }
        Ok(list)
    }

    /// A list that has turned out to be small.
    async fn gather(&mut self, mut list: Box<List>) -> Result<RangeOutcome, Failure> {
        if !list.is_by_key() {
            let found = self.rest(list).await?;
            self.observe(true);
            return Ok(found);
        }
        let mut pairs = Vec::new();
        while list.left() > 0 {
            let (stepped, mut page) = self.step(list, |list| list.page(LIST_PAGE_BYTES)).await?;
            list = stepped;
            pairs.append(&mut page);
        }
        self.observe(true);
        Ok(RangeOutcome { revision: list.revision(), pairs, more: list.more(), count: list.totals().count })
    }

    async fn rest(&mut self, list: Box<List>) -> Result<RangeOutcome, Failure> {
        Ok(self.step(list, List::rest).await?.1)
    }

    fn observe(&mut self, well: bool) {
        if !std::mem::replace(&mut self.noted, true) {
            self.services.observe_range(well, self.spent);
        }
    }

    /// Notes the end of an answer that was streamed.
    fn note(&mut self, well: bool) {
        if self.noted {
            return;
        }
        self.observe(well);
        let counts = self.services.member().counts();
        counts.requests.note(Op::Range, if well { Ok(()) } else { Err(()) }, self.spent);
        counts.note_if_slow(self.spent);
    }
}
