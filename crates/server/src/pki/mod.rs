//! The member's own certificate authority, and the reading of other people's certificates.
//!
//! The first start makes, in a directory of its own beside the data (mode 0700, keys 0600, certificates 0644):
//!
//! ```text
//! root.crt      the private root: ten years, path length 1        what clients trust (--cacert)
//!  ├ clients.crt  issuer: five years, path length 0               what the server trusts clients by
//!  │   ├ server.crt         7 days   serverAuth                   shown to clients
//!  │   └ administrator.crt  90 days  clientAuth  CN=root          shown by the administrator
//!  └ peers.crt    issuer: five years, path length 0               what members trust each other by
//!      └ peer.crt           7 days   serverAuth, clientAuth       shown between members
//! ```
//!
//! Why two issuers below one root, and not one CA: whoever holds any certificate of etcd's one CA is a member of the
//! cluster if it can reach the peer port. Here a listener's trust anchor is the *issuer*, not the root, so a client's
//! certificate is never accepted from a peer nor a peer's from a client, whatever their usages say; usages and path
//! lengths close the same door a second time (a server's certificate is no client's, an issuer issues no issuer). Why one
//! root, and not two: people hand one file to their clients, and an issuer can be replaced without doing so again.
//! Which usages an issuer may pass on is written in it; both members and the client side need serverAuth and clientAuth,
//! so it is the anchor that tells them apart.
//!
//! Where the keys lie: all here. The issuers' keys are needed to renew in process. The root's key is needed only to
//! make an issuer; [`Authority::root_key`] names it, and it may be taken offline: nothing then misses it for five
//! years. A copy of the data directory holds none of them.
//!
//! Invariants: a key is never written over while a certificate for it may be in use elsewhere, except a leaf's, which is
//! renewed with a new key; every certificate begins an hour early (clocks differ) and ends no later than its issuer;
//! keys that others can read are refused. Clock and names are given; nothing here looks at them itself.

mod authority;
mod files;
pub mod foreign;
mod issue;
pub mod made;
mod shell;

#[cfg(test)]
mod tests;

pub use authority::{Authority, Renewed};
pub use files::Error;
pub use shell::{Client, env_lines};
