//! The hub against a history kept in a vector, and sinks whose room the test chooses.

use super::*;
use bytes::Bytes;
use state::outcome::Pair;
use std::sync::{Arc, Mutex};
use types::Key;

/// What happened, shared with the hub so that the test can go on writing.
#[derive(Clone, Default)]
struct Past(Arc<Mutex<(Vec<Change>, Revision)>>);

impl Past {
    /// Writes one change to each key at the next revision; answers what the hub is to be told.
    fn write(&self, keys: &[&str]) -> Vec<Change> {
        let mut past = self.0.lock().unwrap();
        let revision = Revision(past.0.last().map_or(1, |change| change.revision.0)).next();
        let changes: Vec<_> = keys
            .iter()
            .map(|key| Change {
                key: Key::new(Bytes::copy_from_slice(key.as_bytes())).unwrap(),
                event: WatchEvent {
                    kind: if key.starts_with('-') { WatchEventKind::Delete } else { WatchEventKind::Put },
                    pair: Pair(Bytes::from(format!("{key}@{revision}"))),
                    prev: None,
                },
                revision,
                creates: key.starts_with('+'),
            })
            .collect();
        past.0.extend(changes.clone());
        changes
    }

    fn compact(&self, oldest: i64) {
        self.0.lock().unwrap().1 = Revision(oldest);
    }
}

impl History for Past {
    fn revision(&self) -> Revision {
        Revision(self.0.lock().unwrap().0.last().map_or(1, |change| change.revision.0))
    }

    fn changes(&self, range: &KeyRange, from: Revision, to: Revision, max: usize) -> Result<Page, Forgotten> {
        let past = self.0.lock().unwrap();
        if from < past.1 {
            return Err(Forgotten { oldest: past.1 });
        }
        let mut page = Page { changes: Vec::new(), next: to.next() };
        for change in past.0.iter().filter(|change| (from..=to).contains(&change.revision)) {
            if page.changes.len() >= max && page.changes.last().unwrap().revision != change.revision {
                page.next = change.revision;
                break;
            }
            if range.contains(change.key.as_slice()) {
                page.changes.push(change.clone());
            }
        }
        Ok(page)
    }

    fn before(&self, key: &Key, at: Revision) -> Option<Pair> {
        let past = self.0.lock().unwrap();
        past.0
            .iter()
            .rev()
            .find(|change| change.key == *key && change.revision < at)
            .map(|change| change.event.pair.clone())
    }
}

/// A sink with room for so many updates until the test takes them.
#[derive(Clone, Default)]
struct Client(Arc<Mutex<(VecDeque<WatchUpdate>, usize, bool)>>);

impl Client {
    fn with_room(room: usize) -> Self {
        Self(Arc::new(Mutex::new((VecDeque::new(), room, false))))
    }

    fn take(&self) -> Vec<WatchUpdate> {
        self.0.lock().unwrap().0.drain(..).collect()
    }

    /// What was received, one word an event.
    fn events(&self) -> Vec<String> {
        let text = |event: WatchEvent| {
            let pair = String::from_utf8(event.pair.0.to_vec()).unwrap();
            event.prev.map_or(pair.clone(), |prev| {
                format!("{pair}<{}", String::from_utf8(prev.0.to_vec()).unwrap())
            })
        };
        let updates = self.take().into_iter();
        updates
            .flat_map(|update| match update {
                WatchUpdate::Events { events, .. } => events.into_iter().map(text).collect(),
                _ => Vec::new(),
            })
            .collect()
    }
}

impl WatchSink for Client {
    fn offer(&mut self, update: WatchUpdate) -> Result<(), super::super::Full> {
        let mut client = self.0.lock().unwrap();
        if client.0.len() >= client.1 {
            return Err(super::super::Full);
        }
        client.0.push_back(update);
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.0.lock().unwrap().2
    }
}

const STREAM: StreamId = StreamId(7);

fn key(text: &'static str) -> Key {
    Key::new(Bytes::from_static(text.as_bytes())).unwrap()
}

fn request(range: KeyRange) -> WatchRequest {
    WatchRequest {
        id: None,
        range,
        start: Revision::ZERO,
        no_puts: false,
        no_deletes: false,
        prev_kv: false,
        progress_notify: false,
    }
}

fn hub(room: usize) -> (Hub<Past>, Past, Client) {
    let (past, client) = (Past::default(), Client::with_room(room));
    let mut hub = Hub::new(past.clone(), 1_000);
    hub.open(STREAM, Box::new(client.clone()), 0);
    (hub, past, client)
}

fn tell(hub: &mut Hub<Past>, changes: &[Change]) {
    hub.changes(changes, changes.last().unwrap().revision);
}

/// A watcher from now on sees what changes in its range after it stands, and nothing else.
#[test]
fn a_follower_sees_its_range_from_its_creation_on() {
    let (mut hub, past, client) = hub(100);
    tell(&mut hub, &past.write(&["a"]));
    hub.create(STREAM, request(KeyRange::single(key("a"))));
    assert_eq!(client.take(), [WatchUpdate::Created { id: WatchId(0), revision: Revision(2) }]);
    tell(&mut hub, &past.write(&["a", "b"]));
    tell(&mut hub, &past.write(&["b"]));
    assert_eq!(client.events(), ["a@3"]);
}

/// A watcher from a past revision first reads history, then follows; no event is lost or doubled at the seam.
#[test]
fn a_watcher_from_the_past_catches_up_and_then_follows() {
    let (mut hub, past, client) = hub(100);
    tell(&mut hub, &past.write(&["a"]));
    tell(&mut hub, &past.write(&["a"]));
    hub.create(STREAM, WatchRequest { start: Revision(3), ..request(KeyRange::all()) });
    tell(&mut hub, &past.write(&["a"]));
    hub.work(0);
    tell(&mut hub, &past.write(&["a"]));
    assert_eq!(client.events(), ["a@3", "a@4", "a@5"]);
    assert!(!hub.is_waiting());
}

/// A start in the future waits for its revision.
#[test]
fn a_start_in_the_future_waits() {
    let (mut hub, past, client) = hub(100);
    hub.create(STREAM, WatchRequest { start: Revision(4), ..request(KeyRange::all()) });
    for _ in 0..3 {
        tell(&mut hub, &past.write(&["a"]));
    }
    assert_eq!(client.events(), ["a@4"]);
}

/// A client that reads slowly gets everything in order all the same: first lost room, then history, then following.
#[test]
fn a_slow_stream_loses_nothing() {
    let (mut hub, past, client) = hub(2);
    hub.create(STREAM, request(KeyRange::all()));
    let mut seen = Vec::new();
    for n in 0..10 {
        tell(&mut hub, &past.write(&["a", "b"]));
        if n % 3 == 0 {
            seen.extend(client.events());
            hub.work(0);
        }
    }
    while hub.is_waiting() {
        hub.work(0);
        seen.extend(client.events());
    }
    tell(&mut hub, &past.write(&["c"]));
    seen.extend(client.events());
    let mut expected: Vec<_> = (2..12).flat_map(|n| [format!("a@{n}"), format!("b@{n}")]).collect();
    expected.push("c@12".into());
    assert_eq!(seen, expected);
}

/// Changes the hub was never told (its queue was full) are read from history, whether a later change shows the gap or not.
#[test]
fn missed_changes_are_read_from_history() {
    let (mut hub, past, client) = hub(100);
    hub.create(STREAM, request(KeyRange::all()));
    past.write(&["a"]);
    tell(&mut hub, &past.write(&["b"]));
    past.write(&["c"]);
    hub.look();
    hub.work(0);
    assert_eq!(client.events(), ["a@2", "b@3", "c@4"]);
}

/// While no stream is open the hub is told nothing; whoever opens the first one misses nothing and sees nothing twice.
#[test]
fn the_first_stream_begins_with_what_was_applied() {
    let (mut hub, past, client) = hub(100);
    hub.close(STREAM);
    past.write(&["a"]);
    past.write(&["b"]);
    hub.open(STREAM, Box::new(client.clone()), 0);
    hub.create(STREAM, WatchRequest { start: Revision(3), ..request(KeyRange::all()) });
    hub.create(STREAM, request(KeyRange::all()));
    let created = |id| WatchUpdate::Created { id: WatchId(id), revision: Revision(3) };
    assert_eq!(client.take(), [created(0), created(1)]);
    hub.work(0);
    assert_eq!(client.events(), ["b@3"]);
    tell(&mut hub, &past.write(&["c"]));
    assert_eq!(client.events(), ["c@4", "c@4"]);
}

/// What is applied and still on its way to the hub is not new to a watcher from now on.
#[test]
fn a_watcher_from_now_on_passes_over_what_is_on_its_way() {
    let (mut hub, past, client) = hub(100);
    let on_its_way = past.write(&["a"]);
    hub.create(STREAM, request(KeyRange::all()));
    tell(&mut hub, &on_its_way);
    tell(&mut hub, &past.write(&["b"]));
    assert_eq!(client.events(), ["b@3"]);
}

/// A start below the compacted revision is answered with a watcher that stands and is then ended with the oldest revision.
#[test]
fn a_compacted_start_ends_the_watcher_with_the_oldest_revision() {
    let (mut hub, past, client) = hub(100);
    for _ in 0..4 {
        tell(&mut hub, &past.write(&["a"]));
    }
    past.compact(4);
    hub.create(STREAM, WatchRequest { start: Revision(2), ..request(KeyRange::all()) });
    hub.work(0);
    assert_eq!(
        client.take(),
        [
            WatchUpdate::Created { id: WatchId(0), revision: Revision(5) },
            WatchUpdate::Compacted { id: WatchId(0), compacted: Revision(4) }
        ]
    );
    tell(&mut hub, &past.write(&["a"]));
    assert_eq!(client.take(), []);
}

/// Filters leave out what was not wanted, and the pair before a change is there on demand.
#[test]
fn filters_and_previous_pairs() {
    let (mut hub, past, client) = hub(100);
    hub.create(STREAM, WatchRequest { no_puts: true, ..request(KeyRange::all()) });
    hub.create(STREAM, WatchRequest { no_deletes: true, prev_kv: true, ..request(KeyRange::all()) });
    client.take();
    for keys in [["a"], ["-a"], ["a"]] {
        tell(&mut hub, &past.write(&keys));
    }
    assert_eq!(client.events(), ["a@2", "-a@3", "a@4<a@2"]);
}

/// A key that is deleted and made again within one transaction has nothing before it, as etcd tells it.
#[test]
fn a_creation_has_no_previous_pair() {
    let (mut hub, past, client) = hub(100);
    hub.create(STREAM, WatchRequest { prev_kv: true, ..request(KeyRange::all()) });
    for _ in 0..2 {
        tell(&mut hub, &past.write(&["+a"]));
    }
    assert_eq!(client.events(), ["+a@2", "+a@3"]);
}

/// Watcher numbers: the client's choice if free, else the next free one; a taken choice is refused and changes nothing.
#[test]
fn watcher_numbers_are_chosen_as_etcd_does() {
    let (mut hub, _past, client) = hub(100);
    let created = |id| WatchUpdate::Created { id: WatchId(id), revision: Revision(1) };
    hub.create(STREAM, WatchRequest { id: Some(WatchId(1)), ..request(KeyRange::all()) });
    hub.create(STREAM, request(KeyRange::all()));
    hub.create(STREAM, request(KeyRange::all()));
    hub.create(STREAM, WatchRequest { id: Some(WatchId(2)), ..request(KeyRange::all()) });
    assert_eq!(
        client.take(),
        [created(1), created(0), created(2), WatchUpdate::DuplicateId { revision: Revision(1) }]
    );
}

/// A canceled watcher is silent from then on; canceling an unknown number says nothing.
#[test]
fn a_canceled_watcher_is_silent() {
    let (mut hub, past, client) = hub(100);
    hub.create(STREAM, request(KeyRange::all()));
    hub.cancel(STREAM, WatchId(5));
    hub.cancel(STREAM, WatchId(0));
    client.take();
    tell(&mut hub, &past.write(&["a"]));
    assert_eq!(client.take(), []);
    assert_eq!(hub.census(), (1, 0, 0));
}

/// A progress answer promises that everything up to its revision was sent, so it waits for watchers that are behind.
#[test]
fn progress_is_answered_only_when_every_watcher_has_caught_up() {
    let (mut hub, past, client) = hub(100);
    tell(&mut hub, &past.write(&["a"]));
    hub.create(STREAM, WatchRequest { start: Revision(2), ..request(KeyRange::all()) });
    client.take();
    hub.progress(STREAM);
    assert_eq!(client.take(), []);
    hub.work(0);
    let updates = client.take();
    assert!(matches!(updates[0], WatchUpdate::Events { .. }), "{updates:?}");
    assert_eq!(updates[1], WatchUpdate::Progress { id: WatchId::NONE, revision: Revision(2) });
}

/// Idle watchers that asked hear how far they are once in an interval; busy ones and others do not.
#[test]
fn idle_watchers_hear_of_progress_once_an_interval() {
    let (mut hub, past, client) = hub(100);
    hub.create(STREAM, WatchRequest { progress_notify: true, ..request(KeyRange::single(key("a"))) });
    hub.create(STREAM, request(KeyRange::single(key("b"))));
    tell(&mut hub, &past.write(&["a"]));
    client.take();
    hub.work(1_000);
    assert_eq!(client.take(), [], "the watcher has just had an event");
    hub.work(1_999);
    assert_eq!(client.take(), []);
    hub.work(2_000);
    assert_eq!(client.take(), [WatchUpdate::Progress { id: WatchId(0), revision: Revision(2) }]);
}

/// A stream whose reader is gone is forgotten with its watchers.
#[test]
fn a_closed_stream_is_forgotten() {
    let (mut hub, _past, client) = hub(100);
    hub.create(STREAM, request(KeyRange::all()));
    client.0.lock().unwrap().2 = true;
    hub.work(0);
    assert_eq!(hub.census(), (0, 0, 0));
}

/// A client that asks without reading cannot make the hub hold its answers without end.
#[test]
fn a_stream_that_never_reads_is_closed_at_the_limit() {
    let (mut hub, _past, _client) = hub(0);
    for _ in 0..=WATCH_CONTROL_WAITING_MAX {
        hub.create(STREAM, request(KeyRange::all()));
    }
    assert_eq!(hub.census(), (0, 0, 0));
}
