//! A member on a simulated disk, and callers with an identity.

use crate::gate::{Connection, Gate, Logins};
use crate::http::gateway::call;
use crate::login::{Hashing, Jwt, Passwords, Tokens};
use crate::metrics::Metrics;
use crate::oidc::Oidc;
use crate::pki::{Authority, Place};
use crate::rpc::requests::Reading;
use crate::rpc::{Context, Limits, Versions, routes};
use crate::run::RegisterOfMember;
use env::Env;
use http::{Request, Response};
use node::{Member, Settings};
use prost::Message;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::watch_client::WatchClient;
use state::auth::{Base, CertificateNames, Demand, Evidence};
use state::outcome::RangeOutcome;
use state::query::RangeQuery;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use storage::{DataDir, Identity, KeyFile, LogOptions, StoreOptions};
use tonic::body::Body;
use tonic::service::Routes;
use types::{ClusterId, MemberId};

pub(super) const CLUSTER: u64 = 5;
pub(super) const MEMBER: u64 = 6;

/// A running member with its services; stopped when dropped.
pub(super) struct Rig {
    member: Member,
    routes: Routes,
    pub(super) metrics: Arc<Metrics>,
    demands: Arc<Mutex<Vec<Demand>>>,
    pub(super) authority: Option<Arc<Authority>>,
    _pki: Option<tempfile::TempDir>,
}

impl Rig {
    pub(super) fn new(base: Base) -> Self {
        Self::with(base, Limits::default())
    }

    pub(super) fn with(base: Base, limits: Limits) -> Self {
        Self::of(base, limits, Tokens::Simple, None, None)
    }

    /// A member whose cluster has an authority of its own.
    pub(super) fn issuing() -> Self {
        let pki = Some(tempfile::tempdir().unwrap());
        Self::of(Base::Closed, Limits::default(), Tokens::Simple, pki, None)
    }

    /// A strongroom that also takes tokens of an issuer.
    pub(super) fn with_issuer(issuer: Arc<Oidc>) -> Self {
        Self::of(Base::Closed, Limits::default(), Tokens::Simple, None, Some(issuer))
    }

    /// A strongroom that signs its tokens.
    pub(super) fn signing(jwt: Jwt) -> Self {
        Self::of(Base::Closed, Limits::default(), Tokens::Jwt(Arc::new(jwt)), None, None)
    }

    fn of(
        base: Base,
        limits: Limits,
        tokens: Tokens,
        pki: Option<tempfile::TempDir>,
        issuer: Option<Arc<Oidc>>,
    ) -> Self {
        let (simulated, _, _) = Env::simulated(7);
        let env = Env { disk: simulated.disk, ..Env::real() };
        let keys = Path::new("/keys");
        env.disk.create_dir(keys).unwrap();
        let key = KeyFile::create(&*env.disk, keys, &*env.random).unwrap();
        let identity = Identity { cluster: ClusterId(CLUSTER), member: MemberId(MEMBER) };
        let dir = DataDir::create(&env, Path::new("/data"), identity, &key).unwrap();
        let settings = Settings {
            name: "one".into(),
            peer_urls: vec!["http://localhost:2380".into()],
            client_urls: vec!["http://localhost:2379".into()],
            tick: Duration::from_millis(10),
            election_ticks: 10,
            request_bytes_max: limits.max_request_bytes,
            progress_interval: Duration::from_secs(600),
            checkpoint_entries: 10_000,
            checkpoint_bytes: 1 << 30,
            log_entries_kept: 10,
            log_bytes_kept: 1 << 20,
            cluster_version: "3.7.0".into(),
            value_cache_bytes: 1 << 20,
            mark: None,
            token_life: Duration::from_secs(300),
            rollback: node::Rollback::Report,
            naming: node::Naming::Announce,
            compaction_records: 1_000,
            log: LogOptions::default(),
            store: StoreOptions::default(),
        };
        let failed = Box::new(|failure| panic!("the member failed: {failure}"));
        let member = node::start(settings, &env, &dir, failed).unwrap();
        if base == Base::Closed {
            crate::run::first_user::make(&member).unwrap();
        }
        let authority = pki.as_ref().map(|dir| {
            let dir = dir.path().join("pki");
            let names = ["localhost".to_owned()];
            let place = Place { dir: &dir, member: "one", names: &names, recovery: None };
            let registry = Arc::new(RegisterOfMember(member.clone()));
            Arc::new(Authority::open(place, registry, env.clock.wall()).unwrap().0)
        });
        let logins = Logins {
            tokens: tokens.clone(),
            certificates_name_users: true,
            member: member.clone(),
            clock: env.clock.clone(),
        };
        let metrics = Arc::new(Metrics::new([], member.counts().clone()));
        let demands: Arc<Mutex<Vec<Demand>>> = Arc::default();
        let seen = demands.clone();
        let gate = Gate::new(member.policy(base), audit::Recorder::empty(), logins)
            .with_issuer(issuer)
            .witnessed(move |demand| seen.lock().unwrap().push(demand));
        let routes = routes(Context {
            member: member.clone(),
            gate,
            tokens,
            passwords: Passwords::start(Hashing::Bcrypt { cost: 4 }).unwrap(),
            can_be_opened: base == Base::Open,
            limits,
            versions: Versions::default(),
            random: env.random.clone(),
            clock: env.clock.clone(),
            metrics: metrics.clone(),
            authority: authority.clone(),
            listeners: Vec::new(),
        });
        Self { member, routes, metrics, demands, authority, _pki: pki }
    }

    /// The services, for a listener.
    pub(super) fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// What the member itself makes of a read, in one go.
    pub(super) fn range(&self, query: RangeQuery) -> Result<RangeOutcome, state::Error> {
        let gate = Gate::of_the_member();
        let reading = gate.admit(&gate.member(), Reading(query)).unwrap();
        self.member.inspect(&reading).range(&reading.request().0)
    }

    /// What users' requests have demanded at the gate since this was asked last.
    pub(super) fn take_demands(&self) -> Vec<Demand> {
        std::mem::take(&mut *self.demands.lock().unwrap())
    }

    /// What is counted of refusals.
    pub(super) fn refusals(&self) -> Refusals {
        Refusals {
            tokens: self.metrics.tokens_refused.value(),
            denied: self.metrics.requests_denied.value(),
            limited: self.metrics.requests_limited.value(),
            cut: self.metrics.streams_cut.value(),
        }
    }

    /// Reads that hold a revision now.
    pub(super) fn open_reads(&self) -> u64 {
        let gate = Gate::of_the_member();
        let query = RangeQuery::latest(types::KeyRange::all());
        self.member.inspect(&gate.admit(&gate.member(), Reading(query)).unwrap()).open_reads()
    }

    /// Somebody without a certificate.
    pub(super) fn anonymous(&self) -> Caller {
        Caller { routes: self.routes.clone(), evidence: Evidence::None, token: None }
    }

    /// Somebody with a certificate of this name.
    pub(super) fn named(&self, name: &str) -> Caller {
        self.with_certificate(name, false)
    }

    /// What the register of certificates says.
    pub(super) fn register(&self) -> state::pki::Register {
        self.member.look_at_certificates(Clone::clone)
    }

    /// An administrator of this cluster's own authority.
    pub(super) fn administrator(&self) -> Caller {
        self.with_certificate("root", true)
    }

    /// Somebody whose certificate says more than its common name.
    pub(super) fn with_names(&self, name: &str, names: CertificateNames) -> Caller {
        let (common_name, names) = (Arc::from(name), Arc::new(names));
        let evidence = Evidence::Certificate { common_name, is_administrator: false, names };
        Caller { routes: self.routes.clone(), evidence, token: None }
    }

    fn with_certificate(&self, name: &str, is_administrator: bool) -> Caller {
        let evidence =
            Evidence::Certificate { common_name: Arc::from(name), is_administrator, names: Arc::default() };
        Caller { routes: self.routes.clone(), evidence, token: None }
    }
}

/// What was counted of refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusals {
    /// Requests with a token that is not good.
    pub(super) tokens: u64,
    /// Requests that their sender had not the right to make.
    pub(super) denied: u64,
    /// Requests beyond a rate or a size.
    pub(super) limited: u64,
    /// Streams whose caller lost the right to them.
    pub(super) cut: u64,
}

impl Refusals {
    /// What came to it after `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            tokens: self.tokens - before.tokens,
            denied: self.denied - before.denied,
            limited: self.limited - before.limited,
            cut: self.cut - before.cut,
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.member.stop();
    }
}

/// A client whose requests carry what a listener would have verified.
#[derive(Clone)]
pub(super) struct Caller {
    routes: Routes,
    evidence: Evidence,
    token: Option<String>,
}

impl Caller {
    /// The same client, showing a token.
    pub(super) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Reads a key as the JSON gateway does for this client; the text of the refusal, if it is one.
    pub(super) async fn get_through_gateway(&self, key: &'static str) -> Result<(), String> {
        let services = call::Services::Uncounted(&self.routes);
        let read = pb::RangeRequest { key: key.into(), ..Default::default() }.encode_to_vec();
        let (path, headers) = ("/etcdserverpb.KV/Range", http::HeaderMap::new());
        let answer = call::unary(services, path, read.into(), Some(self.connection()), &headers).await;
        answer.map(drop).map_err(|failure| failure.message)
    }

    /// What a listener would have verified.
    fn connection(&self) -> Arc<Connection> {
        Arc::new(Connection::new(self.evidence.clone(), "127.0.0.1:1".into(), true))
    }

    pub(super) fn kv(&self) -> KvClient<Self> {
        KvClient::new(self.clone())
    }

    pub(super) fn watch(&self) -> WatchClient<Self> {
        WatchClient::new(self.clone())
    }

    pub(super) fn lease(&self) -> LeaseClient<Self> {
        LeaseClient::new(self.clone())
    }

    pub(super) fn maintenance(&self) -> MaintenanceClient<Self> {
        MaintenanceClient::new(self.clone())
    }
}

impl tower::Service<Request<Body>> for Caller {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <Routes as tower::Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        <Routes as tower::Service<Request<Body>>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.extensions_mut().insert(self.connection());
        if let Some(token) = &self.token {
            request.headers_mut().insert("token", token.parse().unwrap());
        }
        self.routes.call(request)
    }
}
