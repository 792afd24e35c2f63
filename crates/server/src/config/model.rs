//! [`Config`]: everything a member runs on, in types that cannot say anything wrong.
//!
//! Built only by the two personalities. TLS material is named, not read: it is read when the listeners are made.

use super::{KeyRule, Note, Problem};
use crate::http::{Access, Allowed};
use crate::{listen, log, login, oidc, tls};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Under which name the program was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// The product, secure before anybody configures it.
    Strongroom,
    /// The drop-in, which follows etcd's flags.
    Etcd,
}

/// What a member runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Under which name the program was called.
    pub personality: Personality,
    /// The member's name.
    pub name: String,
    /// What to do when the data knows it under another name.
    pub naming: node::Naming,
    /// Where its data lies.
    pub data_dir: PathBuf,
    /// Where it listens; at least one for clients.
    pub listeners: Vec<Listener>,
    /// Where others are told to find it.
    pub advertised: Advertised,
    /// The cluster it belongs to.
    pub cluster: Cluster,
    /// What clients may ask for at most.
    pub limits: Limits,
    /// Heartbeats, elections, intervals.
    pub timing: Timing,
    /// When requests are slow enough for a warning.
    pub slow: Slow,
    /// Compaction by the member itself.
    pub auto_compaction: AutoCompaction,
    /// Bytes a second that are read to check the stored data; 0 for no check.
    pub scrub_rate: u64,
    /// How users are recognized.
    pub logins: Logins,
    /// Whether the JSON gateway is served.
    pub gateway: bool,
    /// Which hosts and sites may talk to it over HTTP.
    pub access: Access,
    /// How much the metrics tell.
    pub metrics: Metrics,
    /// What is logged, how and where.
    pub log: log::Settings,
    /// etcd's feature gates that differ from their default or were named, in etcd's spelling.
    pub features: BTreeMap<&'static str, bool>,
    /// Where the sealing key lies.
    pub key_rule: KeyRule,
    /// Where made certificates lie, and whether they are needed.
    pub pki: Pki,
    /// What to do when the data is older than the member remembers.
    pub rollback: Rollback,
    /// What to log first.
    pub notes: Vec<Note>,
    /// etcd's one line that shows all settings, as the fields of `starting an etcd server`.
    pub summary: Vec<(&'static str, serde_json::Value)>,
}

/// How users are recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logins {
    /// How tokens are made.
    pub tokens: Tokens,
    /// How long a simple token is good after its last use.
    pub token_life: Duration,
    /// How passwords become hashes.
    pub hashing: login::Hashing,
    /// Whether the name in a client's certificate is a user's.
    pub certificates_name_users: bool,
    /// Whose tokens are taken beside our own.
    pub oidc: Option<oidc::Settings>,
}

/// How tokens are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// Random ones that members remember.
    Simple,
    /// Signed ones.
    Jwt(login::jwt::Settings),
    /// None.
    Off,
}

/// One address and what happens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: listen::Address,
    /// As the operator wrote it, for messages.
    pub url: String,
    /// For whom.
    pub serves: Serves,
    /// How.
    pub security: Security,
}

/// For whom a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Clients, with gRPC, HTTP or both, or metrics and health alone.
    Clients(listen::Serves),
    /// The other members.
    Peers,
}

/// How a listener is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Clear text; the address is loopback or a unix socket.
    Clear,
    /// Clear text wherever the address is: the operator asked for it by name, or it serves metrics only.
    DangerouslyClear,
    /// TLS.
    Tls(tls::Settings),
    /// Clear text and TLS on one loopback port, told apart by the first byte (etcd: the address in an http and an https
    /// URL).
    ClearOrTls(tls::Settings),
}

/// Where others are told to find the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// For clients.
    pub client_urls: Vec<String>,
    /// For members.
    pub peer_urls: Vec<String>,
}

/// The cluster the member belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How to begin, checked; looked at only when there is no data yet, as in etcd: later starts ignore these settings.
    pub bootstrap: Result<Bootstrap, Problem>,
}

/// How a cluster begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// New, or one that is there already.
    pub state: ClusterState,
    /// Name to peer URLs, the member itself included.
    pub members: BTreeMap<String, Vec<String>>,
    /// What keeps two clusters with the same addresses apart; none means one is drawn at the first start.
    pub token: Option<String>,
}

/// etcd's `--initial-cluster-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// All members start together.
    New,
    /// This one joins.
    Existing,
}

/// What clients may ask for at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of live data, history included, after which writes are refused; none means no such limit.
    pub quota_bytes: Option<u64>,
    /// Bytes of a request.
    pub request_bytes_max: usize,
    /// Operations of a transaction.
    pub txn_ops_max: usize,
    /// Requests under way on one connection.
    pub concurrent_streams_max: u32,
    /// Signs of life on idle connections; none means the usual ones, as in etcd.
    pub keepalive: Option<Keepalive>,
    /// Shortest time between two pings of a client that has requests under way.
    pub ping_interval_min: Duration,
}

/// Signs of life on idle connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Idle time after which one is asked for.
    pub interval: Duration,
    /// How long it may take.
    pub timeout: Duration,
}

/// Heartbeats, elections, intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// Heartbeats missed before an election, at least five.
    pub election_ticks: usize,
    /// Between the progress notifications of an idle watch.
    pub watch_progress: Duration,
    /// Log entries between checkpoints.
    pub checkpoint_entries: u64,
    /// Log entries kept behind a checkpoint for followers that are behind.
    pub catchup_entries: u64,
    /// Revisions removed in one step of a compaction.
    pub compaction_batch: usize,
}

/// When requests are slow enough for a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Applying one command.
    pub apply: Duration,
    /// Answering one unary request.
    pub request: Duration,
}

/// Compaction by the member itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// None.
    Off,
    /// Keep this much time.
    Periodic(Duration),
    /// Keep this many revisions.
    Revisions(u64),
}

/// How much the metrics tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metrics {
    /// The usual.
    Basic,
    /// With latency histograms of every method.
    Extensive,
}

/// Where made certificates lie, and for whom they are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pki {
    /// The directory.
    pub dir: PathBuf,
    /// Whether a listener uses them.
    pub needed: bool,
    /// Names and addresses that the server's certificate carries, beside localhost and the loopback addresses.
    pub names: Vec<String>,
    /// The public key to which a new root's key is sealed; without one it is made.
    pub recovery: Option<PathBuf>,
}

/// What to do when the data is older than the freshness mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollback {
    /// Refuse to start alone.
    Refuse,
    /// Start: the operator put an old copy back and says so.
    Accept,
    /// Start, with a metric and an audit event, as a drop-in must.
    Report,
}

impl Config {
    /// The URLs that clients of this machine use, best first: for `strongroom env` and the first lines of `up`.
    #[must_use]
    pub fn client_endpoints(&self) -> &[String] {
        &self.advertised.client_urls
    }
}

/// `*`, or this list.
pub(super) fn allowed(names: &[String]) -> Allowed {
    if names.is_empty() { Allowed::Any } else { Allowed::from_list(names.iter().cloned()) }
}
