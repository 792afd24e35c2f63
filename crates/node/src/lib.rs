//! One member: consensus with its log, and apply, as step machines; the threads that drive them; the watch hub and the
//! lease clock beside them.
//!
//! Owns the [`Member`] handle, which is all that the edge sees. Takes recorded requests only. Knows no async runtime:
//! whoever waits hands in a [`Reply`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod member;
pub mod watch;

pub use error::Refused;
pub use member::{Consistency, Member, Proposed, Reply, Role, Status};
