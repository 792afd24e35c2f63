//! A whole member on a simulated disk.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "patience with the threads of a member takes real time")]

mod copies;
mod full_disk;
mod member;
mod world;
