//! The one line in which etcd shows its settings, `starting an etcd server`: support tools and etcd's own tests read it.
//!
//! The fields and their forms are those of embed.print; what is not Go's says what it is.

use super::super::Advertised;
use super::super::number::GoDuration;
use super::convert::Settings;
use super::gates;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn summary(
    settings: &Settings<'_>,
    advertised: &Advertised,
    features: &BTreeMap<&'static str, bool>,
) -> Vec<(&'static str, Value)> {
    let text = |name| Value::from(settings.text(name));
    let urls = |name| Value::from(settings.urls(name).iter().map(ToString::to_string).collect::<Vec<_>>());
    let duration = |name| Value::from(settings.duration(name).to_string());
    let milliseconds = |name| {
        let length = Duration::from_millis(settings.unsigned(name));
        Value::from(GoDuration::from(length).to_string())
    };
    let data_dir = settings.data_dir();
    let quota = match settings.signed("quota-backend-bytes") {
        0 => i64::try_from(types::limits::QUOTA_BYTES).unwrap_or(i64::MAX),
        quota => quota,
    };
    let mut cors: Vec<_> = settings.urls("cors").iter().map(ToString::to_string).collect();
    if cors.is_empty() {
        cors.push("*".to_owned());
    }
    let mut hosts = settings.strings("host-whitelist");
    hosts.sort();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let retention = retention(settings);
    vec![
        ("etcd-version", super::VERSION.into()),
        ("git-sha", super::commit().into()),
        ("go-version", concat!("none (strongroom ", env!("CARGO_PKG_VERSION"), ")").into()),
        ("go-os", std::env::consts::OS.into()),
        ("go-arch", super::help::go_arch(std::env::consts::ARCH).into()),
        ("max-cpu-set", cores.into()),
        ("max-cpu-available", cores.into()),
        ("name", text("name")),
        ("data-dir", data_dir.display().to_string().into()),
        ("wal-dir", text("wal-dir")),
        ("force-new-cluster", settings.bool("force-new-cluster").into()),
        ("heartbeat-interval", milliseconds("heartbeat-interval")),
        ("election-timeout", milliseconds("election-timeout")),
        ("initial-election-tick-advance", settings.bool("initial-election-tick-advance").into()),
        ("snapshot-count", settings.unsigned("snapshot-count").into()),
        ("max-wals", settings.unsigned("max-wals").into()),
        ("max-snapshots", settings.unsigned("max-snapshots").into()),
        ("snapshot-catchup-entries", settings.unsigned("snapshot-catchup-entries").into()),
        ("initial-advertise-peer-urls", advertised.peer_urls.clone().into()),
        ("listen-peer-urls", urls("listen-peer-urls")),
        ("advertise-client-urls", advertised.client_urls.clone().into()),
        ("listen-client-urls", urls("listen-client-urls")),
        ("listen-metrics-urls", urls("listen-metrics-urls")),
        ("local-address", "".into()),
        ("cors", cors.into()),
        ("host-whitelist", hosts.into()),
        ("initial-cluster", settings.initial_cluster().into()),
        ("initial-cluster-state", text("initial-cluster-state")),
        ("initial-cluster-token", text("initial-cluster-token")),
        ("quota-backend-bytes", quota.into()),
        ("max-request-bytes", settings.unsigned("max-request-bytes").into()),
        ("max-concurrent-streams", settings.unsigned("max-concurrent-streams").into()),
        ("pre-vote", settings.bool("pre-vote").into()),
        ("feature-gates", gates::shown(features).into()),
        ("initial-corrupt-check", gates::enabled(features, "InitialCorruptCheck").into()),
        ("corrupt-check-time-interval", duration("corrupt-check-time")),
        ("compact-check-time-interval", duration("compact-hash-check-time")),
        ("auto-compaction-mode", text("auto-compaction-mode")),
        ("auto-compaction-retention", retention.clone()),
        ("auto-compaction-interval", retention),
        ("discovery-token", text("discovery-token")),
        ("discovery-endpoints", settings.strings("discovery-endpoints").join(",").into()),
        ("discovery-insecure-transport", json!(settings.bool("discovery-insecure-transport"))),
        ("downgrade-check-interval", duration("downgrade-check-time")),
        ("max-learners", settings.signed("max-learners").into()),
        ("v2-deprecation", "write-only".into()),
    ]
}

/// etcd counts revisions as nanoseconds here.
fn retention(settings: &Settings<'_>) -> Value {
    let written = settings.text("auto-compaction-retention");
    let nanos = match written.parse::<i64>() {
        Ok(revisions) if settings.text("auto-compaction-mode") == "revision" => revisions,
        Ok(hours) => hours.saturating_mul(3_600_000_000_000),
        Err(_) => GoDuration::parse(&written).unwrap_or_default().0,
    };
    GoDuration(nanos).to_string().into()
}
