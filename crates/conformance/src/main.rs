//! `conformance`: drives the real etcd and ours with the same seeded random operations and compares every answer.
//!
//! Both servers listen on clear-text loopback and start empty; this program neither starts nor stops them. It prints the
//! seed first, a progress bar, and the first difference with the operations before it; its exit code is 1 then.
//! What is compared: every response (less the ids and terms that name a server), every error's code and text, every
//! watcher's events, HashKV; with access control off and on, as several users.
#![forbid(unsafe_code)]

mod accounts;
mod compare;
mod generate;
mod run;
mod watchers;

use clap::Parser;
use std::process::ExitCode;

/// Compare two servers of etcd's v3 API, operation by operation.
#[derive(Parser)]
struct Arguments {
    /// The server that is right: the real etcd, as http://host:port.
    #[arg(long)]
    reference: String,
    /// The server under test, as http://host:port.
    #[arg(long)]
    subject: String,
    /// How many operations.
    #[arg(long, default_value_t = 100_000)]
    operations: u64,
    /// The seed; printed, so that a run can be repeated.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    println!("seed {}, {} operations", arguments.seed, arguments.operations);
    match run::run(&arguments.reference, &arguments.subject, arguments.operations, arguments.seed).await {
        Ok(tally) => {
            println!("{tally}");
            println!("{} passed, 0 failed", arguments.operations);
            ExitCode::SUCCESS
        }
        Err(difference) => {
            eprintln!("{difference}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}
