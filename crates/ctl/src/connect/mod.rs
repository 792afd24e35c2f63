//! The way to a member: endpoints, certificates, the connection, and words for what stands in the way.
//!
//! A [`Client`] is one HTTP/2 channel to the first endpoint that can be reached, and a login there (`login`). Its owner is the
//! command. Failures are explained from what the transport saw (`stream`), not from what HTTP/2 made of it.

pub(crate) mod certificate;
pub(crate) mod dial;
pub(crate) mod endpoint;
pub(crate) mod explain;
mod login;
pub(crate) mod refused;
mod stream;
mod tls;
mod told;

#[cfg(test)]
pub(crate) mod tests;

use crate::command::pki::renew::renew_ours_if_due;
use crate::exit::{Code, Failure};
use crate::print::Printer;
use crate::settings::{Settings, Verification};
use dial::Dialer;
use endpoint::{Endpoint, Scheme};
use explain::{Scene, Stage, Trouble, explain};
use hyper_util::rt::TokioIo;
use login::{Door, Login};
use proto::etcdserverpb as pb;
use proto::strongroom::v1::access_client::AccessClient;
use proto::strongroom::v1::pki_client::PkiClient;
use refused::{Asking, refused};
use std::error::Error as _;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stream::{Observed, Record};
use told::told;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Uri};
use tonic::{Code as Status, Request, Response};

/// A connection to one member.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) settings: Arc<Settings>,
    pub(crate) printer: Printer,
    door: Door,
    dialer: Dialer,
    record: Arc<Record>,
}

impl Client {
    /// Connects to the first endpoint that can be reached, and logs in.
    ///
    /// # Errors
    /// None can, and the explanation is that of the last one; or one of them refuses the login, as the others would.
    pub(crate) async fn connect(settings: &Arc<Settings>) -> Result<Self, Failure> {
        settings.credentials.prepare()?;
        let mut failure = Failure::error("no endpoints");
        for endpoint in &settings.endpoints {
            let reached = match Self::reach(settings, endpoint).await {
                Ok(client) => client.log_in().await.map(|()| client),
                Err(failure) => Err(Fault::Here(failure)),
            };
            match reached {
                Ok(client) => {
                    renew_ours_if_due(&client).await;
                    return Ok(client);
                }
                Err(Fault::Everywhere(failure)) => return Err(failure),
                Err(Fault::Here(next)) => {
                    if settings.chatty {
                        eprintln!("{}: {}", endpoint.written, next.message);
                    }
                    failure = next;
                }
            }
        }
        Err(failure)
    }

    /// Connects to this endpoint and no other, and logs in.
    pub(crate) async fn connect_to(settings: &Arc<Settings>, endpoint: &Endpoint) -> Result<Self, Failure> {
        settings.credentials.prepare()?;
        let client = Self::reach(settings, endpoint).await?;
        match client.log_in().await {
            Ok(()) => Ok(client),
            Err(Fault::Here(failure) | Fault::Everywhere(failure)) => Err(failure),
        }
    }

    async fn reach(settings: &Arc<Settings>, endpoint: &Endpoint) -> Result<Self, Failure> {
        warn(settings, endpoint);
        let fail = |trouble: &Trouble, dialer: Option<&Dialer>| {
            Failure::connection(explain(trouble, &scene(settings, endpoint, dialer)))
        };
        let dialer = dialer(endpoint, settings).await.map_err(|trouble| fail(&trouble, None))?;
        let record = Arc::new(Record::default());
        let first = dialer.dial(&record).await.map_err(|trouble| fail(&trouble, Some(&dialer)))?;
        let channel = channel(settings, &dialer, &record, first)
            .map_err(|reason| fail(&Trouble::Endpoint(reason), Some(&dialer)))?;
        let printer = Printer { format: settings.format, notation: settings.notation, ..Printer::default() };
        let door = Door { channel, login: Arc::new(Login::new(settings.credentials.clone())) };
        Ok(Self { settings: Arc::clone(settings), printer, door, dialer, record })
    }

    /// Logs in, with etcdctl's exit code where the member refuses that.
    async fn log_in(&self) -> Result<(), Fault> {
        let mut is_answer = false;
        let begun = async {
            let begun = self.door.login.begin(&self.door.channel).await;
            is_answer = begun.as_ref().is_err_and(|status| {
                matches!(
                    status.code(),
                    Status::InvalidArgument | Status::Unauthenticated | Status::PermissionDenied
                ) || !self.is_lost(status) && status.code() == Status::Unknown
            });
            begun.map(Response::new)
        };
        self.call(begun).await.map_err(|failure| {
            let failure = failure.over_connection();
            if is_answer { Fault::Everywhere(failure) } else { Fault::Here(failure) }
        })
    }

    /// Whether a request refused with these words may pass after a new login, as that of a stream's watch.
    pub(crate) fn is_login_over(&self, words: &str) -> bool {
        self.door.login.is_over(words)
    }

    /// A request; who asks is added on the way (`login`).
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        Request::new(message)
    }

    /// A request with bytes of the user's, which may be more than our own limit.
    ///
    /// # Errors
    /// It is larger, and was not sent.
    pub(crate) fn bounded<T: prost::Message>(&self, message: T) -> Result<Request<T>, Failure> {
        let (bytes, limit) = (message.encoded_len(), self.settings.request_bytes_max);
        if bytes > limit {
            return Err(Failure::error(format!(
                "trying to send message larger than max ({bytes} vs. {limit})"
            ))
            .hinting("split it, or raise --max-request-bytes here and on the member"));
        }
        Ok(self.request(message))
    }

    /// A request that only a member with a leader may answer.
    pub(crate) fn request_with_leader<T>(&self, message: T) -> Request<T> {
        let mut request = self.request(message);
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        request
    }

    /// Waits for an answer, at most as long as a command may take.
    pub(crate) async fn call<T>(
        &self,
        answer: impl Future<Output = Result<Response<T>, tonic::Status>>,
    ) -> Result<T, Failure> {
        self.call_within(self.settings.command_timeout, answer).await
    }

    /// Waits for an answer that may take this long.
    pub(crate) async fn call_within<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<Response<T>, tonic::Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.failure(&status).await),
            Err(_) => {
                let late = Trouble::Timeout(Stage::Answer, limit);
                let trouble = match self.record.trouble() {
                    Some(trouble) => self.dialer.refine(trouble).await,
                    None if self.record.was_good() => late,
                    None => match self.dialer.diagnose().await {
                        Trouble::Closed(_) => late,
                        found => found,
                    },
                };
                Err(self.explained(&trouble))
            }
        }
    }

    /// What a status means: the server's own words, or an explanation where the transport failed.
    pub(crate) async fn failure(&self, status: &tonic::Status) -> Failure {
        if self.is_lost(status) {
            let trouble = match self.record.trouble() {
                Some(trouble) if self.record.was_good() || !matches!(trouble, Trouble::Closed(_)) => {
                    self.dialer.refine(trouble).await
                }
                _ => self.dialer.diagnose().await,
            };
            return self.explained(&trouble);
        }
        if let Some(trouble) = told(status) {
            return self.explained(&trouble);
        }
        refused(status.message(), &self.asking())
    }

    /// What to do about a refusal in these words.
    pub(crate) fn hint(&self, words: &str) -> Option<String> {
        refused(words, &self.asking()).hint
    }

    /// Who the member takes us for: a login wins over a certificate.
    fn asking(&self) -> Asking {
        match (self.door.login.user(), self.dialer.shown_name()) {
            (Some(name), _) => Asking::User(name.to_owned()),
            (None, _) if self.door.login.stands() => Asking::Token,
            (None, Some(name)) => Asking::Certificate(name.to_owned()),
            (None, None) => Asking::Nobody,
        }
    }

    /// The name that our certificate shows.
    pub(crate) fn shown_name(&self) -> Option<&str> {
        self.dialer.shown_name()
    }

    /// Whether the status is the transport's and not the server's.
    pub(crate) fn is_lost(&self, status: &tonic::Status) -> bool {
        let local = matches!(
            status.code(),
            Status::Unavailable | Status::Unknown | Status::Internal | Status::Cancelled
        );
        local
            && (status.source().is_some()
                || self.record.trouble().is_some_and(|t| !matches!(t, Trouble::Closed(_))))
    }

    fn explained(&self, trouble: &Trouble) -> Failure {
        let scene = scene(&self.settings, &self.dialer.endpoint, Some(&self.dialer));
        Failure::connection(explain(trouble, &scene))
    }

    /// The endpoint in use, as it was written.
    pub(crate) fn endpoint(&self) -> &str {
        &self.dialer.endpoint.written
    }
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $module:ident::$client:ident),+ $(,)?) => {
        impl Client {
            $(
                $(#[$doc])*
                pub(crate) fn $name(&self) -> pb::$module::$client<Door> {
                    pb::$module::$client::new(self.door.clone())
                        .max_decoding_message_size(self.settings.receive_bytes_max)
                        .max_encoding_message_size(self.settings.request_bytes_max)
                }
            )+
        }
    };
}

services! {
    /// Keys.
    kv: kv_client::KvClient,
    /// Changes.
    watch: watch_client::WatchClient,
    /// Leases.
    lease: lease_client::LeaseClient,
    /// Members.
    cluster: cluster_client::ClusterClient,
    /// One member's state.
    maintenance: maintenance_client::MaintenanceClient,
    /// Users and roles.
    auth: auth_client::AuthClient,
}

impl Client {
    /// What of the policy etcd's users and roles have no words for.
    pub(crate) fn access(&self) -> AccessClient<Door> {
        AccessClient::new(self.door.clone())
            .max_decoding_message_size(self.settings.receive_bytes_max)
            .max_encoding_message_size(self.settings.request_bytes_max)
    }
}

impl Client {
    /// Certificates of the cluster's own authority.
    pub(crate) fn pki(&self) -> PkiClient<Door> {
        PkiClient::new(self.door.clone())
            .max_decoding_message_size(self.settings.receive_bytes_max)
            .max_encoding_message_size(self.settings.request_bytes_max)
    }
}

/// Why there is no client: something about this member, or something that any of them will say.
enum Fault {
    Here(Failure),
    Everywhere(Failure),
}

/// How often a pair of files that do not fit is looked at.
const PAIR_LOOKS_MAX: usize = 5;
/// Time between two of them.
const PAIR_PAUSE: Duration = Duration::from_millis(50);

/// A way to an endpoint. Certificate and key are renewed one file after the other: a pair that does not fit is read again.
async fn dialer(endpoint: &Endpoint, settings: &Settings) -> Result<Dialer, Trouble> {
    for _ in 1..PAIR_LOOKS_MAX {
        match Dialer::new(endpoint.clone(), settings) {
            Err(Trouble::KeyMismatch) => tokio::time::sleep(PAIR_PAUSE).await,
            found => return found,
        }
    }
    Dialer::new(endpoint.clone(), settings)
}

fn scene(settings: &Settings, endpoint: &Endpoint, dialer: Option<&Dialer>) -> Scene {
    let trust = dialer.and_then(|dialer| dialer.trust.as_ref());
    Scene {
        server: trust.and_then(|trust| trust.seen.certificate()),
        ours: trust.and_then(|trust| trust.ours.clone()),
        now: Some(dial::now()),
        ..settings.scene(endpoint)
    }
}

/// Says aloud what gives up security.
fn warn(settings: &Settings, endpoint: &Endpoint) {
    if settings.verification == Verification::DangerouslySkipped && endpoint.scheme != Scheme::Clear {
        eprintln!("warning: --insecure-skip-tls-verify: {} need not prove who it is", endpoint.written);
    }
    if endpoint.scheme == Scheme::Clear && !endpoint.is_local() {
        eprintln!(
            "warning: {} is clear text: anyone in between can read and change everything",
            endpoint.written
        );
    }
}

type First = Arc<Mutex<Option<Observed>>>;

/// A channel that begins with the connection that stands, and makes new ones as needed.
fn channel(
    settings: &Settings,
    dialer: &Dialer,
    record: &Arc<Record>,
    first: Observed,
) -> Result<Channel, String> {
    let authority = dialer.endpoint.authority();
    let scheme = if dialer.trust.is_some() { "https" } else { "http" };
    let origin: Uri = format!("{scheme}://{authority}").parse().map_err(|error| format!("{error}"))?;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|error| error.to_string())?
        .origin(origin)
        .http2_keep_alive_interval(settings.keepalive_time.max(Duration::from_secs(1)))
        .keep_alive_timeout(settings.keepalive_timeout)
        .initial_stream_window_size(8 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024);
    let first: First = Arc::new(Mutex::new(Some(first)));
    let (dialer, record) = (dialer.clone(), Arc::clone(record));
    let connector = tower::service_fn(move |_: Uri| {
        let (first, dialer, record) = (Arc::clone(&first), dialer.clone(), Arc::clone(&record));
        async move {
            let ready = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            let stream = match ready {
                Some(stream) => stream,
                None => dialer.dial(&record).await.map_err(|trouble| {
                    record.note(trouble.clone());
                    std::io::Error::other(format!("{trouble:?}"))
                })?,
            };
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    Ok(endpoint.connect_with_connector_lazy(connector))
}

impl Failure {
    /// The code that etcdctl uses where it reports through its connection, as lease commands do.
    #[must_use]
    pub(crate) fn over_connection(self) -> Self {
        self.coded(Code::Connection)
    }
}
