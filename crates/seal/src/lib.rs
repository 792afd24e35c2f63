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

mod aead;
mod error;
mod hex;
mod identity;
mod key_file;
mod keyring;
mod once;
mod provider;
mod secret;
mod segment;

pub use error::Error;
pub use identity::Identity;
pub use key_file::{KeyFile, find_key_file};
pub use keyring::{Keyring, KeyringHead};
pub use provider::{KeyId, KeyProvider, PROVIDER_KEY_FILE};
pub use secret::Secret;
pub use segment::{
    END_RECORD_BYTES, Extent, HEAD_BYTES, HEADER_BYTES, Opened, Purpose, RECORD_BYTES_MAX, RECORD_OVERHEAD,
    RecordHead, Sealer, SegmentHeader, SegmentKey, TAG_BYTES, Walk, open_file, seal_file,
};
