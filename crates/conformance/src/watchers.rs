//! Watchers on one server: opened by operations, read in the background, compared as flat lists of what they saw.
//!
//! All watchers of a round share one stream, as a client's do. A round ends by writing one more revision on both servers
//! and waiting until a watcher of that key has seen it; then every other watcher has been sent all before it, or says so
//! through its progress.

use crate::compare::mask;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::watch_client::WatchClient;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

/// The key that ends a round; no operation touches it.
pub(crate) const SENTINEL: &[u8] = b"conformance/sentinel";

/// One stream of watchers.
pub(crate) struct Watchers {
    requests: mpsc::Sender<pb::WatchRequest>,
    responses: tonic::Streaming<pb::WatchResponse>,
    /// By watcher: what it was told, in order.
    seen: BTreeMap<i64, Vec<String>>,
    /// Answers that belong to no watcher, in order.
    refusals: Vec<String>,
    opened: usize,
    answered: usize,
    progress: i64,
    sentinel: bool,
    /// Watchers that the server has ended.
    ended: BTreeSet<i64>,
}

impl Watchers {
    /// Opens a stream with a watcher of the sentinel.
    pub(crate) async fn open(
        channel: Channel,
        sign: impl Fn(&mut MetadataMap),
    ) -> Result<Self, tonic::Status> {
        use pb::watch_request::RequestUnion;
        let (requests, outgoing) = mpsc::channel(64);
        let create = pb::WatchCreateRequest { key: SENTINEL.into(), ..Default::default() };
        // Asked for before the call: etcd sends no headers, so the call does not return, before the first answer.
        let request = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        requests.send(request).await.map_err(|_| tonic::Status::internal("the channel is new and empty"))?;
        let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
        let mut call = tonic::Request::new(ReceiverStream::new(outgoing));
        sign(call.metadata_mut());
        let responses = client.watch(call).await?.into_inner();
        let mut watchers = Self {
            requests,
            responses,
            seen: BTreeMap::new(),
            refusals: Vec::new(),
            opened: 1,
            answered: 0,
            progress: 0,
            sentinel: false,
            ended: BTreeSet::new(),
        };
        while watchers.answered < watchers.opened {
            watchers.receive().await?;
        }
        Ok(watchers)
    }

    /// Asks for a watcher, and waits for the answer, so that "from now on" means the same on both servers.
    pub(crate) async fn create(&mut self, request: pb::WatchCreateRequest) -> Result<(), tonic::Status> {
        use pb::watch_request::RequestUnion;
        self.opened += 1;
        self.send(RequestUnion::CreateRequest(request)).await?;
        while self.answered < self.opened {
            self.receive().await?;
        }
        Ok(())
    }

    /// How many watchers were asked for.
    pub(crate) fn count(&self) -> usize {
        self.opened
    }

    /// Reads until everything up to `revision` (at which the sentinel was written) has been sent to every watcher.
    pub(crate) async fn finish(mut self, revision: i64) -> Result<String, tonic::Status> {
        use pb::watch_request::RequestUnion;
        while self.progress < revision || !self.sentinel {
            self.send(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await?;
            let until = tokio::time::Instant::now() + Duration::from_millis(60);
            while let Ok(received) = tokio::time::timeout_at(until, self.receive()).await {
                received?;
            }
        }
        Ok(format!("{:#?}\nrefused: {:#?}", self.seen, self.refusals))
    }

    async fn send(&self, union: pb::watch_request::RequestUnion) -> Result<(), tonic::Status> {
        let request = pb::WatchRequest { request_union: Some(union) };
        self.requests.send(request).await.map_err(|_| tonic::Status::unavailable("the watch stream ended"))
    }

    async fn receive(&mut self) -> Result<(), tonic::Status> {
        let Some(mut response) = self.responses.message().await? else {
            return Err(tonic::Status::unavailable("the watch stream ended"));
        };
        mask(&mut response.header);
        if response.created {
            self.answered += 1;
        }
        if response.watch_id == -1 && !response.created {
            self.progress = self.progress.max(response.header.as_ref().map_or(0, |header| header.revision));
            return Ok(());
        }
        if response.events.iter().any(|event| event.kv.as_ref().is_some_and(|kv| kv.key == SENTINEL)) {
            self.sentinel = true;
        }
        if response.canceled && response.watch_id >= 0 && !self.ended.insert(response.watch_id) {
            return Ok(());
        }
        if response.canceled && response.watch_id >= 0 {
            // etcd tells no progress of a stream with a watcher that it ended itself, until the client ends it too.
            let cancel = pb::WatchCancelRequest { watch_id: response.watch_id };
            self.send(pb::watch_request::RequestUnion::CancelRequest(cancel)).await?;
        }
        let seen = match response.watch_id {
            -1 => &mut self.refusals,
            id => self.seen.entry(id).or_default(),
        };
        if response.created || response.canceled {
            let (reason, compacted) = (&response.cancel_reason, response.compact_revision);
            let (created, canceled) = (response.created, response.canceled);
            seen.push(format!("created {created} canceled {canceled} {reason:?} compacted {compacted}"));
        }
        // How many revisions share a response is the server's choice; what they hold, and in which order, is not.
        seen.extend(response.events.iter().map(|event| format!("{event:?}")));
        Ok(())
    }
}
