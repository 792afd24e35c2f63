//! The etcd personality against what a real etcd answers, and against its promises.

use super::*;
use crate::config::{Listener, Security, Serves, Severity, Url};
use crate::listen::Address;
use crate::tls::{Clients, Version};
use std::collections::BTreeSet;
use std::fmt::Write;

const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/etcd");

/// A line in sh's syntax: variables, then arguments.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\'', Some(_)) => quote = None,
            (' ', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn around(line: &str) -> Surroundings {
    const BASE: &str = "--data-dir /data --listen-client-urls http://127.0.0.1:33791 \
        --advertise-client-urls http://127.0.0.1:33791 --listen-peer-urls http://127.0.0.1:33801 \
        --initial-advertise-peer-urls http://127.0.0.1:33801 --initial-cluster default=http://127.0.0.1:33801";
    let line = line.strip_prefix("+ ").map_or(line.to_owned(), |rest| format!("{BASE} {rest}"));
    let mut around = Surroundings::default();
    for word in words(&line) {
        match word.split_once('=') {
            Some((name, value)) if name.starts_with("ETCD") || name.starts_with("STRONGROOM_") => {
                around.variables.push((name.to_owned(), value.to_owned()));
            }
            _ => around.arguments.push(word),
        }
    }
    around
}

fn from_line(line: &str) -> Result<Config, Box<Exit>> {
    configure(&around(line))
}

fn from_file(text: &str) -> Result<Config, Vec<Problem>> {
    let (mut given, mut notes) = (Given::default(), Vec::new());
    file::parse(text, &mut given, &mut notes)?;
    notes.extend(about_old_spellings(&given));
    convert::convert(&given, &Surroundings::default(), notes).map_err(|(_, problems)| problems)
}

fn warnings(config: &Config) -> Vec<String> {
    config.notes.iter().filter(|note| note.severity == Severity::Warn).map(ToString::to_string).collect()
}

/// What etcd says about a mistake is what its users search for: exit code and text are those that a real etcd 3.7.3 gave
/// (testdata/etcd/mistakes.txt, made by record.sh).
#[test]
fn mistakes_get_the_answer_of_a_real_etcd() {
    let recorded = std::fs::read_to_string(format!("{TESTDATA}/mistakes.txt")).unwrap();
    let mut wrong = String::new();
    let mut count = 0;
    for case in recorded.split("\n\n").filter(|case| !case.trim().is_empty()) {
        let mut lines = case.trim_start().lines();
        let mut next = |prefix: &str| lines.next().unwrap().strip_prefix(prefix).unwrap().trim().to_owned();
        let (line, code, text) = (next("case "), next("code "), next("text"));
        let (our_code, our_text) = match from_line(&line).map_err(|exit| *exit) {
            Ok(config) => match config.cluster.bootstrap {
                Err(problem) => (1, problem.what),
                Ok(_) => (0, String::new()),
            },
            Err(exit) => (
                exit.code(),
                match exit {
                    Exit::Usage { stderr } => stderr.lines().next().unwrap().to_owned(),
                    Exit::Refused { problems, .. } => problems[0].what.clone(),
                    Exit::Said { stdout, .. } => stdout,
                },
            ),
        };
        if (our_code.to_string(), &our_text) != (code.clone(), &text) {
            let _ = writeln!(wrong, "{line}\n  etcd: {code} {text}\n  ours: {our_code} {our_text}");
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 80, "{count} cases");
}

/// A manifest written for etcd must start here: every flag that `etcd --help` lists is taken, with its default unchanged.
#[test]
fn every_flag_of_etcds_help_is_taken_with_the_same_default() {
    // Listed by etcd's help, and refused by etcd 3.7.3 as not defined.
    const ONLY_LISTED: [&str; 2] = ["discovery", "discovery-proxy"];
    // The help shows these in another way than they are.
    const SHOWN_OTHERWISE: [(&str, &str); 8] = [
        ("data-dir", "${name}.etcd"),
        ("memory-mlock", ""),
        ("backend-batch-interval", ""),
        ("max-concurrent-streams", "math.MaxUint32"),
        ("enable-grpc-gateway", ""),
        ("compaction-batch-limit", "1000"),
        ("watch-progress-notify-interval", "10m"),
        ("bootstrap-defrag-threshold-megabytes", ""),
    ];
    let listed = std::fs::read_to_string(format!("{TESTDATA}/flags-3.7.3.txt")).unwrap();
    let mut seen = BTreeSet::new();
    for line in listed.lines() {
        let (name, default) = line.split_once(' ').unwrap_or((line, ""));
        let default = default.trim_matches('\'');
        if ONLY_LISTED.contains(&name) {
            assert!(table::named(name).is_none(), "{name}");
            continue;
        }
        let flag = table::named(name).unwrap_or_else(|| panic!("--{name} is not known"));
        seen.insert(name);
        let shown_otherwise = SHOWN_OTHERWISE.contains(&(name, default));
        let without = ["compaction-sleep-interval", "downgrade-check-time", "snapshot-catchup-entries"];
        assert!(flag.default == default || shown_otherwise || without.contains(&name), "--{name}: {default}");
        let text = flag.default;
        assert!(flag.kind.parse(text).is_ok(), "--{name}={text}");
        let line = format!("+ --{name}='{text}'");
        // Some defaults are wrong together with the others of "+", as in etcd; none is unknown or malformed.
        if let Err(exit) = from_line(&line) {
            assert_ne!(exit.code(), 2, "{line}: {exit}");
        }
    }
    for flag in table::all().filter(|flag| flag.fate != table::Fate::Own) {
        assert!(seen.contains(flag.name), "--{} is not etcd's", flag.name);
    }
}

/// The defaults of etcd's own start: a directory named after the member, clear text on loopback with warnings, no refusal.
#[test]
fn a_start_without_flags_is_etcds() {
    let config = from_line("").unwrap();
    assert_eq!(config.data_dir.to_str(), Some("default.etcd"));
    assert_eq!(config.name, "default");
    let listeners: Vec<_> =
        config.listeners.iter().map(|listener| (listener.url.as_str(), listener.security.clone())).collect();
    assert_eq!(
        listeners,
        [("http://localhost:2379", Security::Clear), ("http://localhost:2380", Security::Clear)]
    );
    assert!(config.gateway);
    assert_eq!(config.limits.quota_bytes, Some(2 << 30));
    assert_eq!(config.advertised.client_urls, ["http://localhost:2379"]);
    let bootstrap = config.cluster.bootstrap.as_ref().unwrap();
    assert_eq!(bootstrap.members["default"], ["http://localhost:2380"]);
    assert_eq!(bootstrap.token.as_deref(), Some("etcd-cluster"));
    let warnings = warnings(&config).join("\n");
    assert!(
        warnings.contains("serving clients in clear text") && warnings.contains("'data-dir' was empty"),
        "{warnings}"
    );
}

/// kubeadm's command line is the reason for this personality: it starts, with TLS on both sides and plain health on loopback.
#[test]
fn kubeadms_command_line_is_taken_whole() {
    let config = from_line(
        "--name=node1 --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.5:2379 --advertise-client-urls=https://10.0.0.5:2379 \
         --listen-peer-urls=https://10.0.0.5:2380 --initial-advertise-peer-urls=https://10.0.0.5:2380 \
         --initial-cluster=node1=https://10.0.0.5:2380 --data-dir=/var/lib/etcd \
         --cert-file=/etc/kubernetes/pki/etcd/server.crt --key-file=/etc/kubernetes/pki/etcd/server.key \
         --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt --client-cert-auth=true \
         --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt --peer-key-file=/etc/kubernetes/pki/etcd/peer.key \
         --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt --peer-client-cert-auth=true --snapshot-count=10000 \
         --listen-metrics-urls=http://127.0.0.1:2381 --feature-gates=InitialCorruptCheck=true --watch-progress-notify-interval=5s",
    )
    .unwrap();
    let warnings = warnings(&config);
    assert_eq!(warnings.len(), 2, "one line a reason: no peers, and nobody to compare with: {warnings:#?}");
    assert!(
        warnings[0].starts_with("--listen-peer-urls, --peer-cert-file, --peer-key-file, "),
        "{warnings:#?}"
    );
    assert!(warnings[1].starts_with("feature gate InitialCorruptCheck is taken"), "{warnings:#?}");
    assert!(config.features["InitialCorruptCheck"]);
    assert_eq!(config.timing.watch_progress.as_secs(), 5);
    assert!(!config.pki.needed);
    let metrics = &config.listeners[2];
    assert_eq!((metrics.url.as_str(), &metrics.security), ("http://127.0.0.1:2381", &Security::Clear));
    let Security::Tls(tls) = &config.listeners[1].security else { panic!("no tls") };
    assert_eq!((tls.clients, tls.min_version), (Clients::Explained, Version::Tls12));
    assert_eq!(config.key_rule.certificates[0].to_str(), Some("/etc/kubernetes/pki/etcd/server.crt"));
    assert!(config.cluster.bootstrap.is_ok());
}

/// Go's way to write flags: one dash or two, a value behind `=` or of its own, booleans bare.
#[test]
fn flags_are_read_as_go_reads_them() {
    for line in [
        "-name m -enable-grpc-gateway",
        "--name=m --enable-grpc-gateway=t",
        "--name m -enable-grpc-gateway=1",
        "-name=x -name=m --enable-grpc-gateway=true",
    ] {
        let config = from_line(&format!("+ {line} --initial-cluster m=http://127.0.0.1:33801")).unwrap();
        assert_eq!((config.name.as_str(), config.gateway), ("m", true), "{line}");
    }
    assert!(!from_line("+ --enable-grpc-gateway=F").unwrap().gateway);
    let stray = from_line("+ --pre-vote false").unwrap_err();
    assert!(
        stray.to_string().starts_with("\"false\" is not a valid flag"),
        "a boolean takes no word: {stray}"
    );
}

/// Help and version end the start with success, the version in the form that tools parse.
#[test]
fn help_and_version_are_said() {
    for line in ["-h", "--help", "--help=false", "--name x -help"] {
        let Exit::Said { stdout, .. } = *from_line(line).unwrap_err() else { panic!("{line}") };
        assert!(
            table::all().all(|flag| stdout.contains(&format!("--{}", flag.name))),
            "every flag is in the help"
        );
    }
    let Exit::Said { stdout, .. } = *from_line("--version --name x").unwrap_err() else {
        panic!("no version")
    };
    let first_words: Vec<_> = stdout.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(first_words, ["etcd Version", "Git SHA", "Go Version", "Go OS/Arch"]);
    assert!(stdout.starts_with("etcd Version: 3.7.3\n"));
    for command in ["gateway start", "grpc-proxy start"] {
        let exit = from_line(command).unwrap_err();
        assert_eq!(exit.code(), 2);
        assert!(exit.to_string().contains("is not part of strongroom"));
    }
}

/// Clear text that other machines can reach is refused, and the refusal names the one word that allows it, in each form.
#[test]
fn clear_text_beyond_loopback_needs_its_word() {
    let line = "+ --listen-client-urls http://0.0.0.0:33791";
    let exit = from_line(line).unwrap_err();
    assert!(exit.to_string().contains("--insecure-clear-text"), "{exit}");
    assert!(exit.to_string().contains("ETCD_INSECURE_CLEAR_TEXT"), "{exit}");
    for allowed in [
        format!("{line} --insecure-clear-text"),
        "ETCD_INSECURE_CLEAR_TEXT=true --listen-client-urls http://0.0.0.0:33791 --advertise-client-urls http://10.0.0.1:33791".to_owned(),
    ] {
        let config = from_line(&allowed).unwrap();
        assert_eq!(config.listeners[0].security, Security::DangerouslyClear);
        assert!(warnings(&config).iter().any(|warning| warning.contains("everybody on the network")));
    }
    let peer = from_line("+ --listen-peer-urls http://10.0.0.1:33801").unwrap_err();
    assert!(peer.to_string().contains("http://10.0.0.1:33801"), "{peer}");
    let metrics = from_line("+ --listen-metrics-urls http://0.0.0.0:2381").unwrap();
    assert!(
        warnings(&metrics).iter().any(|warning| warning.contains("metrics and health")),
        "served, with a warning"
    );
}

/// One mistake a start is torture: all are reported, each with what to do.
#[test]
fn all_problems_are_reported_at_once() {
    let exit = from_line(
        "+ --heartbeat-interval 0 --tls-min-version 1.3 --log-format xml --listen-client-urls http://0.0.0.0:1,https://127.0.0.1:2 --auto-compaction-mode x",
    )
    .unwrap_err();
    let Exit::Refused { problems, .. } = *exit else { panic!("not refused") };
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.hint.len() > 5 && !problem.what.is_empty()));
}

/// A conflict between a flag and its variable is fatal, as in etcd, and for every flag; unknown variables only warn.
#[test]
fn a_flag_and_its_variable_conflict() {
    for flag in table::all() {
        let around = Surroundings {
            arguments: vec![format!("--{}={}", flag.name, flag.default)],
            variables: vec![(table::variable(flag.name), "x".to_owned())],
            ..Surroundings::default()
        };
        if flag.kind.parse(flag.default).is_err() {
            continue;
        }
        let Exit::Refused { problems, .. } = *configure(&around).unwrap_err() else {
            panic!("{}", flag.name)
        };
        assert_eq!(
            (problems[0].field, &problems[0].what),
            ("environment-variable", &table::variable(flag.name))
        );
    }
    let config = from_line("ETCD_UNSUPPORTED_ARCH=amd64 ETCD_VERIFY=all ETCD_VERSION=v3.7.3 ETCD_NAME=m ETCDCTL_API=3 ETCD_MAX_WALS=5").unwrap();
    assert_eq!(config.name, "m");
    let warnings = warnings(&config).join("\n");
    for expected in
        ["ETCD_UNSUPPORTED_ARCH=amd64", "ETCD_VERIFY=all", "cannot set special environment variable"]
    {
        assert!(warnings.contains(expected), "{expected} in {warnings}");
    }
    assert!(!warnings.contains("ETCDCTL_API"));
}

/// Static-pod manifests of 3.5 and 3.6 carry `--experimental-` flags: each is taken, with a warning that names its successor.
#[test]
fn experimental_spellings_are_taken_and_act() {
    for name in table::experimental() {
        let text = match line::kind(&name) {
            Some(value::Kind::Bool) => "true",
            Some(value::Kind::Duration) => "7s",
            Some(value::Kind::Text) => "map",
            _ => "7",
        };
        let together = if name.ends_with("persist") { " --experimental-enable-lease-checkpoint" } else { "" };
        let config = from_line(&format!("+ --{name}={text}{together}"))
            .unwrap_or_else(|exit| panic!("{name}: {exit}"));
        assert!(warnings(&config).iter().any(|warning| warning.contains(&name)), "{name}");
    }
    let config =
        from_line("+ --experimental-initial-corrupt-check --experimental-watch-progress-notify-interval=5s")
            .unwrap();
    assert!(config.features["InitialCorruptCheck"]);
    assert_eq!(config.timing.watch_progress.as_secs(), 5);
    for line in [
        "+ --experimental-warning-apply-duration=1s --warning-apply-duration=2s",
        "+ --warning-apply-duration=2s --experimental-warning-apply-duration=1s",
    ] {
        assert_eq!(from_line(line).unwrap().slow.apply.as_secs(), 2, "today's spelling counts");
    }
    let config = from_line("ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=true").unwrap();
    assert!(config.features["InitialCorruptCheck"]);
}

/// What cannot apply is taken with exactly one line that says why; a default that is written out is no reason to speak.
#[test]
fn idle_flags_warn_once_and_only_when_they_differ() {
    let config = from_line("+ --name m --initial-cluster m=http://127.0.0.1:33801 --unsafe-no-fsync --max-wals 9 --backend-batch-limit 0 --max-snapshots=5 --v2-deprecation=write-only --wal-dir=/fast").unwrap();
    let warnings: Vec<_> =
        warnings(&config).into_iter().filter(|warning| !warning.contains("clear text")).collect();
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
    for text in [
        "--listen-peer-urls is taken",
        "--unsafe-no-fsync is taken and changes nothing here",
        "--max-wals is taken",
        "--wal-dir is taken",
        "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.",
        "--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input.",
    ] {
        assert!(warnings.iter().any(|warning| warning.starts_with(text)), "{text}");
    }
    let defrag = from_line("+ --bootstrap-defrag-threshold-megabytes 1").unwrap();
    assert!(defrag.notes.iter().any(|note| note.message == "Skipping defragmentation"));
}

/// The line that shows all settings is read by etcd's tests: numbers stay numbers, durations Go's text.
#[test]
fn the_summary_is_etcds() {
    let config = from_line(
        "+ --snapshot-catchup-entries=1000 --auto-compaction-retention=1 --v2-deprecation=write-only",
    )
    .unwrap();
    let shown = |name: &str| config.summary.iter().find(|(field, _)| *field == name).unwrap().1.to_string();
    for (name, value) in [
        ("snapshot-catchup-entries", "1000"),
        ("v2-deprecation", "\"write-only\""),
        ("heartbeat-interval", "\"100ms\""),
        ("election-timeout", "\"1s\""),
        ("compact-check-time-interval", "\"1m0s\""),
        ("auto-compaction-retention", "\"1h0m0s\""),
        ("quota-backend-bytes", "2147483648"),
        ("max-concurrent-streams", "4294967295"),
        ("listen-client-urls", "[\"http://127.0.0.1:33791\"]"),
        ("cors", "[\"*\"]"),
        ("initial-cluster", "\"default=http://127.0.0.1:33801\""),
    ] {
        assert_eq!(shown(name), value, "{name}");
    }
}

/// The file has its own shape: TLS nested, durations as nanoseconds, lists; and it alone counts.
#[test]
fn the_configuration_file_is_etcds() {
    let config = from_file(
        "name: n1\ndata-dir: /data\nlisten-client-urls: https://10.0.0.1:2379\nadvertise-client-urls: https://10.0.0.1:2379\n\
         listen-peer-urls: https://10.0.0.1:2380\ninitial-advertise-peer-urls: https://10.0.0.1:2380\n\
         client-transport-security:\n  cert-file: /c.crt\n  key-file: /c.key\n  client-cert-auth: yes\n  trusted-ca-file: /ca.crt\n\
         peer-transport-security:\n  cert-file: /p.crt\n  key-file: /p.key\n  trusted-ca-file: /pca.crt\n  allowed-cn: [a, b]\n\
         log-outputs: [stderr]\ncipher-suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]\n\
         quota-backend-bytes: 4294967296\nauto-compaction-mode: revision\nauto-compaction-retention: '1000'\n\
         grpc-keepalive-interval: 3600000000000\nmax-snapshots: 5\nexperimental-corrupt-check-time: 5000000000\nspelling: wrong\n\
         feature-gates: CompactHashCheck=true\n",
    )
    .unwrap();
    assert_eq!(config.name, "n1");
    assert_eq!(config.limits.keepalive.unwrap().interval.as_secs(), 3600);
    assert_eq!(config.limits.quota_bytes, Some(4 << 30));
    assert_eq!(config.auto_compaction, crate::config::AutoCompaction::Revisions(1000));
    assert!(config.features["CompactHashCheck"]);
    let Security::Tls(peers) = &config.listeners[1].security else { panic!("no tls") };
    assert_eq!(peers.allowed_common_names, ["a", "b"]);
    assert_eq!(peers.cipher_suites, ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
    let warnings = warnings(&config).join("\n");
    for expected in [
        "key=\"spelling\"",
        "max-snapshots is deprecated",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "experimental-corrupt-check-time",
        "--corrupt-check-time, feature gate CompactHashCheck are taken and change nothing here",
    ] {
        assert!(warnings.contains(expected), "{expected} in {warnings}");
    }
}

/// A wrong type in the file gets encoding/json's words, compared with etcd 3.7.3; all of them at once.
#[test]
fn wrong_files_get_etcds_words() {
    let json = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal";
    let field = "into Go struct field configYAML";
    for (text, expected) in [
        ("heartbeat-interval: abc\n", format!("{json} string {field}.Config.heartbeat-interval of type uint")),
        ("grpc-keepalive-min-time: 5s\n", format!("{json} string {field}.Config.grpc-keepalive-min-time of type time.Duration")),
        ("log-outputs: stderr\n", format!("{json} string {field}.Config.log-outputs of type []string")),
        ("quota-backend-bytes: \"5\"\n", format!("{json} string {field}.Config.quota-backend-bytes of type int64")),
        ("auto-compaction-retention: 5\n", format!("{json} number {field}.Config.auto-compaction-retention of type string")),
        (
            "peer-transport-security: 5\n",
            format!("{json} number {field}.configJSON.peer-transport-security of type embed.securityConfig"),
        ),
        (
            "listen-client-urls: foo\n",
            "unexpected error setting up listen-client-urls: URL scheme must be http, https, unix, or unixs: foo".to_owned(),
        ),
    ] {
        let problems = from_file(text).unwrap_err();
        assert_eq!((problems.len(), &problems[0].what), (1, &expected));
    }
    let broken = from_file("name: [x\n").unwrap_err();
    assert!(broken[0].what.starts_with("error converting YAML to JSON: yaml: "), "{broken:?}");
    assert_eq!(from_file("heartbeat-interval: a\nname: 5\n").unwrap_err().len(), 2);
    assert!(from_file("").is_ok() && from_file("# nothing\n").is_ok());
}

/// With a file the rest is ignored, conflicts included; a mistake on the command line is still one.
#[test]
fn the_file_alone_counts() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "name: from-file\n").unwrap();
    let path = file.path().display();
    for line in [
        format!("--config-file {path} --name x --heartbeat-interval 0"),
        format!("ETCD_NAME=y --config-file={path} --name x"),
        format!("ETCD_CONFIG_FILE={path} ETCD_HEARTBEAT_INTERVAL=abc"),
    ] {
        assert_eq!(from_line(&line).unwrap().name, "from-file", "{line}");
    }
    assert_eq!(from_line(&format!("--config-file {path} --nope")).unwrap_err().code(), 2);
}

/// Made certificates and one port for both are what etcd's own tests ask for.
#[test]
fn auto_tls_and_mixed_ports() {
    let config = from_line("+ --listen-client-urls https://127.0.0.1:33791 --auto-tls").unwrap();
    assert!(config.pki.needed);
    assert_eq!(config.pki.dir.to_str(), Some("/data-pki"));
    let Security::Tls(tls) = &config.listeners[0].security else { panic!("no tls") };
    assert_eq!((tls.clients, tls.certificate.name().as_str()), (Clients::Anyone, "/data-pki/server.crt"));
    let mixed = from_line(
        "+ --listen-client-urls http://127.0.0.1:33791,https://127.0.0.1:33791 --cert-file /c --key-file /k --trusted-ca-file /ca",
    )
    .unwrap();
    assert_eq!(mixed.listeners.len(), 2, "{:?}", mixed.listeners);
    let Security::ClearOrTls(tls) = &mixed.listeners[0].security else { panic!("not mixed") };
    assert_eq!(tls.clients, Clients::Explained, "a CA demands certificates, flag or not");
    let socket = from_line(
        "+ --listen-client-urls unix:///run/etcd.sock --advertise-client-urls unix:///run/etcd.sock",
    )
    .unwrap();
    assert_eq!(socket.listeners[0].address, Address::Unix("/run/etcd.sock".into()));
    let weak = from_line("+ --listen-client-urls https://127.0.0.1:1 --cert-file /c --key-file /k --cipher-suites TLS_RSA_WITH_RC4_128_SHA").unwrap();
    let Security::Tls(tls) = &weak.listeners[0].security else { panic!("no tls") };
    assert_eq!(
        (tls.min_version, tls.cipher_suites.len()),
        (Version::Tls13, 0),
        "an empty list would offer all of TLS 1.2"
    );
    let demanded = from_line(
        "+ --listen-client-urls https://127.0.0.1:1 --cert-file /c --key-file /k --client-cert-auth",
    )
    .unwrap_err();
    assert!(demanded.to_string().contains("--trusted-ca-file"));
}

fn is_exposed(listener: &Listener) -> bool {
    let is_local = Url::parse(&listener.url).unwrap().is_local();
    let is_metrics = listener.serves == Serves::Clients(crate::listen::Serves::Metrics);
    !is_local && !is_metrics && !matches!(listener.security, Security::Tls(_))
}

/// The promise: whatever the settings, clear text for clients or peers leaves the machine only after the one word.
#[test]
fn no_settings_expose_clear_text_without_the_word() {
    const URLS: [&str; 9] = [
        "http://0.0.0.0:1",
        "https://0.0.0.0:1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:1",
        "http://[::]:2",
        "http://10.1.2.3:3",
        "unix:///s",
        "unixs:///t",
        "http://localhost:4",
    ];
    const OTHERS: [&str; 8] = [
        "--auto-tls",
        "--cert-file /c --key-file /k",
        "--trusted-ca-file /ca",
        "--client-cert-auth",
        "--peer-auto-tls",
        "--peer-cert-file /c --peer-key-file /k",
        "--listen-metrics-urls http://0.0.0.0:9",
        "--cors http://a:1",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let (mut accepted, mut exposed) = (0, 0);
    for _ in 0..20_000 {
        let mut urls =
            |count: usize| (0..=next(count)).map(|_| URLS[next(URLS.len())]).collect::<Vec<_>>().join(",");
        let mut line = format!(
            "--advertise-client-urls http://a:1 --listen-client-urls {} --listen-peer-urls {}",
            urls(3),
            urls(2)
        );
        if next(4) == 0 {
            let _ = write!(line, " --listen-client-http-urls {}", URLS[next(URLS.len())]);
        }
        for other in OTHERS {
            if next(2) == 0 {
                let _ = write!(line, " {other}");
            }
        }
        let word = next(3) == 0;
        if word {
            line.push_str(" --insecure-clear-text");
        }
        let Ok(config) = from_line(&line) else { continue };
        accepted += 1;
        let shows = config.listeners.iter().any(is_exposed);
        assert!(word || !shows, "{line}");
        exposed += usize::from(shows);
    }
    assert!(accepted > 500 && exposed > 100, "the search reaches both sides: {accepted} {exposed}");
}

/// The file's defaults are etcd's: listening elsewhere leaves the advertised URLs as they are, empty keys say nothing.
#[test]
fn a_file_may_leave_things_empty() {
    let config = from_file(
        "listen-client-urls: http://127.0.0.1:9\ndata-dir:\ncors:\nproxy:\ndiscovery:\ncert-file:\n",
    )
    .unwrap();
    assert_eq!(config.advertised.client_urls, ["http://localhost:2379"]);
    assert!(
        warnings(&config).iter().all(|warning| !warning.contains("unknown key")),
        "{:?}",
        warnings(&config)
    );
}

/// Whatever stands on the command line, in variables or in the file, the answer is a configuration or a refusal.
#[test]
fn no_input_panics() {
    let seeds = [
        "--listen-client-urls=http://[::1]:2379,unix:///x --cors=* --feature-gates=A=b,,=,AllAlpha=1 -h --a=",
        "--auto-compaction-retention=-1h5.5.m --quota-backend-bytes=-0x_f --auth-token=jwt,=,a=b,,c --initial-cluster=,=,a=http://x:1,=",
        "name: x\nclient-transport-security: {cert-file: [1], allowed-hostname: {}}\nlog-outputs: [1, {}]\ncors: 5\n? [a]\n: b\n",
        "--grpc-keepalive-timeout=9223372036854775807ns --election-timeout=18446744073709551615 --heartbeat-interval=18446744073709551615 --max-learners=-1",
        "heartbeat-interval: -1\nsnapshot-count: 1e400\ngrpc-keepalive-interval: -9223372036854775808\nexperimental-corrupt-check-time: -9223372036854775808\n",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below.max(1)).unwrap()).unwrap()
    };
    let alphabet: Vec<char> =
        "-=:/.,[]{}'\"\n\\ \t0123456789abxhsmnµ\u{0}\u{7f}\u{1f600}*&!|>%@~#".chars().collect();
    for round in 0..30_000 {
        let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
        for _ in 0..=next(6) {
            let at = next(text.len());
            match next(3) {
                0 => text[at] = alphabet[next(alphabet.len())],
                1 => text.insert(at, alphabet[next(alphabet.len())]),
                _ => drop(text.remove(at)),
            }
        }
        let text: String = text.into_iter().collect();
        let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let variables =
            table::all().map(|flag| (table::variable(flag.name), text.clone())).take(next(200)).collect();
        let _ = configure(&Surroundings { arguments: arguments.clone(), ..Surroundings::default() });
        if round % 50 == 0 {
            let _ = configure(&Surroundings { variables, ..Surroundings::default() });
        }
        let _ = from_file(&text);
    }
}
