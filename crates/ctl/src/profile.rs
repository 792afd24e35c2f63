//! The profile that `strongroom up` leaves for its own user: where the member is and which certificates to show.
//!
//! A small TOML file with paths only, never a key, mode 0600. [`Profile::discover`] is why the first five minutes need no
//! flag; everything in it can be overruled by a flag or a variable.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest profile that is read.
const PROFILE_BYTES_MAX: u64 = 64 * 1024;

/// Where the member is, and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Client URLs of the members.
    pub endpoints: Vec<String>,
    /// The CA that issued their certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Our certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read or written.
    #[error("profile {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It is no profile.
    #[error("profile {}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Profile {
    /// Where the profile of this user is: `$STRONGROOM_PROFILE`, else `strongroom/client.toml` below `$XDG_CONFIG_HOME` or
    /// `~/.config`. `None` without a home.
    #[must_use]
    pub fn default_path() -> Option<PathBuf> {
        Self::path_from(&|name| std::env::var_os(name))
    }

    pub(crate) fn path_from(environment: Environment<'_>) -> Option<PathBuf> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("STRONGROOM_PROFILE").or_else(|| {
            let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
            Some(config.join("strongroom").join("client.toml"))
        })
    }

    /// The profile of this user, with its path; `None` where there is none.
    ///
    /// # Errors
    /// There is one, and it cannot be read or is no profile.
    pub fn discover() -> Result<Option<(PathBuf, Self)>, Error> {
        Self::discover_in(&|name| std::env::var_os(name))
    }

    pub(crate) fn discover_in(environment: Environment<'_>) -> Result<Option<(PathBuf, Self)>, Error> {
        let Some(path) = Self::path_from(environment) else { return Ok(None) };
        match Self::read(&path) {
            Ok(profile) => Ok(Some((path, profile))),
            Err(Error::Io { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a profile; paths in it may be relative to it.
    ///
    /// # Errors
    /// It cannot be read, or is no profile.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.into(), source };
        let malformed = |reason: String| Error::Malformed { path: path.into(), reason };
        let mut text = String::new();
        let mut file = std::fs::File::open(path).map_err(io)?;
        std::io::Read::read_to_string(&mut std::io::Read::take(&mut file, PROFILE_BYTES_MAX), &mut text)
            .map_err(io)?;
        let mut profile: Self =
            toml::from_str(&text).map_err(|error| malformed(error.message().to_owned()))?;
        if let Some(directory) = path.parent() {
            for file in [&mut profile.ca, &mut profile.cert, &mut profile.key].into_iter().flatten() {
                *file = directory.join(&*file);
            }
        }
        Ok(profile)
    }

    /// Writes the profile, replacing what was there in one step, readable by its owner only.
    ///
    /// # Errors
    /// The directory cannot be made, or the file not written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let io = |source| Error::Io { path: path.into(), source };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(io)?;
        }
        let body = toml::to_string(self)
            .map_err(|error| Error::Malformed { path: path.into(), reason: error.to_string() })?;
        let text =
            format!("# Written by strongroom up. Paths only; flags and variables overrule it.\n{body}");
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(io)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| std::fs::rename(&beside, path)).map_err(|source| {
            let _ = std::fs::remove_file(&beside);
            io(source)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn profile() -> Profile {
        Profile {
            endpoints: vec!["https://127.0.0.1:2379".into()],
            ca: Some("/pki/ca.crt".into()),
            cert: Some("/pki/root.crt".into()),
            key: Some("/pki/root.key".into()),
        }
    }

    /// What up writes, every later command must find; others on the machine need not know where our key is.
    #[test]
    fn a_written_profile_is_found_again_and_private() {
        let home = tempfile::tempdir().unwrap();
        let environment = |name: &str| (name == "HOME").then(|| home.path().as_os_str().to_owned());
        assert_eq!(Profile::discover_in(&environment).unwrap(), None);
        let path = Profile::path_from(&environment).unwrap();
        profile().write(&path).unwrap();
        profile().write(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Profile::discover_in(&environment).unwrap(), Some((path, profile())));
    }

    /// The order of the places is a promise to scripts: the explicit one wins.
    #[test]
    fn the_explicit_path_wins_over_the_directories() {
        let all = |name: &str| Some(OsString::from(format!("/{name}")));
        assert_eq!(Profile::path_from(&all), Some("/STRONGROOM_PROFILE".into()));
        let no_profile =
            |name: &str| (name != "STRONGROOM_PROFILE").then(|| OsString::from(format!("/{name}")));
        assert_eq!(Profile::path_from(&no_profile), Some("/XDG_CONFIG_HOME/strongroom/client.toml".into()));
        assert_eq!(Profile::path_from(&|_| None), None);
    }

    /// A profile can be moved with its certificates; a damaged one must be named, not passed over.
    #[test]
    fn relative_paths_start_at_the_profile_and_damage_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("p.toml");
        std::fs::write(&path, "endpoints = [\"a\"]\nca = \"ca.crt\"\n").unwrap();
        assert_eq!(Profile::read(&path).unwrap().ca, Some(home.path().join("ca.crt")));
        std::fs::write(&path, "endpoint = \"a\"\n").unwrap();
        let error = Profile::discover_in(&|name| (name == "STRONGROOM_PROFILE").then(|| path.clone().into()))
            .unwrap_err();
        assert!(error.to_string().contains("p.toml") && error.to_string().contains("endpoint"), "{error}");
    }
}
