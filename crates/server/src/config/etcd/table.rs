//! Every flag of etcd 3.7.3: its type, its default, and what becomes of it here.
//!
//! One row a flag, in the order of `etcd --help`. The variable's name, the key of the configuration file, the help and
//! the book's table all follow from it. Facts: embed.AddFlags and etcdmain.newConfig; the descriptions are ours.

use super::value::Kind::{self, *};

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its default as one would write it.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What becomes of it here.
    pub fate: Fate,
}

/// What becomes of a flag here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does what it does in etcd.
    Acts,
    /// It is taken and changes nothing; a value other than the default is answered with one warning that says why.
    Idle(&'static str),
    /// etcd ignores it too, and says so in these words.
    Deprecated(&'static str),
    /// It is ours, not etcd's.
    Own,
}
use Fate::{Acts, Deprecated, Idle, Own};

pub(super) const NO_BBOLT: &str =
    "there is no bbolt file here: data lies in sealed segments that are synced in batches";
pub(super) const NO_PEERS: &str = "this version runs a single member and speaks to no peers";
pub(super) const ALONE: &str =
    "this version runs a single member: there is no other to compare or to vote with";
const NO_DISCOVERY: &str = "discovery is not used without --discovery-endpoints, which this version refuses";
const NO_TRACING: &str = "OpenTelemetry export is not built in; metrics and the log are";
const NO_ROTATION: &str = "log files are not rotated by the member; let logrotate or journald do it";
const IN_PROCESS: &str =
    "the gateway calls the member inside the process and needs no certificate of its own";

/// All flags by the headings of the help.
pub const GROUPS: &[(&str, &[Flag])] = &[
    ("Member", MEMBER),
    ("Clustering", CLUSTERING),
    ("Security", SECURITY),
    ("Auth", AUTH),
    ("Profiling and Monitoring", MONITORING),
    ("Logging", LOGGING),
    ("Distributed tracing", TRACING),
    ("Features", FEATURES),
    ("Unsafe feature", UNSAFE),
    ("Strongroom's own", OWN),
];

/// All flags.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|(_, flags)| flags.iter())
}

/// The flag of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Flag> {
    all().find(|flag| flag.name == name)
}

const fn row(name: &'static str, kind: Kind, default: &'static str, fate: Fate, about: &'static str) -> Flag {
    Flag { name, kind, default, about, fate }
}

const MEMBER: &[Flag] = &[
    row("name", Text, "default", Acts, "The member's name."),
    row("data-dir", Text, "", Acts, "Where the data lies; empty means <name>.etcd."),
    row(
        "wal-dir",
        Text,
        "",
        Idle("log and store are one sealed directory; put --data-dir on the faster disk"),
        "A directory of its own for the log.",
    ),
    row("snapshot-count", U64, "10000", Acts, "Log entries between two checkpoints."),
    row("heartbeat-interval", Uint, "100", Acts, "Milliseconds between heartbeats."),
    row("election-timeout", Uint, "1000", Acts, "Milliseconds without a leader before an election."),
    row(
        "initial-election-tick-advance",
        Bool,
        "true",
        Idle("a single member elects itself at once"),
        "Shorten the wait before the first election.",
    ),
    row(
        "listen-peer-urls",
        Urls(""),
        "http://localhost:2380",
        Idle(NO_PEERS),
        "Where to listen for members.",
    ),
    row("listen-client-urls", Urls(""), "http://localhost:2379", Acts, "Where to listen for clients."),
    row(
        "listen-client-http-urls",
        Urls(""),
        "",
        Acts,
        "Where to listen for HTTP alone; the client URLs then serve gRPC alone.",
    ),
    row(
        "max-snapshots",
        Uint,
        "5",
        Deprecated("--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8."),
        "Snapshot files to keep.",
    ),
    row(
        "max-wals",
        Uint,
        "5",
        Idle("log segments are removed as soon as nothing needs them"),
        "Log files to keep.",
    ),
    row(
        "memory-mlock",
        Bool,
        "false",
        Idle("memory is not locked; use encrypted swap or none"),
        "Keep pages out of swap.",
    ),
    row(
        "quota-backend-bytes",
        Int64,
        "0",
        Acts,
        "Bytes of live data before writes are refused; 0 means 2 GiB.",
    ),
    row("backend-bbolt-freelist-type", Text, "map", Idle(NO_BBOLT), "How bbolt keeps its free pages."),
    row("backend-batch-interval", Duration, "0s", Idle(NO_BBOLT), "Longest wait before bbolt commits."),
    row("backend-batch-limit", Int, "0", Idle(NO_BBOLT), "Most operations before bbolt commits."),
    row("max-txn-ops", Uint, "128", Acts, "Most operations in a transaction."),
    row("max-request-bytes", Uint, "1572864", Acts, "Most bytes of a request."),
    row("max-concurrent-streams", U32, "4294967295", Acts, "Most requests under way on one connection."),
    row("grpc-keepalive-min-time", Duration, "5s", Acts, "Shortest time between a client's pings."),
    row(
        "grpc-keepalive-interval",
        Duration,
        "2h",
        Acts,
        "Idle time before a client is asked for a sign of life.",
    ),
    row("grpc-keepalive-timeout", Duration, "20s", Acts, "How long that sign of life may take."),
    row(
        "socket-reuse-port",
        Bool,
        "false",
        Idle("a port is never shared with another process"),
        "Set SO_REUSEPORT on listeners.",
    ),
    row(
        "socket-reuse-address",
        Bool,
        "false",
        Idle("SO_REUSEADDR is always set"),
        "Set SO_REUSEADDR on listeners.",
    ),
    row("enable-grpc-gateway", Bool, "true", Acts, "Serve the JSON gateway."),
    row("raft-read-timeout", Duration, "5s", Idle(NO_PEERS), "Read timeout of connections to members."),
    row("raft-write-timeout", Duration, "5s", Idle(NO_PEERS), "Write timeout of connections to members."),
    row("feature-gates", Gates, "", Acts, "Features by name, as Name=true or Name=false."),
];

const CLUSTERING: &[Flag] = &[
    row(
        "initial-advertise-peer-urls",
        Urls(""),
        "http://localhost:2380",
        Acts,
        "Where members find this one.",
    ),
    row(
        "initial-cluster",
        Text,
        "default=http://localhost:2380",
        Acts,
        "Names and peer URLs of a new cluster.",
    ),
    row(
        "initial-cluster-state",
        OneOf(&["new", "existing"]),
        "new",
        Acts,
        "Whether to found a cluster or to join one.",
    ),
    row("initial-cluster-token", Text, "etcd-cluster", Acts, "Keeps clusters with equal addresses apart."),
    row("advertise-client-urls", Urls(""), "http://localhost:2379", Acts, "Where clients find this member."),
    row("discovery-token", Text, "", Acts, "Token of a cluster at a discovery service."),
    row("discovery-endpoints", Strings, "", Acts, "The discovery service."),
    row("discovery-dial-timeout", Duration, "2s", Idle(NO_DISCOVERY), "Timeout to connect to it."),
    row("discovery-request-timeout", Duration, "5s", Idle(NO_DISCOVERY), "Timeout of a request to it."),
    row("discovery-keepalive-time", Duration, "2s", Idle(NO_DISCOVERY), "Keepalive interval to it."),
    row("discovery-keepalive-timeout", Duration, "6s", Idle(NO_DISCOVERY), "Keepalive timeout to it."),
    row("discovery-insecure-transport", Bool, "true", Idle(NO_DISCOVERY), "Speak to it in clear text."),
    row(
        "discovery-insecure-skip-tls-verify",
        Bool,
        "false",
        Idle(NO_DISCOVERY),
        "Do not check its certificate.",
    ),
    row("discovery-cert", Text, "", Idle(NO_DISCOVERY), "Certificate to show it."),
    row("discovery-key", Text, "", Idle(NO_DISCOVERY), "Key of that certificate."),
    row("discovery-cacert", Text, "", Idle(NO_DISCOVERY), "CA of its certificate."),
    row("discovery-user", Text, "", Idle(NO_DISCOVERY), "User at it."),
    row("discovery-password", Text, "", Idle(NO_DISCOVERY), "Password of that user."),
    row("discovery-fallback", OneOf(&["exit", "proxy"]), "exit", Acts, "What to do when discovery fails."),
    row("discovery-srv", Text, "", Acts, "Domain whose SRV records list the cluster."),
    row("discovery-srv-name", Text, "", Idle(NO_DISCOVERY), "Suffix of the SRV name."),
    row(
        "strict-reconfig-check",
        Bool,
        "true",
        Idle(ALONE),
        "Refuse changes of membership that would lose the quorum.",
    ),
    row(
        "pre-vote",
        Bool,
        "true",
        Idle(ALONE),
        "Ask before an election, so that a returning member disturbs nobody.",
    ),
    row("auto-compaction-retention", Text, "0", Acts, "How much history to keep; 0 keeps all."),
    row(
        "auto-compaction-mode",
        Text,
        "periodic",
        Acts,
        "Whether the retention is a time or a number of revisions.",
    ),
    row(
        "v2-deprecation",
        ManyOf(&["gone", "write-only", "write-only-drop-data", "write-only-skip-check"]),
        "write-only",
        Deprecated(
            "--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input.",
        ),
        "Stage of the old store's removal.",
    ),
];

const SECURITY: &[Flag] = &[
    row("cert-file", Text, "", Acts, "Certificate shown to clients."),
    row("key-file", Text, "", Acts, "Key of that certificate."),
    row("client-cert-auth", Bool, "false", Acts, "Demand a certificate of clients."),
    row("client-cert-file", Text, "", Idle(IN_PROCESS), "Certificate to show as a client."),
    row("client-key-file", Text, "", Idle(IN_PROCESS), "Key of that certificate."),
    row("client-crl-file", Text, "", Acts, "Client certificates that are revoked."),
    row(
        "client-cert-allowed-hostname",
        Strings,
        "",
        Acts,
        "Host names of which a client's certificate needs one.",
    ),
    row("trusted-ca-file", Text, "", Acts, "CAs of clients' certificates; demands a certificate."),
    row("auto-tls", Bool, "false", Acts, "Serve clients with a certificate that the member makes."),
    row("peer-cert-file", Text, "", Idle(NO_PEERS), "Certificate shown to members."),
    row("peer-key-file", Text, "", Idle(NO_PEERS), "Key of that certificate."),
    row("peer-client-cert-auth", Bool, "false", Idle(NO_PEERS), "Demand a certificate of members."),
    row("peer-client-cert-file", Text, "", Idle(NO_PEERS), "Certificate to show to members as a client."),
    row("peer-client-key-file", Text, "", Idle(NO_PEERS), "Key of that certificate."),
    row(
        "peer-trusted-ca-file",
        Text,
        "",
        Idle(NO_PEERS),
        "CAs of members' certificates; demands a certificate.",
    ),
    row("peer-cert-allowed-cn", Strings, "", Idle(NO_PEERS), "Common names of members' certificates."),
    row("peer-cert-allowed-hostname", Strings, "", Idle(NO_PEERS), "Host names of members' certificates."),
    row(
        "peer-auto-tls",
        Bool,
        "false",
        Idle(NO_PEERS),
        "Serve members with a certificate that the member makes.",
    ),
    row(
        "self-signed-cert-validity",
        Uint,
        "1",
        Idle("made certificates live for days and are renewed in process"),
        "Years that made certificates last.",
    ),
    row("peer-crl-file", Text, "", Idle(NO_PEERS), "Members' certificates that are revoked."),
    row("cipher-suites", Strings, "", Acts, "TLS 1.2 suites; empty means the good ones."),
    row("cors", Urls("*"), "*", Acts, "Sites whose pages may call; * means all."),
    row("host-whitelist", Strings, "*", Acts, "Names under which it may be called without TLS; * means all."),
    row("tls-min-version", Text, "TLS1.2", Acts, "Oldest TLS version."),
    row("tls-max-version", Text, "", Acts, "Newest TLS version; empty means the newest there is."),
];

const AUTH: &[Flag] = &[
    row("auth-token", Text, "simple", Acts, "How tokens are made: simple, or jwt with its options."),
    row("bcrypt-cost", Uint, "10", Acts, "Cost of a password's hash, 4 to 31."),
    row("auth-token-ttl", Uint, "300", Acts, "Seconds that a simple token lasts."),
];

const MONITORING: &[Flag] = &[
    row(
        "enable-pprof",
        Bool,
        "false",
        Idle("there is no Go runtime to profile; use perf"),
        "Serve Go's profiles.",
    ),
    row("metrics", Text, "basic", Acts, "basic, or extensive with latency histograms of every method."),
    row("listen-metrics-urls", Urls(""), "", Acts, "Where to serve metrics and health alone."),
];

const LOGGING: &[Flag] = &[
    row("logger", Text, "zap", Acts, "Only zap, which means structured lines."),
    row("log-outputs", Strings, "default", Acts, "stderr, stdout, or files."),
    row("log-level", Text, "info", Acts, "debug, info, warn, error, panic or fatal."),
    row("log-format", Text, "json", Acts, "json or console."),
    row("enable-log-rotation", Bool, "false", Idle(NO_ROTATION), "Rotate the log file."),
    row(
        "log-rotation-config-json",
        Text,
        "{\"maxsize\": 100, \"maxage\": 0, \"maxbackups\": 0, \"localtime\": false, \"compress\": false}",
        Idle(NO_ROTATION),
        "How to rotate it.",
    ),
    row("warning-unary-request-duration", Duration, "300ms", Acts, "Slower requests are logged."),
];

const TRACING: &[Flag] = &[
    row("enable-distributed-tracing", Bool, "false", Idle(NO_TRACING), "Export spans."),
    row("distributed-tracing-address", Text, "localhost:4317", Idle(NO_TRACING), "Where to."),
    row("distributed-tracing-service-name", Text, "etcd", Idle(NO_TRACING), "Under which service name."),
    row("distributed-tracing-instance-id", Text, "", Idle(NO_TRACING), "Under which instance id."),
    row("distributed-tracing-sampling-rate", Int, "0", Idle(NO_TRACING), "How many of a million."),
];

const FEATURES: &[Flag] = &[
    row(
        "corrupt-check-time",
        Duration,
        "0s",
        Idle(ALONE),
        "How often members compare their whole data; 0 means never.",
    ),
    row(
        "compact-hash-check-time",
        Duration,
        "1m",
        Idle(ALONE),
        "How often members compare the hashes of compactions.",
    ),
    row(
        "compaction-batch-limit",
        Int,
        "0",
        Acts,
        "Revisions removed in one step of a compaction; 0 means 1000.",
    ),
    row(
        "peer-skip-client-san-verification",
        Bool,
        "false",
        Idle(NO_PEERS),
        "Do not check names of members' certificates.",
    ),
    row(
        "watch-progress-notify-interval",
        Duration,
        "0s",
        Acts,
        "Between notices of progress to idle watches; 0 means 10m.",
    ),
    row("warning-apply-duration", Duration, "100ms", Acts, "Slower applies are logged."),
    row(
        "bootstrap-defrag-threshold-megabytes",
        Uint,
        "0",
        Idle("space is given back while the member runs, without a stop at start"),
        "Defragment at start if it frees as much.",
    ),
    row("max-learners", Int, "1", Idle(ALONE), "Most learners in the cluster."),
    row(
        "compaction-sleep-interval",
        Duration,
        "0s",
        Idle("a compaction gives way to every request between two steps, and needs no pause"),
        "Pause between two steps of a compaction; 0 means 10ms.",
    ),
    row("downgrade-check-time", Duration, "5s", Idle(NO_PEERS), "Between looks at a downgrade's progress."),
    row("snapshot-catchup-entries", U64, "5000", Acts, "Log entries kept for members that are behind."),
];

const UNSAFE: &[Flag] = &[
    row(
        "force-new-cluster",
        Bool,
        "false",
        Idle("the data is that of a cluster of one already"),
        "Found a new cluster of one from this data.",
    ),
    row(
        "unsafe-no-fsync",
        Bool,
        "false",
        Idle("every write is synced all the same: an acknowledged write is never lost"),
        "Do not sync writes.",
    ),
];

const OWN: &[Flag] = &[row(
    super::super::INSECURE_CLEAR_TEXT,
    Bool,
    "false",
    Own,
    "Serve http:// and unix:// URLs beyond loopback: everybody on the network can read and change everything.",
)];

/// Flags that etcd takes and forgets without a word: they did something in versions long gone.
pub const FORGOTTEN: &[&str] = &[
    "cluster-active-size",
    "cluster-remove-delay",
    "cluster-sync-interval",
    "config",
    "force",
    "max-result-buffer",
    "max-retry-attempts",
    "peer-heartbeat-interval",
    "peer-election-timeout",
    "retry-interval",
    "snapshot",
    "v",
    "vv",
    "test.coverprofile",
    "test.outputdir",
];

/// What an `--experimental-` spelling of 3.5 and 3.6 means now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// The flag of this name.
    Flag(&'static str),
    /// This feature gate.
    Gate(&'static str),
    /// Nothing: why.
    Nothing(&'static str),
}

/// The `--experimental-` spellings that are not simply the new name with that prefix.
const RENAMED: &[(&str, Successor)] = &[
    ("initial-corrupt-check", Successor::Gate("InitialCorruptCheck")),
    ("compact-hash-check-enabled", Successor::Gate("CompactHashCheck")),
    ("txn-mode-write-with-shared-buffer", Successor::Gate("TxnModeWriteWithSharedBuffer")),
    ("stop-grpc-service-on-defrag", Successor::Gate("StopGRPCServiceOnDefrag")),
    ("enable-lease-checkpoint", Successor::Gate("LeaseCheckpoint")),
    ("enable-lease-checkpoint-persist", Successor::Gate("LeaseCheckpointPersist")),
    ("set-member-localaddr", Successor::Gate("SetMemberLocalAddr")),
    ("snapshot-catch-up-entries", Successor::Flag("snapshot-catchup-entries")),
    ("enable-v2v3", Successor::Nothing("the v2 API is gone since etcd 3.6")),
    ("wait-cluster-ready-timeout", Successor::Nothing("the member serves as soon as it has a leader")),
];

/// The new names that were spelled with the prefix before.
const PREFIXED: &[&str] = &[
    "corrupt-check-time",
    "compact-hash-check-time",
    "compaction-batch-limit",
    "compaction-sleep-interval",
    "peer-skip-client-san-verification",
    "watch-progress-notify-interval",
    "downgrade-check-time",
    "warning-apply-duration",
    "warning-unary-request-duration",
    "memory-mlock",
    "bootstrap-defrag-threshold-megabytes",
    "max-learners",
    "enable-distributed-tracing",
    "distributed-tracing-address",
    "distributed-tracing-service-name",
    "distributed-tracing-instance-id",
    "distributed-tracing-sampling-rate",
    "snapshot-catchup-entries",
    "backend-bbolt-freelist-type",
];

/// What a flag that begins with `experimental-` means now.
#[must_use]
pub fn successor(name: &str) -> Option<Successor> {
    let rest = name.strip_prefix("experimental-")?;
    let renamed = RENAMED.iter().find(|(old, _)| *old == rest).map(|(_, now)| *now);
    renamed.or_else(|| PREFIXED.iter().find(|new| **new == rest).map(|new| Successor::Flag(new)))
}

/// All `--experimental-` spellings.
pub fn experimental() -> impl Iterator<Item = String> {
    let renamed = RENAMED.iter().map(|(old, _)| *old);
    renamed.chain(PREFIXED.iter().copied()).map(|rest| format!("experimental-{rest}"))
}

/// The variable of a flag.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("ETCD_{}", name.to_ascii_uppercase().replace('-', "_"))
}
