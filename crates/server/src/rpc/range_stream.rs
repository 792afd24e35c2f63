//! A range read answered in chunks: the whole of a large range without holding the whole of it in memory.
//!
//! Owns the pinned revision and the size of the next chunk. Each chunk is read when the client has taken the one before;
//! the permission is asked again when the policy has changed.
//!
//! Invariants: chunks are disjoint and ascending, all at the revision of the first; header, `more` and `count` are in the
//! last one only, and there is always a last one; a compaction that passes the pinned revision ends the stream with
//! etcd's error. Source: etcd 3.7's `v3_server.go` (`rangeStream`, `adjustChunkLimit`).

use super::requests::Reading;
use super::standing::Standing;
use super::status::Failure;
use super::{Services, convert};
use audit::Recorded;
use prost::Message;
use proto::etcdserverpb as pb;
use proto::mvccpb::KeyValue;
use state::outcome::Pair;
use state::query::{PageLimits, Projection, RangeQuery, Sort, SortTarget};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::Stream;
use tonic::Status;
use types::limits::RANGE_STREAM_FIRST_CHUNK_KEYS;
use types::{Key, KeyRange, Revision};

/// The chunks of one read.
pub(super) struct RangeStream {
    services: Services,
    standing: Standing,
    reading: Recorded<Reading>,
    state: State,
}

enum State {
    /// Before the first chunk; the client's limit as it came (below zero: all at once).
    First(i64),
    /// Between chunks.
    Next(Progress),
    Ended,
}

struct Progress {
    /// The store's revision at the start: what the header tells.
    header: Revision,
    /// What every chunk is read at.
    pinned: Revision,
    from: Option<Key>,
    /// Keys of the next chunk.
    chunk: u64,
    sent: u64,
    /// Keys wanted in all.
    total: u64,
}

impl RangeStream {
    pub(super) fn new(
        services: Services,
        standing: Standing,
        reading: Recorded<Reading>,
        limit: i64,
    ) -> Self {
        Self { services, standing, reading, state: State::First(limit) }
    }

    fn query(&self) -> &RangeQuery {
        &self.reading.request().0
    }

    fn read(&mut self) -> Result<pb::RangeResponse, Failure> {
        self.standing.check_if_changed(self.reading.request())?;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::First(_) if self.query().projection == Projection::CountOnly => self.count_only(),
            State::First(limit) => {
                let total = match limit {
                    0 => u64::MAX,
                    limit => u64::try_from(limit).unwrap_or(u64::MAX),
                };
                let chunk = if limit < 0 { u64::MAX } else { RANGE_STREAM_FIRST_CHUNK_KEYS.min(total) };
                let pinned = self.query().revision;
                self.chunk(Progress { header: Revision::ZERO, pinned, from: None, chunk, sent: 0, total })
            }
            State::Next(progress) => self.chunk(progress),
            State::Ended => Err(Failure::Canceled),
        }
    }

    fn count_only(&self) -> Result<pb::RangeResponse, Failure> {
        let found = self.services.time_range(|| self.services.inspect(&self.reading).range(self.query()))?;
        let header = Some(self.services.header(found.revision));
        Ok(pb::RangeResponse { header, count: found.count, ..pb::RangeResponse::default() })
    }

    fn chunk(&mut self, mut progress: Progress) -> Result<pb::RangeResponse, Failure> {
        let reader = self.services.inspect(&self.reading);
        let query = self.query();
        let items = usize::try_from(progress.chunk).unwrap_or(usize::MAX);
        let limits = PageLimits { items, bytes: usize::MAX };
        // What chunks are sorted by may be the value, which is then read even if it is not sent.
        let projection = if query.sort.is_some() { Projection::KeysAndValues } else { query.projection };
        let from = progress.from.as_ref();
        let page = self
            .services
            .time_range(|| reader.range_page(&query.range, progress.pinned, from, projection, limits))?;
        if progress.header == Revision::ZERO {
            progress.header = page.revision;
            if progress.pinned <= Revision::ZERO {
                progress.pinned = page.revision;
            }
        }
        progress.sent = progress.sent.saturating_add(page.pairs.len() as u64);
        let kvs = match query.sort {
            None => page.pairs.into_iter().map(convert::pair).collect(),
            Some(sort) => ordered(page.pairs, sort, query.projection)?,
        };
        let mut answer = pb::RangeResponse { kvs, ..pb::RangeResponse::default() };
        let Some(next) = page.next.clone().filter(|_| progress.sent < progress.total) else {
            let remaining = match page.next {
                Some(next) => {
                    let range = KeyRange { start: next, end: query.range.end.clone() };
                    let rest = RangeQuery {
                        revision: progress.pinned,
                        projection: Projection::CountOnly,
                        ..RangeQuery::latest(range)
                    };
                    answer.more = true;
                    self.services.time_range(|| reader.range(&rest))?.count
                }
                None => 0,
            };
            answer.count = i64::try_from(progress.sent).unwrap_or(i64::MAX).saturating_add(remaining);
            answer.header = Some(self.services.header(progress.header));
            return Ok(answer);
        };
        progress.chunk =
            adjusted(progress.chunk, answer.encoded_len(), self.services.limits().max_request_bytes)
                .min(progress.total.saturating_sub(progress.sent));
        progress.from = Some(next);
        self.state = State::Next(progress);
        Ok(answer)
    }
}

impl Stream for RangeStream {
    type Item = Result<pb::RangeStreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if matches!(self.state, State::Ended) {
            return Poll::Ready(None);
        }
        let chunk = self.read().map_err(Status::from);
        if chunk.is_err() {
            self.state = State::Ended;
        }
        Poll::Ready(Some(chunk.map(|answer| pb::RangeStreamResponse { range_response: Some(answer) })))
    }
}

/// The pairs of one chunk by the target of the request, where it named one without an order.
fn ordered(pairs: Vec<Pair>, sort: Sort, projection: Projection) -> Result<Vec<KeyValue>, Failure> {
    let mut pairs = pairs.into_iter().map(convert::read).collect::<Result<Vec<_>, _>>()?;
    match sort.target {
        SortTarget::Key => {}
        SortTarget::Version => pairs.sort_by_key(|pair| pair.version),
        SortTarget::Create => pairs.sort_by_key(|pair| pair.create_revision),
        SortTarget::Mod => pairs.sort_by_key(|pair| pair.mod_revision),
        SortTarget::Value => pairs.sort_by(|left, right| left.value.cmp(&right.value)),
    }
    if projection == Projection::KeysOnly {
        pairs.iter_mut().for_each(|pair| pair.value.clear());
        if sort.target != SortTarget::Value {
            pairs.iter_mut().for_each(|pair| pair.lease = 0);
        }
    }
    Ok(pairs)
}

/// The next chunk's keys, from the size of the last chunk: towards the target, without thrashing around it.
fn adjusted(chunk: u64, bytes: usize, target: usize) -> u64 {
    let chunk = if bytes < target / 2 {
        chunk.saturating_mul(2)
    } else if bytes > target.saturating_mul(2) {
        chunk / 2
    } else {
        chunk
    };
    chunk.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks that stay small cost round trips, chunks that grow without bound cost memory, and a chunk of zero keys would
    /// mean "all".
    #[test]
    fn chunks_grow_and_shrink_towards_the_target() {
        assert_eq!(adjusted(10, 49, 100), 20);
        assert_eq!(adjusted(10, 50, 100), 10);
        assert_eq!(adjusted(10, 200, 100), 10);
        assert_eq!(adjusted(10, 201, 100), 5);
        assert_eq!(adjusted(1, 201, 100), 1);
    }
}
