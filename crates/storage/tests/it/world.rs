//! A member's storage in a simulated world, with sizes small enough that everything happens often.

use crate::seals::Seals;
use bytes::Bytes;
use consensus::{Entry, EntryKind, LogError, LogRead};
use env::Env;
use env::sim::SimDisk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::{
    Checkpoint, DataDir, Error, Found, FreshnessMark, Identity, KeyFile, KeyProvider, Keys, Log, LogOptions,
    LogReader, LogWriter, RecordKind, Recovered, Store, StoreOptions,
};
use types::{ClusterId, LogIndex, MemberId, Term};

pub(crate) const DATA: &str = "/data";
pub(crate) const KEYS: &str = "/keys";
pub(crate) const US: Identity = Identity { cluster: ClusterId(0xc0ffee), member: MemberId(0x1) };
pub(crate) const LOG: LogOptions = LogOptions { segment_bytes: 3072, tail_bytes: 300 };
pub(crate) const STORE: StoreOptions = StoreOptions { segment_bytes: 1024, buffer_bytes: 256 };

pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) disk: SimDisk,
}

/// Everything open.
pub(crate) struct Life {
    pub(crate) dir: DataDir,
    pub(crate) writer: LogWriter,
    pub(crate) reader: LogReader,
    pub(crate) recovered: Recovered,
    pub(crate) store: Store,
}

impl World {
    /// A world with a key file and no data.
    pub(crate) fn new(seed: u64) -> Self {
        let (env, _, disk) = Env::simulated(seed);
        env.disk.create_dir(Path::new(KEYS)).unwrap();
        env.disk.sync_dir(Path::new("/")).unwrap();
        KeyFile::create(&*env.disk, Path::new(KEYS), &*env.random).unwrap();
        Self { env, disk }
    }

    /// The same, with everything that is sealed for this disk and its copies recorded.
    pub(crate) fn recorded(seed: u64) -> (Self, Arc<Seals>) {
        let (world, seals) = (Self::new(seed), Arc::new(Seals::default()));
        world.disk.observe(seals.clone());
        (world, seals)
    }

    /// A world on a copy of this one's disk.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        let (env, ..) = Env::simulated(seed);
        let disk = self.disk.copy();
        Self { env: Env { disk: Arc::new(disk.clone()), ..env }, disk }
    }

    pub(crate) fn key(&self) -> KeyFile {
        let names = self.env.disk.list(Path::new(KEYS)).unwrap();
        let name = names.iter().find(|name| name.ends_with(".key")).unwrap();
        KeyFile::open(&*self.env.disk, &Path::new(KEYS).join(name)).unwrap()
    }

    /// Where the member's mark lies.
    pub(crate) fn mark(&self) -> PathBuf {
        Path::new(KEYS).join(FreshnessMark::file_name(US, self.key().key_id()))
    }

    pub(crate) fn create(&self) -> Result<DataDir, Error> {
        DataDir::create(&self.env, Path::new(DATA), US, &self.key())
    }

    pub(crate) fn open_dir(&self) -> Result<DataDir, Error> {
        let keys = [PathBuf::from(KEYS)];
        DataDir::open(&self.env, Path::new(DATA), Some(US), Keys::Files(&keys))
    }

    /// Opens what is there, or makes it.
    pub(crate) fn live(&self) -> Result<Life, Error> {
        let key = self.key();
        let dir = match DataDir::inspect(&self.env, Path::new(DATA))? {
            Found::Nothing => DataDir::create(&self.env, Path::new(DATA), US, &key)?,
            Found::Ours { .. } => self.open_dir()?,
        };
        let log = Log::find(&dir, LOG)?;
        let store = Store::open(&dir, STORE)?;
        let recovered = log.recovered();
        let (writer, reader) = log.go_on()?;
        Ok(Life { dir, writer, reader, recovered, store })
    }
}

pub(crate) fn entry(index: u64, term: u64, data: impl AsRef<[u8]>) -> Entry {
    Entry {
        index: LogIndex(index),
        term: Term(term),
        kind: EntryKind::Normal,
        data: Bytes::copy_from_slice(data.as_ref()),
    }
}

/// All entries that a reader has.
pub(crate) fn all_entries(reader: &LogReader) -> Vec<Entry> {
    try_all_entries(reader).unwrap()
}

pub(crate) fn try_all_entries(reader: &LogReader) -> Result<Vec<Entry>, LogError> {
    reader.entries(reader.first_index(), reader.last_index().next(), u64::MAX)
}

/// All records of a store.
pub(crate) fn all_records(store: &Store) -> Result<Vec<(RecordKind, Bytes)>, Error> {
    let mut all = Vec::new();
    store.scan(|position, kind, payload| {
        assert_eq!(store.reader().read(position)?, (kind, payload.clone()), "{position}");
        all.push((kind, payload));
        Ok::<_, Error>(())
    })?;
    Ok(all)
}

pub(crate) fn checkpoint(index: u64, term: u64) -> Checkpoint {
    Checkpoint {
        consistent_index: LogIndex(index),
        term: Term(term),
        conf_state: Bytes::from(format!("conf {index}")),
        state_hash: index as u32,
        meta: Bytes::from(format!("meta {index}")),
    }
}
