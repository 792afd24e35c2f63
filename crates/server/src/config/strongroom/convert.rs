//! From settings to a [`Config`]: each value is read, then all are checked together.

use super::super::model::{
    Advertised, AutoCompaction, Bootstrap, Cluster, ClusterState, Keepalive, Limits, Logins, Metrics, Pki,
    Rollback, Slow, Timing, Tokens,
};
use super::super::number::{self, GoDuration};
use super::super::url::{Url, is_loopback, split_host_port};
use super::super::{
    Config, INSECURE_CLEAR_TEXT, KeyRule, Listener, Note, Personality, Problem, Security, Serves,
    Surroundings,
};
use super::{Settings, pki_dir, table};
use crate::http::{Access, Allowed};
use crate::listen::{Address, Serves as Services};
use crate::login::Hashing;
use crate::pki::made;
use crate::tls::{self, Clients, Source, Version};
use state::pki::Role;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ELECTION_MAX: Duration = Duration::from_secs(50);
/// How long a token is good after its last use; etcd's.
const TOKEN_LIFE: Duration = Duration::from_secs(300);
/// Long enough for a second factor beside the certificate; a passphrase is easily longer.
const PASSWORD_CHARACTERS_MIN: usize = 12;
const ADDRESS_HINT: &str =
    "write an address of this machine and a port (127.0.0.1:2379, [::1]:2379, 0.0.0.0:2379), or unix:/path";

type Refused = (Vec<Note>, Vec<Problem>);

/// Reads values, and keeps what is wrong with them.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn texts(&self, name: &str) -> Vec<String> {
        match self.settings.get(name) {
            Some(given) => given.texts.iter().filter(|text| !text.is_empty()).cloned().collect(),
            None => {
                let default = table::named(name).map_or("", |setting| setting.default);
                Some(default).filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect()
            }
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.texts(name).pop()
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn called(&self, name: &str) -> String {
        self.settings.get(name).map_or_else(|| format!("--{name}"), |given| given.called(name))
    }

    pub(super) fn refuse(&mut self, name: &str, what: impl std::fmt::Display, hint: impl Into<String>) {
        let problem = Problem::new(format!("{}: {what}", self.called(name)), hint);
        self.problems.push(problem);
    }

    /// A value that `read` understands, or the fallback and a problem.
    fn value<T>(&mut self, name: &str, fallback: T, hint: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.text(name) else { return fallback };
        match read(&text) {
            Some(value) => value,
            None => {
                self.refuse(name, format!("cannot understand {text:?}"), hint);
                fallback
            }
        }
    }

    pub(super) fn switch(&mut self, name: &str) -> bool {
        self.value(name, false, "write true or false", number::boolean)
    }

    fn bytes(&mut self, name: &str) -> u64 {
        self.value(name, 0, "write bytes, or a number with KiB, MiB or GiB", number::bytes)
    }

    fn number(&mut self, name: &str) -> u32 {
        self.value(name, 0, "write a whole number of at least 1", |text| text.parse().ok().filter(|n| *n > 0))
    }

    fn time(&mut self, name: &str) -> Duration {
        self.value(name, Duration::ZERO, "write a time above zero such as 500ms, 10s, 5m or 2h", |text| {
            GoDuration::parse(text).ok().filter(|time| time.0 > 0).map(GoDuration::length)
        })
    }
}

pub(super) fn convert(
    settings: &Settings,
    around: &Surroundings,
    mut notes: Vec<Note>,
    problems: Vec<Problem>,
) -> Result<Config, Refused> {
    let mut reader = Reader { settings, problems };
    let name = name(&mut reader, around);
    let naming = if reader.text("name").is_some() { node::Naming::Insist } else { node::Naming::Keep };
    let data_dir = reader.path("data-dir").or_else(|| default_data_dir(around)).unwrap_or_else(|| {
        reader.refuse("data-dir", "there is no home directory to put the data in", "set --data-dir");
        PathBuf::from("strongroom")
    });
    let pki = reader.path("pki-dir").unwrap_or_else(|| pki_dir(&data_dir));
    if pki.starts_with(&data_dir) {
        reader.refuse(
            "pki-dir",
            "it lies in the data directory, whose copies would then hold keys",
            "choose a directory beside it",
        );
    }
    let served = listeners(&mut reader, &pki, &mut notes);
    if let Some(given) = settings.get("listen-peer") {
        notes.push(
            Note::warn(format!("{} is taken and changes nothing here", given.called("listen-peer")))
                .with("reason", "this version runs a single member and speaks to no peers"),
        );
    }
    let advertised = advertised(&mut reader, &served.all);
    let heartbeat = reader.time("heartbeat");
    let election = reader.time("election");
    if election < heartbeat.saturating_mul(5) || election > ELECTION_MAX {
        reader.refuse(
            "election",
            format!(
                "{} is not between five heartbeats of {} and 50s",
                GoDuration::from(election),
                GoDuration::from(heartbeat)
            ),
            "the defaults, 100ms and 1s, are good within one site",
        );
    }
    let log = logging(&mut reader, around);
    let limits = limits(&mut reader);
    let metrics = reader.value("metrics", Metrics::Basic, "write basic or extensive", |text| match text {
        "basic" => Some(Metrics::Basic),
        "extensive" => Some(Metrics::Extensive),
        _ => None,
    });
    let auto_compaction = auto_compaction(&mut reader);
    let scrub_rate = reader.bytes("scrub-rate");
    let rollback = if reader.switch("accept-rollback") { Rollback::Accept } else { Rollback::Refuse };
    if rollback == Rollback::Accept {
        notes.push(
            Note::warn("older data is accepted, as --accept-rollback asks")
                .with("hint", "drop it after this start"),
        );
    }
    let (watch_progress, apply, request) =
        (reader.time("watch-progress"), reader.time("slow-apply"), reader.time("slow-request"));
    let gateway = reader.switch("gateway");
    let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    hosts.extend(reader.texts("allow-host"));
    let access =
        Access { hosts: Allowed::from_list(hosts), origins: Allowed::from_list(reader.texts("cors")) };
    let mut names = made::names(&served.all, &urls(&advertised.client_urls), around.host_name.as_deref());
    names.extend(reader.texts("certificate-name"));
    let key_file = reader.path("key-file");
    let recovery = reader.path("recovery-recipient");
    let oidc = super::issuer::read(&mut reader, &mut notes);
    if !reader.problems.is_empty() {
        return Err((notes, reader.problems));
    }
    let heartbeats = election.as_nanos().checked_div(heartbeat.as_nanos()).unwrap_or(10);
    let members: BTreeMap<_, _> = [(name.clone(), advertised.peer_urls.clone())].into();
    Ok(Config {
        personality: Personality::Strongroom,
        name,
        naming,
        listeners: served.all,
        advertised,
        cluster: Cluster { bootstrap: Ok(Bootstrap { state: ClusterState::New, members, token: None }) },
        limits,
        timing: Timing {
            heartbeat,
            election_ticks: usize::try_from(heartbeats).unwrap_or(10),
            watch_progress,
            checkpoint_entries: 10_000,
            catchup_entries: 5_000,
            compaction_batch: types::limits::COMPACTION_RECORDS_PER_STEP,
        },
        slow: Slow { apply, request },
        auto_compaction,
        scrub_rate,
        logins: Logins {
            tokens: Tokens::Simple,
            token_life: TOKEN_LIFE,
            hashing: Hashing::Argon2id { characters_min: PASSWORD_CHARACTERS_MIN },
            certificates_name_users: true,
            oidc,
        },
        gateway,
        access,
        metrics,
        log,
        features: BTreeMap::new(),
        key_rule: KeyRule {
            personality: Personality::Strongroom,
            named: key_file,
            certificates: Vec::new(),
            data_dir: data_dir.clone(),
        },
        pki: Pki { dir: pki, needed: served.needs_made, names, recovery },
        rollback,
        summary: Vec::new(),
        data_dir,
        notes,
    })
}

fn name(reader: &mut Reader<'_>, around: &Surroundings) -> String {
    let host = around.host_name.clone().unwrap_or_else(|| "strongroom".to_owned());
    let name = reader.text("name").unwrap_or(host);
    if name.contains(['=', ',']) || name.chars().any(char::is_control) {
        reader.refuse(
            "name",
            format!("{name:?} has a comma, an equals sign or a control character"),
            "use letters, digits, dots and dashes",
        );
    }
    name
}

/// Root's data belongs to the machine, another user's to that user.
fn default_data_dir(around: &Surroundings) -> Option<PathBuf> {
    if around.is_root {
        return Some(PathBuf::from("/var/lib/strongroom"));
    }
    let data = around.variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| around.variable("HOME").map(|home| Path::new(home).join(".local/share")))?;
    Some(data.join("strongroom"))
}

struct Served {
    all: Vec<Listener>,
    needs_made: bool,
}

fn listeners(reader: &mut Reader<'_>, pki: &Path, notes: &mut Vec<Note>) -> Served {
    let clear = reader.switch(INSECURE_CLEAR_TEXT);
    let security = client_security(reader, pki, notes);
    let peers = peer_security(pki);
    let mut served = Served { all: Vec::new(), needs_made: false };
    let mut add = |reader: &mut Reader<'_>, name: &str, serves: Serves, tls: &tls::Settings| {
        for text in reader.texts(name) {
            let address = match address(&text) {
                Ok(address) => address,
                Err(why) => {
                    reader.refuse(name, why, ADDRESS_HINT);
                    continue;
                }
            };
            let is_local = is_local(&address);
            let is_metrics = serves == Serves::Clients(Services::Metrics);
            if is_metrics && !is_local && !clear {
                reader.refuse(name, format!("refusing to serve {text} in clear text: it is reachable from other machines"),
                    "listen on 127.0.0.1, or scrape the client port with a certificate; to take the risk, set --insecure-clear-text (variable STRONGROOM_INSECURE_CLEAR_TEXT=true)");
                continue;
            }
            let security = match (is_metrics || clear, is_local) {
                (true, true) => Security::Clear,
                (true, false) => Security::DangerouslyClear,
                (false, _) => Security::Tls(tls.clone()),
            };
            let scheme = match (&address, &security) {
                (Address::Tcp(_), Security::Tls(_)) => "https",
                (Address::Tcp(_), _) => "http",
                (Address::Unix(_), Security::Tls(_)) => "unixs",
                (Address::Unix(_), _) => "unix",
            };
            let url = match &address {
                Address::Tcp(address) => format!("{scheme}://{address}"),
                Address::Unix(path) => format!("{scheme}://{}", path.display()),
            };
            if served.all.iter().any(|other: &Listener| other.address == address) {
                reader.refuse(
                    name,
                    format!("{text} is listened on twice"),
                    "give each listener an address of its own",
                );
                continue;
            }
            served.all.push(Listener { address, url, serves, security });
        }
    };
    add(reader, "listen", Serves::Clients(Services::Everything), &security);
    add(reader, "listen-metrics", Serves::Clients(Services::Metrics), &security);
    add(reader, "listen-peer", Serves::Peers, &peers);
    if !served.all.iter().any(|listener| listener.serves == Serves::Clients(Services::Everything))
        && reader.problems.is_empty()
    {
        reader.refuse(
            "listen",
            "no address is left to serve clients on",
            "drop it for the default, 127.0.0.1:2379",
        );
    }
    if clear {
        notes.push(
            Note::warn("serving in clear text, as --insecure-clear-text asks: whatever is sent can be read on its way, and nobody can show who they are, so that requests for data are denied")
                .with("hint", "drop --insecure-clear-text: certificates are made by themselves"),
        );
    }
    served.needs_made =
        served.all.iter().any(|listener| matches!(&listener.security, Security::Tls(tls) if uses(tls, pki)));
    served
}

fn uses(tls: &tls::Settings, pki: &Path) -> bool {
    let made = |source: &Source| matches!(source, Source::File(path) if path.starts_with(pki));
    made(&tls.certificate) || tls.client_ca.as_ref().is_some_and(made)
}

fn client_security(reader: &mut Reader<'_>, pki: &Path, notes: &mut Vec<Note>) -> tls::Settings {
    let is_made = reader.path("tls-cert").is_none() && reader.path("tls-key").is_none();
    let (certificate, key) = match (reader.path("tls-cert"), reader.path("tls-key")) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => (made::certificate(pki, Role::Server), made::key(pki, Role::Server)),
        (Some(certificate), None) => {
            reader.refuse("tls-cert", "it needs its key", "set --tls-key too");
            (certificate, PathBuf::new())
        }
        (None, Some(key)) => {
            reader.refuse("tls-key", "it needs its certificate", "set --tls-cert too");
            (PathBuf::new(), key)
        }
    };
    let foreign_ca = reader.path("tls-client-ca");
    let names_administrators = foreign_ca.is_none();
    let client_ca = foreign_ca.unwrap_or_else(|| made::client_ca(pki));
    let revocations = reader.path("tls-client-crl");
    let revocations = revocations.or_else(|| names_administrators.then(|| made::client_crl(pki)));
    let anyone = reader.switch("insecure-no-client-certificates");
    if anyone {
        notes.push(
            Note::warn("clients need no certificate, as --insecure-no-client-certificates asks: whoever reaches the port sees health, version and metrics; requests for data are still denied without one")
                .with("hint", "drop it, and give each client a certificate"),
        );
    }
    let min_version =
        reader.value("tls-min-version", Version::Tls13, "write 1.3 or 1.2", |text| match text {
            "1.3" | "TLS1.3" => Some(Version::Tls13),
            "1.2" | "TLS1.2" => Some(Version::Tls12),
            _ => None,
        });
    tls::Settings {
        client_ca: Some(Source::File(client_ca)),
        clients: if anyone { Clients::Anyone } else { Clients::Explained },
        crl: revocations.map(Source::File),
        min_version,
        max_version: Version::Tls13,
        client_settings: Some("eval \"$(strongroom env)\""),
        is_renewed_here: is_made,
        names_administrators,
        ..tls::Settings::new(Source::File(certificate), Source::File(key))
    }
}

fn peer_security(pki: &Path) -> tls::Settings {
    tls::Settings {
        client_ca: Some(Source::File(made::peer_ca(pki))),
        crl: Some(Source::File(made::peer_crl(pki))),
        clients: Clients::Required,
        is_renewed_here: true,
        ..tls::Settings::new(
            Source::File(made::certificate(pki, Role::Peer)),
            Source::File(made::key(pki, Role::Peer)),
        )
    }
}

/// Reads `host:port`, `unix:PATH`, or `:port`, which is refused: all interfaces must be written out.
fn address(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() {
            Err("the socket has no path".to_owned())
        } else {
            Ok(Address::Unix(path.into()))
        };
    }
    if text.contains("://") {
        return Err(format!("{text:?} is a URL, and an address is expected"));
    }
    let (host, port) = split_host_port(text).ok_or_else(|| format!("{text:?} is not host:port"))?;
    if port.parse::<u16>().is_err() {
        return Err(format!("{port:?} is no port"));
    }
    let is_ip = host.parse::<std::net::IpAddr>().is_ok();
    if host == "localhost" || is_ip {
        return Ok(Address::Tcp(text.to_owned()));
    }
    Err(if host.is_empty() {
        "it names no address".to_owned()
    } else {
        format!("{host:?} is a name, and an address is expected")
    })
}

fn is_local(address: &Address) -> bool {
    match address {
        Address::Unix(_) => true,
        Address::Tcp(address) => split_host_port(address).is_some_and(|(host, _)| is_loopback(host)),
    }
}

/// Where clients find it: what was said, or what can be dialled of the listen addresses.
fn advertised(reader: &mut Reader<'_>, listeners: &[Listener]) -> Advertised {
    let of = |serves: fn(Serves) -> bool| -> Vec<String> {
        let urls = listeners.iter().filter(|listener| serves(listener.serves));
        urls.map(|listener| listener.url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:"))
            .collect()
    };
    let mut client_urls = Vec::new();
    for text in reader.texts("advertise") {
        match Url::parse(&text).and_then(|url| url.check_host().map(|()| url)) {
            Ok(url) => client_urls.push(url.to_string()),
            Err(why) => reader.refuse("advertise", why, "write https://name:port"),
        }
    }
    if client_urls.is_empty() {
        client_urls = of(|serves| serves == Serves::Clients(Services::Everything));
    }
    Advertised { client_urls, peer_urls: of(|serves| serves == Serves::Peers) }
}

fn urls(texts: &[String]) -> Vec<Url> {
    texts.iter().filter_map(|text| Url::parse(text).ok()).collect()
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let quota = reader.bytes("quota");
    let request = reader.bytes("request-bytes");
    let request_bytes_max = usize::try_from(request).unwrap_or(usize::MAX);
    if !(1024..=64 * 1024 * 1024).contains(&request_bytes_max) && reader.problems.is_empty() {
        reader.refuse(
            "request-bytes",
            format!("{request} is not between 1KiB and 64MiB"),
            "the default, 1536KiB, is etcd's",
        );
    }
    Limits {
        quota_bytes: Some(quota).filter(|quota| *quota > 0),
        request_bytes_max,
        txn_ops_max: usize::try_from(reader.number("txn-ops")).unwrap_or(usize::MAX),
        concurrent_streams_max: reader.number("streams"),
        ping_interval_min: Duration::from_secs(types::limits::PING_INTERVAL_SECONDS_MIN),
        keepalive: Some(Keepalive {
            interval: Duration::from_secs(types::limits::KEEPALIVE_INTERVAL_SECONDS),
            timeout: Duration::from_secs(types::limits::KEEPALIVE_TIMEOUT_SECONDS),
        }),
    }
}

fn auto_compaction(reader: &mut Reader<'_>) -> AutoCompaction {
    reader.value(
        "auto-compaction",
        AutoCompaction::Off,
        "write off, a time such as 1h, or 10000revisions",
        |text| {
            if text == "off" {
                return Some(AutoCompaction::Off);
            }
            if let Some(revisions) = text.strip_suffix("revisions") {
                let revisions = revisions.trim().parse().ok().filter(|revisions| *revisions > 0)?;
                return Some(AutoCompaction::Revisions(revisions));
            }
            let time = GoDuration::parse(text).ok().filter(|time| time.0 > 0)?;
            Some(AutoCompaction::Periodic(time.length()))
        },
    )
}

fn logging(reader: &mut Reader<'_>, around: &Surroundings) -> crate::log::Settings {
    use crate::log::{Colours, Format, Level, Output};
    let level = reader.value("log-level", Level::Info, "write debug, info, warn or error", Level::named);
    let outputs: Vec<_> = reader.texts("log-output").iter().map(|name| Output::named(name)).collect();
    let on_terminal = outputs == [Output::Stderr] && around.has_terminal;
    let format = reader.value("log-format", Format::Json, "write auto, human, json or console", |text| {
        Some(match text {
            "auto" if on_terminal => Format::Human(Colours::On),
            "auto" | "json" => Format::Json,
            "human" if on_terminal => Format::Human(Colours::On),
            "human" => Format::Human(Colours::Off),
            "console" => Format::Console,
            _ => return None,
        })
    });
    crate::log::Settings { level, format, outputs }
}
