//! From an endpoint to a transport below HTTP/2, or to the trouble that stands in the way.
//!
//! Every step has the same time limit in common. Where the other side just goes away, a second, short connection finds out
//! what it would have liked: clear text, TLS, or another certificate.

use super::endpoint::{Address, Endpoint, Scheme};
use super::explain::{Stage, Trouble};
use super::stream::{Observed, Opening, Record, Transport, opening};
use super::tls::{Showed, Trust, load, sort};
use crate::settings::{Settings, Verification};
use env::Clock;
use env::real::SystemClock;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a second look may take: together with the first one it stays below a second.
const LOOK_TIMEOUT: Duration = Duration::from_millis(400);
/// The connection preface of HTTP/2 and an empty SETTINGS frame: what a client says first.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// A ClientHello without cipher suites that matter: every TLS server answers it with an alert, every other with its own words.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03\
    strongroom strongroom strongro\x6f\x6d\
    \x00\x00\x04\x13\x01\x13\x02\x01\x00";

/// What this machine's clock says.
pub(crate) fn now() -> SystemTime {
    SystemClock::new().wall().into()
}

/// What is needed to reach one endpoint again and again.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) endpoint: Endpoint,
    /// `None` means clear text.
    pub(super) trust: Option<Trust>,
    pub(super) limit: Duration,
}

impl Dialer {
    /// Decides between TLS and clear text, and reads the files.
    pub(super) fn new(endpoint: Endpoint, settings: &Settings) -> Result<Self, Trouble> {
        let enrols = matches!(settings.verification, Verification::ByPin | Verification::ByRoots(_));
        let certain = settings.ca.is_some() || settings.pair.is_some() || enrols;
        let secure = match endpoint.scheme {
            Scheme::Tls => true,
            Scheme::Clear => false,
            Scheme::Unstated => certain || !endpoint.is_local(),
        };
        let trust = if secure { Some(load(settings)?) } else { None };
        Ok(Self { endpoint, trust, limit: settings.dial_timeout })
    }

    /// The name that our certificate says; `None` where we show none, or one without.
    pub(super) fn shown_name(&self) -> Option<&str> {
        let ours = self.trust.as_ref()?.ours.as_ref()?;
        (!ours.common_name.is_empty()).then_some(ours.common_name.as_str())
    }

    fn showed(&self) -> Showed {
        match self.trust.as_ref().and_then(|trust| trust.ours.as_ref()) {
            None => Showed::Nothing,
            Some(ours) if ours.ended(now()) => Showed::Ended,
            Some(_) => Showed::Certificate,
        }
    }

    /// A transport, ready for HTTP/2.
    pub(super) async fn dial(&self, record: &Arc<Record>) -> Result<Observed, Trouble> {
        record.begin();
        let observed = |inner| Observed { inner, record: Arc::clone(record), showed: self.showed() };
        let plain = timeout(self.limit, self.reach())
            .await
            .unwrap_or(Err(Trouble::Timeout(Stage::Connect, self.limit)))?;
        if self.trust.is_none() {
            return Ok(observed(plain));
        }
        match timeout(self.limit, self.greet(plain)).await {
            Err(_) => Err(Trouble::Timeout(Stage::Handshake, self.limit)),
            Ok(Ok(secure)) => Ok(observed(secure)),
            Ok(Err(error)) => Err(match sort(&error, self.showed()) {
                Some(trouble) => trouble,
                None if self.speaks_clear_text().await => Trouble::ServerSpeaksClearText,
                None => Trouble::Closed(Stage::Handshake),
            }),
        }
    }

    async fn reach(&self) -> Result<Box<dyn Transport>, Trouble> {
        match &self.endpoint.address {
            Address::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(Trouble::Socket(error.to_string())),
            },
            Address::Tcp(host, port) => {
                let addresses = tokio::net::lookup_host((host.as_str(), *port))
                    .await
                    .map_err(|error| Trouble::Unresolvable(error.to_string()))?;
                let mut trouble = Trouble::Unresolvable("it has no address".into());
                for address in addresses {
                    match TcpStream::connect(address).await {
                        Ok(stream) => {
                            let _ = stream.set_nodelay(true);
                            return Ok(Box::new(stream));
                        }
                        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                            trouble = Trouble::Refused
                        }
                        Err(error) => trouble = Trouble::Unreachable(error.to_string()),
                    }
                }
                Err(trouble)
            }
        }
    }

    async fn greet(&self, plain: Box<dyn Transport>) -> std::io::Result<Box<dyn Transport>> {
        let Some(trust) = &self.trust else { return Ok(plain) };
        let name = ServerName::try_from(self.endpoint.host().to_owned()).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(&trust.config)).connect(name, plain).await?;
        Ok(Box::new(stream))
    }

    /// A server that answers clear text in clear text may still be one that wants TLS, and only says so politely.
    pub(super) async fn refine(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::NotGrpc(_) if self.trust.is_none() && self.speaks_tls().await => {
                Trouble::ServerSpeaksTls
            }
            other => other,
        }
    }

    /// Looks again after a connection died without a word that explains it.
    pub(super) async fn diagnose(&self) -> Trouble {
        if self.trust.is_none() {
            return if self.speaks_tls().await {
                Trouble::ServerSpeaksTls
            } else {
                Trouble::Closed(Stage::Answer)
            };
        }
        let look = async {
            let mut stream = self
                .greet(self.reach().await?)
                .await
                .map_err(|error| sort(&error, self.showed()).unwrap_or(Trouble::Closed(Stage::Handshake)))?;
            let mut bytes = [0; 64];
            Err(match stream.read(&mut bytes).await {
                Ok(_) => Trouble::Closed(Stage::Answer),
                Err(error) => sort(&error, self.showed()).unwrap_or(Trouble::Closed(Stage::Answer)),
            })
        };
        let looked: Result<Result<(), Trouble>, _> = timeout(LOOK_TIMEOUT, look).await;
        match looked {
            Ok(Err(trouble)) => trouble,
            Ok(Ok(())) | Err(_) => Trouble::Closed(Stage::Answer),
        }
    }

    /// The first bytes that come back for some bytes of ours.
    async fn reply(&self, words: &[u8]) -> Opening {
        let look = async {
            let mut stream = self.reach().await.ok()?;
            stream.write_all(words).await.ok()?;
            let mut bytes = [0; 64];
            let length = stream.read(&mut bytes).await.ok()?;
            bytes.get(..length).map(opening)
        };
        timeout(LOOK_TIMEOUT, look).await.ok().flatten().unwrap_or(Opening::Nothing)
    }

    async fn speaks_tls(&self) -> bool {
        self.reply(HELLO).await == Opening::Tls
    }

    async fn speaks_clear_text(&self) -> bool {
        matches!(self.reply(GREETING).await, Opening::Http2 | Opening::Line(_))
    }
}
