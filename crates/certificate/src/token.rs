//! The text of an enrolment token: its name, its secret, and the pin by which the root is known before anything is
//! trusted.
//!
//! ```text
//! srt_ base64url( id 8 · roles 1 · secret 16 · SHA-256 of the root's public key 32 · check 4 )
//! ```
//!
//! A role is a bit: 1 server, 2 peer, 4 client, 8 administrator. The check is the beginning of the SHA-256 of all before it: a token that was mistyped or cut is told as that.

use crate::about::hex;
use crate::error::Error;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use state::pki::Role;
use zeroize::Zeroizing;

const PREFIX: &str = "srt_";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 16;
const PIN_BYTES: usize = 32;
const CHECK_BYTES: usize = 4;
const BYTES: usize = ID_BYTES + 1 + SECRET_BYTES + PIN_BYTES + CHECK_BYTES;

/// The hash of a root's public key (SubjectPublicKeyInfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(pub [u8; PIN_BYTES]);

impl Pin {
    /// Of a public key as certificates hold it.
    #[must_use]
    pub fn of(public_key: &[u8]) -> Self {
        Self(sha256(public_key))
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(f, "sha256:{digits}")
    }
}

/// An enrolment token, as it is carried from one machine to another.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is called.
    pub id: String,
    /// For which roles it gives certificates.
    pub roles: Vec<Role>,
    /// What proves that one has it.
    pub secret: Zeroizing<[u8; SECRET_BYTES]>,
    /// By which the root is known.
    pub pin: Pin,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, ***)", self.id)
    }
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Make`]
    pub fn generate(roles: &[Role], pin: Pin) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0_u8; ID_BYTES + SECRET_BYTES]);
        aws_lc_rs::rand::fill(&mut *bytes)
            .map_err(|_| Error::Make { what: "a token", why: "there is no randomness".to_owned() })?;
        // A name of one length, so that the text gives it back.
        bytes[0] |= 0x80;
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        secret.copy_from_slice(&bytes[ID_BYTES..]);
        Ok(Self { id: hex(&bytes[..ID_BYTES]), roles: roles.to_vec(), secret, pin })
    }

    /// What the secret is compared with.
    #[must_use]
    pub fn hash_of(secret: &[u8]) -> [u8; 32] {
        sha256(secret)
    }

    /// The text.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let id: Vec<u8> = (0..ID_BYTES)
            .map(|at| u8::from_str_radix(self.id.get(2 * at..2 * at + 2).unwrap_or("0"), 16).unwrap_or(0))
            .collect();
        let roles = self.roles.iter().fold(0, |bits, role| bits | bit(*role));
        let mut bytes = Zeroizing::new([id.as_slice(), &[roles], &*self.secret, &self.pin.0].concat());
        let check = sha256(&bytes);
        bytes.extend_from_slice(&check[..CHECK_BYTES]);
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&*bytes)))
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Token`]
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Token { why };
        let text = text.trim().strip_prefix(PREFIX).ok_or_else(|| wrong("it does not begin with srt_"))?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong("it has characters that no token has"))?;
        let bytes: Zeroizing<[u8; BYTES]> = Zeroizing::new(
            Zeroizing::new(bytes)
                .as_slice()
                .try_into()
                .map_err(|_| wrong("it is not of a token's length"))?,
        );
        let (said, check) = bytes.split_at(BYTES - CHECK_BYTES);
        if sha256(said)[..CHECK_BYTES] != *check {
            return Err(wrong("a character of it is wrong"));
        }
        let (id, rest) = said.split_at(ID_BYTES);
        let (roles, rest) = rest.split_at(1);
        let (secret, pin) = rest.split_at(SECRET_BYTES);
        let length = || wrong("it is not of a token's length");
        Ok(Self {
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            roles: Role::ALL.into_iter().filter(|role| roles[0] & bit(*role) != 0).collect(),
            secret: Zeroizing::new(secret.try_into().map_err(|_| length())?),
            pin: Pin(pin.try_into().map_err(|_| length())?),
        })
    }
}

fn bit(role: Role) -> u8 {
    match role {
        Role::Server => 1,
        Role::Peer => 2,
        Role::Client => 4,
        Role::Administrator => 8,
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
