//! Around each call: what is the same for every method.
//!
//! Owns the checks of metadata, the caller's principal (put into the request's extensions for the handler), the deadline
//! that the client names, the tracing span (from `debug` on: it costs more than a small answer), the warning about slow requests, and the words of the decoder's complaints.
//!
//! Invariants: a path that is not on the surface is answered `Unimplemented` before anything is read; nothing of a
//! request's content is logged.

use super::list::Streamed;
use super::status::{Failure, reworded, reworded_on_stream};
use super::surface::{self, Flow, Method};
use super::{Inner, Services};
use crate::gate::{Caller, Connection};
use http::{HeaderMap, Request, Response};
use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument;

/// A service of the interface with what is around its calls.
#[derive(Clone)]
pub(super) struct Around<S> {
    inner: S,
    services: Services,
}

impl<S> Around<S> {
    pub(super) fn new(inner: S, services: Services) -> Self {
        Self { inner, services }
    }
}

impl<S: NamedService> NamedService for Around<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let Some(method) = surface::method(request.uri().path()) else {
            return answer(&unknown(request.uri().path()));
        };
        if let Err(failure) = self.services.check_metadata(request.headers()) {
            return answer(&failure.into());
        }
        let deadline = timeout(request.headers());
        let caller = self.services.gate().caller(request.extensions(), request.headers());
        let Some(learning) = self.services.gate().learning(&caller) else {
            return self.answer(method, deadline, caller, request);
        };
        // What is left in place has not been asked whether it is ready; what is taken has.
        let left = self.clone();
        let mut ready = std::mem::replace(self, left);
        Box::pin(async move {
            learning.await;
            let caller = ready.services.gate().caller(request.extensions(), request.headers());
            ready.answer(method, deadline, caller, request).await
        })
    }
}

impl<S> Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    /// Passes a request on, of a caller who was looked at.
    fn answer(
        &mut self,
        method: &'static Method,
        deadline: Option<Duration>,
        caller: Caller,
        mut request: Request<Body>,
    ) -> Answer {
        if let Err(failure) = self.services.check_rate(&caller) {
            return answer(&failure.into());
        }
        let span = tracing::debug_span!(
            "request",
            request_id = REQUESTS.fetch_add(1, Ordering::Relaxed),
            principal = caller.principal().name(),
            method = method.path,
        );
        let peer = request.extensions().get::<Arc<Connection>>().cloned();
        request.extensions_mut().insert(caller);
        let services = self.services.clone();
        let answered = self.inner.call(request);
        let around = async move {
            let began = services.context.clock.monotonic();
            let response = match deadline {
                None => answered.await?,
                Some(deadline) => match tokio::time::timeout(deadline, answered).await {
                    Ok(response) => response?,
                    Err(_) => Status::from(Failure::DeadlineExceeded).into_http(),
                },
            };
            if method.flow == Flow::Unary {
                let took = services.context.clock.monotonic().since(began);
                services.warn_if_slow(method, took, peer.as_deref());
            }
            Ok(in_etcds_words(Streamed::put_into(response), method.flow))
        };
        Box::pin(around.instrument(span))
    }
}

/// Numbers requests of this process, to find one's lines in the log.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

impl Inner {
    fn check_metadata(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if let Some(version) = headers.get("client-api-version")
            && std::str::from_utf8(version.as_bytes()).is_err()
        {
            return Err(Failure::InvalidClientApiVersion);
        }
        if wants_leader(headers) && self.member().status().leader.is_none() {
            return Err(Failure::NoLeader);
        }
        Ok(())
    }

    /// Refuses what is beyond the rate that the caller's roles allow.
    fn check_rate(&self, caller: &Caller) -> Result<(), Failure> {
        let limit = caller.principal().limits().requests_per_second;
        let user = caller.principal().user().unwrap_or_default();
        if limit == 0 || self.rates.allow(user, limit, self.now().millis().saturating_mul(1_000)) {
            return Ok(());
        }
        self.context.metrics.requests_limited.inc();
        let text =
            format!("strongroom: more than {limit} requests a second, which a role of {user:?} limits");
        Err(Failure::Other(Code::ResourceExhausted, Cow::Owned(text)))
    }

    fn warn_if_slow(&self, method: &Method, took: Duration, peer: Option<&Connection>) {
        if took > self.limits().slow_request {
            let remote = peer.map_or("in process", |connection| connection.peer.as_str());
            tracing::warn!(method = method.path, took_ms = took.as_millis(), remote, "request took too long");
        }
    }
}

/// Whether the client wants to be cut off rather than served by a member without a leader.
pub(super) fn wants_leader(headers: &HeaderMap) -> bool {
    headers.get("hasleader").is_some_and(|value| value.as_bytes() == b"true")
}

fn answer(status: &Status) -> Answer {
    let response = status.clone().into_http();
    Box::pin(std::future::ready(Ok(response)))
}

/// grpc-go's words for what is not served.
pub(super) fn unknown(path: &str) -> Status {
    let (service, method) =
        path.strip_prefix('/').and_then(|path| path.rsplit_once('/')).unwrap_or((path, ""));
    let served = surface::METHODS.iter().any(|method| {
        method
            .path
            .strip_prefix('/')
            .and_then(|path| path.split_once('/'))
            .is_some_and(|(name, _)| name == service)
    });
    // The path is the client's: what is not plain text in it is not sent back.
    let plain = |text: &str| text.chars().filter(char::is_ascii_graphic).take(100).collect::<String>();
    Status::unimplemented(if served {
        format!("unknown method {} for service {}", plain(method), plain(service))
    } else {
        format!("unknown service {}", plain(service))
    })
}

/// The time that the client gives the call: up to eight digits and a unit (gRPC over HTTP/2, "grpc-timeout").
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse::<u64>().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount.saturating_mul(3600)),
        "M" => Duration::from_secs(amount.saturating_mul(60)),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// A refusal that the decoder made, said again as etcd's gRPC library says it.
fn in_etcds_words(response: Response<Body>, flow: Flow) -> Response<Body> {
    let code = response.headers().get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()));
    if !matches!(code, Some(Code::OutOfRange | Code::Internal)) {
        return response;
    }
    let reworded = if flow == Flow::Stream { reworded_on_stream } else { reworded };
    match Status::from_header_map(response.headers()).as_ref().and_then(reworded) {
        Some(status) => status.into_http(),
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    /// A deadline that is misread cuts calls early or never; whatever is not one is passed over.
    #[test]
    fn the_clients_deadline_is_read() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("400m", Some(Duration::from_millis(400))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("5u", Some(Duration::from_micros(5))),
            ("", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("123456789S", None),
            ("5x", None),
        ] {
            assert_eq!(timeout(&headers("grpc-timeout", text)), expected, "{text}");
        }
    }

    /// Only etcd's own spelling asks for a leader; a client that did not ask is not cut off.
    #[test]
    fn only_true_asks_for_a_leader() {
        assert!(wants_leader(&headers("hasleader", "true")));
        assert!(!wants_leader(&headers("hasleader", "false")));
        assert!(!wants_leader(&HeaderMap::new()));
    }

    /// What is not served is refused in the words that clients know, and never echoes bytes that a terminal would obey.
    #[test]
    fn unknown_methods_are_named() {
        assert_eq!(
            unknown("/etcdserverpb.KV/Nope").message(),
            "unknown method Nope for service etcdserverpb.KV"
        );
        assert_eq!(unknown("/a.B/C").message(), "unknown service a.B");
        assert_eq!(unknown("/\u{1b}[31m/x").message(), "unknown service [31m");
        assert_eq!(unknown("").code(), Code::Unimplemented);
    }
}
