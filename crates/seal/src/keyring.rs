//! The keyring: a member's root key, and its data keys by purpose and epoch (docs/formats/keyring.md).
//!
//! Invariants: every purpose has a key; the highest epoch seals, all open; the blob opens only for the identity in its
//! clear head, and only whole.

use crate::provider::{KeyId, KeyProvider};
use crate::segment::Purpose;
use crate::{Error, Identity, Secret, once};
use env::Random;
use std::collections::BTreeMap;
use types::{ClusterId, MemberId};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"SRKEYRNG";
const VERSION: u16 = 1;
const ALGORITHM: u8 = 1;
const LABEL: &[u8] = b"strongroom keyring v1";
const WHAT: &str = "keyring";
const WRAPS_MAX: u8 = 8;
const WRAP_BYTES_MAX: usize = 4096;
const BODY_BYTES_MAX: usize = 65_536;
/// Bytes of one key in the body: purpose, epoch, key.
const KEY_BYTES: usize = 1 + 4 + 32;

/// What a keyring says in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringHead {
    /// Whose it is.
    pub identity: Identity,
    /// The keys that its root key is wrapped with: (kind of provider, key id).
    pub wraps: Vec<(u8, KeyId)>,
}

impl KeyringHead {
    /// The key that is named first.
    #[must_use]
    pub fn first_key(&self) -> KeyId {
        self.wraps.first().map_or(KeyId([0; 8]), |(_, id)| *id)
    }

    /// Reads the clear part.
    ///
    /// # Errors
    /// Bytes that are no keyring.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let parts = Parts::decode(bytes)?;
        let wraps = parts.wraps.iter().map(|wrap| (wrap.kind, wrap.id)).collect();
        Ok(Self { identity: parts.identity, wraps })
    }
}

/// The keys of a member, open.
#[derive(Debug)]
pub struct Keyring {
    identity: Identity,
    root: Secret,
    keys: BTreeMap<(Purpose, u32), Secret>,
}

impl Keyring {
    /// New keys for a new member.
    #[must_use]
    pub fn generate(identity: Identity, random: &dyn Random) -> Self {
        let keys = Purpose::ALL.into_iter().map(|purpose| ((purpose, 1), Secret::random(random))).collect();
        Self { identity, root: Secret::random(random), keys }
    }

    /// Whose they are.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The keyring as it lies on disk, its root key wrapped by each of `providers`.
    ///
    /// # Errors
    /// A provider's failure; no provider or too many.
    pub fn encode(&self, providers: &[&dyn KeyProvider], random: &dyn Random) -> Result<Vec<u8>, Error> {
        let count = u8::try_from(providers.len()).ok().filter(|count| (1..=WRAPS_MAX).contains(count));
        let count =
            count.ok_or(Error::Malformed { what: WHAT, why: "between 1 and 8 key providers are needed" })?;
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&[ALGORITHM, count]);
        out.extend_from_slice(&self.identity.cluster.0.to_be_bytes());
        out.extend_from_slice(&self.identity.member.0.to_be_bytes());
        for provider in providers {
            let wrapped = provider.wrap(&self.root, self.identity, random)?;
            let len = u16::try_from(wrapped.len()).ok().filter(|len| usize::from(*len) <= WRAP_BYTES_MAX);
            let limit = Error::TooLarge { bytes: wrapped.len(), limit: WRAP_BYTES_MAX };
            out.push(provider.kind());
            out.extend_from_slice(&provider.key_id().0);
            out.extend_from_slice(&len.ok_or(limit)?.to_be_bytes());
            out.extend_from_slice(&wrapped);
        }
        let sealed = once::seal(&self.root, LABEL, &out, &self.body(), random);
        let len = u32::try_from(sealed.len()).ok().filter(|_| sealed.len() <= BODY_BYTES_MAX);
        let limit = Error::TooLarge { bytes: sealed.len(), limit: BODY_BYTES_MAX };
        out.extend_from_slice(&len.ok_or(limit)?.to_be_bytes());
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Opens a keyring with a provider that wrapped it.
    ///
    /// # Errors
    /// Bytes that are no keyring, were changed, or that the provider's key did not wrap.
    pub fn open(bytes: &[u8], provider: &dyn KeyProvider) -> Result<Self, Error> {
        let parts = Parts::decode(bytes)?;
        let wrap =
            parts.wraps.iter().find(|wrap| (wrap.kind, wrap.id) == (provider.kind(), provider.key_id()));
        let wrap = wrap.ok_or(Error::Tampered { what: WHAT })?;
        let root = provider.unwrap(wrap.wrapped, parts.identity)?;
        let body = once::open(&root, LABEL, parts.context, parts.body, WHAT)?;
        Ok(Self { identity: parts.identity, root, keys: decode_body(&body)? })
    }

    /// The epoch that seals for `purpose`, with its key.
    pub(crate) fn sealing(&self, purpose: Purpose) -> Result<(u32, &Secret), Error> {
        let newest = self.keys.range((purpose, 0)..=(purpose, u32::MAX)).next_back();
        let ((_, epoch), key) = newest.ok_or(Error::Epoch { purpose: purpose.name(), epoch: 0 })?;
        Ok((*epoch, key))
    }

    /// The key of an epoch.
    pub(crate) fn opening(&self, purpose: Purpose, epoch: u32) -> Result<&Secret, Error> {
        self.keys.get(&(purpose, epoch)).ok_or(Error::Epoch { purpose: purpose.name(), epoch })
    }

    fn body(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Zeroizing::new(Vec::with_capacity(2 + self.keys.len() * KEY_BYTES));
        let count = u16::try_from(self.keys.len()).unwrap_or(u16::MAX);
        body.extend_from_slice(&count.to_be_bytes());
        for ((purpose, epoch), key) in &self.keys {
            body.push(*purpose as u8);
            body.extend_from_slice(&epoch.to_be_bytes());
            body.extend_from_slice(key.expose());
        }
        body
    }
}

fn decode_body(body: &[u8]) -> Result<BTreeMap<(Purpose, u32), Secret>, Error> {
    let malformed = |why| Error::Malformed { what: WHAT, why };
    let (count, rest) = body.split_first_chunk::<2>().ok_or(malformed("cut short"))?;
    if rest.len() != usize::from(u16::from_be_bytes(*count)).saturating_mul(KEY_BYTES) {
        return Err(malformed("its number of keys is wrong"));
    }
    let mut keys = BTreeMap::new();
    let mut last = None;
    for key in rest.chunks_exact(KEY_BYTES) {
        let ([purpose], key) = key.split_first_chunk::<1>().ok_or(malformed("cut short"))?;
        let (epoch, key) = key.split_first_chunk::<4>().ok_or(malformed("cut short"))?;
        let place = (
            Purpose::decode(*purpose).ok_or(malformed("a key of an unknown purpose"))?,
            u32::from_be_bytes(*epoch),
        );
        if place.1 == 0 || last.is_some_and(|last| last >= place) {
            return Err(malformed("its keys are not in order"));
        }
        last = Some(place);
        let key = key.try_into().map_err(|_| malformed("cut short"))?;
        keys.insert(place, Secret::new(key));
    }
    let whole = Purpose::ALL.into_iter().all(|wanted| keys.keys().any(|(purpose, _)| *purpose == wanted));
    if whole { Ok(keys) } else { Err(malformed("a purpose has no key")) }
}

struct Wrap<'a> {
    kind: u8,
    id: KeyId,
    wrapped: &'a [u8],
}

/// The blob taken apart, nothing opened yet.
struct Parts<'a> {
    identity: Identity,
    wraps: Vec<Wrap<'a>>,
    context: &'a [u8],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |why| Error::Malformed { what: WHAT, why };
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(malformed("it does not begin like one"))?;
        let version = u16::from_be_bytes(take(&mut rest)?);
        if version != VERSION {
            return Err(Error::Version { what: WHAT, version });
        }
        let [algorithm, count] = take(&mut rest)?;
        if algorithm != ALGORITHM {
            return Err(malformed("an unknown algorithm"));
        }
        if !(1..=WRAPS_MAX).contains(&count) {
            return Err(malformed("its number of wraps is out of range"));
        }
        let cluster = ClusterId(u64::from_be_bytes(take(&mut rest)?));
        let member = MemberId(u64::from_be_bytes(take(&mut rest)?));
        let mut wraps = Vec::new();
        for _ in 0..count {
            let [kind] = take(&mut rest)?;
            let id = KeyId(take(&mut rest)?);
            let len = usize::from(u16::from_be_bytes(take(&mut rest)?));
            let (wrapped, after) = rest.split_at_checked(len).ok_or(malformed("cut short"))?;
            if len > WRAP_BYTES_MAX {
                return Err(malformed("a wrap is too long"));
            }
            wraps.push(Wrap { kind, id, wrapped });
            rest = after;
        }
        let context =
            bytes.len().checked_sub(rest.len()).and_then(|len| bytes.get(..len)).unwrap_or_default();
        let len = u32::from_be_bytes(take(&mut rest)?);
        if usize::try_from(len) != Ok(rest.len()) || rest.len() > BODY_BYTES_MAX {
            return Err(malformed("its length is wrong"));
        }
        Ok(Self { identity: Identity { cluster, member }, wraps, context, body: rest })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (taken, after) = rest.split_first_chunk().ok_or(Error::Malformed { what: WHAT, why: "cut short" })?;
    *rest = after;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyFile;
    use env::Env;
    use std::path::Path;

    fn made() -> (Keyring, KeyFile, Vec<u8>) {
        let (env, ..) = Env::simulated(2);
        let identity = Identity { cluster: ClusterId(0xc1), member: MemberId(0x3e) };
        let provider = KeyFile::create(&*env.disk, Path::new("/"), &*env.random).unwrap();
        let keyring = Keyring::generate(identity, &*env.random);
        let bytes = keyring.encode(&[&provider], &*env.random).unwrap();
        (keyring, provider, bytes)
    }

    /// The keys that come back are the keys that were written: everything on disk hangs on them.
    #[test]
    fn keys_survive_the_round_trip() {
        let (keyring, provider, bytes) = made();
        let opened = Keyring::open(&bytes, &provider).unwrap();
        assert_eq!(opened.identity(), keyring.identity());
        assert_eq!(*opened.body(), *keyring.body());
        let head = KeyringHead::decode(&bytes).unwrap();
        assert_eq!((head.identity, head.wraps), (keyring.identity(), vec![(1, provider.key_id())]));
    }

    /// No byte of the blob can be changed or cut unseen, in the clear head neither: it binds the identity.
    #[test]
    fn every_changed_byte_is_refused() {
        let (_, provider, bytes) = made();
        for at in 0..bytes.len() {
            assert!(Keyring::open(&bytes[..at], &provider).is_err(), "cut to {at}");
            for bit in [1, 0x80] {
                let mut flipped = bytes.clone();
                flipped[at] ^= bit;
                assert!(Keyring::open(&flipped, &provider).is_err(), "byte {at}");
            }
        }
        let longer = [bytes, vec![0]].concat();
        assert!(Keyring::open(&longer, &provider).is_err());
    }

    /// Any of several providers opens the same keys: an escrow key must be as good as the first.
    #[test]
    fn each_provider_opens() {
        let (env, ..) = Env::simulated(3);
        let (keyring, first, _) = made();
        let second = KeyFile::create(&*env.disk, Path::new("/"), &*env.random).unwrap();
        let bytes = keyring.encode(&[&first, &second], &*env.random).unwrap();
        for provider in [&first, &second] {
            assert_eq!(*Keyring::open(&bytes, provider).unwrap().body(), *keyring.body());
        }
        let third = KeyFile::create(&*env.disk, Path::new("/"), &*env.random).unwrap();
        assert!(matches!(Keyring::open(&bytes, &third), Err(Error::Tampered { .. })));
        assert!(keyring.encode(&[], &*env.random).is_err());
    }
}
