//! Exchanging certificates, CAs and revocation lists while serving.
//!
//! Owns the configuration in force, and the connections that stand by it. [`Reloading::reload`] reads everything anew (SIGHUP,
//! and a look every few seconds); a set that cannot be read, does not fit together, has expired while the one in use has
//! not, or brings an old revocation list, changes nothing. Contents are compared, not times, so that files replaced through a
//! symbolic link are seen.
//!
//! Invariant: when [`Reloading::reload`] returns, every connection whose certificate is refused by the new material has been told.

use super::bonds::{Bonds, Standing, first_end};
use super::load::{Error, Loaded, Material, build};
use super::{Failure, Manner, Settings};
use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, UnixTime};
use state::auth::Evidence;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The files hold what is in use.
    Unchanged,
    /// New material is in use; connections that it does not accept were cut.
    Replaced,
}

/// A TLS configuration that can be exchanged.
pub struct Reloading {
    settings: Settings,
    current: ArcSwap<Loaded>,
    material: Mutex<Material>,
    bonds: Arc<Bonds>,
}

impl Reloading {
    /// Loads for the first time. An expired certificate is taken: a member that does not start cannot be repaired from
    /// outside; whoever serves says so. A stale revocation list is not: an attacker could have put an old one in its place.
    ///
    /// # Errors
    /// [`Error`], naming the file.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        Self::open_at(settings, UnixTime::now())
    }

    pub(super) fn open_at(settings: Settings, now: UnixTime) -> Result<Self, Error> {
        let material = Material::read(&settings)?;
        let loaded = build(&settings, &material)?;
        if let (Manner::Strict, Some(stale)) = (settings.manner, loaded.stale_lists(seconds(now)).next()) {
            let name = settings.crl.as_ref().map_or_else(String::new, super::Source::name);
            return Err(Error::ListStale { name, issuer: stale.issuer, due: stale.due });
        }
        tell_revoked_cas(&loaded);
        let (current, material) = (ArcSwap::from_pointee(loaded), Mutex::new(material));
        Ok(Self { settings, current, material, bonds: Arc::default() })
    }

    /// The configuration in force.
    #[must_use]
    pub fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// How many connections stand on each client's certificate, by its serial number in hexadecimal.
    #[must_use]
    pub fn connections(&self) -> BTreeMap<String, u64> {
        let mut by_serial = BTreeMap::new();
        for (leaf, count) in self.bonds.in_use() {
            if let Ok(about) = certificate::About::of(&leaf) {
                let there: &mut u64 = by_serial.entry(about.serial).or_default();
                *there = there.saturating_add(count as u64);
            }
        }
        by_serial
    }

    /// What it is made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads everything anew and takes it if it is good; then judges the connections that stand. May take a second when there
    /// are thousands: not for a thread that serves.
    ///
    /// # Errors
    /// [`Error`]; what is in force stays.
    pub fn reload(&self) -> Result<Exchange, Error> {
        self.reload_at(UnixTime::now())
    }

    pub(super) fn reload_at(&self, now: UnixTime) -> Result<Exchange, Error> {
        // Held while the files are read, so that of two reloads the later one has read what counts.
        let mut held = self.material.lock().unwrap_or_else(PoisonError::into_inner);
        let material = Material::read(&self.settings)?;
        if *held == material {
            return Ok(Exchange::Unchanged);
        }
        let loaded = build(&self.settings, &material)?;
        loaded.may_follow(&self.current(), &self.settings, seconds(now))?;
        tell_revoked_cas(&loaded);
        let loaded = Arc::new(loaded);
        self.current.store(loaded.clone());
        *held = material;
        drop(held);
        self.bonds.judge(&loaded, |chain| self.moment(chain, now)).tell();
        Ok(Exchange::Replaced)
    }

    /// Lets in a connection whose handshake is over, or not: by what is in force now, whatever was when it began. While the
    /// second value lives, the connection is told when it may not go on; none where certificates decide nothing.
    ///
    /// # Errors
    /// [`Failure`] when a certificate is demanded and none, or none that is good, was shown.
    pub(crate) fn admit(
        &self,
        shown: Option<&[CertificateDer<'static>]>,
    ) -> Result<(Evidence, Option<Standing>), Failure> {
        let now = UnixTime::now();
        loop {
            let loaded = self.current();
            let evidence = loaded.judge(shown, now)?;
            let Some(shown) = shown.filter(|_| loaded.asks_for_certificates()) else {
                return Ok((evidence, None));
            };
            let is_in_force = || Arc::ptr_eq(&self.current(), &loaded);
            if let Some(standing) = self.bonds.note(shown, is_in_force, seconds(now)) {
                return Ok((evidence, Some(standing)));
            }
        }
    }

    /// Cuts the connections whose certificate has ended, where they may not outlive it.
    pub(crate) fn look_at_ends(&self) {
        self.look_at_ends_at(UnixTime::now());
    }

    fn look_at_ends_at(&self, now: UnixTime) {
        if self.settings.manner == Manner::Strict {
            self.bonds.judge_ended(&self.current(), now).tell();
        }
    }

    /// The moment by which a standing connection is judged: where it outlives its certificate, one at which that was good.
    fn moment(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> UnixTime {
        match (self.settings.manner, first_end(chain).map(u64::try_from)) {
            (Manner::AsEtcd, Some(Ok(end))) if end < now.as_secs() => {
                UnixTime::since_unix_epoch(Duration::from_secs(end))
            }
            _ => now,
        }
    }
}

fn seconds(at: UnixTime) -> i64 {
    i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
}

/// An operator who revoked a CA has to see that it took effect.
fn tell_revoked_cas(loaded: &Loaded) {
    for ca in &loaded.revoked_cas {
        let hint = "take it out of the bundle";
        tracing::warn!(
            ca,
            hint,
            "a CA of the client CA bundle is on a revocation list: its certificates are refused"
        );
    }
}

impl std::fmt::Debug for Reloading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading")
            .field("certificate", &self.settings.certificate.name())
            .finish_non_exhaustive()
    }
}
