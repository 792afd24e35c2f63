//! A full disk: what needs room is refused, everything else goes on, and nothing acknowledged is lost.

use crate::world::{PATIENCE, World, key, keys, propose, put};
use bytes::Bytes;
use node::Refused;
use state::command::{Command, Put, PutLease, PutValue};
use std::time::Duration;
use types::LeaseId;

/// A full disk refuses what needs room and goes on with the rest; when there is room again, so does everything else, and
/// nothing that was acknowledged is lost.
#[test]
fn a_full_disk_refuses_puts_and_recovers() {
    let world = World::new();
    let member = world.start();
    let used: usize = world.disk.files().values().map(Vec::len).sum();
    world.disk.set_capacity(Some(used as u64));
    let large = |n: u32| {
        let value = PutValue::Set(Bytes::from(vec![b'x'; 4_000]));
        let name = format!("k{n:04}");
        Command::Put(Put { key: key(&name), value, lease: PutLease::Set(LeaseId::NONE), prev_kv: false })
    };
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
    assert!(keys(&member).len() > usize::try_from(acknowledged).unwrap());
    member.stop();
}
