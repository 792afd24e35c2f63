//! A lease that lives as long as this program: what locks and elections hang on.
//!
//! [`Session`] owns a task that renews the lease every third of its life; when the lease is lost, whoever waits in
//! [`Session::lost`] is told. [`signal`] waits for the wish to end.

use super::range::prefix_end;
use crate::connect::Client;
use crate::exit::Failure;
use bytes::Bytes;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::mvccpb;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// How long after an answer a lease is renewed.
pub(super) fn pause(ttl: i64) -> Duration {
    Duration::from_millis(u64::try_from(ttl).unwrap_or(1).saturating_mul(1000) / 3)
}

/// The stream on which one lease is renewed.
pub(super) struct Renewals {
    id: i64,
    /// Whether a request is on its way whose answer nobody has taken.
    asked: bool,
    requests: mpsc::Sender<pb::LeaseKeepAliveRequest>,
    answers: Streaming<pb::LeaseKeepAliveResponse>,
}

impl Renewals {
    /// Opens the stream. The first request goes with it: a server may not answer the call before it has one.
    pub(super) async fn open(client: &Client, id: i64) -> Result<Self, Failure> {
        let (requests, receiver) = mpsc::channel(1);
        let _ = requests.try_send(pb::LeaseKeepAliveRequest { id });
        let request = client.request(ReceiverStream::new(receiver));
        let answers = client.call(client.lease().lease_keep_alive(request)).await?;
        Ok(Self { id, asked: true, requests, answers })
    }

    /// Renews once.
    pub(super) async fn renew(&mut self, client: &Client) -> Result<pb::LeaseKeepAliveResponse, Failure> {
        if !std::mem::take(&mut self.asked) {
            let _ = self.requests.try_send(pb::LeaseKeepAliveRequest { id: self.id });
        }
        let next = async { self.answers.message().await.map(tonic::Response::new) };
        client.call(next).await?.ok_or_else(|| Failure::error("the member ended the stream of renewals"))
    }
}

/// A lease kept alive.
pub(super) struct Session {
    pub(super) lease: i64,
    lost: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Session {
    pub(super) async fn begin(client: &Client, ttl: i64) -> Result<Self, Failure> {
        let request = client.request(pb::LeaseGrantRequest { ttl, id: 0 });
        let granted = client.call(client.lease().lease_grant(request)).await?;
        let (sender, lost) = watch::channel(false);
        let (owner, lease) = (client.clone(), granted.id);
        let task = tokio::spawn(async move {
            keep(&owner, lease, granted.ttl).await;
            let _ = sender.send(true);
        });
        Ok(Self { lease, lost, task })
    }

    /// Waits until the lease is lost.
    pub(super) async fn lost(&self) {
        let mut lost = self.lost.clone();
        let _ = lost.wait_for(|lost| *lost).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Renews until the lease is gone: the member says so, or nothing was heard for its whole life.
async fn keep(client: &Client, lease: i64, mut ttl: i64) {
    let mut heard = tokio::time::Instant::now();
    loop {
        if let Ok(mut renewals) = Renewals::open(client, lease).await {
            while let Ok(answer) = renewals.renew(client).await {
                if answer.ttl <= 0 {
                    return;
                }
                (ttl, heard) = (answer.ttl, tokio::time::Instant::now());
                tokio::time::sleep(pause(ttl)).await;
            }
        }
        let life = Duration::from_secs(u64::try_from(ttl).unwrap_or(1));
        if heard.elapsed() >= life {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The comparison "made at this revision"; 0 means that there is no such key.
pub(super) fn made_at(key: &Bytes, revision: i64) -> pb::Compare {
    pb::Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..pb::Compare::default()
    }
}

/// A request inside a transaction.
pub(super) fn op(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

/// The key with that prefix which was made first.
pub(super) fn first_made(prefix: &Bytes) -> pb::RangeRequest {
    pb::RangeRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix),
        limit: 1,
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        ..pb::RangeRequest::default()
    }
}

/// The one key.
pub(super) fn just(key: &Bytes) -> pb::RangeRequest {
    pb::RangeRequest { key: key.clone(), ..pb::RangeRequest::default() }
}

/// Takes a place in the queue below the prefix: writes our key unless it is there, and says when it was made.
pub(super) async fn queue(client: &Client, key: &Bytes, value: Bytes, lease: i64) -> Result<i64, Failure> {
    let put = pb::PutRequest { key: key.clone(), value, lease, ..pb::PutRequest::default() };
    let request = pb::TxnRequest {
        compare: vec![made_at(key, 0)],
        success: vec![op(Request::RequestPut(put))],
        failure: vec![op(Request::RequestRange(just(key)))],
    };
    let answer = client.call(client.kv().txn(client.request(request))).await?;
    if answer.succeeded {
        return Ok(answer.header.map_or(0, |header| header.revision));
    }
    let found = answer.responses.into_iter().find_map(|response| match response.response {
        Some(pb::response_op::Response::ResponseRange(range)) => range.kvs.into_iter().next(),
        _ => None,
    });
    Ok(found.map_or(0, |kv| kv.create_revision))
}

/// Waits until every key with the prefix that was made before the revision is gone.
pub(super) async fn wait_turn(client: &Client, prefix: &Bytes, made: i64) -> Result<(), Failure> {
    loop {
        let request = pb::RangeRequest {
            sort_order: SortOrder::Descend.into(),
            max_create_revision: made.saturating_sub(1),
            ..first_made(prefix)
        };
        let answer = client.call(client.kv().range(client.request(request))).await?;
        let Some(before) = answer.kvs.first() else { return Ok(()) };
        let since = answer.header.map_or(0, |header| header.revision);
        wait_deletion(client, &before.key, since).await?;
    }
}

async fn wait_deletion(client: &Client, key: &Bytes, since: i64) -> Result<(), Failure> {
    let request = pb::WatchCreateRequest {
        key: key.clone(),
        start_revision: since,
        ..pb::WatchCreateRequest::default()
    };
    let mut events = Events::open(client, request).await?;
    loop {
        for event in events.next(client).await?.events {
            if event.r#type == mvccpb::event::EventType::Delete as i32 {
                return Ok(());
            }
        }
    }
}

/// One watch on a stream of its own.
pub(super) struct Events {
    _requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Events {
    pub(super) async fn open(client: &Client, request: pb::WatchCreateRequest) -> Result<Self, Failure> {
        let (requests, receiver) = mpsc::channel(1);
        let create = pb::watch_request::RequestUnion::CreateRequest(request);
        let _ = requests.try_send(pb::WatchRequest { request_union: Some(create) });
        let request = client.request(ReceiverStream::new(receiver));
        let answers = client.call(client.watch().watch(request)).await?;
        Ok(Self { _requests: requests, answers })
    }

    /// The next answer, however long it takes.
    pub(super) async fn next(&mut self, client: &Client) -> Result<pb::WatchResponse, Failure> {
        match self.answers.message().await {
            Ok(Some(answer)) if answer.canceled => Err(Failure::error(super::watch::ended(&answer))),
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Failure::error("the member ended the watch")),
            Err(status) => Err(client.failure(&status).await),
        }
    }
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let fail = |error: std::io::Error| Failure::error(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
