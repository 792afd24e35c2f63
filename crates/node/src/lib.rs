//! One member: consensus with its log, and apply, as step machines; the threads that drive them; the watch hub and the
//! lease clock beside them.
//!
//! Owns the [`Member`] handle, which is all that the edge sees. Takes recorded requests only. Knows no async runtime:
//! whoever waits hands in a [`Reply`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod codec;
mod confchange;
mod core;
mod counts;
mod error;
mod lease_clock;
mod member;
pub mod meter;
mod start;
mod threads;
pub mod watch;

pub use apply::Failure;
pub use codec::Unreadable;
pub use confchange::Malformed;
pub use counts::{Counts, Op, Timed};
pub use error::Refused;
pub use member::{Gauges, Member, Proposed, Reply, Role, Status};
pub use start::{Rollback, Settings, start};
