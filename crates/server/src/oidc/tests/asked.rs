//! When the issuer is asked, and what of its answers counts: an issuer of our own on loopback, with TLS and every fault.

use super::*;
use crate::oidc::fetch::Client;
use rcgen::{CertificateParams, KeyPair as MadeKey};
use rustls::pki_types::PrivateKeyDer;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What the issuer answers for each path, as raw HTTP.
type Answers = Arc<Mutex<Vec<(&'static str, String)>>>;

struct Issuer {
    url: String,
    answers: Answers,
    ca: tempfile::NamedTempFile,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// Serves on loopback, on the runtime of the test.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let key = MadeKey::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (answers, asked) = (Answers::default(), Arc::new(AtomicUsize::new(0)));
        let (served, counted) = (answers.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, served, counted) = (acceptor.clone(), served.clone(), counted.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut request = vec![0; 4_096];
                    let read = stream.read(&mut request).await.ok()?;
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    counted.fetch_add(1, Ordering::SeqCst);
                    let answer = {
                        let answers = served.lock().unwrap();
                        let path = request.split(' ').nth(1)?;
                        answers
                            .iter()
                            .rev()
                            .find(|(known, _)| *known == path)
                            .map(|(_, answer)| answer.clone())
                    };
                    stream.write_all(answer?.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
        let issuer = Self { url, answers, ca, asked };
        issuer.names(&issuer.url, &format!("{}/keys", issuer.url));
        issuer
    }

    fn answers(&self, path: &'static str, answer: String) {
        self.answers.lock().unwrap().push((path, answer));
    }

    /// The discovery document.
    fn names(&self, issuer: &str, keys: &str) {
        let document = json!({"issuer": issuer, "jwks_uri": keys}).to_string();
        self.answers("/.well-known/openid-configuration", ok(&document));
    }

    fn has_keys(&self, keys: &[Value]) {
        self.answers("/keys", ok(&json!({"keys": keys}).to_string()));
    }

    fn settings(&self) -> Settings {
        Settings { issuer: self.url.clone(), ca: Some(self.ca.path().to_owned()), ..settings() }
    }

    async fn look(&self) -> Result<usize, String> {
        let client = Client::new(&self.settings()).unwrap();
        client.look().await.map(|looked| looked.keys.len()).map_err(|failed| failed.to_string())
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncache-control: max-age=300\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The keys come from the issuer that is set, over TLS that its CA vouches for, as it names them.
#[tokio::test]
async fn the_keys_are_fetched_by_discovery() {
    let issuer = Issuer::start().await;
    issuer.has_keys(&[Signer::new("ES256").jwk("a"), Signer::new("EdDSA").jwk("b")]);
    let looked = Client::new(&issuer.settings()).unwrap().look().await.unwrap();
    assert_eq!((looked.keys.len(), looked.keep), (2, Some(Duration::from_secs(300))));
}

/// Whatever an issuer, or somebody in its place, answers: no keys come of it, within bounds of size, and the reason is told.
#[tokio::test]
async fn a_wrong_answer_gives_no_keys() {
    let issuer = Issuer::start().await;
    let key = Signer::new("ES256").jwk("a");
    issuer.has_keys(std::slice::from_ref(&key));
    assert_eq!(issuer.look().await, Ok(1));
    let keys = format!("{}/keys", issuer.url);
    let refused = async |word: &str| {
        let told = issuer.look().await.unwrap_err();
        assert!(told.contains(word), "{told:?} tells nothing of {word:?}");
    };
    issuer.names(&format!("{}/", issuer.url), &keys);
    refused("equal to the letter").await;
    issuer.names(&issuer.url, &keys.replace("https", "http"));
    refused("clear text").await;
    issuer.names(&issuer.url, "file:///etc/passwd");
    refused("URL").await;
    issuer.names(&issuer.url, &keys);
    let moved = format!("HTTP/1.1 302 Found\r\nlocation: {keys}\r\ncontent-length: 0\r\n\r\n");
    for (answer, word) in [
        (moved, "302"),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".into(), "500"),
        (ok("<html>"), "no JWKS"),
        (ok(&" ".repeat(types::limits::OIDC_DOCUMENT_BYTES_MAX + 1)), "larger"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{".into(), "cut off"),
        (String::new(), "keys"),
        ("not http at all\r\n\r\n".into(), "keys"),
    ] {
        issuer.answers("/keys", answer);
        refused(word).await;
    }
    let another = Issuer::start().await;
    let other = Settings { ca: another.settings().ca, ..issuer.settings() };
    let told = Client::new(&other).unwrap().look().await.map(drop).unwrap_err().to_string();
    assert!(told.contains("TLS"), "another's CA vouches for nothing: {told}");
}

/// A token of a key that the issuer made since waits for one look and is then good; floods of tokens with invented keys cost
/// one look in a while, whatever they name.
#[tokio::test]
async fn an_unknown_key_is_looked_for_once() {
    let issuer = Issuer::start().await;
    let (old, new) = (Signer::new("ES256"), Signer::new("ES256"));
    issuer.has_keys(&[old.jwk("old")]);
    let (metrics, clock) = (Arc::new(Metrics::new([], Arc::default())), Env::real().clock);
    let oidc = Arc::new(Oidc::new(issuer.settings(), clock, metrics.clone()));
    start(oidc.clone()).unwrap();
    let now = oidc.clock.wall().unix_seconds();
    let claims = json!({"iss": issuer.url, "aud": AUDIENCE, "sub": "alice", "exp": now + 600});
    let token = |signer: &Signer, id: &str| signer.token(&json!({"alg": "ES256", "kid": id}), &claims);
    let is_good = |token: &str| oidc.recognize(token, None) != Evidence::BadToken;

    // Before the first look has ended, a token waits for it.
    if !is_good(&token(&old, "old"))
        && let Some(learning) = oidc.learning(&token(&old, "old"))
    {
        learning.await;
    }
    assert!(is_good(&token(&old, "old")));
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);

    issuer.has_keys(&[old.jwk("old"), new.jwk("new")]);
    let of_new = token(&new, "new");
    assert!(!is_good(&of_new));
    oidc.learning(&of_new).expect("a look").await;
    assert!(is_good(&of_new) && is_good(&token(&old, "old")));
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 4);

    for number in 0..100 {
        let invented = token(&new, &format!("invented {number}"));
        assert!(!is_good(&invented) && oidc.learning(&invented).is_none());
    }
    assert!(oidc.learning(&token(&old, "old")).is_none(), "a known key is not looked for");
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 4);
    assert_eq!(metrics.oidc_fetches.with(["ok"]).value(), 2);
}

/// A token that is not even said to be for us makes nobody look: else strangers would choose when the issuer is asked.
#[tokio::test]
async fn only_tokens_for_us_make_us_look() {
    let signer = Signer::new("ES256");
    let place = Place::new(&[Signer::new("ES256").jwk("k")]);
    let of = |claims: Value| {
        let token = signer.token(&json!({"alg": "ES256", "kid": "other"}), &place.claims(claims));
        place.oidc.learning(&token).is_some()
    };
    assert!(!of(json!({"aud": "another"})) && !of(json!({"iss": "https://another.example"})));
    assert!(place.oidc.learning("a.b.c").is_none());
    assert!(of(json!({})));
}

/// Requests that wait are few: a flood while the issuer does not answer must not pile up.
#[tokio::test]
async fn waiting_is_bounded() {
    let signer = Signer::new("ES256");
    let place = Place::new(&[Signer::new("ES256").jwk("k")]);
    let token = signer.token(&json!({"alg": "ES256", "kid": "other"}), &place.claims(json!({})));
    let waiting: Vec<_> = (0..300).filter_map(|_| place.oidc.learning(&token)).collect();
    assert_eq!(waiting.len(), OIDC_WAITING_MAX);
    drop(waiting);
    assert!(place.oidc.learning(&token).is_some(), "places come back");
}
