//! Copies of a running member's directory start: kubeadm's upgrade makes them with `cp -r`, one file after the other.

use crate::verify::assert_not_accused;
use crate::world::{DATA, World, all_records, checkpoint, entry};
use std::path::{Path, PathBuf};
use storage::{LogBatch, RecordKind};
use types::{LogIndex, Term};

/// Brings the files under `part` of one world over to the other.
fn bring(from: &World, to: &World, part: impl Fn(&Path) -> bool) {
    let of = |world: &World| {
        world.disk.files().into_iter().filter(|(path, _)| path.starts_with(DATA) && part(path))
    };
    let gone: Vec<PathBuf> = of(to).map(|(path, _)| path).collect();
    gone.iter().for_each(|path| to.env.disk.remove(path).unwrap());
    of(from).for_each(|(path, bytes)| to.env.disk.replace(&path, &bytes).unwrap());
}

fn is_log(path: &Path) -> bool {
    path.starts_with(Path::new(DATA).join("log"))
}

/// The log copied first, store and manifest later: the store is ahead of the log, which then begins anew after it.
#[test]
fn a_store_ahead_of_its_log_starts() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    let mut early = None;
    for index in 1..=30u64 {
        let entries = [entry(index, 1, [7; 90])];
        life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
        life.writer.sync().unwrap();
        life.store.append(RecordKind(1), &index.to_be_bytes()).unwrap();
        if index % 5 == 0 {
            let durable = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
            life.writer.release(durable.release_below).unwrap();
        }
        if index == 12 {
            early = Some(world.copy(2));
        }
    }
    let late = world.copy(3);
    bring(&early.unwrap(), &late, is_log);
    assert_not_accused(&late, "a copy of a running member");
    let mut copy = late.live().unwrap();
    assert_eq!(
        (copy.recovered.last, copy.store.last_checkpoint().consistent_index),
        (LogIndex(12), LogIndex(30))
    );
    copy.writer.reset(LogIndex(30), Term(1)).unwrap();
    let entries = [entry(31, 1, b"on")];
    copy.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
    copy.writer.sync().unwrap();
    drop(copy);
    let copy = late.live().unwrap();
    assert_eq!((copy.recovered.first, copy.recovered.last), (LogIndex(31), LogIndex(31)));
    assert_eq!(all_records(&copy.store).unwrap().len(), 30);
}

/// Two copies of one member go on apart, each with whole files of the same names and lengths. A file of the one among the
/// other's is found, though every record in it opens: the chain hash is not what successor and manifest say.
#[test]
fn a_file_of_a_forked_copy_is_found() {
    let world = World::new(1);
    drop(world.live().unwrap());
    let fork = world.copy(2);
    for (world, data) in [(&world, b"ours!"), (&fork, b"other")] {
        for life in 0..2 {
            let mut life_ = world.live().unwrap();
            let entries = [entry(life + 1, 1, data)];
            life_.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
            life_.writer.sync().unwrap();
            life_.store.append(RecordKind(1), data).unwrap();
            let _ = life_.store.checkpoint(checkpoint(life + 1, 1)).unwrap().run().unwrap();
        }
    }
    let theirs = fork.disk.files();
    for name in ["log/0000000000000002.log", "store/00000001.store"] {
        let path = Path::new(DATA).join(name);
        let copy = world.copy(3);
        assert_eq!(copy.disk.files()[&path].len(), theirs[&path].len());
        copy.env.disk.replace(&path, &theirs[&path]).unwrap();
        let opened = copy.live().and_then(|life| all_records(&life.store));
        let error = opened.unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("chain hash"), "{error}");
    }
}

/// A whole copy starts while the original goes on, and the two never share a key: their segments have salts of their own.
#[test]
fn a_copy_and_its_original_share_no_key() {
    let world = World::new(1);
    drop(world.live().unwrap());
    let copy = world.copy(99);
    drop((world.live().unwrap(), copy.live().unwrap()));
    let newest = Path::new("/data/log/0000000000000002.log");
    let header = |world: &World| world.disk.files()[newest][..128].to_vec();
    assert_ne!(header(&world)[40..72], header(&copy)[40..72]);
    assert_ne!(header(&world)[96..], header(&copy)[96..]);
}
