//! The segment's header, and what each segment is for.

use crate::aead::Derivation;
use crate::{Error, Identity, Secret};
use types::{ClusterId, MemberId};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 128;
/// Bytes of the header that go into the derivation: all before the commitment.
pub(super) const BOUND_BYTES: usize = 96;

const MAGIC: &[u8; 8] = b"SRSEGMNT";
const VERSION: u16 = 1;
const ALGORITHM: u8 = 1;
const WHAT: &str = "segment header";

/// What a segment is for; each has its own data keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The raft log; chained.
    Log = 1,
    /// The record store.
    Store = 2,
    /// The audit log; chained.
    Audit = 3,
    /// Backups.
    Backup = 4,
    /// The manifest.
    Manifest = 5,
    /// Checkpoints of the key index.
    Index = 6,
    /// The freshness mark.
    Freshness = 7,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Log, Self::Store, Self::Audit, Self::Backup, Self::Manifest, Self::Index, Self::Freshness];

    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Store => "store",
            Self::Audit => "audit",
            Self::Backup => "backup",
            Self::Manifest => "manifest",
            Self::Index => "index",
            Self::Freshness => "freshness",
        }
    }

    /// Whether each record is bound to the one before.
    #[must_use]
    pub fn is_chained(self) -> bool {
        matches!(self, Self::Log | Self::Audit)
    }

    pub(crate) fn decode(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| *purpose as u8 == number)
    }
}

/// What a header says before its commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// What the segment is for.
    pub purpose: Purpose,
    /// The epoch of its data key.
    pub epoch: u32,
    /// Whose it is.
    pub identity: Identity,
    /// Its number.
    pub number: u64,
    /// Its salt.
    pub salt: [u8; 32],
}

/// What is derived for a segment: its key, and the commitment that its header carries.
pub(super) struct Derived {
    pub(super) key: Secret,
    pub(super) commitment: [u8; 32],
}

impl SegmentHeader {
    /// Reads a header without believing it: nothing in it is authenticated yet.
    ///
    /// # Errors
    /// Bytes that are no header of this version.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        let malformed = |why| Error::Malformed { what: WHAT, why };
        let rest = bytes.strip_prefix(MAGIC).ok_or(malformed("it does not begin like one"))?;
        let cut = malformed("cut short");
        let Some((version, rest)) = rest.split_first_chunk() else { return Err(cut) };
        let Some(([algorithm, purpose], rest)) = rest.split_first_chunk() else { return Err(cut) };
        let Some((epoch, rest)) = rest.split_first_chunk() else { return Err(cut) };
        let Some((cluster, rest)) = rest.split_first_chunk() else { return Err(cut) };
        let Some((member, rest)) = rest.split_first_chunk() else { return Err(cut) };
        let Some((number, rest)) = rest.split_first_chunk() else { return Err(cut) };
        let Some((salt, rest)) = rest.split_first_chunk::<32>() else { return Err(cut) };
        let Some((reserved, _commitment)) = rest.split_first_chunk::<24>() else { return Err(cut) };
        let version = u16::from_be_bytes(*version);
        if version != VERSION {
            return Err(Error::Version { what: WHAT, version });
        }
        if *algorithm != ALGORITHM {
            return Err(malformed("an unknown algorithm"));
        }
        if *reserved != [0; 24] {
            return Err(malformed("its reserved bytes are not zero"));
        }
        Ok(Self {
            purpose: Purpose::decode(*purpose).ok_or(malformed("an unknown purpose"))?,
            epoch: u32::from_be_bytes(*epoch),
            identity: Identity {
                cluster: ClusterId(u64::from_be_bytes(*cluster)),
                member: MemberId(u64::from_be_bytes(*member)),
            },
            number: u64::from_be_bytes(*number),
            salt: *salt,
        })
    }

    /// The header's bytes before the commitment.
    pub(super) fn bound(&self) -> [u8; BOUND_BYTES] {
        let mut out = [0; BOUND_BYTES];
        let parts = MAGIC
            .iter()
            .copied()
            .chain(VERSION.to_be_bytes())
            .chain([ALGORITHM, self.purpose as u8])
            .chain(self.epoch.to_be_bytes())
            .chain(self.identity.cluster.0.to_be_bytes())
            .chain(self.identity.member.0.to_be_bytes())
            .chain(self.number.to_be_bytes())
            .chain(self.salt);
        out.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        out
    }

    pub(super) fn derive(&self, data_key: &Secret) -> Derived {
        let bound = self.bound();
        let derivation = Derivation::new(&self.salt, data_key);
        Derived {
            key: derivation.key(&[b"strongroom segment key v1", &bound]),
            commitment: derivation.public(&[b"strongroom segment commitment v1", &bound]),
        }
    }
}
