//! The primitives: AES-256-GCM, HKDF-SHA-256 and SHA-256 of the one crypto provider, and nothing else of it.
//!
//! The only file that names the provider. Failures of opening are one error without a cause.

use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::hkdf;
use std::fmt;

pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const NONCE_BYTES: usize = 12;

/// The bytes do not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A key of AES-256-GCM, set up.
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    pub(crate) fn new(secret: &Secret) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, secret.expose()).expect("a key of AES-256 has 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Seals `in_out` in place; answers the tag. The caller answers for the nonce's uniqueness.
    pub(crate) fn seal(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], in_out: &mut [u8]) -> [u8; TAG_BYTES] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), in_out)
            .expect("sealing fails only beyond 64 GiB");
        tag.as_ref().try_into().expect("a tag has 16 bytes")
    }

    /// Opens ciphertext and tag in place; answers the plaintext.
    pub(crate) fn open<'a>(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<&'a mut [u8], Refused> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(aad), in_out).map_err(|_| Refused)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

struct Bytes32;

impl hkdf::KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA-256: extract from `secret` with `salt`, then expand with each `info`.
pub(crate) struct Derivation(hkdf::Prk);

impl Derivation {
    pub(crate) fn new(salt: &[u8], secret: &Secret) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret.expose()))
    }

    pub(crate) fn key(&self, info: &[&[u8]]) -> Secret {
        let mut key = Secret::zeros();
        self.fill(info, key.expose_mut());
        key
    }

    pub(crate) fn public(&self, info: &[&[u8]]) -> [u8; 32] {
        let mut out = [0; 32];
        self.fill(info, &mut out);
        out
    }

    fn fill(&self, info: &[&[u8]], out: &mut [u8; 32]) {
        let okm = self.0.expand(info, Bytes32).expect("32 bytes are within HKDF's limit");
        okm.fill(out).expect("the output has the length asked for");
    }
}

/// A running SHA-256.
#[derive(Clone)]
pub(crate) struct Sha256(digest::Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finish().as_ref().try_into().expect("a SHA-256 has 32 bytes")
    }

    pub(crate) fn of(bytes: &[u8]) -> [u8; 32] {
        let mut hash = Self::new();
        hash.update(bytes);
        hash.finish()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

/// Compares in time that does not depend on where they differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let mut out = [0; N];
        crate::hex::decode(hex.as_bytes(), &mut out).unwrap();
        out
    }

    /// The provider's AES-256-GCM is the standard's: test cases 13 to 16 of McGrew and Viega's GCM submission to NIST.
    #[test]
    fn aes_gcm_gives_the_published_answers() {
        let zero = AeadKey::new(&Secret::new(&[0; 32]));
        assert_eq!(zero.seal([0; 12], b"", &mut []), bytes("530f8afbc74536b9a963b4f1c4cb738b"));
        let mut text = [0; 16];
        assert_eq!(zero.seal([0; 12], b"", &mut text), bytes("d0d1c8a799996bf0265b98b5d48ab919"));
        assert_eq!(text, bytes("cea7403d4d606b6e074ec5d3baf39d18"));

        let key = Secret::new(&bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
        let key = AeadKey::new(&key);
        let nonce = bytes("cafebabefacedbaddecaf888");
        let plain: [u8; 60] = bytes(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ));
        let sealed: [u8; 60] = bytes(concat!(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        ));
        let aad: [u8; 20] = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let mut text = plain;
        assert_eq!(key.seal(nonce, &aad, &mut text), bytes("76fc6ece0f4e1768cddf8853bb2d551b"));
        assert_eq!(text, sealed);
        let mut whole = sealed.to_vec();
        whole.extend_from_slice(&bytes::<16>("76fc6ece0f4e1768cddf8853bb2d551b"));
        assert_eq!(key.open(nonce, &aad, &mut whole.clone()).unwrap(), plain);
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_eq!(key.open(nonce, &aad, &mut flipped).map(|_| ()), Err(Refused), "byte {at}");
        }
    }

    /// The provider's HKDF-SHA-256 is the standard's: RFC 5869, A.1 and A.3.
    #[test]
    fn hkdf_gives_the_published_answers() {
        struct Len(usize);
        impl hkdf::KeyType for Len {
            fn len(&self) -> usize {
                self.0
            }
        }
        let expand = |salt: &[u8], secret: &[u8], info: &[u8]| {
            let mut out = [0; 42];
            let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
            prk.expand(&[info], Len(42)).unwrap().fill(&mut out).unwrap();
            out
        };
        let salt: [u8; 13] = bytes("000102030405060708090a0b0c");
        let info: [u8; 10] = bytes("f0f1f2f3f4f5f6f7f8f9");
        let a1: [u8; 42] =
            bytes("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
        let a3: [u8; 42] =
            bytes("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
        assert_eq!(expand(&salt, &[0x0b; 22], &info), a1);
        assert_eq!(expand(&[], &[0x0b; 22], &[]), a3);
    }

    /// Our derivation is HKDF with the parts joined: splitting the info must not change the key, or no other program could
    /// follow the format.
    #[test]
    fn a_derivation_joins_its_info() {
        let derivation = Derivation::new(b"salt", &Secret::new(&[9; 32]));
        assert_eq!(derivation.public(&[b"ab", b"c"]), derivation.public(&[b"abc"]));
        assert_ne!(derivation.public(&[b"abc"]), derivation.public(&[b"abd"]));
    }

    /// SHA-256 of "abc", FIPS 180-2 appendix B.1.
    #[test]
    fn sha256_gives_the_published_answer() {
        let expected: [u8; 32] = bytes("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Sha256::of(b"abc"), expected);
    }
}
