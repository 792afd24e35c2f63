//! `bench`: a light load generator for any server of etcd's v3 API, ours or the real etcd.
//!
//! It exists so that the client is not the limit, nor most of what a machine does, when servers are compared: one thread, gRPC
//! spoken straight on HTTP/2, answers checked by their length and counted but not decoded where the row allows it.
//! One call of it is one row: it warms up, measures a bounded number of requests in a bounded time, and prints one line of
//! JSON. The server's processor time is read at the same two moments, so making connections is not in the figures.
//!
//! Never: starts or stops a server; judges what it measures.
#![forbid(unsafe_code)]

mod call;
mod connect;
mod histogram;
mod keys;
mod processor;
mod run;
mod work;

use clap::Parser;
use connect::Target;
use keys::Keys;
use run::Run;
use std::process::ExitCode;
use std::rc::Rc;
use work::Workload;

/// What every workload takes.
#[derive(Parser)]
#[command(about = "One row of load on a server of etcd's v3 API; prints one line of JSON")]
struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    keys: Keys,
    /// How many requests are measured (`watch`: events; `load` writes every key once, `ready` asks once).
    #[arg(long, global = true, default_value_t = 10_000)]
    requests: u64,
    /// How many go before them, unmeasured.
    #[arg(long, global = true, default_value_t = 1_000)]
    warm_up: u64,
    /// The end, however few were measured.
    #[arg(long, global = true, default_value_t = 120)]
    seconds_max: u64,
    /// Connections; clients take them in turns.
    #[arg(long, global = true, default_value_t = 1)]
    connections: u32,
    /// Clients: each has one request under way (`watch`: puts under way whose events are not all seen).
    #[arg(long, global = true, default_value_t = 1)]
    clients: u32,
    /// The process whose processor time is read, of this machine.
    #[arg(long, global = true)]
    server_pid: Option<u32>,
    #[command(subcommand)]
    workload: Workload,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: no event loop: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (warm_up, requests) = match arguments.workload {
        Workload::Load { batch } => (0, arguments.keys.keys.div_ceil(batch.max(1))),
        Workload::Ready => (0, 1),
        Workload::Idle => (0, arguments.requests),
        _ => (arguments.warm_up, arguments.requests),
    };
    let (seconds_max, server_pid) = (arguments.seconds_max, arguments.server_pid);
    let run = Rc::new(Run::new(run::Bounds { warm_up, requests, seconds_max, server_pid }));
    let local = tokio::task::LocalSet::new();
    let went = local.block_on(&runtime, work::go(&arguments, Rc::clone(&run)));
    if let Err(error) = went {
        eprintln!("bench: {error}");
        return ExitCode::FAILURE;
    }
    println!("{}", run.report());
    if run.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
