//! The box: a message sealed once, under a key derived for it alone.
//!
//! `salt 32 · commitment 32 · ciphertext · tag 16` (docs/formats/keyring.md). The salt is random and the key derived from it
//! is used for this message only, so the nonce is zero. The context is in the derivation: a box of another member,
//! or beside another header, gets another key and its commitment does not fit.

use crate::Error;
use crate::aead::{self, AeadKey, Derivation, NONCE_BYTES, Sha256, TAG_BYTES};
use crate::secret::Secret;
use env::Random;
use zeroize::Zeroizing;

const SALT_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;

/// What a box is longer than its message.
pub(crate) const BOX_OVERHEAD: usize = SALT_BYTES + COMMITMENT_BYTES + TAG_BYTES;

fn derive(secret: &Secret, salt: &[u8], label: &[u8], context: &[u8]) -> (Secret, [u8; COMMITMENT_BYTES]) {
    let context = Sha256::of(context);
    let derivation = Derivation::new(salt, secret);
    (derivation.key(&[b"key ", label, &context]), derivation.public(&[b"commitment ", label, &context]))
}

/// Seals `message`.
pub(crate) fn seal(
    secret: &Secret,
    label: &[u8],
    context: &[u8],
    message: &[u8],
    random: &dyn Random,
) -> Vec<u8> {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    let (key, commitment) = derive(secret, &salt, label, context);
    let mut out = Vec::with_capacity(message.len() + BOX_OVERHEAD);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&commitment);
    let start = out.len();
    out.extend_from_slice(message);
    let text = out.get_mut(start..).unwrap_or_default();
    let tag = AeadKey::new(&key).seal([0; NONCE_BYTES], b"", text);
    out.extend_from_slice(&tag);
    out
}

/// Opens a box.
pub(crate) fn open(
    secret: &Secret,
    label: &[u8],
    context: &[u8],
    sealed: &[u8],
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let cut = Error::Malformed { what, why: "cut short" };
    let Some((salt, rest)) = sealed.split_at_checked(SALT_BYTES) else { return Err(cut) };
    let Some((commitment, text)) = rest.split_at_checked(COMMITMENT_BYTES) else { return Err(cut) };
    let (key, expected) = derive(secret, salt, label, context);
    if !aead::equal(commitment, &expected) {
        return Err(Error::Tampered { what });
    }
    let mut text = Zeroizing::new(text.to_vec());
    let opened =
        AeadKey::new(&key).open([0; NONCE_BYTES], b"", &mut text).map_err(|_| Error::Tampered { what })?;
    let len = opened.len();
    text.truncate(len);
    Ok(text)
}
