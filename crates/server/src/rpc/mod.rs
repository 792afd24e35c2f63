//! etcd's v3 API over gRPC: one file per service, one for the way in and out of a call, one for the status table.
//!
//! Owns the translation between etcd's messages and the house's words, with etcd's checks in etcd's order. Never decides
//! who may do what (`gate`), never touches the store but through `node`.
//!
//! ```text
//! bytes ── around: known method? metadata, deadline, span ── service: convert (checks) ── gate ── node ── answer ── bytes
//! ```
//!
//! Invariants: a method that is not in [`surface::METHODS`] is not served; a handler reaches the member only with a
//! `Recorded` request; values, and names of keys, are in no log line.

mod access;
mod around;
mod ask;
mod auth;
mod cluster;
mod convert;
mod election;
mod health;
mod kv;
mod lease;
mod led;
mod list;
mod lock;
mod login;
mod maintenance;
mod pki;
mod range_stream;
mod recipe;
pub mod requests;
mod snapshot;
mod standing;
pub mod status;
pub mod surface;
mod version;
mod watch;

#[cfg(test)]
mod tests;

use crate::gate::Gate;
use crate::login::{Passwords, Throttle, Tokens};
use crate::metrics::Metrics;
use crate::pki::Authority;
use crate::rates::Rates;
use crate::tls::Reloading;
use around::Around;
use env::{Clock, Random};
use list::Budget;
pub use list::ListLimits;
pub(crate) use list::{Gathers, Held};
use node::Member;
use proto::etcdserverpb as pb;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::service::Routes;
use types::Revision;
use types::limits::{QUOTA_BYTES, REQUEST_BYTES_MAX, REQUEST_OVERHEAD_BYTES, TXN_OPS_MAX};

/// What the services are made of.
#[derive(Clone)]
pub struct Context {
    /// The member that answers.
    pub member: Member,
    /// Lets requests in.
    pub gate: Gate,
    /// How tokens are made.
    pub tokens: Tokens,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Whether access control can be turned off.
    pub can_be_opened: bool,
    /// Sizes and times.
    pub limits: Limits,
    /// What this member calls itself.
    pub versions: Versions,
    /// Chooses ids of leases.
    pub random: Arc<dyn Random>,
    /// Measures how long requests take.
    pub clock: Arc<dyn Clock>,
    /// Where it is counted what the services do.
    pub metrics: Arc<Metrics>,
    /// Issues certificates, where the cluster has an authority of its own.
    pub authority: Option<Arc<Authority>>,
    /// Where clients show certificates.
    pub listeners: Vec<Arc<Reloading>>,
}

/// Sizes and times of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest replicated entry, in bytes (etcd's `--max-request-bytes`).
    pub max_request_bytes: usize,
    /// Most operations in a transaction (etcd's `--max-txn-ops`).
    pub max_txn_ops: usize,
    /// Bytes that the store may hold (etcd's `--quota-backend-bytes`).
    pub quota_bytes: u64,
    /// Shortest lease, in seconds; shorter wishes are raised to it.
    pub lease_ttl_seconds_min: i64,
    /// How long a proposal or a read barrier may take.
    pub request_timeout: Duration,
    /// After this time without a leader a member wants to become one.
    pub election_timeout: Duration,
    /// A request that takes longer is worth a warning (etcd's `--warning-unary-request-duration`).
    pub slow_request: Duration,
    /// Of large lists.
    pub lists: ListLimits,
}

impl Limits {
    /// etcd's limits for these timers: five seconds and two elections for a request, one and a half elections, in whole
    /// seconds, for the shortest lease.
    #[must_use]
    pub fn of_timers(tick: Duration, election_ticks: u32) -> Self {
        let election_timeout = tick.saturating_mul(election_ticks);
        let lease_min = tick.saturating_mul(election_ticks.saturating_mul(3) / 2);
        let whole_seconds = lease_min.as_secs() + u64::from(lease_min.subsec_nanos() > 0);
        Self {
            max_request_bytes: REQUEST_BYTES_MAX,
            max_txn_ops: TXN_OPS_MAX,
            quota_bytes: QUOTA_BYTES,
            lease_ttl_seconds_min: i64::try_from(whole_seconds).unwrap_or(i64::MAX),
            request_timeout: Duration::from_secs(5).saturating_add(election_timeout.saturating_mul(2)),
            election_timeout,
            slow_request: Duration::from_millis(300),
            lists: ListLimits::default(),
        }
    }

    /// Largest message taken from a client, in bytes.
    #[must_use]
    pub fn max_receive_bytes(&self) -> usize {
        self.max_request_bytes.saturating_add(REQUEST_OVERHEAD_BYTES)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of_timers(Duration::from_millis(100), 10)
    }
}

/// What a member calls itself. Clients (kube-apiserver) switch features on by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The release of etcd whose interface this is.
    pub server: String,
    /// The version of the stored form, in etcd's counting.
    pub storage: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self { server: "3.7.3".to_owned(), storage: "3.7.0".to_owned() }
    }
}

/// What every handler holds.
#[derive(Clone)]
struct Services(Arc<Inner>);

struct Inner {
    context: Context,
    /// Who failed to log in of late.
    throttle: Throttle,
    /// How fast those ask whose roles limit it.
    rates: Rates,
    /// Moves when who may do what has changed.
    policy_changes: tokio::sync::watch::Receiver<()>,
    lists: Budget,
}

impl std::ops::Deref for Services {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    fn member(&self) -> &Member {
        &self.context.member
    }

    fn gate(&self) -> &Gate {
        &self.context.gate
    }

    fn limits(&self) -> &Limits {
        &self.context.limits
    }

    /// The header of an answer at `revision`. Zero is left out on the wire, as in etcd's answers without a revision.
    fn header(&self, revision: Revision) -> pb::ResponseHeader {
        let status = self.context.member.status();
        pb::ResponseHeader {
            cluster_id: status.cluster.0,
            member_id: status.member.0,
            revision: revision.0,
            raft_term: status.term.0,
        }
    }

    /// The header of an answer at the latest revision.
    fn header_now(&self) -> pb::ResponseHeader {
        self.header(self.context.member.gauges().revision())
    }
}

/// All services, with etcd's limits on sizes.
#[must_use]
pub fn routes(context: Context) -> Routes {
    use pb::auth_server::AuthServer;
    use pb::cluster_server::ClusterServer;
    use pb::kv_server::KvServer;
    use pb::lease_server::LeaseServer;
    use pb::maintenance_server::MaintenanceServer;
    use pb::watch_server::WatchServer;
    use proto::grpc_health_v1::health_server::HealthServer;
    use proto::strongroom::v1::access_server::AccessServer;
    use proto::strongroom::v1::pki_server::PkiServer;
    use proto::v3electionpb::election_server::ElectionServer;
    use proto::v3lockpb::lock_server::LockServer;

    let (changed, policy_changes) = tokio::sync::watch::channel(());
    context.member.on_policy_change(move || changed.send_modify(|()| ()));
    let lists = Budget::new(&context.limits.lists, context.metrics.clone());
    let services = Services(Arc::new(Inner {
        context,
        throttle: Throttle::default(),
        rates: Rates::default(),
        policy_changes,
        lists,
    }));
    let receive = services.limits().max_receive_bytes();
    macro_rules! serve {
        ($($server:ident($service:expr)),+ $(,)?) => {
            Routes::builder()
                $(.add_service(Around::new(
                    $server::new($service)
                        .max_decoding_message_size(receive)
                        .max_encoding_message_size(SEND_BYTES_MAX),
                    services.clone(),
                )))+
                .to_owned()
                .routes()
        };
    }
    let served = serve!(
        KvServer(kv::Kv(services.clone())),
        WatchServer(watch::Watch(services.clone())),
        LeaseServer(lease::Lease(services.clone())),
        ClusterServer(cluster::Cluster(services.clone())),
        MaintenanceServer(maintenance::Maintenance(services.clone())),
        AuthServer(auth::Auth(services.clone())),
        LockServer(lock::Lock(services.clone())),
        ElectionServer(election::Election(services.clone())),
        AccessServer(access::Access(services.clone())),
        PkiServer(pki::Pki(services.clone())),
        HealthServer(health::Health),
    );
    let strangers = tower::service_fn(|request: http::Request<_>| async move {
        Ok::<_, std::convert::Infallible>(around::unknown(request.uri().path()).into_http::<Body>())
    });
    Routes::from(served.into_axum_router().fallback_service(strangers)).prepare()
}

/// Largest message sent to a client, in bytes (etcd's own bound, the largest that the framing has).
const SEND_BYTES_MAX: usize = i32::MAX as usize;
