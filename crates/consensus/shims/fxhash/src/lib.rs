//! Stands in for the unmaintained `fxhash` crate: the same hasher's kept successor.
#![forbid(unsafe_code)]

pub use rustc_hash::FxHasher;
