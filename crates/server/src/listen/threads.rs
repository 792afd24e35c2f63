//! The threads behind the listeners, and their end.
//!
//! Owns the accepting thread, the workers, and the phase they are in. A worker owns its connections and waits for them;
//! [`Running::stop`] waits for the threads. What is still under way when the grace is over is cut.

use super::bind::{Bound, Error, Socket as Listening};
use super::certificates::{self, Reload};
use super::connection::{Shared, serve};
use super::desk::Desk;
use super::socket::Accepted;
use super::{Edge, Limits, Listener, Security};
use crate::letterbox::Letterbox;
use crate::metrics::Metrics;
use crate::tls::Reloading;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// Accepted connections that may wait for one worker; beyond it accepting waits, and the kernel's queue fills.
const ACCEPTED_WAITING_MAX: usize = 256;
/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far the listeners are in their life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// No new connections; those that stand are asked to end.
    Draining,
    /// Everything ends now.
    Cut,
}

/// Listeners that serve.
pub struct Running {
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<()>>,
    ended: std_mpsc::Receiver<()>,
    tls: Vec<Arc<Reloading>>,
    open: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Bound {
    /// Starts serving.
    ///
    /// # Errors
    /// [`Error::Thread`] when a thread cannot be started.
    pub fn serve(self, edge: &Edge, limits: Limits) -> Result<Running, Error> {
        let (phase, _) = watch::channel(Phase::Serving);
        let (ended_sender, ended) = std_mpsc::channel();
        let mut threads = Vec::new();
        let mut workers = Vec::new();
        for number in 0..limits.workers.max(1) {
            let (sender, receiver) = mpsc::channel(ACCEPTED_WAITING_MAX);
            workers.push(sender);
            let phase = phase.subscribe();
            let handshakes = limits.handshakes;
            let (desk, desk_thread) = Desk::open(format!("handshake-{number}")).map_err(Error::Thread)?;
            threads.push(desk_thread);
            let work = move || async move {
                Letterbox::put_up();
                work(receiver, phase, handshakes, desk).await
            };
            threads.push(thread(format!("edge-{number}"), ended_sender.clone(), work)?);
        }
        let rejections = Arc::new(Rejections::new(limits.rejection_lines_per_second));
        let mut tls: Vec<Arc<Reloading>> = Vec::new();
        let mut listeners = Vec::new();
        let mut served = Vec::new();
        for (listener, socket) in self.sockets {
            if let Security::Tls(reloading) | Security::ClearOrTls(reloading) = &listener.security
                && !tls.iter().any(|known| Arc::ptr_eq(known, reloading))
            {
                tls.push(reloading.clone());
            }
            let local = local(&listener, &socket);
            if let Security::Tls(reloading) | Security::ClearOrTls(reloading) = &listener.security {
                served.push((local.clone(), reloading.clone()));
            }
            listeners.push((shared(local, &listener, edge, limits, &rejections), socket));
        }
        edge.metrics().shows_ends_of(served);
        let open = Arc::new(AtomicUsize::new(0));
        let dispatch =
            Dispatch { workers, turn: AtomicUsize::new(0), open: open.clone(), limit: limits.connections };
        let accept = {
            let (phase, tls, edge) = (phase.subscribe(), tls.clone(), edge.clone());
            move || async move { accept_all(listeners, dispatch, phase, tls, edge, limits.reload_interval).await }
        };
        threads.push(thread("edge-accept".to_owned(), ended_sender, accept)?);
        Ok(Running { phase, threads, ended, tls, open, metrics: edge.metrics().clone() })
    }
}

impl Running {
    /// Reads every certificate anew; what does not fit stays as it was. Connections that the new ones do not accept have been
    /// told when it returns.
    pub fn reload(&self) -> Vec<Reload> {
        let results = certificates::reload(&self.tls);
        certificates::count(&results, &self.metrics);
        results
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Stops: no new connections at once, those that stand may finish what is under way within `grace`, then they are
    /// cut. Returns when every thread has ended.
    pub fn stop(self, grace: Duration) {
        self.phase.send_replace(Phase::Draining);
        let until = Instant::now() + grace;
        // The channel only ever closes, when the last thread has dropped its end.
        let left = || until.saturating_duration_since(Instant::now());
        while let Ok(()) = self.ended.recv_timeout(left()) {}
        self.phase.send_replace(Phase::Cut);
        for thread in self.threads {
            // A panic in it has been reported by the panic hook; stopping goes on.
            let _ = thread.join();
        }
    }
}

fn thread<F>(
    name: String,
    ended: std_mpsc::Sender<()>,
    body: impl FnOnce() -> F + Send + 'static,
) -> Result<JoinHandle<()>, Error>
where
    F: Future<Output = ()>,
{
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
    let run = move || {
        runtime.block_on(body());
        // Requests still under way on this runtime end here, before whoever waits is told.
        drop(runtime);
        drop(ended);
    };
    std::thread::Builder::new().name(name).spawn(run).map_err(Error::Thread)
}

/// The address that is listened on, with the port the system chose.
fn local(listener: &Listener, socket: &Listening) -> String {
    match socket {
        Listening::Tcp(tcp) => {
            tcp.local_addr().map_or_else(|_| listener.address.to_string(), |at| at.to_string())
        }
        Listening::Unix(_) => listener.address.to_string(),
    }
}

fn shared(
    local: String,
    listener: &Listener,
    edge: &Edge,
    limits: Limits,
    rejections: &Arc<Rejections>,
) -> Arc<Shared> {
    Arc::new(Shared {
        local,
        edge: edge.clone(),
        serves: listener.serves,
        security: listener.security.clone(),
        limits,
        rejections: rejections.clone(),
    })
}

/// A connection on its way to a worker.
struct Handover {
    accepted: Accepted,
    peer: String,
    shared: Arc<Shared>,
    place: Place,
}

/// One place among the connections that may be open; given back when dropped.
struct Place {
    open: Arc<AtomicUsize>,
    edge: Edge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.edge.metrics().connections.dec();
    }
}

/// Hands connections to the workers in turn.
struct Dispatch {
    workers: Vec<mpsc::Sender<Handover>>,
    turn: AtomicUsize,
    open: Arc<AtomicUsize>,
    limit: usize,
}

impl Dispatch {
    fn next(&self) -> Option<&mpsc::Sender<Handover>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.workers.get(turn.checked_rem(self.workers.len())?)
    }

    fn place(&self, edge: &Edge) -> Option<Place> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        edge.metrics().connections.inc();
        Some(Place { open: self.open.clone(), edge: edge.clone() })
    }
}

async fn accept_all(
    listeners: Vec<(Arc<Shared>, Listening)>,
    dispatch: Dispatch,
    mut phase: watch::Receiver<Phase>,
    tls: Vec<Arc<Reloading>>,
    edge: Edge,
    reload_interval: Duration,
) {
    let dispatch = Arc::new(dispatch);
    let mut tasks = JoinSet::new();
    for (shared, socket) in listeners {
        let dispatch = dispatch.clone();
        tasks.spawn(async move {
            if let Err(error) = accept(shared, socket, &dispatch).await {
                tracing::error!(%error, hint = "restart the member", "a listener has failed");
            }
        });
    }
    if !tls.is_empty() {
        tasks.spawn(certificates::watch(tls, edge.metrics().clone(), reload_interval));
    }
    let _ = phase.wait_for(|phase| *phase > Phase::Serving).await;
    // Dropping the tasks closes the listening sockets.
}

async fn accept(shared: Arc<Shared>, socket: Listening, dispatch: &Dispatch) -> io::Result<()> {
    let listener = Accepting::open(socket)?;
    loop {
        let (accepted, peer) = match listener.accept().await {
            Ok(it) => it,
            Err(error) if is_of_the_connection(&error) => continue,
            Err(error) => {
                let hint = "the process has too many open files: raise its limit (ulimit -n, LimitNOFILE=)";
                tracing::error!(%error, hint, "cannot accept connections for a moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = dispatch.place(&shared.edge) else {
            shared.edge.metrics().connections_refused.inc();
            if let Some(unsaid) = shared.rejections.admit() {
                let hint =
                    "look for a client that opens connections without closing them, or raise the limit";
                tracing::warn!(
                    "remote-addr" = %peer,
                    "local-addr" = %shared.local,
                    limit = dispatch.limit, unsaid, hint,
                    "refused a connection: too many are open"
                );
            }
            continue;
        };
        let Some(worker) = dispatch.next() else { continue };
        if worker.send(Handover { accepted, peer, shared: shared.clone(), place }).await.is_err() {
            return Ok(());
        }
    }
}

/// Errors that concern one connection which is gone already.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Accepting {
    fn open(socket: Listening) -> io::Result<Self> {
        Ok(match socket {
            Listening::Tcp(tcp) => Self::Tcp(tokio::net::TcpListener::from_std(tcp)?),
            Listening::Unix(unix) => Self::Unix(tokio::net::UnixListener::from_std(unix)?),
        })
    }

    async fn accept(&self) -> io::Result<(Accepted, String)> {
        match self {
            Self::Tcp(tcp) => {
                let (stream, peer) = tcp.accept().await?;
                Ok((Accepted::Tcp(stream.into_std()?), peer.to_string()))
            }
            Self::Unix(unix) => {
                let (stream, _) = unix.accept().await?;
                Ok((Accepted::Unix(stream.into_std()?), "unix".to_owned()))
            }
        }
    }
}

/// One worker: its connections, each a task, the unfinished handshakes in the order they came.
async fn work(
    mut incoming: mpsc::Receiver<Handover>,
    mut phase: watch::Receiver<Phase>,
    handshakes_max: usize,
    desk: Desk,
) {
    let handshakes = Arc::new(Handshakes::default());
    let mut connections = JoinSet::new();
    let mut number = 0_u64;
    let handed = phase.clone();
    let draining = async {
        let _ = phase.wait_for(|phase| *phase > Phase::Serving).await;
    };
    tokio::pin!(draining);
    loop {
        tokio::select! {
            handover = incoming.recv() => {
                let Some(Handover { accepted, peer, shared, place }) = handover else { break };
                let Ok(socket) = accepted.here() else { continue };
                number = number.wrapping_add(1);
                let (mine, finished) = (number, handshakes.clone());
                let handshaken = move || finished.forget(mine);
                let task = serve(socket, peer, shared, handed.clone(), desk.clone(), handshaken);
                let finished = handshakes.clone();
                let handle = connections.spawn(async move {
                    task.await;
                    finished.forget(mine);
                    drop(place);
                });
                handshakes.begin(mine, handle, handshakes_max);
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = &mut draining => break,
        }
    }
    incoming.close();
    let mut phase = handed;
    let cut = async {
        let _ = phase.wait_for(|phase| *phase == Phase::Cut).await;
    };
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => {}
        () = cut => connections.shutdown().await,
    }
}

/// The unfinished handshakes of one worker, oldest first.
#[derive(Default)]
struct Handshakes(Mutex<BTreeMap<u64, AbortHandle>>);

impl Handshakes {
    /// Notes one more, and cuts the oldest if there are too many.
    fn begin(&self, number: u64, handle: AbortHandle, max: usize) {
        let mut unfinished = self.lock();
        unfinished.insert(number, handle);
        if unfinished.len() > max
            && let Some((_, oldest)) = unfinished.pop_first()
        {
            oldest.abort();
        }
    }

    /// It has ended, well or not.
    fn forget(&self, number: u64) {
        self.lock().remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounds the log lines about rejected connections, which anybody who reaches the port can cause.
pub(super) struct Rejections {
    per_second: u32,
    began: Instant,
    second: AtomicU64,
    said: AtomicU32,
    unsaid: AtomicU64,
}

impl Rejections {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            began: Instant::now(),
            second: AtomicU64::new(0),
            said: AtomicU32::new(0),
            unsaid: AtomicU64::new(0),
        }
    }

    /// Whether one more may be said now; if so, how many were not said since the last.
    pub(super) fn admit(&self) -> Option<u64> {
        self.admit_at(self.began.elapsed())
    }

    fn admit_at(&self, elapsed: Duration) -> Option<u64> {
        let now = elapsed.as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.said.store(0, Ordering::Relaxed);
        }
        if self.said.fetch_add(1, Ordering::Relaxed) < self.per_second {
            return Some(self.unsaid.swap(0, Ordering::Relaxed));
        }
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reaches the port can make handshakes fail; that must not fill the disk with log lines.
    #[test]
    fn rejections_are_said_a_few_times_a_second() {
        let rejections = Rejections::new(2);
        let said: Vec<_> = (0..5).map(|_| rejections.admit_at(Duration::ZERO)).collect();
        assert_eq!(said, [Some(0), Some(0), None, None, None]);
        assert_eq!(
            rejections.admit_at(Duration::from_secs(1)),
            Some(3),
            "the next line says how many were left out"
        );
    }
}
