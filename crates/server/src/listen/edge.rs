//! One request: which of the services answers it, with what evidence, and how it is counted.
//!
//! gRPC goes to the services' routes, everything else to the HTTP router.

use super::frames::{Call, Ending, Messages, Received, Sent};
use super::{Serves, bound};
use crate::gate::Connection;
use crate::http::Router;
use crate::metrics::Metrics;
use crate::tls::explain::cut;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body_util::Full;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

/// Whether etcd's way to look at a client's name for the server is asked for: `GODEBUG=http2debug=2`, one line a call.
static SHOWS_AUTHORITY: LazyLock<bool> = LazyLock::new(|| {
    std::env::var("GODEBUG").is_ok_and(|value| value.split(',').any(|each| each == "http2debug=2"))
});

/// What serves requests. Shared by every connection.
#[derive(Clone)]
pub struct Edge {
    routes: Routes,
    http: Arc<Router>,
    metrics: Arc<Metrics>,
    gives_certificates: bool,
}

impl Edge {
    /// Serves gRPC from `routes` and HTTP from `http`.
    #[must_use]
    pub fn new(routes: Routes, http: Router, metrics: Arc<Metrics>) -> Self {
        Self { routes: routes.prepare(), http: Arc::new(http), metrics, gives_certificates: false }
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Serves a cluster that has an authority of its own: strangers may come for a certificate.
    #[must_use]
    pub fn giving_certificates(self) -> Self {
        Self { gives_certificates: true, ..self }
    }

    pub(super) fn gives_certificates(&self) -> bool {
        self.gives_certificates
    }

    /// Answers one request.
    pub(super) async fn answer<B>(
        self,
        mut request: Request<B>,
        connection: Arc<Connection>,
        serves: Serves,
    ) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let grpc = is_grpc(&request);
        if !grpc && let Some(failure) = connection.bond().and_then(|bond| bond.broken()) {
            return Ok(refusal(StatusCode::UNAUTHORIZED, &cut(failure).1));
        }
        request.extensions_mut().insert(connection);
        match serves {
            Serves::Everything | Serves::Grpc if grpc => Ok(self.call(request).await),
            Serves::Everything | Serves::Http => Ok(self.http.answer(request).await),
            Serves::Metrics => Ok(self.http.answer_probe(request).await),
            Serves::Grpc => {
                let text = "this address serves gRPC only; HTTP has an address of its own (--listen-client-http-urls)";
                Ok(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
            }
        }
    }

    async fn call<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if *SHOWS_AUTHORITY && let Some(authority) = request.uri().authority() {
            eprintln!("http2: decoded hpack field header field \":authority\" = {:?}", authority.as_str());
        }
        counted(self.routes, &self.metrics, request).await
    }
}

/// Calls a gRPC method and counts the call, whether it came over the network or through the JSON gateway.
pub(crate) async fn counted<B>(
    mut routes: Routes,
    metrics: &Arc<Metrics>,
    request: Request<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let method = metrics.calls.method(request.uri().path()).cloned();
    let call = || method.clone().map(|method| Call { metrics: metrics.clone(), method });
    let (head, body) = request.into_parts();
    let bond = head.extensions.get::<Arc<Connection>>().and_then(|connection| connection.bond()).cloned();
    let ending = call().map(Ending::new);
    let body = Received { body, call: call(), messages: Messages::default() };
    let answer = bound::answer(bond, routes.call(Request::from_parts(head, body))).await;
    let Some(ending) = ending else { return answer.map(Body::new) };
    let (head, body) = answer.into_parts();
    let body = Body::new(Sent::new(body, &head.headers, ending));
    Response::from_parts(head, body)
}

/// As etcd tells them apart: HTTP/2 with gRPC's content type.
/// The answer to whoever is refused, in the protocol that it speaks.
pub(super) fn refused<B>(request: &Request<B>, code: tonic::Code, words: &str) -> Response<Body> {
    if is_grpc(request) { grpc_refusal(code, words) } else { refusal(StatusCode::BAD_REQUEST, words) }
}

pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.version() == Version::HTTP_2
        && content_type.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// A gRPC answer that is only a status.
pub(super) fn grpc_refusal(code: tonic::Code, message: &str) -> Response<Body> {
    tonic::Status::new(code, message).into_http()
}

/// An HTTP answer in plain text, as Go's `http.Error` writes it.
pub(super) fn refusal(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(format!("{text}\n")))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
