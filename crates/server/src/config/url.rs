//! The URLs that etcd's flags take: a scheme, and host:port or a socket's path.
//!
//! Facts from etcd: client/pkg/types.NewURLs and embed.checkBindURLs, with their texts.

use super::number::quoted;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// The four schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// TCP in clear text.
    Http,
    /// TCP with TLS.
    Https,
    /// A unix socket in clear text.
    Unix,
    /// A unix socket with TLS.
    Unixs,
}

impl Scheme {
    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Unixs)
    }

    fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::Unixs)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Unix => "unix",
            Self::Unixs => "unixs",
        }
    }
}

/// A URL to listen on or to be found under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    /// Its scheme.
    pub scheme: Scheme,
    /// Host and port, or what stands before the path of a socket.
    host: String,
    /// The path of a socket, beyond the host.
    path: String,
}

impl Url {
    /// Reads one URL.
    ///
    /// # Errors
    /// etcd's words for what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(format!("parse {}: net/url: invalid control character in URL", quoted(text)));
        }
        let wrong_scheme = || format!("URL scheme must be http, https, unix, or unixs: {text}");
        let (scheme, rest) = split_scheme(text)?.ok_or_else(wrong_scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "unix" => Scheme::Unix,
            "unixs" => Scheme::Unixs,
            _ => return Err(wrong_scheme()),
        };
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None if scheme.is_unix() => ("", rest),
            None => return Err(format!("URL address does not have the form \"host:port\": {text}")),
        };
        if let Some(bad) = host.chars().find(|c| " \"<>^`{|}\\".contains(*c)) {
            let bad = quoted(&bad.to_string());
            return Err(format!("parse {}: invalid character {bad} in host name", quoted(text)));
        }
        if !scheme.is_unix() {
            let Some((_, port)) = split_host_port(host) else {
                return Err(format!("URL address does not have the form \"host:port\": {text}"));
            };
            if !port.chars().all(|c| c.is_ascii_digit()) {
                return Err(format!(
                    "parse {}: invalid port {} after host",
                    quoted(text),
                    quoted(&format!(":{port}"))
                ));
            }
            if !path.is_empty() {
                return Err(format!("URL must not contain a path: {text}"));
            }
        }
        Ok(Self { scheme, host: host.to_owned(), path: path.to_owned() })
    }

    /// Reads a list with commas; sorted, each once.
    ///
    /// # Errors
    /// That of the first wrong one.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut urls = text.split(',').map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort_by_key(ToString::to_string);
        urls.dedup();
        Ok(urls)
    }

    /// Host and port of a TCP URL.
    #[must_use]
    pub fn host_and_port(&self) -> Option<(&str, &str)> {
        if self.scheme.is_unix() { None } else { split_host_port(&self.host) }
    }

    /// The address to listen on.
    #[must_use]
    pub fn address(&self) -> crate::listen::Address {
        if self.scheme.is_unix() {
            crate::listen::Address::Unix(PathBuf::from(format!("{}{}", self.host, self.path)))
        } else {
            crate::listen::Address::Tcp(self.host.clone())
        }
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host_and_port().is_none_or(|(host, _)| is_loopback(host))
    }

    /// etcd listens on addresses, not on names.
    pub(super) fn check_bind(&self) -> Result<(), String> {
        match self.host_and_port() {
            None => Ok(()),
            Some((host, _)) if host == "localhost" || parse_ip(host).is_some() => Ok(()),
            Some(_) => Err(format!("expected IP in URL for binding ({self})")),
        }
    }

    /// A URL to be found under names a host.
    pub(super) fn check_host(&self) -> Result<(), String> {
        match self.host_and_port() {
            Some(("", _)) => Err(format!("unexpected empty host ({self})")),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.host, self.path)
    }
}

/// Whether the host of an address is this machine and nothing else.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || parse_ip(host).is_some_and(|ip| ip.is_loopback())
}

fn parse_ip(host: &str) -> Option<IpAddr> {
    let ip: IpAddr = host.parse().ok()?;
    Some(ip.to_canonical())
}

/// Go's rule: the colon after the last bracket, an IPv6 address in brackets.
pub(super) fn split_host_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return Some((host, rest.strip_prefix(':')?));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

/// What stands before the first colon, if it can be a scheme; a text that begins like a path has none.
fn split_scheme(text: &str) -> Result<Option<(&str, &str)>, String> {
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(None) };
    if scheme.is_empty() {
        return Err(format!("parse {}: missing protocol scheme", quoted(text)));
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if is_scheme {
        return Ok(Some((scheme, rest)));
    }
    if scheme.contains('/') {
        return Ok(None);
    }
    Err(format!("parse {}: first path segment in URL cannot contain colon", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mistakes in URLs are etcd's most common ones; the texts are what people search for. Compared with etcd 3.7.3.
    #[test]
    fn wrong_urls_get_etcds_words() {
        for (text, error) in [
            ("foo", "URL scheme must be http, https, unix, or unixs: foo"),
            ("ftp://1.2.3.4:1", "URL scheme must be http, https, unix, or unixs: ftp://1.2.3.4:1"),
            ("http://1.2.3.4", "URL address does not have the form \"host:port\": http://1.2.3.4"),
            ("http://1.2.3.4:1/x", "URL must not contain a path: http://1.2.3.4:1/x"),
            ("http://a b:1", "parse \"http://a b:1\": invalid character \" \" in host name"),
            ("b=http://1:2", "parse \"b=http://1:2\": first path segment in URL cannot contain colon"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err(), error);
        }
    }

    /// Only what the whole machine and nobody else can reach counts as local.
    #[test]
    fn loopback_is_recognised() {
        for local in [
            "http://localhost:1",
            "http://127.0.0.1:1",
            "http://127.9.9.9:1",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]:1",
            "unix:///run/x",
            "unix://localhost:1",
        ] {
            assert!(Url::parse(local).unwrap().is_local(), "{local}");
        }
        for remote in
            ["http://0.0.0.0:1", "http://[::]:1", "http://10.0.0.1:1", "http://:1", "http://example:1"]
        {
            assert!(!Url::parse(remote).unwrap().is_local(), "{remote}");
        }
        let socket = Url::parse("unix://localhost:2379").unwrap();
        assert_eq!(
            socket.address(),
            crate::listen::Address::Unix("localhost:2379".into()),
            "as etcd names it"
        );
    }
}
