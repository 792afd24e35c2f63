//! One member: consensus with its log, and apply, as step machines; the threads that drive them; the watch hub and the
//! lease clock beside them.
//!
//! Owns the [`Member`] handle, which is all that the edge sees. Takes recorded requests only. Knows no async runtime:
//! whoever waits hands in a [`Reply`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod batch;
mod codec;
mod confchange;
mod core;
mod counts;
mod error;
mod failure;
mod inbox;
mod input;
mod lease_clock;
mod member;
pub mod meter;
mod proposal;
mod shared;
mod start;
mod threads;
mod tokens;
pub mod watch;

pub use codec::{Unreadable, certificates as certificate_messages, own as own_messages};
pub use confchange::Malformed;
pub use counts::{Counts, Op, Timed};
pub use error::Refused;
pub use failure::Failure;
pub use member::{Gauges, Member, Role, Status};
pub use proposal::{Proposed, Reply};
pub use start::{Naming, Rollback, Settings, start};
