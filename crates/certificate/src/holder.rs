//! Private keys sealed to those who may use them: HPKE (RFC 9180) in its base mode, with DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256 and AES-256-GCM. The bytes are docs/formats/sealed-key.md's.
//!
//! A holder is a member, whose key lies beside its certificates, or the recovery key, which lies where the operator put it.

use crate::error::Error;
use crate::pem;
use crate::request::key_id;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as HPKE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use state::pki::{Authority, Holder, SealedKey};
use zeroize::Zeroizing;

/// The form's number.
const VERSION: u8 = 1;
/// What binds a sealed key to this use.
const INFO: &[u8] = b"strongroom sealed key v1";
/// Bytes of a key of X25519, public or private.
const KEY_BYTES: usize = 32;
/// What stands before a private key of X25519 in PKCS #8 (RFC 8410), without attributes.
const PKCS8_HEAD: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20];
/// What stands before a public key of X25519 in a SubjectPublicKeyInfo.
const SPKI_HEAD: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];

/// The private half of a holder's key.
pub struct HolderKey {
    private: HpkePrivateKey,
    public: [u8; KEY_BYTES],
}

impl std::fmt::Debug for HolderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HolderKey({}, ***)", self.id())
    }
}

impl HolderKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Make`]
    pub fn generate() -> Result<Self, Error> {
        let made = |error: rustls::Error| Error::Make { what: "a key", why: error.to_string() };
        let (_, private) = HPKE.generate_key_pair().map_err(made)?;
        Self::new(private.secret_bytes()).map_err(|why| Error::Make { what: "a key", why })
    }

    fn new(private: &[u8]) -> Result<Self, String> {
        use aws_lc_rs::agreement::{PrivateKey, X25519};
        let key = PrivateKey::from_private_key(&X25519, private).map_err(|_| "it is no key of X25519")?;
        let public = key.compute_public_key().map_err(|_| "it is no key of X25519")?;
        let public = public.as_ref().try_into().map_err(|_| "it is no key of X25519")?;
        Ok(Self { private: private.to_vec().into(), public })
    }

    /// From PEM (PKCS #8), as `openssl genpkey -algorithm X25519` writes it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| "it holds no private key in PEM".to_owned())?;
        let key = der.secret_pkcs8_der().strip_prefix(PKCS8_HEAD).filter(|key| key.len() == KEY_BYTES);
        Self::new(key.ok_or("it is no key of X25519")?)
    }

    /// PEM (PKCS #8).
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let der = Zeroizing::new([PKCS8_HEAD, self.private.secret_bytes()].concat());
        pem::text(pem::PRIVATE_KEY, &der)
    }

    /// What the holder is called in the register.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(&self.public)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The holder of this key, as the register knows it.
    #[must_use]
    pub fn holder(&self, name: &str, is_recovery: bool) -> Holder {
        holder(self.public.to_vec(), name, is_recovery)
    }

    /// Opens what was sealed to this key for the authority of that name.
    ///
    /// # Errors
    /// [`Error::Sealed`]
    pub fn open(&self, authority: &str, keys: &[SealedKey]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let refuse = |why, hint| Error::Sealed { what: authority.to_owned(), why, hint };
        let id = self.id();
        let mine = keys.iter().find(|key| key.holder == id).ok_or_else(|| {
            refuse(
                "it is not sealed to this member's key",
                "put member.key back from a copy; where the recovery key is at hand: strongroom pki recover --recovery-key FILE",
            )
        })?;
        let damaged = || refuse("it was changed, or sealed to another key", "restore from a backup");
        let (version, rest) = mine.sealed.split_first().ok_or_else(damaged)?;
        let (encapsulated, sealed) = rest.split_at_checked(KEY_BYTES).ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(refuse("its form is of another version", "use a newer strongroom"));
        }
        let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
        HPKE.open(&encapsulated, INFO, authority.as_bytes(), sealed, &self.private)
            .map(Zeroizing::new)
            .map_err(|_| damaged())
    }
}

/// Seals an authority's private key (PKCS #8, DER) to a holder.
///
/// # Errors
/// [`Error::Make`], if the holder's public key is none.
pub(crate) fn seal(authority: &str, key: &[u8], to: &Holder) -> Result<SealedKey, Error> {
    let public = HpkePublicKey(to.public_key.to_vec());
    let (encapsulated, sealed) = HPKE
        .seal(INFO, authority.as_bytes(), key, &public)
        .map_err(|error| Error::Make { what: "a sealed key", why: error.to_string() })?;
    let sealed = [&[VERSION][..], &encapsulated.0, &sealed].concat();
    Ok(SealedKey { holder: to.id.clone(), sealed: sealed.into() })
}

/// An authority's private key, which one holder can open, sealed to another.
///
/// # Errors
/// [`Error::Sealed`], if the first cannot open it.
pub fn reseal(authority: &Authority, by: &HolderKey, to: &Holder) -> Result<SealedKey, Error> {
    let key = by.open(&authority.id, &authority.keys)?;
    seal(&authority.id, &key, to)
}

fn holder(public: Vec<u8>, name: &str, is_recovery: bool) -> Holder {
    Holder { id: key_id(&public), name: name.to_owned(), is_recovery, public_key: public.into() }
}

/// The holder of the public key in a PEM text, as `openssl pkey -pubout` writes it.
///
/// # Errors
/// What is wrong with it, in words.
pub fn public_key_from_pem(text: &str, name: &str) -> Result<Holder, String> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
        .map_err(|_| "it holds no public key in PEM".to_owned())?;
    let key = der.strip_prefix(SPKI_HEAD).filter(|key| key.len() == KEY_BYTES);
    Ok(holder(key.ok_or("it is no key of X25519")?.to_vec(), name, true))
}

/// PEM of a holder's public key.
#[must_use]
pub fn public_key_to_pem(holder: &Holder) -> String {
    pem::text(pem::PUBLIC_KEY, &[SPKI_HEAD, &holder.public_key].concat()).to_string()
}
