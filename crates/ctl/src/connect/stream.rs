//! A connection that remembers how it ended.
//!
//! HTTP/2 reports a dead connection in words of its own. What matters is what the transport said: the alert, the line of
//! clear text, the silence. [`Observed`] writes that down beside the bytes it passes on.

use super::explain::{Stage, Trouble};
use super::tls::{Showed, sort};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many of the first bytes are kept to tell who is speaking.
const OPENING_BYTES: usize = 64;
/// Type of the frame that every HTTP/2 server sends first.
const SETTINGS_FRAME: u8 = 4;

/// Any transport below HTTP/2.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// How the newest connection fared.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    opening: Vec<u8>,
    trouble: Option<Trouble>,
    ended: bool,
}

/// What the other side's first bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Too little to tell.
    Nothing,
    /// HTTP/2, as hoped.
    Http2,
    /// A record of TLS.
    Tls,
    /// Something else; its first line.
    Line(String),
}

/// Tells from the first bytes who is speaking.
pub(super) fn opening(bytes: &[u8]) -> Opening {
    match bytes {
        [0x14..=0x17, 3, 0..=4, ..] => Opening::Tls,
        [0, _, _, SETTINGS_FRAME, _, 0, 0, 0, 0, ..] => Opening::Http2,
        [first, ..] if first.is_ascii_graphic() && bytes.len() >= 4 => {
            let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
            Opening::Line(String::from_utf8_lossy(line).into_owned())
        }
        _ => Opening::Nothing,
    }
}

impl Record {
    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a new connection.
    pub(super) fn begin(&self) {
        *self.notes() = Notes::default();
    }

    /// Notes why a connection could not be made.
    pub(super) fn note(&self, trouble: Trouble) {
        self.notes().trouble = Some(trouble);
    }

    /// What the newest connection suffered from, as far as it is known.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let notes = self.notes();
        notes.trouble.clone().or_else(|| match opening(&notes.opening) {
            Opening::Tls => Some(Trouble::ServerSpeaksTls),
            Opening::Line(line) => Some(Trouble::NotGrpc(line)),
            Opening::Http2 if notes.ended => Some(Trouble::Closed(Stage::Answer)),
            Opening::Http2 | Opening::Nothing => None,
        })
    }

    /// Whether the other side has spoken HTTP/2 on the newest connection.
    pub(super) fn was_good(&self) -> bool {
        opening(&self.notes().opening) == Opening::Http2
    }
}

/// A transport that is written down.
pub(super) struct Observed {
    pub(super) inner: Box<dyn Transport>,
    pub(super) record: Arc<Record>,
    pub(super) showed: Showed,
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) => {
                let fresh = buf.filled().get(before..).unwrap_or_default();
                let mut notes = self.record.notes();
                if fresh.is_empty() {
                    notes.ended = true;
                } else if let Some(room) = OPENING_BYTES.checked_sub(notes.opening.len()) {
                    notes.opening.extend(fresh.iter().take(room));
                }
            }
            Poll::Ready(Err(error)) => {
                let trouble = sort(error, self.showed);
                let mut notes = self.record.notes();
                notes.ended = true;
                notes.trouble = notes.trouble.take().or(trouble);
            }
            Poll::Pending => {}
        }
        result
    }
}

impl AsyncWrite for Observed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes decide between "use https" and "that is another service": each kind must be told apart.
    #[test]
    fn the_first_bytes_tell_who_is_speaking() {
        let line = |text: &str| Opening::Line(text.into());
        for (bytes, kind) in [
            (&b""[..], Opening::Nothing),
            (&[0x15, 3, 1, 0, 2], Opening::Tls),
            (&[0x16, 3, 3, 0, 122], Opening::Tls),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0, 9], Opening::Http2),
            (b"HTTP/1.0 400 Bad Request\r\n\r\nx", line("HTTP/1.0 400 Bad Request")),
            (b"SSH-2.0-x\n", line("SSH-2.0-x")),
            (&[0xff, 0xfe], Opening::Nothing),
        ] {
            assert_eq!(opening(bytes), kind, "{bytes:?}");
        }
    }
}
