//! A full disk: what needs room is refused, everything else goes on, and nothing acknowledged is lost.

use crate::world::{PATIENCE, World, carry_out, end, key, keys, propose, put, recorded, settings};
use bytes::Bytes;
use env::sim::Fault;
use node::{Member, Proposed, Refused, Settings};
use state::command::{Command, Compact, DeleteRange, Put, PutLease, PutValue};
use std::time::Duration;
use storage::{LogOptions, StoreOptions};
use types::{KeyRange, LeaseId};

fn large(n: usize) -> Command {
    let value = PutValue::Set(Bytes::from(vec![b'x'; 4_000]));
    Command::Put(Put { key: key(&name(n)), value, lease: PutLease::Set(LeaseId::NONE), prev_kv: false })
}

fn name(n: usize) -> String {
    format!("k{n:05}")
}

fn delete(n: usize) -> Command {
    Command::DeleteRange(DeleteRange { range: KeyRange::single(key(&name(n))), prev_kv: false })
}

fn used(world: &World) -> u64 {
    world.disk.files().values().map(|bytes| bytes.len() as u64).sum()
}

fn is_no_space(answer: &Result<Proposed, Refused>) -> bool {
    matches!(answer, Err(Refused::State(state::Refusal::NoSpace)))
}

/// Puts until one is refused for want of space; answers how many were acknowledged.
fn fill(member: &Member, world: &World) -> usize {
    let count = (0..10_000).find(|n| {
        let answer = carry_out(member, large(*n));
        assert!(answer.is_ok() || is_no_space(&answer), "{answer:?}, told {:?}", told(world));
        answer.is_err()
    });
    count.expect("the disk is full at some time")
}

/// Tries a put until it is carried out.
fn put_when_there_is_room(member: &Member, world: &World, what: &str) {
    let mut patience = Patience::new(world);
    while is_no_space(&carry_out(member, put(what, 0))) {
        patience.spend(world);
        std::thread::yield_now();
    }
}

/// Waits as long as the member gets on, however slow the machine is: until it has done nothing to its disk for long, or far more
/// than what is waited for can take.
struct Patience {
    began: u64,
    acts: u64,
    since: std::time::Instant,
}

impl Patience {
    const ACTS_MAX: u64 = 100_000;

    fn new(world: &World) -> Self {
        let acts = world.disk.acts();
        Self { began: acts, acts, since: std::time::Instant::now() }
    }

    fn spend(&mut self, world: &World) {
        let acts = world.disk.acts();
        if acts != self.acts {
            (self.acts, self.since) = (acts, std::time::Instant::now());
        }
        let files =
            || world.disk.files().into_iter().map(|(path, bytes)| (path, bytes.len())).collect::<Vec<_>>();
        assert!(acts - self.began < Self::ACTS_MAX, "{acts} acts brought no room: {:?}", files());
        assert!(self.since.elapsed() < PATIENCE, "nothing happens and there is no room: {:?}", files());
    }
}

fn told(world: &World) -> Option<String> {
    world.failures.1.try_recv().ok()
}

/// A disk fills up: puts are refused, reads, deletions and compactions go on, a stop is no failure, a start on the full disk
/// serves what was acknowledged, and with room again puts are taken.
#[test]
fn a_disk_fills_up_and_is_freed() {
    let world = World::new();
    let mut member = world.start();
    world.disk.set_capacity(Some(used(&world) + 3_000_000));
    let count = fill(&member, &world);
    assert!(count > 100, "only {count} puts of 4,000 bytes in 3,000,000");
    assert_eq!(keys(&member), (0..count).map(name).collect::<Vec<_>>());
    for life in 0..3 {
        for n in life * 20..(life + 1) * 20 {
            carry_out(&member, delete(n)).unwrap();
        }
        let revision = carry_out(&member, delete(0)).unwrap().applied.revision;
        carry_out(&member, Command::Compact(Compact { revision, physical: true })).unwrap();
        assert_eq!(keys(&member), ((life + 1) * 20..count).map(name).collect::<Vec<_>>(), "life {life}");
        end(member);
        assert_eq!(told(&world), None, "a stop on a full disk, life {life}");
        member = world.start();
    }
    assert_eq!(keys(&member), (60..count).map(name).collect::<Vec<_>>());
    world.disk.set_capacity(None);
    put_when_there_is_room(&member, &world, "again");
    end(member);
    let member = world.start();
    let expected = ["again".to_owned()].into_iter().chain((60..count).map(name));
    assert_eq!(keys(&member), expected.collect::<Vec<_>>());
    end(member);
    assert_eq!(told(&world), None);
}

/// Many large puts are on their way when the space ends, so that it ends in the middle of an entry's effects: the entry
/// waits, nothing fails, and with room again all of them are answered.
#[test]
fn an_entry_waits_for_space_in_the_store() {
    let world = World::new();
    let member = world.start();
    carry_out(&member, large(0)).unwrap();
    world.disk.set_capacity(Some(used(&world) + 700_000));
    let answers: Vec<_> = (1..400).map(|n| propose(&member, large(n))).collect();
    let mut done = 1;
    let mut count = |answer: Result<Proposed, Refused>| {
        assert!(answer.is_ok() || is_no_space(&answer), "{answer:?}");
        done += usize::from(answer.is_ok());
    };
    let waits = (0..399).find(|n| match answers[*n].recv_timeout(Duration::from_secs(1)) {
        Ok(answer) => {
            count(answer);
            false
        }
        Err(_) => true,
    });
    let waits = waits.unwrap_or(399);
    assert_eq!(keys(&member)[0], name(0), "reads go on");
    world.disk.set_capacity(None);
    (waits..399).for_each(|n| count(answers[n].recv_timeout(PATIENCE).expect("an answer")));
    put_when_there_is_room(&member, &world, "zz");
    end(member);
    assert_eq!(told(&world), None);
    let member = world.start();
    assert_eq!(keys(&member).len(), done + 1);
    end(member);
}

/// The member is stopped while an entry waits for space: no failure, and what was acknowledged is there at the next start.
#[test]
fn a_stop_while_an_entry_waits_for_space_loses_nothing() {
    for room in [0, 100_000, 300_000, 600_000, 900_000] {
        let world = World::new();
        let member = world.start();
        carry_out(&member, large(0)).unwrap();
        world.disk.set_capacity(Some(used(&world) + room));
        let answers: Vec<_> = (1..400).map(|n| propose(&member, large(n))).collect();
        let mut acknowledged = vec![name(0)];
        for (answer, n) in answers.iter().zip(1..) {
            match answer.recv_timeout(Duration::from_millis(300)) {
                Ok(Ok(_)) => acknowledged.push(name(n)),
                Ok(Err(_)) => {}
                Err(_) => break,
            }
        }
        end(member);
        assert_eq!(told(&world), None, "room of {room}");
        world.disk.set_capacity(None);
        let member = world.start();
        let found = keys(&member);
        assert!(acknowledged.iter().all(|name| found.contains(name)), "room of {room}");
        end(member);
    }
}

/// One act finds no space, whichever it is: nothing acknowledged is lost, and nothing fails but for a write into space that was
/// reserved, which is a broken promise of the disk.
#[test]
fn no_act_that_finds_no_space_stops_the_member() {
    let mut survived = 0;
    for act in 1..50 {
        let world = World::new();
        let small = Settings {
            checkpoint_entries: 4,
            log: LogOptions { segment_bytes: 4096, ..LogOptions::default() },
            store: StoreOptions { segment_bytes: 1024, buffer_bytes: 128 },
            ..settings(4)
        };
        let member = world.start_as(small.clone()).unwrap();
        let before = world.disk.acts();
        world.disk.fail_at(act, Fault::NoSpace);
        let (mut acknowledged, mut is_broken) = (Vec::new(), false);
        for n in 0..10_000 {
            let answer = carry_out(&member, put(&name(n), 0));
            if answer.as_ref().is_err_and(|refused| !matches!(refused, Refused::State(_))) {
                let why = world.failures.1.recv_timeout(PATIENCE).unwrap();
                assert!(why.contains("cannot write ") || why.contains("cannot sync "), "{why}");
                is_broken = true;
                break;
            }
            if answer.is_ok() {
                acknowledged.push(name(n));
            }
            if world.disk.acts() > before + act + 20 {
                break;
            }
        }
        assert!(keys(&member).starts_with(&acknowledged), "act {act}");
        end(member);
        assert_eq!(told(&world), None, "act {act}");
        let member = world.start_as(small).unwrap();
        assert!(keys(&member).starts_with(&acknowledged), "act {act}, restarted");
        end(member);
        survived += u32::from(!is_broken);
    }
    // Most acts are writes into reserved space; which ones are not depends on how threads took turns.
    assert!(survived > 3, "the space was found in vain: only {survived} acts");
}

/// A full disk refuses what needs room and goes on with the rest; when there is room again, so does everything else, and
/// nothing that was acknowledged is lost.
#[test]
fn a_full_disk_refuses_puts_and_recovers() {
    let world = World::new();
    let member = world.start();
    world.disk.set_capacity(Some(used(&world)));
    let mut acknowledged = 0;
    let mut waiting = Vec::new();
    let began = std::time::Instant::now();
    let refused = loop {
        assert!(began.elapsed() < PATIENCE, "the disk never filled");
        match propose(&member, large(acknowledged)).recv_timeout(Duration::from_secs(1)) {
            Ok(Ok(_)) => acknowledged += 1,
            Ok(Err(refused)) => break refused,
            Err(_) => waiting.push(()),
        }
    };
    assert_eq!(refused, Refused::State(state::Refusal::NoSpace));
    world.disk.set_capacity(None);
    let answered = loop {
        assert!(began.elapsed() < 2 * PATIENCE, "room did not help: {:?}", world.failures.1.try_recv());
        match propose(&member, put("again", 0)).recv_timeout(Duration::from_secs(1)) {
            Ok(Ok(done)) => break done,
            _ => std::thread::yield_now(),
        }
    };
    assert!(answered.applied.result.is_ok());
    assert!(keys(&member).len() > acknowledged);
    member.stop();
}

/// Tries a put until it is carried out, while time goes on.
fn put_when_time_has_passed(member: &Member, world: &World, what: &str) {
    let mut patience = Patience::new(world);
    while is_no_space(&carry_out(member, put(what, 0))) {
        patience.spend(world);
        world.clock.advance(Duration::from_secs(1));
        std::thread::yield_now();
    }
}

/// A disk that was filled by puts gives its space back by deletions and a compaction alone, again and again: checkpoints let the
/// log go, what is dead is collected, and nothing waits for copies. No file system grows by itself.
#[test]
fn a_full_disk_gives_its_space_back_by_itself() {
    let world = World::new();
    // No checkpoint comes of itself, and the log would keep all entries for members that lag.
    let settings = Settings { log_entries_kept: 1_000_000, log_bytes_kept: 1 << 40, ..settings(1_000_000) };
    let mut member = world.start_as(settings.clone()).unwrap();
    world.disk.set_capacity(Some(used(&world) + 6_000_000));
    for round in 0..6 {
        let count = fill(&member, &world);
        // How many fit depends on how much had come back when the first did.
        assert!(count > 10, "only {count} puts in round {round}");
        if round % 2 == 1 {
            end(member);
            member = world.start_as(settings.clone()).unwrap();
        }
        let all = KeyRange::all();
        let revision = carry_out(&member, Command::DeleteRange(DeleteRange { range: all, prev_kv: false }));
        let revision = revision.unwrap().applied.revision;
        carry_out(&member, Command::Compact(Compact { revision, physical: true })).unwrap();
        put_when_time_has_passed(&member, &world, "again");
        assert_eq!(keys(&member), ["again"], "round {round}");
        let cut_short = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "tmp");
        let left = world.disk.files().into_keys().filter(cut_short).collect::<Vec<_>>();
        assert!(left.is_empty(), "{left:?} were left by tries that found no space");
    }
    end(member);
    assert_eq!(told(&world), None);
}

/// A full disk lets go of the log's part of what is in the store as well, though nothing is deleted and no checkpoint is due:
/// nobody has to free anything for that.
#[test]
fn a_full_disk_lets_go_of_the_log() {
    let world = World::new();
    let store = StoreOptions { segment_bytes: 1 << 23, ..StoreOptions::default() };
    let settings =
        Settings { log_entries_kept: 1_000_000, log_bytes_kept: 1 << 40, store, ..settings(1_000_000) };
    let member = world.start_as(settings).unwrap();
    carry_out(&member, put("first", 0)).unwrap();
    world.disk.set_capacity(Some(used(&world) + 13_000_000));
    let count = fill(&member, &world);
    assert!(count > 400, "{count}");
    put_when_time_has_passed(&member, &world, "more");
    end(member);
    assert_eq!(told(&world), None);
}

/// Few large entries bring a checkpoint as many small ones do, and the log keeps no more bytes of them than it is told to.
#[test]
fn checkpoints_are_due_by_bytes_too() {
    let world = World::new();
    let settings = Settings {
        checkpoint_bytes: 400_000,
        log_entries_kept: 1_000_000,
        log_bytes_kept: 600_000,
        // No segment of the store is ever full, so that no chore brings one.
        store: StoreOptions { segment_bytes: 1 << 23, ..StoreOptions::default() },
        ..settings(1_000_000)
    };
    let member = world.start_as(settings).unwrap();
    world.disk.set_capacity(None);
    for n in 0..1_000 {
        carry_out(&member, large(n)).unwrap();
    }
    let log = || {
        let files = world.disk.files();
        files
            .iter()
            .filter(|(path, _)| path.starts_with("/data/log"))
            .map(|(_, bytes)| bytes.len())
            .sum::<usize>()
    };
    let began = std::time::Instant::now();
    // Nothing waits for copies any more when the next checkpoints come.
    for _ in 0..4 {
        world.clock.advance(Duration::from_secs(types::limits::SUPERSEDED_SECONDS));
        (0..110).for_each(|_| drop(carry_out(&member, large(0)).unwrap()));
    }
    while log() > 3_000_000 {
        assert!(began.elapsed() < PATIENCE, "{} bytes of 6,000,000 are kept", log());
        std::thread::yield_now();
    }
    end(member);
    let member = world.start();
    assert_eq!(keys(&member).len(), 1_000);
    end(member);
}

/// Proposals that are not answered are limited in bytes, not only in number: five thousand of the largest would fill the memory. What
/// is refused can be tried again.
#[test]
fn proposals_are_limited_in_bytes() {
    let world = World::new();
    let member = world.start();
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    // The apply thread answers in order, and this answer is not taken before the end.
    member.propose(
        recorded(put("first", 0)),
        Box::new(move |_| {
            let _ = held.recv();
        }),
    );
    let value = Bytes::from(vec![b'x'; 1_500_000]);
    let huge = |n: usize| {
        let value = PutValue::Set(value.clone());
        Command::Put(Put { key: key(&name(n)), value, lease: PutLease::Set(LeaseId::NONE), prev_kv: false })
    };
    let answers: Vec<_> = (0..100).map(|n| propose(&member, huge(n))).collect();
    let fits = usize::try_from(types::limits::PROPOSALS_PENDING_BYTES_MAX / 1_500_000).unwrap();
    for (n, answer) in answers.iter().enumerate().skip(fits) {
        assert_eq!(answer.try_recv().expect("at once").unwrap_err(), Refused::TooManyRequests, "{n}");
    }
    drop(go_on);
    for answer in answers.iter().take(fits - 1) {
        answer.recv_timeout(PATIENCE).expect("an answer").unwrap();
    }
    carry_out(&member, huge(0)).unwrap();
    end(member);
}
