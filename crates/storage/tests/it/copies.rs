//! Copies of a running member's directory start: kubeadm's upgrade makes them with `cp -r`, one file after the other.

use crate::verify::assert_not_accused;
use crate::world::{DATA, LOG, World, all_records, checkpoint, entry};
use env::Env;
use env::sim::SimClock;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use storage::{DataDir, Error, Log, LogBatch, RecordKind, Recovered};
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

/// What is missing in the middle of a copied log ends it; what was changed is damage in a copy too: whoever alters a byte must
/// not be able to make a member forget what came after.
#[test]
fn a_gap_ends_the_log_of_a_copy_and_a_change_never_does() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for index in 1..=30u64 {
        let entries = [entry(index, 1, [7; 90])];
        life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
        life.writer.sync().unwrap();
    }
    drop(life);
    let path = Path::new(DATA).join("log/0000000000000001.log");
    let opened = |at: u64, bytes: &[u8]| {
        let copy = world.copy(9);
        copy.env.disk.open(&path).unwrap().write_at(bytes, at).unwrap();
        let strict = copy.live().map(|life| life.recovered.last).map_err(|error| error.to_string());
        let dir = copy.open_dir().unwrap();
        let as_copy = gone_on_from(&dir);
        drop(dir);
        let again = copy.live().map(|life| life.recovered.last);
        (strict, as_copy, again)
    };
    for page in [1, 2, 3] {
        let (strict, as_copy, again) = opened(page * 512, &[0; 512]);
        assert!(strict.unwrap_err().contains("--accept-rollback"));
        let found = as_copy.unwrap();
        assert!(found.last < LogIndex(30) && found.torn_tail.is_some(), "{found:?}");
        assert_eq!(again.unwrap(), found.last, "the word is needed once");
    }
    let whole = world.disk.files()[&path].clone();
    for at in (242..1800).step_by(7) {
        let (strict, as_copy, _) = opened(at as u64, &[whole[at] ^ 0x40]);
        assert!(!strict.unwrap_err().contains("--accept-rollback"), "byte {at}");
        assert!(matches!(as_copy, Err(Error::Damaged { .. })), "byte {at}");
    }
}

/// In a copy that takes long an old segment of the log may be missing between others, since it went when its time was over: what is
/// before the gap was released, and is left out where the directory may be a copy. What the store does not hold is never left out, and
/// in a directory that is no copy a gap is damage.
#[test]
fn a_copy_may_lack_segments_that_the_store_does_not_need() {
    let world = World::new(1);
    let mut life = world.live().unwrap();
    for index in 1..=130u64 {
        let entries = [entry(index, 1, [7; 90])];
        life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
        life.writer.sync().unwrap();
        life.store.append(RecordKind(1), &index.to_be_bytes()).unwrap();
        if index == 40 || index == 80 {
            let _ = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
        }
    }
    drop(life);
    let mut segments: Vec<_> = world.disk.files().into_keys().filter(|path| is_log(path)).collect();
    segments.sort();
    assert!(segments.len() > 5, "{segments:?}");
    let (mut left_out, mut refused) = (0, 0);
    for gone in segments.iter().skip(1).take(segments.len() - 3) {
        let copy = world.copy(3);
        copy.env.disk.remove(gone).unwrap();
        let named = gone.file_name().unwrap().to_str().unwrap();
        let strict = copy.live().map(drop).unwrap_err().to_string();
        assert!(strict.contains(named) && strict.contains("--accept-rollback"), "{strict}");
        match copy.open_dir().and_then(|dir| gone_on_from(&dir)) {
            Ok(recovered) => {
                assert!(recovered.first <= LogIndex(81) && recovered.last == LogIndex(130), "{recovered:?}");
                let again = copy.live().unwrap();
                assert_eq!(all_records(&again.store).unwrap().len(), 80);
                assert_eq!((again.recovered.first, again.recovered.last), (recovered.first, recovered.last));
                left_out += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains(named), "{error}");
                refused += 1;
            }
        }
    }
    assert!(left_out > 2 && refused > 0, "{left_out} {refused}");
}

/// A copy under way must not meet files that vanish: released and replaced files stay ten minutes where that is asked for, and
/// go at once where space is short.
#[test]
fn superseded_files_stay_while_a_copy_may_be_made() {
    let mut world = World::new(4);
    let clock = SimClock::new();
    world.env = Env { clock: Arc::new(clock.clone()), ..world.env };
    let mut life = world.live().unwrap();
    life.dir.keep_superseded_files();
    let names = |world: &World| world.disk.files().into_keys().collect::<BTreeSet<_>>();
    let mut go_on = |indexes: std::ops::RangeInclusive<u64>| {
        for index in indexes {
            let entries = [entry(index, 1, [7; 90])];
            life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
            life.writer.sync().unwrap();
            life.store.append(RecordKind(1), &index.to_be_bytes()).unwrap();
            let durable = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
            life.writer.release(durable.release_below).unwrap();
        }
    };
    go_on(1..=40);
    let listed = names(&world);
    go_on(41..=80);
    assert!(names(&world).is_superset(&listed));
    clock.advance(Duration::from_secs(types::limits::SUPERSEDED_SECONDS));
    go_on(81..=82);
    let left = names(&world);
    assert!(listed.intersection(&left).count() < 8, "{left:?}");
    go_on(83..=120);
    let many = names(&world).len();
    world.disk.set_capacity(Some(world.disk.files().values().map(|bytes| bytes.len() as u64).sum()));
    go_on(121..=150);
    assert!(names(&world).len() < many);
}

/// Where space is short nothing waits for copies: neither what the log releases, nor what a checkpoint of the store replaces,
/// nor what waits already.
#[test]
fn nothing_waits_for_copies_where_space_is_short() {
    let world = World::new(4);
    let mut life = world.live().unwrap();
    life.dir.keep_superseded_files();
    let count = |world: &World| world.disk.files().len();
    let go_on = |life: &mut crate::world::Life, indexes: std::ops::RangeInclusive<u64>| {
        for index in indexes {
            let entries = [entry(index, 1, [7; 90])];
            life.writer.append(LogBatch { entries: &entries, ..LogBatch::default() }).unwrap();
            life.writer.sync().unwrap();
            let durable = life.store.checkpoint(checkpoint(index, 1)).unwrap().run().unwrap();
            life.writer.release(durable.release_below).unwrap();
        }
    };
    go_on(&mut life, 1..=60);
    let kept = count(&world);
    assert!(life.store.superseded_files().free());
    let freed = count(&world);
    assert!(freed + 50 < kept, "the manifests of the store: {freed} of {kept}");
    assert!(!life.store.superseded_files().free(), "once");
    life.writer.let_go_at_once(true);
    go_on(&mut life, 61..=120);
    assert!(count(&world) < 12, "{}", count(&world));
    life.writer.let_go_at_once(false);
    go_on(&mut life, 121..=180);
    assert!(count(&world) > 60, "{}", count(&world));
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

/// Goes on from a directory that may be a copy: what was found.
fn gone_on_from(dir: &DataDir) -> Result<Recovered, Error> {
    let log = Log::find_in_copy(dir, LOG)?;
    let recovered = log.recovered();
    log.go_on().map(|_| recovered)
}
