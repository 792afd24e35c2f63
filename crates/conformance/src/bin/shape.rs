//! `shape`: gives the store of a stopped member the shape of a large one, on a disk that has not the room for it.
//!
//! Every record is applied, sealed, written and indexed as a member does it; then the middle of each finished segment, which a
//! start does not read, is given back to the file system as a hole. What is left are as many segments, of the same lengths, with
//! the same indexes and manifests. A value that lay in a hole cannot be read any more: this is for measuring starts. No log is
//! written, so the member goes on as from a snapshot.
#![forbid(unsafe_code)]

use bytes::Bytes;
use clap::Parser;
use env::Env;
use rustix::fs::{FallocateFlags, fallocate};
use state::CollectionLimits;
use state::command::{Command, Put, PutLease, PutValue};
use state::machine::Machine;
use std::collections::BTreeSet;
use std::path::PathBuf;
use storage::{DataDir, Keys, Store, StoreOptions};
use types::{Key, LeaseId};

/// Give a stopped member's store the shape of a large one.
#[derive(Parser)]
struct Arguments {
    /// The data directory.
    data: PathBuf,
    /// The directory of its key.
    keys: PathBuf,
    /// How many keys.
    #[arg(long)]
    records: u64,
    /// Bytes of each value.
    #[arg(long)]
    value: usize,
}

type Failure = Box<dyn std::error::Error>;

/// What stays at both ends of a segment.
const ENDS: u64 = 4096;
/// The newest segments stay whole: a start reads what only one of the two manifests lists.
const WHOLE: usize = 4;

fn main() -> Result<(), Failure> {
    let Arguments { data, keys, records, value } = Arguments::parse();
    let dir = DataDir::open(&Env::real(), &data, None, Keys::Files(&[keys]))?;
    let options = StoreOptions::default();
    let segment_records = options.segment_bytes / (value as u64).max(1);
    let mut machine = Machine::open(Store::open(&dir, options)?, 0)?;
    machine.discard_leftovers()?;
    let (conf_state, (mut index, term)) = (machine.conf_state(), machine.applied());
    let value = Bytes::from(vec![0x5a; value]);
    let mut hollow = BTreeSet::new();
    for n in 1..=records {
        index = index.next();
        drop(machine.apply(index, term, put(n, &value)?)?);
        drop(machine.take_changes());
        if n % segment_records == 0 || n == records {
            tend(&mut machine, &conf_state)?;
            hollow_out(&data.join("store"), &mut hollow)?;
        }
    }
    tend(&mut machine, &conf_state)?;
    println!("{records} records, {} hollow segments", hollow.len());
    Ok(())
}

fn put(n: u64, value: &Bytes) -> Result<Command, Failure> {
    let key = Key::new(Bytes::from(format!("/registry/shaped/{n:015}"))).ok_or("an empty key")?;
    let (value, lease) = (PutValue::Set(value.clone()), PutLease::Set(LeaseId::NONE));
    Ok(Command::Put(Put { key, value, lease, prev_kv: false }))
}

/// Writes the indexes that are due, and a manifest.
fn tend(machine: &mut Machine, conf_state: &Bytes) -> Result<(), Failure> {
    while let Some(chore) = machine.begin_chore(CollectionLimits::default())? {
        machine.end_chore(chore.run(|_| {})?)?;
    }
    machine.checkpoint(conf_state.clone())?.run()?;
    Ok(())
}

/// Makes holes of the segments that have an index, the newest apart.
fn hollow_out(store: &std::path::Path, hollow: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
    let names = std::fs::read_dir(store)?.map(|entry| entry.map(|entry| entry.path()));
    let mut indexed: Vec<_> = names.collect::<Result<_, _>>()?;
    indexed.retain(|path| path.extension().is_some_and(|extension| extension == "index"));
    indexed.sort();
    for index in indexed.iter().rev().skip(WHOLE) {
        let segment = index.with_extension("store");
        if hollow.contains(&segment) {
            break;
        }
        let file = std::fs::OpenOptions::new().write(true).open(&segment)?;
        let middle = file.metadata()?.len().saturating_sub(2 * ENDS);
        if middle > 0 {
            fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, ENDS, middle)?;
        }
        hollow.insert(segment);
    }
    Ok(())
}
