//! The replicated state machine: what every member computes alike from the same log.
//!
//! Owns the key space (`mvcc`), leases, alarms, membership, the access policy, and `apply`, which turns one committed
//! [`Command`] into effects and an [`Outcome`]. Never has time, randomness, threads, async or gRPC types: whatever it
//! needs is in the entry.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod access;
pub mod auth;
pub mod changes;
pub mod command;
mod error;
mod machine;
pub mod membership;
pub mod memory;
pub mod outcome;
pub mod query;
mod reader;

use memory as storage;

pub use changes::Changes;
pub use command::Command;
pub use error::{Error, Refusal};
pub use machine::{Machine, Sweep};
pub use outcome::{Applied, Outcome};
pub use reader::{LeaseView, Reader};
