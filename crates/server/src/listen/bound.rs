//! gRPC calls that end when the certificate of their connection is no longer accepted.
//!
//! Whatever a call waits for, a write's answer, the next event of a watch, a client that takes nothing, it ends with a status
//! that says why; the handler and all it holds are dropped then, as when the client had gone. Nothing is asked of it before.
//!
//! Invariant: after the bond is broken no call of its connection begins, and none sends another message.

use crate::tls::explain::cut;
use crate::tls::{Bond, Failure, Waiting};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;

/// Waits for a call's answer, as long as the bond holds; its body is bound too.
pub(super) async fn answer(
    bond: Option<Arc<Bond>>,
    call: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Response<Bound> {
    let Some(bond) = bond else { return answered(call.await).map(|body| Bound::new(body, None)) };
    let mut call = pin!(call);
    let mut waiting = Waiting::new(bond);
    let answer = poll_fn(|cx| {
        if let Some(failure) = waiting.broken() {
            return Poll::Ready(refused(failure));
        }
        if let Poll::Ready(answer) = call.as_mut().poll(cx) {
            return Poll::Ready(answered(answer));
        }
        waiting.poll(cx).map(|failure| refused(&failure))
    })
    .await;
    answer.map(|body| Bound::new(body, Some(waiting)))
}

fn answered(answer: Result<Response<Body>, Infallible>) -> Response<Body> {
    match answer {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

fn refused(failure: &Failure) -> Response<Body> {
    let (code, words) = cut(failure);
    tonic::Status::new(code, words).into_http()
}

/// A body that ends with its bond, if it has one.
pub(super) struct Bound {
    /// Gone once it has ended so.
    body: Option<Body>,
    waiting: Option<Waiting>,
}

impl Bound {
    fn new(body: Body, waiting: Option<Waiting>) -> Self {
        Self { body: Some(body), waiting }
    }

    /// The last frame: the status, which says why.
    fn end(&mut self, failure: &Failure) -> Frame<Bytes> {
        self.body = None;
        let (code, words) = cut(failure);
        let mut trailers = HeaderMap::new();
        // Only a status with metadata of its own can fail here, and this has none.
        let _ = tonic::Status::new(code, words).add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl http_body::Body for Bound {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let broken = this.waiting.as_ref().and_then(|waiting| waiting.broken()).cloned();
        if let Some(failure) = broken {
            return Poll::Ready(Some(Ok(this.end(&failure))));
        }
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let Some(waiting) = &mut this.waiting else { return Poll::Pending };
        waiting.poll(cx).map(|failure| Some(Ok(this.end(&failure))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.body, &self.waiting) {
            (Some(body), None) => body.size_hint(),
            // One that is cut is shorter than it said.
            _ => SizeHint::default(),
        }
    }
}
