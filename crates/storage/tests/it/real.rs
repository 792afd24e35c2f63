//! The same on a real file system: what the simulated disk promises is what this machine's does.

use crate::world::{STORE, US, all_entries, all_records, checkpoint, entry};
use env::Env;
use storage::{DataDir, Error, KeyFile, Keys, Log, LogBatch, LogOptions, RecordKind, Store};

/// A member's storage lives, stops and lives again in a real directory, which is 0700 with files 0600, and locked.
#[test]
fn a_real_directory_lives_twice() {
    let temporary = tempfile::tempdir().unwrap();
    let (data, keys) = (temporary.path().join("data"), temporary.path().to_owned());
    let env = Env::real();
    let key = KeyFile::create(&*env.disk, &keys, &*env.random).unwrap();
    drop(DataDir::create(&env, &data, US, &key).unwrap());
    assert_eq!(env.disk.stat(&data).unwrap().unwrap().mode, 0o700);
    assert_eq!(env.disk.stat(key.path()).unwrap().unwrap().mode, 0o600);
    for life in 1..=3u64 {
        let dir = DataDir::open(&env, &data, Some(US), Keys::Files(std::slice::from_ref(&keys))).unwrap();
        let again = DataDir::open(&env, &data, Some(US), Keys::Provider(&key));
        assert!(matches!(again, Err(Error::InUse { .. })));
        let options = LogOptions { segment_bytes: 1 << 16, tail_bytes: 1000 };
        let (mut writer, reader, recovered) = Log::open(&dir, options).unwrap();
        let mut store = Store::open(&dir, STORE).unwrap();
        assert_eq!(recovered.last.0, (life - 1) * 100);
        assert_eq!(all_records(&store).unwrap().len() as u64, (life - 1) * 100);
        for i in recovered.last.0 + 1..=life * 100 {
            let entries = [entry(i, life, vec![b'x'; 200])];
            writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
            writer.sync().unwrap();
            store.append(RecordKind(1), &[b'y'; 300]).unwrap();
        }
        let durable = store.checkpoint(checkpoint(life * 100, life)).unwrap().run().unwrap();
        writer.release(durable.release_below).unwrap();
        assert_eq!(all_entries(&reader).last().unwrap().index.0, life * 100);
    }
}
