//! gRPC on HTTP/2, as little of it as a caller needs: length-prefixed messages, the status in the trailers.
//!
//! [`Method`] holds what is the same in every call of one method. [`Messages`] cuts the answers out of the stream.
//! Source: the gRPC over HTTP/2 specification (grpc/doc/PROTOCOL-HTTP2.md).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::{Method as Verb, Request, Response, Uri};

/// No answer of any row is larger.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// A byte that says "not compressed", and four of length.
const PREFIX_BYTES: usize = 5;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The connection's.
    #[error("HTTP/2: {0}")]
    Http(#[from] h2::Error),
    /// The server's own words.
    #[error("status {0}: {1}")]
    Status(String, String),
    /// Not gRPC.
    #[error("{0}")]
    Malformed(&'static str),
}

/// One method of one server: the head of its calls.
#[derive(Clone)]
pub(crate) struct Method {
    uri: Uri,
    headers: HeaderMap,
}

impl Method {
    /// Of a path like `/etcdserverpb.KV/Put`.
    pub(crate) fn new(authority: &str, path: &str) -> Result<Self, http::Error> {
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(path).build()?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        Ok(Self { uri, headers })
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Verb::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// One request, one answer.
    pub(crate) async fn call(
        &self,
        on: &SendRequest<Bytes>,
        message: &impl prost::Message,
    ) -> Result<Bytes, Error> {
        let mut on = on.clone().ready().await?;
        let (answer, mut sink) = on.send_request(self.request(), false)?;
        sink.send_data(framed(message), true)?;
        let mut messages = Messages::new(answer.await?)?;
        let message = messages.next().await?.ok_or(Error::Malformed("an answer without a message"))?;
        match messages.next().await? {
            None => Ok(message),
            Some(_) => Err(Error::Malformed("two answers to one request")),
        }
    }

    /// A stream of requests, begun with the first of them, and a stream of answers.
    pub(crate) async fn open(
        &self,
        on: &SendRequest<Bytes>,
        first: &impl prost::Message,
    ) -> Result<(SendStream<Bytes>, Messages), Error> {
        let mut on = on.clone().ready().await?;
        let (answer, mut sink) = on.send_request(self.request(), false)?;
        sink.send_data(framed(first), false)?;
        Ok((sink, Messages::new(answer.await?)?))
    }
}

/// A message with its prefix.
pub(crate) fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("our own requests are small"));
    message.encode(&mut frame).expect("the buffer grows");
    frame.freeze()
}

/// The answers of one call.
pub(crate) struct Messages {
    body: RecvStream,
    buffer: BytesMut,
}

impl Messages {
    fn new(answer: Response<RecvStream>) -> Result<Self, Error> {
        let (head, body) = answer.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(Error::Status(head.status.to_string(), "of HTTP".into()));
        }
        // An error without a message comes with its status in the head.
        match head.headers.get("grpc-status") {
            Some(status) if status != "0" => Err(refusal(&head.headers)),
            _ => Ok(Self { body, buffer: BytesMut::new() }),
        }
    }

    /// The next one; `None` at the end, if the server says that all went well.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(message) = cut(&mut self.buffer)? {
                return Ok(Some(message));
            }
            let Some(chunk) = self.body.data().await else { return self.end().await };
            let chunk = chunk?;
            self.body.flow_control().release_capacity(chunk.len())?;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    async fn end(&mut self) -> Result<Option<Bytes>, Error> {
        match self.body.trailers().await? {
            Some(trailers) if trailers.get("grpc-status").is_some_and(|status| status == "0") => Ok(None),
            Some(trailers) => Err(refusal(&trailers)),
            None => Err(Error::Malformed("an answer without a status")),
        }
    }
}

fn refusal(headers: &HeaderMap) -> Error {
    let text = |name| {
        headers.get(name).map_or(String::new(), |v| String::from_utf8_lossy(v.as_bytes()).into_owned())
    };
    Error::Status(text("grpc-status"), text("grpc-message"))
}

/// Takes a whole message from the front of the buffer.
fn cut(buffer: &mut BytesMut) -> Result<Option<Bytes>, Error> {
    let Some(prefix) = buffer.get(..PREFIX_BYTES) else { return Ok(None) };
    let mut prefix = prefix;
    if prefix.get_u8() != 0 {
        return Err(Error::Malformed("a compressed answer, which nobody asked for"));
    }
    let length = prefix.get_u32() as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(Error::Malformed("an answer over 64 MiB"));
    }
    if buffer.len() < PREFIX_BYTES + length {
        return Ok(None);
    }
    buffer.advance(PREFIX_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::etcdserverpb::PutRequest;

    /// Answers come in any pieces, several in one and one in several.
    #[test]
    fn messages_are_cut_from_any_pieces() {
        let one = framed(&PutRequest { key: "one".into(), ..PutRequest::default() });
        let two = framed(&PutRequest { key: "two and more".into(), ..PutRequest::default() });
        let all = [one.clone(), two.clone()].concat();
        for piece in 1..=all.len() {
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for chunk in all.chunks(piece) {
                buffer.extend_from_slice(chunk);
                while let Ok(Some(message)) = cut(&mut buffer) {
                    found.push(message);
                }
            }
            assert_eq!(found, [one.slice(PREFIX_BYTES..), two.slice(PREFIX_BYTES..)], "pieces of {piece}");
            assert!(buffer.is_empty());
        }
    }

    /// A server of something else must be told from one that is slow.
    #[test]
    fn what_is_not_grpc_is_an_error() {
        assert!(matches!(cut(&mut BytesMut::from(&b"HTTP/1.1 400"[..])), Err(Error::Malformed(_))));
        assert!(matches!(cut(&mut BytesMut::from(&b"\0\xff\xff\xff\xff"[..])), Err(Error::Malformed(_))));
        assert!(matches!(cut(&mut BytesMut::from(&b"\0\0\0"[..])), Ok(None)));
    }
}
