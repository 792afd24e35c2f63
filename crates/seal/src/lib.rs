//! Keys and sealed records: the only crate that encrypts at rest.
//!
//! Owns the key hierarchy (key file or other provider → root key → data keys by purpose and epoch → segment keys) and the
//! sealed segment, in which everything durable is written. Never knows what it seals, never chooses a path except the
//! name of a key file, never serves a byte that does not authenticate. Formats: docs/formats/sealed-segment.md,
//! keyring.md, key-file.md.
//!
//! Start reading at `segment/mod.rs`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod identity;
mod provider;

pub use error::Error;
pub use identity::Identity;
pub use provider::{KeyFile, KeyId, KeyProvider, find_key_file};
