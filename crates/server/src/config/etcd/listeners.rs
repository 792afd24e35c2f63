//! etcd's URLs and TLS flags as listeners.
//!
//! The one place where clear text is allowed or refused. Facts: embed.configureClientListeners, createMetricsListener,
//! transport.TLSInfo: a trusted CA demands client certificates whether or not `--client-cert-auth` says so.

use super::super::url::Url;
use super::super::{INSECURE_CLEAR_TEXT, Listener, Note, Problem, Security, Serves, Surroundings};
use super::convert::Settings;
use crate::listen::Serves as Services;
use crate::pki::made;
use crate::tls::{self, Clients, Source, Version};
use state::pki::Role;
use std::path::PathBuf;

/// What was made of the URLs.
pub(super) struct Listeners {
    pub(super) all: Vec<Listener>,
    /// Whether one of them shows a certificate that the member makes.
    pub(super) needs_made: bool,
    /// Names that such a certificate must carry.
    pub(super) names: Vec<String>,
}

/// The flags of one side.
struct Side {
    cert: &'static str,
    key: &'static str,
    ca: &'static str,
    demand: &'static str,
    crl: &'static str,
    auto: &'static str,
    names: &'static str,
    common_names: Option<&'static str>,
}

const CLIENTS: Side = Side {
    cert: "cert-file",
    key: "key-file",
    ca: "trusted-ca-file",
    demand: "client-cert-auth",
    crl: "client-crl-file",
    auto: "auto-tls",
    names: "client-cert-allowed-hostname",
    common_names: None,
};

const PEERS: Side = Side {
    cert: "peer-cert-file",
    key: "peer-key-file",
    ca: "peer-trusted-ca-file",
    demand: "peer-client-cert-auth",
    crl: "peer-crl-file",
    auto: "peer-auto-tls",
    names: "peer-cert-allowed-hostname",
    common_names: Some("peer-cert-allowed-cn"),
};

/// What a side's flags amount to.
enum Material {
    Files(PathBuf, PathBuf),
    Made,
    None,
}

pub(super) fn listeners(
    settings: &Settings<'_>,
    around: &Surroundings,
    notes: &mut Vec<Note>,
    problems: &mut Vec<Problem>,
) -> Listeners {
    let mut versions = versions(settings, problems);
    let suites = suites(settings, &mut versions, notes, problems);
    let mut builder =
        Builder { settings, notes, problems, all: Vec::new(), needs_made: false, versions, suites };
    let http_urls = settings.urls("listen-client-http-urls");
    let services = if http_urls.is_empty() { Services::Everything } else { Services::Grpc };
    for url in settings.urls("listen-client-urls") {
        builder.add(&CLIENTS, &url, Serves::Clients(services));
    }
    for url in &http_urls {
        builder.add(&CLIENTS, url, Serves::Clients(Services::Http));
    }
    for url in settings.urls("listen-metrics-urls") {
        builder.add(&CLIENTS, &url, Serves::Clients(Services::Metrics));
    }
    for url in settings.urls("listen-peer-urls") {
        builder.add(&PEERS, &url, Serves::Peers);
    }
    builder.warn_of_the_rest();
    let (all, needs_made) = (builder.all, builder.needs_made);
    let names = if needs_made {
        made::names(&all, &advertised(settings), around.host_name.as_deref())
    } else {
        Vec::new()
    };
    Listeners { all, needs_made, names }
}

fn advertised(settings: &Settings<'_>) -> Vec<Url> {
    let mut urls = settings.urls("advertise-client-urls");
    urls.extend(settings.urls("initial-advertise-peer-urls"));
    urls
}

struct Builder<'a, 'b> {
    settings: &'a Settings<'b>,
    notes: &'a mut Vec<Note>,
    problems: &'a mut Vec<Problem>,
    all: Vec<Listener>,
    needs_made: bool,
    versions: (Version, Version),
    suites: Vec<String>,
}

impl Builder<'_, '_> {
    fn add(&mut self, side: &Side, url: &Url, serves: Serves) {
        let security = if url.scheme.is_secure() {
            self.secure(side, url, serves)
        } else {
            self.clear(side, url, serves)
        };
        let Some(security) = security else { return };
        let listener = Listener { address: url.address(), url: url.to_string(), serves, security };
        self.place(listener);
    }

    /// One address in an http and an https URL is one port that tells them apart.
    fn place(&mut self, listener: Listener) {
        let Some(at) = self.all.iter().position(|other| other.address == listener.address) else {
            return self.all.push(listener);
        };
        let Some(other) = self.all.get_mut(at) else { return };
        if other.serves != listener.serves {
            self.problems.push(Problem::at_start(
                format!(
                    "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url {}",
                    listener.url
                ),
                "give each kind of listener an address of its own",
            ));
            return;
        }
        let merged = match (&other.security, &listener.security) {
            (Security::Clear, Security::Tls(tls)) | (Security::Tls(tls), Security::Clear) => {
                Some(Security::ClearOrTls(tls.clone()))
            }
            (Security::DangerouslyClear, Security::Tls(_))
            | (Security::Tls(_), Security::DangerouslyClear) => {
                self.problems.push(Problem::new(
                    format!("{} and {} on one address beyond loopback", other.url, listener.url),
                    "keep the https URL",
                ));
                None
            }
            _ => None,
        };
        if let Some(merged) = merged {
            other.security = merged;
        }
    }

    fn clear(&mut self, side: &Side, url: &Url, serves: Serves) -> Option<Security> {
        if serves == Serves::Clients(Services::Metrics) {
            if url.is_local() {
                return Some(Security::Clear);
            }
            self.notes.push(
                Note::warn("metrics and health are served in clear text beyond loopback")
                    .with("address", url.to_string())
                    .with("hint", "listen on 127.0.0.1, or use https:// in --listen-metrics-urls"),
            );
            return Some(Security::DangerouslyClear);
        }
        self.warn_of_ignored(side, url);
        if url.is_local() {
            // Peers' URLs are not listened on in this version.
            if serves != Serves::Peers {
                let what = "serving clients in clear text: every process of this machine can read and change everything";
                let hint = "use https:// with --cert-file, --key-file and --trusted-ca-file";
                self.notes.push(Note::warn(what).with("address", url.to_string()).with("hint", hint));
            }
            return Some(Security::Clear);
        }
        if self.settings.bool(INSECURE_CLEAR_TEXT) {
            self.notes.push(
                Note::warn("serving in clear text beyond loopback, as --insecure-clear-text asks: everybody on the network can read and change everything")
                    .with("address", url.to_string())
                    .with("hint", "use https:// with certificates, and drop --insecure-clear-text"),
            );
            return Some(Security::DangerouslyClear);
        }
        self.problems.push(Problem::new(
            format!("refusing to serve {url} in clear text: it is reachable from other machines"),
            "use https:// with --cert-file, --key-file and --trusted-ca-file (or their peer- forms), or listen on 127.0.0.1; to take the risk, \
             set --insecure-clear-text (variable ETCD_INSECURE_CLEAR_TEXT=true, insecure-clear-text: true in the file)",
        ));
        None
    }

    fn warn_of_ignored(&mut self, side: &Side, url: &Url) {
        if side.auto != CLIENTS.auto {
            return;
        }
        if !matches!(self.material(side), Material::None) {
            self.notes.push(
                Note::warn("scheme is http or unix while key and cert files are present; ignoring key and cert files")
                    .with("client-url", url.to_string()),
            );
        }
        if self.settings.bool(side.demand) {
            self.notes.push(
                Note::warn("scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL")
                    .with("client-url", url.to_string()),
            );
        }
    }

    fn secure(&mut self, side: &Side, url: &Url, serves: Serves) -> Option<Security> {
        let (certificate, key) = match self.material(side) {
            Material::Files(certificate, key) => {
                let missing = certificate.as_os_str().is_empty() || key.as_os_str().is_empty();
                if missing {
                    let what = format!(
                        "KeyFile and CertFile must both be present[key: {}, cert: {}]",
                        key.display(),
                        certificate.display()
                    );
                    let hint = format!("set both --{} and --{}", side.cert, side.key);
                    self.problems.push(Problem { message: "listener failed", ..Problem::new(what, hint) });
                    return None;
                }
                (certificate, key)
            }
            Material::Made => {
                self.needs_made = true;
                let dir = super::super::strongroom::pki_dir(&self.settings.data_dir());
                let role = if serves == Serves::Peers { Role::Peer } else { Role::Server };
                (made::certificate(&dir, role), made::key(&dir, role))
            }
            Material::None => {
                self.problems.push(missing(side, url, serves));
                return None;
            }
        };
        let client_ca = self.settings.path(side.ca);
        let demands = client_ca.is_some() || self.settings.bool(side.demand);
        if demands && client_ca.is_none() {
            self.problems.push(Problem::at_start(
                format!(
                    "--{} needs --{}: without it a certificate of any public authority would do",
                    side.demand, side.ca
                ),
                format!("set --{} to the CA that issues these certificates", side.ca),
            ));
            return None;
        }
        // Scrapers and probes come without a certificate, in etcd too only if none is demanded; there is one TLS side.
        if !demands && !url.is_local() {
            self.notes.push(
                Note::warn("nobody has to show a certificate: whoever reaches this address is let in")
                    .with("address", url.to_string())
                    .with("hint", format!("set --{} and --{}", side.demand, side.ca)),
            );
        }
        Some(Security::Tls(tls::Settings {
            client_ca: client_ca.map(Source::File),
            clients: if demands { Clients::Explained } else { Clients::Anyone },
            crl: self.settings.path(side.crl).map(Source::File),
            manner: tls::Manner::AsEtcd,
            allowed_common_names: side
                .common_names
                .map_or_else(Vec::new, |names| self.settings.strings(names)),
            allowed_hostnames: self.settings.strings(side.names),
            min_version: self.versions.0,
            max_version: self.versions.1,
            cipher_suites: self.suites.clone(),
            ..tls::Settings::new(Source::File(certificate), Source::File(key))
        }))
    }

    fn material(&self, side: &Side) -> Material {
        let (certificate, key) = (self.settings.path(side.cert), self.settings.path(side.key));
        if certificate.is_some() || key.is_some() {
            return Material::Files(certificate.unwrap_or_default(), key.unwrap_or_default());
        }
        if self.settings.bool(side.auto) { Material::Made } else { Material::None }
    }

    fn warn_of_the_rest(&mut self) {
        for (auto, certificate, whom) in
            [("auto-tls", "cert-file", "client"), ("peer-auto-tls", "peer-cert-file", "peer")]
        {
            if self.settings.bool(auto) && self.settings.path(certificate).is_some() {
                self.notes.push(Note::warn(format!("ignoring {whom} auto TLS since certs given")));
            }
        }
    }
}

fn missing(side: &Side, url: &Url, serves: Serves) -> Problem {
    let hint = format!("set --{} and --{}, or use http:// on 127.0.0.1", side.cert, side.key);
    let what = match serves {
        Serves::Clients(Services::Metrics) => {
            "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url".to_owned()
        }
        Serves::Clients(_) => {
            format!(
                "TLS key/cert (--cert-file, --key-file) must be provided for client url {url} with HTTPS scheme"
            )
        }
        Serves::Peers => {
            let address =
                url.to_string().split_once("://").map(|(_, address)| address.to_owned()).unwrap_or_default();
            format!("cannot listen on TLS for {address}: KeyFile and CertFile are not presented")
        }
    };
    Problem::at_start(what, hint)
}

fn versions(settings: &Settings<'_>, problems: &mut Vec<Problem>) -> (Version, Version) {
    let mut read = |name: &str, default: Version| {
        let text = settings.text(name);
        match text.as_str() {
            "" => default,
            "TLS1.2" => Version::Tls12,
            "TLS1.3" => Version::Tls13,
            other => {
                let what = format!("unexpected TLS version \"{other}\" (must be one of: TLS1.2, TLS1.3)");
                problems.push(Problem::new(what, format!("correct --{name}")));
                default
            }
        }
    };
    let (oldest, newest) = (read("tls-min-version", Version::Tls12), read("tls-max-version", Version::Tls13));
    if oldest > newest {
        let what = format!(
            "min version ({}) is greater than max version ({})",
            settings.text("tls-min-version"),
            settings.text("tls-max-version")
        );
        problems.push(Problem::new(what, "swap them"));
        return (newest, oldest);
    }
    (oldest, newest)
}

/// Go's names of suites that are not offered here: no forward secrecy, or no AEAD.
const WEAK: &[&str] = &[
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// Those that are offered.
const STRONG: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
];

fn suites(
    settings: &Settings<'_>,
    versions: &mut (Version, Version),
    notes: &mut Vec<Note>,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let asked = settings.strings("cipher-suites");
    if asked.is_empty() {
        return asked;
    }
    if versions.0 == Version::Tls13 {
        problems.push(Problem::new(
            "cipher suites cannot be configured when only TLS1.3 is enabled",
            "drop --cipher-suites: all suites of TLS 1.3 are good",
        ));
        return Vec::new();
    }
    let mut kept = Vec::new();
    for name in asked {
        if STRONG.contains(&name.as_str()) {
            kept.push(name);
        } else if WEAK.contains(&name.as_str()) {
            notes.push(
                Note::warn(
                    "cipher suite is not offered: it has no forward secrecy or no authenticated encryption",
                )
                .with("cipher-suite", name),
            );
        } else {
            let what = format!("unexpected TLS cipher suite \"{name}\"");
            problems.push(Problem::at_start(
                what,
                "names are those of Go's crypto/tls, with commas between them",
            ));
        }
    }
    if kept.is_empty() && versions.1 == Version::Tls13 {
        // An empty list would mean all; what is left of the asked is TLS 1.3.
        versions.0 = Version::Tls13;
    } else if kept.is_empty() {
        problems.push(Problem::at_start(
            "none of the cipher suites in --cipher-suites is offered",
            "add TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, or drop the flag",
        ));
    }
    kept
}
