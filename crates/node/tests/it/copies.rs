//! Copies of the data directory, taken while a member runs and put back later: kubeadm's upgrade does both.

use crate::world::{World, carry_out, end, keys, put, settings};
use env::Env;
use env::sim::{Fault, SimRandom};
use node::{Rollback, Settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::{LogOptions, StoreOptions};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Sizes so small that every few entries bring a checkpoint, a new segment, and the release of an old one.
fn busy() -> Settings {
    Settings {
        checkpoint_entries: 3,
        log_entries_kept: 0,
        mark: None,
        log: LogOptions { segment_bytes: 2048, ..LogOptions::default() },
        store: StoreOptions { segment_bytes: 1024, buffer_bytes: 128 },
        ..settings(3)
    }
}

/// A member at work: its disk after each write that it acknowledged.
fn at_work(moments: usize) -> (World, Vec<Files>) {
    let world = World::new();
    let member = world.start_as(busy()).unwrap();
    let disks = (0..moments).map(|count| {
        carry_out(&member, put(&format!("k{count:04}"), 0)).unwrap();
        world.disk.files()
    });
    let disks = disks.collect();
    end(member);
    (world, disks)
}

/// The keys that were acknowledged at a moment.
fn acknowledged(moment: usize) -> Vec<String> {
    (0..=moment).map(|count| format!("k{count:04}")).collect()
}

/// The directories of a data directory, as `cp -r` comes by them.
const PARTS: [&str; 4] = ["keyring", "manifest", "log", "store"];

fn part_of(path: &Path) -> Option<usize> {
    let name = path.strip_prefix("/data").ok()?.to_str()?;
    PARTS.iter().position(|part| name.starts_with(part))
}

/// What is read of a file at one moment, in this small world.
const PAGE: usize = 512;

/// A copy begun at a moment that lists each part when it comes to it and then takes its files one by one, some pages at a
/// time, while the member goes on by up to four writes a file and two for each such piece.
fn copied(
    disks: &[Files],
    begun: usize,
    pages: usize,
    parts: &[usize],
    chance: &SimRandom,
    mut order: impl FnMut(&mut Vec<PathBuf>),
) -> Files {
    let mut copy: Files = disks[0].iter().filter(|(path, _)| path.starts_with("/keys")).map(owned).collect();
    let mut moment = begun;
    for part in parts {
        let mut names: Vec<_> =
            disks[moment].keys().filter(|path| part_of(path) == Some(*part)).cloned().collect();
        // A manifest that is about to get its name: cp may say that it vanished, and the copy does without it.
        names.retain(|name| name.extension().is_none_or(|extension| extension != "tmp"));
        order(&mut names);
        for name in names {
            moment = (moment + usize::try_from(chance.below(5)).unwrap()).min(disks.len() - 1);
            let mut bytes = Vec::new();
            loop {
                let now = disks[moment].get(&name);
                let now = now.unwrap_or_else(|| panic!("{} is gone: cp would fail", name.display()));
                let end = (bytes.len() + pages * PAGE).min(now.len());
                bytes.extend_from_slice(&now[bytes.len()..end]);
                if end == now.len() {
                    break;
                }
                moment = (moment + usize::try_from(chance.below(3)).unwrap()).min(disks.len() - 1);
            }
            copy.insert(name, bytes);
        }
    }
    copy
}

fn owned((path, bytes): (&PathBuf, &Vec<u8>)) -> (PathBuf, Vec<u8>) {
    (path.clone(), bytes.clone())
}

/// Starts a copy, twice, and writes to it: everything acknowledged before it was begun is there.
fn check(world: &World, copy: &Files, acknowledged: &[String], why: &str) {
    // Without the word it starts as well, or says which word it needs.
    match world.of_files(copy.iter()).start_as(busy()) {
        Ok(member) => {
            assert!(keys(&member).starts_with(acknowledged), "{why}, strictly");
            end(member);
        }
        Err(refused) => assert!(refused.to_string().contains("--accept-rollback"), "{why}: {refused}"),
    }
    let copy = world.of_files(copy.iter());
    for life in 0..3 {
        // Only the first start needs the word.
        let rollback = if life == 0 { Rollback::Report } else { Rollback::Refuse };
        let started = copy.start_as(Settings { rollback, ..busy() });
        let member = started.unwrap_or_else(|error| panic!("{why}, life {life}: {error}"));
        assert!(keys(&member).starts_with(acknowledged), "{why}, life {life}: {:?}", keys(&member));
        for n in 0..life {
            assert!(keys(&member).contains(&format!("later{n}")), "{why}: what life {n} wrote");
        }
        carry_out(&member, put(&format!("later{life}"), 0)).unwrap();
        match life {
            0 => end(member),
            _ => {
                copy.disk.kill();
                end(member);
            }
        }
    }
}

fn orders(parts: &[usize]) -> Vec<Vec<usize>> {
    if parts.is_empty() {
        return vec![Vec::new()];
    }
    let first = |i: usize| {
        let mut rest = parts.to_vec();
        let first = rest.remove(i);
        orders(&rest).into_iter().map(move |rest| [vec![first], rest].concat())
    };
    (0..parts.len()).flat_map(first).collect()
}

/// `cp -r` while a member writes, its directories in every order, their files forwards, backwards and shuffled: the copy
/// starts, holds everything that was acknowledged before it was begun, takes writes, and starts again.
#[test]
fn a_copy_of_a_running_member_starts() {
    let (world, disks) = at_work(300);
    let chance = SimRandom::new(3);
    let shuffle = |names: &mut Vec<PathBuf>| {
        for i in (1..names.len()).rev() {
            names.swap(i, usize::try_from(chance.below(i as u64 + 1)).unwrap());
        }
    };
    for parts in orders(&[0, 1, 2, 3]) {
        for n in 0..8 {
            let begun = 20 + usize::try_from(chance.below(40)).unwrap();
            let pages = if n % 2 == 0 { 1_000 } else { 1 };
            let copy = copied(&disks, begun, pages, &parts, &chance, |names| match n / 2 {
                0 => {}
                1 => names.reverse(),
                _ => shuffle(names),
            });
            let named: Vec<_> = parts.iter().map(|part| PARTS[*part]).collect();
            check(&world, &copy, &acknowledged(begun), &format!("{named:?}, way {n}, from {begun}"));
        }
    }
}

/// The log copied at the beginning of all, everything else at the end: the store is ahead of the log by far.
#[test]
fn a_store_ahead_of_its_log_is_a_snapshot() {
    let (world, disks) = at_work(40);
    let (early, late) = (&disks[5], &disks[39]);
    let is_log = |path: &Path| part_of(path) == Some(2);
    let log = early.iter().filter(|(path, _)| is_log(path));
    let rest = late.iter().filter(|(path, _)| !is_log(path));
    let copy: Files = log.chain(rest).map(owned).collect();
    check(&world, &copy, &acknowledged(5), "an early log");
    // The power fails at any act of its first start: the next one begins the log as well.
    for act in 1.. {
        let copy = world.of_files(copy.iter());
        copy.disk.fail_at(act, Fault::PowerAfter);
        let first = copy.start_as(busy());
        let is_over = copy.disk.clear_fault();
        copy.disk.crash(act);
        drop(first.map(end));
        let member =
            copy.start_as(busy()).unwrap_or_else(|error| panic!("power failed at act {act}: {error}"));
        assert!(keys(&member).starts_with(&acknowledged(5)), "act {act}: {:?}", keys(&member));
        carry_out(&member, put("later", 0)).unwrap();
        end(member);
        let member = copy.start_as(busy()).unwrap();
        assert!(keys(&member).contains(&"later".to_owned()), "act {act}");
        end(member);
        if is_over {
            assert!(act > 12, "the start has only {act} acts");
            break;
        }
    }
}

/// An old copy of the data put back is whole in itself; the mark beside the key tells, and the member refuses to serve what
/// was deleted since.
#[test]
fn an_old_copy_of_the_data_is_refused() {
    let world = World::new();
    let member = world.start();
    carry_out(&member, put("a", 0)).unwrap();
    let old = world.disk.copy();
    world.clock.advance(Duration::from_secs(2));
    carry_out(&member, put("b", 0)).unwrap();
    end(member);
    let mark = world.env.disk.read(Path::new("/keys/member.mark"), 4096).unwrap();
    let put_back = World {
        env: Env { disk: std::sync::Arc::new(old.clone()), ..world.env.clone() },
        disk: old,
        ..World::new()
    };
    put_back.disk.kill();
    put_back.env.disk.replace(Path::new("/keys/member.mark"), &mark).unwrap();
    let put_back = World { key: world.key.clone(), ..put_back };
    // A service manager starts it again and again.
    for _ in 0..3 {
        let refused = put_back.try_start(50).err().expect("the copy is older than the mark");
        assert!(
            refused.to_string().contains("older") && refused.to_string().contains("--accept-rollback"),
            "{refused}"
        );
    }
    // Whoever put it back on purpose says so once; from then on the mark is that of the copy.
    let accepted = Settings { rollback: Rollback::Report, ..settings(50) };
    let member = put_back.start_as(accepted).unwrap();
    assert_eq!(keys(&member), ["a"]);
    assert_eq!(member.counts().rollback_accepted.value(), 1, "a number that an alert can look at");
    carry_out(&member, put("c", 0)).unwrap();
    end(member);
    let member = put_back.start();
    assert_eq!(keys(&member), ["a", "c"]);
    assert_eq!(member.counts().rollback_accepted.value(), 0);
    end(member);
}
