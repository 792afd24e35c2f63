//! What the edge knows of the connection that a request came in on.

use state::auth::Evidence;

/// One connection, as verified when it was accepted. Put into the extensions of every request by the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What the transport has verified about the peer.
    pub evidence: Evidence,
    /// The peer's address, or "unix".
    pub peer: String,
    /// Whether the connection is encrypted.
    pub via_tls: bool,
}
