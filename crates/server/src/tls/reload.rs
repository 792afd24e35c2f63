//! Exchanging certificates, CAs and revocation lists while serving.
//!
//! Owns the configuration in force. [`Reloading::reload`] reads everything anew (SIGHUP, and a look every few seconds);
//! a set that cannot be read, does not fit together, or has expired while the one in use has not, changes nothing.
//! Contents are compared, not times, so that files replaced through a symbolic link are seen.

use super::Settings;
use super::load::{Error, Loaded, Material, build};
use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;
use std::sync::{Arc, Mutex, PoisonError};

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The files hold what is in use.
    Unchanged,
    /// New material is in use; connections that stand keep theirs.
    Replaced,
}

/// A TLS configuration that can be exchanged.
pub struct Reloading {
    settings: Settings,
    current: ArcSwap<Loaded>,
    material: Mutex<Material>,
}

impl Reloading {
    /// Loads for the first time. An expired certificate is taken: a member that does not start cannot be repaired from
    /// outside; whoever serves says so.
    ///
    /// # Errors
    /// [`Error`], naming the file.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let material = Material::read(&settings)?;
        let loaded = build(&settings, &material)?;
        Ok(Self { settings, current: ArcSwap::from_pointee(loaded), material: Mutex::new(material) })
    }

    /// The configuration in force.
    #[must_use]
    pub fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// What it is made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads everything anew and takes it if it is good.
    ///
    /// # Errors
    /// [`Error`]; what is in force stays.
    pub fn reload(&self) -> Result<Exchange, Error> {
        self.reload_at(UnixTime::now().as_secs())
    }

    fn reload_at(&self, now_unix_seconds: u64) -> Result<Exchange, Error> {
        let now = i64::try_from(now_unix_seconds).unwrap_or(i64::MAX);
        let material = Material::read(&self.settings)?;
        let mut held = self.material.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == material {
            return Ok(Exchange::Unchanged);
        }
        let loaded = build(&self.settings, &material)?;
        if loaded.not_after < now && self.current().not_after >= now {
            return Err(Error::Expired { name: self.settings.certificate.name() });
        }
        self.current.store(Arc::new(loaded));
        *held = material;
        Ok(Exchange::Replaced)
    }
}

impl std::fmt::Debug for Reloading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading")
            .field("certificate", &self.settings.certificate.name())
            .finish_non_exhaustive()
    }
}
