//! Where the sealing key's file lies.
//!
//! The rule is that a copy of the data directory must not contain the key. So it is looked for, and made, outside:
//! where `STRONGROOM_KEY_FILE` (or `--key-file` of `strongroom`) says; as `etcd`, beside `--cert-file`, then beside
//! `--peer-cert-file` (in a kubeadm pod the only other writable place); else in `strongroom-keys/` beside the data
//! directory, if that is on the same file system (else it is not a mounted volume's neighbour but something that a
//! container loses at its next start); else inside the data directory, with a warning.
//! Later starts look at all of these places, whatever is set then. Names come from the key's id, so members share places.

use super::Personality;
use env::{Disk, DiskError};
use std::path::{Path, PathBuf};

/// What the places follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRule {
    /// Under which name the program was called.
    pub personality: Personality,
    /// What the operator named: a directory, or the file itself.
    pub named: Option<PathBuf>,
    /// The certificates whose directories count, best first.
    pub certificates: Vec<PathBuf>,
    /// The data directory.
    pub data_dir: PathBuf,
}

/// Where to look for a key, and where to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlaces {
    /// Where to look, in this order; each is a directory, or a file.
    pub candidates: Vec<PathBuf>,
    /// The directory for a new key. It may have to be made, with mode 0700.
    pub create_in: PathBuf,
    /// Whether that is inside the data directory: then a copy of the data takes the key along, and a warning is due.
    pub is_inside_data: bool,
}

impl KeyRule {
    /// The places on this disk.
    ///
    /// # Errors
    /// The disk's failure to say what is there.
    pub fn places(&self, disk: &dyn Disk) -> Result<KeyPlaces, DiskError> {
        let named_is_directory = match &self.named {
            Some(named) => disk.stat(named)?.is_some_and(|stat| stat.kind == env::Kind::Directory),
            None => false,
        };
        let beside = self.beside();
        Ok(self.decide(named_is_directory, &beside, same_file_system(disk, &self.data_dir)?))
    }

    /// The rule itself.
    fn decide(&self, named_is_directory: bool, beside: &Path, beside_is_same_file_system: bool) -> KeyPlaces {
        let inside = self.data_dir.join("keys");
        let mut candidates = Vec::new();
        let mut create_in = None;
        if let Some(named) = &self.named {
            candidates.push(named.clone());
            let directory = if named_is_directory { named.clone() } else { parent(named) };
            if !named_is_directory {
                candidates.push(directory.clone());
            }
            create_in = Some(directory);
        }
        if self.personality == Personality::Etcd {
            for certificate in &self.certificates {
                let directory = parent(certificate);
                if !candidates.contains(&directory) {
                    candidates.push(directory.clone());
                }
                create_in.get_or_insert(directory);
            }
        }
        candidates.push(beside.to_owned());
        if beside_is_same_file_system {
            create_in.get_or_insert(beside.to_owned());
        }
        candidates.push(inside.clone());
        let create_in = create_in.unwrap_or(inside);
        let is_inside_data = create_in.starts_with(&self.data_dir);
        KeyPlaces { candidates, create_in, is_inside_data }
    }

    fn beside(&self) -> PathBuf {
        parent(&self.data_dir).join("strongroom-keys")
    }
}

/// Whether the data directory and the directory it lies in are one file system; a directory that is not there yet will be.
fn same_file_system(disk: &dyn Disk, data_dir: &Path) -> Result<bool, DiskError> {
    let Some(data) = disk.stat(data_dir)? else { return Ok(true) };
    Ok(disk.stat(&parent(data_dir))?.is_some_and(|parent| parent.device == data.device))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(personality: Personality, named: Option<&str>, certificates: &[&str]) -> KeyRule {
        KeyRule {
            personality,
            named: named.map(PathBuf::from),
            certificates: certificates.iter().map(PathBuf::from).collect(),
            data_dir: "/var/lib/etcd".into(),
        }
    }

    fn shown(places: &KeyPlaces) -> String {
        let candidates: Vec<_> = places.candidates.iter().map(|path| path.display().to_string()).collect();
        let inside = if places.is_inside_data { " (inside)" } else { "" };
        format!("{} -> {}{inside}", candidates.join(" "), places.create_in.display())
    }

    /// A wrong place loses the key with the container, or keeps it with the data it protects: each case of the rule.
    #[test]
    fn the_key_lies_where_the_rule_says() {
        use Personality::{Etcd, Strongroom};
        let beside = Path::new("/var/lib/strongroom-keys");
        let pki = "/etc/kubernetes/pki/etcd/server.crt";
        for (rule, is_directory, same, expected) in [
            (
                rule(Strongroom, None, &[]),
                false,
                true,
                "/var/lib/strongroom-keys /var/lib/etcd/keys -> /var/lib/strongroom-keys",
            ),
            (
                rule(Etcd, None, &[]),
                false,
                false,
                "/var/lib/strongroom-keys /var/lib/etcd/keys -> /var/lib/etcd/keys (inside)",
            ),
            (
                rule(Etcd, None, &[pki, "/etc/kubernetes/pki/etcd/peer.crt"]),
                false,
                false,
                "/etc/kubernetes/pki/etcd /var/lib/strongroom-keys /var/lib/etcd/keys -> /etc/kubernetes/pki/etcd",
            ),
            (
                rule(Strongroom, None, &[pki]),
                false,
                true,
                "/var/lib/strongroom-keys /var/lib/etcd/keys -> /var/lib/strongroom-keys",
            ),
            (
                rule(Etcd, Some("/keys"), &[pki]),
                true,
                true,
                "/keys /etc/kubernetes/pki/etcd /var/lib/strongroom-keys /var/lib/etcd/keys -> /keys",
            ),
            (
                rule(Strongroom, Some("/keys/my.key"), &[]),
                false,
                true,
                "/keys/my.key /keys /var/lib/strongroom-keys /var/lib/etcd/keys -> /keys",
            ),
        ] {
            assert_eq!(shown(&rule.decide(is_directory, beside, same)), expected, "{rule:?}");
        }
    }

    /// A relative data directory has a neighbour too.
    #[test]
    fn a_relative_data_directory_has_a_neighbour() {
        let rule = KeyRule { data_dir: "default.etcd".into(), ..rule(Personality::Etcd, None, &[]) };
        assert_eq!(rule.beside(), Path::new("./strongroom-keys"));
    }
}
