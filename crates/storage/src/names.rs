//! The names in a data directory.
//!
//! ```text
//! keyring · manifest-<generation, 16 hex> · log/<number, 16 hex>.log · store/<number, 8 hex>.store, .index
//! keys/strongroom-<key id, 16 hex>.key, only where there is no place outside
//! ```
//!
//! A name that ends in `.tmp` is a replacement that was cut short: it is never read.

use std::path::{Path, PathBuf};

pub(crate) const KEYRING: &str = "keyring";
pub(crate) const LOG: &str = "log";
pub(crate) const STORE: &str = "store";
/// Where the key lies when there is no place outside: an empty volume mounted as the data directory.
pub(crate) const KEYS: &str = "keys";
const MANIFEST: &str = "manifest-";

pub(crate) fn manifest(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{MANIFEST}{generation:016x}"))
}

pub(crate) fn log_segment(dir: &Path, number: u32) -> PathBuf {
    dir.join(LOG).join(format!("{number:016x}.log"))
}

pub(crate) fn store_segment(dir: &Path, number: u32) -> PathBuf {
    dir.join(STORE).join(format!("{number:08x}.store"))
}

pub(crate) fn store_index(dir: &Path, number: u32) -> PathBuf {
    dir.join(STORE).join(format!("{number:08x}.index"))
}

pub(crate) fn parse_manifest(name: &str) -> Option<u64> {
    hex(name.strip_prefix(MANIFEST)?, 16)
}

pub(crate) fn parse_log_segment(name: &str) -> Option<u32> {
    hex(name.strip_suffix(".log")?, 16)?.try_into().ok()
}

pub(crate) fn parse_store_segment(name: &str) -> Option<u32> {
    hex(name.strip_suffix(".store")?, 8)?.try_into().ok()
}

pub(crate) fn parse_store_index(name: &str) -> Option<u32> {
    hex(name.strip_suffix(".index")?, 8)?.try_into().ok()
}

/// Whether a name at the top of the directory can be there before the keyring is: what a creation cut short leaves.
pub(crate) fn is_of_creation(name: &str) -> bool {
    [LOG, STORE, KEYS, "lost+found"].contains(&name) || parse_manifest(name).is_some() || is_temporary(name)
}

/// Whether a name is a replacement that was cut short.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.strip_suffix(".tmp").is_some_and(|name| name == KEYRING || parse_manifest(name).is_some())
}

fn hex(digits: &str, count: usize) -> Option<u64> {
    let is_ours = digits.len() == count && digits.bytes().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'));
    if is_ours { u64::from_str_radix(digits, 16).ok() } else { None }
}
