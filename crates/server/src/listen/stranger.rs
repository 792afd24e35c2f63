//! Who shows no certificate where one is wanted: told so, but for the two requests by which one comes to a certificate.
//!
//! Owns which those are. They reach their service with no evidence at all; what proves them is in them (a token's secret), or
//! they ask for what is public (the roots).

use super::Serves;
use super::connection::{FAREWELL, REFUSED_STREAMS_MAX, Shared, builder};
use super::edge::{is_grpc, refused};
use crate::gate::Connection;
use crate::tls::explain::{self, Facts, Failure};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use state::auth::Evidence;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use types::limits::ENROLMENT_SECONDS_MAX;

/// What a stranger may ask.
const OPEN: [&str; 2] = ["/strongroom.v1.Pki/Enroll", "/strongroom.v1.Pki/Roots"];

/// Serves a connection without a certificate until it was refused, or has what it came for.
pub(super) async fn serve<S>(stream: S, facts: &Facts, peer: &str, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failure = Failure::NoCertificate;
    let words: Arc<str> = Arc::from(explain::refusal(&failure, facts));
    let connection = Arc::new(Connection::new(Evidence::None, peer.to_owned(), true));
    let (was_welcome, was_told) = (AtomicBool::new(false), AtomicBool::new(false));
    let tell = || {
        if !was_told.swap(true, Ordering::Relaxed) {
            shared.rejected(peer, &failure, facts);
        }
    };
    let service = service_fn(|request: Request<Incoming>| {
        let answer: Pin<Box<dyn Future<Output = _> + Send>> = if is_open(&request, shared.serves) {
            was_welcome.store(true, Ordering::Relaxed);
            Box::pin(shared.edge.clone().answer(request, connection.clone(), shared.serves))
        } else {
            tell();
            shared.edge.metrics().requests_refused.inc();
            let answer = refused(&request, tonic::Code::Unauthenticated, &words);
            Box::pin(async { Ok::<_, Infallible>(answer) })
        };
        answer
    });
    let mut builder = builder(&shared.limits);
    builder.http2().max_concurrent_streams(REFUSED_STREAMS_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    if timeout(FAREWELL, serving.as_mut()).await.is_err() && was_welcome.load(Ordering::Relaxed) {
        // What was let in may wait for the log.
        let _ = timeout(Duration::from_secs(ENROLMENT_SECONDS_MAX), serving.as_mut()).await;
    }
    if !was_welcome.load(Ordering::Relaxed) {
        tell();
    }
}

fn is_open<B>(request: &Request<B>, serves: Serves) -> bool {
    matches!(serves, Serves::Everything | Serves::Grpc)
        && is_grpc(request)
        && OPEN.contains(&request.uri().path())
}
