//! Certificates and keys on this machine: written together, the key for its owner alone.

use super::failed;
use crate::exit::Failure;
use certificate::files::{self, CERTIFICATE_MODE, KEY_MODE};
use certificate::{About, KeyPair, pem};
use std::path::{Path, PathBuf};

/// The files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// `NAME.crt` and `NAME.key` in a directory.
    pub(crate) fn named(dir: &Path, name: &str) -> Self {
        Self { certificate: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) }
    }

    /// Refuses to write over a certificate or key that is there.
    pub(crate) fn refuse_if_there(&self) -> Result<(), Failure> {
        match [&self.certificate, &self.key].into_iter().find(|path| path.exists()) {
            None => Ok(()),
            Some(path) => Err(Failure::error(format!("{} is there already", path.display())).hinting(
                "choose another directory or name; strongroom pki renew replaces a certificate by a new one",
            )),
        }
    }

    /// Writes both: the key first, so that whoever reads in between sees a pair that does not fit, and looks again.
    pub(crate) fn write(&self, chain: &str, key: &KeyPair) -> Result<(), Failure> {
        files::write(&self.key, &key.to_pem(), KEY_MODE)
            .and_then(|()| files::write(&self.certificate, chain, CERTIFICATE_MODE))
            .map_err(|error| failed(&error))
    }
}

/// A directory for what is yet to come: until that is there, what had to be made of it is unmade again, as far as nobody has put
/// anything into it.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// Itself and those above it that were not there, the innermost first.
    made: Vec<PathBuf>,
}

impl Claimed {
    /// Makes it, for its owner alone, if it is not there; refuses one in which nothing can be written.
    pub(crate) fn directory(path: &Path) -> Result<Self, Failure> {
        let missing = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        let claimed = Self { made: missing.map(Path::to_owned).collect() };
        let attempt = path.join(".claimed");
        files::directory(path)
            .and_then(|()| files::write(&attempt, "", CERTIFICATE_MODE))
            .and_then(|()| files::remove(&attempt))
            .map_err(|error| failed(&error))?;
        Ok(claimed)
    }

    /// It stays: what it was made for has come.
    pub(crate) fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        for dir in &self.made {
            if std::fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// Writes what is for everybody's eyes.
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), Failure> {
    files::write(path, text, CERTIFICATE_MODE).map_err(|error| failed(&error))
}

/// Makes a directory that is for its owner alone, if it is not there.
pub(crate) fn directory(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    files::directory(path).map_err(|error| failed(&error))
}

/// The certificates in a file, DER, and what they say.
pub(crate) fn read(path: &Path) -> Result<Vec<(Vec<u8>, About)>, Failure> {
    let broken = |why: String| {
        Failure::error(format!("{}: {why}", path.display()))
            .hinting("name a PEM file with certificates in it")
    };
    let text = files::certificate(path).map_err(|error| failed(&error))?;
    let text = text.ok_or_else(|| broken("no such file".to_owned()))?;
    let ders = pem::read_certificates(&text).map_err(broken)?;
    if ders.is_empty() {
        return Err(broken("it holds no certificate".to_owned()));
    }
    let with_about = |der: Vec<u8>| About::of(&der).map(|about| (der, about)).map_err(broken);
    ders.into_iter().map(with_about).collect()
}
