//! Every sealed text that a disk is asked to keep, by its key and nonce; the same pair with another text is refused.
//!
//! A segment's key comes from its header, and a record's nonce is its place in the file, as docs/formats say and the vectors
//! there hold the code to. So whoever sees the writes, those that fail or are lost among them, knows what was sealed with what.

use env::sim::{Write, WriteObserver};
use seal::{HEADER_BYTES, RecordHead};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

/// Salt and commitment, which stand for the key of a box.
const BOX_KEY_BYTES: usize = 64;
/// A keyring before its first wrap, and a wrap's provider and key id.
const KEYRING_HEAD_BYTES: usize = 28;
const WRAP_HEAD_BYTES: usize = 9;

/// What stands for a key, and a nonce.
type Pair = (Vec<u8>, u64);

/// What was sealed.
#[derive(Debug, Default)]
pub(crate) struct Seals(Mutex<BTreeMap<Pair, Vec<u8>>>);

impl Seals {
    /// How many texts were sealed.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn seal(&self, path: &Path, key: &[u8], nonce: u64, text: &[u8]) {
        let mut all = self.0.lock().unwrap();
        let sealed = all.entry((key.to_vec(), nonce)).or_insert_with(|| text.to_vec());
        assert!(sealed == text, "{}: nonce {nonce} seals a second text", path.display());
    }

    /// The records in a write to a segment.
    fn records(&self, Write { path, before, offset, bytes, .. }: &Write<'_>) {
        let mut at = if *offset == 0 { HEADER_BYTES } else { 0 };
        let header = &(if *offset == 0 { *bytes } else { *before })[..HEADER_BYTES];
        while at < bytes.len() {
            let head = RecordHead::decode(bytes[at..].first_chunk().unwrap()).unwrap().unwrap();
            let end = at + head.record_bytes();
            self.seal(path, header, offset + at as u64, &bytes[at..end]);
            at = end;
        }
    }

    /// The boxes in a keyring.
    fn boxes(&self, path: &Path, bytes: &[u8]) {
        let mut rest = &bytes[KEYRING_HEAD_BYTES..];
        for _ in 0..bytes[11] {
            let wrap = &rest[WRAP_HEAD_BYTES..];
            let len = usize::from(u16::from_be_bytes(*wrap.first_chunk().unwrap()));
            let (wrap, after) = wrap[2..].split_at(len);
            self.a_box(path, wrap);
            rest = after;
        }
        self.a_box(path, &rest[4..]);
    }

    fn a_box(&self, path: &Path, bytes: &[u8]) {
        let (key, text) = bytes.split_at(BOX_KEY_BYTES);
        self.seal(path, key, 0, text);
    }
}

impl WriteObserver for Seals {
    fn sees(&self, write: &Write<'_>) {
        let path = write.path;
        assert!(!write.is_inherited, "{} is written to by another than who began it", path.display());
        match path.file_name().and_then(|name| name.to_str()) {
            Some("keyring.tmp") => self.boxes(path, write.bytes),
            _ => self.records(write),
        }
    }
}
