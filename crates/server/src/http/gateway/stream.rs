//! A stream of answers as lines of JSON: `{"result":…}` each, `{"error":…}` for the failure that ends it.

use super::call::{Answers, Failure};
use super::encode;
use bytes::Bytes;
use http_body::{Body, Frame};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body of a streaming answer.
pub(super) struct Lines {
    answers: Answers,
    shape: MessageDescriptor,
    first: Option<Bytes>,
    ended: bool,
}

impl Lines {
    /// Waits for the first answer, so that a call that fails at once gets its status.
    pub(super) async fn begin(mut answers: Answers, shape: MessageDescriptor) -> Result<Self, Failure> {
        let (first, ended) = match answers.next().await {
            Some(Ok(message)) => (Some(line(message, &shape)), false),
            Some(Err(failure)) => return Err(failure),
            None => (None, true),
        };
        Ok(Self { answers, shape, first, ended })
    }
}

fn line(message: Bytes, shape: &MessageDescriptor) -> Bytes {
    let json = DynamicMessage::decode(shape.clone(), message)
        .map_err(|error| Failure::internal(&error))
        .and_then(|message| encode::json(&message).map_err(|error| Failure::internal(&error)));
    match json {
        Ok(json) => encode::line("result", &json).into(),
        Err(failure) => encode::line("error", &encode::failure(&failure)).into(),
    }
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let bytes = match ready!(self.answers.poll_next(cx)) {
            Some(Ok(message)) => line(message, &self.shape),
            Some(Err(failure)) => {
                self.ended = true;
                encode::line("error", &encode::failure(&failure)).into()
            }
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
