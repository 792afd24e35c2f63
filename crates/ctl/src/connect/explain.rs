//! Why there is no connection, in words: what happened, the likely cause, and what to do next.
//!
//! Pure: [`explain`] turns a [`Trouble`] and the [`Scene`] in which it occurred into three sentences. What etcd's client
//! answers with five seconds of silence and "context deadline exceeded" gets its own row here, and each row its test.

use super::certificate::Certificate;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What was being waited for when the time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Handshake,
    /// An answer on a connection that stands.
    Answer,
}

/// Which file of ours is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Material {
    /// The CA bundle that servers are checked against.
    Ca,
    /// Our certificate.
    Certificate,
    /// Its private key.
    Key,
}

impl Material {
    const fn flag(self) -> &'static str {
        match self {
            Self::Ca => "--cacert",
            Self::Certificate => "--cert",
            Self::Key => "--key",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Ca => "CA file",
            Self::Certificate => "certificate file",
            Self::Key => "key file",
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Nothing listens at the address.
    Refused,
    /// There is no way to the host; the system's words.
    Unreachable(String),
    /// The name of the host is not known; the system's words.
    Unresolvable(String),
    /// The path of the unix socket leads nowhere or may not be used; the system's words.
    Socket(String),
    /// Nothing came within the time.
    Timeout(Stage, Duration),
    /// We spoke TLS, the server speaks clear text.
    ServerSpeaksClearText,
    /// We spoke clear text, the server speaks TLS.
    ServerSpeaksTls,
    /// The server's certificate comes from a CA that we do not know.
    UnknownIssuer,
    /// The server's certificate has ended, by our clock.
    ServerExpired,
    /// The server's certificate has not begun, by our clock.
    ServerNotYetValid,
    /// The server's certificate is for other names.
    WrongName,
    /// The server's certificate is revoked, or not made for servers, or broken; the library's words.
    ServerRefused(String),
    /// The server wants a certificate and we showed none.
    OursMissing,
    /// The server says that ours has ended.
    OursExpired,
    /// The server does not know the CA of ours.
    OursUnknown,
    /// The server refuses ours for another reason; the alert's name.
    OursRefused(String),
    /// No protocol version or cipher suite in common.
    Incompatible(String),
    /// The server answers, but not in gRPC; its first line.
    NotGrpc(String),
    /// The server ended the connection without a word.
    Closed(Stage),
    /// A file of ours cannot be read; the system's words.
    FileUnreadable(Material, PathBuf, FileFault),
    /// A file of ours does not hold what it should.
    FileMalformed(Material, PathBuf),
    /// Our key does not belong to our certificate.
    KeyMismatch,
    /// A certificate without a key, or a key without a certificate.
    Half(Material),
    /// TLS is asked for, but no CA is named.
    NoCa,
    /// The endpoint cannot be understood; why.
    Endpoint(String),
    /// Anything else; the library's words.
    Other(String),
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// There is none.
    Missing,
    /// The system denies it.
    Denied,
    /// Something else.
    Other(std::io::ErrorKind),
}

/// Where the trouble occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// The endpoint as it was given.
    pub endpoint: String,
    /// The name or address that was dialled.
    pub host: String,
    /// The CA bundle in use.
    pub ca: Option<PathBuf>,
    /// Our certificate's file.
    pub cert: Option<PathBuf>,
    /// The profile the settings came from.
    pub profile: Option<PathBuf>,
    /// The files that the profile names.
    pub profile_files: Vec<PathBuf>,
    /// The server's certificate, where it was seen.
    pub server: Option<Certificate>,
    /// Our certificate.
    pub ours: Option<Certificate>,
    /// Our clock.
    pub now: Option<SystemTime>,
}

/// What happened, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, with the endpoint.
    pub happened: String,
    /// The likely cause.
    pub cause: String,
    /// What to do or to run next.
    pub next: String,
}

fn said(happened: String, cause: impl Into<String>, next: impl Into<String>) -> Explanation {
    Explanation { happened, cause: cause.into(), next: next.into() }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

impl Scene {
    fn ca(&self) -> String {
        self.ca.as_deref().map_or_else(|| "what this client trusts".into(), shown)
    }

    fn cert(&self) -> String {
        self.cert.as_deref().map_or_else(|| "none".into(), shown)
    }

    fn server_issuer(&self) -> String {
        self.server.as_ref().map_or_else(|| "unknown".into(), |server| format!("\"{}\"", server.issuer))
    }

    fn clock(&self) -> String {
        self.now.map_or_else(|| "unknown".into(), super::certificate::timestamp)
    }

    fn same(&self, scheme: &str) -> String {
        if let Some(path) = self.endpoint.strip_prefix("unix:").or(self.endpoint.strip_prefix("unixs:")) {
            let scheme = if scheme == "https" { "unixs" } else { "unix" };
            return format!("{scheme}://{}", path.strip_prefix("//").unwrap_or(path));
        }
        let rest = self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, rest)| rest);
        format!("{scheme}://{rest}")
    }
}

/// Puts a trouble into words.
#[must_use]
pub fn explain(trouble: &Trouble, scene: &Scene) -> Explanation {
    match trouble {
        Trouble::Refused
        | Trouble::Unreachable(_)
        | Trouble::Unresolvable(_)
        | Trouble::Socket(_)
        | Trouble::Timeout(..)
        | Trouble::Endpoint(_) => network(trouble, scene),
        Trouble::ServerSpeaksClearText
        | Trouble::ServerSpeaksTls
        | Trouble::NotGrpc(_)
        | Trouble::Closed(_) => language(trouble, scene),
        Trouble::UnknownIssuer
        | Trouble::ServerExpired
        | Trouble::ServerNotYetValid
        | Trouble::WrongName
        | Trouble::ServerRefused(_) => theirs(trouble, scene),
        Trouble::OursMissing | Trouble::OursExpired | Trouble::OursUnknown | Trouble::OursRefused(_) => {
            ours(trouble, scene)
        }
        Trouble::FileUnreadable(..)
        | Trouble::FileMalformed(..)
        | Trouble::KeyMismatch
        | Trouble::Half(_)
        | Trouble::NoCa => files(trouble, scene),
        Trouble::Incompatible(_) | Trouble::Other(_) => rest(trouble, scene),
    }
}

fn network(trouble: &Trouble, scene: &Scene) -> Explanation {
    let at = &scene.endpoint;
    match trouble {
        Trouble::Refused => said(
            format!("nothing listens at {at} (connection refused)"),
            "the member is not running, or listens at another address or port",
            "start it with strongroom up, or name its address with --endpoints",
        ),
        Trouble::Unreachable(reason) => said(
            format!("no way to {at} ({reason})"),
            "the address is wrong, or a route or firewall is in the way",
            format!("check the address and the network: ping {}", scene.host),
        ),
        Trouble::Unresolvable(reason) => said(
            format!("the host name {} is not known ({reason})", scene.host),
            "the name is misspelled, or the name server does not know it",
            format!("look it up: getent hosts {}; or use the IP address", scene.host),
        ),
        Trouble::Socket(reason) => said(
            format!("the unix socket {at} cannot be used ({reason})"),
            "the member is not running, its socket is elsewhere, or you lack the right to it",
            "look at the socket's path and owner: ls -l",
        ),
        Trouble::Timeout(Stage::Connect, span) => said(
            format!("no connection to {at} within {}", crate::print::text::duration(*span)),
            "a firewall drops the packets, or the host is down",
            format!("check the address and port: nc -vz {} <port>; --dial-timeout waits longer", scene.host),
        ),
        Trouble::Timeout(Stage::Handshake, span) => said(
            format!(
                "{at} accepts connections but finished no TLS handshake within {}",
                crate::print::text::duration(*span)
            ),
            "something else than a member listens there, or the member is overloaded",
            "check which process listens on that port: ss -ltnp",
        ),
        Trouble::Timeout(Stage::Answer, span) => said(
            format!("{at} gave no answer within {}", crate::print::text::duration(*span)),
            "the member has no leader, its disk is slow, or the command needs longer",
            "look at strongroom endpoint status and at the member's log; --command-timeout waits longer",
        ),
        Trouble::Endpoint(reason) => said(
            format!("the endpoint {at} cannot be used: {reason}"),
            "it is misspelled",
            "write it as https://host:2379, http://host:2379, host:2379 or unix:///path",
        ),
        other => rest(other, scene),
    }
}

fn language(trouble: &Trouble, scene: &Scene) -> Explanation {
    let at = &scene.endpoint;
    match trouble {
        Trouble::ServerSpeaksClearText => said(
            format!("{at} does not speak TLS"),
            "the server listens in clear text, or something else listens there",
            format!(
                "give the server certificates; to use it in clear text all the same: --endpoints {}",
                scene.same("http")
            ),
        ),
        Trouble::ServerSpeaksTls if scene.profile.is_none() && scene.ca.is_none() => said(
            format!("{at} speaks TLS, and this command used clear text"),
            "no certificates were found: no profile, no --cacert, --cert and --key",
            format!(
                "run it as the user of strongroom up, or pass --endpoints {} --cacert <file> --cert <file> --key <file>",
                scene.same("https")
            ),
        ),
        Trouble::ServerSpeaksTls => said(
            format!("{at} speaks TLS, and this command used clear text"),
            if at.starts_with("unix") { "the endpoint says unix://" } else { "the endpoint says http://" },
            format!("use --endpoints {}", scene.same("https")),
        ),
        Trouble::NotGrpc(line) => said(
            format!(
                "{at} answers, but does not speak gRPC (it said {})",
                crate::print::text::quote(line.as_bytes())
            ),
            "it is another service, a metrics listener, or a proxy without HTTP/2",
            "use the client URL of a member (by default port 2379)",
        ),
        Trouble::Closed(Stage::Handshake) => said(
            format!("{at} ended the connection during the TLS handshake"),
            "the server refuses this client's address or handshake; its log says why",
            "look at the server's log for the line \"rejected connection\"",
        ),
        Trouble::Closed(_) => said(
            format!("{at} ended the connection"),
            "the server is stopping, or refuses this client; its log says why",
            "try again, and look at the server's log",
        ),
        other => rest(other, scene),
    }
}

fn theirs(trouble: &Trouble, scene: &Scene) -> Explanation {
    let at = &scene.endpoint;
    let server = scene.server.clone().unwrap_or_default();
    match trouble {
        Trouble::UnknownIssuer => said(
            format!("the certificate of {at} comes from a CA that this client does not know"),
            format!("it was issued by {}, which is not in {}", scene.server_issuer(), scene.ca()),
            "pass the CA of that server with --cacert, or name the server that you mean with --endpoints",
        ),
        Trouble::ServerExpired => said(
            format!("the certificate of {at} has expired"),
            format!("it ended {}; this machine's clock says {}", server.not_after(), scene.clock()),
            "if the clock is right, renew the server's certificate; a member of strongroom up does so when it starts",
        ),
        Trouble::ServerNotYetValid => said(
            format!("the certificate of {at} is not yet valid"),
            format!("it begins {}; this machine's clock says {}", server.not_before(), scene.clock()),
            "compare the clocks of both machines: date -u; timedatectl",
        ),
        Trouble::WrongName => said(
            format!("the certificate of {at} is not for \"{}\"", scene.host),
            format!(
                "its names are: {}",
                if server.names.is_empty() { "none".into() } else { server.names.join(", ") }
            ),
            "use one of these names in --endpoints, or issue a certificate with the name that you use",
        ),
        Trouble::ServerRefused(reason) => said(
            format!("the certificate of {at} cannot be accepted: {reason}"),
            format!("it is for \"{}\", issued by {}", server.subject, scene.server_issuer()),
            "issue a server certificate for that member, with its names and the extended key usage serverAuth",
        ),
        other => rest(other, scene),
    }
}

fn ours(trouble: &Trouble, scene: &Scene) -> Explanation {
    let at = &scene.endpoint;
    let ours = scene.ours.clone().unwrap_or_default();
    match trouble {
        Trouble::OursMissing => said(
            format!("{at} wants a client certificate, and none was shown"),
            "neither a profile nor --cert and --key name one",
            "pass --cert and --key, or run it as the user of strongroom up",
        ),
        Trouble::OursExpired => said(
            format!("{at} refuses this client's certificate: it has expired"),
            format!(
                "{} ended {}; this machine's clock says {}",
                scene.cert(),
                ours.not_after(),
                scene.clock()
            ),
            "issue a new one; strongroom up renews the ones it made when it starts",
        ),
        Trouble::OursUnknown => said(
            format!("{at} refuses this client's certificate: it does not know the CA"),
            format!("{} was issued by \"{}\"", scene.cert(), ours.issuer),
            "use a certificate from the server's client CA (--cert, --key), or add this CA to the server's client CA bundle",
        ),
        Trouble::OursRefused(alert) => said(
            format!("{at} refuses this client's certificate ({alert})"),
            format!("{} is for \"{}\", issued by \"{}\"", scene.cert(), ours.subject, ours.issuer),
            "look at the server's log, which says why; use a certificate from its client CA with --cert and --key",
        ),
        other => rest(other, scene),
    }
}

fn files(trouble: &Trouble, scene: &Scene) -> Explanation {
    let source = |file: &PathBuf| {
        let profile = scene.profile.as_deref().filter(|_| scene.profile_files.contains(file));
        profile.map_or_else(String::new, |profile| format!(" (named by {})", shown(profile)))
    };
    match trouble {
        Trouble::FileUnreadable(material, path, FileFault::Missing) => said(
            format!("the {} {} does not exist", material.noun(), shown(path)),
            format!("it was moved or never made{}", source(path)),
            format!("name the right file with {}; strongroom up makes new ones", material.flag()),
        ),
        Trouble::FileUnreadable(material, path, FileFault::Denied) => said(
            format!("you may not read the {} {}", material.noun(), shown(path)),
            format!("it belongs to another user{}", source(path)),
            format!(
                "run it as that user: ls -l {0}; or use a certificate of your own with {1}",
                shown(path),
                material.flag()
            ),
        ),
        Trouble::FileUnreadable(material, path, FileFault::Other(kind)) => said(
            format!("the {} {} cannot be read ({kind})", material.noun(), shown(path)),
            format!("it is not a plain file, or the disk has trouble{}", source(path)),
            format!("look at it: ls -l {}", shown(path)),
        ),
        Trouble::FileMalformed(material, path) => said(
            format!("the {} {} holds no usable PEM", material.noun(), shown(path)),
            format!("it is another file, empty or damaged{}", source(path)),
            match material {
                Material::Key => {
                    format!("look at its first line: head -1 {}; expected BEGIN PRIVATE KEY", shown(path))
                }
                _ => format!("look at it: openssl x509 -noout -text -in {}", shown(path)),
            },
        ),
        Trouble::KeyMismatch => said(
            format!("the key does not belong to the certificate {}", scene.cert()),
            "--cert and --key name files of different pairs",
            "name a certificate and its own key",
        ),
        Trouble::Half(missing) => said(
            format!("a client certificate needs both --cert and --key; {} is missing", missing.flag()),
            "only one of the two was given",
            format!("add {}", missing.flag()),
        ),
        Trouble::NoCa => said(
            format!("no CA is known to check {} against", scene.endpoint),
            "TLS is asked for, and there is neither a profile nor --cacert",
            "pass --cacert; strongroom up on this machine writes a profile that is found by itself",
        ),
        other => rest(other, scene),
    }
}

fn rest(trouble: &Trouble, scene: &Scene) -> Explanation {
    let at = &scene.endpoint;
    match trouble {
        Trouble::Incompatible(reason) => said(
            format!("{at} and this client have no TLS version or cipher suite in common ({reason})"),
            "the server is too old or restricted: this client speaks TLS 1.3 only",
            "allow TLS 1.3 on the server",
        ),
        other => said(
            match other {
                Trouble::Other(reason) => format!("no connection to {at}: {reason}"),
                other => format!("no connection to {at}: {other:?}"),
            },
            "unknown",
            "look at the server's log",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next command of a socket must be one that works: sockets have schemes of their own.
    #[test]
    fn a_socket_keeps_being_a_socket() {
        for endpoint in ["unix:/s", "unix:///s", "unixs:///s"] {
            let scene = Scene { endpoint: endpoint.into(), ..Scene::default() };
            assert_eq!((scene.same("https"), scene.same("http")), ("unixs:///s".into(), "unix:///s".into()));
        }
    }

    fn scene() -> Scene {
        let certificate = |subject: &str| Certificate {
            subject: subject.into(),
            common_name: subject.into(),
            issuer: "made CA".into(),
            names: vec!["localhost".into(), "127.0.0.1".into()],
            not_before: 1_000_000_000,
            not_after: 1_100_000_000,
        };
        Scene {
            endpoint: "https://db.example:2379".into(),
            host: "db.example".into(),
            ca: Some("/etc/pki/ca.crt".into()),
            cert: Some("/etc/pki/me.crt".into()),
            profile: None,
            profile_files: Vec::new(),
            server: Some(certificate("server")),
            ours: Some(certificate("me")),
            now: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_200_000_000)),
        }
    }

    fn check(trouble: &Trouble, happened: &str, cause: &str, next: &str) {
        let explanation = explain(trouble, &scene());
        assert!(explanation.happened.contains(happened), "{trouble:?}: {explanation:?}");
        assert!(explanation.cause.contains(cause), "{trouble:?}: {explanation:?}");
        assert!(explanation.next.contains(next), "{trouble:?}: {explanation:?}");
    }

    /// One row per mistake: the sentence must name the mistake, the facts that prove it, and the way out.
    #[test]
    fn every_trouble_names_mistake_facts_and_way_out() {
        let second = Duration::from_secs(1);
        let path = || PathBuf::from("/etc/pki/x");
        check(
            &Trouble::Refused,
            "nothing listens at https://db.example:2379",
            "not running",
            "strongroom up",
        );
        check(&Trouble::Unreachable("no route".into()), "no route", "firewall", "ping db.example");
        check(
            &Trouble::Unresolvable("x".into()),
            "db.example is not known",
            "misspelled",
            "getent hosts db.example",
        );
        check(&Trouble::Socket("x".into()), "unix socket", "not running", "ls -l");
        check(&Trouble::Timeout(Stage::Connect, second), "within 1s", "firewall", "--dial-timeout");
        check(&Trouble::Timeout(Stage::Handshake, second), "no TLS handshake", "something else", "ss -ltnp");
        check(
            &Trouble::Timeout(Stage::Answer, second),
            "no answer within 1s",
            "no leader",
            "--command-timeout",
        );
        check(&Trouble::Endpoint("no port".into()), "no port", "misspelled", "https://host:2379");
        check(&Trouble::ServerSpeaksClearText, "does not speak TLS", "clear text", "http://db.example:2379");
        check(&Trouble::ServerSpeaksTls, "speaks TLS", "http://", "https://db.example:2379");
        check(&Trouble::NotGrpc("HTTP/1.1 404".into()), "HTTP/1.1 404", "another service", "2379");
        check(
            &Trouble::Closed(Stage::Handshake),
            "during the TLS handshake",
            "refuses",
            "rejected connection",
        );
        check(&Trouble::Closed(Stage::Answer), "ended the connection", "stopping", "log");
        check(
            &Trouble::UnknownIssuer,
            "CA that this client does not know",
            "\"made CA\", which is not in /etc/pki/ca.crt",
            "--cacert",
        );
        check(
            &Trouble::ServerExpired,
            "has expired",
            "ended 2004-11-09T11:33:20Z; this machine's clock says 2008-01-10",
            "renew",
        );
        check(&Trouble::ServerNotYetValid, "not yet valid", "begins 2001-09-09T01:46:40Z", "clocks");
        check(&Trouble::WrongName, "not for \"db.example\"", "localhost, 127.0.0.1", "--endpoints");
        check(&Trouble::ServerRefused("revoked".into()), "revoked", "\"server\"", "serverAuth");
        check(&Trouble::OursMissing, "none was shown", "--cert", "--key");
        check(&Trouble::OursExpired, "it has expired", "/etc/pki/me.crt ended 2004-11-09", "new one");
        check(&Trouble::OursUnknown, "does not know the CA", "issued by \"made CA\"", "client CA");
        check(&Trouble::OursRefused("CertificateRevoked".into()), "CertificateRevoked", "\"me\"", "log");
        check(&Trouble::Incompatible("version".into()), "no TLS version", "TLS 1.3 only", "TLS 1.3");
        for material in [Material::Ca, Material::Certificate, Material::Key] {
            let flag = material.flag();
            check(
                &Trouble::FileUnreadable(material, path(), FileFault::Missing),
                "/etc/pki/x does not exist",
                "moved",
                flag,
            );
            check(
                &Trouble::FileUnreadable(material, path(), FileFault::Denied),
                "may not read",
                "another user",
                flag,
            );
            let odd = FileFault::Other(std::io::ErrorKind::IsADirectory);
            check(&Trouble::FileUnreadable(material, path(), odd), "is a directory", "plain file", "ls -l");
            check(&Trouble::FileMalformed(material, path()), "no usable PEM", "another file", "/etc/pki/x");
        }
        check(&Trouble::KeyMismatch, "/etc/pki/me.crt", "different pairs", "own key");
        check(&Trouble::Half(Material::Key), "--key is missing", "one of the two", "add --key");
        check(&Trouble::NoCa, "no CA is known", "--cacert", "--cacert");
        check(&Trouble::Other("odd".into()), "odd", "", "log");
    }

    /// Who names a file with a flag must not be sent to look for it in the profile.
    #[test]
    fn the_profile_is_blamed_for_what_it_names_alone() {
        let scene = Scene {
            profile: Some("/home/client.toml".into()),
            profile_files: vec!["/pki/root.crt".into()],
            ..scene()
        };
        for (file, is_blamed) in [("/pki/root.crt", true), ("/elsewhere.crt", false)] {
            let trouble = Trouble::FileUnreadable(Material::Ca, file.into(), FileFault::Missing);
            let blamed = explain(&trouble, &scene).cause.contains("(named by /home/client.toml)");
            assert_eq!(blamed, is_blamed, "{file}");
        }
    }

    /// Without certificates the commonest first mistake is to meet a secure member: the way out must not assume a profile.
    #[test]
    fn without_a_profile_the_way_out_is_to_get_certificates() {
        let scene = Scene { endpoint: "127.0.0.1:2379".into(), ..Scene::default() };
        let explanation = explain(&Trouble::ServerSpeaksTls, &scene);
        assert!(
            explanation.next.contains("strongroom up") && explanation.next.contains("https://127.0.0.1:2379")
        );
    }
}
