//! Where made certificates lie, and which names they carry.

use crate::config::{Listener, Url};
use crate::listen::Address;
use state::pki::Kind;
pub use state::pki::Role;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The roles of which every member makes a certificate of its own.
pub const OWN: [Role; 3] = [Role::Server, Role::Peer, Role::Administrator];

/// The kind of authority that issues to a role.
#[must_use]
pub fn issuer(role: Role) -> Kind {
    match role {
        Role::Server | Role::Client | Role::Administrator => Kind::Clients,
        Role::Peer => Kind::Peers,
    }
}

/// The certificate's file, its issuer's certificate behind it.
#[must_use]
pub fn certificate(dir: &Path, role: Role) -> PathBuf {
    dir.join(format!("{}.crt", role.name()))
}

/// Its key's file.
#[must_use]
pub fn key(dir: &Path, role: Role) -> PathBuf {
    dir.join(format!("{}.key", role.name()))
}

/// The root that clients check the server with.
#[must_use]
pub fn root(dir: &Path) -> PathBuf {
    dir.join("root.crt")
}

/// The issuer by which the server knows its clients.
#[must_use]
pub fn client_ca(dir: &Path) -> PathBuf {
    dir.join("clients.crt")
}

/// The issuer by which members know each other.
#[must_use]
pub fn peer_ca(dir: &Path) -> PathBuf {
    dir.join("peers.crt")
}

/// What of the clients' issuer's is revoked, signed by it.
#[must_use]
pub fn client_crl(dir: &Path) -> PathBuf {
    dir.join("clients.crl")
}

/// What of the members' issuer's is revoked, signed by it.
#[must_use]
pub fn peer_crl(dir: &Path) -> PathBuf {
    dir.join("peers.crl")
}

/// The key that opens what is sealed to this member.
#[must_use]
pub fn member_key(dir: &Path) -> PathBuf {
    dir.join("member.key")
}

/// The key that opens the root's; it belongs in a safe place elsewhere.
#[must_use]
pub fn recovery_key(dir: &Path) -> PathBuf {
    dir.join("recovery.key")
}

/// Its public half.
#[must_use]
pub fn recovery_public(dir: &Path) -> PathBuf {
    dir.join("recovery.pub")
}

/// The names of a server's certificate: loopback, the host's, what is advertised, what is listened on. Each once, sorted.
/// A socket counts with the name of its file, which clients of Go ask the certificate for.
#[must_use]
pub fn names(listeners: &[Listener], advertised: &[Url], host_name: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(host_name.map(str::to_owned));
    let listened = listeners.iter().filter_map(|listener| Url::parse(&listener.url).ok());
    for url in advertised.iter().cloned().chain(listened) {
        let Some((host, _)) = url.host_and_port() else { continue };
        let is_everywhere = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        if !host.is_empty() && !is_everywhere {
            names.push(host.to_owned());
        }
    }
    names.extend(listeners.iter().filter_map(socket_name));
    names.sort();
    names.dedup();
    names
}

/// The name of the socket's file, where it can be a host's.
fn socket_name(listener: &Listener) -> Option<String> {
    let Address::Unix(path) = &listener.address else { return None };
    let name = path.file_name()?.to_str()?;
    let is_plain = name.chars().all(|each| each.is_ascii_alphanumeric() || "-.".contains(each));
    (is_plain && name.starts_with(|first: char| first.is_ascii_alphanumeric())).then(|| name.to_owned())
}
