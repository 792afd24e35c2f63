//! The hash over effects by which members find out that they diverged, from the first day of a cluster on.
//!
//! Owns its definition. CRC-32C runs over all effects since the cluster began, in order:
//!
//! ```text
//! for each effect of the entry at log index i:   i u64 · kind u8 · length u32 (big-endian) · payload
//! ```
//!
//! where effects are the records of `record`. A window ends with each log index that is a multiple of 1,000; the value
//! after the last effect at or before it is that window's [`Checkmark`], and running goes on from there. So two members
//! with equal checkmarks had equal effects, and the first unequal one names the thousand entries to look at.
//!
//! Invariant: nothing member-specific is an effect (no time, no position in a file, no size of a cache).

use types::LogIndex;

/// How many log indexes one checkmark covers.
pub const WINDOW_ENTRIES: u64 = 1_000;

/// The hash at the end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkmark {
    /// The last log index it covers.
    pub index: LogIndex,
    /// The hash over all effects up to there.
    pub hash: u32,
}

/// The running hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EffectsHash {
    index: LogIndex,
    running: u32,
    last: Option<Checkmark>,
}

/// Bytes of [`EffectsHash::encode`].
const ENCODED_BYTES: usize = 8 + 4 + 8 + 4;

impl EffectsHash {
    /// Says that the effects to come are of the entry at `index`.
    pub(crate) fn begin(&mut self, index: LogIndex) {
        let window_end = LogIndex(index.0.saturating_sub(1) / WINDOW_ENTRIES * WINDOW_ENTRIES);
        if self.index <= window_end
            && window_end > LogIndex(0)
            && self.last.is_none_or(|last| last.index < window_end)
        {
            self.last = Some(Checkmark { index: window_end, hash: self.running });
        }
        self.index = index;
    }

    /// Adds an effect.
    pub(crate) fn add(&mut self, kind: u8, payload: &[u8]) {
        let mut head = [0u8; 13];
        head[..8].copy_from_slice(&self.index.0.to_be_bytes());
        head[8] = kind;
        head[9..].copy_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.running = crc32c::crc32c_append(crc32c::crc32c_append(self.running, &head), payload);
    }

    /// Says that the entry at `index` is done.
    pub(crate) fn end(&mut self, index: LogIndex) {
        if index.0.is_multiple_of(WINDOW_ENTRIES) {
            self.last = Some(Checkmark { index, hash: self.running });
        }
    }

    /// The last finished window.
    pub(crate) fn last(&self) -> Option<Checkmark> {
        self.last
    }

    /// The running value: it covers everything up to now.
    pub(crate) fn running(&self) -> u32 {
        self.running
    }

    /// For the checkpoint: what [`EffectsHash::decode`] needs to go on.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let last = self.last.unwrap_or(Checkmark { index: LogIndex(0), hash: 0 });
        let mut out = Vec::with_capacity(ENCODED_BYTES);
        out.extend_from_slice(&self.index.0.to_be_bytes());
        out.extend_from_slice(&self.running.to_be_bytes());
        out.extend_from_slice(&last.index.0.to_be_bytes());
        out.extend_from_slice(&last.hash.to_be_bytes());
        out
    }

    /// Goes on from a checkpoint.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (index, rest) = bytes.split_first_chunk::<8>()?;
        let (running, rest) = rest.split_first_chunk::<4>()?;
        let (last_index, rest) = rest.split_first_chunk::<8>()?;
        let (last_hash, rest) = rest.split_first_chunk::<4>()?;
        let last = Checkmark {
            index: LogIndex(u64::from_be_bytes(*last_index)),
            hash: u32::from_be_bytes(*last_hash),
        };
        rest.is_empty().then(|| Self {
            index: LogIndex(u64::from_be_bytes(*index)),
            running: u32::from_be_bytes(*running),
            last: Some(last).filter(|last| last.index > LogIndex(0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, computed by hand: what two versions of this program must agree on.
    #[test]
    fn the_hash_is_what_its_definition_says() {
        let mut hash = EffectsHash::default();
        hash.begin(LogIndex(1000));
        hash.add(7, b"xy");
        hash.end(LogIndex(1000));
        let expected = crc32c::crc32c(b"\0\0\0\0\0\0\x03\xe8\x07\0\0\0\x02xy");
        assert_eq!(hash.last(), Some(Checkmark { index: LogIndex(1000), hash: expected }));
    }

    /// A window is marked even when the entry at its end never came by (it was a snapshot's), and marks do not depend on
    /// where a checkpoint cut the run.
    #[test]
    fn checkmarks_survive_gaps_and_checkpoints() {
        let mut whole = EffectsHash::default();
        let mut cut = EffectsHash::default();
        for index in [1, 999, 1001, 2000, 2001, 5000, 7001].map(LogIndex) {
            for hash in [&mut whole, &mut cut] {
                hash.begin(index);
                hash.add(1, &index.0.to_be_bytes());
                hash.end(index);
            }
            cut = EffectsHash::decode(&cut.encode()).unwrap();
            assert_eq!(whole, cut);
        }
        assert_eq!(whole.last().map(|mark| mark.index), Some(LogIndex(7000)));
        assert_eq!(EffectsHash::decode(&whole.encode()[1..]), None);
    }
}
