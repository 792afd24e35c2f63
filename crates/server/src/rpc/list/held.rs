//! Answers that are made whole and have their part of the memory of all lists: those of transactions and deletions that
//! answer ranges, and those that the JSON gateway translates.
//!
//! Owns what such an answer reserves before it is read, and the body that keeps it until its last byte has left or its client
//! was cut because it took nothing. How large the answer will be is counted, by a look at its ranges as they are now; what is
//! written in between is not: a bound on many answers, not on one.

use super::budget::Reserved;
use super::flight::Flight;
use super::watch::Watched;
use super::{Timed, Totals};
use crate::cut::Cut;
use crate::metrics::Metrics;
use crate::rpc::Services;
use crate::rpc::status::Failure;
use audit::Recorded;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use state::command::{Command, DeleteRange, Op, Txn};
use state::query::RangeQuery;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tonic::Status;
use tonic::body::Body;
use types::limits::{LIST_PAGE_BYTES, LIST_SMALL_BYTES, TXN_READS_SMALL_MAX};

/// A part of the account that belongs to an answer; travels in its extensions.
#[derive(Clone)]
pub(crate) struct Held {
    reserved: Arc<Reserved>,
    stalled: Duration,
    metrics: Arc<Metrics>,
}

/// Marks a request whose answer is gathered in this process, whole, and sent as something else.
#[derive(Clone, Copy)]
pub(crate) struct Gathers;

/// What such an answer takes for each byte of its pairs: as a message, as it grows, taken apart, and as JSON.
const GATHERED_FACTOR: u64 = 4;

impl Held {
    fn new(services: &Services, reserved: Reserved) -> Self {
        let stalled = Duration::from_secs(services.limits().lists.stalled_seconds);
        Self { reserved: Arc::new(reserved), stalled, metrics: services.context.metrics.clone() }
    }

    /// What it has reserved.
    pub(super) fn reserved(&self) -> Arc<Reserved> {
        self.reserved.clone()
    }

    /// The body, sent in pieces that keep the reservation.
    pub(crate) fn keep(self, body: Body) -> Body {
        let (flight, cut) = (Flight::new(self.reserved), Arc::new(Cut::default()));
        let watched = Watched::begin_sent(flight.clone(), cut.clone(), self.stalled, self.metrics);
        Body::new(HeldBody { body, rest: Bytes::new(), end: None, flight, cut, _watched: watched })
    }

    /// The answer with a body that keeps what was reserved for it.
    pub(in crate::rpc) fn put_into(response: Response<Body>) -> Response<Body> {
        match response.extensions().get::<Self>().cloned() {
            Some(held) => response.map(|body| held.keep(body)),
            None => response,
        }
    }

    /// Gives the answer its part of the account to carry, if it has one.
    pub(in crate::rpc) fn carried<T>(held: Option<Self>, message: T) -> tonic::Response<T> {
        let mut answer = tonic::Response::new(message);
        held.map(|held| answer.extensions_mut().insert(held));
        answer
    }
}

impl Services {
    /// Reserves what an answer will take that is gathered whole.
    pub(super) async fn hold_gathered(&self, totals: Totals) -> Result<Held, Failure> {
        let reserved = self.lists.reserve(totals.bytes.saturating_mul(GATHERED_FACTOR)).await?;
        Ok(Held::new(self, reserved))
    }

    /// Reserves what the answer to an admitted request will take that makes these reads, if that is much.
    pub(in crate::rpc) async fn hold<T>(
        &self,
        proof: &Recorded<T>,
        reads: &[RangeQuery],
    ) -> Result<Option<Held>, Failure> {
        if reads.len() <= TXN_READS_SMALL_MAX && reads.iter().all(|read| read.range.is_single()) {
            return Ok(None);
        }
        let mut bytes = 0u64;
        for read in reads {
            let found = match self.inspect(proof).weigh(read) {
                Ok(Ok(small)) => small,
                Ok(Err(list)) => Timed::new(self.clone(), Duration::ZERO).survey(list).await?.totals().bytes,
                // What is wrong with it the request itself will be told.
                Err(_) => 0,
            };
            bytes = bytes.saturating_add(found);
        }
        if bytes <= LIST_SMALL_BYTES as u64 {
            return Ok(None);
        }
        // As pairs and as the message.
        let reserved = self.lists.reserve(bytes.saturating_mul(2)).await?;
        Ok(Some(Held::new(self, reserved)))
    }
}

/// The ranges whose pairs the answer to this command may hold, whichever way it goes.
pub(in crate::rpc) fn reads(command: &Command) -> Vec<RangeQuery> {
    let mut reads = Vec::new();
    match command {
        Command::Txn(txn) => of_txn(txn, &mut reads),
        Command::DeleteRange(delete) => of_deletion(delete, &mut reads),
        _ => {}
    }
    reads
}

/// The same of a transaction.
pub(in crate::rpc) fn of_txn(txn: &Txn, reads: &mut Vec<RangeQuery>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Range(query) => reads.push(query.clone()),
            Op::DeleteRange(delete) => of_deletion(delete, reads),
            Op::Put(put) if put.prev_kv => {
                reads.push(RangeQuery::latest(types::KeyRange::single(put.key.clone())));
            }
            Op::Put(_) => {}
            Op::Txn(inner) => of_txn(inner, reads),
        }
    }
}

fn of_deletion(delete: &DeleteRange, reads: &mut Vec<RangeQuery>) {
    if delete.prev_kv {
        reads.push(RangeQuery::latest(delete.range.clone()));
    }
}

/// A body that was made at once, sent a piece at a time.
struct HeldBody {
    body: Body,
    /// What of it has come and has not been handed over.
    rest: Bytes,
    /// It has come to its end, with these trailers.
    end: Option<Option<HeaderMap>>,
    flight: Arc<Flight>,
    cut: Arc<Cut>,
    /// Ends with the body.
    _watched: Arc<Watched>,
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.cut.bind();
        let this = &mut *self;
        loop {
            if !this.rest.is_empty() {
                ready!(this.flight.poll_landed(cx, 1));
                let piece = this.rest.split_to(this.rest.len().min(LIST_PAGE_BYTES));
                return Poll::Ready(Some(Ok(Frame::data(this.flight.launch(piece)))));
            }
            if let Some(trailers) = &mut this.end {
                ready!(this.flight.poll_landed(cx, 0));
                return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => this.end = Some(frame.into_trailers().ok()),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.end = Some(None),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (self.body.size_hint().exact(), &self.end) {
            (_, Some(_)) => SizeHint::with_exact(self.rest.len() as u64),
            (Some(left), None) => SizeHint::with_exact(left.saturating_add(self.rest.len() as u64)),
            (None, None) => SizeHint::default(),
        }
    }
}
