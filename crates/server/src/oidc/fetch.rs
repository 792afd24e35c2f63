//! Asking the issuer: its discovery document, then its keys, over TLS.
//!
//! Owns one bounded look: both documents, each of bounded size. Follows no redirection, sends nothing of ours but the path, and
//! takes the keys' address only from a document that names exactly the issuer that was asked (OpenID Connect Discovery 1.0
//! §4.3). Never: decides when to look; that is `refresh`'s.

use super::Settings;
use super::keys::Keys;
use http::header::{ACCEPT, CACHE_CONTROL, HOST, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use types::limits::OIDC_DOCUMENT_BYTES_MAX;

/// Where systems keep the roots that they trust: Debian's, Fedora's, SUSE's, Alpine's way.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Bytes that are read ahead of an answer, its headers included.
const BUFFER_BYTES: usize = 64 * 1024;

/// Why the issuer cannot be asked, ever: found at the start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of roots cannot be read, or holds none.
    #[error("--oidc-ca: {}: {why}", path.display())]
    Roots {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system has no roots where they are looked for.
    #[error("--oidc-issuer: this system has no file of certificate authorities")]
    NoRoots,
    /// The TLS library refused.
    #[error("--oidc-issuer: {0}")]
    Tls(rustls::Error),
    /// No thread for it.
    #[error("--oidc-issuer: cannot start its thread: {0}")]
    Thread(std::io::Error),
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Roots { .. } => {
                "give a PEM file with the CA that issued the issuer's certificate, readable by this user"
            }
            Self::NoRoots => {
                "install the system's ca-certificates, or name the issuer's CA with --oidc-ca FILE"
            }
            Self::Tls(_) | Self::Thread(_) => "start again; if that does not help, please report it",
        }
    }
}

/// Why one look at the issuer came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {why}")]
pub(super) struct Failed {
    url: String,
    why: String,
}

/// What one look found.
pub(super) struct Looked {
    pub(super) keys: Keys,
    /// How long the issuer says its keys may be kept.
    pub(super) keep: Option<Duration>,
}

/// Asks one issuer.
pub(super) struct Client {
    tls: TlsConnector,
    issuer: String,
    clear_text: bool,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Client {
    /// Reads the roots.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let roots = match &settings.ca {
            Some(path) => roots(path)?,
            None => SYSTEM_ROOTS.iter().find_map(|path| roots(Path::new(path)).ok()).ok_or(Error::NoRoots)?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self { tls, issuer: settings.issuer.clone(), clear_text: settings.clear_text })
    }

    /// One look, without a bound of time of its own.
    pub(super) async fn look(&self) -> Result<Looked, Failed> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let (document, _) = self.get(&url).await?;
        let failed = |why: String| Failed { url: url.clone(), why };
        let told: Discovery = serde_json::from_slice(&document)
            .map_err(|error| failed(format!("it is no discovery document: {error}")))?;
        if told.issuer != self.issuer {
            return Err(failed(format!(
                "it names the issuer {:?}, and {:?} is set: they must be equal to the letter",
                told.issuer, self.issuer
            )));
        }
        let (document, headers) = self.get(&told.jwks_uri).await?;
        let keys = Keys::parse(&document).map_err(|why| Failed { url: told.jwks_uri.clone(), why })?;
        Ok(Looked { keys, keep: keep(&headers) })
    }

    async fn get(&self, url: &str) -> Result<(Vec<u8>, HeaderMap), Failed> {
        let answered = async {
            let place = Place::read(url, self.clear_text)?;
            let stream = TcpStream::connect((place.host.as_str(), place.port))
                .await
                .map_err(|error| format!("cannot connect: {error}"))?;
            if !place.is_secure {
                return ask(stream, &place).await;
            }
            let name = ServerName::try_from(place.host.clone()).map_err(|error| error.to_string())?;
            let stream = self.tls.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
            ask(stream, &place).await
        };
        answered.await.map_err(|why| Failed { url: url.chars().take(200).collect(), why })
    }
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let wrong = |why: String| Error::Roots { path: path.to_owned(), why };
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        // One odd root of a system's hundred is passed over, as everywhere.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// Where a document lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    is_secure: bool,
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Place {
    /// Reads a URL: https, or http on loopback where that was asked for.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(url: &str, clear_text: bool) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("it is no URL: {error}"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let authority = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
        if host.is_empty() || authority.contains('@') {
            return Err("it is no URL with a host and nothing before it".to_owned());
        }
        let is_loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if clear_text && is_loopback => false,
            Some("http") => {
                return Err("only https is asked: keys that come in clear text can be anybody's".to_owned());
            }
            _ => return Err("it is no https URL".to_owned()),
        };
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { is_secure, host, port, authority, path })
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: &Place,
) -> Result<(Vec<u8>, HeaderMap), String> {
    let words = |error: hyper::Error| error.to_string();
    let handshake = http1::Builder::new().max_buf_size(BUFFER_BYTES).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(words)?;
    let request = Request::get(&place.path)
        .header(HOST, &place.authority)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("strongroom/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answered = async {
        let answer = sender.send_request(request).await.map_err(words)?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answers {}", answer.status()));
        }
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, OIDC_DOCUMENT_BYTES_MAX).collect().await;
        let body = body.map_err(|error| {
            format!("its answer is cut off, or larger than {OIDC_DOCUMENT_BYTES_MAX} bytes: {error}")
        })?;
        Ok((body.to_bytes().to_vec(), head.headers))
    };
    let mut connection = std::pin::pin!(connection);
    let mut answered = std::pin::pin!(answered);
    let mut is_open = true;
    loop {
        tokio::select! {
            answer = &mut answered => return answer,
            // What ended it reaches whoever waits for the answer.
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

/// How long an answer may be kept (RFC 9111 §5.2.2).
fn keep(headers: &HeaderMap) -> Option<Duration> {
    let told = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let mut words = told.split(',').map(|word| word.trim().to_ascii_lowercase());
    words.find_map(|word| match word.as_str() {
        "no-store" | "no-cache" => Some(Duration::ZERO),
        word => word.strip_prefix("max-age=")?.trim_matches('"').parse().ok().map(Duration::from_secs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys fetched in clear text, or from an address with a name and password in it, are not the issuer's: whoever is on the
    /// way could be.
    #[test]
    fn only_https_is_asked() {
        let place = Place::read("https://issuer.example/a?b", false).unwrap();
        assert_eq!((place.host.as_str(), place.port, place.path.as_str()), ("issuer.example", 443, "/a?b"));
        assert_eq!(Place::read("https://[::1]:8443", false).unwrap().host, "::1");
        assert!(Place::read("http://127.0.0.1:80/", true).is_ok());
        for odd in
            ["http://127.0.0.1/", "http://issuer.example/", "ftp://a/", "https://", "a", "", "https://u:p@a/"]
        {
            assert!(Place::read(odd, false).is_err(), "{odd}");
        }
        assert!(Place::read("http://issuer.example/", true).is_err(), "beyond loopback never");
    }

    /// A cache time that is misread would either flood the issuer or keep a key that it took back.
    #[test]
    fn the_issuers_cache_time_is_read() {
        let keep_of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().unwrap());
            keep(&headers)
        };
        assert_eq!(keep_of("public, Max-Age=300"), Some(Duration::from_secs(300)));
        assert_eq!(keep_of("no-store"), Some(Duration::ZERO));
        assert_eq!(keep_of("max-age=99999999999999999999999"), None);
        assert_eq!(keep_of("private"), None);
        assert_eq!(keep(&HeaderMap::new()), None);
    }
}
