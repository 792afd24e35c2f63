//! The mistakes of the first day, one by one, against servers in this process: each must be explained in under a second.

use super::*;
use crate::settings::{Global, Surroundings};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::Instant;
use tonic::service::Routes;

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// When a certificate is valid, seen from now.
#[derive(Clone, Copy)]
enum Validity {
    Now,
    Past,
    Future,
}

/// A certificate and its key.
struct Pair {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn issue(&self, names: &[&str], validity: Validity) -> Pair {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (rcgen::date_time_ymd(2000, 1, 1), rcgen::date_time_ymd(2200, 1, 1)),
            Validity::Past => (rcgen::date_time_ymd(2000, 1, 1), rcgen::date_time_ymd(2001, 1, 1)),
            Validity::Future => (rcgen::date_time_ymd(2190, 1, 1), rcgen::date_time_ymd(2200, 1, 1)),
        };
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { pem: certificate.pem(), der: certificate.der().clone(), key }
    }
}

/// The least member: it answers `get`.
struct Store;

type Reply<T> = Result<Response<T>, tonic::Status>;

#[tonic::async_trait]
impl pb::kv_server::Kv for Store {
    type RangeStreamStream = tokio_stream::Empty<Result<pb::RangeStreamResponse, tonic::Status>>;

    async fn range(&self, request: Request<pb::RangeRequest>) -> Reply<pb::RangeResponse> {
        let key = request.into_inner().key;
        if key.as_ref() == b"forbidden" {
            return Err(tonic::Status::permission_denied("etcdserver: permission denied"));
        }
        if key.as_ref() == b"slow" {
            std::future::pending::<()>().await;
        }
        let kv = proto::mvccpb::KeyValue { key, value: "v".into(), ..proto::mvccpb::KeyValue::default() };
        Ok(Response::new(pb::RangeResponse { kvs: vec![kv], count: 1, ..pb::RangeResponse::default() }))
    }
    async fn range_stream(&self, _: Request<pb::RangeRequest>) -> Reply<Self::RangeStreamStream> {
        Ok(Response::new(tokio_stream::empty()))
    }
    async fn put(&self, _: Request<pb::PutRequest>) -> Reply<pb::PutResponse> {
        Err(tonic::Status::unimplemented(""))
    }
    async fn delete_range(&self, _: Request<pb::DeleteRangeRequest>) -> Reply<pb::DeleteRangeResponse> {
        Err(tonic::Status::unimplemented(""))
    }
    async fn txn(&self, _: Request<pb::TxnRequest>) -> Reply<pb::TxnResponse> {
        Err(tonic::Status::unimplemented(""))
    }
    async fn compact(&self, _: Request<pb::CompactionRequest>) -> Reply<pb::CompactionResponse> {
        Err(tonic::Status::unimplemented(""))
    }
}

fn serve(stream: impl stream::Transport + 'static) {
    serve_routes(stream, Routes::new(pb::kv_server::KvServer::new(Store)));
}

fn serve_routes(stream: impl stream::Transport + 'static, routes: Routes) {
    let routes = routes.prepare();
    tokio::spawn(async move {
        let service = TowerToHyperService::new(tower::service_fn(
            move |request: tonic::codegen::http::Request<hyper::body::Incoming>| {
                let routes = routes.clone();
                async move { tower::ServiceExt::oneshot(routes, request).await }
            },
        ));
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    });
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server of these services in clear text.
pub(crate) async fn clear_server(routes: Routes) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve_routes(stream, routes.clone());
        }
    });
    address
}

async fn clear_member() -> SocketAddr {
    clear_server(Routes::new(pb::kv_server::KvServer::new(Store))).await
}

/// A member with TLS that wants certificates from `clients`, if that is given.
async fn tls_member(server: Pair, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.der.clone()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(server.key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![server.der], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream);
                }
            });
        }
    });
    address
}

/// A server that says these bytes to whoever comes, and then is silent.
async fn parrot(words: &'static [u8]) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(words).await;
                std::future::pending::<()>().await;
            });
        }
    });
    address
}

/// A TLS server that explains itself to clients in clear text, as ours does.
async fn polite() -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut first = [0];
            let _ = stream.read(&mut first).await;
            let words: &[u8] = if first == [0x16] {
                &[0x15, 3, 3, 0, 2, 2, 40]
            } else {
                b"HTTP/1.1 400 Bad Request\r\n\r\n"
            };
            let _ = stream.write_all(words).await;
        }
    });
    address
}

/// Files of one side, and the options that name them.
struct Files {
    directory: TempDir,
    global: Global,
}

impl Files {
    fn new(endpoint: String) -> Self {
        let global = Global { endpoints: vec![endpoint], ..Global::default() };
        Self { directory: tempfile::tempdir().unwrap(), global }
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn trusting(mut self, authority: &Authority) -> Self {
        self.global.cacert = Some(self.put("ca.crt", &authority.pem));
        self
    }

    fn showing(mut self, pair: &Pair) -> Self {
        self.global.cert = Some(self.put("me.crt", &pair.pem));
        self.global.key = Some(self.put("me.key", &pair.key.serialize_pem()));
        self
    }
}

async fn get_with(global: &Global, key: &str) -> Result<pb::RangeResponse, Failure> {
    let settings = Arc::new(Settings::resolve(global, &Surroundings { variable: &|_| None })?);
    let client = Client::connect(&settings).await?;
    let request = pb::RangeRequest { key: key.to_owned().into(), ..pb::RangeRequest::default() };
    client.call(client.kv().range(client.request(request))).await
}

async fn get(files: &Files) -> Result<pb::RangeResponse, Failure> {
    get_with(&files.global, "a").await
}

/// The mistake is explained in these words, at once, with code 2.
async fn explained(files: &Files, happened: &str, cause: &str) {
    let start = Instant::now();
    let failure = get(files).await.unwrap_err();
    let took = start.elapsed();
    assert!(failure.message.contains(happened), "{failure}");
    assert!(failure.cause.as_deref().unwrap_or_default().contains(cause), "{failure}");
    assert_eq!(failure.code, Code::Connection as u8, "{failure}");
    assert!(took < Duration::from_secs(1), "{took:?}: {failure}");
}

fn https(address: SocketAddr) -> String {
    format!("https://{address}")
}

const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

/// The good case first: with the right files a command is answered, over TLS with a client certificate and in clear text.
#[tokio::test]
async fn the_right_settings_get_an_answer() {
    let authority = Authority::new("made CA");
    let address = tls_member(authority.issue(LOCAL, Validity::Now), Some(&authority)).await;
    let mine = authority.issue(&["me"], Validity::Now);
    for endpoint in [https(address), address.to_string(), format!("localhost:{}", address.port())] {
        let files = Files::new(endpoint).trusting(&authority).showing(&mine);
        assert_eq!(get(&files).await.unwrap().count, 1);
    }
    let files = Files::new(clear_member().await.to_string());
    assert_eq!(get(&files).await.unwrap().count, 1);
}

/// The first five minutes need no flag: the profile alone leads to the member.
#[tokio::test]
async fn a_profile_alone_is_enough() {
    let authority = Authority::new("made CA");
    let address = tls_member(authority.issue(LOCAL, Validity::Now), Some(&authority)).await;
    let files =
        Files::new(https(address)).trusting(&authority).showing(&authority.issue(&["me"], Validity::Now));
    let Global { endpoints, cacert: ca, cert, key, .. } = files.global.clone();
    let path = files.directory.path().join("client.toml");
    crate::Profile { endpoints, ca, cert, key }.write(&path).unwrap();
    let variable = |name: &str| (name == "STRONGROOM_PROFILE").then(|| path.clone().into_os_string());
    let settings = Settings::resolve(&Global::default(), &Surroundings { variable: &variable }).unwrap();
    let client = Client::connect(&Arc::new(settings)).await.unwrap();
    let request = client.request(pb::RangeRequest { key: "a".into(), ..pb::RangeRequest::default() });
    assert_eq!(client.call(client.kv().range(request)).await.unwrap().count, 1);
}

/// Nothing there, and the next endpoint instead: a member that is down must not cost the command.
#[tokio::test]
async fn a_member_that_is_down_is_named_or_passed_over() {
    let (gone, address) = listener().await;
    drop(gone);
    let mut files = Files::new(format!("http://{address}"));
    explained(&files, "nothing listens at http://127.0.0.1", "not running").await;
    files.global.endpoints.push(clear_member().await.to_string());
    assert_eq!(get(&files).await.unwrap().count, 1);
}

/// The two directions of the commonest mistake of all.
#[tokio::test]
async fn clear_text_and_tls_are_told_apart_in_both_directions() {
    let authority = Authority::new("made CA");
    let secure = tls_member(authority.issue(LOCAL, Validity::Now), None).await;
    explained(&Files::new(format!("http://{secure}")), "speaks TLS, and this command used clear text", "")
        .await;
    explained(&Files::new(secure.to_string()), "speaks TLS", "no certificates were found").await;
    explained(
        &Files::new(format!("http://{}", polite().await)),
        "speaks TLS, and this command used clear text",
        "",
    )
    .await;
    let clear = clear_member().await;
    explained(&Files::new(https(clear)).trusting(&authority), "does not speak TLS", "clear text").await;
    let web = parrot(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    explained(&Files::new(https(web)).trusting(&authority), "does not speak TLS", "").await;
    explained(&Files::new(format!("http://{web}")), "does not speak gRPC", "another service").await;
}

/// What is wrong with the server's certificate, with the facts that prove it.
#[tokio::test]
async fn servers_certificates_are_judged_with_their_facts() {
    let authority = Authority::new("made CA");
    let other = Authority::new("other CA");
    let address = tls_member(authority.issue(LOCAL, Validity::Now), None).await;
    explained(&Files::new(https(address)).trusting(&other), "CA that this client does not know", "made CA")
        .await;
    let address = tls_member(authority.issue(LOCAL, Validity::Past), None).await;
    explained(&Files::new(https(address)).trusting(&authority), "has expired", "ended 2001-01-01T00:00:00Z")
        .await;
    let address = tls_member(authority.issue(LOCAL, Validity::Future), None).await;
    explained(&Files::new(https(address)).trusting(&authority), "not yet valid", "begins 2190-01-01").await;
    let address = tls_member(authority.issue(&["db.example", "10.0.0.1"], Validity::Now), None).await;
    explained(
        &Files::new(https(address)).trusting(&authority),
        "not for \"127.0.0.1\"",
        "db.example, 10.0.0.1",
    )
    .await;
    explained(&Files::new(https(address)), "no CA is known", "--cacert").await;
}

/// What the server holds against ours: in TLS 1.3 it says so only after the handshake, and etcd's client never tells.
#[tokio::test]
async fn our_certificate_refused_is_explained_after_the_handshake() {
    let authority = Authority::new("made CA");
    let other = Authority::new("other CA");
    let address = tls_member(authority.issue(LOCAL, Validity::Now), Some(&authority)).await;
    let files = || Files::new(https(address)).trusting(&authority);
    explained(&files(), "wants a client certificate", "--cert").await;
    let stranger = files().showing(&other.issue(&["me"], Validity::Now));
    explained(&stranger, "refuses this client's certificate: it does not know the CA", "other CA").await;
    let old = files().showing(&authority.issue(&["me"], Validity::Past));
    explained(&old, "it has expired", "ended 2001-01-01").await;
}

/// A wrong file is named before anything is dialled.
#[tokio::test]
async fn unusable_files_are_named() {
    let authority = Authority::new("made CA");
    let mine = authority.issue(&["me"], Validity::Now);
    let files = || Files::new("https://127.0.0.1:1".into()).trusting(&authority).showing(&mine);
    let mut wrong = files();
    wrong.global.cacert = Some("/nowhere/ca.crt".into());
    explained(&wrong, "/nowhere/ca.crt does not exist", "").await;
    let mut wrong = files();
    wrong.global.key = Some(wrong.put("key", "no key"));
    explained(&wrong, "holds no usable PEM", "").await;
    let mut wrong = files();
    wrong.global.key = Some(wrong.put("key", &authority.issue(&["x"], Validity::Now).key.serialize_pem()));
    explained(&wrong, "does not belong to the certificate", "different pairs").await;
    let mut wrong = files();
    wrong.global.cert = Some(wrong.directory.path().to_owned());
    explained(&wrong, "cannot be read", "plain file").await;
}

/// Silence is the one case that has to wait; then it says for what, and how to wait longer.
#[tokio::test]
async fn silence_is_named_when_its_time_is_up() {
    let authority = Authority::new("made CA");
    let silent = parrot(b"").await;
    let mut files = Files::new(https(silent)).trusting(&authority);
    files.global.dial_timeout = Some("100ms".into());
    explained(&files, "finished no TLS handshake within 100ms", "").await;
    let mut files = Files::new(clear_member().await.to_string());
    files.global.command_timeout = Some("100ms".into());
    let failure = get_with(&files.global, "slow").await.unwrap_err();
    assert!(failure.message.contains("gave no answer within 100ms"), "{failure}");
}

/// The server's own words come through unchanged, with code 1 and a hint: scripts compare them.
#[tokio::test]
async fn refusals_keep_the_servers_words() {
    let files = Files::new(clear_member().await.to_string());
    let failure = get_with(&files.global, "forbidden").await.unwrap_err();
    assert_eq!((failure.message.as_str(), failure.code), ("etcdserver: permission denied", 1));
    assert!(failure.hint.is_some());
}

/// With several certificates at hand, the first question about a refusal is whose it was: the name in the certificate is said.
#[tokio::test]
async fn a_refusal_names_whom_the_certificate_names() {
    let authority = Authority::new("made CA");
    let address = tls_member(authority.issue(LOCAL, Validity::Now), Some(&authority)).await;
    let files = Files::new(https(address)).trusting(&authority).showing(&authority.issue(&[], Validity::Now));
    let hint = get_with(&files.global, "forbidden").await.unwrap_err().hint.unwrap();
    let said =
        "the certificate reads \"rcgen self signed cert\": that user is asking, unless an identity rule";
    assert!(hint.starts_with(said), "{hint}");
}

/// Unix sockets need no port and no certificate.
#[tokio::test]
async fn unix_sockets_are_endpoints() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream);
        }
    });
    assert_eq!(get(&Files::new(format!("unix://{}", path.display()))).await.unwrap().count, 1);
    explained(&Files::new("unix:///nowhere/s.sock".into()), "unix socket", "not running").await;
}

/// Without certificates nothing goes beyond this machine unasked; the scheme must say that clear text is meant.
#[tokio::test]
async fn other_machines_are_never_asked_in_clear_text_by_default() {
    explained(&Files::new("192.0.2.1:2379".into()), "no CA is known", "--cacert").await;
}
