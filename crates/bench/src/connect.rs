//! Connections to one server: clear text or mutual TLS 1.3, HTTP/2 above it.
//!
//! Each connection is a task of the one thread that ends with its last caller.

use bytes::Bytes;
use clap::Args;
use h2::client::SendRequest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Windows that no answer fills, so that a server never waits for us to make room.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// What stands in the way of a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system's words.
    #[error("cannot reach {0}: {1}")]
    Unreachable(String, std::io::Error),
    /// A file of certificates or keys.
    #[error("{0}: {1}")]
    File(String, rustls::pki_types::pem::Error),
    /// The library's words on what was in them.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The other side speaks no HTTP/2.
    #[error("HTTP/2: {0}")]
    Http(#[from] h2::Error),
    /// Handshakes without TLS.
    #[error("there is no handshake in clear text\n  next: give --cacert, --cert and --key")]
    Clear,
    /// Anything but `host:port`.
    #[error("{0} has no name that a certificate could hold\n  next: give --endpoint as HOST:PORT")]
    Name(String),
}

/// The server, and what it takes to be let in.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// The server, as HOST:PORT.
    #[arg(long, global = true, default_value = "127.0.0.1:2379")]
    pub(crate) endpoint: String,
    /// The authority that vouches for the server; without it clear text is spoken.
    #[arg(long, global = true)]
    cacert: Option<PathBuf>,
    /// Our certificate.
    #[arg(long, global = true, requires = "key")]
    cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, global = true, requires = "cert")]
    key: Option<PathBuf>,
}

impl Target {
    /// That many connections.
    pub(crate) async fn connect(&self, count: u32) -> Result<Vec<SendRequest<Bytes>>, Error> {
        let tls = self.cacert.as_deref().map(|ca| self.tls(ca)).transpose()?;
        let mut all = Vec::new();
        for _ in 0..count.max(1) {
            all.push(self.one(tls.clone()).await?);
        }
        Ok(all)
    }

    async fn one(&self, tls: Option<Arc<ClientConfig>>) -> Result<SendRequest<Bytes>, Error> {
        match tls {
            None => speak(self.plain().await?).await,
            Some(tls) => speak(self.secured(tls).await?).await,
        }
    }

    /// A connection on which nothing was said.
    pub(crate) async fn plain(&self) -> Result<TcpStream, Error> {
        let unreachable = |error| Error::Unreachable(self.endpoint.clone(), error);
        let plain = TcpStream::connect(&self.endpoint).await.map_err(unreachable)?;
        plain.set_nodelay(true).map_err(unreachable)?;
        Ok(plain)
    }

    async fn secured(&self, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Error> {
        let host = self.endpoint.rsplit_once(':').map_or(self.endpoint.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::Name(self.endpoint.clone()))?;
        let unreachable = |error| Error::Unreachable(self.endpoint.clone(), error);
        TlsConnector::from(tls).connect(name, self.plain().await?).await.map_err(unreachable)
    }

    /// What makes secured connections, again and again.
    pub(crate) fn maker(&self) -> Result<Maker, Error> {
        let ca = self.cacert.as_deref().ok_or(Error::Clear)?;
        let mut config = Arc::unwrap_or_clone(self.tls(ca)?);
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Maker { target: self.clone(), tls: Arc::new(config) })
    }

    fn tls(&self, ca: &Path) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let file = |error| Error::File(key.display().to_string(), error);
                builder.with_client_auth_cert(
                    certificates(cert)?,
                    PrivateKeyDer::from_pem_file(key).map_err(file)?,
                )?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Makes secured connections.
pub(crate) struct Maker {
    target: Target,
    tls: Arc<ClientConfig>,
}

impl Maker {
    /// One more, with a handshake of its own.
    pub(crate) async fn stream(&self) -> Result<TlsStream<TcpStream>, Error> {
        self.target.secured(self.tls.clone()).await
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let file = |error| Error::File(path.display().to_string(), error);
    CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<_, _>>().map_err(file)
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Result<SendRequest<Bytes>, Error> {
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_push(false)
        .handshake(stream)
        .await?;
    // Its end shows in every call on it.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}
