//! The replicated state machine: what every member computes alike from the same log.
//!
//! Owns the key space (`mvcc`), leases, alarms, membership, the access policy, the register of certificates, and `apply`, which turns one committed
//! [`Command`] into effects and an [`Outcome`]. Never has time, randomness, threads, async or gRPC types: whatever it
//! needs is in the entry.
//!
//! Start reading at `apply.rs`; then `mvcc/mod.rs`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod apply_access;
mod apply_membership;
mod apply_pki;
pub mod auth;
pub mod changes;
mod chore;
mod collect;
pub mod command;
mod effects_hash;
mod error;
mod gathered;
mod journal;
mod leases;
mod list;
mod lock;
pub mod machine;
pub mod membership;
mod mvcc;
pub mod outcome;
mod pair;
pub mod pki;
pub mod query;
pub mod quota;
mod reader;
mod record;
mod restore;
mod shared;
mod tally;
#[cfg(test)]
mod testing;

pub use changes::Changes;
pub use chore::{Chore, ChoreDone};
pub use collect::{CollectionLimits, Room};
pub use command::Command;
pub use effects_hash::{Checkmark, WINDOW_ENTRIES};
pub use error::{Error, Refusal};
pub use journal::WhenFull;
pub use list::{Hold, List, Looked, Totals};
pub use machine::{Machine, Sweep};
pub use outcome::{Applied, Outcome};
pub use reader::{LeaseView, Reader};
pub use tally::Tallied;
