//! The Watch service: many watchers on one stream.
//!
//! Owns the stream between a client and the member's hub: what the client asks goes to the hub after the gate, what the
//! hub tells comes back as etcd's messages. No task and no second queue: the stream is polled by its connection, and what
//! the client does not take stays with the hub.
//!
//! ```text
//! client ── requests ──▶ Watching ── create, cancel, progress ──▶ hub
//! client ◀─ answers ──── Watching ◀── bounded channel (Sink) ◀──── hub
//! ```
//!
//! Invariants: answers to creations come in the order of the requests; a watcher's events come after the answer to its
//! creation; a refused creation leaves the stream open. Source: etcd 3.7's `v3rpc/watch.go`.

mod fragment;
mod sink;

use super::led::{Led, Patience};
use super::requests::Reading;
use super::standing::Standing;
use super::status::{Failure, reworded_on_stream};
use super::{Services, convert};
use bytes::Bytes;
use fragment::fragments;
use node::watch::{WatchId, WatchRequest, WatchStream, WatchUpdate};
use pb::watch_request::RequestUnion;
use proto::etcdserverpb as pb;
pub(super) use sink::{Sink, Updates};
use state::query::RangeQuery;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use types::limits::{WATCH_CONTROL_WAITING_MAX, WATCH_RESPONSES_WAITING_MAX};
use types::{KeyRange, Revision};

/// The Watch service.
#[derive(Clone)]
pub(super) struct Watch(pub Services);

#[tonic::async_trait]
impl pb::watch_server::Watch for Watch {
    type WatchStream = Led<Watching>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Led<Watching>>, Status> {
        let standing = Standing::of(&self.0, &request);
        let patience = Patience::of(&self.0, &request);
        let (sink, updates) = Sink::new(WATCH_RESPONSES_WAITING_MAX, self.0.context.metrics.clone());
        let watching = Watching {
            hub: self.0.member().watch(Box::new(sink)),
            services: self.0.clone(),
            standing,
            requests: Some(request.into_inner()),
            updates,
            created: VecDeque::new(),
            watchers: HashMap::new(),
            ready: VecDeque::new(),
            ended: false,
        };
        Ok(Response::new(Led::new(watching, patience)))
    }
}

/// One client's stream.
pub(super) struct Watching {
    services: Services,
    standing: Standing,
    hub: WatchStream,
    /// `None` once the client has said its last; it may go on listening.
    requests: Option<Streaming<pb::WatchRequest>>,
    updates: Updates,
    /// Creations not yet answered, in the order of the requests.
    created: VecDeque<Creation>,
    /// The watchers that stand.
    watchers: HashMap<WatchId, Watched>,
    /// Answers that wait to be taken.
    ready: VecDeque<pb::WatchResponse>,
    ended: bool,
}

/// What a watcher stands for.
struct Watched {
    /// Whether its large answers are split.
    fragment: bool,
    /// What it shows: who may not read all of it loses the watcher.
    range: KeyRange,
}

/// What a creation came to, as far as it is known.
enum Creation {
    /// The hub will say.
    Asked(Watched),
    /// Refused here, to be told when its turn comes.
    Refused(Box<pb::WatchResponse>),
}

impl Watching {
    fn header(&self, revision: Revision) -> Option<pb::ResponseHeader> {
        Some(self.services.header(revision))
    }

    /// The answer to a creation that did not come about.
    fn refusal(&self, revision: Revision, reason: &str) -> pb::WatchResponse {
        pb::WatchResponse {
            header: self.header(revision),
            watch_id: WatchId::NONE.0,
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..pb::WatchResponse::default()
        }
    }

    fn take(&mut self, request: pb::WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => self.create(create),
            Some(RequestUnion::CancelRequest(cancel)) => self.hub.cancel(WatchId(cancel.watch_id)),
            // A stream without watchers has no progress: etcd says nothing to that.
            Some(RequestUnion::ProgressRequest(_)) if self.watchers.is_empty() && self.created.is_empty() => {
            }
            Some(RequestUnion::ProgressRequest(_)) => self.hub.progress(),
            None => tracing::debug!("a watch request without content was passed over"),
        }
    }

    fn create(&mut self, request: pb::WatchCreateRequest) {
        let fragment = request.fragment;
        match self.admitted(request) {
            Ok(admitted) => {
                let range = admitted.request().range.clone();
                self.hub.create(admitted);
                self.created.push_back(Creation::Asked(Watched { fragment, range }));
            }
            Err(reason) => {
                let refusal = self.refusal(self.services.member().gauges().revision(), &reason);
                if self.created.is_empty() {
                    self.ready.push_back(refusal);
                } else {
                    self.created.push_back(Creation::Refused(Box::new(refusal)));
                }
            }
        }
    }

    /// The watcher that the client wants, or why not.
    fn admitted(&self, request: pb::WatchCreateRequest) -> Result<audit::Recorded<WatchRequest>, String> {
        if request.start_revision < 0 {
            return Err(Failure::Compacted.row().1.to_owned());
        }
        let range = watched(request.key, request.range_end);
        let is_empty = range.is_empty();
        let filtered =
            |filter: pb::watch_create_request::FilterType| request.filters.contains(&(filter as i32));
        let wanted = WatchRequest {
            id: (request.watch_id != 0).then_some(WatchId(request.watch_id)),
            range,
            start: Revision(request.start_revision),
            no_puts: filtered(pb::watch_create_request::FilterType::Noput),
            no_deletes: filtered(pb::watch_create_request::FilterType::Nodelete),
            prev_kv: request.prev_kv,
            progress_notify: request.progress_notify,
        };
        self.standing.check_anew().map_err(|failure| denial(&failure))?;
        let admitted =
            self.services.admit(self.standing.principal(), wanted).map_err(|failure| denial(&failure))?;
        if is_empty { Err(EMPTY_RANGE.to_owned()) } else { Ok(admitted) }
    }

    fn tell(&mut self, update: WatchUpdate) -> Result<(), Failure> {
        match update {
            WatchUpdate::Created { id, revision } => {
                let Some(Creation::Asked(watched)) = self.created.pop_front() else {
                    return Err(self.services.mismatch("watch"));
                };
                let reading = Reading(RangeQuery::latest(watched.range.clone()));
                self.watchers.insert(id, watched);
                let (header, watch_id) = (self.header(revision), id.0);
                self.answer_creation(pb::WatchResponse {
                    header,
                    watch_id,
                    created: true,
                    ..pb::WatchResponse::default()
                });
                // The policy may have changed since it was asked for.
                if let Err(failure) = self.standing.check(&reading) {
                    self.lose(id, revision, &failure);
                }
            }
            WatchUpdate::DuplicateId { revision } => {
                self.created.pop_front();
                self.answer_creation(self.refusal(revision, DUPLICATE_ID));
            }
            // Events for a watcher that was taken away are on their way still: nobody gets to see them.
            WatchUpdate::Events { id, .. }
            | WatchUpdate::Canceled { id, .. }
            | WatchUpdate::Compacted { id, .. }
                if !self.watchers.contains_key(&id) => {}
            WatchUpdate::Events { id, revision, events } => {
                let events = events.into_iter().map(convert::event).collect();
                let (header, watch_id) = (self.header(revision), id.0);
                let answer = pb::WatchResponse { header, watch_id, events, ..pb::WatchResponse::default() };
                if self.watchers.get(&id).is_some_and(|watched| watched.fragment) {
                    self.ready.extend(fragments(answer, self.services.limits().max_receive_bytes()));
                } else {
                    self.ready.push_back(answer);
                }
            }
            WatchUpdate::Canceled { id, revision } => {
                self.watchers.remove(&id);
                let (header, watch_id) = (self.header(revision), id.0);
                self.ready.push_back(pb::WatchResponse {
                    header,
                    watch_id,
                    canceled: true,
                    ..pb::WatchResponse::default()
                });
            }
            WatchUpdate::Compacted { id, compacted } => {
                self.watchers.remove(&id);
                self.ready.push_back(pb::WatchResponse {
                    header: self.header(Revision::ZERO),
                    watch_id: id.0,
                    canceled: true,
                    compact_revision: compacted.0,
                    ..pb::WatchResponse::default()
                });
            }
            WatchUpdate::Progress { id, revision } => {
                let (header, watch_id) = (self.header(revision), id.0);
                self.ready.push_back(pb::WatchResponse { header, watch_id, ..pb::WatchResponse::default() });
            }
        }
        Ok(())
    }

    /// Takes the watchers away that the caller may not have any more.
    fn check(&mut self) -> Result<(), Failure> {
        if !self.standing.has_changed() {
            return Ok(());
        }
        self.standing.check_caller()?;
        let revision = self.services.member().gauges().revision();
        let lost = |(id, watched): (&WatchId, &Watched)| {
            let reading = Reading(RangeQuery::latest(watched.range.clone()));
            self.standing.check(&reading).err().map(|failure| (*id, failure))
        };
        let lost: Vec<_> = self.watchers.iter().filter_map(lost).collect();
        lost.into_iter().for_each(|(id, failure)| self.lose(id, revision, &failure));
        Ok(())
    }

    /// Takes a watcher away; what was to be told of it is not.
    fn lose(&mut self, id: WatchId, revision: Revision, why: &Failure) {
        self.watchers.remove(&id);
        self.hub.cancel(id);
        self.ready.retain(|answer| answer.watch_id != id.0 || answer.events.is_empty());
        self.ready.push_back(pb::WatchResponse {
            header: self.header(revision),
            watch_id: id.0,
            canceled: true,
            cancel_reason: denial(why),
            ..pb::WatchResponse::default()
        });
    }

    /// Answers a creation, and the refusals that waited behind it.
    fn answer_creation(&mut self, answer: pb::WatchResponse) {
        self.ready.push_back(answer);
        while let Some(Creation::Refused(_)) = self.created.front() {
            if let Some(Creation::Refused(refusal)) = self.created.pop_front() {
                self.ready.push_back(*refusal);
            }
        }
    }

    fn end(&mut self, status: Status) -> Poll<Option<Result<pb::WatchResponse, Status>>> {
        self.ended = true;
        self.requests = None;
        Poll::Ready(Some(Err(status)))
    }
}

impl Stream for Watching {
    type Item = Result<pb::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            // Nothing is told before the last change of the policy was looked at, not even what is ready.
            let standing = match this.standing.poll_change(cx) {
                Poll::Ready(Err(failure)) => Err(failure),
                Poll::Ready(Ok(())) | Poll::Pending => this.check(),
            };
            if let Err(failure) = standing {
                return this.end(failure.into());
            }
            if let Some(answer) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(answer)));
            }
            // A client that asks faster than it is answered waits.
            let has_room = this.created.len() < WATCH_CONTROL_WAITING_MAX;
            if let Some(requests) = this.requests.as_mut().filter(|_| has_room) {
                match Pin::new(requests).poll_next(cx) {
                    Poll::Ready(Some(Ok(request))) => {
                        this.take(request);
                        continue;
                    }
                    Poll::Ready(Some(Err(status))) => {
                        return this.end(reworded_on_stream(&status).unwrap_or(status));
                    }
                    // Half closed: the client goes on listening.
                    Poll::Ready(None) => this.requests = None,
                    Poll::Pending => {}
                }
            }
            match this.updates.poll_recv(cx) {
                Poll::Ready(Some(update)) => {
                    if let Err(failure) = this.tell(update) {
                        return this.end(failure.into());
                    }
                }
                // The hub closed the stream: the member stops, or the client let too much wait.
                Poll::Ready(None) => return this.end(Failure::Stopped.into()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What a watch request names: an absent key is the smallest one.
fn watched(key: Bytes, end: Bytes) -> KeyRange {
    match types::Key::new(key) {
        Some(key) => KeyRange::from_pair(key, end),
        None => KeyRange::from_pair(types::Key::MIN, end),
    }
}

/// etcd prints the status itself into the reason of a denial.
fn denial(failure: &Failure) -> String {
    let (code, text) = failure.row();
    format!("rpc error: code = {code:?} desc = {text}")
}

const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";
