//! HTTP beside gRPC: health, version, metrics, and the JSON gateway.
//!
//! Owns the paths and their answers, which are etcd 3.7's byte for byte where etcd answers (status, headers, body). Asks
//! the member through [`Vitals`] and, for reads and the gateway, through the gRPC services in process, so that every
//! request passes the same gate.
//!
//! Invariants: a request to a clear-text listener whose Host is not known is refused (DNS rebinding); another site's
//! page gets no answer unless CORS allows its origin; nothing here serves a key's value but the gateway.

mod access;
pub mod gateway;
mod health;
mod vitals;

#[cfg(test)]
mod tests;

pub use access::{Access, Allowed};
pub use gateway::Gateway;
use gateway::call::Services;
pub use vitals::OfMember;

use crate::gate::Connection;
use crate::metrics::{Detail, Metrics, Readings, text::CONTENT_TYPE as METRICS_TYPE};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::service::Routes;

/// An alarm that is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The store is full.
    NoSpace,
    /// Members' data differ.
    Corrupt,
}

impl Alarm {
    /// Its name in etcd's interface.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        }
    }
}

/// Three versions, as etcd reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The interface's version that this member speaks.
    pub server: String,
    /// The version that all members agree on.
    pub cluster: String,
    /// The version of the stored form.
    pub storage: String,
}

/// What HTTP asks the member for. Answers at once, from what the member knows of itself.
pub trait Vitals: Send + Sync + 'static {
    /// Whether a leader is known.
    fn has_leader(&self) -> bool;
    /// Whether this member is a learner.
    fn is_learner(&self) -> bool;
    /// The alarms that are raised, by any member.
    fn alarms(&self) -> Vec<Alarm>;
    /// The versions.
    fn versions(&self) -> Versions;
    /// The numbers of a scrape.
    fn readings(&self) -> Readings;
}

/// What the paths are answered from.
pub struct Context {
    /// The gRPC services, called in process.
    pub routes: Routes,
    /// The member.
    pub vitals: Arc<dyn Vitals>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// How much a scrape shows.
    pub detail: Detail,
    /// Hosts and origins that are let in.
    pub access: Access,
    /// The JSON gateway, where it is on.
    pub gateway: Option<Gateway>,
    /// What /debug/vars shows as command line; `None` leaves the path out.
    pub command_line: Option<Vec<String>>,
    /// How long a health check's read may take.
    pub request_timeout: Duration,
}

/// Answers requests by path.
pub struct Router {
    context: Context,
}

impl Router {
    /// A router over this context.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Answers a request to a client listener.
    pub async fn answer<B>(&self, mut request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(refused) = self.context.access.refusal(&request) {
            return refused;
        }
        let origin = self.context.access.origin(&request);
        let mut response = if request.method() == Method::OPTIONS {
            Response::new(Body::empty())
        } else {
            access::rewrite_v3beta(&mut request);
            self.route(request).await
        };
        access::mark(&mut response, origin);
        response
    }

    /// Answers a request to a listener for probes and scrapers.
    pub async fn answer_probe<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
    {
        match self.probe(request.method(), request.uri()).await {
            Some(response) => response,
            None => not_found(),
        }
    }

    async fn probe(&self, method: &Method, uri: &http::Uri) -> Option<Response<Body>> {
        let path = uri.path();
        if path == "/metrics" {
            return Some(self.metrics());
        }
        if path == "/health" {
            return Some(health::health(&self.context, method, uri.query()).await);
        }
        health::check(&self.context, method, path, uri.query()).await
    }

    async fn route<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(response) = self.probe(request.method(), request.uri()).await {
            return response;
        }
        match (request.uri().path(), &self.context.gateway, &self.context.command_line) {
            ("/version", _, _) if request.method() == Method::GET => self.version(),
            ("/debug/vars", _, Some(command_line)) if request.method() == Method::GET => vars(command_line),
            ("/version", _, _) | ("/debug/vars", _, Some(_)) => method_not_allowed(),
            ("/v3", Some(_), _) => moved_to("/v3/"),
            (path, Some(gateway), _) if path.starts_with("/v3/") => {
                let services = Services::Counted(&self.context.routes, &self.context.metrics);
                gateway.answer(services, request).await
            }
            _ => not_found(),
        }
    }

    fn metrics(&self) -> Response<Body> {
        let text = self.context.metrics.encode(&self.context.vitals.readings(), self.context.detail);
        let mut response = Response::new(full(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
        response
    }

    fn version(&self) -> Response<Body> {
        let Versions { server, cluster, storage } = self.context.vitals.versions();
        let json = |text: String| serde_json::Value::String(text).to_string();
        let body = format!(
            "{{\"etcdserver\":{},\"etcdcluster\":{},\"storage\":{}}}",
            json(server),
            json(cluster),
            json(storage)
        );
        with_type(Response::new(full(body)), "application/json")
    }
}

/// The caller's connection, or, for requests made by the member itself, none.
fn connection<B>(request: &Request<B>) -> Option<Arc<Connection>> {
    request.extensions().get::<Arc<Connection>>().cloned()
}

/// A little of what Go's expvar shows: the command line, and what the system says of the process.
fn vars(command_line: &[String]) -> Response<Body> {
    let limit = crate::metrics::process::descriptors().map_or(0, |(_, limit)| limit);
    let body = format!(
        "{{\n\"cmdline\": {},\n\"file_descriptor_limit\": {limit}\n}}\n",
        serde_json::Value::from(command_line.to_vec())
    );
    with_type(Response::new(full(body)), "application/json; charset=utf-8")
}

fn moved_to(place: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(place));
    response
}

fn full(body: impl Into<Bytes>) -> Body {
    Body::new(Full::new(body.into()))
}

fn with_type(mut response: Response<Body>, kind: &'static str) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn not_found() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

fn method_not_allowed() -> Response<Body> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

/// An error as Go's `http.Error` writes it.
fn error(status: StatusCode, text: &str) -> Response<Body> {
    plain(status, format!("{text}\n"))
}

fn plain(status: StatusCode, body: String) -> Response<Body> {
    let mut response = with_type(Response::new(full(body)), "text/plain; charset=utf-8");
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
