//! Certificates and their keys as things: made, read, sealed to their holders, kept in files.
//!
//! Owns what one certificate of the cluster's own authority looks like, the form in which its keys are replicated
//! (docs/formats/sealed-key.md), the text of enrolment tokens, and how PEM files are written. Never decides who gets a
//! certificate, and never talks to a network: the edge and the commands for people do.
//!
//! Clock and names are given; the keys' randomness is the cryptographic library's own.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod about;
mod error;
pub mod files;
mod holder;
mod issue;
pub mod pem;
mod request;
mod revocation;
mod token;

#[cfg(test)]
mod tests;

pub use about::{About, shown};
pub use error::Error;
pub use holder::{HolderKey, public_key_from_pem, public_key_to_pem, reseal};
pub use issue::{Authority, Leaf, Signer, Wanted, issuer, issuer_again, life, root};
pub use rcgen::PublicKeyData as Signable;
pub use request::{KeyPair, PublicKey, key_id};
pub use revocation::revocation_list;
pub use token::{Pin, Token};

/// What our own authority writes into the certificate of an administrator, as a URI among its names. A common name would
/// not do: any authority that may be trusted for clients can issue one that reads `root`.
pub const ADMINISTRATOR_URI: &str = "urn:strongroom:role:administrator";
/// What begins the URI in a member's certificate for other members; its name follows.
pub const MEMBER_URI: &str = "urn:strongroom:member:";
/// What begins the URIs that only this authority's own rules put into a certificate.
pub const RESERVED_URI: &str = "urn:strongroom:";
