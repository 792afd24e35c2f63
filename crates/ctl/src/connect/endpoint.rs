//! An endpoint as people write it, taken apart: `https://host:port`, `http://host:port`, `host:port`, `unix:///path`.

use super::explain::Trouble;
use std::net::IpAddr;
use std::path::PathBuf;

/// Port of etcd's clients, where none is written.
const PORT_DEFAULT: u16 = 2379;

/// What the endpoint says about the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `http://` and `unix://`.
    Clear,
    /// `https://` and `unixs://`.
    Tls,
    /// No scheme: TLS where certificates are at hand.
    Unstated,
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Host name or address, without brackets, and port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// As it was written.
    pub(crate) written: String,
    /// The transport it asks for.
    pub(crate) scheme: Scheme,
    /// Where it is.
    pub(crate) address: Address,
}

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// The scheme is unknown, or host or port cannot be read.
    pub(crate) fn parse(written: &str) -> Result<Self, Trouble> {
        let written = written.trim();
        // As `up --listen` writes a socket, which says nothing of TLS.
        if let Some(path) = written.strip_prefix("unix:").filter(|path| !path.starts_with("//")) {
            if path.is_empty() {
                return Err(Trouble::Endpoint("it names no path".into()));
            }
            let address = Address::Unix(path.into());
            return Ok(Self { written: written.into(), scheme: Scheme::Unstated, address });
        }
        let (scheme, rest) = written.split_once("://").unwrap_or(("", written));
        let scheme = match scheme {
            "" => Scheme::Unstated,
            "http" => Scheme::Clear,
            "https" => Scheme::Tls,
            "unix" | "unixs" => {
                let scheme = if scheme == "unix" { Scheme::Clear } else { Scheme::Tls };
                if rest.is_empty() {
                    return Err(Trouble::Endpoint("it names no path".into()));
                }
                return Ok(Self { written: written.into(), scheme, address: Address::Unix(rest.into()) });
            }
            other => return Err(Trouble::Endpoint(format!("unknown scheme {other}"))),
        };
        let (host, port) = host_and_port(rest.strip_suffix('/').unwrap_or(rest))?;
        Ok(Self { written: written.into(), scheme, address: Address::Tcp(host, port) })
    }

    /// The host that is dialled, as certificates name it.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        match &self.address {
            Address::Tcp(host, _) => host,
            Address::Unix(_) => "localhost",
        }
    }

    /// Whether what is sent stays on this machine.
    #[must_use]
    pub(crate) fn is_local(&self) -> bool {
        match &self.address {
            Address::Unix(_) => true,
            Address::Tcp(host, _) => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// The authority for requests: `host:port`.
    #[must_use]
    pub(super) fn authority(&self) -> String {
        match &self.address {
            Address::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp(host, port) => format!("{host}:{port}"),
            Address::Unix(_) => "localhost".into(),
        }
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), Trouble> {
    let wrong = |reason: &str| Trouble::Endpoint(reason.into());
    if text.contains(['/', '?', '#', '@', ' ']) {
        return Err(wrong("only host and port may stand behind the scheme"));
    }
    let (host, port) = if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
        (host, rest.strip_prefix(':'))
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() {
        return Err(wrong("it names no host"));
    }
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| wrong("the port is no number from 1 to 65535"))?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What people write as an endpoint must be understood in all the forms that etcd's tools take.
    #[test]
    fn endpoints_are_read_in_all_their_forms() {
        let tcp = |host: &str, port| Address::Tcp(host.into(), port);
        for (text, scheme, address) in [
            ("127.0.0.1:2379", Scheme::Unstated, tcp("127.0.0.1", 2379)),
            (" https://db.example:1 ", Scheme::Tls, tcp("db.example", 1)),
            ("http://[::1]:80/", Scheme::Clear, tcp("::1", 80)),
            ("::1", Scheme::Unstated, tcp("::1", 2379)),
            ("[fe80::1]", Scheme::Unstated, tcp("fe80::1", 2379)),
            ("https://db", Scheme::Tls, tcp("db", 2379)),
            ("unix:///run/s.sock", Scheme::Clear, Address::Unix("/run/s.sock".into())),
            ("unix:/run/s.sock", Scheme::Unstated, Address::Unix("/run/s.sock".into())),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.scheme, endpoint.address), (scheme, address), "{text}");
        }
        for wrong in [
            "",
            "https://",
            "ftp://x",
            "x:0",
            "x:70000",
            "x:y",
            "http://x/path",
            "http://u:p@x",
            "[::1",
            "unix://",
            "unix:",
        ] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Clear text without being asked for is taken to be safe on this machine only.
    #[test]
    fn only_loopback_and_sockets_are_local() {
        for (text, local) in [
            ("127.9.9.9:1", true),
            ("localhost", true),
            ("[::1]:1", true),
            ("unix:///x", true),
            ("10.0.0.1:1", false),
            ("db", false),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().is_local(), local, "{text}");
        }
    }
}
