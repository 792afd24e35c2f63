//! Consensus: the raft library behind our own words.
//!
//! Owns the choice of library and every trap of it; the only crate that names it. A step machine: proposals, messages,
//! ticks and completed writes go in, [`Ready`] comes out. Never has a clock, a thread or a disk: time is an abstract tick,
//! the log is read through [`LogRead`], and whatever must be durable is somebody else's to write.
//!
//! The traps, each with its guard and its test here: a commit below what the store has applied, or a log that does not
//! meet the store, panics in the library (raised or refused at start); so does much that a peer may send (refused before
//! `step`, see `admit`), a log that fails to be read, and a leader that has removed itself (it steps down); the library
//! draws election timeouts from a thread's generator (replaced from outside); it takes etcd's "update member" for "add"
//! (translated, see `confchange`); it forgets unconfirmed reads (the caller asks again); a first start needs etcd's
//! bootstrap entries (made by [`bootstrap`]).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admit;
mod bootstrap;
mod confchange;
mod core;
mod error;
mod log;
#[cfg(test)]
mod testing;
mod words;

pub use crate::core::{Consensus, Position, Ready, Role, Settings};
pub use bootstrap::{Founder, bootstrap};
pub use error::Error;
pub use log::{LogError, LogRead};
pub use words::{ConfState, Entry, EntryKind, HardState, Message};
