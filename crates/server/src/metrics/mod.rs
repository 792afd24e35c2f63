//! The member's numbers, under the names that etcd's dashboards and alerts read.
//!
//! Owns the counters and histograms that the rooms of the edge write ([`Metrics`]), and the text that a scrape gets.
//! What the member counts it keeps itself (`node::Counts`); what it knows (revisions, sizes, leadership, how often the
//! key space was used) is read at the scrape, as [`Readings`]; nothing here asks for it. A family that has no meaning in this member (Go's runtime, bbolt's rebalancing, etcd's gRPC proxy, its
//! second write-ahead log) is left out rather than shown as zero.
//!
//! Invariants: label values come from the code, never from a request; writing never waits for a scrape.

mod families;
pub mod grpc;
pub mod process;
pub mod text;
pub mod value;

use crate::tls::{End, Reloading};
pub use grpc::{Calls, Method, MethodName, Shape, methods};
use std::sync::{Arc, Mutex, PoisonError};
pub use value::{Counter, Gauge, Histogram, Labelled};

/// Bounds of the range histogram: 0.1 ms doubling to 52 s.
const FROM_100US: &[f64] = &[
    0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512, 0.1024, 0.2048, 0.4096,
    0.8192, 1.6384, 3.2768, 6.5536, 13.1072, 26.2144, 52.4288,
];
/// Bounds of the defragmentation histogram: 100 ms doubling to 409.6 s.
const FROM_100MS: &[f64] = &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
/// Bounds of the snapshot histogram: 10 ms doubling to 655.36 s.
const FROM_10MS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
    655.36,
];
/// How much a scrape shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Detail {
    /// Counters, gauges and the member's own histograms.
    #[default]
    Basic,
    /// The time that gRPC calls took, too (`--metrics extensive`).
    Extensive,
}

/// Everything that is counted at the edge.
#[derive(Debug)]
#[allow(missing_docs)] // each field is its family's name; what it means is said once, in families.rs
pub struct Metrics {
    pub calls: Calls,
    /// What the member itself counts.
    pub member: Arc<node::Counts>,
    pub mvcc_events_total: Counter,
    /// Events offered to streams that have not taken them yet.
    pub mvcc_pending_events: Gauge,
    pub mvcc_hash_duration: Histogram,
    pub mvcc_hash_rev_duration: Histogram,
    pub client_received_bytes: Counter,
    pub client_sent_bytes: Counter,
    pub health_success: Counter,
    pub health_failures: Counter,
    /// By type, then name: 1 when the check last passed.
    pub healthcheck: Labelled<Gauge, 2>,
    /// By name, status, type.
    pub healthchecks_total: Labelled<Counter, 3>,
    pub range_duration: Histogram,
    /// Of ranges that failed.
    pub range_duration_failed: Histogram,
    /// Proposals that nobody waits for any more.
    pub proposals_timed_out: Counter,
    pub slow_read_indexes_total: Counter,
    pub read_indexes_failed_total: Counter,
    pub backend_defrag_duration: Histogram,
    pub backend_snapshot_duration: Histogram,
    pub defrag_inflight: Gauge,
    /// Connections open now, all client listeners together.
    pub connections: Gauge,
    /// Connections refused because too many were open.
    pub connections_refused: Counter,
    /// TLS handshakes that failed, by reason.
    pub handshakes_failed: Labelled<Counter, 1>,
    /// Connections cut because their certificate was no longer accepted, by reason.
    pub connections_cut: Labelled<Counter, 1>,
    /// Requests refused because of how their connection was made: no certificate, a wrong one, no encryption.
    pub requests_refused: Counter,
    /// Requests that their sender had not the right to make.
    pub requests_denied: Counter,
    /// Requests beyond the rate or size that a role allows.
    pub requests_limited: Counter,
    /// Requests with a token that is not good.
    pub tokens_refused: Counter,
    /// Tokens of an OpenID Connect issuer that are not good, by reason.
    pub oidc_refused: Labelled<Counter, 1>,
    /// Looks at that issuer, by what came of them.
    pub oidc_fetches: Labelled<Counter, 1>,
    /// Its keys that are known.
    pub oidc_keys: Gauge,
    /// When they were fetched, Unix seconds; 0 before.
    pub oidc_fetched: Gauge,
    /// Wrong passwords.
    pub logins_failed: Counter,
    /// Enrolments with a token that is none, or a request that is none.
    pub enrolments_refused: Counter,
    /// Logins refused because too many before them failed.
    pub logins_throttled: Counter,
    /// Streams and watchers cut because their caller lost the right to them.
    pub streams_cut: Counter,
    /// What became of changed certificate files: "replaced", "refused".
    pub certificate_reloads: Labelled<Counter, 1>,
    /// Listeners whose files are not those in use, because they were refused.
    pub certificates_refused: Gauge,
    /// Listeners by their addresses, with what they serve by.
    ends: Mutex<Vec<(String, Arc<Reloading>)>>,
    /// When the serving certificate ends, Unix seconds; 0 when there is none.
    pub certificate_not_after: Gauge,
    /// Bytes that large lists under way have reserved.
    pub lists_bytes: Gauge,
    /// Large lists that wait for their part of them.
    pub lists_waiting: Gauge,
    /// Large lists refused because too many waited.
    pub lists_refused: Counter,
    /// Large lists ended because their client took nothing of them.
    pub lists_cut: Counter,
    /// Bytes read by the check of the stored data.
    pub scrub_bytes: Counter,
    /// Places where it found damage, in its last round or so far in this one.
    pub scrub_damage: Gauge,
    /// When its last round ended, Unix seconds; 0 before.
    pub scrub_ended: Gauge,
    /// Its rounds.
    pub scrub_rounds: Counter,
}

impl Metrics {
    /// All zero. `methods` are the gRPC methods that are counted; `member` is what the member counts itself.
    #[must_use]
    pub fn new(methods: impl IntoIterator<Item = MethodName>, member: Arc<node::Counts>) -> Self {
        Self {
            calls: Calls::new(methods),
            member,
            mvcc_events_total: Counter::default(),
            mvcc_pending_events: Gauge::default(),
            mvcc_hash_duration: Histogram::new(FROM_10MS.get(..15).unwrap_or(FROM_10MS)),
            mvcc_hash_rev_duration: Histogram::new(FROM_10MS.get(..15).unwrap_or(FROM_10MS)),
            client_received_bytes: Counter::default(),
            client_sent_bytes: Counter::default(),
            health_success: Counter::default(),
            health_failures: Counter::default(),
            healthcheck: Labelled::new(Gauge::default),
            healthchecks_total: Labelled::new(Counter::default),
            range_duration: Histogram::new(FROM_100US),
            range_duration_failed: Histogram::new(FROM_100US),
            proposals_timed_out: Counter::default(),
            slow_read_indexes_total: Counter::default(),
            read_indexes_failed_total: Counter::default(),
            backend_defrag_duration: Histogram::new(FROM_100MS),
            backend_snapshot_duration: Histogram::new(FROM_10MS),
            defrag_inflight: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            handshakes_failed: by_failure(),
            connections_cut: by_failure(),
            requests_refused: Counter::default(),
            requests_denied: Counter::default(),
            requests_limited: Counter::default(),
            tokens_refused: Counter::default(),
            oidc_refused: Labelled::new(Counter::default),
            oidc_fetches: Labelled::new(Counter::default),
            oidc_keys: Gauge::default(),
            oidc_fetched: Gauge::default(),
            logins_failed: Counter::default(),
            enrolments_refused: Counter::default(),
            logins_throttled: Counter::default(),
            streams_cut: Counter::default(),
            certificate_reloads: reloads(),
            certificates_refused: Gauge::default(),
            ends: Mutex::default(),
            certificate_not_after: Gauge::default(),
            lists_bytes: Gauge::default(),
            lists_waiting: Gauge::default(),
            lists_refused: Counter::default(),
            lists_cut: Counter::default(),
            scrub_bytes: Counter::default(),
            scrub_damage: Gauge::default(),
            scrub_ended: Gauge::default(),
            scrub_rounds: Counter::default(),
        }
    }

    /// From now on a scrape shows when the certificates of these listeners, by their addresses, end.
    pub(crate) fn shows_ends_of(&self, listeners: Vec<(String, Arc<Reloading>)>) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = listeners;
    }

    /// What ends, by listener.
    fn ends(&self) -> Vec<(String, Vec<End>)> {
        let listeners = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().map(|(listener, tls)| (listener.clone(), tls.current().ends())).collect()
    }

    /// The text that a scrape gets.
    #[must_use]
    pub fn encode(&self, readings: &Readings, detail: Detail) -> String {
        let mut text = text::Text::default();
        families::encode(self, readings, detail, &mut text);
        text.finish()
    }
}

/// Every reason is there from the start, so that the first of its kind is seen as an increase.
fn by_failure() -> Labelled<Counter, 1> {
    let labelled = Labelled::new(Counter::default);
    for reason in crate::tls::Failure::REASONS {
        let _ = labelled.with([reason]);
    }
    labelled
}

fn reloads() -> Labelled<Counter, 1> {
    let labelled = Labelled::new(Counter::default);
    let _ = (labelled.with(["replaced"]), labelled.with(["refused"]));
    labelled
}

/// What the member knows of itself at the moment of a scrape.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // each field is its family's name; what it means is said once, in families.rs
pub struct Readings {
    pub member_id: u64,
    pub server_version: &'static str,
    /// Revision of the users and roles.
    pub auth_revision: u64,
    /// Major and minor only, as etcd shows it.
    pub cluster_version: String,
    pub has_leader: bool,
    pub is_leader: bool,
    pub is_learner: bool,
    pub leader_changes: u64,
    pub proposals_committed: u64,
    pub proposals_applied: u64,
    pub proposals_pending: u64,
    pub proposals_failed: u64,
    pub quota_bytes: u64,
    pub store_bytes: u64,
    pub store_bytes_in_use: u64,
    pub keys: u64,
    pub current_revision: i64,
    /// -1 while nothing was compacted.
    pub compact_revision: i64,
    pub open_reads: u64,
    /// How often the key space was read and written.
    pub tally: state::Tallied,
    /// Alarms that stand: the member's id and the kind ("NOSPACE", "CORRUPT").
    pub alarms: Vec<(u64, &'static str)>,
    /// Name, stage ("ALPHA", "BETA"), whether it is on.
    pub features: Vec<(&'static str, &'static str, bool)>,
}
