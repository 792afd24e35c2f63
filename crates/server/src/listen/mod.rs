//! The listeners: from a bound address to requests that carry their connection's evidence.
//!
//! Owns sockets, threads and the runtimes on them: one thread that accepts, and one single-threaded runtime a core to
//! which connections are pinned in turn (the multi-threaded scheduler alone costs more than TLS). Never interprets a
//! request beyond telling gRPC from HTTP.
//!
//! Invariants:
//! - every listener is bound before the first connection is served;
//! - clear text is served on loopback and unix sockets only, unless the plan dangerously says otherwise;
//! - connections, handshakes, headers, streams and idle time are bounded, each by a named limit.
//!
//! ```text
//! accept thread ──(round robin, bounded)──> worker 0..n: opening -> [TLS] -> hyper (h1|h2) -> Edge -> gRPC | HTTP
//! ```

mod bind;
mod bound;
mod certificates;
mod connection;
mod desk;
mod edge;
mod frames;
mod limits;
mod pings;
mod socket;
mod stranger;
mod threads;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use bind::{Bound, Error, Reserved, bind, reserve};
pub use certificates::Reload;
pub use edge::Edge;
pub(crate) use edge::counted;
pub use limits::Limits;
pub use threads::Running;

use crate::tls::Reloading;
use std::path::PathBuf;
use std::sync::Arc;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port, as written by the operator.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// gRPC and HTTP on one port.
    Everything,
    /// gRPC only; HTTP has a port of its own.
    Grpc,
    /// HTTP only.
    Http,
    /// Metrics and health, nothing else.
    Metrics,
}

/// How a listener is secured.
#[derive(Clone, Debug)]
pub enum Security {
    /// Clear text, refused at bind on anything but loopback and unix sockets.
    Clear,
    /// Clear text wherever the address is; only after an operator's explicit word.
    DangerouslyClearAnywhere,
    /// TLS.
    Tls(Arc<Reloading>),
    /// Clear text and TLS on one port, told apart by the first bytes; refused at bind as [`Security::Clear`] is. etcd
    /// serves an address so that stands in an http and an https URL.
    ClearOrTls(Arc<Reloading>),
}

/// One address with what happens there.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// What.
    pub serves: Serves,
    /// How.
    pub security: Security,
}
