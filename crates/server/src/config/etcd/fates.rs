//! What becomes of every flag and feature gate of etcd 3.7.3: no one is taken in silence without doing anything.
//!
//! One row a flag that `etcd --help` lists, with a value that is not its default. That what is in the configuration also
//! acts is shown by the tests of what reads it; a field that nobody reads is none: the compiler's and the reviewer's part.

use super::*;
use crate::config::Severity;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What a row promises.
#[derive(Clone, Copy, Debug)]
enum Promise {
    /// The configuration is another than without.
    Acts,
    /// The configuration is another, together with these flags.
    ActsWith(&'static str),
    /// The configuration is the same, and one warning names the flag and this reason.
    Idle(&'static str),
    /// The configuration is the same, and one warning says this.
    Deprecated(&'static str),
    /// Refused with this.
    Refused(&'static str),
    /// etcd lists it in its help and does not know it.
    Unknown,
}
use Promise::{Acts, ActsWith, Deprecated, Idle, Refused, Unknown};

const BBOLT: &str = "no bbolt file";
const PEERS: &str = "speaks to no peers";
const ALONE: &str = "there is no other to compare or to vote with";
const DISCOVERY: &str = "discovery is not used";
const ROTATION: &str = "logrotate";
const TRACING: &str = "OpenTelemetry";
const IN_PROCESS: &str = "inside the process";
const CERTIFICATE: &str = "--cert-file /c --key-file /k --listen-client-urls https://127.0.0.1:33791 --advertise-client-urls https://127.0.0.1:33791";

#[rustfmt::skip]
const ROWS: &[(&str, &str, Promise)] = &[
    ("name", "m", ActsWith("--initial-cluster m=http://127.0.0.1:33801")),
    ("data-dir", "/elsewhere", Acts),
    ("wal-dir", "/fast", Idle("one sealed directory")),
    ("snapshot-count", "5", Acts),
    ("heartbeat-interval", "50", Acts),
    ("election-timeout", "2000", Acts),
    ("initial-election-tick-advance", "false", Idle("elects itself at once")),
    ("listen-peer-urls", "http://127.0.0.1:33802", Idle(PEERS)),
    ("listen-client-urls", "http://127.0.0.1:33792", Acts),
    ("listen-client-http-urls", "http://127.0.0.1:33793", Acts),
    ("max-snapshots", "9", Deprecated("--max-snapshots is deprecated in 3.6")),
    ("max-wals", "9", Idle("removed as soon as nothing needs them")),
    ("memory-mlock", "true", Idle("not locked")),
    ("quota-backend-bytes", "5", Acts),
    ("backend-bbolt-freelist-type", "array", Idle(BBOLT)),
    ("backend-batch-interval", "1s", Idle(BBOLT)),
    ("backend-batch-limit", "9", Idle(BBOLT)),
    ("max-txn-ops", "9", Acts),
    ("max-request-bytes", "9", Acts),
    ("max-concurrent-streams", "9", Acts),
    ("grpc-keepalive-min-time", "1s", Acts),
    ("grpc-keepalive-interval", "1s", Acts),
    ("grpc-keepalive-timeout", "1s", Acts),
    ("socket-reuse-port", "true", Idle("never shared")),
    ("socket-reuse-address", "true", Idle("always set")),
    ("enable-grpc-gateway", "false", Acts),
    ("raft-read-timeout", "9s", Idle(PEERS)),
    ("raft-write-timeout", "9s", Idle(PEERS)),
    ("feature-gates", "CompactHashCheck=true", Acts),
    ("initial-advertise-peer-urls", "http://127.0.0.1:33803", ActsWith("--initial-cluster default=http://127.0.0.1:33803")),
    ("initial-cluster", "default=http://127.0.0.1:33801,b=http://127.0.0.1:1", Acts),
    ("initial-cluster-state", "existing", Acts),
    ("initial-cluster-token", "t", Acts),
    ("advertise-client-urls", "http://127.0.0.1:9", Acts),
    ("discovery-token", "t", Refused("both --discovery-token and --discovery-endpoints must be set")),
    ("discovery-endpoints", "http://127.0.0.1:9", Refused("both --discovery-token and --discovery-endpoints must be set")),
    ("discovery-dial-timeout", "9s", Idle(DISCOVERY)),
    ("discovery-request-timeout", "9s", Idle(DISCOVERY)),
    ("discovery-keepalive-time", "9s", Idle(DISCOVERY)),
    ("discovery-keepalive-timeout", "9s", Idle(DISCOVERY)),
    ("discovery-insecure-transport", "false", Idle(DISCOVERY)),
    ("discovery-insecure-skip-tls-verify", "true", Idle(DISCOVERY)),
    ("discovery-cert", "/c", Idle(DISCOVERY)),
    ("discovery-key", "/k", Idle(DISCOVERY)),
    ("discovery-cacert", "/ca", Idle(DISCOVERY)),
    ("discovery-user", "u", Idle(DISCOVERY)),
    ("discovery-password", "p", Idle(DISCOVERY)),
    ("discovery", "u", Unknown),
    ("discovery-fallback", "proxy", Refused("v2 proxy is deprecated")),
    ("discovery-proxy", "u", Unknown),
    ("discovery-srv", "d", Refused("multiple discovery or bootstrap flags are set")),
    ("discovery-srv-name", "n", Idle(DISCOVERY)),
    ("strict-reconfig-check", "false", Idle(ALONE)),
    ("pre-vote", "false", Idle(ALONE)),
    ("auto-compaction-retention", "9", Acts),
    ("auto-compaction-mode", "revision", ActsWith("--auto-compaction-retention 9")),
    ("v2-deprecation", "gone", Deprecated("--v2-deprecation is deprecated")),
    ("cert-file", "/c", ActsWith("--key-file /k --listen-client-urls https://127.0.0.1:33791")),
    ("key-file", "/k", ActsWith("--cert-file /c --listen-client-urls https://127.0.0.1:33791")),
    ("client-cert-auth", "true", ActsWith(CERTIFICATE)),
    ("client-cert-file", "/c", Idle(IN_PROCESS)),
    ("client-key-file", "/k", Idle(IN_PROCESS)),
    ("client-crl-file", "/crl", ActsWith(CERTIFICATE)),
    ("client-cert-allowed-hostname", "a", ActsWith(CERTIFICATE)),
    ("trusted-ca-file", "/ca", ActsWith(CERTIFICATE)),
    ("auto-tls", "true", ActsWith("--listen-client-urls https://127.0.0.1:33791")),
    ("peer-cert-file", "/c", Idle(PEERS)),
    ("peer-key-file", "/k", Idle(PEERS)),
    ("peer-client-cert-auth", "true", Idle(PEERS)),
    ("peer-client-cert-file", "/c", Idle(PEERS)),
    ("peer-client-key-file", "/k", Idle(PEERS)),
    ("peer-trusted-ca-file", "/ca", Idle(PEERS)),
    ("peer-cert-allowed-cn", "a", Idle(PEERS)),
    ("peer-cert-allowed-hostname", "a", Idle(PEERS)),
    ("peer-auto-tls", "true", Idle(PEERS)),
    ("self-signed-cert-validity", "9", Idle("renewed in process")),
    ("peer-crl-file", "/crl", Idle(PEERS)),
    ("cipher-suites", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ActsWith(CERTIFICATE)),
    ("cors", "http://a:1", Acts),
    ("host-whitelist", "a", Acts),
    ("tls-min-version", "TLS1.3", ActsWith(CERTIFICATE)),
    ("tls-max-version", "TLS1.2", ActsWith(CERTIFICATE)),
    ("auth-token", "jwt,sign-method=RS256", Acts),
    ("bcrypt-cost", "9", Acts),
    ("auth-token-ttl", "9", Acts),
    ("enable-pprof", "true", Idle("no Go runtime")),
    ("metrics", "extensive", Acts),
    ("listen-metrics-urls", "http://127.0.0.1:33811", Acts),
    ("logger", "capnslog", Refused("--logger=capnslog is removed")),
    ("log-outputs", "stdout", Acts),
    ("log-level", "debug", Acts),
    ("log-format", "console", Acts),
    ("enable-log-rotation", "true", Idle(ROTATION)),
    ("log-rotation-config-json", "{}", Idle(ROTATION)),
    ("warning-unary-request-duration", "9s", Acts),
    ("enable-distributed-tracing", "true", Idle(TRACING)),
    ("distributed-tracing-address", "a", Idle(TRACING)),
    ("distributed-tracing-service-name", "a", Idle(TRACING)),
    ("distributed-tracing-instance-id", "a", Idle(TRACING)),
    ("distributed-tracing-sampling-rate", "9", Idle(TRACING)),
    ("corrupt-check-time", "9s", Idle(ALONE)),
    ("compact-hash-check-time", "9s", Idle(ALONE)),
    ("compaction-batch-limit", "9", Acts),
    ("peer-skip-client-san-verification", "true", Idle(PEERS)),
    ("watch-progress-notify-interval", "9s", Acts),
    ("warning-apply-duration", "9s", Acts),
    ("bootstrap-defrag-threshold-megabytes", "9", Idle("while the member runs")),
    ("max-learners", "9", Idle(ALONE)),
    ("compaction-sleep-interval", "9s", Idle("gives way to every request")),
    ("downgrade-check-time", "9s", Idle(PEERS)),
    ("snapshot-catchup-entries", "9", Acts),
    ("force-new-cluster", "true", Idle("a cluster of one already")),
    ("unsafe-no-fsync", "true", Idle("synced all the same")),
];

const BASE: &str = "--data-dir /data --listen-client-urls http://127.0.0.1:33791 --advertise-client-urls http://127.0.0.1:33791 \
    --initial-advertise-peer-urls http://127.0.0.1:33801 --initial-cluster default=http://127.0.0.1:33801";

fn from_line(line: &str) -> Result<Config, Box<Exit>> {
    let arguments = line.split_whitespace().map(str::to_owned).collect();
    configure(&Surroundings { arguments, ..Surroundings::default() })
}

/// All that the member runs on: without what is only said, and without peers' listeners, which nobody opens.
fn acting(config: &Config) -> String {
    let mut config = config.clone();
    (config.notes, config.summary) = (Vec::new(), Vec::new());
    config.listeners.retain(|listener| listener.serves != crate::config::Serves::Peers);
    // Where the key is looked for is not what the flag is for.
    config.key_rule.certificates.clear();
    config.pki.needed = false;
    format!("{config:?}")
}

fn warnings(config: &Config) -> Vec<String> {
    config.notes.iter().filter(|note| note.severity == Severity::Warn).map(ToString::to_string).collect()
}

fn broken(flag: &str, value: &str, promise: Promise) -> Option<String> {
    let with = match promise {
        ActsWith(with) => with,
        _ => "",
    };
    let without = from_line(&format!("{BASE} {with}")).ok();
    let outcome = from_line(&format!("{BASE} {with} --{flag}={value}"));
    let outcome = match (promise, outcome) {
        (Refused(why), Err(exit)) if exit.to_string().contains(why) => return None,
        (Unknown, Err(exit)) if exit.code() == 2 => return None,
        // A pair that is only good together is refused without its half.
        (ActsWith(_), Ok(_)) if without.is_none() => return None,
        // Refused for what it then lacks: it was heard.
        (ActsWith(_), Err(exit)) if exit.to_string().contains(flag) => return None,
        (_, Ok(config)) => config,
        (_, Err(exit)) => return Some(exit.to_string()),
    };
    let without = without?;
    let acts = acting(&outcome) != acting(&without);
    let before = warnings(&without);
    let said: Vec<_> = warnings(&outcome).into_iter().filter(|one| !before.contains(one)).collect();
    let names_it = |why: &str| matches!(said.as_slice(), [one] if one.contains(&format!("--{flag}")) && one.contains(why));
    let kept = match promise {
        Acts | ActsWith(_) => acts,
        Idle(why) => !acts && names_it(why),
        Deprecated(why) => !acts && names_it(why),
        Refused(_) | Unknown => false,
    };
    (!kept).then(|| format!("acts: {acts}, said: {said:#?}"))
}

/// A flag that does nothing in silence is a trap for whoever relies on it: each acts, or says in one warning why it cannot.
#[test]
fn every_flag_acts_or_says_why_not() {
    let mut wrong = String::new();
    for (flag, value, promise) in ROWS {
        if let Some(found) = broken(flag, value, *promise) {
            let _ = writeln!(wrong, "--{flag}={value} was to be {promise:?}: {found}");
        }
        let fate = table::named(flag).map(|flag| flag.fate);
        let agrees = match promise {
            Unknown => fate.is_none(),
            Idle(why) => matches!(fate, Some(table::Fate::Idle(reason)) if reason.contains(why)),
            Deprecated(_) => matches!(fate, Some(table::Fate::Deprecated(_))),
            Acts | ActsWith(_) | Refused(_) => fate == Some(table::Fate::Acts),
        };
        if !agrees {
            let _ = writeln!(wrong, "--{flag}: the table and the book say {fate:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let listed = include_str!("../../../testdata/etcd/flags-3.7.3.txt");
    let listed: BTreeSet<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|(flag, ..)| *flag).collect();
    assert_eq!(rows, listed, "every flag of etcd's help has its row");
}

/// A gate that is turned the other way changes nothing here, and says why.
#[test]
fn every_feature_gate_says_why_it_changes_nothing() {
    for gate in gates::KNOWN {
        let Some(why) = gate.idle else { continue };
        let mut line = format!("{BASE} --feature-gates={}={}", gate.name, !gate.default);
        if gate.name == "LeaseCheckpointPersist" {
            line.push_str(",LeaseCheckpoint=true");
        }
        let config = from_line(&line).unwrap();
        let said = warnings(&config);
        let one: Vec<_> = said.iter().filter(|line| line.contains(gate.name) && line.contains(why)).collect();
        assert_eq!(one.len(), 1, "{}: {said:#?}", gate.name);
        let default = from_line(&format!("{BASE} --feature-gates={}={}", gate.name, gate.default)).unwrap();
        assert!(!warnings(&default).iter().any(|line| line.contains("feature gate")), "{}", gate.name);
        let shown = gates::states(&config.features);
        assert!(
            shown.contains(&(gate.name, gate.stage.shown(), !gate.default)),
            "the metrics show it as set"
        );
    }
}
