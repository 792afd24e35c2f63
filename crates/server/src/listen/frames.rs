//! Watching gRPC messages pass: a body that counts the messages and bytes that flow through it, and, on the way out,
//! notes with which status the call ended.
//!
//! Never holds a byte back and never changes one. A call whose answer is dropped before its trailers counts as
//! cancelled, as the Go library counts it.

use crate::metrics::{Method, Metrics};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

const CANCELLED: u16 = 1;
const UNKNOWN: u16 = 2;
/// A message's prefix: one byte of flags, four of length.
const PREFIX_BYTES: usize = 5;

/// Follows the length-prefixed messages in a stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    prefix: [u8; PREFIX_BYTES],
    prefix_filled: usize,
    payload_left: usize,
}

/// What passed in some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Messages whose prefix ended here.
    pub(crate) messages: u64,
    /// Bytes of payload.
    pub(crate) bytes: u64,
}

impl Messages {
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) -> Passed {
        let mut passed = Passed::default();
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let (now, rest) = bytes.split_at(self.payload_left.min(bytes.len()));
                self.payload_left = self.payload_left.saturating_sub(now.len());
                passed.bytes = passed.bytes.saturating_add(now.len() as u64);
                bytes = rest;
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else { break };
            if let Some(slot) = self.prefix.get_mut(self.prefix_filled) {
                *slot = *first;
            }
            self.prefix_filled = self.prefix_filled.saturating_add(1);
            bytes = rest;
            if self.prefix_filled == PREFIX_BYTES {
                let [_, a, b, c, d] = self.prefix;
                self.payload_left = u32::from_be_bytes([a, b, c, d]) as usize;
                self.prefix_filled = 0;
                passed.messages = passed.messages.saturating_add(1);
            }
        }
        passed
    }
}

/// One call that is being counted.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) metrics: Arc<Metrics>,
    pub(super) method: Arc<Method>,
}

/// The request's side of a call.
#[derive(Debug)]
pub(super) struct Received<B> {
    pub(super) body: B,
    pub(super) call: Option<Call>,
    pub(super) messages: Messages,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Received<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let passed = self.messages.pass(data.chunk());
            if let Some(call) = &self.call {
                call.method.received(passed.messages);
                call.metrics.client_received_bytes.add(passed.bytes);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer's side of a call.
#[derive(Debug)]
pub(super) struct Sent<B> {
    body: B,
    messages: Messages,
    ending: Ending,
}

/// Notes the end of a call exactly once, at the latest when it is dropped.
#[derive(Debug)]
pub(super) struct Ending {
    call: Call,
    began: Instant,
    noted: bool,
}

impl Ending {
    pub(super) fn new(call: Call) -> Self {
        call.method.started();
        Self { call, began: Instant::now(), noted: false }
    }

    fn note(&mut self, code: u16) {
        if !std::mem::replace(&mut self.noted, true) {
            self.call.method.handled(code, self.began.elapsed());
        }
    }

    /// The status in headers or trailers, if they hold one.
    fn note_status(&mut self, headers: &http::HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            let code = status.to_str().ok().and_then(|code| code.parse().ok());
            self.note(code.unwrap_or(UNKNOWN));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.note(CANCELLED);
    }
}

impl<B> Sent<B> {
    /// Watches the answer; an answer without a body carries its status in the headers.
    pub(super) fn new(body: B, headers: &http::HeaderMap, mut ending: Ending) -> Self {
        ending.note_status(headers);
        Self { body, messages: Messages::default(), ending }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            if let Some(data) = frame.data_ref() {
                let passed = self.messages.pass(data.chunk());
                self.ending.call.method.sent(passed.messages);
                self.ending.call.metrics.client_sent_bytes.add(passed.bytes);
            } else if let Some(trailers) = frame.trailers_ref() {
                self.ending.note_status(trailers);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages are counted right however the transport cuts them, or the byte counters would drift.
    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let stream = [0, 0, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'd'];
        for size in 1..=stream.len() {
            let mut messages = Messages::default();
            let mut total = Passed::default();
            for piece in stream.chunks(size) {
                let passed = messages.pass(piece);
                total.messages += passed.messages;
                total.bytes += passed.bytes;
            }
            assert_eq!(total, Passed { messages: 3, bytes: 4 }, "in pieces of {size}");
        }
    }
}
