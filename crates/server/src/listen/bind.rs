//! Taking the addresses, all or none, and saying clearly why one cannot be taken.

use super::{Address, Listener, Security};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Why an address cannot be listened on. Each has a [`Error::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody listens there already.
    #[error("cannot listen on {address}: address already in use")]
    InUse {
        /// The address.
        address: String,
    },
    /// Not allowed to.
    #[error("cannot listen on {address}: permission denied")]
    Denied {
        /// The address.
        address: String,
    },
    /// The machine has no such address.
    #[error("cannot listen on {address}: no such address on this machine")]
    NoSuchAddress {
        /// The address.
        address: String,
    },
    /// The host is unknown, or the port is not a number.
    #[error("cannot listen on {address}: cannot resolve it: {reason}")]
    Unresolved {
        /// The address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Clear text beyond loopback.
    #[error("refusing to serve clear text on {address}: it is not a loopback address")]
    ClearBeyondLoopback {
        /// The address.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a serving thread: {0}")]
    Thread(io::Error),
}

impl Error {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::InUse { address } => {
                let port = address.rsplit(':').next().unwrap_or(address);
                format!(
                    "another process holds it (is a member running already?): find it with ss -ltnp 'sport = :{port}', or listen elsewhere"
                )
            }
            Self::Denied { .. } => {
                "ports below 1024 and other users' directories need privileges: choose another address"
                    .to_owned()
            }
            Self::NoSuchAddress { .. } => {
                "listen on one of this machine's addresses (ip addr), on 127.0.0.1, or on 0.0.0.0 for all"
                    .to_owned()
            }
            Self::Unresolved { .. } => {
                "write it as IP address and port, for example 127.0.0.1:2379".to_owned()
            }
            Self::ClearBeyondLoopback { .. } => {
                "give it a certificate and a client CA, or listen on 127.0.0.1".to_owned()
            }
            Self::Other { .. } => "check the address and this user's rights on it".to_owned(),
            Self::Thread(_) => "raise the limit of threads (ulimit -u) or of memory".to_owned(),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Addresses that are taken, before it is known with what they are served.
#[derive(Debug)]
pub struct Reserved {
    sockets: Vec<Vec<(Socket, Option<SocketAddr>)>>,
}

/// Listeners whose addresses are taken, not yet served.
#[derive(Debug)]
pub struct Bound {
    pub(super) sockets: Vec<(Listener, Socket)>,
}

/// Takes every address, or none.
///
/// # Errors
/// [`Error`] of the first address that cannot be taken.
pub fn reserve(addresses: &[Address]) -> Result<Reserved, Error> {
    let mut sockets = Vec::new();
    for address in addresses {
        let taken = match address {
            Address::Tcp(written) => resolve(written)?
                .into_iter()
                .map(|resolved| {
                    let socket = take(resolved).map_err(|source| sorted(written, source))?;
                    Ok((Socket::Tcp(socket), Some(resolved)))
                })
                .collect::<Result<_, Error>>()?,
            Address::Unix(path) => {
                let socket = take_unix(path).map_err(|source| sorted(&address.to_string(), source))?;
                vec![(Socket::Unix(socket), None)]
            }
        };
        sockets.push(taken);
    }
    Ok(Reserved { sockets })
}

impl Reserved {
    /// Says with what they are served: listeners of just these addresses, in their order.
    ///
    /// # Errors
    /// [`Error::ClearBeyondLoopback`]
    pub fn with(self, listeners: Vec<Listener>) -> Result<Bound, Error> {
        let mut sockets = Vec::new();
        for (listener, taken) in listeners.into_iter().zip(self.sockets) {
            for (socket, at) in taken {
                at.map_or(Ok(()), |at| check(&listener, at))?;
                sockets.push((listener.clone(), socket));
            }
        }
        Ok(Bound { sockets })
    }
}

/// Takes every address, or none, for these listeners.
///
/// # Errors
/// [`Error`] of the first address that cannot be taken.
pub fn bind(listeners: Vec<Listener>) -> Result<Bound, Error> {
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.address.clone()).collect();
    reserve(&addresses)?.with(listeners)
}

impl Bound {
    /// The addresses that are taken, with the ports the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.sockets
            .iter()
            .map(|(listener, socket)| match socket {
                Socket::Tcp(tcp) => tcp
                    .local_addr()
                    .map_or_else(|_| listener.address.clone(), |at| Address::Tcp(at.to_string())),
                Socket::Unix(_) => listener.address.clone(),
            })
            .collect()
    }
}

/// The settings refuse this too; a second look costs nothing and the mistake would cost everything.
fn check(listener: &Listener, address: SocketAddr) -> Result<(), Error> {
    match &listener.security {
        Security::Clear | Security::ClearOrTls(_) if !address.ip().is_loopback() => {
            Err(Error::ClearBeyondLoopback { address: address.to_string() })
        }
        Security::Clear | Security::ClearOrTls(_) | Security::DangerouslyClearAnywhere | Security::Tls(_) => {
            Ok(())
        }
    }
}

/// A name may stand for several addresses ("localhost" for both families); each is taken once.
fn resolve(address: &str) -> Result<Vec<SocketAddr>, Error> {
    let unresolved = |reason: String| Error::Unresolved { address: address.to_owned(), reason };
    // ":2379" is Go's way to say all addresses.
    let written =
        address.strip_prefix(':').map_or_else(|| address.to_owned(), |port| format!("0.0.0.0:{port}"));
    let mut found: Vec<SocketAddr> =
        written.to_socket_addrs().map_err(|error| unresolved(error.to_string()))?.collect();
    found.dedup();
    if found.iter().any(SocketAddr::is_ipv4) {
        found.retain(SocketAddr::is_ipv4);
    }
    found.truncate(1);
    if found.is_empty() { Err(unresolved("no address".to_owned())) } else { Ok(found) }
}

fn take(address: SocketAddr) -> io::Result<TcpListener> {
    // std sets SO_REUSEADDR, so that a restart does not wait for old connections to fade.
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket file that nobody answers on is left over from a process that died, and is taken over.
fn take_unix(path: &Path) -> io::Result<UnixListener> {
    let bound = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && abandoned(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        other => other,
    }?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    bound.set_nonblocking(true)?;
    Ok(bound)
}

fn abandoned(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).err().is_some_and(refused)
}

fn sorted(address: &str, source: io::Error) -> Error {
    let address = address.to_owned();
    match source.kind() {
        io::ErrorKind::AddrInUse => Error::InUse { address },
        io::ErrorKind::PermissionDenied => Error::Denied { address },
        io::ErrorKind::AddrNotAvailable => Error::NoSuchAddress { address },
        _ => Error::Other { address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::super::Serves;
    use super::*;

    fn clear(address: &str) -> Listener {
        Listener {
            address: Address::Tcp(address.into()),
            serves: Serves::Everything,
            security: Security::Clear,
        }
    }

    /// A port that is taken is the commonest mistake at start: the message names it and how to find who has it.
    #[test]
    fn a_port_in_use_is_named_with_the_way_to_find_its_holder() {
        let first = bind(vec![clear("127.0.0.1:0")]).unwrap();
        let Some(Address::Tcp(taken)) = first.addresses().first().cloned() else { panic!("one tcp address") };
        let error = bind(vec![clear(&taken)]).unwrap_err();
        assert!(matches!(&error, Error::InUse { address } if *address == taken), "{error}");
        assert!(
            error.hint().contains("ss -ltnp") && error.hint().contains(taken.rsplit(':').next().unwrap())
        );
    }

    /// The settings refuse clear text beyond loopback; should they ever fail to, the listener does.
    #[test]
    fn clear_text_beyond_loopback_is_refused_here_too() {
        for address in ["0.0.0.0:0", "[::]:0", ":0"] {
            assert!(
                matches!(bind(vec![clear(address)]), Err(Error::ClearBeyondLoopback { .. })),
                "{address}"
            );
        }
        let listener = Listener { security: Security::DangerouslyClearAnywhere, ..clear("0.0.0.0:0") };
        assert!(bind(vec![listener]).is_ok());
    }

    /// Each other mistake in an address has its own message.
    #[test]
    fn wrong_addresses_are_told_apart() {
        assert!(matches!(bind(vec![clear("127.0.0.1:notaport")]), Err(Error::Unresolved { .. })));
        let elsewhere = Listener { security: Security::DangerouslyClearAnywhere, ..clear("192.0.2.1:0") };
        assert!(matches!(bind(vec![elsewhere]), Err(Error::NoSuchAddress { .. })));
    }

    /// A socket file left by a process that died must not keep the next one from starting; one in use must.
    #[test]
    fn an_abandoned_unix_socket_is_taken_over_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = Listener { address: Address::Unix(path.clone()), ..clear("") };
        drop(bind(vec![listener.clone()]).unwrap());
        let live = bind(vec![listener.clone()]).unwrap();
        assert!(matches!(bind(vec![listener.clone()]), Err(Error::InUse { .. })));
        drop(live);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "only this user may connect");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "not a socket").unwrap();
        assert!(
            matches!(bind(vec![listener]), Err(Error::InUse { .. })),
            "a file of somebody's is never removed"
        );
        assert!(path.exists());
    }
}
