//! The binary as people run it: what it makes, what it says, how it ends.
#![allow(clippy::unwrap_used)]

mod anew;
mod enroll;
mod memory;
mod naming;
mod options;
mod place;
mod rollback;
mod scrub;
mod torn;
mod verify;
