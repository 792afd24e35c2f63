//! A member from its configuration to its end: everything put together, then the wait for signals.
//!
//! Owns the order of start and stop. Start: addresses first (a port in use must not leave a data directory behind),
//! then data, member, services, listeners. Stop: listeners first, so that nobody waits for a member that is gone.
//!
//! Invariant: [`Started`] exists only for a member that serves; dropping it without [`Started::until_stopped`] stops
//! nothing, the process's end does.

mod authority;
mod auto_compaction;
mod certificates;
mod data;
pub(crate) mod first_user;
mod own_acts;
mod room;
mod scrub;

use crate::config::{Config, Note, Personality, Problem, Security, Serves};
use crate::gate::{Gate, Logins};
use crate::http::gateway::Gateway;
use crate::http::{self, OfMember, Router};
use crate::log::{self, Secured};
use crate::login::{Jwt, Passwords, Tokens};
use crate::metrics::{self, Detail, Metrics};
use crate::oidc::Oidc;
use crate::pki;
use crate::rpc::{self, Limits, Versions};
use crate::tls::Exchange;
use crate::{config, listen, oidc};
use audit::Recorder;
use authority::Keeper;
#[cfg(test)]
pub(crate) use authority::RegisterOfMember;
pub use authority::{Recovered, recover};
use certificates::Certificates;
use env::Env;
use listen::{Edge, Running};
use node::Member;
use own_acts::{carry_out, propose};
use scrub::Scrub;
use state::auth::Base;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

/// The release of etcd whose interface this is.
pub const ETCD_VERSION: &str = "3.7.3";
/// The cluster version that goes with it.
const CLUSTER_VERSION: &str = "3.7.0";
/// The version of the stored form, in etcd's counting.
const STORAGE_VERSION: &str = "3.7.0";
/// How long connections may finish what is under way when the member stops.
const GRACE: Duration = Duration::from_secs(3);
/// How often the made certificates are looked at; they are due days before they end.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(60);

/// Why a member did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The settings of a new cluster contradict themselves.
    #[error("{0}")]
    Bootstrap(Problem),
    /// More than this version can do.
    #[error(
        "the settings name a new cluster of {count} members, and this version founds clusters of one; hint: start one \
         member with only itself in --initial-cluster"
    )]
    MoreThanOneMember {
        /// How many.
        count: usize,
    },
    /// The data directory.
    #[error("{}", with_hint(.0))]
    Data(#[from] storage::Error),
    /// The member.
    #[error("{}", with_hint(.0))]
    Member(#[from] node::Failure),
    /// An address.
    #[error("{}; hint: {}", .0, .0.hint())]
    Listen(#[from] listen::Error),
    /// A certificate or key.
    #[error("{error}; hint: {}", error.hint())]
    Tls {
        /// What is wrong with it.
        #[from]
        error: crate::tls::Error,
    },
    /// A certificate or key, and what is wrong with it in detail.
    #[error("{0}")]
    Certificate(Problem),
    /// A made certificate or its authority.
    #[error("{error}; hint: {}", error.hint())]
    Pki {
        /// What is wrong with it.
        #[from]
        error: pki::Error,
    },
    /// A key that tokens are signed with.
    #[error("{error}; hint: {}", error.hint())]
    TokenKey {
        /// What is wrong with it.
        #[from]
        error: crate::login::jwt::Error,
    },
    /// The OpenID Connect issuer cannot be asked.
    #[error("{error}; hint: {}", error.hint())]
    Oidc {
        /// Why.
        #[from]
        error: oidc::Error,
    },
    /// The first user could not be made.
    #[error(
        "access control cannot be turned on: {0}; hint: start again; if that does not help, the log says why nothing can be written"
    )]
    FirstUser(String),
    /// The gateway's tables.
    #[error("the JSON gateway: {0}")]
    Gateway(#[from] http::gateway::Error),
    /// The tables of the API's methods.
    #[error("the API's descriptors: {0}")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// The runtime that waits for signals.
    #[error("cannot wait for signals: {0}")]
    Signals(#[from] std::io::Error),
    /// The member stopped by itself.
    #[error("the member stopped: {0}")]
    Stopped(String),
}

/// What stopped a start at the data, with what to do next where it does not say so itself.
fn with_hint(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    if text.contains("; hint: ") {
        return text;
    }
    format!(
        "{text}; hint: check the path and this user's rights on it, or put the whole data directory back from a copy"
    )
}

/// What the operator may want to see of a start.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The member's name.
    pub name: String,
    /// Where the data lies.
    pub data_dir: PathBuf,
    /// The sealing key's file.
    pub key: Option<PathBuf>,
    /// Whether data and key were made just now.
    pub is_new: bool,
    /// Where clients are served.
    pub client_urls: Vec<String>,
    /// Whether access control is on.
    pub access_control: bool,
}

/// A member that serves.
pub struct Started {
    member: Member,
    running: Running,
    failures: mpsc::UnboundedReceiver<String>,
    keeper: Keeper,
    signals: Signals,
    scrub: Scrub,
    /// About the start.
    pub facts: Facts,
}

/// Starts the member of this configuration, whose logging has begun. `env` is where time, chance and files come from.
///
/// # Errors
/// Whatever keeps it from serving; nothing is left half done that the next start would trip over.
pub fn start(config: &Config, env: &Env) -> Result<Started, Failure> {
    config.notes.iter().for_each(tell);
    if cfg!(feature = "fips") {
        // The listeners ask the same of theirs; one without TLS would not.
        if !rustls::crypto::aws_lc_rs::default_provider().fips() {
            return Err(crate::tls::Error::NotApproved.into());
        }
        tracing::info!("built with the fips feature: cryptography of the validated module is in use");
    }
    let mut certificates = Certificates::new(env.clock.wall());
    certificates.read_brought(config)?;
    let reserved = listen::reserve(&certificates::addresses(config))?;
    let data = data::open_or_create(config, env)?;
    tell_about(&data);
    let (failed, failures) = mpsc::unbounded_channel();
    let on_failure = Box::new(move |failure: node::Failure| {
        tracing::error!(error = %failure, hint = "the member stops; correct the cause and start it again", "the member failed");
        let _ = failed.send(failure.to_string());
    });
    let member = node::start(node_settings(config, data.peer_urls, data.mark), env, &data.dir, on_failure)?;
    let base = match config.personality {
        Personality::Strongroom => Base::Closed,
        Personality::Etcd => Base::Open,
    };
    if base == Base::Closed {
        first_user::make(&member)?;
        first_user::warn_of_a_locked_door(&member, &config.listeners);
    }
    let keeper = Keeper::start(config, env, &member)?;
    let bound = reserved.with(certificates.listeners(config)?)?;
    let edge = edge(config, env, &member, base, (keeper.authority(), certificates.opened()))?;
    auto_compaction::start(config.auto_compaction, member.clone(), env.clone());
    room::start(config.limits.quota_bytes.unwrap_or(u64::MAX), member.clone(), env.clone());
    let addresses = bound.addresses();
    let signals = Signals::caught()?;
    let scrub = scrub::start(config.scrub_rate, data.dir, env.clock.clone(), edge.metrics().clone());
    let running = bound.serve(&edge, listen_limits(config))?;
    for (listener, address) in
        config.listeners.iter().filter(|each| each.serves != Serves::Peers).zip(addresses)
    {
        tell_listener(listener, &address.to_string());
    }
    log::ready();
    let facts = Facts {
        name: member.name().unwrap_or_else(|| config.name.clone()),
        data_dir: config.data_dir.clone(),
        key: data.key,
        is_new: data.is_new,
        client_urls: config.advertised.client_urls.clone(),
        access_control: base == Base::Closed,
    };
    Ok(Started { member, running, failures, keeper, signals, scrub, facts })
}

impl Started {
    /// Waits for the end: SIGTERM or SIGINT, or the member's own failure. SIGHUP reads certificates anew meanwhile, and
    /// `each_second` is called.
    ///
    /// # Errors
    /// The member failed.
    pub fn until_stopped(mut self, each_second: impl Fn()) -> Result<(), Failure> {
        let Signals { runtime, mut terminate, mut interrupt, mut hangup } = self.signals;
        let failure = runtime.block_on(async {
            let [mut minutes, mut seconds] = [RENEWAL_INTERVAL, Duration::from_secs(1)].map(every);
            loop {
                tokio::select! {
                    _ = terminate.recv() => { tracing::info!(signal = "terminated", "received signal; shutting down"); return None }
                    _ = interrupt.recv() => { tracing::info!(signal = "interrupt", "received signal; shutting down"); return None }
                    _ = hangup.recv() => reload(&self.running, Asked::ByOperator),
                    () = self.keeper.changed() => self.keeper.refresh(&self.running),
                    _ = minutes.tick() => self.keeper.refresh(&self.running),
                    _ = seconds.tick() => each_second(),
                    failure = self.failures.recv() => return failure,
                }
            }
        });
        self.running.stop(GRACE);
        drop(self.scrub);
        self.member.stop();
        tracing::info!("stopped");
        failure.map_or(Ok(()), |failure| Err(Failure::Stopped(failure)))
    }
}

/// Ticks in this distance, the first one in one from now; ones that were missed are left out.
fn every(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The signals this process answers to, caught before it says that it serves: whoever waits for that line may send one at
/// once, and a signal that nobody catches ends the process as a fault would. One that comes early waits.
struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn caught() -> Result<Self, std::io::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let hangup = signal(SignalKind::hangup())?;
        drop(inside);
        Ok(Self { runtime, terminate, interrupt, hangup })
    }
}

/// Who wants certificates read anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The operator, who wants to hear what became of it.
    ByOperator,
    /// The member.
    ByItself,
}

fn reload(running: &Running, asked: Asked) {
    for reload in running.reload() {
        match reload.result {
            Ok(Exchange::Replaced) => tracing::info!(certificate = reload.name, "certificates read anew"),
            Ok(Exchange::Unchanged) if asked == Asked::ByItself => {}
            Ok(Exchange::Unchanged) => tracing::info!(certificate = reload.name, "certificates unchanged"),
            Err(error) => {
                tracing::warn!(certificate = reload.name, %error, hint = error.hint(), "kept the old certificates");
            }
        }
    }
}

fn node_settings(config: &Config, peer_urls: Vec<String>, mark: PathBuf) -> node::Settings {
    node::Settings {
        name: config.name.clone(),
        peer_urls,
        client_urls: config.advertised.client_urls.clone(),
        tick: config.timing.heartbeat,
        election_ticks: config.timing.election_ticks,
        request_bytes_max: config.limits.request_bytes_max,
        progress_interval: config.timing.watch_progress,
        token_life: config.logins.token_life,
        checkpoint_entries: config.timing.checkpoint_entries,
        checkpoint_bytes: types::limits::CHECKPOINT_BYTES,
        log_entries_kept: config.timing.catchup_entries,
        log_bytes_kept: types::limits::LOG_KEPT_BYTES,
        cluster_version: CLUSTER_VERSION.to_owned(),
        value_cache_bytes: types::limits::VALUE_CACHE_BYTES,
        mark: Some(mark),
        rollback: match config.rollback {
            config::Rollback::Refuse => node::Rollback::Refuse,
            config::Rollback::Accept | config::Rollback::Report => node::Rollback::Report,
        },
        naming: config.naming,
        compaction_records: config.timing.compaction_batch,
        log: storage::LogOptions::default(),
        store: storage::StoreOptions::default(),
    }
}

/// Everything that answers requests.
fn edge(
    config: &Config,
    env: &Env,
    member: &Member,
    base: Base,
    (authority, listeners): (Option<Arc<pki::Authority>>, Vec<Arc<crate::tls::Reloading>>),
) -> Result<Edge, Failure> {
    let ticks = u32::try_from(config.timing.election_ticks).unwrap_or(u32::MAX);
    let quota_bytes = config.limits.quota_bytes.unwrap_or(u64::MAX);
    let limits = Limits {
        max_request_bytes: config.limits.request_bytes_max,
        max_txn_ops: config.limits.txn_ops_max,
        quota_bytes,
        slow_request: config.slow.request,
        ..Limits::of_timers(config.timing.heartbeat, ticks)
    };
    let request_timeout = limits.request_timeout;
    let metrics = Arc::new(Metrics::new(metrics::methods(proto::DESCRIPTORS)?, member.counts().clone()));
    let tokens = match &config.logins.tokens {
        config::Tokens::Simple => Tokens::Simple,
        config::Tokens::Jwt(settings) => Tokens::Jwt(Arc::new(Jwt::open(settings.clone())?)),
        config::Tokens::Off => Tokens::Off,
    };
    let logins = Logins {
        tokens: tokens.clone(),
        certificates_name_users: config.logins.certificates_name_users,
        member: member.clone(),
        clock: env.clock.clone(),
    };
    let is_issuing = authority.is_some();
    let issuer = config.logins.oidc.clone().map(|settings| issuer(settings, env, &metrics)).transpose()?;
    let gate = Gate::new(member.policy(base), Recorder::empty(), logins).with_issuer(issuer);
    let routes = rpc::routes(rpc::Context {
        member: member.clone(),
        gate,
        tokens,
        passwords: Passwords::start(config.logins.hashing)?,
        can_be_opened: base == Base::Open,
        limits,
        versions: Versions { server: ETCD_VERSION.to_owned(), storage: STORAGE_VERSION.to_owned() },
        random: env.random.clone(),
        clock: env.clock.clone(),
        metrics: metrics.clone(),
        authority,
        listeners,
    });
    member.counts().set_slow_apply(config.slow.apply);
    let features = config::etcd::gates::states(&config.features);
    let vitals = OfMember::new(member.clone(), ETCD_VERSION, STORAGE_VERSION, quota_bytes, features);
    let gateway = config.gateway.then(|| Gateway::new(proto::DESCRIPTORS)).transpose()?;
    let router = Router::new(http::Context {
        routes: routes.clone(),
        vitals: Arc::new(vitals),
        metrics: metrics.clone(),
        detail: match config.metrics {
            config::Metrics::Basic => Detail::Basic,
            config::Metrics::Extensive => Detail::Extensive,
        },
        access: config.access.clone(),
        gateway,
        command_line: (config.personality == Personality::Etcd).then(|| std::env::args().collect()),
        request_timeout,
    });
    let edge = Edge::new(routes, router, metrics);
    Ok(if is_issuing { edge.giving_certificates() } else { edge })
}

/// Recognizes an issuer's tokens, once its keys are there: it may be away when we start.
fn issuer(settings: oidc::Settings, env: &Env, metrics: &Arc<Metrics>) -> Result<Arc<Oidc>, Failure> {
    let issuer = Arc::new(Oidc::new(settings, env.clock.clone(), metrics.clone()));
    oidc::start(issuer.clone())?;
    Ok(issuer)
}

fn listen_limits(config: &Config) -> listen::Limits {
    let default = listen::Limits::default();
    listen::Limits {
        concurrent_streams: config.limits.concurrent_streams_max,
        ping_interval_min: config.limits.ping_interval_min,
        keepalive_interval: config
            .limits
            .keepalive
            .map_or(default.keepalive_interval, |alive| alive.interval),
        keepalive_timeout: config.limits.keepalive.map_or(default.keepalive_timeout, |alive| alive.timeout),
        ..default
    }
}

/// Says a note of the configuration.
pub fn tell(note: &Note) {
    log::with_fields(
        note.severity,
        &note.message,
        note.fields.iter().map(|(name, value)| (*name, value.clone())),
    );
}

fn tell_about(data: &data::Data) {
    for why in data.dir.passed_over() {
        tracing::warn!(why, "passed over a newer manifest");
    }
    if data.key_is_inside {
        tracing::warn!(
            hint = "set STRONGROOM_KEY_FILE to a directory elsewhere before the first start",
            "the sealing key lies inside the data directory: whoever copies the data has the key"
        );
    }
}

fn tell_listener(listener: &config::Listener, address: &str) {
    let traffic = match listener.serves {
        Serves::Clients(listen::Serves::Everything) => "grpc+http",
        Serves::Clients(listen::Serves::Grpc) => "grpc",
        Serves::Clients(listen::Serves::Http) => "http",
        Serves::Clients(listen::Serves::Metrics) => return log::serving_metrics(address),
        Serves::Peers => return,
    };
    let secured = match listener.security {
        Security::Tls(_) => Secured::ByTls,
        Security::Clear | Security::DangerouslyClear | Security::ClearOrTls(_) => Secured::NotAtAll,
    };
    log::serving(address, traffic, secured);
}
