//! The workloads: which requests clients send, and what must come back.
//!
//! A [`Unary`] workload makes one request after another and looks at each answer; all its clients run alike. Watches and
//! leases are streams and have files of their own. [`go`] makes the connections and runs the workload to its end.

mod handshake;
mod lease;
mod login;
mod unary;
mod watch;

use crate::Arguments;
use crate::call::{self, Method};
use crate::run::Run;
use bytes::Bytes;
use clap::Subcommand;
use h2::client::SendRequest;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long to wait before a server that is not there is asked again.
const READY_PAUSE: Duration = Duration::from_millis(2);

/// What is asked.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Workload {
    /// Write a key, any of them.
    Put,
    /// Read one key, any of them, linearizably.
    Range,
    /// List a thousand keys, linearizably.
    List {
        /// How many keys a list has.
        #[arg(long, default_value_t = 1_000)]
        length: u64,
    },
    /// Write as kube-apiserver does: compare the revision of the last change, put; otherwise read the key.
    Txn,
    /// Events of puts for many watchers. Counts events; a time is from the put to one watcher.
    Watch {
        /// Streams; they take the connections in turns.
        #[arg(long, default_value_t = 10)]
        streams: u32,
        /// Watchers in each stream.
        #[arg(long, default_value_t = 100)]
        watchers: u32,
        /// Keys that are watched; watchers take them in turns.
        #[arg(long, default_value_t = 10)]
        watched: u32,
    },
    /// Renew leases, each client its own.
    Lease,
    /// Log in as user-0, user-1 and so on. Counts refusals like answers.
    Login {
        /// How many users there are.
        #[arg(long, default_value_t = 20)]
        users: u64,
        /// The password of all of them.
        #[arg(long)]
        password: String,
        /// How many of a hundred logins have a wrong one.
        #[arg(long, default_value_t = 50)]
        wrong_percent: u64,
        /// How long each client waits after each.
        #[arg(long, default_value_t = 100)]
        pause_ms: u64,
    },
    /// Write every key once, many in a transaction. Counts transactions.
    Load {
        /// Puts in one transaction.
        #[arg(long, default_value_t = 100)]
        batch: u64,
    },
    /// Wait for the first linearizable read that succeeds.
    Ready,
    /// Make a connection with a full handshake of TLS, again and again. Counts connections.
    Handshake,
    /// Open connections and say nothing on them. Counts those that the server has closed; a time is how long it let them be.
    Idle,
}

/// Whatever stops a run before it measures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] crate::connect::Error),
    /// No answer.
    #[error(transparent)]
    Call(#[from] call::Error),
    /// A server or path that is no address.
    #[error("not an address: {0}\n  next: give --endpoint as HOST:PORT")]
    Address(#[from] http::Error),
    /// The time of the run was over.
    #[error("not done within {0:?}\n  next: look at the server's log, or raise --seconds-max")]
    Late(Duration),
}

/// Runs what the arguments ask for.
pub(crate) async fn go(arguments: &Arguments, run: Rc<Run>) -> Result<(), Error> {
    let limit = run.limit();
    let all = async {
        if let Workload::Ready = arguments.workload {
            return ready(arguments, &run).await;
        }
        if let Workload::Handshake = arguments.workload {
            return Ok(handshake::many(&arguments.target, arguments.clients, &run).await?);
        }
        if let Workload::Idle = arguments.workload {
            return Ok(handshake::idle(&arguments.target, &run).await?);
        }
        let connections = arguments.target.connect(arguments.connections).await?;
        drive(arguments, connections, &run).await
    };
    // Twice: a client may stand at the limit with its last answer on the way.
    tokio::time::timeout(limit * 2, all).await.unwrap_or(Err(Error::Late(limit)))
}

async fn drive(
    arguments: &Arguments,
    connections: Vec<SendRequest<Bytes>>,
    run: &Rc<Run>,
) -> Result<(), Error> {
    let keys = &arguments.keys;
    let method = |path| Method::new(&arguments.target.endpoint, path);
    let clients = |path| {
        Ok::<_, Error>(Clients {
            count: arguments.clients,
            method: method(path)?,
            connections: &connections,
            run,
        })
    };
    match &arguments.workload {
        Workload::Put => clients("/etcdserverpb.KV/Put")?.all(|_| unary::Put::new(keys)).await,
        Workload::Range => clients("/etcdserverpb.KV/Range")?.all(|_| unary::Range::new(keys)).await,
        Workload::List { length } => {
            clients("/etcdserverpb.KV/Range")?.all(|_| unary::List::new(keys, *length)).await;
        }
        Workload::Txn => {
            let clients = clients("/etcdserverpb.KV/Txn")?;
            clients.all(|number| unary::Txn::new(keys, number, arguments.clients)).await;
        }
        Workload::Load { batch } => {
            let next = Rc::new(Cell::new(0));
            clients("/etcdserverpb.KV/Txn")?.all(|_| unary::Load::new(keys, *batch, &next)).await;
        }
        Workload::Login { users, password, wrong_percent, pause_ms } => {
            let pause = Duration::from_millis(*pause_ms);
            let clients = clients("/etcdserverpb.Auth/Authenticate")?;
            clients.all(|_| login::Login::new(*users, password, *wrong_percent, pause)).await;
        }
        Workload::Watch { streams, watchers, watched } => {
            let methods = (method("/etcdserverpb.Watch/Watch")?, method("/etcdserverpb.KV/Put")?);
            let shape = watch::Shape { streams: *streams, watchers: *watchers, watched: *watched };
            watch::go(shape, keys, methods, arguments.clients, &connections, run).await?;
        }
        Workload::Lease => {
            let methods =
                (method("/etcdserverpb.Lease/LeaseGrant")?, method("/etcdserverpb.Lease/LeaseKeepAlive")?);
            lease::go(&methods, arguments.clients, &connections, run).await?;
        }
        // Were asked for before there was a connection.
        Workload::Ready | Workload::Handshake | Workload::Idle => {}
    }
    Ok(())
}

/// Asks until there is an answer, each time on a new connection.
async fn ready(arguments: &Arguments, run: &Run) -> Result<(), Error> {
    let method = Method::new(&arguments.target.endpoint, "/etcdserverpb.KV/Range")?;
    loop {
        let began = run.now();
        let asked = async {
            let connections = arguments.target.connect(1).await?;
            let connection = connections.first().ok_or(call::Error::Malformed("no connection"))?;
            Ok::<_, Error>(method.call(connection, &unary::read(arguments.keys.key(0))).await?)
        };
        match asked.await {
            Ok(_) => {
                run.done(began);
                return Ok(());
            }
            Err(error) if run.is_over() => return Err(error),
            Err(_) => tokio::time::sleep(READY_PAUSE).await,
        }
    }
}

/// One client's requests of one method.
pub(crate) trait Unary {
    type Request: prost::Message;

    /// The next request; `None` when this client has nothing left to do.
    fn request(&mut self) -> Option<Self::Request>;

    /// Looks at the answer to the last one.
    fn answer(&mut self, message: &Bytes) -> Result<(), String>;

    /// Whether this refusal is what was asked for.
    fn is_answer(&self, _refusal: &call::Error) -> bool {
        false
    }

    /// How long to wait before the next one.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }
}

/// Clients that are alike, and where they send.
struct Clients<'a> {
    count: u32,
    method: Method,
    connections: &'a [SendRequest<Bytes>],
    run: &'a Rc<Run>,
}

impl Clients<'_> {
    /// Starts one client for each number and waits for them all.
    async fn all<W: Unary + 'static>(&self, make: impl Fn(u64) -> W) {
        let mut tasks = Vec::new();
        for (number, connection) in (0..self.count.max(1)).zip(self.connections.iter().cycle()) {
            let (method, connection, run) = (self.method.clone(), connection.clone(), Rc::clone(self.run));
            tasks.push(tokio::task::spawn_local(client(make(number.into()), method, connection, run)));
        }
        finish(tasks).await;
    }
}

async fn client<W: Unary>(mut work: W, method: Method, connection: SendRequest<Bytes>, run: Rc<Run>) {
    while run.take() {
        let Some(request) = work.request() else { return };
        let began = run.now();
        match method.call(&connection, &request).await {
            Ok(message) => match work.answer(&message) {
                Ok(()) => run.done(began),
                Err(error) => run.fail(&error),
            },
            Err(error) if work.is_answer(&error) => run.done(began),
            Err(error) => run.fail(&error.to_string()),
        }
        if !work.pause().is_zero() {
            tokio::time::sleep(work.pause()).await;
        }
    }
}

/// Waits for tasks of ours.
async fn finish<T>(tasks: Vec<tokio::task::JoinHandle<T>>) {
    for task in tasks {
        task.await.map(drop).unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
}
