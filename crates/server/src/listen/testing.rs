//! What the tests of the edge share: a certificate authority made on the spot, a stand-in for the gRPC services, a server
//! on a loopback port, clients of every kind, and the log lines that were written meanwhile.

use super::*;
use crate::gate::Connection;
use crate::http::{Access, Alarm, Context, Gateway, Router, Versions, Vitals};
use crate::metrics::{Detail, MethodName, Metrics, Readings, Shape};
use crate::tls::{Clients, Settings, Source};
use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use prost::Message;
use proto::etcdserverpb as pb;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::service::Routes;

/// A certificate authority.
pub(crate) struct Ca {
    pub(crate) pem: String,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) serial: Vec<u8>,
}

/// When a certificate is good.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Good {
    Now,
    InThePast,
    InTheFuture,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn leaf(
        &self,
        name: &str,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        good: Good,
    ) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let (from, to) = match good {
            Good::Now => (2020, 2090),
            Good::InThePast => (2020, 2021),
            Good::InTheFuture => (2080, 2090),
        };
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let serial = vec![7, u8::try_from(name.len()).unwrap(), 9];
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem(), serial }
    }

    pub(crate) fn server(&self) -> Leaf {
        self.leaf("server", &["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth, Good::Now)
    }

    pub(crate) fn client(&self, name: &str, good: Good) -> Leaf {
        self.leaf(name, &[], ExtendedKeyUsagePurpose::ClientAuth, good)
    }

    /// A client's certificate with these beginnings and ends, Unix seconds.
    pub(crate) fn client_between(&self, name: &str, begins: i64, ends: i64) -> Leaf {
        let moment = |at| time::OffsetDateTime::from_unix_timestamp(at).unwrap();
        self.made(name, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            (params.not_before, params.not_after) = (moment(begins), moment(ends));
        })
    }

    /// A certificate of any kind.
    pub(crate) fn made(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let serial = vec![7, u8::try_from(name.len()).unwrap(), 9];
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2090, 1, 1));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem(), serial }
    }

    /// A revocation list with this number, that names these, and is due again in this year.
    pub(crate) fn list(&self, number: u64, revoked: &[&Leaf], due: i32) -> rcgen::CertificateRevocationList {
        let entry = |leaf: &&Leaf| rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from_slice(&leaf.serial),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(due, 1, 1),
            crl_number: rcgen::SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap()
    }

    /// The same in PEM, long before it is stale.
    pub(crate) fn revoking(&self, number: u64, revoked: &[&Leaf]) -> String {
        self.list(number, revoked, 2090).pem().unwrap()
    }
}

pub(crate) fn held(name: &'static str, pem: &str) -> Source {
    Source::Held(name, Arc::from(pem.as_bytes()))
}

/// TLS settings with a certificate of `ca` that demand clients' certificates of the same CA.
pub(crate) fn settings(ca: &Ca, clients: Clients) -> Settings {
    let leaf = ca.server();
    Settings {
        client_ca: Some(held("ca.crt", &ca.pem)),
        clients,
        ..Settings::new(held("server.crt", &leaf.certificate), held("server.key", &leaf.key))
    }
}

/// The member behind the HTTP paths.
pub(crate) struct Patient {
    pub(crate) leader: AtomicBool,
    pub(crate) learner: AtomicBool,
    pub(crate) alarms: Mutex<Vec<Alarm>>,
}

impl Default for Patient {
    fn default() -> Self {
        Self { leader: AtomicBool::new(true), learner: AtomicBool::new(false), alarms: Mutex::default() }
    }
}

impl Vitals for Patient {
    fn has_leader(&self) -> bool {
        self.leader.load(Ordering::Relaxed)
    }

    fn is_learner(&self) -> bool {
        self.learner.load(Ordering::Relaxed)
    }

    fn alarms(&self) -> Vec<Alarm> {
        self.alarms.lock().unwrap().clone()
    }

    fn versions(&self) -> Versions {
        Versions { server: "3.7.3".into(), cluster: "3.7.0".into(), storage: "3.7.0".into() }
    }

    fn readings(&self) -> Readings {
        Readings { server_version: "3.7.3", cluster_version: "3.7".into(), ..Readings::default() }
    }
}

/// Stands in for the gRPC services: answers a few methods, by what their requests hold.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) reads_fail: Arc<AtomicBool>,
}

impl tonic::server::NamedService for Services {
    const NAME: &'static str = "etcdserverpb.KV";
}

#[derive(Clone)]
struct Named<const N: usize>(Services);

macro_rules! named {
    ($($number:literal = $name:literal),+) => {
        $(impl tonic::server::NamedService for Named<$number> {
            const NAME: &'static str = $name;
        })+
    };
}

named!(
    0 = "etcdserverpb.KV",
    1 = "etcdserverpb.Watch",
    2 = "etcdserverpb.Lease",
    3 = "etcdserverpb.Cluster",
    4 = "etcdserverpb.Maintenance",
    5 = "etcdserverpb.Auth",
    6 = "v3lockpb.Lock",
    7 = "v3electionpb.Election"
);

impl<const N: usize> tower::Service<Request<Body>> for Named<N> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let services = self.0.clone();
        Box::pin(async move { Ok(services.answer(request).await) })
    }
}

pub(crate) fn framed(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    framed.extend(bytes);
    framed.into()
}

fn answered(messages: Vec<Bytes>, status: tonic::Status) -> Response<Body> {
    let mut trailers = ::http::HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let frames =
        messages.into_iter().map(http_body::Frame::data).chain([http_body::Frame::trailers(trailers)]);
    let body = StreamBody::new(tokio_stream_of(frames.map(Ok::<_, tonic::Status>).collect()));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

fn tokio_stream_of<T: Send + 'static>(items: Vec<T>) -> impl tokio_stream::Stream<Item = T> + Send {
    tokio_stream::iter(items)
}

impl Services {
    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let path = request.uri().path().to_owned();
        let token =
            request.headers().get("authorization").and_then(|token| token.to_str().ok()).map(str::to_owned);
        // Any method can be made to wait for ever: before its answer, or behind the first message of it.
        match request.headers().get("hang").map(::http::HeaderValue::as_bytes) {
            Some(b"before") => return std::future::pending().await,
            Some(b"behind") => {
                let first = framed(&pb::WatchResponse { created: true, ..Default::default() });
                let first = tokio_stream::once(Ok::<_, tonic::Status>(http_body::Frame::data(first)));
                let body = StreamBody::new(tokio_stream::StreamExt::chain(first, tokio_stream::pending()));
                let mut response = Response::new(Body::new(body));
                response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                return response;
            }
            _ => {}
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let message = body.get(5..).unwrap_or_default();
        let ok = tonic::Status::new(tonic::Code::Ok, "");
        let header = Some(pb::ResponseHeader {
            cluster_id: 10_144_879_847_569_953_045,
            revision: 15,
            raft_term: 2,
            ..Default::default()
        });
        match path.as_str() {
            "/etcdserverpb.KV/Range" => {
                let range = pb::RangeRequest::decode(message).unwrap();
                if self.reads_fail.load(Ordering::Relaxed) {
                    return tonic::Status::new(tonic::Code::Unavailable, "etcdserver: no leader").into_http();
                }
                if &range.key[..] == b"hang" {
                    std::future::pending::<()>().await;
                }
                if &range.key[..] == b"future" {
                    let text = "etcdserver: mvcc: required revision is a future revision";
                    return tonic::Status::new(tonic::Code::OutOfRange, text).into_http();
                }
                if range.key.is_empty() {
                    return tonic::Status::new(
                        tonic::Code::InvalidArgument,
                        "etcdserver: key is not provided",
                    )
                    .into_http();
                }
                let value = if &range.key[..] == b"who" {
                    format!("{connection:?} {token:?}")
                } else {
                    format!("{range:?}")
                };
                let pair = proto::mvccpb::KeyValue {
                    key: range.key.clone(),
                    value: value.into(),
                    mod_revision: 17,
                    version: 3,
                    create_revision: 15,
                    ..Default::default()
                };
                let answer = pb::RangeResponse { header, kvs: vec![pair], more: false, count: 1 };
                answered(vec![framed(&answer)], ok)
            }
            "/etcdserverpb.KV/DeleteRange" => answered(
                vec![],
                tonic::Status::new(tonic::Code::NotFound, "etcdserver: <nothing> & \"more\""),
            ),
            "/etcdserverpb.Watch/Watch" => {
                let created = pb::WatchResponse { header, created: true, ..Default::default() };
                let pair =
                    proto::mvccpb::KeyValue { key: "foo".into(), mod_revision: 18, ..Default::default() };
                let event = proto::mvccpb::Event { r#type: 1, kv: Some(pair), prev_kv: None };
                let events = pb::WatchResponse {
                    header,
                    events: vec![event],
                    cancel_reason: "<a&b>".into(),
                    ..Default::default()
                };
                answered(
                    vec![framed(&created), framed(&events)],
                    tonic::Status::new(tonic::Code::Unavailable, "etcdserver: no leader"),
                )
            }
            _ => tonic::Status::new(tonic::Code::Unimplemented, path).into_http(),
        }
    }

    pub(crate) fn routes(&self) -> Routes {
        Routes::new(Named::<0>(self.clone()))
            .add_service(Named::<1>(self.clone()))
            .add_service(Named::<2>(self.clone()))
            .add_service(Named::<3>(self.clone()))
            .add_service(Named::<4>(self.clone()))
            .add_service(Named::<5>(self.clone()))
            .add_service(Named::<6>(self.clone()))
            .add_service(Named::<7>(self.clone()))
    }
}

/// How long the gateway waits for a body here.
pub(crate) const BODY_DEADLINE: Duration = Duration::from_millis(500);

/// A server on a loopback port.
pub(crate) struct Server {
    pub(crate) running: Option<Running>,
    pub(crate) address: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) patient: Arc<Patient>,
    pub(crate) reads_fail: Arc<AtomicBool>,
}

pub(crate) struct Plan {
    pub(crate) serves: Serves,
    pub(crate) security: Security,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    pub(crate) gateway: bool,
    /// Other services than the stand-in.
    pub(crate) routes: Option<Routes>,
    /// Whether the cluster has an authority of its own.
    pub(crate) gives_certificates: bool,
}

impl Plan {
    pub(crate) fn clear() -> Self {
        let limits = Limits { workers: 2, reload_interval: Duration::ZERO, ..Limits::default() };
        Self {
            serves: Serves::Everything,
            security: Security::Clear,
            limits,
            access: Access::open(),
            gateway: true,
            routes: None,
            gives_certificates: false,
        }
    }

    pub(crate) fn tls(settings: Settings) -> Self {
        Self { security: Security::Tls(Arc::new(Reloading::open(settings).unwrap())), ..Self::clear() }
    }

    pub(crate) fn start(self) -> Server {
        self.start_at(Address::Tcp("127.0.0.1:0".into()))
    }

    pub(crate) fn start_at(self, address: Address) -> Server {
        listen_to_the_log();
        let methods = [("KV", "Range", Shape::Unary), ("Watch", "Watch", Shape::BidiStream)];
        let methods = methods.map(|(service, method, shape)| MethodName {
            service: format!("etcdserverpb.{service}"),
            method: method.into(),
            shape,
        });
        let metrics = Arc::new(Metrics::new(methods, Arc::default()));
        let patient = Arc::new(Patient::default());
        let services = Services { reads_fail: Arc::default() };
        let routes = self.routes.unwrap_or_else(|| services.routes());
        let context = Context {
            routes: routes.clone(),
            vitals: patient.clone(),
            metrics: metrics.clone(),
            detail: Detail::Basic,
            access: self.access,
            gateway: self
                .gateway
                .then(|| Gateway::new(proto::DESCRIPTORS).unwrap().with_body_deadline(BODY_DEADLINE)),
            command_line: Some(vec!["etcd".into(), "--name=\"x\"".into()]),
            request_timeout: Duration::from_secs(7),
        };
        let edge = Edge::new(routes, Router::new(context), metrics.clone());
        let edge = if self.gives_certificates { edge.giving_certificates() } else { edge };
        let bound = bind(vec![Listener { address, serves: self.serves, security: self.security }]).unwrap();
        let address = bound.addresses().remove(0).to_string();
        let running = Some(bound.serve(&edge, self.limits).unwrap());
        Server { running, address, metrics, patient, reads_fail: services.reads_fail }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop(Duration::ZERO);
        }
    }
}

impl Server {
    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// Sends bytes and reads everything that comes back.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> (Vec<u8>, String) {
        let mut stream = self.tcp().await;
        let peer = stream.local_addr().unwrap().to_string();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        (answer, peer)
    }

    /// One HTTP/1 request over clear text.
    pub(crate) async fn http(&self, method: &str, path: &str, body: &str) -> Answer {
        self.http_with(method, path, body, "").await
    }

    pub(crate) async fn http_with(&self, method: &str, path: &str, body: &str, headers: &str) -> Answer {
        let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        Answer::parse(&self.exchange(request.as_bytes()).await.0)
    }
}

/// A parsed HTTP/1 answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked { unchunked(body) } else { body.to_owned() };
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

fn unchunked(body: &str) -> String {
    let (mut out, mut rest) = (String::new(), body);
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&behind[..size]);
        rest = behind[size..].trim_start_matches("\r\n");
    }
    out
}

/// What a TLS client brings.
pub(crate) struct Client<'a> {
    pub(crate) trusts: &'a Ca,
    pub(crate) shows: Option<Leaf>,
    pub(crate) dials: &'static str,
    pub(crate) versions: &'static [&'static rustls::SupportedProtocolVersion],
}

impl<'a> Client<'a> {
    pub(crate) fn new(trusts: &'a Ca, shows: Option<Leaf>) -> Self {
        Self { trusts, shows, dials: "localhost", versions: rustls::DEFAULT_VERSIONS }
    }

    pub(crate) fn config(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match &self.shows {
            Some(leaf) => {
                let chain: Result<Vec<_>, _> =
                    CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).collect();
                let chain = chain.unwrap();
                let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
                let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
                // This way the key need not be the certificate's: an impostor would do the same.
                let shown = rustls::sign::CertifiedKey::new(chain, key);
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    pub(crate) async fn connect(
        &self,
        server: &Server,
    ) -> (std::io::Result<tokio_rustls::client::TlsStream<TcpStream>>, String) {
        let stream = server.tcp().await;
        let peer = stream.local_addr().unwrap().to_string();
        let name = ServerName::try_from(self.dials).unwrap();
        (tokio_rustls::TlsConnector::from(self.config()).connect(name, stream).await, peer)
    }

    /// Connects and reads: in TLS 1.3 a client learns of its certificate's refusal only then.
    pub(crate) async fn refused(&self, server: &Server) -> (String, String) {
        let (connected, peer) = self.connect(server).await;
        let error = match connected {
            Err(error) => error,
            Ok(mut stream) => {
                let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
                stream.read(&mut [0; 64]).await.expect_err("the handshake should have failed")
            }
        };
        (error.to_string(), peer)
    }

    /// One HTTP/1 request over TLS.
    pub(crate) async fn http(&self, server: &Server, path: &str) -> Answer {
        let mut stream = self.connect(server).await.0.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Answer::parse(&answer)
    }
}

/// What a gRPC call came back with.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) body: Bytes,
}

impl Called {
    pub(crate) fn value(&self) -> String {
        let answer = pb::RangeResponse::decode(&self.body[5..]).unwrap();
        String::from_utf8(answer.kvs[0].value.to_vec()).unwrap()
    }
}

/// A secured stream to a server.
pub(crate) trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

/// Connects over TCP, or over a unix socket where the server's address is one, and tells the peer's name.
pub(crate) async fn secured(
    client: &Client<'_>,
    server: &Server,
) -> (std::io::Result<Box<dyn Stream>>, String) {
    let Some(path) = server.address.strip_prefix("unix:") else {
        let (stream, peer) = client.connect(server).await;
        return (stream.map(|stream| Box::new(stream) as Box<dyn Stream>), peer);
    };
    let stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let name = ServerName::try_from(client.dials).unwrap();
    let stream = tokio_rustls::TlsConnector::from(client.config()).connect(name, stream).await;
    (stream.map(|stream| Box::new(stream) as Box<dyn Stream>), "unix".to_owned())
}

/// Opens HTTP/2 on a stream; the connection lives as long as the runtime.
pub(crate) async fn http2<S>(stream: S) -> hyper::client::conn::http2::SendRequest<Full<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let io = hyper_util::rt::TokioIo::new(stream);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

pub(crate) fn range(key: &str) -> Request<Full<Bytes>> {
    let request = pb::RangeRequest { key: key.as_bytes().to_vec().into(), ..Default::default() };
    Request::post("http://localhost/etcdserverpb.KV/Range")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(framed(&request)))
        .unwrap()
}

pub(crate) async fn call(
    sender: &mut hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Called, hyper::Error> {
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let status =
        tonic::Status::from_header_map(&trailers).or_else(|| tonic::Status::from_header_map(&head.headers));
    let status = status.unwrap_or_else(|| tonic::Status::unknown(format!("no status: {head:?}")));
    Ok(Called {
        code: status.code().into(),
        message: status.message().to_owned(),
        body: collected.to_bytes(),
    })
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
    })
}

/// Runs something and says how long it took.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let result = future.await;
    (result, began.elapsed())
}

/// etcd takes five silent seconds over a TLS mistake; here the answer is there at once. The machine may be busy.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collected;

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn listen_to_the_log() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| crate::log::start_for_tests(Box::new(Collected)));
}

/// The log lines that hold all of these.
pub(crate) fn lines_with(wanted: &[&str]) -> Vec<String> {
    let lines = LINES.lock().unwrap();
    lines.iter().filter(|line| wanted.iter().all(|each| line.contains(each))).cloned().collect()
}

/// The log line about a peer, as JSON. Lines are written before the connection is closed, at the latest soon after.
pub(crate) async fn line_about(server: &Server, peer: &str) -> serde_json::Value {
    // Ports are used again: only both ends together name a connection.
    let wanted = format!("\"remote-addr\":\"{peer}\",\"local-addr\":\"{}\"", server.address);
    for _ in 0..500 {
        let found = LINES.lock().unwrap().iter().find(|line| line.contains(&wanted)).cloned();
        if let Some(line) = found {
            return serde_json::from_str(&line).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no log line about {peer}");
}
