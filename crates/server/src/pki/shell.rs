//! The lines that `eval "$(strongroom env)"` runs, so that a stock etcdctl needs no flag.

use std::path::{Path, PathBuf};

/// What a client of this member needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The member's client URLs.
    pub endpoints: Vec<String>,
    /// The CA of its certificate; none without TLS.
    pub ca: Option<PathBuf>,
    /// The client's certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Client {
    /// The administrator of an authority.
    #[must_use]
    pub fn administrator(endpoints: &[String], pki_dir: &Path) -> Self {
        use super::made::{certificate, key, root};
        use state::pki::Role;
        Self {
            endpoints: endpoints.to_vec(),
            ca: Some(root(pki_dir)),
            identity: Some((certificate(pki_dir, Role::Administrator), key(pki_dir, Role::Administrator))),
        }
    }
}

/// One `export` a line, quoted for sh; what does not apply is unset, so that an older environment does not shine through.
#[must_use]
pub fn env_lines(client: &Client) -> String {
    let shown = |path: &Path| path.display().to_string();
    let variables = [
        ("ETCDCTL_ENDPOINTS", Some(client.endpoints.join(","))),
        ("ETCDCTL_CACERT", client.ca.as_deref().map(shown)),
        ("ETCDCTL_CERT", client.identity.as_ref().map(|(certificate, _)| shown(certificate))),
        ("ETCDCTL_KEY", client.identity.as_ref().map(|(_, key)| shown(key))),
    ];
    let lines = variables.iter().map(|(name, value)| match value {
        Some(value) => format!("export {name}={}\n", quoted(value)),
        None => format!("unset {name}\n"),
    });
    lines.collect()
}

/// For sh: as it is if nothing in it is special, else in single quotes.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:,@+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
