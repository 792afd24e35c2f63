//! The words of the house: newtypes for every number and byte string that has a meaning, and the limits.
//!
//! Owns the names that all rooms share, so that a revision is never mistaken for an index. Never does I/O, knows no
//! foreign format and no message of etcd's.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod id;
mod key;
pub mod limits;
mod revision;

pub use id::{AuthRevision, ClusterId, LeaseId, LogIndex, MemberId, RequestId, Term};
pub use key::{Key, KeyRange, RangeEnd};
pub use revision::{ModRevision, Revision};
