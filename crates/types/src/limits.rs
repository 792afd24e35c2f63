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
/// Bytes of proposals that are not answered yet; beyond it requests are answered "too many requests". One is always taken.
pub const PROPOSALS_PENDING_BYTES_MAX: u64 = 128 * 1024 * 1024;
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
/// Records that one step of a compaction's sweep looks at, between batches of entries (etcd's batch).
pub const COMPACTION_RECORDS_PER_STEP: usize = 1_000;
/// Bytes of one file of the log, reserved when it is made; two are always there, so a small store stays small.
pub const LOG_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of applied entries after which a checkpoint is due, however few they are: a start replays what came after the last
/// one, and the log keeps what came after the one before.
pub const CHECKPOINT_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of the log kept behind a checkpoint for members that lag, however few entries they are.
pub const LOG_KEPT_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of recent log entries kept in memory at most, for members that lag and for apply; others are read back from the disk.
pub const LOG_TAIL_BYTES: usize = 32 * 1024 * 1024;
/// How long files that nothing needs any more stay, in seconds, so that a copy under way finds what it has listed.
pub const SUPERSEDED_SECONDS: u64 = 600;
/// Bytes of such files of the log, and as many of the store, that stay however small the store is; beyond what is allowed
/// the oldest go earlier.
pub const SUPERSEDED_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// The part of the store's bytes that they may take where it is larger: the longer a copy takes, the longer they stay.
pub const SUPERSEDED_PART_OF_STORE: u64 = 6;
/// Number of such files of the log, and as many of the store; beyond it the oldest go earlier.
pub const SUPERSEDED_FILES_MAX: usize = 1_000;
/// Bytes of one file of the store, reserved when it is made: what is dead in the open one cannot be collected yet.
pub const STORE_SEGMENT_BYTES: u64 = 32 * 1024 * 1024;
/// Room that is made in the store before an entry is applied, beyond the entry's own bytes: what its records take more.
pub const STORE_ROOM_BYTES: u64 = 64 * 1024;
/// Bytes of the disk that making such room leaves free: manifests that let go of the log, and what the room was too small for.
pub const STORE_RESERVE_BYTES: u64 = 1024 * 1024;
/// The part of a segment that either is at most.
pub const STORE_ROOM_PART_OF_SEGMENT: u64 = 32;
/// Bytes of a copy that are synced at once: what is written behind the log's back must not keep it from the disk for long.
pub const STORE_SYNC_BYTES: u64 = 4 * 1024 * 1024;
/// Threads that read the store at a start. What is left to one of them, to put together what all have read, is a third of the work:
/// more would wait for it.
pub const START_THREADS_MAX: usize = 4;
/// Segments that each of them may have read before their turn, the one that is being put together among them.
pub const START_SEGMENTS_AHEAD_PER_THREAD: usize = 2;
/// Bytes of records gathered in memory before the store writes them.
pub const STORE_BUFFER_BYTES: usize = 1024 * 1024;
/// Bytes a second that are read to check the stored data while the member runs, unless told otherwise: a day is enough for 300
/// GiB, and no disk notices.
pub const SCRUB_BYTES_PER_SECOND: u64 = 4 * 1024 * 1024;
/// Bytes read at once by that check.
pub const SCRUB_CHUNK_BYTES: usize = 256 * 1024;
/// Between two rounds of that check, in seconds.
pub const SCRUB_INTERVAL_SECONDS: u64 = 24 * 3_600;
/// Keys looked at under one lock of the key index, so that a long read never holds up the writer.
pub const INDEX_PAGE_KEYS: usize = 512;
/// Bytes of pairs up to which an answer is read and sent at once; with more it is a list.
pub const LIST_SMALL_BYTES: usize = 256 * 1024;
/// Bytes of pairs that a list reads and sends at a time.
pub const LIST_PAGE_BYTES: usize = 128 * 1024;
/// Pages of the key index that a list looks at before whatever else waits on its thread gets its turn; a range within as many
/// is read at once.
pub const LIST_INDEX_PAGES: usize = 16;
/// Pairs whose places a list keeps from the first look on, so that it need not look for them again.
pub const LIST_PLACES_KEPT: usize = 2_048;
/// Reads of single keys that a transaction makes without its answer being counted before.
pub const TXN_READS_SMALL_MAX: usize = 16;
/// How long a list keeps its revision from being removed by a compaction, in seconds. One that is slower goes on until a
/// compaction passes it.
pub const LIST_HOLD_SECONDS_MAX: u64 = 60;
/// Memory of all large lists under way, in bytes: each reserves the three pages that it holds at most, however large it is.
/// Beyond it lists wait, first come first served; one is always taken.
pub const LISTS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Large lists that may wait for memory; a further one is answered "too many requests".
pub const LISTS_WAITING_MAX: usize = 1_000;
/// After this time in which its client took nothing of a large list it is ended, in seconds.
pub const LIST_STALLED_SECONDS_MAX: u64 = 60;
/// Hashes of past compactions kept in memory for HashKV (etcd keeps as many); the oldest is dropped.
pub const COMPACTION_HASHES_KEPT: usize = 10;
/// Records of history looked at for one page of events, whether they match or not.
pub const HISTORY_PAGE_RECORDS: usize = 8_192;
/// Open client connections of one member; further ones are closed at once. Well above a large Kubernetes control plane.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Unfinished TLS handshakes of one serving thread; beyond it the oldest is cut.
pub const HANDSHAKES_MAX: usize = 2_048;
/// Longest handshake, in seconds (etcd's bound since 3.7.1).
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Longest time for the headers of an HTTP/1 request, in seconds.
pub const HTTP_HEADER_SECONDS_MAX: u64 = 30;
/// Largest headers of one request, in bytes; gRPC's own default is 16 KiB, tokens need less.
pub const HTTP_HEADER_BYTES_MAX: u32 = 64 * 1024;
/// Requests under way on one HTTP/2 connection; kube-apiserver opens one stream a watch and group of watches.
pub const CONCURRENT_STREAMS_MAX: u32 = 16_384;
/// Streams opened and reset by a client before they were taken; beyond it the connection ends.
pub const PENDING_RESETS_MAX: usize = 64;
/// Silence on a connection before a sign of life is asked for, in seconds (etcd's `--grpc-keepalive-interval`).
pub const KEEPALIVE_INTERVAL_SECONDS: u64 = 7_200;
/// Shortest time between two pings of a client, in seconds (etcd's `--grpc-keepalive-min-time`).
pub const PING_INTERVAL_SECONDS_MIN: u64 = 5;
/// The same where `--grpc-keepalive-min-time` is 0: gRPC's own.
pub const PING_INTERVAL_SECONDS_UNSET: u64 = 300;
/// How long the sign of life may take, in seconds (etcd's `--grpc-keepalive-timeout`).
pub const KEEPALIVE_TIMEOUT_SECONDS: u64 = 20;
/// How often certificate files are looked at, in seconds; what changed is in force, or refused, within twice that.
pub const CERTIFICATE_LOOK_SECONDS: u64 = 2;
/// Largest file of certificates or of a key, in bytes; a bundle of every public authority has a fifth of it.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Largest file of revocation lists, in bytes: some 400,000 revoked certificates.
pub const REVOCATION_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Certificates that a client may show in one handshake, its own included.
pub const CERTIFICATE_CHAIN_MAX: usize = 10;
/// Bytes of all of them; the transport itself takes no message above 64 KiB.
pub const CERTIFICATE_CHAIN_BYTES_MAX: usize = 48 * 1024;
/// How long the streams of a connection whose certificate is no longer accepted may take to end with the reason, in
/// milliseconds; then it is closed.
pub const CUT_GRACE_MILLISECONDS: u64 = 300;
/// Log lines about rejected connections in one second; further ones are counted.
pub const REJECTION_LINES_PER_SECOND: u32 = 20;
/// Largest body of a JSON request, in bytes: base64 of the largest request and its field names.
pub const JSON_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest time for the body of a JSON request, in seconds.
pub const JSON_BODY_SECONDS_MAX: u64 = 30;
/// Deepest nesting of a JSON request, the same as the message decoder's.
pub const JSON_DEPTH_MAX: usize = 100;
/// Bytes of pairs read from history for one watcher before the next one gets its turn.
pub const WATCH_HISTORY_BYTES_PER_PAGE: usize = 1024 * 1024;
/// Leases whose end is proposed in one tick (etcd: 1,000 a second).
pub const LEASES_REVOKED_PER_TICK: usize = 100;
/// Inputs that may wait for the watch hub; beyond it changes are read from history, and streams wait.
pub const HUB_INPUTS_WAITING_MAX: usize = 4_096;
/// Checkpoints that may wait for the disk; a further one is dropped, as a later one covers it.
pub const CHECKPOINTS_WAITING_MAX: usize = 1;
/// Chores that may wait for their thread, and done ones to be taken back: there is one at a time.
pub const CHORES_WAITING_MAX: usize = 1;
/// Batches that may wait for the apply thread; beyond it they are joined.
pub const APPLY_BATCHES_WAITING_MAX: usize = 64;
/// Keys in the first chunk of a streamed range; later ones grow towards the largest request (etcd's number).
pub const RANGE_STREAM_FIRST_CHUNK_KEYS: u64 = 10;
/// Bytes of a snapshot in one message (etcd's number).
pub const SNAPSHOT_CHUNK_BYTES: usize = 32 * 1024;
/// Largest snapshot file in etcd's format, in bytes; it is made in memory, and a larger store is refused. The size that etcd
/// warns of.
pub const SNAPSHOT_FILE_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Snapshots made or sent at the same time; a further one is refused, as each lies in memory.
pub const SNAPSHOTS_AT_ONCE_MAX: usize = 2;
/// Dead bytes in the store that are suffered, whatever is live: less is not worth a pass.
pub const COLLECTION_GARBAGE_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Dead bytes in the store that are suffered beyond that, in hundredths of the live ones.
pub const COLLECTION_GARBAGE_PERCENT: u64 = 40;
/// Dead bytes in the store that are suffered where space is short.
pub const COLLECTION_SCARCE_GARBAGE_BYTES_MIN: u64 = 1024 * 1024;
/// Dead bytes of one segment for which the rest of it is copied there, in hundredths of its bytes.
pub const COLLECTION_SCARCE_PERCENT: u64 = 10;
/// Segments that are suffered beyond those the bytes fill, each half: each start begins a new one, and a full disk small ones.
pub const COLLECTION_SMALL_SEGMENTS_MAX: usize = 64;
/// Kept bytes from which on one piece of a collection is large enough.
pub const COLLECTION_PIECE_BYTES: u64 = 32 * 1024 * 1024;
/// Segments in one piece of a collection.
pub const COLLECTION_SEGMENTS_MAX: usize = 16;
/// Bytes a second that a collection may read, so that it never crowds out requests.
pub const CHORE_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;
/// Tokens that a member remembers; for one more the one that ends first goes, and its owner logs in again.
pub const TOKENS_MAX: usize = 65_536;
/// Failed logins that are remembered, to make guessing slow; for one more the oldest goes.
pub const LOGIN_FAILURES_MAX: usize = 16_384;
/// Passwords that wait to be hashed or compared, one at a time; a further login is refused.
pub const PASSWORDS_WAITING_MAX: usize = 64;
/// Longest password, in bytes. etcd's hash takes no more than 72; ours is bounded so that hashing is.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Signed tokens whose signature was checked and is not checked again.
pub const TOKENS_CHECKED_MAX: usize = 8_192;
/// Leases of a stream of renewals that are looked at again when the policy changes; others are at their next renewal.
pub const LEASES_OF_STREAM_CHECKED_MAX: usize = 1_024;
/// DNS names of a client's certificate that are looked at.
pub const CERTIFICATE_NAMES_MAX: usize = 100;
/// Users whose rate of requests is measured at the same time; the one that asked longest ago is forgotten first.
pub const RATES_MAX: usize = 8_192;
/// Users whose requests are noted while a policy is learned; those of further ones are counted alone.
pub const LEARNED_USERS_MAX: usize = 64;
/// Ranges that are kept of what one user reads, and of what it writes, while a policy is learned.
pub const LEARNED_RANGES_MAX: usize = 256;
/// Longest range that is kept there, both ends together, in bytes.
pub const LEARNED_RANGE_BYTES_MAX: usize = 512;
/// Longest time for which a policy is learned, in seconds: 90 days.
pub const LEARNING_SECONDS_MAX: u64 = 90 * 86_400;
/// Authorities of a cluster, former ones included: a root and two issuers, each perhaps being replaced, and some to spare.
pub const AUTHORITIES_MAX: usize = 32;
/// Those to whom the authorities' keys are sealed: members and the recovery key.
pub const KEY_HOLDERS_MAX: usize = 32;
/// Certificates that have been issued and have not ended.
pub const CERTIFICATES_MAX: usize = 20_000;
/// Enrolment tokens that wait to be used.
pub const ENROLMENT_TOKENS_MAX: usize = 1_000;
/// Ended certificates and tokens that one change of the register lets go of.
pub const CERTIFICATES_ENDED_PER_ENTRY: usize = 1_000;
/// Longest life of a certificate that is issued, in seconds: 397 days, as public authorities have it.
pub const CERTIFICATE_LIFE_SECONDS_MAX: u64 = 397 * 86_400;
/// How long a revocation list of our own is good, in seconds: a week; it is made anew each day.
pub const REVOCATION_LIST_LIFE_SECONDS: u64 = 7 * 86_400;
/// How long a connection without a certificate may take for an enrolment, in seconds.
pub const ENROLMENT_SECONDS_MAX: u64 = 15;
/// How long an enrolment token can be used unless something else is asked for, in seconds.
pub const ENROLMENT_TOKEN_SECONDS: u64 = 3_600;
/// Longest time for which an enrolment token can be used, in seconds: a week.
pub const ENROLMENT_TOKEN_SECONDS_MAX: u64 = 7 * 86_400;
/// Longest token of an OpenID Connect issuer that is looked at, in bytes: group claims make them long.
pub const OIDC_TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Texts in the claims of one such token; one with more is refused.
pub const OIDC_TEXTS_MAX: usize = 1_024;
/// Such tokens whose signature was checked and is not checked again, as long as its key stands.
pub const OIDC_TOKENS_CHECKED_MAX: usize = 2_048;
/// How far an issuer's clock may be off ours, in seconds.
pub const OIDC_LEEWAY_SECONDS: u64 = 10;
/// Largest document that is taken from an issuer, in bytes.
pub const OIDC_DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Keys of an issuer that are looked at; a document with more is refused.
pub const OIDC_KEYS_MAX: usize = 64;
/// How long one look at an issuer may take, both documents together, in seconds.
pub const OIDC_FETCH_SECONDS_MAX: u64 = 10;
/// Shortest and longest time between two looks at an issuer that answers, in seconds, whatever it says of its caches.
pub const OIDC_REFRESH_SECONDS: (u64, u64) = (60, 3_600);
/// The time between two looks where the issuer says nothing, in seconds.
pub const OIDC_REFRESH_SECONDS_DEFAULT: u64 = 600;
/// The first and the longest wait before an issuer that failed is asked again, in seconds; doubled in between.
pub const OIDC_RETRY_SECONDS: (u64, u64) = (2, 60);
/// At most one look at an issuer in so many seconds because of tokens that name an unknown key.
pub const OIDC_UNKNOWN_KEY_SECONDS: u64 = 10;
/// Requests that wait for such a look; a further one is refused at once.
pub const OIDC_WAITING_MAX: usize = 256;
/// How long one of them waits at most, in seconds.
pub const OIDC_WAIT_SECONDS_MAX: u64 = 3;
/// How long the keys of an issuer that does not answer are good, in seconds.
pub const OIDC_KEYS_SECONDS_MAX: u64 = 6 * 3_600;
