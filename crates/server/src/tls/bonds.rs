//! The connections that stand on a client's certificate, and their end when it is no longer accepted.
//!
//! Owns, for each chain of certificates that clients showed, the connections made with it. When the material is exchanged
//! each chain is judged once, however many connections it has, on the thread that exchanges and never on one that serves; those
//! that are refused are cut at once, revoked ones before the dearer check of all others begins. The end of a certificate is
//! such a moment too, where the settings say so.
//!
//! Invariants: no lock is held while a chain is judged; a connection is either noted before an exchange, and judged by it, or
//! judged by what came with it ([`super::Reloading::admit`]).

use super::{Failure, Loaded};
use rustls::pki_types::{CertificateDer, UnixTime};
use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a client showed: its certificate first.
type Chain = Arc<[CertificateDer<'static>]>;

/// What one connection stands on.
#[derive(Debug, Default)]
pub(crate) struct Bond {
    broken: OnceLock<Failure>,
    told: Arc<Notify>,
}

impl Bond {
    /// Why the connection may not go on, if so.
    pub(crate) fn broken(&self) -> Option<&Failure> {
        self.broken.get()
    }

    /// Waits for the end of it.
    pub(crate) async fn break_up(self: &Arc<Self>) -> Failure {
        let mut waiting = Waiting::new(self.clone());
        std::future::poll_fn(|cx| waiting.poll(cx)).await
    }

    fn cut(&self, failure: &Failure) {
        let _ = self.broken.set(failure.clone());
        self.told.notify_waiters();
    }
}

/// Each is only itself.
impl PartialEq for Bond {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Bond {}

/// Waits for a bond to break, whatever else its owner waits for.
#[derive(Debug)]
pub(crate) struct Waiting {
    bond: Arc<Bond>,
    notified: Option<Pin<Box<OwnedNotified>>>,
}

impl Waiting {
    pub(crate) fn new(bond: Arc<Bond>) -> Self {
        Self { bond, notified: None }
    }

    /// Why it is broken, now.
    pub(crate) fn broken(&self) -> Option<&Failure> {
        self.bond.broken()
    }

    /// Ready when it is broken; costs something only where it has to wait.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            let fresh = || Box::pin(self.bond.told.clone().notified_owned());
            let notified = self.notified.get_or_insert_with(fresh);
            // Asked after the wait has begun: whoever cuts from now on wakes it.
            if let Some(failure) = self.bond.broken() {
                return Poll::Ready(failure.clone());
            }
            if notified.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.notified = None;
        }
    }
}

/// The bonds of one listener's material.
#[derive(Debug, Default)]
pub(super) struct Bonds(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    chains: HashMap<Chain, Group>,
    number: u64,
    /// No chain ends before this, Unix seconds.
    next_end: Option<i64>,
}

/// The connections made with one chain.
#[derive(Debug)]
struct Group {
    bonds: BTreeMap<u64, Arc<Bond>>,
    /// When one of its certificates ends next.
    ends: Option<i64>,
}

/// A connection's place among the bonds, given back when dropped.
#[derive(Debug)]
pub(crate) struct Standing {
    bonds: Arc<Bonds>,
    chain: Chain,
    number: u64,
    bond: Arc<Bond>,
}

impl Standing {
    /// What the connection stands on.
    pub(crate) fn bond(&self) -> &Arc<Bond> {
        &self.bond
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut noted = self.bonds.lock();
        if let Some(group) = noted.chains.get_mut(&self.chain) {
            group.bonds.remove(&self.number);
            if group.bonds.is_empty() {
                noted.chains.remove(&self.chain);
            }
        }
    }
}

/// What was cut, for the log.
#[derive(Debug, Default)]
pub(super) struct Cut {
    by_reason: BTreeMap<&'static str, Reason>,
}

#[derive(Debug, Default)]
struct Reason {
    connections: usize,
    certificates: usize,
    names: Vec<String>,
}

/// Names of certificates in one line of the log.
const NAMES_SHOWN: usize = 5;

impl Bonds {
    /// Notes a connection, if what it was judged by is still in force.
    pub(super) fn note(
        self: &Arc<Self>,
        shown: &[CertificateDer<'static>],
        is_in_force: impl FnOnce() -> bool,
        now: i64,
    ) -> Option<Standing> {
        let (bond, chain) = (Arc::new(Bond::default()), Chain::from(shown));
        let mut noted = self.lock();
        if !is_in_force() {
            return None;
        }
        let number = noted.number.wrapping_add(1);
        noted.number = number;
        let group = noted.chains.entry(chain.clone());
        let group = group.or_insert_with(|| Group { ends: next_end(shown, now), bonds: BTreeMap::new() });
        group.bonds.insert(number, bond.clone());
        let ends = group.ends;
        noted.next_end = [noted.next_end, ends].into_iter().flatten().min();
        drop(noted);
        Some(Standing { bonds: self.clone(), chain, number, bond })
    }

    /// The certificates that connections stand on, and how many do on each.
    pub(super) fn in_use(&self) -> Vec<(CertificateDer<'static>, usize)> {
        let noted = self.lock();
        let leaf = |(chain, group): (&Chain, &Group)| Some((chain.first()?.clone(), group.bonds.len()));
        noted.chains.iter().filter_map(leaf).collect()
    }

    /// Judges every connection again; `at` is the moment that counts for a chain that ends then.
    pub(super) fn judge(&self, loaded: &Loaded, at: impl Fn(&[CertificateDer<'_>]) -> UnixTime) -> Cut {
        let mut cut = Cut::default();
        let chains: Vec<Chain> = self.lock().chains.keys().cloned().collect();
        let (revoked, others): (Vec<_>, Vec<_>) = chains.into_iter().partition(|chain| loaded.revokes(chain));
        for chain in revoked {
            self.cut(&chain, &Failure::Revoked, &mut cut);
        }
        for chain in others {
            if let Err(failure) = loaded.judge(Some(&chain), at(&chain)) {
                self.cut(&chain, &failure, &mut cut);
            }
        }
        cut
    }

    /// Judges the connections of which a certificate has ended at `now`.
    pub(super) fn judge_ended(&self, loaded: &Loaded, now: UnixTime) -> Cut {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let mut ended = Vec::new();
        let mut noted = self.lock();
        if noted.next_end.is_none_or(|end| end > seconds) {
            return Cut::default();
        }
        for (chain, group) in &mut noted.chains {
            if group.ends.is_some_and(|end| end <= seconds) {
                ended.push(chain.clone());
                group.ends = next_end(chain, seconds);
            }
        }
        noted.next_end = noted.chains.values().filter_map(|group| group.ends).min();
        drop(noted);
        let mut cut = Cut::default();
        for chain in ended {
            if let Err(failure) = loaded.judge(Some(&chain), now) {
                self.cut(&chain, &failure, &mut cut);
            }
        }
        cut
    }

    fn cut(&self, chain: &Chain, failure: &Failure, cut: &mut Cut) {
        // The bonds stay where they are until their connections have ended.
        let bonds: Vec<Arc<Bond>> = {
            let noted = self.lock();
            noted.chains.get(chain).map_or_else(Vec::new, |group| group.bonds.values().cloned().collect())
        };
        let bonds: Vec<_> = bonds.into_iter().filter(|bond| bond.broken().is_none()).collect();
        if bonds.is_empty() {
            return;
        }
        let reason = cut.by_reason.entry(failure.reason()).or_default();
        reason.connections = reason.connections.saturating_add(bonds.len());
        reason.certificates = reason.certificates.saturating_add(1);
        if reason.names.len() < NAMES_SHOWN {
            let name = chain.first().and_then(super::identity::common_name);
            reason.names.push(name.unwrap_or_else(|| "(without a common name)".to_owned()));
        }
        bonds.iter().for_each(|bond| bond.cut(failure));
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cut {
    /// One line for each reason.
    pub(super) fn tell(&self) {
        for (reason, Reason { connections, certificates, names }) in &self.by_reason {
            let names = names.join(", ");
            tracing::warn!(
                reason,
                connections,
                certificates,
                names,
                hint = "their clients are told why; each needs a certificate that is accepted here",
                "cut connections whose client certificate is no longer accepted"
            );
        }
    }
}

/// When the first of these certificates ends after `now`, Unix seconds.
fn next_end(shown: &[CertificateDer<'_>], now: i64) -> Option<i64> {
    // A certificate is good up to its last second, that one included.
    ends(shown).map(|end| end.saturating_add(1)).filter(|end| *end > now).min()
}

/// When the first of these certificates ends, as they say.
pub(super) fn first_end(shown: &[CertificateDer<'_>]) -> Option<i64> {
    ends(shown).min()
}

fn ends(shown: &[CertificateDer<'_>]) -> impl Iterator<Item = i64> {
    shown.iter().filter_map(|der| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    })
}
