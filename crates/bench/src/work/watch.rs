//! Watchers: many on few streams, and puts whose events they all see.
//!
//! A put carries its time in the first bytes of its value; what is measured is from there to each watcher. A putter goes on when
//! all watchers of its key have seen its event, so `clients` bounds how far puts are ahead, and no watcher
//! falls behind into history: both servers do the same work for the same events.

use super::{Error, finish};
use crate::call::{self, Messages, Method};
use crate::keys::Keys;
use crate::run::Run;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use env::Monotonic;
use h2::SendStream;
use h2::client::SendRequest;
use prost::Message;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::watch_request::RequestUnion;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// How many watchers, and how they are spread.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) streams: u32,
    pub(super) watchers: u32,
    pub(super) watched: u32,
}

impl Shape {
    /// The key that a watcher watches.
    fn key_of(self, stream: u32, watcher: u32) -> u32 {
        (stream * self.watchers + watcher) % self.watched.max(1)
    }

    /// How many watch the key.
    fn watchers_of(self, key: u32) -> u32 {
        let watches = |(stream, watcher)| u32::from(self.key_of(stream, watcher) == key);
        (0..self.streams)
            .flat_map(|stream| (0..self.watchers).map(move |watcher| (stream, watcher)))
            .map(watches)
            .sum()
    }
}

/// Events still to come of the put that a putter made.
struct Waiting {
    events: Cell<u32>,
    seen: Notify,
}

/// Runs the workload: `methods` are Watch and Put.
pub(super) async fn go(
    shape: Shape,
    keys: &Keys,
    methods: (Method, Method),
    putters: u32,
    connections: &[SendRequest<Bytes>],
    run: &Rc<Run>,
) -> Result<(), Error> {
    // Each putter has a key at a time that no other has.
    let putters = putters.clamp(1, shape.watched.max(1));
    let waiting: Rc<[Waiting]> =
        (0..shape.watched).map(|_| Waiting { events: Cell::new(0), seen: Notify::new() }).collect();
    let mut readers = Vec::new();
    for (stream, connection) in (0..shape.streams).zip(connections.iter().cycle()) {
        let opened = open(shape, stream, keys, &methods.0, connection).await?;
        let (run, waiting) = (Rc::clone(run), Rc::clone(&waiting));
        readers.push(tokio::task::spawn_local(async move {
            if let Err(error) = read(opened, &waiting, &run).await {
                run.fail(&error.to_string());
            }
        }));
    }
    let mut tasks = Vec::new();
    for (first, connection) in (0..putters).zip(connections.iter().cycle()) {
        let mine: Vec<u32> = (first..shape.watched).step_by(putters as usize).collect();
        let (method, connection) = (methods.1.clone(), connection.clone());
        let (keys, run, waiting) = (keys.clone(), Rc::clone(run), Rc::clone(&waiting));
        tasks.push(tokio::task::spawn_local(async move {
            for key in mine.iter().copied().cycle() {
                if run.is_over() {
                    return;
                }
                let waiting = &waiting[key as usize];
                waiting.events.set(shape.watchers_of(key));
                let put = pb::PutRequest {
                    key: name(key, &keys),
                    value: stamped(run.now(), &keys),
                    ..Default::default()
                };
                if let Err(error) = method.call(&connection, &put).await {
                    run.fail(&error.to_string());
                    continue;
                }
                if tokio::time::timeout(run.limit(), all_seen(waiting)).await.is_err() {
                    run.fail("an event did not come");
                }
            }
        }));
    }
    finish(tasks).await;
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}

async fn all_seen(waiting: &Waiting) {
    while waiting.events.get() > 0 {
        waiting.seen.notified().await;
    }
}

/// Watched keys are the first of those that there are, one of each hundred.
fn name(key: u32, keys: &Keys) -> Bytes {
    keys.key(u64::from(key) * 100)
}

fn stamped(now: Monotonic, keys: &Keys) -> Bytes {
    let mut value = BytesMut::with_capacity(keys.value_bytes);
    value.put_u64(u64::try_from(now.since_origin().as_nanos()).unwrap_or(u64::MAX));
    value.extend_from_slice(&keys.value());
    value.truncate(keys.value_bytes.max(8));
    value.freeze()
}

/// A stream with all its watchers made.
async fn open(
    shape: Shape,
    stream: u32,
    keys: &Keys,
    method: &Method,
    connection: &SendRequest<Bytes>,
) -> Result<(SendStream<Bytes>, Messages), Error> {
    let create = |watcher| {
        let create =
            pb::WatchCreateRequest { key: name(shape.key_of(stream, watcher), keys), ..Default::default() };
        pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
    };
    let (mut sink, mut answers) = method.open(connection, &create(0)).await?;
    for watcher in 1..shape.watchers {
        sink.send_data(call::framed(&create(watcher)), false).map_err(call::Error::Http)?;
    }
    for _ in 0..shape.watchers {
        let answer = answers.next().await?.and_then(|answer| pb::WatchResponse::decode(answer).ok());
        if !answer.is_some_and(|answer| answer.created && !answer.canceled) {
            return Err(call::Error::Malformed("a watcher was not made").into());
        }
    }
    Ok((sink, answers))
}

/// Counts events until the stream is dropped; the sink keeps it open.
async fn read(
    (_sink, mut answers): (SendStream<Bytes>, Messages),
    waiting: &[Waiting],
    run: &Run,
) -> Result<(), call::Error> {
    while let Some(answer) = answers.next().await? {
        let answer =
            pb::WatchResponse::decode(answer).map_err(|_| call::Error::Malformed("not a watch answer"))?;
        if answer.canceled {
            return Err(call::Error::Malformed("the server cancelled a watcher"));
        }
        for mut pair in answer.events.into_iter().filter_map(|event| event.kv) {
            let nanos =
                pair.value.try_get_u64().map_err(|_| call::Error::Malformed("an event without its time"))?;
            run.done(Monotonic::from_origin(Duration::from_nanos(nanos)));
            let number =
                number(&pair.key).ok_or(call::Error::Malformed("an event of a key that nobody watches"))?;
            let waiting =
                waiting.get(number).ok_or(call::Error::Malformed("an event of a key that nobody watches"))?;
            waiting.events.set(waiting.events.get().saturating_sub(1));
            if waiting.events.get() == 0 {
                waiting.seen.notify_one();
            }
        }
    }
    Ok(())
}

/// Which watched key it is, from its last digits.
fn number(key: &[u8]) -> Option<usize> {
    let digits = key.rsplit(|byte| *byte == b'/').next()?;
    Some(std::str::from_utf8(digits).ok()?.parse::<usize>().ok()? / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A putter waits for as many events as its key has watchers: one too many would wait for ever.
    #[test]
    fn watchers_are_spread_over_all_keys() {
        let shape = Shape { streams: 3, watchers: 7, watched: 4 };
        let counts: Vec<u32> = (0..4).map(|key| shape.watchers_of(key)).collect();
        assert_eq!(counts, [6, 5, 5, 5]);
    }

    /// An event must find the putter that waits for it.
    #[test]
    fn a_watched_key_tells_its_number() {
        let keys = Keys { keys: 1_000_000, key_bytes: 80, value_bytes: 512 };
        for key in [0, 1, 99] {
            assert_eq!(number(&name(key, &keys)), Some(key as usize));
        }
        assert_eq!(number(b"elsewhere/x"), None);
    }
}
