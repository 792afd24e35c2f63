//! Every setting of `strongroom up`: its name, its default, and why the default is what it is.
//!
//! Flag, variable, key of the file, help and the book's table follow from one row.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name: the flag without dashes, the key of the file.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Its default as one would write it; empty if it follows from something else.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Why the default is what it is.
    pub why: &'static str,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing on the command line; true or false elsewhere.
    Switch,
    /// One value, called so in the help.
    One(&'static str),
    /// Any number of them: the flag again, commas in the variable, a list in the file.
    Many(&'static str),
}
use Takes::{Many, One, Switch};

const fn row(
    name: &'static str,
    takes: Takes,
    default: &'static str,
    about: &'static str,
    why: &'static str,
) -> Setting {
    Setting { name, takes, default, about, why }
}

/// All of them, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    row(
        "config",
        One("FILE"),
        "",
        "Read settings from this TOML or YAML file (by its extension)",
        "no file is looked for unasked, so nobody changes a member by dropping one",
    ),
    row(
        "name",
        One("NAME"),
        "",
        "The member's name [default: the host's name]",
        "it says where the member runs, in logs and member lists",
    ),
    row(
        "data-dir",
        One("DIR"),
        "",
        "Where the data lies [default: /var/lib/strongroom as root, else ~/.local/share/strongroom]",
        "the place that the system has for such data",
    ),
    row(
        "pki-dir",
        One("DIR"),
        "",
        "Where made certificates lie [default: <data-dir>-pki]",
        "beside the data, so that a copy of the data holds no key",
    ),
    row(
        "recovery-recipient",
        One("FILE"),
        "",
        "Seal the root's key to this public key at the first start [default: one is made, in <pki-dir>/recovery.key]",
        "a first start must not fail for want of a key; whoever keeps one elsewhere names it here",
    ),
    row(
        "key-file",
        One("PATH"),
        "",
        "The sealing key: its file, or the directory for it [default: strongroom-keys/ beside the data]",
        "the key must not lie with what it protects",
    ),
    row(
        "listen",
        Many("ADDRESS"),
        "127.0.0.1:2379",
        "Serve clients here: host:port, or unix:PATH",
        "nobody else's machine reaches it until somebody decides so",
    ),
    row(
        "listen-peer",
        Many("ADDRESS"),
        "127.0.0.1:2380",
        "Serve members here; not listened on in this version, which runs a single member",
        "the same",
    ),
    row(
        "listen-metrics",
        Many("ADDRESS"),
        "",
        "Serve /metrics, /health, /livez and /readyz alone, in clear text, here (loopback or unix only)",
        "the client port serves them too, with a certificate",
    ),
    row(
        "advertise",
        Many("URL"),
        "",
        "Where clients find this member [default: the listen addresses]",
        "right unless there is a proxy or a second name in between",
    ),
    row(
        "certificate-name",
        Many("NAME"),
        "",
        "A further name or address for made server certificates",
        "localhost, the loopback addresses, the host's name and what is advertised are in already",
    ),
    row(
        "tls-cert",
        One("FILE"),
        "",
        "Show this certificate to clients instead of a made one",
        "made certificates need no care",
    ),
    row("tls-key", One("FILE"), "", "Its key", "made certificates need no care"),
    row(
        "tls-client-ca",
        One("FILE"),
        "",
        "Accept clients' certificates of these CAs instead of the made one",
        "only certificates that the member's own issuer made are accepted",
    ),
    row(
        "tls-client-crl",
        One("FILE"),
        "",
        "Refuse the certificates on this revocation list",
        "the member's own list, where its own issuer is asked",
    ),
    row(
        "tls-min-version",
        One("VERSION"),
        "1.3",
        "Oldest TLS version: 1.3 or 1.2",
        "every client of these years speaks it",
    ),
    row(
        "oidc-issuer",
        One("URL"),
        "",
        "Take tokens of this OpenID Connect issuer (https) beside our own",
        "nobody outside of this cluster says who somebody is, until somebody decides so",
    ),
    row(
        "oidc-audience",
        One("NAME"),
        "",
        "For whom such a token must be (aud); needed with --oidc-issuer",
        "a token made for another service must be worth nothing here, so there is no default",
    ),
    row(
        "oidc-ca",
        One("FILE"),
        "",
        "The CAs that vouch for the issuer's certificate [default: the system's]",
        "issuers have public certificates",
    ),
    row(
        "oidc-claim",
        One("CLAIM"),
        "sub",
        "The claim that names the user, where no identity rule fits",
        "the one that an issuer never gives to two people",
    ),
    row(
        "oidc-prefix",
        One("TEXT"),
        "oidc:",
        "What is put before that name; - for nothing",
        "an issuer must not be able to name a user that was made here for somebody else",
    ),
    row(
        "quota",
        One("SIZE"),
        "2GiB",
        "Live data, history included, after which writes are refused; 0 for no limit",
        "etcd's, and what its operators expect",
    ),
    row("request-bytes", One("SIZE"), "1536KiB", "Largest request", "etcd's: clients are made for it"),
    row(
        "txn-ops",
        One("NUMBER"),
        "128",
        "Most operations in a transaction",
        "etcd's: clients are made for it",
    ),
    row(
        "streams",
        One("NUMBER"),
        "16384",
        "Most requests under way on one connection",
        "more than any client opens, and far less than would fill the memory",
    ),
    row(
        "auto-compaction",
        One("HISTORY"),
        "off",
        "Keep this much history: a time (1h), or 10000revisions",
        "history is the users' until they say how much they need; kube-apiserver compacts itself",
    ),
    row(
        "scrub-rate",
        One("SIZE"),
        "4MiB",
        "Read this much a second to find damage in the stored data; 0 for no check",
        "300 GiB are read in a day, and no disk notices",
    ),
    row("heartbeat", One("TIME"), "100ms", "Between heartbeats", "good within one site"),
    row(
        "election",
        One("TIME"),
        "1s",
        "Without a leader before an election; at least five heartbeats, at most 50s",
        "ten heartbeats, so that one lost packet starts nothing",
    ),
    row("watch-progress", One("TIME"), "10m", "Between notices of progress to idle watches", "etcd's"),
    row(
        "gateway",
        Switch,
        "false",
        "Serve the JSON gateway below /v3/",
        "who does not need it is not exposed to it",
    ),
    row("cors", Many("ORIGIN"), "", "Let pages of these sites call", "no web page has business here"),
    row(
        "allow-host",
        Many("NAME"),
        "",
        "Accept this name in HTTP's Host header without TLS",
        "loopback names are accepted; others would open the door to DNS rebinding",
    ),
    row(
        "metrics",
        One("LEVEL"),
        "basic",
        "basic, or extensive with latency histograms of every method",
        "histograms of every method are many series",
    ),
    row("slow-request", One("TIME"), "300ms", "Log slower requests", "etcd's"),
    row("slow-apply", One("TIME"), "100ms", "Log slower applies", "etcd's"),
    row("log-level", One("LEVEL"), "info", "debug, info, warn or error", "what happens, without what might"),
    row(
        "log-format",
        One("FORM"),
        "auto",
        "human, json, console, or auto: human on a terminal, else json",
        "people and machines read different things",
    ),
    row("log-output", Many("WHERE"), "stderr", "stderr, stdout, or a file", "service managers collect it"),
    row(
        "accept-rollback",
        Switch,
        "false",
        "Start although the data is older than the member remembers",
        "an old copy put back unseen is an attack or an accident until somebody says it is neither",
    ),
    row(
        "insecure-no-client-certificates",
        Switch,
        "false",
        "Let in clients without a certificate",
        "whoever reaches the port would see health, version and metrics",
    ),
    row(
        "insecure-oidc-clear-text",
        Switch,
        "false",
        "Ask an OpenID Connect issuer on loopback over http, for tests",
        "keys that come in clear text can be anybody's",
    ),
    row(
        "insecure-clear-text",
        Switch,
        "false",
        "Serve clients and members without TLS, wherever it listens",
        "what is sent could be read on its way, and nobody could show who they are",
    ),
];

/// Variables of that prefix that are no settings of `up`.
pub const OTHER_VARIABLES: &[&str] = &[
    "STRONGROOM_PROFILE",
    "STRONGROOM_ENDPOINTS",
    "STRONGROOM_COMMIT",
    "STRONGROOM_CACERT",
    "STRONGROOM_CERT",
    "STRONGROOM_KEY",
];

/// The setting of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The variable of a setting.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("STRONGROOM_{}", name.to_ascii_uppercase().replace('-', "_"))
}
