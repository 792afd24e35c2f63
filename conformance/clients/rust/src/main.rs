//! Ordinary use of the Rust crate etcd-client against a server: URL CA CERT KEY.
//!
//! One line a check, `ok etcd-client NAME` or `FAIL etcd-client NAME: why`. Every check works on keys below its own name.

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, Error, EventType, GetOptions, Identity,
    LockOptions, TlsOptions, Txn, TxnOp, WatchOptions,
};
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::Duration;

type Checked = Result<(), Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(10);
const EVENTS: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, ca, certificate, key] = words.as_slice() else {
        eprintln!("URL CA CERT KEY");
        return ExitCode::from(2);
    };
    let read = |path: &String| std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let trusting = TlsOptions::new().ca_certificate(Certificate::from_pem(read(ca)));
    let ours = trusting.clone().identity(Identity::from_pem(read(certificate), read(key)));
    let mut failed = 0;
    let mut told = |name: &str, done: Checked| match done {
        Ok(()) => println!("ok etcd-client {name}"),
        Err(why) => {
            println!("FAIL etcd-client {name}: {why}");
            failed += 1;
        }
    };
    told("refused without a certificate", refused(url, trusting).await);
    match connected(url, ours).await {
        Err(error) => told("connects", Err(error.into())),
        Ok(client) => {
            told("put, get, delete", put_get_delete(client.clone()).await);
            told("watch", watch(client.clone()).await);
            told("transaction", transaction(client.clone()).await);
            told("lease and keep-alive", lease(client.clone()).await);
            told("lock", lock(client).await);
        }
    }
    ExitCode::from(u8::from(failed > 0))
}

async fn connected(url: &str, tls: TlsOptions) -> Result<Client, Error> {
    let options = ConnectOptions::new().with_tls(tls).with_timeout(PATIENCE).with_connect_timeout(PATIENCE);
    Client::connect([url], Some(options)).await
}

fn same<T: PartialEq + Debug>(found: T, expected: T) -> Checked {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}").into()) }
}

async fn refused(url: &str, tls: TlsOptions) -> Checked {
    let Ok(mut client) = connected(url, tls).await else { return Ok(()) };
    match client.get("re/a", None).await {
        Ok(_) => Err("it was let in".into()),
        Err(_) => Ok(()),
    }
}

async fn put_get_delete(mut client: Client) -> Checked {
    for n in 0..EVENTS {
        client.put(format!("pg/{n:02}"), n.to_string(), None).await?;
    }
    let read = client.get("pg/", Some(GetOptions::new().with_prefix())).await?;
    let values: Vec<_> =
        read.kvs().iter().map(|pair| pair.value_str().unwrap_or_default().to_owned()).collect();
    same(values, (0..EVENTS).map(|n| n.to_string()).collect())?;
    same(client.delete("pg/07", None).await?.deleted(), 1)?;
    same(client.get("pg/07", None).await?.count(), 0)
}

async fn watch(mut client: Client) -> Checked {
    let mut stream = client.watch("wa/", Some(WatchOptions::new().with_prefix())).await?;
    let first = tokio::time::timeout(PATIENCE, stream.message()).await??.ok_or("it ended")?;
    same(first.created(), true)?;
    for n in 0..EVENTS {
        client.put(format!("wa/{n:02}"), n.to_string(), None).await?;
    }
    client.delete("wa/00", None).await?;
    let mut seen = Vec::new();
    while seen.len() <= EVENTS {
        let answer = tokio::time::timeout(PATIENCE, stream.message()).await??.ok_or("it ended")?;
        for event in answer.events() {
            let pair = event.kv().ok_or("an event without a pair")?;
            seen.push((event.event_type() == EventType::Put, pair.key_str()?.to_owned()));
        }
    }
    let mut expected: Vec<_> = (0..EVENTS).map(|n| (true, format!("wa/{n:02}"))).collect();
    expected.push((false, "wa/00".to_owned()));
    same(seen, expected)
}

async fn transaction(mut client: Client) -> Checked {
    client.put("tx/a", "1", None).await?;
    let asked = || {
        Txn::new()
            .when([Compare::value("tx/a", CompareOp::Equal, "1")])
            .and_then([TxnOp::put("tx/a", "2", None)])
            .or_else([TxnOp::get("tx/a", None)])
    };
    same(client.txn(asked()).await?.succeeded(), true)?;
    same(client.txn(asked()).await?.succeeded(), false)
}

async fn lease(mut client: Client) -> Checked {
    let id = client.lease_grant(60, None).await?.id();
    let (mut keeper, mut stream) = client.lease_keep_alive(id).await?;
    for _ in 0..3 {
        keeper.keep_alive().await?;
        let answer = tokio::time::timeout(PATIENCE, stream.message()).await??.ok_or("it ended")?;
        same((answer.id(), answer.ttl()), (id, 60))?;
    }
    client.lease_revoke(id).await?;
    Ok(())
}

async fn lock(mut client: Client) -> Checked {
    let id = client.lease_grant(60, None).await?.id();
    let held = client.lock("lo/a", Some(LockOptions::new().with_lease(id))).await?;
    same(client.get(held.key(), None).await?.count(), 1)?;
    client.unlock(held.key()).await?;
    client.lease_revoke(id).await?;
    same(client.get(held.key(), None).await?.count(), 0)
}
