//! The member's numbers, under the names that etcd's dashboards and alerts read.
//!
//! Owns the counters and histograms that the rooms of the edge write ([`Metrics`]), and the text that a scrape gets.
//! What the member itself knows (revisions, sizes, leadership) is read at the scrape, as [`Readings`]; nothing here
//! asks for it. A family that has no meaning in this member (Go's runtime, bbolt's rebalancing, etcd's gRPC proxy, its
//! second write-ahead log) is left out rather than shown as zero.
//!
//! Invariants: label values come from the code, never from a request; writing never waits for a scrape.

mod families;
pub mod grpc;
pub mod process;
pub mod text;
pub mod value;

pub use grpc::{Calls, Method, MethodName, Shape, methods};
pub use value::{Counter, Gauge, Histogram, Labelled};

/// Bounds of the disk and request histograms: 1 ms doubling to 8.192 s.
const FROM_1MS: &[f64] =
    &[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192];
/// Bounds of the apply histogram: 0.1 ms doubling to 52 s.
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
/// Bounds of the lease histogram, in seconds: 1 doubling to 2^23.
const LEASE_SECONDS: &[f64] = &[
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
    128.0,
    256.0,
    512.0,
    1024.0,
    2048.0,
    4096.0,
    8192.0,
    16384.0,
    32768.0,
    65536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
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
    pub mvcc_put_total: Counter,
    pub mvcc_delete_total: Counter,
    pub mvcc_range_total: Counter,
    pub mvcc_txn_total: Counter,
    pub mvcc_events_total: Counter,
    pub mvcc_hash_duration: Histogram,
    pub mvcc_hash_rev_duration: Histogram,
    pub lease_granted_total: Counter,
    pub lease_revoked_total: Counter,
    pub lease_renewed_total: Counter,
    pub lease_expired_total: Counter,
    pub lease_ttl: Histogram,
    pub client_received_bytes: Counter,
    pub client_sent_bytes: Counter,
    pub health_success: Counter,
    pub health_failures: Counter,
    /// By type, then name: 1 when the check last passed.
    pub healthcheck: Labelled<Gauge, 2>,
    /// By name, status, type.
    pub healthchecks_total: Labelled<Counter, 3>,
    /// By success ("true", "false"), then the request's name in the log ("Put", "Txn", …).
    pub request_duration: Labelled<Histogram, 2>,
    /// By the request's name, then success.
    pub apply_duration: Labelled<Histogram, 2>,
    /// By success.
    pub range_duration: Labelled<Histogram, 1>,
    pub slow_apply_total: Counter,
    pub slow_read_indexes_total: Counter,
    pub read_indexes_failed_total: Counter,
    pub wal_fsync_duration: Histogram,
    pub wal_write_duration: Histogram,
    pub wal_write_bytes_total: Counter,
    pub backend_commit_duration: Histogram,
    pub backend_defrag_duration: Histogram,
    pub backend_snapshot_duration: Histogram,
    pub defrag_inflight: Gauge,
    pub compaction_keys_total: Counter,
    /// Connections open now, all client listeners together.
    pub connections: Gauge,
    /// Connections refused because too many were open.
    pub connections_refused: Counter,
    /// TLS handshakes that failed.
    pub handshakes_failed: Counter,
    /// Requests refused because of how their connection was made: no certificate, a wrong one, no encryption.
    pub requests_refused: Counter,
    /// When the serving certificate ends, Unix seconds; 0 when there is none.
    pub certificate_not_after: Gauge,
}

impl Metrics {
    /// All zero. `methods` are the gRPC methods that are counted.
    #[must_use]
    pub fn new(methods: impl IntoIterator<Item = MethodName>) -> Self {
        Self {
            calls: Calls::new(methods),
            mvcc_put_total: Counter::default(),
            mvcc_delete_total: Counter::default(),
            mvcc_range_total: Counter::default(),
            mvcc_txn_total: Counter::default(),
            mvcc_events_total: Counter::default(),
            mvcc_hash_duration: Histogram::new(FROM_10MS.get(..15).unwrap_or(FROM_10MS)),
            mvcc_hash_rev_duration: Histogram::new(FROM_10MS.get(..15).unwrap_or(FROM_10MS)),
            lease_granted_total: Counter::default(),
            lease_revoked_total: Counter::default(),
            lease_renewed_total: Counter::default(),
            lease_expired_total: Counter::default(),
            lease_ttl: Histogram::new(LEASE_SECONDS),
            client_received_bytes: Counter::default(),
            client_sent_bytes: Counter::default(),
            health_success: Counter::default(),
            health_failures: Counter::default(),
            healthcheck: Labelled::new(Gauge::default),
            healthchecks_total: Labelled::new(Counter::default),
            request_duration: Labelled::new(|| Histogram::new(FROM_1MS)),
            apply_duration: Labelled::new(|| Histogram::new(FROM_100US)),
            range_duration: Labelled::new(|| Histogram::new(FROM_100US)),
            slow_apply_total: Counter::default(),
            slow_read_indexes_total: Counter::default(),
            read_indexes_failed_total: Counter::default(),
            wal_fsync_duration: Histogram::new(FROM_1MS),
            wal_write_duration: Histogram::new(FROM_1MS),
            wal_write_bytes_total: Counter::default(),
            backend_commit_duration: Histogram::new(FROM_1MS),
            backend_defrag_duration: Histogram::new(FROM_100MS),
            backend_snapshot_duration: Histogram::new(FROM_10MS),
            defrag_inflight: Gauge::default(),
            compaction_keys_total: Counter::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            handshakes_failed: Counter::default(),
            requests_refused: Counter::default(),
            certificate_not_after: Gauge::default(),
        }
    }

    /// The text that a scrape gets.
    #[must_use]
    pub fn encode(&self, readings: &Readings, detail: Detail) -> String {
        let mut text = text::Text::default();
        families::encode(self, readings, detail, &mut text);
        text.finish()
    }
}

/// What the member knows of itself at the moment of a scrape.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // each field is its family's name; what it means is said once, in families.rs
pub struct Readings {
    pub member_id: u64,
    pub server_version: &'static str,
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
    /// Nothing where the member does not say; the family is left out then, rather than shown as zero.
    pub watchers: Option<u64>,
    pub watch_streams: Option<u64>,
    pub slow_watchers: Option<u64>,
    pub pending_events: Option<u64>,
    pub open_reads: Option<u64>,
    /// Name, stage ("ALPHA", "BETA"), whether it is on.
    pub features: Vec<(&'static str, &'static str, bool)>,
}
