//! Where a rig's store lies: a data directory on a simulated disk that can lose power or fill up.

use env::Env;
use env::sim::SimDisk;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use storage::{DataDir, Identity, KeyFile, Keys, Store, StoreOptions};
use types::{ClusterId, MemberId};

/// Small, so that a test's records span many segments.
const SEGMENT_BYTES: u64 = 1024;

pub(crate) struct Home {
    env: Env,
    pub(crate) disk: SimDisk,
    key: PathBuf,
    crashes: u64,
}

impl Home {
    /// A new data directory with its store.
    pub(crate) fn new() -> (Self, Store) {
        let (env, _, disk) = Env::simulated(7);
        let identity = Identity { cluster: ClusterId(1), member: MemberId(2) };
        env.disk.create_dir(Path::new("/keys")).unwrap();
        env.disk.create_dir(Path::new("/home")).unwrap();
        let key = KeyFile::create(&*env.disk, Path::new("/keys"), &*env.random).unwrap();
        let path = key.path().to_owned();
        let dir = DataDir::create(&env, Path::new("/home/data"), identity, &key).unwrap();
        (Self { env, disk, key: path, crashes: 0 }, open(&dir))
    }

    /// Lives on a machine with so many processors from the next start on.
    pub(crate) fn has_processors(&mut self, processors: usize) {
        self.env.processors = NonZero::new(processors).unwrap();
    }

    /// Loses power, and opens what survived.
    pub(crate) fn crash(&mut self) -> Store {
        self.crashes += 1;
        self.disk.crash(self.crashes);
        let keys = [self.key.clone()];
        open(&DataDir::open(&self.env, Path::new("/home/data"), None, Keys::Files(&keys)).unwrap())
    }
}

fn open(dir: &DataDir) -> Store {
    Store::open(dir, StoreOptions { segment_bytes: SEGMENT_BYTES, ..StoreOptions::default() }).unwrap()
}
