//! The strongroom personality: what its settings do, and that nothing lowers security unasked.

use super::*;
use crate::config::{AutoCompaction, Rollback, Security, Serves, Severity};
use crate::tls::{Clients, Source, Version};
use clap::{Args, FromArgMatches};
use std::fmt::Write;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/strongroom/settings.txt");

fn flags(arguments: &[String]) -> Flags {
    let command = Flags::augment_args(clap::Command::new("up").no_binary_name(true));
    Flags::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

fn run(arguments: &str, variables: &[(&str, &str)]) -> Result<Config, Box<Exit>> {
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    let mut around = Surroundings {
        variables: vec![("HOME".into(), "/home/u".into())],
        host_name: Some("host1".into()),
        ..Surroundings::default()
    };
    around.variables.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    configure(&flags(&arguments), &around)
}

/// What a configuration says that differs from the defaults, or what is wrong: for the script.
fn shown(outcome: Result<Config, Box<Exit>>, default: &Config) -> String {
    let config = match outcome {
        Ok(config) => config,
        Err(exit) => return format!("{}\n", exit),
    };
    let mut text = String::new();
    let lines = |config: &Config| -> Vec<String> {
        let listeners = config.listeners.iter().map(|listener| {
            let security = match &listener.security {
                Security::Clear => "clear".to_owned(),
                Security::DangerouslyClear => "DANGEROUSLY CLEAR".to_owned(),
                Security::ClearOrTls(_) => "clear or tls".to_owned(),
                Security::Tls(tls) => {
                    format!(
                        "{:?}+ certificate {} clients {:?}",
                        tls.min_version,
                        tls.certificate.name(),
                        tls.clients
                    )
                }
            };
            format!("listener {} {:?} {security}", listener.url, listener.serves)
        });
        let notes = config
            .notes
            .iter()
            .filter(|note| note.severity == Severity::Warn)
            .map(|note| format!("warn {note}"));
        listeners
            .chain(notes)
            .chain([
                format!("name {}", config.name),
                format!(
                    "data {} pki {} (needed: {})",
                    config.data_dir.display(),
                    config.pki.dir.display(),
                    config.pki.needed
                ),
                format!("key {:?}", config.key_rule.named),
                format!("advertised {}", config.advertised.client_urls.join(" ")),
                format!("names {}", config.pki.names.join(" ")),
                format!("{:?}", config.limits),
                format!("{:?}", config.timing),
                format!("{:?} {:?} {:?}", config.slow, config.auto_compaction, config.metrics),
                format!("scrub rate {}", config.scrub_rate),
                format!("{:?}", config.logins.oidc),
                format!("gateway {} {:?}", config.gateway, config.access),
                format!("{:?} {:?}", config.log, config.rollback),
            ])
            .collect()
    };
    let defaults = lines(default);
    for line in lines(&config).iter().filter(|line| !defaults.contains(line)) {
        let _ = writeln!(text, "{line}");
    }
    if text.is_empty() { "as the defaults\n".to_owned() } else { text }
}

/// Flags, variables and files with what comes of them, one script: what a setting does shows as a difference from the
/// defaults, and a problem as its line. `UPDATE_TESTDATA=1` writes the outcomes anew, to be read in the diff.
#[test]
fn settings_do_what_the_script_says() {
    let default = run("", &[]).unwrap();
    let script = std::fs::read_to_string(SCRIPT).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut written = String::new();
    for block in script.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let (input, _) =
            block.trim_start_matches('\n').split_once("\n----").unwrap_or((block.trim_end(), ""));
        let (mut arguments, mut variables, mut file) = (String::new(), Vec::new(), None::<(String, String)>);
        for line in input.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("#", _) => {}
                ("up", rest) => arguments.push_str(rest),
                ("env", rest) => variables.push(rest.split_once('=').unwrap()),
                ("file", name) => file = Some((name.to_owned(), String::new())),
                ("|", text) => {
                    let _ = writeln!(file.as_mut().unwrap().1, "{text}");
                }
                other => panic!("unknown line {other:?}"),
            }
        }
        if let Some((name, text)) = file {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            let _ = write!(arguments, " --config {}", path.display());
        }
        let outcome =
            shown(run(&arguments, &variables), &default).replace(directory.path().to_str().unwrap(), "DIR");
        let _ = write!(written, "{input}\n----\n{outcome}\n");
    }
    if std::env::var_os("UPDATE_TESTDATA").is_some() {
        std::fs::write(SCRIPT, &written).unwrap();
    }
    let blocks = |text: &str| -> Vec<String> { text.trim_end().split("\n\n").map(str::to_owned).collect() };
    for (expected, found) in blocks(&script).iter().zip(&blocks(&written)) {
        assert_eq!(expected, found);
    }
    assert_eq!(script.trim_end().len(), written.trim_end().len());
}

/// The first promise: without any setting everything is on: mutual TLS 1.3 with made certificates on loopback only.
#[test]
fn nothing_set_is_secure() {
    let config = run("", &[]).unwrap();
    assert_eq!(config.notes, []);
    assert_eq!(config.data_dir.to_str(), Some("/home/u/.local/share/strongroom"));
    for listener in &config.listeners {
        let Security::Tls(tls) = &listener.security else { panic!("{listener:?}") };
        assert!(listener.url.contains("127.0.0.1"));
        assert_eq!((tls.min_version, tls.max_version), (Version::Tls13, Version::Tls13));
        let ca = tls.client_ca.as_ref().map(Source::name);
        let (demand, issuer) = match listener.serves {
            Serves::Peers => (Clients::Required, "peers.crt"),
            Serves::Clients(_) => (Clients::Explained, "clients.crt"),
        };
        assert_eq!(
            (tls.clients, ca),
            (demand, Some(format!("/home/u/.local/share/strongroom-pki/{issuer}")))
        );
    }
    assert!(!config.gateway && config.pki.needed);
    assert_eq!((config.rollback, config.auto_compaction), (Rollback::Refuse, AutoCompaction::Off));
    let root =
        configure(&Flags::default(), &Surroundings { is_root: true, ..Surroundings::default() }).unwrap();
    assert_eq!(root.data_dir.to_str(), Some("/var/lib/strongroom"));
}

/// A flag counts before a variable, a variable before the file: the nearer the hand, the more it is meant.
#[test]
fn the_nearer_source_counts() {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(&file, "name = \"f\"\nquota = \"1GiB\"\nheartbeat = \"200ms\"\nelection = \"2s\"\n")
        .unwrap();
    let path = file.path().to_str().unwrap();
    let variables = [("STRONGROOM_NAME", "v"), ("STRONGROOM_QUOTA", "3GiB"), ("STRONGROOM_CONFIG", path)];
    let config = run("--name a", &variables).unwrap();
    assert_eq!(config.name, "a");
    assert_eq!(config.limits.quota_bytes, Some(3 << 30));
    assert_eq!(config.timing.heartbeat.as_millis(), 200);
    assert_eq!(config.timing.election_ticks, 10);
}

/// A value of each setting that is not its default, and the flags it needs beside it.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("name", "m1", ""),
    ("data-dir", "/elsewhere", ""),
    ("pki-dir", "/pki", ""),
    ("recovery-recipient", "/recovery.pub", ""),
    ("key-file", "/keys", ""),
    ("listen", "127.0.0.1:1,unix:/s", ""),
    ("listen-peer", "127.0.0.1:2", ""),
    ("listen-metrics", "127.0.0.1:3", ""),
    ("advertise", "https://a:1,https://b:1", ""),
    ("certificate-name", "a,b", ""),
    ("tls-cert", "/c", "--tls-key /k"),
    ("tls-key", "/k", "--tls-cert /c"),
    ("tls-client-ca", "/ca", ""),
    ("tls-client-crl", "/crl", ""),
    ("tls-min-version", "1.2", ""),
    ("oidc-issuer", "https://i.example/a", "--oidc-audience a"),
    ("oidc-audience", "b", "--oidc-issuer https://i.example"),
    ("oidc-ca", "/ca", "--oidc-issuer https://i.example --oidc-audience a"),
    ("oidc-claim", "email", "--oidc-issuer https://i.example --oidc-audience a"),
    ("oidc-prefix", "staff:", "--oidc-issuer https://i.example --oidc-audience a"),
    ("quota", "3GiB", ""),
    ("request-bytes", "2MiB", ""),
    ("txn-ops", "9", ""),
    ("streams", "9", ""),
    ("auto-compaction", "1h", ""),
    ("scrub-rate", "1MiB", ""),
    ("heartbeat", "50ms", ""),
    ("election", "2s", ""),
    ("watch-progress", "9m", ""),
    ("gateway", "true", ""),
    ("cors", "https://a,https://b", ""),
    ("allow-host", "a,b", ""),
    ("metrics", "extensive", ""),
    ("slow-request", "9s", ""),
    ("slow-apply", "9s", ""),
    ("log-level", "debug", ""),
    ("log-format", "human", ""),
    ("log-output", "stdout,/a", ""),
    ("accept-rollback", "true", ""),
    ("insecure-no-client-certificates", "true", ""),
    ("insecure-oidc-clear-text", "true", "--oidc-issuer https://i.example --oidc-audience a"),
    ("insecure-clear-text", "true", ""),
];

/// One setting, four places to write it: each must be read, and mean the same, or a file that was tried by flags fails in
/// production.
#[test]
fn every_setting_works_by_flag_variable_toml_and_yaml() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    for (name, value, with) in OTHERWISE {
        let setting = table::named(name).unwrap();
        let values: Vec<&str> = match setting.takes {
            Takes::Many(_) => value.split(',').collect(),
            Takes::One(_) | Takes::Switch => vec![value],
        };
        let flags: String = match setting.takes {
            Takes::Switch => format!("--{name}"),
            _ => values.iter().map(|value| format!("--{name} {value} ")).collect(),
        };
        let (toml, yaml) = match setting.takes {
            Takes::Switch => (format!("{name} = {value}\n"), format!("{name}: {value}\n")),
            Takes::One(_) => (format!("{name} = \"{value}\"\n"), format!("{name}: \"{value}\"\n")),
            Takes::Many(_) => {
                (format!("{name} = {values:?}\n"), format!("{name}:\n- {}\n", values.join("\n- ")))
            }
        };
        // What is only said names the place.
        let shown = |outcome: Result<Config, Box<Exit>>| {
            outcome.map(|config| format!("{:?}", Config { notes: Vec::new(), ..config }))
        };
        let by_flag = shown(run(&format!("{flags} {with}"), &[]));
        let by_flag = by_flag.unwrap_or_else(|exit| panic!("--{name} {value}: {exit}"));
        // Without its flag it may be refused, which is another outcome, too.
        assert_ne!(Some(&by_flag), shown(run(with, &[])).ok().as_ref(), "--{name} {value} changes nothing");
        let by_variable = run(with, &[(&table::variable(name), value)]);
        assert_eq!(Ok(&by_flag), shown(by_variable).as_ref(), "{}", table::variable(name));
        for (kind, text) in [("settings.toml", toml), ("settings.yaml", yaml)] {
            let path = file(kind, text);
            assert_eq!(
                Ok(&by_flag),
                shown(run(&format!("{with} --config {path}"), &[])).as_ref(),
                "{name}: {kind}"
            );
        }
    }
    let rows: Vec<_> = OTHERWISE.iter().map(|(name, ..)| *name).collect();
    let settings: Vec<_> =
        SETTINGS.iter().map(|setting| setting.name).filter(|name| *name != "config").collect();
    assert_eq!(rows, settings, "every setting has its row");
}

/// Every default that is written in the table can be read, and every row says why it is what it is.
#[test]
fn every_setting_has_a_reason_and_a_readable_default() {
    for setting in SETTINGS {
        assert!(setting.why.len() > 3 && setting.about.len() > 3, "{}", setting.name);
        if setting.default.is_empty() || setting.takes == Takes::Switch {
            continue;
        }
        let with = run(&format!("--{} {}", setting.name, setting.default), &[]);
        with.unwrap_or_else(|exit| panic!("--{} {}: {exit}", setting.name, setting.default));
    }
}

/// The book's tables are those of the program, so that nobody has to read it; `UPDATE_TESTDATA=1` writes them anew.
#[test]
fn the_book_has_every_setting() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/book/configuration.md");
    let book = std::fs::read_to_string(path).unwrap();
    let mut written = book.clone();
    for (name, table) in [("strongroom", our_table()), ("etcd", etcd_table()), ("gates", gates_table())] {
        let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
        let from = written.find(&begin).unwrap() + begin.len();
        let to = written.find(&end).unwrap();
        written.replace_range(from..to, &table);
    }
    if std::env::var_os("UPDATE_TESTDATA").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    assert!(
        book == written,
        "the tables of docs/book/configuration.md are old; run this test with UPDATE_TESTDATA=1"
    );
}

fn our_table() -> String {
    let mut text = "| flag | default | what | why |\n|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let (about, computed) = match setting.about.split_once(" [default: ") {
            Some((about, computed)) => (about, computed.trim_end_matches(']')),
            None => (setting.about, ""),
        };
        let argument = match setting.takes {
            Takes::Switch => String::new(),
            Takes::One(what) => format!(" {what}"),
            Takes::Many(what) => format!(" {what}…"),
        };
        let default = if setting.default.is_empty() { computed } else { setting.default };
        let _ = writeln!(text, "| `--{}{argument}` | {default} | {about} | {} |", setting.name, setting.why);
    }
    text
}

fn etcd_table() -> String {
    use crate::config::etcd::table::{Fate, GROUPS};
    let mut text = String::new();
    for (heading, flags) in GROUPS {
        let _ = writeln!(text, "\n### {heading}\n\n| flag | default | what | here |\n|---|---|---|---|");
        for flag in *flags {
            let here = match flag.fate {
                Fate::Acts => "as in etcd".to_owned(),
                Fate::Idle(why) => format!("changes nothing: {why}"),
                Fate::Deprecated(_) => "changes nothing, as in etcd".to_owned(),
                Fate::Own => "not in etcd".to_owned(),
            };
            let default = if flag.default.is_empty() { String::new() } else { format!("`{}`", flag.default) };
            let _ = writeln!(text, "| `--{}` | {default} | {} | {here} |", flag.name, flag.about);
        }
    }
    text.push('\n');
    text
}

fn gates_table() -> String {
    let mut text = "| gate | stage | default | here |\n|---|---|---|---|\n".to_owned();
    for gate in crate::config::etcd::gates::KNOWN {
        let default = if gate.default { "on" } else { "off" };
        let here = gate.idle.map_or("stands for others".to_owned(), |why| format!("changes nothing: {why}"));
        let _ = writeln!(text, "| {} | {:?} | {default} | {here} |", gate.name, gate.stage);
    }
    text
}

/// The promise for this personality: whatever is set, clear text needs the one word, wherever it listens.
#[test]
fn no_settings_serve_clear_text_without_the_word() {
    const LISTEN: [&str; 6] =
        ["0.0.0.0:2379", "127.0.0.1:2379", "[::]:2379", "10.0.0.1:1", "unix:/s", "localhost:7"];
    const OTHERS: [&str; 7] = [
        "--insecure-no-client-certificates",
        "--tls-cert /c --tls-key /k",
        "--tls-client-ca /ca",
        "--gateway",
        "--tls-min-version 1.2",
        "--listen-metrics 127.0.0.1:2381",
        "--listen-metrics 0.0.0.0:2382",
    ];
    let (mut accepted, mut clear) = (0, 0);
    for listen in LISTEN {
        for peer in LISTEN {
            for set in 0_u32..1 << (OTHERS.len() + 1) {
                let mut line = format!("--listen {listen} --listen-peer {peer}");
                for (at, other) in OTHERS.iter().enumerate() {
                    if set & (1 << at) != 0 {
                        let _ = write!(line, " {other}");
                    }
                }
                let word = set & (1 << OTHERS.len()) != 0;
                if word {
                    line.push_str(" --insecure-clear-text");
                }
                let Ok(config) = run(&line, &[]) else { continue };
                accepted += 1;
                for listener in &config.listeners {
                    let is_metrics = listener.serves == Serves::Clients(crate::listen::Serves::Metrics);
                    let is_tls = matches!(listener.security, Security::Tls(_));
                    let is_exposed = matches!(listener.security, Security::DangerouslyClear);
                    assert!(word || is_tls || (is_metrics && !is_exposed), "{line}: {listener:?}");
                    clear += usize::from(!is_tls);
                }
            }
        }
    }
    assert!(accepted > 1000 && clear > 1000, "{accepted} {clear}");
}
