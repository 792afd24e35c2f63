//! From what was given to a [`Config`], with etcd's checks in etcd's order and words.
//!
//! Facts: embed.Config.Validate, embed.StartEtcd, etcdmain.startEtcdOrProxyV2 of 3.7.3.

use super::super::model::{
    Advertised, AutoCompaction, Bootstrap, Cluster, ClusterState, Keepalive, Limits, Metrics, Pki, Rollback,
    Slow, Timing, allowed,
};
use super::super::number::{GoDuration, bytes, quoted};
use super::super::url::Url;
use super::super::{Config, KeyRule, Note, Personality, Problem, Surroundings};
use super::line::{Given, Origin};
use super::table;
use super::value::Value;
use super::{gates, idle, listeners, logins, summary};
use crate::http::Access;
use crate::log;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ELECTION_MS_MAX: u64 = 50_000;
const QUOTA_WARNING_BYTES: i64 = 8 * 1024 * 1024 * 1024;
const WATCH_PROGRESS: Duration = Duration::from_secs(600);
const URL_HINT: &str = "write it as scheme://address:port, for example https://127.0.0.1:2379";

/// The values with their defaults.
pub(super) struct Settings<'a>(pub(super) &'a Given);

impl Settings<'_> {
    fn value(&self, name: &str) -> Value {
        if let Some((value, _)) = self.0.values.get(name)
            && *value != Value::Nothing
        {
            return value.clone();
        }
        // A default is written in the table and read by its own kind; a test reads them all.
        table::named(name).and_then(|flag| flag.kind.parse(flag.default).ok()).unwrap_or(Value::Nothing)
    }

    pub(super) fn text(&self, name: &str) -> String {
        match self.value(name) {
            Value::Text(text) => text,
            _ => String::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    pub(super) fn bool(&self, name: &str) -> bool {
        self.value(name) == Value::Bool(true)
    }

    pub(super) fn unsigned(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Unsigned(number) => number,
            _ => 0,
        }
    }

    pub(super) fn signed(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Signed(number) => number,
            _ => 0,
        }
    }

    pub(super) fn duration(&self, name: &str) -> GoDuration {
        match self.value(name) {
            Value::Duration(duration) => duration,
            _ => GoDuration(0),
        }
    }

    pub(super) fn urls(&self, name: &str) -> Vec<Url> {
        match self.value(name) {
            Value::Urls(urls) => urls,
            _ => Vec::new(),
        }
    }

    /// The words of a list; an empty text is no word.
    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        let words = match self.value(name) {
            Value::Strings(words) => words,
            _ => Vec::new(),
        };
        if words == [String::new()] { Vec::new() } else { words }
    }

    pub(super) fn gates(&self) -> BTreeMap<&'static str, bool> {
        match self.value("feature-gates") {
            Value::Gates(gates) => gates,
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.has(name)
    }

    /// Whether the value is another than the default.
    pub(super) fn differs(&self, flag: &table::Flag) -> bool {
        Some(self.value(flag.name)) != flag.kind.parse(flag.default).ok()
    }

    /// The advertised client URLs: without a default once the listen URLs are set.
    fn advertised_clients(&self) -> Vec<Url> {
        // In the file the default stays.
        let listen = self.0.values.get("listen-client-urls");
        let is_asked = listen.is_some_and(|(_, origin)| *origin != Origin::File);
        if is_asked && !self.is_set("advertise-client-urls") {
            return Vec::new();
        }
        self.urls("advertise-client-urls")
    }

    /// The initial cluster, whose default follows from the name, and is empty when something else finds the cluster.
    pub(super) fn initial_cluster(&self) -> String {
        let discovered =
            !self.text("discovery-srv").is_empty() || !self.strings("discovery-endpoints").is_empty();
        if self.is_set("initial-cluster") {
            return self.text("initial-cluster");
        }
        if discovered {
            return String::new();
        }
        let name = self.text("name");
        if name == "default" {
            return self.text("initial-cluster");
        }
        let name = if name.is_empty() { "default".to_owned() } else { name };
        let pairs: Vec<_> =
            self.urls("initial-advertise-peer-urls").iter().map(|url| format!("{name}={url}")).collect();
        pairs.join(",")
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.path("data-dir").unwrap_or_else(|| PathBuf::from(format!("{}.etcd", self.text("name"))))
    }
}

type Refused = (Vec<Note>, Vec<Problem>);

pub(super) fn convert(given: &Given, around: &Surroundings, mut notes: Vec<Note>) -> Result<Config, Refused> {
    let settings = Settings(given);
    let mut problems = Vec::new();
    if settings.text("discovery-fallback") == "proxy" {
        problems.push(Problem::new(
            "v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"",
            "drop --discovery-fallback",
        ));
    }
    let log = logging(&settings, &mut problems);
    check_urls(&settings, &mut problems);
    notes.extend(first_notes(&settings));
    check_bootstrap_flags(&settings, &mut problems);
    let (heartbeat_ms, election_ms) = elections(&settings, &mut problems);
    let advertised_clients = settings.advertised_clients();
    if advertised_clients.is_empty() {
        problems.push(Problem::new(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
            "add --advertise-client-urls with the URLs under which clients reach this member",
        ));
    }
    let auto_compaction = auto_compaction(&settings, &mut problems);
    let features = features(&settings, &mut notes, &mut problems);
    let compact_hash = settings.duration("compact-hash-check-time");
    if compact_hash.0 <= 0 {
        let what = format!("--compact-hash-check-time must be >0 (set to {compact_hash})");
        problems.push(Problem::new(what, "its default is 1m"));
    }
    let listeners = listeners::listeners(&settings, around, &mut notes, &mut problems);
    let logins = logins::logins(&settings, &mut notes, &mut problems);
    let metrics = metrics(&settings, &mut notes);
    let limits = limits(&settings, &mut notes);
    let scrub_rate = scrub_rate(around, &mut problems);
    notes.extend(idle::notes(&settings));
    if !problems.is_empty() {
        return Err((notes, problems));
    }

    let advertised = Advertised {
        client_urls: advertised_clients.iter().map(ToString::to_string).collect(),
        peer_urls: settings.urls("initial-advertise-peer-urls").iter().map(ToString::to_string).collect(),
    };
    let data_dir = settings.data_dir();
    let needs_made = listeners.needs_made;
    Ok(Config {
        personality: Personality::Etcd,
        name: settings.text("name"),
        naming: node::Naming::Announce,
        listeners: listeners.all,
        cluster: Cluster { bootstrap: bootstrap(&settings) },
        limits,
        timing: Timing {
            heartbeat: Duration::from_millis(heartbeat_ms),
            election_ticks: usize::try_from(election_ms / heartbeat_ms.max(1)).unwrap_or(10),
            watch_progress: or(settings.duration("watch-progress-notify-interval"), WATCH_PROGRESS),
            checkpoint_entries: settings.unsigned("snapshot-count").max(1),
            catchup_entries: settings.unsigned("snapshot-catchup-entries"),
            compaction_batch: usize::try_from(settings.signed("compaction-batch-limit"))
                .ok()
                .filter(|batch| *batch > 0)
                .unwrap_or(types::limits::COMPACTION_RECORDS_PER_STEP),
        },
        slow: Slow {
            apply: settings.duration("warning-apply-duration").length(),
            request: or(settings.duration("warning-unary-request-duration"), Duration::from_millis(300)),
        },
        auto_compaction,
        scrub_rate,
        logins,
        gateway: settings.bool("enable-grpc-gateway"),
        access: Access {
            hosts: allowed(&settings.strings("host-whitelist")),
            origins: allowed(&origins(&settings)),
        },
        metrics,
        log,
        key_rule: key_rule(&settings, around, &data_dir),
        pki: Pki {
            dir: super::super::strongroom::pki_dir(&data_dir),
            needed: needs_made,
            names: listeners.names,
            recovery: None,
        },
        rollback: Rollback::Report,
        summary: summary::summary(&settings, &advertised, &features),
        advertised,
        features,
        data_dir,
        notes,
    })
}

fn or(given: GoDuration, default: Duration) -> Duration {
    if given.0 <= 0 { default } else { given.length() }
}

fn origins(settings: &Settings<'_>) -> Vec<String> {
    settings.urls("cors").iter().map(ToString::to_string).collect()
}

fn key_rule(settings: &Settings<'_>, around: &Surroundings, data_dir: &Path) -> KeyRule {
    KeyRule {
        personality: Personality::Etcd,
        named: around.variable("STRONGROOM_KEY_FILE").map(PathBuf::from),
        certificates: ["cert-file", "peer-cert-file"].iter().filter_map(|name| settings.path(name)).collect(),
        data_dir: data_dir.to_owned(),
    }
}

/// No flag of etcd's says how fast the stored data is checked; the variable of our own does, here too.
fn scrub_rate(around: &Surroundings, problems: &mut Vec<Problem>) -> u64 {
    let Some(text) = around.variable("STRONGROOM_SCRUB_RATE") else {
        return types::limits::SCRUB_BYTES_PER_SECOND;
    };
    bytes(text).unwrap_or_else(|| {
        let what = format!("cannot understand STRONGROOM_SCRUB_RATE={text}");
        problems.push(Problem::new(what, "write bytes a second, such as 4MiB; 0 for no check"));
        0
    })
}

fn logging(settings: &Settings<'_>, problems: &mut Vec<Problem>) -> log::Settings {
    match settings.text("logger").as_str() {
        "zap" => {}
        "capnslog" => problems.push(Problem::new("--logger=capnslog is removed in v3.5", "drop --logger")),
        other => {
            let what = format!("unknown logger option {}", quoted(other));
            problems.push(Problem::new(what, "drop --logger"));
        }
    }
    let mut outputs = settings.strings("log-outputs");
    outputs.sort();
    outputs.dedup();
    if outputs.len() > 1 && outputs.iter().any(|output| output == "default") {
        problems.push(Problem::new(
            "multi logoutput for \"default\" is not supported yet",
            "write stderr instead of default",
        ));
    }
    let format = match settings.text("log-format").as_str() {
        "" | "json" => log::Format::Json,
        "console" => log::Format::Console,
        other => {
            let what = format!("unknown log format: {other}, supported values json, console");
            problems.push(Problem::new(what, "write json or console"));
            log::Format::Json
        }
    };
    let name = settings.text("log-level");
    let level = log::Level::named(&name).unwrap_or_else(|| {
        let what = format!("unrecognized level: {}", quoted(&name));
        problems.push(Problem::new(what, "write debug, info, warn, error, panic or fatal"));
        log::Level::Info
    });
    let outputs = outputs.iter().map(|output| log::Output::named(output)).collect();
    log::Settings { level, format, outputs }
}

fn check_urls(settings: &Settings<'_>, problems: &mut Vec<Problem>) {
    for name in ["listen-peer-urls", "listen-client-urls", "listen-client-http-urls", "listen-metrics-urls"] {
        for url in settings.urls(name) {
            if let Err(why) = url.check_bind() {
                let hint = format!(
                    "--{name} takes addresses of this machine, or 0.0.0.0 for all; names are for --advertise-client-urls"
                );
                problems.push(Problem::new(why, hint));
            }
        }
    }
    let listed = |urls: &[Url]| {
        let urls: Vec<_> = urls.iter().map(ToString::to_string).collect();
        quoted(&urls.join(","))
    };
    let peers = settings.urls("initial-advertise-peer-urls");
    if let Some(why) = peers.iter().find_map(|url| url.check_host().err()) {
        let what = format!("--initial-advertise-peer-urls {} must be \"host:port\" ({why})", listed(&peers));
        problems.push(Problem::new(what, URL_HINT));
    }
    let clients = settings.advertised_clients();
    if let Some(why) = clients.iter().find_map(|url| url.check_host().err()) {
        let what = format!(
            "--advertise-client-urls {} must be in the format \"host:port\", \"unix:/path/to/socket\" or \"unixs:/path/to/socket\" ({why})",
            listed(&clients)
        );
        problems.push(Problem::new(what, URL_HINT));
    }
}

fn first_notes(settings: &Settings<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    if settings.urls("listen-client-http-urls").is_empty() {
        notes.push(Note::info("gRPC and HTTP share the client port, which is safe here"));
    }
    if settings.text("name") == "default" {
        notes.push(
            Note::warn("it isn't recommended to use default name, please set a value for --name. Note that etcd might run into issue when multiple members have the same default name")
                .with("name", "default"),
        );
    }
    if settings.path("data-dir").is_none() {
        notes.push(
            Note::warn("'data-dir' was empty; using default")
                .with("data-dir", settings.data_dir().display().to_string()),
        );
    }
    if settings.unsigned("bootstrap-defrag-threshold-megabytes") > 0 {
        notes.push(Note::info("Skipping defragmentation").with(
            "reason",
            "space of removed revisions is reclaimed in the background, without a stop at start",
        ));
    }
    notes
}

fn check_bootstrap_flags(settings: &Settings<'_>, problems: &mut Vec<Problem>) {
    let endpoints = settings.strings("discovery-endpoints");
    let srv = settings.text("discovery-srv");
    // Only the file can bring another word this far.
    let state = settings.text("initial-cluster-state");
    if !matches!(state.as_str(), "" | "new" | "existing") {
        problems.push(Problem::new(
            format!("unexpected clusterState {}", quoted(&state)),
            "write new or existing",
        ));
    }
    let set = [!settings.initial_cluster().is_empty(), !srv.is_empty(), !endpoints.is_empty()];
    if set.iter().filter(|set| **set).count() > 1 {
        problems.push(Problem::new(
            "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \"discovery-endpoints\" or \"discovery-srv\"",
            "keep --initial-cluster",
        ));
    }
    if settings.text("discovery-token").is_empty() == endpoints.is_empty() {
        if endpoints.iter().any(|endpoint| endpoint.trim().is_empty()) {
            let what = "--discovery-endpoints must not contain empty endpoints";
            problems.push(Problem::new(what, "drop the empty one"));
        }
    } else {
        problems.push(Problem::new(
            "both --discovery-token and --discovery-endpoints must be set",
            "name the members with --initial-cluster instead",
        ));
    }
    let asked = [("discovery-endpoints", !endpoints.is_empty()), ("discovery-srv", !srv.is_empty())];
    for (name, _) in asked.iter().filter(|(_, asked)| *asked) {
        problems.push(Problem::at_start(
            format!("--{name} is not in this version: it runs a single member"),
            "name the member with --initial-cluster=<name>=<peer URL>; ignoring it would found a second cluster unseen",
        ));
    }
}

fn elections(settings: &Settings<'_>, problems: &mut Vec<Problem>) -> (u64, u64) {
    let heartbeat = settings.unsigned("heartbeat-interval");
    let election = settings.unsigned("election-timeout");
    let what = if heartbeat == 0 {
        "--heartbeat-interval must be >0 (set to 0ms)".to_owned()
    } else if election == 0 {
        "--election-timeout must be >0 (set to 0ms)".to_owned()
    } else if heartbeat.checked_mul(5).is_none_or(|five| five > election) {
        format!(
            "--election-timeout[{election}ms] should be at least as 5 times as --heartbeat-interval[{heartbeat}ms]"
        )
    } else if election > ELECTION_MS_MAX {
        format!(
            "--election-timeout[{election}ms] is too long, and should be set less than {ELECTION_MS_MAX}ms"
        )
    } else {
        return (heartbeat, election);
    };
    let hint = "the defaults, 100 and 1000, are good within one site; both are milliseconds";
    problems.push(Problem::new(what, hint));
    (heartbeat, election)
}

fn auto_compaction(settings: &Settings<'_>, problems: &mut Vec<Problem>) -> AutoCompaction {
    let mode = settings.text("auto-compaction-mode");
    let retention = settings.text("auto-compaction-retention");
    let retention = if retention.is_empty() { "0".to_owned() } else { retention };
    let whole: Option<u64> = retention.strip_prefix('+').unwrap_or(&retention).parse().ok();
    let mut refuse = |problem| {
        problems.push(problem);
        AutoCompaction::Off
    };
    match (mode.as_str(), whole) {
        ("revision" | "periodic", Some(0)) => AutoCompaction::Off,
        ("revision", Some(revisions)) => AutoCompaction::Revisions(revisions),
        ("periodic", Some(hours)) => {
            AutoCompaction::Periodic(Duration::from_secs(hours.saturating_mul(3_600)))
        }
        ("revision" | "periodic", None) => match GoDuration::parse(&retention) {
            Ok(GoDuration(nanos)) if nanos <= 0 => AutoCompaction::Off,
            Ok(duration) if mode == "periodic" => AutoCompaction::Periodic(duration.length()),
            // etcd takes a time here and counts its nanoseconds as revisions.
            Ok(_) => refuse(Problem::at_start(
                format!(
                    "--auto-compaction-retention={retention} is a time, and --auto-compaction-mode=revision counts revisions"
                ),
                "write a number of revisions, or --auto-compaction-mode=periodic",
            )),
            Err(error) => refuse(Problem::at_start(
                format!("error parsing CompactionRetention: {error}"),
                "write hours as a number, or a time such as 30m; with --auto-compaction-mode=revision, a number of revisions",
            )),
        },
        ("", _) => refuse(Problem::new("undefined auto-compaction-mode", "write periodic or revision")),
        (other, _) => {
            let what = format!("unknown auto-compaction-mode {}", quoted(other));
            refuse(Problem::new(what, "write periodic or revision"))
        }
    }
}

fn features(
    settings: &Settings<'_>,
    notes: &mut Vec<Note>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, bool> {
    let set = settings.gates();
    let persist = gates::enabled(&set, "LeaseCheckpointPersist");
    let checkpoint = gates::enabled(&set, "LeaseCheckpoint");
    if checkpoint && !persist {
        notes.push(Note::warn("Detected that checkpointing is enabled without persistence. Consider enabling feature gate LeaseCheckpointPersist"));
    }
    if persist && !checkpoint {
        problems.push(Problem::new(
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
            "write --feature-gates=LeaseCheckpoint=true,LeaseCheckpointPersist=true",
        ));
    }
    set
}

/// etcd takes every other word for basic, in silence.
fn metrics(settings: &Settings<'_>, notes: &mut Vec<Note>) -> Metrics {
    match settings.text("metrics").as_str() {
        "extensive" => return Metrics::Extensive,
        "basic" | "" => {}
        other => notes.push(
            Note::warn("--metrics is neither basic nor extensive; basic it is")
                .with("given", other)
                .with("hint", "write basic or extensive"),
        ),
    }
    Metrics::Basic
}

fn limits(settings: &Settings<'_>, notes: &mut Vec<Note>) -> Limits {
    let quota = settings.signed("quota-backend-bytes");
    if quota < 0 {
        notes.push(Note::warn("disabled backend quota").with("quota-size-bytes", quota));
    }
    if quota > QUOTA_WARNING_BYTES {
        notes.push(
            Note::warn("quota exceeds the maximum value")
                .with("quota-size-bytes", quota)
                .with("quota-maximum-size-bytes", QUOTA_WARNING_BYTES)
                .with(
                    "hint",
                    "the live data is indexed in memory and checkpointed; watch memory and start time",
                ),
        );
    }
    let streams = settings.unsigned("max-concurrent-streams");
    let streams_max = types::limits::CONCURRENT_STREAMS_MAX;
    if settings.is_set("max-concurrent-streams")
        && streams > u64::from(streams_max)
        && streams < u64::from(u32::MAX)
    {
        notes.push(
            Note::warn("--max-concurrent-streams is higher than is served")
                .with("given", streams)
                .with("served", streams_max)
                .with("hint", "no client opens as many; open a second connection"),
        );
    }
    let keepalive = Keepalive {
        interval: settings.duration("grpc-keepalive-interval").length(),
        timeout: settings.duration("grpc-keepalive-timeout").length(),
    };
    Limits {
        quota_bytes: match u64::try_from(quota) {
            Err(_) => None,
            Ok(0) => Some(types::limits::QUOTA_BYTES),
            Ok(quota) => Some(quota),
        },
        request_bytes_max: usize::try_from(settings.unsigned("max-request-bytes")).unwrap_or(usize::MAX),
        txn_ops_max: usize::try_from(settings.unsigned("max-txn-ops")).unwrap_or(usize::MAX),
        concurrent_streams_max: u32::try_from(streams).unwrap_or(u32::MAX).min(streams_max),
        keepalive: (!keepalive.interval.is_zero() && !keepalive.timeout.is_zero()).then_some(keepalive),
        ping_interval_min: or(
            settings.duration("grpc-keepalive-min-time"),
            Duration::from_secs(types::limits::PING_INTERVAL_SECONDS_UNSET),
        ),
    }
}

/// How a cluster would begin; wrong settings matter only then.
fn bootstrap(settings: &Settings<'_>) -> Result<Bootstrap, Problem> {
    let name = settings.text("name");
    let cluster = settings.initial_cluster();
    let mut members: BTreeMap<String, Vec<Url>> = BTreeMap::new();
    for pair in cluster.split(',').filter(|pair| !pair.is_empty()) {
        let (name, url) = pair.split_once('=').unwrap_or((pair, ""));
        let url = Url::parse(url).map_err(|why| {
            let hint = "write --initial-cluster=<name>=<peer URL>, with commas between members";
            Problem::at_start(format!("error setting up initial cluster: {why}"), hint)
        })?;
        members.entry(name.to_owned()).or_default().push(url);
    }
    for urls in members.values_mut() {
        urls.sort_by_key(ToString::to_string);
    }
    let Some(own) = members.get(&name) else {
        return Err(Problem::at_start(
            format!("couldn't find local name {} in the initial cluster configuration", quoted(&name)),
            format!("forgot to set --initial-cluster? it must contain {name}=<peer URL>"),
        ));
    };
    let advertised = settings.urls("initial-advertise-peer-urls");
    if resolved(own) != resolved(&advertised) {
        return Err(mismatch(&name, own, &advertised));
    }
    let state = match settings.text("initial-cluster-state").as_str() {
        "existing" => ClusterState::Existing,
        _ => ClusterState::New,
    };
    if members.len() > 1 || state == ClusterState::Existing {
        return Err(Problem::at_start(
            "this version runs a single member: it founds no larger cluster and joins none",
            "name only this member in --initial-cluster, with --initial-cluster-state=new",
        ));
    }
    let text = |urls: &Vec<Url>| urls.iter().map(ToString::to_string).collect();
    let members = members.iter().map(|(name, urls)| (name.clone(), text(urls))).collect();
    Ok(Bootstrap { state, members, token: Some(settings.text("initial-cluster-token")) })
}

/// etcd resolves the names; the one that everybody mixes is localhost.
fn resolved(urls: &[Url]) -> Vec<String> {
    let mut urls: Vec<_> =
        urls.iter().map(|url| url.to_string().replace("//localhost:", "//127.0.0.1:")).collect();
    urls.sort();
    urls.dedup();
    urls
}

fn mismatch(name: &str, own: &[Url], advertised: &[Url]) -> Problem {
    let list = |urls: &[Url]| urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let pairs: Vec<_> = own.iter().map(|url| format!("{name}={url}")).collect();
    let detail = match (resolved(advertised).first(), resolved(own).first()) {
        (Some(left), Some(right)) if own.len() == advertised.len() => {
            format!("resolved urls: {} != {}", quoted(left), quoted(right))
        }
        _ => "len(urls) differs".to_owned(),
    };
    Problem::at_start(
        format!(
            "--initial-cluster has {} but missing from --initial-advertise-peer-urls={} ({detail})",
            pairs.join(","),
            list(advertised)
        ),
        "forgot to set --initial-advertise-peer-urls or --initial-cluster? both name this member's peer URLs",
    )
}
