//! What locks and elections are made of: keys in a queue, each waiting for those before it.
//!
//! A contender's key is its name, `/`, and its lease in hex; who was created first is the owner. Everything is done with
//! the caller's own rights through the same gate as its other requests. Source: etcd's `client/v3/concurrency`.

use super::Services;
use super::ask::Freshness;
use super::requests::Reading;
use super::standing::Standing;
use super::status::Failure;
use super::watch::{Sink, Updates};
use crate::gate::Caller;
use bytes::Bytes;
use node::watch::{WatchEventKind, WatchRequest, WatchStream, WatchUpdate};
use proto::mvccpb;
use state::Outcome;
use state::auth::Principal;
use state::command::{Command, Compare, CompareOperand, CompareRelation, Put, PutLease, PutValue, Txn};
use state::outcome::TxnOutcome;
use state::query::{RangeQuery, Sort, SortOrder, SortTarget};
use std::task::Poll;
use types::limits::WATCH_RESPONSES_WAITING_MAX;
use types::{Key, KeyRange, LeaseId, Revision};

/// How long a lease lives that is made for a contender who brought none, in seconds (etcd's session).
const SESSION_TTL_SECONDS: i64 = 60;

/// Somebody's dealings with the key space.
#[derive(Clone)]
pub(super) struct Dealer {
    pub services: Services,
    pub caller: Caller,
}

impl Dealer {
    pub(super) fn new<T>(services: &Services, request: &tonic::Request<T>) -> Self {
        Self { services: services.clone(), caller: services.caller(request) }
    }

    pub(super) fn principal(&self) -> &Principal {
        self.caller.principal()
    }

    /// The contender's lease, made if it brought none.
    pub(super) async fn session(&self, lease: i64) -> Result<LeaseId, Failure> {
        if lease != 0 {
            return Ok(LeaseId(lease));
        }
        let granted = self.services.grant(self.principal(), LeaseId::NONE, SESSION_TTL_SECONDS).await?;
        Ok(LeaseId(granted.id))
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<(Revision, TxnOutcome), Failure> {
        let done = self.services.propose(self.principal(), Command::Txn(txn)).await?;
        let Outcome::Txn(outcome) = done.outcome else { return Err(self.services.mismatch("txn")) };
        Ok((done.revision, outcome))
    }

    /// A linearizable read: the store's revision, and the first pair found.
    pub(super) async fn first(
        &self,
        query: RangeQuery,
    ) -> Result<(Revision, Option<mvccpb::KeyValue>), Failure> {
        let found = self.services.range(self.principal(), query, Freshness::Linearizable).await?;
        let pair = found.pairs.into_iter().next().map(super::convert::read).transpose()?;
        Ok((found.revision, pair))
    }

    /// Watches `range` from `start` on.
    pub(super) fn watch(&self, range: KeyRange, start: Revision) -> Result<Watched, Failure> {
        let (sink, updates) = Sink::new(WATCH_RESPONSES_WAITING_MAX, self.services.context.metrics.clone());
        let stream = self.services.member().watch(Box::new(sink));
        let reading = Reading(RangeQuery::latest(range.clone()));
        let request = WatchRequest {
            id: None,
            range,
            start,
            no_puts: false,
            no_deletes: false,
            prev_kv: false,
            progress_notify: false,
        };
        let standing = Standing::new(&self.services, self.caller.clone());
        stream.create(self.services.admit(self.principal(), request)?);
        Ok(Watched { _stream: stream, updates, standing, reading })
    }

    /// Waits until no key under `prefix` is left that was created at or before `revision`.
    pub(super) async fn wait_for_earlier(
        &self,
        prefix: &KeyRange,
        revision: Revision,
    ) -> Result<(), Failure> {
        loop {
            let latest = RangeQuery {
                limit: 1,
                sort: Some(Sort { target: SortTarget::Create, order: SortOrder::Descending }),
                max_create_revision: revision.0,
                ..RangeQuery::latest(prefix.clone())
            };
            // No revision is zero or below; a filter of zero would be none.
            if revision <= Revision::ZERO {
                return Ok(());
            }
            let (seen, Some(ahead)) = self.first(latest).await? else { return Ok(()) };
            let Some(ahead) = Key::new(ahead.key) else { return Err(Failure::StoreFailed) };
            let mut watched = self.watch(KeyRange::single(ahead), seen)?;
            loop {
                match watched.next().await? {
                    Told::Events(events, _)
                        if events.iter().any(|(kind, _)| *kind == WatchEventKind::Delete) =>
                    {
                        break;
                    }
                    Told::Events(..) => {}
                    // History went away below it: look again.
                    Told::Forgotten => break,
                }
            }
        }
    }
}

/// A watch of one range.
pub(super) struct Watched {
    /// Closed when dropped.
    _stream: WatchStream,
    updates: Updates,
    standing: Standing,
    reading: Reading,
}

/// What a watch told.
pub(super) enum Told {
    /// Events with their pairs, and the store's revision.
    Events(Vec<(WatchEventKind, mvccpb::KeyValue)>, Revision),
    /// The history that it needed is compacted.
    Forgotten,
}

impl Watched {
    /// The next update, for who may still see it; a right that is lost meanwhile ends the waiting.
    async fn update(&mut self) -> Result<WatchUpdate, Failure> {
        std::future::poll_fn(|cx| {
            while let Poll::Ready(changed) = self.standing.poll_change(cx) {
                changed.and_then(|()| self.standing.check_if_changed(&self.reading))?;
            }
            let update = std::task::ready!(self.updates.poll_recv(cx));
            self.standing.check_if_changed(&self.reading)?;
            Poll::Ready(update.ok_or(Failure::Stopped))
        })
        .await
    }

    pub(super) async fn next(&mut self) -> Result<Told, Failure> {
        loop {
            match self.update().await? {
                WatchUpdate::Events { events, revision, .. } => {
                    let events = events
                        .into_iter()
                        .map(|event| Ok((event.kind, super::convert::read(event.pair)?)))
                        .collect::<Result<_, Failure>>()?;
                    return Ok(Told::Events(events, revision));
                }
                WatchUpdate::Compacted { .. } => return Ok(Told::Forgotten),
                WatchUpdate::Created { .. }
                | WatchUpdate::DuplicateId { .. }
                | WatchUpdate::Canceled { .. }
                | WatchUpdate::Progress { .. } => {}
            }
        }
    }
}

/// All contenders' keys of a name.
pub(super) fn queue(name: &[u8]) -> KeyRange {
    let (mut start, mut end) = (name.to_vec(), name.to_vec());
    start.push(b'/');
    // The byte after the slash: the first key that is not under the name.
    end.push(b'/' + 1);
    let start = Key::new(start.into()).unwrap_or(Key::MIN);
    KeyRange::from_pair(start, end.into())
}

/// A contender's key.
pub(super) fn contender(name: &[u8], lease: LeaseId) -> Key {
    let mut key = name.to_vec();
    key.push(b'/');
    // etcd prints the number with its sign.
    if lease.0 < 0 {
        key.push(b'-');
    }
    key.extend_from_slice(format!("{:x}", lease.0.unsigned_abs()).as_bytes());
    Key::new(key.into()).unwrap_or(Key::MIN)
}

/// The key holds what was created at `revision` (zero: it does not exist).
pub(super) fn created_at(key: &Key, revision: i64) -> Compare {
    Compare {
        range: KeyRange::single(key.clone()),
        operand: CompareOperand::Create(revision),
        relation: CompareRelation::Equal,
    }
}

/// Writes the contender's key.
pub(super) fn put(key: &Key, value: Bytes, lease: LeaseId) -> Put {
    Put { key: key.clone(), value: PutValue::Set(value), lease: PutLease::Set(lease), prev_kv: false }
}

/// The pair that was created first in the queue.
pub(super) fn oldest(queue: &KeyRange) -> RangeQuery {
    RangeQuery {
        limit: 1,
        sort: Some(Sort { target: SortTarget::Create, order: SortOrder::Ascending }),
        ..RangeQuery::latest(queue.clone())
    }
}

/// The revision before, for "created earlier than".
pub(super) fn before(revision: i64) -> Revision {
    Revision(revision.saturating_sub(1))
}

/// An act that is done when its owner leaves before its time, unless it was called off.
pub(super) struct OnLeaving {
    services: Services,
    act: Option<Command>,
}

impl OnLeaving {
    pub(super) fn new(services: &Services, act: Command) -> Self {
        Self { services: services.clone(), act: Some(act) }
    }

    /// Calls it off.
    pub(super) fn call_off(mut self) {
        self.act = None;
    }
}

impl Drop for OnLeaving {
    fn drop(&mut self) {
        if let Some(act) = self.act.take() {
            self.services.propose_unheard(act);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two contenders of one name must meet in one queue, and no other name's keys may fall into it.
    #[test]
    fn keys_are_etcds_and_stay_in_their_queue() {
        let key = contender(b"n", LeaseId(0x2ef6_a208_e18b_5f4f));
        assert_eq!(key.as_slice(), b"n/2ef6a208e18b5f4f");
        assert_eq!(contender(b"m", LeaseId(-1)).as_slice(), b"m/-1");
        assert_eq!(contender(b"", LeaseId(1)).as_slice(), b"/1");
        let queue_of_n = queue(b"n");
        assert!(queue_of_n.contains(key.as_slice()) && queue_of_n.contains(b"n/"));
        assert!(!queue_of_n.contains(b"n") && !queue_of_n.contains(b"n0") && !queue_of_n.contains(b"nn/1"));
    }
}
