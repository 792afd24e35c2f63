//! The global options, and what becomes of them: one checked [`Settings`].
//!
//! A flag wins over `STRONGROOM_…`, that over `ETCDCTL_…`, that over the profile. Certificate and key are one thing: the
//! first place that names either gives both. Invariant: a `Settings` has at least one endpoint, and a certificate has a key.

use crate::connect::endpoint::Endpoint;
use crate::connect::explain::{Material, Scene, Trouble, explain};
use crate::credentials::Credentials;
use crate::exit::Failure;
use crate::options;
use crate::print::text::{parse_duration, quote};
use crate::print::{Format, Notation};
use crate::profile::Profile;
use crate::secret::Secret;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_TIME: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(6);
const ENDPOINT_DEFAULT: &str = "127.0.0.1:2379";
/// etcd's client sends at most this much in one request unless told otherwise.
const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
const RECEIVE_BYTES_MAX: usize = i32::MAX as usize;

/// Options of every command, with etcdctl's names.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection and output")]
pub struct Global {
    /// Members to ask, tried in turn
    #[arg(long, global = true, value_delimiter = ',', value_name = "URL")]
    pub endpoints: Vec<String>,
    /// CA that issued the members' certificates
    #[arg(long, global = true, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Certificate to show
    #[arg(long, global = true, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Key of that certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// User to log in as, `name` or `name:password`; without a password it is asked for
    #[arg(long, global = true, value_name = "NAME", allow_hyphen_values = true)]
    pub user: Option<Secret>,
    /// Password of --user; other users of the machine can see it here, but not in STRONGROOM_PASSWORD
    #[arg(long, global = true, value_name = "PASSWORD", allow_hyphen_values = true)]
    pub password: Option<Secret>,
    /// Token to show instead of a password
    #[arg(long, global = true, value_name = "TOKEN", allow_hyphen_values = true)]
    pub auth_jwt_token: Option<Secret>,
    /// Output: simple, json, table, fields or protobuf [default: simple]
    #[arg(short = 'w', long, global = true, value_name = "FORM")]
    pub write_out: Option<String>,
    /// Write bytes and identifiers in hexadecimal
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub hex: Option<bool>,
    /// Longest wait for a connection [default: 2s]
    #[arg(long, global = true, value_name = "TIME")]
    pub dial_timeout: Option<String>,
    /// Longest wait for an answer [default: 5s]
    #[arg(long, global = true, value_name = "TIME")]
    pub command_timeout: Option<String>,
    /// Pause between signs of life [default: 2s]
    #[arg(long, global = true, value_name = "TIME")]
    pub keepalive_time: Option<String>,
    /// Longest wait for a sign of life [default: 6s]
    #[arg(long, global = true, value_name = "TIME")]
    pub keepalive_timeout: Option<String>,
    /// Largest request to send [default: 2 MiB]
    #[arg(long, global = true, value_name = "BYTES")]
    pub max_request_bytes: Option<usize>,
    /// Largest answer to take [default: 2 GiB]
    #[arg(long, global = true, value_name = "BYTES")]
    pub max_recv_bytes: Option<usize>,
    /// Accept any server certificate: anyone in between can read and change everything
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub insecure_skip_tls_verify: Option<bool>,
    /// Without effect: the endpoint's scheme decides
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub insecure_transport: Option<bool>,
    /// Say what is being done
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub debug: Option<bool>,
}

/// Whether a server has to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    Required,
    /// By these roots, PEM, which lie in no file yet.
    ByRoots(Arc<str>),
    DangerouslySkipped,
    /// Not yet: nothing secret is said, and what is heard is held against a pin.
    ByPin,
}

/// The options, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) pair: Option<(PathBuf, PathBuf)>,
    pub(crate) profile: Option<PathBuf>,
    /// The files that the profile names.
    pub(crate) profile_files: Vec<PathBuf>,
    pub(crate) credentials: Credentials,
    pub(crate) verification: Verification,
    pub(crate) format: Format,
    pub(crate) notation: Notation,
    pub(crate) dial_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) keepalive_time: Duration,
    pub(crate) keepalive_timeout: Duration,
    pub(crate) request_bytes_max: usize,
    pub(crate) receive_bytes_max: usize,
    pub(crate) chatty: bool,
}

/// Where the settings come from besides the flags.
pub(crate) struct Surroundings<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Surroundings<'_> {
    /// The variable of an option, ours before etcdctl's; an empty one counts as unset.
    fn option(&self, name: &str) -> Option<(String, OsString)> {
        ["STRONGROOM", "ETCDCTL"].iter().find_map(|prefix| {
            let full = format!("{prefix}_{name}");
            (self.variable)(&full).filter(|value| !value.is_empty()).map(|value| (full, value))
        })
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        self.option(name)
            .map(|(full, value)| {
                value.into_string().map_err(|_| Failure::arguments(format!("{full} is not UTF-8")))
            })
            .transpose()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.option(name).map(|(_, value)| value.into())
    }
}

impl Settings {
    pub(crate) fn resolve(global: &Global, around: &Surroundings<'_>) -> Result<Self, Failure> {
        let found = Profile::discover_in(around.variable).map_err(|error| {
            Failure::arguments(error.to_string())
                .hinting("repair or remove that file; strongroom up writes it anew")
        })?;
        let (path, profile) =
            found.map_or((None, Profile::default()), |(path, profile)| (Some(path), profile));
        let profile_files =
            [&profile.ca, &profile.cert, &profile.key].into_iter().flatten().cloned().collect();
        let pair = first_pair([
            (global.cert.clone(), global.key.clone()),
            (around.path("CERT"), around.path("KEY")),
            (profile.cert, profile.key),
        ])?;
        Ok(Self {
            endpoints: endpoints(global, around, profile.endpoints)?,
            ca: given("--cacert", global.cacert.clone())?.or_else(|| around.path("CACERT")).or(profile.ca),
            pair,
            profile: path,
            profile_files,
            credentials: Credentials::resolve(global, around)?,
            verification: if flag(global.insecure_skip_tls_verify, around, "INSECURE_SKIP_TLS_VERIFY")? {
                Verification::DangerouslySkipped
            } else {
                Verification::Required
            },
            format: format(global, around)?,
            notation: if flag(global.hex, around, "HEX")? { Notation::Hex } else { Notation::Plain },
            dial_timeout: time(global.dial_timeout.as_deref(), around, "DIAL_TIMEOUT", DIAL_TIMEOUT)?,
            command_timeout: time(
                global.command_timeout.as_deref(),
                around,
                "COMMAND_TIMEOUT",
                COMMAND_TIMEOUT,
            )?,
            keepalive_time: time(global.keepalive_time.as_deref(), around, "KEEPALIVE_TIME", KEEPALIVE_TIME)?,
            keepalive_timeout: time(
                global.keepalive_timeout.as_deref(),
                around,
                "KEEPALIVE_TIMEOUT",
                KEEPALIVE_TIMEOUT,
            )?,
            request_bytes_max: size(
                global.max_request_bytes,
                around,
                "MAX_REQUEST_BYTES",
                REQUEST_BYTES_MAX,
            )?,
            receive_bytes_max: size(global.max_recv_bytes, around, "MAX_RECV_BYTES", RECEIVE_BYTES_MAX)?,
            chatty: flag(global.debug, around, "DEBUG")?,
        })
    }

    /// Where an explanation begins.
    pub(crate) fn scene(&self, endpoint: &Endpoint) -> Scene {
        Scene {
            endpoint: endpoint.written.clone(),
            host: endpoint.host().to_owned(),
            ca: self.ca.clone(),
            cert: self.pair.as_ref().map(|(cert, _)| cert.clone()),
            profile: self.profile.clone(),
            profile_files: self.profile_files.clone(),
            ..Scene::default()
        }
    }
}

/// The form of the output.
pub(crate) fn format(global: &Global, around: &Surroundings<'_>) -> Result<Format, Failure> {
    match global.write_out.clone().map_or_else(|| around.text("WRITE_OUT"), |form| Ok(Some(form)))? {
        Some(form) => Format::parse(&form),
        None => Ok(Format::default()),
    }
}

fn refused(trouble: &Trouble) -> Failure {
    Failure {
        code: crate::exit::Code::Arguments as u8,
        ..Failure::connection(explain(trouble, &Scene::default()))
    }
}

/// An empty path is a variable that was not set, and must not silently mean "none".
fn given(flag: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    match path {
        Some(path) if path.as_os_str().is_empty() => {
            Err(Failure::arguments(format!("empty string is passed to {flag} option")))
        }
        other => Ok(other),
    }
}

type Half = Option<PathBuf>;

fn first_pair(places: [(Half, Half); 3]) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
    for (cert, key) in places {
        match (given("--cert", cert)?, given("--key", key)?) {
            (Some(cert), Some(key)) => return Ok(Some((cert, key))),
            (None, None) => {}
            (Some(_), None) => return Err(refused(&Trouble::Half(Material::Key))),
            (None, Some(_)) => return Err(refused(&Trouble::Half(Material::Certificate))),
        }
    }
    Ok(None)
}

fn endpoints(
    global: &Global,
    around: &Surroundings<'_>,
    profile: Vec<String>,
) -> Result<Vec<Endpoint>, Failure> {
    let written = if !global.endpoints.is_empty() {
        global.endpoints.clone()
    } else if let Some(text) = around.text("ENDPOINTS")? {
        text.split(',').map(str::to_owned).collect()
    } else if !profile.is_empty() {
        profile
    } else {
        vec![ENDPOINT_DEFAULT.to_owned()]
    };
    written
        .iter()
        .map(|text| {
            Endpoint::parse(text).map_err(|trouble| {
                let scene = Scene { endpoint: quote(text.as_bytes()), ..Scene::default() };
                Failure {
                    code: crate::exit::Code::Arguments as u8,
                    ..Failure::connection(explain(&trouble, &scene))
                }
            })
        })
        .collect()
}

fn flag(given: Option<bool>, around: &Surroundings<'_>, name: &str) -> Result<bool, Failure> {
    if let Some(given) = given {
        return Ok(given);
    }
    let Some((variable, value)) = around.option(name) else { return Ok(false) };
    let truth = value.to_str().and_then(|text| options::truth(text).ok());
    truth.ok_or_else(|| Failure::arguments(format!("{variable} is neither true nor false")))
}

fn time(
    given: Option<&str>,
    around: &Surroundings<'_>,
    name: &str,
    default: Duration,
) -> Result<Duration, Failure> {
    let (place, text) = match (given, around.option(name)) {
        (Some(text), _) => (format!("--{}", name.to_lowercase().replace('_', "-")), text.into()),
        (None, Some(variable)) => variable,
        (None, None) => return Ok(default),
    };
    parse_duration(&text.to_string_lossy()).map_err(|why| Failure::arguments(format!("{place}: {why}")))
}

fn size(
    given: Option<usize>,
    around: &Surroundings<'_>,
    name: &str,
    default: usize,
) -> Result<usize, Failure> {
    let size = match (given, around.option(name)) {
        (Some(size), _) => Some(size),
        (None, Some((variable, value))) => {
            let size = value.to_str().and_then(|text| text.parse().ok());
            Some(size.ok_or_else(|| Failure::arguments(format!("{variable} is no number of bytes")))?)
        }
        (None, None) => None,
    };
    Ok(size.filter(|size| *size != 0).unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(global: &Global, variables: &[(&str, &str)]) -> Result<Settings, Failure> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        Settings::resolve(global, &Surroundings { variable: &variable })
    }

    fn profile(text: &str) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("client.toml");
        std::fs::write(&path, text).unwrap();
        (directory, path.to_str().unwrap().to_owned())
    }

    /// Flag, our variable, etcdctl's variable, profile: people rely on the order when they override one thing for one command.
    #[test]
    fn the_nearest_place_wins_for_each_option() {
        let (_home, path) =
            profile("endpoints = [\"https://p:1\"]\nca = \"/p/ca\"\ncert = \"/p/crt\"\nkey = \"/p/key\"\n");
        let base = ("STRONGROOM_PROFILE", path.as_str());
        let settings = resolve(&Global::default(), &[base]).unwrap();
        assert_eq!(settings.endpoints[0].written, "https://p:1");
        assert_eq!(settings.pair, Some(("/p/crt".into(), "/p/key".into())));
        let etcdctl =
            [base, ("ETCDCTL_ENDPOINTS", "a:1,b:2"), ("ETCDCTL_CERT", "/e/crt"), ("ETCDCTL_KEY", "/e/key")];
        let settings = resolve(&Global::default(), &etcdctl).unwrap();
        assert_eq!(settings.endpoints.len(), 2);
        assert_eq!(settings.pair, Some(("/e/crt".into(), "/e/key".into())));
        assert_eq!(settings.ca, Some("/p/ca".into()));
        let ours =
            [base, ("ETCDCTL_ENDPOINTS", "a:1"), ("STRONGROOM_ENDPOINTS", "s:1"), ("ETCDCTL_CACERT", "")];
        let settings = resolve(&Global::default(), &ours).unwrap();
        assert_eq!((settings.endpoints[0].written.as_str(), settings.ca), ("s:1", Some("/p/ca".into())));
        let global =
            Global { endpoints: vec!["f:1".into()], cacert: Some("/f/ca".into()), ..Global::default() };
        let settings = resolve(&global, &ours).unwrap();
        assert_eq!((settings.endpoints[0].written.as_str(), settings.ca), ("f:1", Some("/f/ca".into())));
    }

    /// Without anything the defaults are etcdctl's, so that habits and documents keep working.
    #[test]
    fn the_defaults_are_etcdctls() {
        let settings = resolve(&Global::default(), &[]).unwrap();
        assert_eq!(settings.endpoints[0].written, "127.0.0.1:2379");
        assert_eq!(
            (settings.dial_timeout, settings.command_timeout),
            (Duration::from_secs(2), Duration::from_secs(5))
        );
        assert_eq!((settings.format, settings.notation), (Format::Simple, Notation::Plain));
        assert!(matches!(settings.credentials, Credentials::None));
    }

    /// Half a certificate, an empty path, two credentials or nonsense in a variable is a mistake to name, not to guess about.
    #[test]
    fn contradictions_are_refused_with_code_128() {
        let half = Global { cert: Some("/c".into()), ..Global::default() };
        let empty = Global { cacert: Some("".into()), ..Global::default() };
        let hasty = Global { dial_timeout: Some("2".into()), ..Global::default() };
        let none = Global::default();
        for (global, variables, said) in [
            (&half, vec![], "--key is missing"),
            (&empty, vec![], "empty string is passed to --cacert"),
            (&none, vec![("ETCDCTL_KEY", "/k")], "--cert is missing"),
            (&none, vec![("STRONGROOM_ENDPOINTS", "ftp://x")], "unknown scheme"),
            (&hasty, vec![("ETCDCTL_DIAL_TIMEOUT", "1s")], "--dial-timeout: invalid duration"),
            (&none, vec![("ETCDCTL_COMMAND_TIMEOUT", "5")], "ETCDCTL_COMMAND_TIMEOUT: invalid duration"),
            (&none, vec![("ETCDCTL_HEX", "maybe")], "ETCDCTL_HEX is neither true nor false"),
            (&none, vec![("STRONGROOM_MAX_RECV_BYTES", "1M")], "STRONGROOM_MAX_RECV_BYTES is no number"),
        ] {
            let failure = resolve(global, &variables).unwrap_err();
            assert_eq!(failure.code, 128, "{failure}");
            assert!(failure.message.contains(said), "{failure}");
        }
        let failure = resolve(&none, &[("ETCDCTL_WRITE_OUT", "xml")]).unwrap_err();
        assert_eq!(failure.code, 4);
    }
}
