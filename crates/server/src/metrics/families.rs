//! The list of families, in the order of their names: what each number is called and what it means.
//!
//! Names, types and labels are etcd 3.7's where etcd has the number (read from a fresh 3.7.3 member); the rest begins
//! with `strongroom_`.

use super::text::{Kind, Labels, Text, whole};
use super::value::{Counter, Gauge, Histogram, Labelled};
use super::{Detail, Metrics, Readings, process};
use std::collections::BTreeMap;

pub(super) fn encode(m: &Metrics, r: &Readings, detail: Detail, text: &mut Text) {
    debugging(m, r, text);
    disk(m, text);
    mvcc(m, r, text);
    server(m, r, text);
    m.calls.encode(text, detail);
    process::encode(text);
    own(m, text);
}

fn debugging(m: &Metrics, r: &Readings, text: &mut Text) {
    let version: Labels<'_> = &[("cluster_version", &r.cluster_version)];
    if !r.cluster_version.is_empty() {
        text.family(
            "etcd_cluster_version",
            "The version that all members agree on, as a label.",
            Kind::Gauge,
        );
        text.sample("etcd_cluster_version", version, 1.0);
    }
    text.value("etcd_debugging_auth_revision", "How often users and roles changed.", whole(r.auth_revision));
    text.counter("etcd_debugging_lease_granted_total", "Leases granted.", &m.member.leases_granted);
    text.counter(
        "etcd_debugging_lease_renewed_total",
        "Lease renewals seen while leading.",
        &m.member.leases_renewed,
    );
    text.counter("etcd_debugging_lease_revoked_total", "Leases revoked.", &m.member.leases_revoked);
    text.distribution(
        "etcd_debugging_lease_ttl_total",
        "Time to live of granted leases, in seconds.",
        &m.member.lease_lives,
    );
    text.value(
        "etcd_debugging_mvcc_compact_revision",
        "Last compacted revision.",
        signed(r.compact_revision),
    );
    text.value(
        "etcd_debugging_mvcc_current_revision",
        "Current revision of the store.",
        signed(r.current_revision),
    );
    let name = "etcd_debugging_mvcc_db_compaction_keys_total";
    text.count(name, "Revisions of keys removed by compaction.", r.tally.swept);
    let name = "etcd_debugging_mvcc_db_compaction_last";
    text.gauge(
        name,
        "When the last compaction ended, Unix time; 0 before the first.",
        &m.member.compacted_at,
    );
    let name = "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds";
    text.distribution(name, "How long compactions took, in milliseconds.", &m.member.compactions);
    text.counter("etcd_debugging_mvcc_events_total", "Events sent to watchers.", &m.mvcc_events_total);
    text.value("etcd_debugging_mvcc_keys_total", "Keys in the store.", whole(r.keys));
    let name = "etcd_debugging_mvcc_pending_events_total";
    text.gauge(name, "Events that wait to be sent.", &m.mvcc_pending_events);
    let name = "etcd_debugging_mvcc_slow_watcher_total";
    text.gauge(name, "Watchers that are catching up from history.", &m.member.watchers_behind);
    let name = "etcd_debugging_mvcc_total_put_size_in_bytes";
    text.value(name, "Bytes of keys and values put.", whole(r.tally.put_bytes));
    text.gauge("etcd_debugging_mvcc_watch_stream_total", "Open watch streams.", &m.member.watch_streams);
    text.gauge("etcd_debugging_mvcc_watcher_total", "Watchers in all streams.", &m.member.watchers);
    text.family("etcd_debugging_server_alarms", "Alarms that stand, by member and kind.", Kind::Gauge);
    for (member, kind) in &r.alarms {
        let labels = [("alarm_type", *kind), ("server_id", &format!("{member:x}"))];
        text.sample("etcd_debugging_server_alarms", &labels, 1.0);
    }
    text.counter(
        "etcd_debugging_server_lease_expired_total",
        "Leases that expired.",
        &m.member.leases_expired,
    );
}

fn disk(m: &Metrics, text: &mut Text) {
    let name = "etcd_disk_backend_commit_duration_seconds";
    text.distribution(name, "How long commits of the store took.", &m.member.commits);
    let name = "etcd_disk_backend_defrag_duration_seconds";
    text.distribution(name, "How long defragmentations took.", &m.backend_defrag_duration);
    let name = "etcd_disk_backend_snapshot_duration_seconds";
    text.distribution(name, "How long sending snapshots took.", &m.backend_snapshot_duration);
    text.gauge("etcd_disk_defrag_inflight", "Whether a defragmentation runs.", &m.defrag_inflight);
    let name = "etcd_disk_wal_fsync_duration_seconds";
    text.distribution(name, "How long syncs of the log took.", &m.member.log_syncs);
    let name = "etcd_disk_wal_write_bytes_total";
    text.value(name, "Bytes written to the log.", whole(m.member.log_bytes.value()));
    let name = "etcd_disk_wal_write_duration_seconds";
    text.distribution(name, "How long writes to the log took.", &m.member.log_writes);
}

fn mvcc(m: &Metrics, r: &Readings, text: &mut Text) {
    text.value("etcd_mvcc_db_open_read_transactions", "Reads that hold a revision.", whole(r.open_reads));
    text.value(
        "etcd_mvcc_db_total_size_in_bytes",
        "Bytes that the store takes on disk.",
        whole(r.store_bytes),
    );
    let name = "etcd_mvcc_db_total_size_in_use_in_bytes";
    text.value(name, "Bytes of the store that are in use.", whole(r.store_bytes_in_use));
    text.count("etcd_mvcc_delete_total", "Deletions seen by this member.", r.tally.deletes);
    text.distribution(
        "etcd_mvcc_hash_duration_seconds",
        "How long hashing the store took.",
        &m.mvcc_hash_duration,
    );
    let name = "etcd_mvcc_hash_rev_duration_seconds";
    text.distribution(name, "How long hashing the store at a revision took.", &m.mvcc_hash_rev_duration);
    text.count("etcd_mvcc_put_total", "Puts seen by this member.", r.tally.puts);
    text.count("etcd_mvcc_range_total", "Ranges seen by this member.", r.tally.ranges);
    text.count("etcd_mvcc_txn_total", "Transactions seen by this member.", r.tally.txns);
    let name = "etcd_network_client_grpc_received_bytes_total";
    text.counter(name, "Bytes of messages received from gRPC clients.", &m.client_received_bytes);
    let name = "etcd_network_client_grpc_sent_bytes_total";
    text.counter(name, "Bytes of messages sent to gRPC clients.", &m.client_sent_bytes);
}

fn server(m: &Metrics, r: &Readings, text: &mut Text) {
    let name = "etcd_server_apply_duration_seconds";
    text.family(name, "How long applying entries took.", Kind::Histogram);
    for (op, well, took) in m.member.applied.noted() {
        text.histogram(name, &[("op", op.name()), ("success", word(well)), ("version", "v3")], &took.read());
    }
    if !r.features.is_empty() {
        text.family("etcd_server_feature_enabled", "Whether a feature gate is on.", Kind::Gauge);
        for (gate, stage, on) in &r.features {
            text.sample("etcd_server_feature_enabled", &[("name", gate), ("stage", stage)], truth(*on));
        }
    }
    text.value("etcd_server_has_leader", "Whether a leader is known.", truth(r.has_leader));
    text.counter("etcd_server_health_failures", "Health checks that failed.", &m.health_failures);
    text.counter("etcd_server_health_success", "Health checks that passed.", &m.health_success);
    text.family("etcd_server_healthcheck", "Whether a check passed when it was last made.", Kind::Gauge);
    for ([name, kind], gauge) in m.healthcheck.all() {
        text.sample("etcd_server_healthcheck", &[("name", name), ("type", kind)], signed(gauge.value()));
    }
    text.family("etcd_server_healthchecks_total", "Checks made, by result.", Kind::Counter);
    for ([name, status, kind], counter) in m.healthchecks_total.all() {
        let labels = [("name", name), ("status", status), ("type", kind)];
        text.sample("etcd_server_healthchecks_total", &labels, whole(counter.value()));
    }
    text.family("etcd_server_id", "This member's id, as a label in hexadecimal.", Kind::Gauge);
    text.sample("etcd_server_id", &[("server_id", &format!("{:x}", r.member_id))], 1.0);
    text.value("etcd_server_is_leader", "Whether this member leads.", truth(r.is_leader));
    text.value("etcd_server_is_learner", "Whether this member is a learner.", truth(r.is_learner));
    let name = "etcd_server_leader_changes_seen_total";
    text.family(name, "Changes of leader seen.", Kind::Counter);
    text.sample(name, &[], whole(r.leader_changes));
    let name = "etcd_server_proposals_applied_total";
    text.value(name, "Index of the last applied entry.", whole(r.proposals_applied));
    let name = "etcd_server_proposals_committed_total";
    text.value(name, "Index of the last committed entry.", whole(r.proposals_committed));
    let name = "etcd_server_proposals_failed_total";
    text.family(name, "Proposals that failed.", Kind::Counter);
    text.sample(name, &[], whole(r.proposals_failed.saturating_add(m.proposals_timed_out.value())));
    text.value(
        "etcd_server_proposals_pending",
        "Proposals that wait to be committed.",
        whole(r.proposals_pending),
    );
    text.value("etcd_server_quota_backend_bytes", "Bytes that the store may take.", whole(r.quota_bytes));
    let name = "etcd_server_range_duration_seconds";
    text.family(name, "How long ranges took.", Kind::Histogram);
    for (success, took) in [("false", &m.range_duration_failed), ("true", &m.range_duration)] {
        if !took.is_empty() {
            text.histogram(name, &[("success", success)], &took.read());
        }
    }
    let name = "etcd_server_read_indexes_failed_total";
    text.counter(name, "Linearizable reads that could not be confirmed.", &m.read_indexes_failed_total);
    let name = "etcd_server_request_duration_seconds";
    text.family(name, "How long requests took.", Kind::Histogram);
    for (op, well, took) in m.member.requests.noted() {
        text.histogram(name, &[("success", word(well)), ("type", op.name())], &took.read());
    }
    text.counter("etcd_server_slow_apply_total", "Entries that took long to apply.", &m.member.slow_applies);
    let name = "etcd_server_slow_read_indexes_total";
    text.counter(name, "Linearizable reads that took long to confirm.", &m.slow_read_indexes_total);
    text.family("etcd_server_version", "The version that this member runs, as a label.", Kind::Gauge);
    text.sample("etcd_server_version", &[("server_version", r.server_version)], 1.0);
}

fn own(m: &Metrics, text: &mut Text) {
    ends(m, text);
    let name = "strongroom_certificate_not_after_seconds";
    text.gauge(name, "When the serving certificate ends, Unix time; 0 for none.", &m.certificate_not_after);
    let name = "strongroom_certificate_reloads_total";
    text.by("result", name, "Changed certificate files that were taken, or not.", &m.certificate_reloads);
    let name = "strongroom_certificates_refused";
    let help = "Listeners whose certificate files were refused, so that older ones are in use.";
    text.gauge(name, help, &m.certificates_refused);
    text.gauge("strongroom_connections", "Open client connections.", &m.connections);
    let name = "strongroom_connections_cut_total";
    let help = "Connections cut because their client's certificate was no longer accepted.";
    text.by("reason", name, help, &m.connections_cut);
    let name = "strongroom_connections_refused_total";
    text.counter(name, "Connections refused because too many were open.", &m.connections_refused);
    let name = "strongroom_handshakes_failed_total";
    text.by("reason", name, "TLS handshakes that failed.", &m.handshakes_failed);
    let name = "strongroom_lists_bytes";
    text.gauge(name, "Memory that large lists under way have reserved.", &m.lists_bytes);
    let name = "strongroom_lists_cut_total";
    text.counter(name, "Large lists ended because their client took nothing of them.", &m.lists_cut);
    let name = "strongroom_lists_refused_total";
    text.counter(name, "Large lists refused because too many waited for memory.", &m.lists_refused);
    text.gauge("strongroom_lists_waiting", "Large lists that wait for memory.", &m.lists_waiting);
    text.counter("strongroom_logins_failed_total", "Logins with a wrong password.", &m.logins_failed);
    text.counter(
        "strongroom_enrolments_refused_total",
        "Enrolments with a token that is none, or a request that is none.",
        &m.enrolments_refused,
    );
    let name = "strongroom_logins_throttled_total";
    text.counter(name, "Logins refused because too many before them failed.", &m.logins_throttled);
    text.family(
        "strongroom_oidc_fetches_total",
        "Looks at the OIDC issuer, by what came of them.",
        Kind::Counter,
    );
    for ([result], counter) in m.oidc_fetches.all() {
        text.sample("strongroom_oidc_fetches_total", &[("result", result)], whole(counter.value()));
    }
    let name = "strongroom_oidc_keys";
    text.gauge(name, "Keys of the OIDC issuer that are known.", &m.oidc_keys);
    let name = "strongroom_oidc_keys_fetched_seconds";
    text.gauge(name, "When they were fetched, Unix time; 0 before.", &m.oidc_fetched);
    text.family(
        "strongroom_oidc_tokens_refused_total",
        "Tokens of the OIDC issuer that are not good, by reason.",
        Kind::Counter,
    );
    for ([reason], counter) in m.oidc_refused.all() {
        text.sample("strongroom_oidc_tokens_refused_total", &[("reason", reason)], whole(counter.value()));
    }
    let name = "strongroom_requests_denied_total";
    text.counter(name, "Requests that their sender had not the right to make.", &m.requests_denied);
    let name = "strongroom_requests_limited_total";
    text.counter(name, "Requests beyond the rate or size that a role allows.", &m.requests_limited);
    let name = "strongroom_requests_refused_total";
    text.counter(name, "Requests refused for how their connection was made.", &m.requests_refused);
    let name = "strongroom_rollback_accepted";
    text.gauge(
        name,
        "Whether this member started although its data is older than it was: a copy put back, or a lost end.",
        &m.member.rollback_accepted,
    );
    let name = "strongroom_scrub_bytes_total";
    text.counter(name, "Bytes read to check the stored data while the member runs.", &m.scrub_bytes);
    let name = "strongroom_scrub_damage";
    text.gauge(
        name,
        "Places where the last or the present round of that check found damage.",
        &m.scrub_damage,
    );
    let name = "strongroom_scrub_ended_seconds";
    text.gauge(name, "When its last round ended, Unix time; 0 before.", &m.scrub_ended);
    text.counter("strongroom_scrub_rounds_total", "Its rounds.", &m.scrub_rounds);
    let name = "strongroom_streams_cut_total";
    text.counter(name, "Streams and watchers whose caller lost the right to them.", &m.streams_cut);
    text.counter(
        "strongroom_tokens_refused_total",
        "Requests with a token that is not good.",
        &m.tokens_refused,
    );
}

/// Certificates, CAs and revocation lists by listener: what is left of them.
fn ends(m: &Metrics, text: &mut Text) {
    let now = i64::try_from(rustls::pki_types::UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    let name = "strongroom_certificate_expires_in_seconds";
    let help = "Seconds until a certificate, CA or revocation list of a listener ends; negative when it has.";
    text.family(name, help, Kind::Gauge);
    for (listener, ends) in m.ends() {
        // Of two CAs of one name, as at an exchange of keys, the one that ends first.
        let mut first: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for end in &ends {
            let least = first.entry((end.kind.word(), &end.name)).or_insert(end.life.ends);
            *least = end.life.ends.min(*least);
        }
        for ((kind, what), ends) in first {
            let labels: Labels<'_> = &[("kind", kind), ("listener", &listener), ("name", what)];
            text.sample(name, labels, signed(ends.saturating_sub(now)));
        }
    }
}

impl Text {
    fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.count(name, help, counter.value());
    }

    fn by(&mut self, label: &str, name: &str, help: &str, counters: &Labelled<Counter, 1>) {
        self.family(name, help, Kind::Counter);
        for ([value], counter) in counters.all() {
            self.sample(name, &[(label, value)], whole(counter.value()));
        }
    }

    fn count(&mut self, name: &str, help: &str, count: u64) {
        self.family(name, help, Kind::Counter);
        self.sample(name, &[], whole(count));
    }

    fn gauge(&mut self, name: &str, help: &str, gauge: &Gauge) {
        self.value(name, help, signed(gauge.value()));
    }

    fn value(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, Kind::Gauge);
        self.sample(name, &[], value);
    }

    fn distribution(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, help, Kind::Histogram);
        self.histogram(name, &[], &histogram.read());
    }
}

fn word(it: bool) -> &'static str {
    if it { "true" } else { "false" }
}

fn truth(it: bool) -> f64 {
    if it { 1.0 } else { 0.0 }
}

#[allow(clippy::cast_precision_loss)]
fn signed(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{MethodName, Shape};
    use std::sync::Arc;
    use std::time::Duration;

    /// The families of a fresh etcd 3.7.3, name and type, that dashboards, alerts and etcd's tests read.
    const OF_ETCD: &str = include_str!("testdata/families.txt");

    fn families(text: &str) -> BTreeMap<&str, &str> {
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
    }

    fn sample() -> String {
        let method = MethodName { service: "p.S".into(), method: "M".into(), shape: Shape::Unary };
        let metrics = Metrics::new([method], Arc::default());
        let took = Duration::from_millis(100);
        metrics.member.requests.note(node::Op::Put, Ok::<_, ()>(()), took);
        metrics.member.applied.note(node::Op::Put, Err::<(), _>(()), took);
        metrics.range_duration.observe_duration(took);
        let readings = Readings {
            cluster_version: "3.7".into(),
            server_version: "3.7.3",
            alarms: vec![(10, "NOSPACE")],
            features: vec![("AllAlpha", "ALPHA", false)],
            ..Readings::default()
        };
        metrics.encode(&readings, Detail::Basic)
    }

    /// Dashboards select by name and rate() by type: both must be etcd's.
    #[test]
    fn families_that_dashboards_read_have_etcds_names_and_types() {
        let text = sample();
        let ours = families(&text);
        for line in OF_ETCD.lines().filter(|line| !line.starts_with('#')) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_eq!(ours.get(name), Some(&kind), "{name}");
        }
    }

    /// A family that appears twice, or samples outside their family, make a scraper refuse the whole text.
    #[test]
    fn each_family_appears_once_and_holds_its_own_samples() {
        let text = sample();
        let headers = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert_eq!(headers, families(&text).len());
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} in {family}");
                let value = line.rsplit(' ').next().unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(text.ends_with('\n') && !text.contains("# EOF"));
    }
}
