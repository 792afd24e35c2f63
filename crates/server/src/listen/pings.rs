//! Clients that ping more often than they may: grpc-go's rule, which etcd's `--grpc-keepalive-min-time` sets.
//!
//! Looks at the frames of an HTTP/2 connection as they pass and changes none. A ping is a strike if it comes sooner after
//! the one before than the least interval, or sooner than two hours when no request is under way; what the server sends for
//! a request wipes the strikes out. The third strike too many ends the connection with GOAWAY ENHANCE_YOUR_CALM and
//! `too_many_pings`, which gRPC's clients know and answer by pinging more slowly.
//!
//! Invariants: no byte is held back; a connection that does not open with HTTP/2's preface is not looked at; what is
//! remembered is the open streams' numbers, bounded by the bound on streams.
//! Source: RFC 9113 sections 4.1 and 6; grpc-go, internal/transport/http2_server.go, handlePing.

use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// On DATA and HEADERS: the last frame of its side.
const END_STREAM: u8 = 1;
/// On PING: an answer.
const ACK: u8 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;
const TOO_MANY: &[u8] = b"too_many_pings";
/// Strikes that are borne.
const STRIKES_MAX: u8 = 2;
/// Between pings while no request is under way.
const IDLE_INTERVAL_MIN: Duration = Duration::from_secs(2 * 60 * 60);

/// What a frame's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Follows the frames in a stream of bytes.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; HEADER_BYTES],
    filled: usize,
    payload_left: usize,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let (payload, rest) = bytes.split_at(self.payload_left.min(bytes.len()));
                self.payload_left = self.payload_left.saturating_sub(payload.len());
                bytes = rest;
                continue;
            }
            let (part, rest) = bytes.split_at(HEADER_BYTES.saturating_sub(self.filled).min(bytes.len()));
            let room = self.head.iter_mut().skip(self.filled);
            room.zip(part).for_each(|(slot, byte)| *slot = *byte);
            self.filled = self.filled.saturating_add(part.len());
            bytes = rest;
            if self.filled == HEADER_BYTES {
                let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
                self.payload_left = u32::from_be_bytes([0, l0, l1, l2]) as usize;
                self.filled = 0;
                seen(Frame { kind, flags, stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]) });
            }
        }
    }
}

/// The rule, and how one client keeps it.
#[derive(Debug)]
struct Rule {
    interval_min: Duration,
    last: Option<Instant>,
    strikes: u8,
    is_wiped: bool,
    open: HashSet<u32>,
    newest: u32,
}

impl Rule {
    fn new(interval_min: Duration) -> Self {
        Self { interval_min, last: None, strikes: 0, is_wiped: false, open: HashSet::new(), newest: 0 }
    }

    fn received(&mut self, frame: Frame) {
        match frame.kind {
            // Trailers come on a stream that is known.
            HEADERS if frame.stream > self.newest => {
                self.newest = frame.stream;
                self.open.insert(frame.stream);
            }
            RST_STREAM => drop(self.open.remove(&frame.stream)),
            PING if frame.flags & ACK == 0 => self.pinged(Instant::now()),
            _ => {}
        }
    }

    fn sent(&mut self, frame: Frame) {
        match frame.kind {
            DATA | HEADERS => {
                self.is_wiped = true;
                if frame.flags & END_STREAM != 0 {
                    self.open.remove(&frame.stream);
                }
            }
            RST_STREAM => drop(self.open.remove(&frame.stream)),
            _ => {}
        }
    }

    fn pinged(&mut self, now: Instant) {
        let before = self.last.replace(now);
        if std::mem::take(&mut self.is_wiped) {
            self.strikes = 0;
            return;
        }
        let least = if self.open.is_empty() { IDLE_INTERVAL_MIN } else { self.interval_min };
        if before.is_some_and(|before| now.duration_since(before) < least) {
            self.strikes = self.strikes.saturating_add(1);
        }
    }

    fn is_broken(&self) -> bool {
        self.strikes > STRIKES_MAX
    }
}

/// How far the connection is known.
#[derive(Debug)]
enum Looking {
    /// So many bytes of the preface have come.
    Opening(usize),
    /// It is HTTP/2.
    Frames { received: Frames, sent: Frames },
    /// It is something else.
    Away,
}

/// A connection whose client is held to the rule.
#[derive(Debug)]
pub(super) struct Calm<S> {
    stream: S,
    looking: Looking,
    rule: Rule,
    /// Set when the client has broken the rule.
    broken: Arc<AtomicBool>,
    /// The last words, and how much of them is said.
    farewell: Vec<u8>,
    said: usize,
}

impl<S> Calm<S> {
    pub(super) fn new(stream: S, interval_min: Duration) -> Self {
        Self {
            stream,
            looking: Looking::Opening(0),
            rule: Rule::new(interval_min),
            broken: Arc::default(),
            farewell: Vec::new(),
            said: 0,
        }
    }

    /// Where it is seen whether the client has broken the rule, while somebody else has the connection.
    pub(super) fn broken(&self) -> Arc<AtomicBool> {
        self.broken.clone()
    }

    fn received(&mut self, mut bytes: &[u8]) {
        if let Looking::Opening(seen) = &mut self.looking {
            let expected = PREFACE.get(*seen..).unwrap_or_default();
            let (part, rest) = bytes.split_at(expected.len().min(bytes.len()));
            if !expected.starts_with(part) {
                self.looking = Looking::Away;
                return;
            }
            *seen = seen.saturating_add(part.len());
            bytes = rest;
            if *seen == PREFACE.len() {
                self.looking = Looking::Frames { received: Frames::default(), sent: Frames::default() };
            }
        }
        let Looking::Frames { received, .. } = &mut self.looking else { return };
        let rule = &mut self.rule;
        received.pass(bytes, |frame| rule.received(frame));
        if rule.is_broken() && !self.broken.swap(true, Ordering::Relaxed) {
            self.farewell = goaway(rule.newest);
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        let Looking::Frames { sent, .. } = &mut self.looking else { return };
        let rule = &mut self.rule;
        sent.pass(bytes, |frame| rule.sent(frame));
    }
}

fn goaway(last_stream: u32) -> Vec<u8> {
    let length = u8::try_from(TOO_MANY.len().saturating_add(8)).unwrap_or(u8::MAX);
    let mut frame = vec![0, 0, length, GOAWAY, 0, 0, 0, 0, 0];
    frame.extend(last_stream.to_be_bytes());
    frame.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    frame.extend(TOO_MANY);
    frame
}

impl<S: AsyncRead + Unpin> AsyncRead for Calm<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.broken.load(Ordering::Relaxed) {
            // Nothing more is heard of it: what serves the connection ends it in order.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.received(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Calm<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.sent(buf.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        for buf in bufs {
            let part = buf.get(..left.min(buf.len())).unwrap_or_default();
            self.sent(part);
            left = left.saturating_sub(part.len());
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// What was to be written is written when this is called, so the last words begin where a frame may.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while let Some(rest) = this.farewell.get(this.said..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, rest))? {
                0 => break,
                written => this.said = this.said.saturating_add(written),
            }
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn after_preface() -> Calm<tokio::io::Empty> {
        let mut calm = Calm::new(tokio::io::empty(), Duration::from_secs(5));
        calm.received(PREFACE);
        calm
    }

    /// Pings `times` times, `apart` from each other; answers after how many the rule was broken.
    async fn pings(calm: &mut Calm<tokio::io::Empty>, times: usize, apart: Duration) -> Option<usize> {
        for time in 1..=times {
            calm.received(&frame(PING, 0, 0, &[0; 8]));
            if calm.rule.is_broken() {
                return Some(time);
            }
            tokio::time::advance(apart).await;
        }
        None
    }

    /// grpc-go's rule, case by case: clients of etcd are tuned to it, so neither a stricter nor a laxer one will do.
    #[tokio::test(start_paused = true)]
    async fn the_rule_is_that_of_grpc_go() {
        let second = Duration::from_secs(1);
        let with_request = || {
            let mut calm = after_preface();
            calm.received(&frame(HEADERS, 4, 1, b"head"));
            calm
        };
        assert_eq!(pings(&mut with_request(), 9, second).await, Some(4), "three strikes after the first");
        assert_eq!(pings(&mut with_request(), 9, 5 * second).await, None, "as often as it may");
        let idle = 3600 * second;
        assert_eq!(pings(&mut after_preface(), 9, idle).await, Some(4), "without a request, two hours");
        assert_eq!(pings(&mut after_preface(), 9, 2 * idle).await, None);
        let mut ended = with_request();
        ended.sent(&frame(HEADERS, END_STREAM | 4, 1, b"trailers"));
        assert_eq!(pings(&mut ended, 9, 10 * second).await, Some(4), "after its answer it is idle");
        let mut reset = with_request();
        reset.received(&frame(RST_STREAM, 0, 1, &[0; 4]));
        assert_eq!(pings(&mut reset, 9, 10 * second).await, Some(4), "a request that was given up is none");
        let mut trailed = with_request();
        trailed.sent(&frame(DATA, END_STREAM, 1, b""));
        trailed.received(&frame(HEADERS, END_STREAM | 4, 1, b"late trailers"));
        assert_eq!(pings(&mut trailed, 9, 10 * second).await, Some(4), "trailers open nothing");
        let mut watching = with_request();
        for _ in 0..50 {
            watching.sent(&frame(DATA, 0, 1, b"event"));
            assert_eq!(pings(&mut watching, 2, Duration::ZERO).await, None, "data wipes the strikes out");
        }
        let mut answers = with_request();
        for _ in 0..50 {
            answers.received(&frame(PING, ACK, 0, &[0; 8]));
        }
        assert!(!answers.rule.is_broken(), "answers to our pings are none");
    }

    /// What passes is cut anywhere by the network; a ping must be seen, and bytes that look like one in a payload not.
    #[tokio::test(start_paused = true)]
    async fn frames_are_seen_however_they_are_cut() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(HEADERS, 4, 1, b"head"));
        for _ in 0..4 {
            bytes.extend(frame(DATA, 0, 1, &frame(PING, 0, 0, &[0; 8]).repeat(3)));
            bytes.extend(frame(PING, 0, 0, &[6; 8]));
        }
        for size in 1..bytes.len() {
            let mut calm = Calm::new(tokio::io::empty(), Duration::from_secs(5));
            let (last, before) = bytes.split_last_chunk::<8>().map(|(before, last)| (last, before)).unwrap();
            let before = &before[..before.len() - HEADER_BYTES];
            before.chunks(size).for_each(|piece| calm.received(piece));
            assert_eq!(calm.rule.strikes, 2, "in pieces of {size}");
            calm.received(&frame(PING, 0, 0, last));
            assert!(calm.rule.is_broken());
        }
        let mut other = Calm::new(tokio::io::empty(), Duration::from_secs(5));
        other.received(b"PRI * HTTP/1.1\r\n");
        other.received(&frame(PING, 0, 0, &[0; 8]).repeat(9));
        assert!(!other.rule.is_broken(), "what is not HTTP/2 has no pings");
    }
}
