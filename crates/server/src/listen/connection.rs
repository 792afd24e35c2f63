//! One connection, from its first byte to its end.
//!
//! Looks at the opening, answers what speaks the wrong protocol, makes the handshake within its deadline, and serves
//! HTTP on what is left. Every way a connection can fail ends in one log line with a hint, or in none if nothing was
//! ever said on it.

use super::desk::Desk;
use super::edge::{Edge, refused};
use super::pings::Calm;
use super::socket::{Prefixed, Socket};
use super::stranger;
use super::threads::{Phase, Rejections};
use super::{Limits, Security, Serves};
use crate::cut::{Bound, Tasks};
use crate::gate::Connection;
use crate::tls::explain::{self, Explanation, Facts, Failure, explain};
use crate::tls::sniff::{self, Opening};
use crate::tls::{Bond, Loaded, Reloading, Standing};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use state::auth::Evidence;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::LazyConfigAcceptor;

/// How long a mistaken client may take to read its answer before the connection is cut.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);
/// How long the streams of a connection that is cut may take to end.
const CUT_GRACE: Duration = Duration::from_millis(types::limits::CUT_GRACE_MILLISECONDS);
/// Requests under way on a connection that is refused.
pub(super) const REFUSED_STREAMS_MAX: u32 = 16;
/// How many bytes of a mistaken client are read and thrown away, so that its answer is not lost to a reset.
const DISCARD_BYTES_MAX: usize = 64 * 1024;

/// What every connection of one listener shares.
pub(super) struct Shared {
    /// The listener's own address.
    pub(super) local: String,
    pub(super) edge: Edge,
    pub(super) serves: Serves,
    pub(super) security: Security,
    pub(super) limits: Limits,
    pub(super) rejections: Arc<Rejections>,
}

/// Serves one connection until it ends or is cut.
pub(super) async fn serve(
    socket: Socket,
    peer: String,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    desk: Desk,
    handshaken: impl FnOnce() + Send + 'static,
) {
    let opened = desk.work(open(Prefixed::new(socket), peer.clone(), shared.clone(), handshaken)).await;
    match opened.flatten() {
        Some(Opened::Secure(stream, evidence, standing)) => {
            let bond = standing.as_ref().map(|standing| standing.bond().clone());
            http(*stream, Connection::new(evidence, peer, true).bound(bond), &shared, phase).await;
        }
        Some(Opened::Clear(stream)) => {
            http(stream, Connection::new(Evidence::None, peer, false), &shared, phase).await;
        }
        None => {}
    }
}

type TlsStream = tokio_rustls::server::TlsStream<Prefixed<Socket>>;

/// A connection on which HTTP can be spoken.
enum Opened {
    /// With what the other side has shown.
    Secure(Box<TlsStream>, Evidence, Option<Standing>),
    Clear(Prefixed<Socket>),
}

/// Looks at how a connection begins, and makes its handshake; whoever is refused has been told.
async fn open(
    mut stream: Prefixed<Socket>,
    peer: String,
    shared: Arc<Shared>,
    handshaken: impl FnOnce(),
) -> Option<Opened> {
    let deadline = Instant::now() + shared.limits.handshake_deadline;
    let opening = match timeout_at(deadline, stream.opening()).await {
        Ok(opening) => opening.ok()?,
        Err(_) => {
            let late = Failure::Deadline(shared.limits.handshake_deadline);
            shared.rejected(&peer, &late, &Facts::default());
            return None;
        }
    };
    if opening == Opening::Undecided && stream.is_silent() {
        tracing::debug!("remote-addr" = %peer, "connection closed before its first byte");
        return None;
    }
    match (&shared.security, opening) {
        (Security::Tls(tls) | Security::ClearOrTls(tls), Opening::Tls) => {
            let opened = handshake(stream, tls, deadline, &peer, &shared).await;
            handshaken();
            opened
        }
        (Security::Tls(tls), _) => {
            handshaken();
            clear_on_tls(stream, opening, &facts(&tls.current()), &peer, &shared).await;
            None
        }
        (Security::Clear | Security::DangerouslyClearAnywhere, Opening::Tls) => {
            handshaken();
            shared.rejected(&peer, &Failure::TlsOnClear, &Facts::default());
            farewell(stream, &sniff::http1_refusal(sniff::TLS_ON_CLEAR)).await;
            None
        }
        (Security::Clear | Security::DangerouslyClearAnywhere | Security::ClearOrTls(_), _) => {
            handshaken();
            Some(Opened::Clear(stream))
        }
    }
}

async fn handshake(
    stream: Prefixed<Socket>,
    tls: &Reloading,
    deadline: Instant,
    peer: &str,
    shared: &Shared,
) -> Option<Opened> {
    let loaded = tls.current();
    let mut facts = facts(&loaded);
    let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    tokio::pin!(acceptor);
    let late = Failure::Deadline(shared.limits.handshake_deadline);
    let start = match timeout_at(deadline, acceptor.as_mut()).await {
        Ok(Ok(start)) => start,
        Ok(Err(error)) => {
            shared.rejected(peer, &Failure::of(&error), &facts);
            if let Some(stream) = acceptor.take_io() {
                farewell(stream, &[]).await;
            }
            return None;
        }
        Err(_) => {
            shared.rejected(peer, &late, &facts);
            return None;
        }
    };
    facts.dialled = start.client_hello().server_name().map(str::to_owned);
    let finish = start.into_stream(loaded.config.clone()).into_fallible();
    match timeout_at(deadline, finish).await {
        Ok(Ok(stream)) => match tls.admit(stream.get_ref().1.peer_certificates()) {
            Ok((evidence, standing)) => Some(Opened::Secure(Box::new(stream), evidence, standing)),
            Err(Failure::NoCertificate) if shared.edge.gives_certificates() => {
                stranger::serve(stream, &facts, peer, shared).await;
                None
            }
            Err(failure) => {
                shared.rejected(peer, &failure, &facts);
                let words = explain::refusal(&failure, &facts);
                refuse(stream, tonic::Code::Unauthenticated, words, shared).await;
                None
            }
        },
        Ok(Err((error, stream))) => {
            shared.rejected(peer, &Failure::of(&error), &facts);
            farewell(stream, &[]).await;
            None
        }
        Err(_) => {
            shared.rejected(peer, &late, &facts);
            None
        }
    }
}

fn facts(loaded: &Loaded) -> Facts {
    Facts {
        names: loaded.names.clone(),
        dialled: None,
        client_issuers: loaded.client_issuers.clone(),
        client_settings: loaded.client_settings,
    }
}

/// Answers clear text on a TLS port in the protocol it speaks: nothing of the member is reachable from here.
async fn clear_on_tls(
    stream: Prefixed<Socket>,
    opening: Opening,
    facts: &Facts,
    peer: &str,
    shared: &Shared,
) {
    shared.rejected(peer, &Failure::ClearText(opening), facts);
    match opening {
        Opening::Http1 => farewell(stream, &sniff::http1_refusal(&sniff::clear_on_tls(facts))).await,
        Opening::Http2 => {
            // A code that clients do not retry.
            let code = tonic::Code::FailedPrecondition;
            refuse(stream, code, sniff::clear_grpc_on_tls(facts), shared).await;
        }
        Opening::Tls | Opening::Unknown | Opening::Undecided => {
            farewell(stream, &sniff::UNEXPECTED_MESSAGE).await
        }
    }
}

/// Speaks HTTP just long enough to refuse each request with the reason, in gRPC or in a page.
async fn refuse<S>(stream: S, code: tonic::Code, words: String, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let words: Arc<str> = Arc::from(words);
    let metrics = shared.edge.metrics().clone();
    let service = service_fn(move |request: Request<Incoming>| {
        metrics.requests_refused.inc();
        let answer = refused(&request, code, &words);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut builder = builder(&shared.limits);
    builder.http2().max_concurrent_streams(REFUSED_STREAMS_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let _ = timeout(FAREWELL, connection).await;
}

/// Sends the last words, then reads what is still under way, so that closing does not destroy them.
async fn farewell(mut stream: impl AsyncRead + AsyncWrite + Unpin, last: &[u8]) {
    let words = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut discarded = 0;
        let mut buffer = [0; 4096];
        while discarded < DISCARD_BYTES_MAX {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => discarded = discarded.saturating_add(read),
            }
        }
        io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, words).await;
}

async fn http<S>(stream: S, connection: Connection, shared: &Shared, mut phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Arc::new(connection);
    let service =
        service_fn(|request: Request<Incoming>| answer(&shared.edge, request, &connection, shared.serves));
    let builder = builder(&shared.limits);
    let stream = Calm::new(stream, shared.limits.ping_interval_min);
    let too_many_pings = stream.broken();
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let mut bound = Bound::default();
    let mut asked_to_end = false;
    let cut = cut(connection.bond(), &shared.edge);
    tokio::pin!(cut);
    loop {
        tokio::select! {
            // HTTP/1.1 has no task for each request: an answer that is cut there ends the connection.
            ended = poll_fn(|cx| bound.poll(cx, |cx| serving.as_mut().poll(cx))) => {
                if too_many_pings.load(Ordering::Relaxed) {
                    shared.calmed(&connection.peer);
                } else if let Some(Err(error)) = ended {
                    tracing::debug!("remote-addr" = %connection.peer, %error, "connection ended");
                }
                return;
            }
            _ = phase.changed(), if !asked_to_end => {
                asked_to_end = true;
                serving.as_mut().graceful_shutdown();
            }
            failure = cut.as_mut() => {
                let reason = failure.reason();
                tracing::debug!("remote-addr" = %connection.peer, reason, "connection cut");
                // Its requests end by themselves, each with the reason; whoever takes nothing of that is not waited for.
                serving.as_mut().graceful_shutdown();
                let _ = timeout(CUT_GRACE, serving).await;
                return;
            }
        }
    }
}

/// Waits until the connection may not go on.
async fn cut(bond: Option<&Arc<Bond>>, edge: &Edge) -> Failure {
    let Some(bond) = bond else { return std::future::pending().await };
    let failure = bond.break_up().await;
    edge.metrics().connections_cut.with([failure.reason()]).inc();
    failure
}

fn answer(
    edge: &Edge,
    request: Request<Incoming>,
    connection: &Arc<Connection>,
    serves: Serves,
) -> impl Future<Output = Result<Response<tonic::body::Body>, Infallible>> + Send + 'static {
    edge.clone().answer(request, connection.clone(), serves)
}

pub(super) fn builder(limits: &Limits) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(Tasks);
    let header_bytes = usize::try_from(limits.header_bytes).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_deadline)
        .max_buf_size(header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.concurrent_streams)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    builder
}

impl Shared {
    /// One line about a client that pinged too often.
    fn calmed(&self, peer: &str) {
        let Some(unsaid) = self.rejections.admit() else { return };
        let least = self.limits.ping_interval_min;
        tracing::warn!(
            "remote-addr" = %peer,
            "local-addr" = %self.local,
            unsaid,
            hint = %format!("raise the client's keepalive time to {least:?} or more, with pings only while requests are under way; or lower --grpc-keepalive-min-time"),
            "got too many pings from the client, closing the connection"
        );
    }

    /// One line for the operator: what happened, and what to do.
    pub(super) fn rejected(&self, peer: &str, failure: &Failure, facts: &Facts) {
        self.edge.metrics().handshakes_failed.with([failure.reason()]).inc();
        let Some(unsaid) = self.rejections.admit() else { return };
        let Explanation { cause, hint } = explain(failure, facts);
        let server_name = facts.dialled.as_deref().unwrap_or_default();
        tracing::warn!(
            "remote-addr" = %peer,
            "local-addr" = %self.local,
            "server-name" = server_name,
            error = %cause,
            hint = %hint,
            unsaid,
            "rejected connection on client endpoint"
        );
    }
}
