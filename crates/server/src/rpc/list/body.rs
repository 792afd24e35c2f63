//! The body of a large answer: its pages, each read when the last but one has left, then the status.
//!
//! Owns the answer under way. The transport asks for bytes as its client takes them, so what is in memory is two pages that
//! are being sent, or one and another that is being read. The trailers wait until all bytes have left, so that a client that takes
//! nothing more can be cut to the end. A failure in the middle (damage in the store, a compaction that passed a list
//! beyond its hold, a right that was taken away) ends the stream with the failure's status behind a message that is shorter than its prefix
//! says: no client takes that for an answer.

use super::flight::Flight;
use super::pages::Pages;
use super::turns;
use super::watch::Watched;
use super::{Parts, Timed};
use crate::cut::Cut;
use crate::rpc::requests::Reading;
use crate::rpc::standing::Standing;
use crate::rpc::status::Failure;
use audit::Recorded;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tonic::Status;

/// The body.
pub(super) struct ListBody {
    stage: Stage,
    /// Who asked, and for what: asked again before each page.
    standing: Standing,
    reading: Recorded<Reading>,
    flight: Arc<Flight>,
    timed: Timed,
    cut: Arc<Cut>,
    /// Ends with the body.
    _watched: Arc<Watched>,
}

enum Stage {
    /// A page is read.
    Read(Box<Pages>, Vec<u8>),
    /// The pages before may still be on their way.
    Sent(Box<Pages>),
    /// A page is being read.
    Reads(oneshot::Receiver<Read>),
    /// Everything is on its way.
    Ends(Result<(), Failure>),
    Ended,
}

/// What came of a step, with what it took.
type Read = (Box<Pages>, Result<Vec<u8>, state::Error>, std::time::Duration);

impl ListBody {
    /// The body whose first page is read.
    pub(super) fn new(parts: Parts, standing: Standing, reading: Recorded<Reading>) -> Self {
        let Parts { first, pages, flight, timed, cut, watched } = parts;
        let stage = Stage::Read(Box::new(pages), first);
        Self { stage, standing, reading, flight, timed, cut, _watched: watched }
    }

    fn read(&self, mut pages: Box<Pages>) -> Stage {
        let clock = self.timed.clock();
        Stage::Reads(turns::queue(move || {
            let began = clock.monotonic();
            let page = pages.next();
            (pages, page, clock.monotonic().since(began))
        }))
    }

    fn ends(&mut self, with: Result<(), Failure>) -> Stage {
        self.timed.note(with.is_ok());
        Stage::Ends(with)
    }
}

impl Drop for ListBody {
    fn drop(&mut self) {
        // Its client has left: as far as it went, it went well.
        self.timed.note(true);
    }
}

impl Body for ListBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.cut.bind();
        loop {
            let this = &mut *self;
            match std::mem::replace(&mut this.stage, Stage::Ended) {
                Stage::Sent(pages) => {
                    if this.flight.poll_landed(cx, 1).is_pending() {
                        this.stage = Stage::Sent(pages);
                        return Poll::Pending;
                    }
                    this.stage = match this.standing.check_if_changed(this.reading.request()) {
                        Ok(()) => this.read(pages),
                        Err(failure) => this.ends(Err(failure)),
                    };
                }
                Stage::Reads(mut reading) => {
                    let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
                        this.stage = Stage::Reads(reading);
                        return Poll::Pending;
                    };
                    let Ok((pages, page, took)) = read else {
                        this.stage = this.ends(Err(Failure::Stopped));
                        continue;
                    };
                    this.timed.spent(took);
                    match page {
                        Err(error) => this.stage = this.ends(Err(error.into())),
                        Ok(page) => this.stage = Stage::Read(pages, page),
                    }
                }
                Stage::Read(pages, page) => {
                    this.stage = if pages.is_done() { this.ends(Ok(())) } else { Stage::Sent(pages) };
                    if !page.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(this.flight.launch(page.into())))));
                    }
                }
                Stage::Ends(with) => {
                    if this.flight.poll_landed(cx, 0).is_pending() {
                        this.stage = Stage::Ends(with);
                        return Poll::Pending;
                    }
                    return Poll::Ready(Some(trailers(with).map(Frame::trailers)));
                }
                Stage::Ended => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }
}

fn trailers(with: Result<(), Failure>) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    match with {
        Ok(()) => drop(trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"))),
        Err(failure) => Status::from(failure).add_header(&mut trailers)?,
    }
    Ok(trailers)
}
