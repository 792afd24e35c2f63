//! `lock`: holds a named lock until a signal, or while a program runs.
//!
//! The lock is the queue of keys below `name/`, as etcd's own clients keep it, so that both can stand in one queue.

use super::session::{Session, just, queue, signal, wait_turn};
use super::{raw, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use bytes::Bytes;
use clap::Args;
use proto::etcdserverpb as pb;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

/// `lock <name> [program arguments…]`
#[derive(Args, Clone, Debug)]
pub struct Lock {
    /// The name of the lock, and perhaps a program to run while it is held
    #[arg(value_names = ["NAME", "PROGRAM"])]
    words: Vec<OsString>,
    /// How long the lock outlives this program, in seconds
    #[arg(long, default_value_t = 10)]
    ttl: i64,
}

/// Our place in a queue below a prefix.
pub(super) fn place(name: &OsStr, lease: i64) -> (Bytes, Bytes) {
    let mut prefix = raw(name).to_vec();
    prefix.push(b'/');
    let mut key = prefix.clone();
    key.extend_from_slice(format!("{lease:x}").as_bytes());
    (prefix.into(), key.into())
}

impl Lock {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let Some((name, program)) = self.words.split_first() else {
            return Err(Failure::arguments(
                "lock takes a lock name argument and an optional command to execute",
            ));
        };
        let client = Client::connect(settings).await?;
        let session = Session::begin(&client, self.ttl).await?;
        let (prefix, key) = place(name, session.lease);
        let made = queue(&client, &key, Bytes::new(), session.lease).await?;
        let turn = tokio::select! {
            turn = wait_turn(&client, &prefix, made) => turn,
            stop = signal() => stop.and(Err(Failure::error("context canceled"))),
            () = session.lost() => Err(Failure::error("mutex: session is expired")),
        };
        if let Err(failure) = turn {
            let _ = unlock(&client, &key).await;
            return Err(failure);
        }
        let result = match program.split_first() {
            Some((program, arguments)) => work(&client, &session, &key, program, arguments).await,
            None => hold(&client, &session, &key).await,
        };
        let unlocked = unlock(&client, &key).await;
        result.and(unlocked)
    }
}

async fn unlock(client: &Client, key: &Bytes) -> Result<(), Failure> {
    let request = pb::DeleteRangeRequest { key: key.clone(), ..pb::DeleteRangeRequest::default() };
    client.call(client.kv().delete_range(client.request(request))).await.map(|_| ())
}

/// Shows the lock and waits for a signal.
async fn hold(client: &Client, session: &Session, key: &Bytes) -> Result<(), Failure> {
    let answer = client.call(client.kv().range(client.request(just(key)))).await?;
    if answer.kvs.is_empty() {
        return Err(Failure::error("lock lost on init"));
    }
    show(client, &Answer::Range(&answer))?;
    tokio::select! {
        stop = signal() => stop,
        () = session.lost() => Err(Failure::error("session expired")),
    }
}

/// Runs the program; its exit code becomes ours. When the lock is lost the program goes on, but the loss is told.
async fn work(
    client: &Client,
    session: &Session,
    key: &Bytes,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<(), Failure> {
    let answer = client.call(client.kv().range(client.request(just(key)))).await?;
    if answer.kvs.is_empty() {
        return Err(Failure::error("mutex: session is expired"));
    }
    let revision = answer.header.map_or(0, |header| header.revision);
    let fail = |error: std::io::Error| Failure::error(super::not_started(program, &error));
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("ETCD_LOCK_KEY", OsStr::from_bytes(key))
        .env("ETCD_LOCK_REV", revision.to_string())
        .spawn()
        .map_err(fail)?;
    let status = tokio::select! {
        status = child.wait() => status,
        () = session.lost() => {
            eprintln!("warning: the lock is lost (its lease ended) while {} still runs", program.display());
            child.wait().await
        }
    };
    let status = status.map_err(fail)?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    Err(Failure {
        code: code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        ..Failure::error(format!("exit status {}", code.unwrap_or(1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// etcd's clients queue under the same keys; a different form would make two locks of one name.
    #[test]
    fn the_queue_is_the_one_of_etcds_clients() {
        let (prefix, key) = place(OsStr::new("a/b"), 0x0123_abcd);
        assert_eq!((prefix, key), (Bytes::from_static(b"a/b/"), Bytes::from_static(b"a/b/123abcd")));
    }
}
