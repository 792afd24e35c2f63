//! The member's own certificate authority, and the reading of other people's certificates.
//!
//! The first start makes, in a directory of its own beside the data (mode 0700, keys 0600, certificates 0644):
//!
//! ```text
//! root.crt       what clients trust (--cacert)                   recovery.key  opens the root's key: belongs elsewhere
//! clients.crt    what the server trusts clients by               recovery.pub  to whom it is sealed
//! peers.crt      what members trust each other by                member.key    opens what is sealed to this member
//! clients.crl    what is revoked of the one                      server.*      shown to clients
//! peers.crl      what is revoked of the other                    peer.*        shown between members
//!                                                                administrator.*   shown by the administrator
//! ```
//!
//! What each certificate says is `certificate::issue`'s; who has which is in the replicated register (`state::pki`).
//!
//! Why two issuers below one root, and not one CA: whoever holds any certificate of etcd's one CA is a member of the
//! cluster if it can reach the peer port. Here a listener's trust anchor is the *issuer*, not the root, so a client's
//! certificate is never accepted from a peer nor a peer's from a client, whatever their usages say; usages and path
//! lengths close the same door a second time (a server's certificate is no client's, an issuer issues no issuer). Why one
//! root, and not two: people hand one file to their clients, and an issuer can be replaced without doing so again.
//! Which usages an issuer may pass on is written in it; both members and the client side need serverAuth and clientAuth,
//! so it is the anchor that tells them apart.
//!
//! Where the keys lie: the issuers' in the register, sealed to each member's key and to the recovery key; the root's there
//! too, sealed to the recovery key alone. Whoever has a copy of this directory has this member's certificates, and cannot
//! issue any; whoever has a copy of the data directory has neither.
//!
//! Clock and names are given; nothing here looks at them itself.

mod authority;
pub mod foreign;
mod founding;
pub mod made;
mod recovery;
mod registry;
mod shell;

#[cfg(test)]
pub(crate) mod tests;

pub use ::certificate::Error;
pub use authority::{Authority, Place, Renewed};
pub use recovery::reopen;
pub use registry::Registry;
pub use shell::{Client, env_lines};
