//! A gRPC call without a network: framed messages into the services' routes, messages and status out.
//!
//! The caller's connection goes along in the request's extensions, as if the request had come over it.

use crate::gate::Connection;
use crate::listen::counted;
use crate::metrics::Metrics;
use crate::rpc::{Gathers, Held};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::Body as _;
use http_body_util::Full;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::Code;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

/// The gRPC services in this process.
#[derive(Clone, Copy)]
pub(crate) enum Services<'a> {
    /// As a client's call.
    Counted(&'a Routes, &'a Arc<Metrics>),
    /// As the member's own.
    Uncounted(&'a Routes),
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

/// The HTTP status of a gRPC status, as grpc-gateway maps it.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The headers of a JSON request that gRPC gets to see: who asks, and what is marked as meant for it.
pub(super) fn metadata(headers: &HeaderMap) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    for (name, value) in headers {
        let passed = match name.as_str() {
            "authorization" => Some(http::header::AUTHORIZATION),
            other => other
                .strip_prefix("grpc-metadata-")
                .and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok()),
        };
        if let Some(name) = passed {
            metadata.append(name, value.clone());
        }
    }
    metadata
}

/// Calls a method that takes one message and answers one; what the answer has reserved goes along.
pub(crate) async fn unary(
    services: Services<'_>,
    path: &str,
    message: Bytes,
    caller: Option<Arc<Connection>>,
    metadata: &HeaderMap,
) -> Result<(Bytes, Option<Held>), Failure> {
    let mut answers = streaming(services, path, vec![message], caller, metadata).await?;
    let answer = answers.next().await.unwrap_or_else(|| Err(Failure::new(Code::Internal, "no answer")))?;
    // The status follows the message, and a failure there counts.
    match answers.next().await {
        None => Ok((answer, answers.held.take())),
        Some(Err(failure)) => Err(failure),
        Some(Ok(_)) => Err(Failure::new(Code::Internal, "more than one answer")),
    }
}

/// Calls any method with these messages; the stream of requests ends behind them.
pub(crate) async fn streaming(
    services: Services<'_>,
    path: &str,
    messages: Vec<Bytes>,
    caller: Option<Arc<Connection>>,
    metadata: &HeaderMap,
) -> Result<Answers, Failure> {
    let mut body = BytesMut::new();
    for message in messages {
        let length = u32::try_from(message.len()).map_err(|error| Failure::internal(&error))?;
        body.put_u8(0);
        body.put_u32(length);
        body.put(message);
    }
    let mut request = Request::new(Full::new(body.freeze()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().map_err(|error: http::uri::InvalidUri| Failure::internal(&error))?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = metadata.clone();
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    request.extensions_mut().insert(Gathers);
    let response = match services {
        Services::Counted(routes, metrics) => counted(routes.clone(), metrics, request).await,
        Services::Uncounted(routes) => match routes.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    };
    let (head, body) = response.into_parts();
    if let Some(Err(failure)) = status(&head.headers) {
        return Err(failure);
    }
    let held = head.extensions.get().cloned();
    Ok(Answers { body, buffer: BytesMut::new(), ended: head.headers.contains_key("grpc-status"), held })
}

/// The status in headers or trailers, if they hold one.
fn status(headers: &HeaderMap) -> Option<Result<(), Failure>> {
    let status = tonic::Status::from_header_map(headers)?;
    Some(match status.code() {
        Code::Ok => Ok(()),
        code => Err(Failure::new(code, status.message())),
    })
}

/// The messages that a call answers.
pub(crate) struct Answers {
    body: Body,
    buffer: BytesMut,
    ended: bool,
    /// What the answer has reserved, for whoever gathers it.
    held: Option<Held>,
}

impl Answers {
    /// The next message, the failure that ended the call, or nothing more.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            if let Some(message) = self.message() {
                return Poll::Ready(Some(Ok(message)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    } else if let Some(trailers) = frame.trailers_ref() {
                        self.ended = true;
                        if let Some(Err(failure)) = status(trailers) {
                            return Poll::Ready(Some(Err(failure)));
                        }
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(Failure::new(error.code(), error.message()))));
                }
                None => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(Failure::new(
                        Code::Unknown,
                        "stream ended without status",
                    ))));
                }
            }
        }
    }

    fn message(&mut self) -> Option<Bytes> {
        let [_, a, b, c, d] = *self.buffer.first_chunk::<5>()?;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if self.buffer.len() < length.checked_add(5)? {
            return None;
        }
        self.buffer.advance(5);
        Some(self.buffer.split_to(length).freeze())
    }
}
