//! What is durable: the data directory, its manifest, the sealed log and the sealed record store.
//!
//! Owns files: which there are, in what order they are written and synced, what is believed after a crash. Never
//! interprets a command or a record's payload, never holds a key. Formats: docs/formats/manifest.md, log.md, store.md.
//!
//! Start reading at `dir.rs`, then `log/mod.rs` and `store/mod.rs`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ahead;
mod codec;
mod dir;
mod error;
mod file;
mod freshness;
mod log;
mod manifest;
mod names;
mod store;
mod superseded;
pub mod verify;

pub use dir::{DataDir, Found, Keys};
pub use error::Error;
pub use freshness::{Freshness, FreshnessMark, Mark};
pub use log::{Log, LogBatch, LogOptions, LogPosition, LogReader, LogWriter, Recovered, TornTail};
pub use seal::{Identity, KeyFile, KeyId, KeyProvider, RECORD_OVERHEAD};
pub use store::{
    Checkpoint, Durable, Gather, Indexed, Indexing, PendingCheckpoint, Position, RecordKind, Replaced,
    Replayed, Rewriting, Rewritten, SegmentNumber, SegmentUse, Store, StoreOptions, StoreReader,
    SupersededFiles,
};
