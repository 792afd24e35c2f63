//! A member in a simulated world, which can be killed and started again, and what tests ask of it.

use bytes::Bytes;
use env::Env;
use env::sim::{SimClock, SimDisk};
use node::watch::{Full, WatchSink, WatchUpdate};
use node::{Member, Naming, Proposed, Refused, Rollback, Settings, start};
use state::auth::{Circumstances, Evidence, Policy};
use state::command::{Command, Put, PutLease, PutValue};
use state::query::RangeQuery;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use storage::{DataDir, Identity, KeyFile, Keys, LogOptions, StoreOptions};
use types::{ClusterId, Key, KeyRange, LeaseId, MemberId};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A world with one member in it, which can be killed and started again.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) clock: SimClock,
    pub(crate) disk: SimDisk,
    pub(crate) key: PathBuf,
    pub(crate) failures: (SyncSender<String>, Receiver<String>),
}

pub(crate) fn settings(checkpoint_entries: u64) -> Settings {
    Settings {
        name: "one".into(),
        peer_urls: vec!["http://localhost:2380".into()],
        client_urls: vec!["http://localhost:2379".into()],
        tick: Duration::from_millis(100),
        election_ticks: 10,
        request_bytes_max: 1_572_864,
        progress_interval: Duration::from_secs(600),
        checkpoint_entries,
        checkpoint_bytes: 1 << 30,
        log_entries_kept: 10,
        log_bytes_kept: 1 << 20,
        cluster_version: "3.7.0".into(),
        value_cache_bytes: 1 << 20,
        token_life: Duration::from_secs(300),
        mark: Some("/keys/member.mark".into()),
        rollback: Rollback::Refuse,
        naming: Naming::Announce,
        compaction_records: 1_000,
        log: LogOptions { segment_bytes: 1 << 18, ..LogOptions::default() },
        store: StoreOptions { segment_bytes: 1 << 18, ..StoreOptions::default() },
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let (env, clock, disk) = Env::simulated(7);
        let (keys, data) = (Path::new("/keys"), Path::new("/data"));
        env.disk.create_dir(keys).unwrap();
        let key = KeyFile::create(&*env.disk, keys, &*env.random).unwrap();
        let identity = Identity { cluster: ClusterId(5), member: MemberId(6) };
        drop(DataDir::create(&env, data, identity, &key).unwrap());
        Self { env, clock, disk, key: key.path().to_owned(), failures: sync_channel(1) }
    }

    pub(crate) fn try_start(&self, checkpoint_entries: u64) -> Result<Member, node::Failure> {
        self.start_as(settings(checkpoint_entries))
    }

    pub(crate) fn start_as(&self, settings: Settings) -> Result<Member, node::Failure> {
        let keys = [self.key.clone()];
        let dir = DataDir::open(&self.env, Path::new("/data"), None, Keys::Files(&keys))?;
        let failures = self.failures.0.clone();
        let told = Box::new(move |failure: node::Failure| {
            let _ = failures.try_send(failure.to_string());
        });
        start(settings, &self.env, &dir, told)
    }

    /// Another world with these files and nothing else on its disk.
    pub(crate) fn of_files<'a>(&self, files: impl Iterator<Item = (&'a PathBuf, &'a Vec<u8>)>) -> Self {
        let (env, clock, disk) = Env::simulated(11);
        for (path, bytes) in files {
            let above: Vec<_> = path.ancestors().skip(1).collect();
            for directory in above.into_iter().rev() {
                if env.disk.stat(directory).unwrap().is_none() {
                    env.disk.create_dir(directory).unwrap();
                }
            }
            env.disk.replace(path, bytes).unwrap();
        }
        let disk = disk.copy();
        let env = Env { disk: std::sync::Arc::new(disk.clone()), ..env };
        Self { env, clock, disk, key: self.key.clone(), failures: sync_channel(1) }
    }

    pub(crate) fn start(&self) -> Member {
        self.try_start(50).unwrap()
    }
}

/// Stops a member and lets go of its directory.
pub(crate) fn end(member: Member) {
    member.stop();
}

pub(crate) fn recorded<T: state::auth::Demanding>(request: T) -> audit::Recorded<T> {
    let anyone = Policy::of_the_member().principal(&Evidence::Member, Circumstances::default());
    audit::Recorder::empty().record(Policy::of_the_member().authorize(&anyone, request).unwrap())
}

pub(crate) fn propose(member: &Member, command: Command) -> Receiver<Result<Proposed, Refused>> {
    let (done, answer) = sync_channel(1);
    let reply = Box::new(move |answer| {
        let _ = done.send(answer);
    });
    member.propose(recorded(command), reply);
    answer
}

pub(crate) fn carry_out(member: &Member, command: Command) -> Result<Proposed, Refused> {
    propose(member, command).recv_timeout(PATIENCE).expect("an answer in time")
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

pub(crate) fn put(text: &str, lease: i64) -> Command {
    let value = PutValue::Set(Bytes::copy_from_slice(text.as_bytes()));
    Command::Put(Put { key: key(text), value, lease: PutLease::Set(LeaseId(lease)), prev_kv: false })
}

/// The keys a member holds, read as a client would.
pub(crate) fn keys(member: &Member) -> Vec<String> {
    let proof = recorded(put("proof", 0));
    let found = member.inspect(&proof).range(&RangeQuery::latest(KeyRange::all())).unwrap();
    let name = |pair: &state::outcome::Pair| String::from_utf8(pair.view().unwrap().key.to_vec()).unwrap();
    found.pairs.iter().map(name).collect()
}

/// A sink that a test reads.
pub(crate) struct Sink(pub(crate) SyncSender<WatchUpdate>);

impl WatchSink for Sink {
    fn offer(&mut self, update: WatchUpdate) -> Result<(), Full> {
        self.0.try_send(update).map_err(|_| Full)
    }

    fn is_closed(&self) -> bool {
        false
    }
}
