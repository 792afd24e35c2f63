//! Every limit of the house, named, with its unit and why it has this value.
//!
//! What happens at a limit is said where it is enforced: refuse, drop the oldest, or slow down.

/// Largest request, in bytes of its replicated entry (etcd's `--max-request-bytes` default).
pub const REQUEST_BYTES_MAX: usize = 1_572_864;
/// What the gRPC layer accepts beyond `REQUEST_BYTES_MAX`, for framing (etcd's overhead allowance).
pub const REQUEST_OVERHEAD_BYTES: usize = 512 * 1024;
/// Operations in one transaction level (etcd's `--max-txn-ops` default).
pub const TXN_OPS_MAX: usize = 128;
/// Longest lease, in seconds (etcd's bound).
pub const LEASE_TTL_SECONDS_MAX: i64 = 9_000_000_000;
/// Proposals waiting for the member's loop; beyond it requests are answered "too many requests".
pub const PROPOSALS_WAITING_MAX: usize = 5_000;
/// Proposals taken into one raft batch.
pub const PROPOSALS_PER_BATCH_MAX: usize = 1_024;
/// Bytes of values kept hot in memory unless told otherwise.
pub const VALUE_CACHE_BYTES: u64 = 128 * 1024 * 1024;
/// Live bytes a store may hold unless told otherwise (etcd's `--quota-backend-bytes` default).
pub const QUOTA_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Watch responses that may wait for one slow stream before its watchers fall back to history.
pub const WATCH_RESPONSES_WAITING_MAX: usize = 128;
/// Control answers (created, canceled) that may wait for one slow watch stream; a stream with more is closed.
pub const WATCH_CONTROL_WAITING_MAX: usize = 10_000;
/// Events read from history for one watcher before the next one gets its turn.
pub const WATCH_HISTORY_EVENTS_PER_PAGE: usize = 1_000;
