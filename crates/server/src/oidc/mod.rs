//! Users of an OpenID Connect issuer: from a token that it made to evidence of who asks.
//!
//! Owns what is demanded of such a token (`token`), the issuer's keys of the moment (`keys`), how they are fetched (`fetch`)
//! and kept fresh (`refresh`), and a bounded memory of tokens whose signature was found good. Who may do what is
//! `state::auth`'s; which claims are whose user is said by its identity rules.
//!
//! ```text
//!  issuer ──discovery, JWKS──▶ refresh ──Keys──▶ Oidc::recognize(token) ──▶ Evidence::Claims | BadToken
//!                                 ▲                      │ a key that is not known: one look, bounded
//!                                 └──────────────────────┘
//! ```
//!
//! Invariants: a token is good only while the key that signed it is among the issuer's, and no key is good for longer than
//! `OIDC_KEYS_SECONDS_MAX` after the issuer last named it; times are looked at for every use. Sources: OpenID Connect Core 1.0
//! §3.1.3.7 and Discovery 1.0, RFC 7515 to 7519, RFC 8725 (what to refuse), RFC 8705 §3.1 (bound to a certificate), RFC 9068.

mod fetch;
mod keys;
mod refresh;
mod token;

pub use fetch::Error;
pub(crate) use refresh::start;

use crate::gate::Connection;
use crate::metrics::Metrics;
use arc_swap::ArcSwapOption;
use env::{Clock, Monotonic};
use keys::Keys;
use quick_cache::sync::Cache;
use state::auth::Evidence;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use token::{Good, Refusal};
use tokio::sync::{Notify, watch};
use types::limits::{
    OIDC_KEYS_SECONDS_MAX, OIDC_TOKENS_CHECKED_MAX, OIDC_UNKNOWN_KEY_SECONDS, OIDC_WAIT_SECONDS_MAX,
    OIDC_WAITING_MAX,
};

/// Whose tokens are taken, as the operator wrote it; checked by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The issuer, exactly as its tokens and its discovery document name it.
    pub issuer: String,
    /// For whom a token must be.
    pub audience: String,
    /// The roots that vouch for the issuer's certificate; the system's without one.
    pub ca: Option<PathBuf>,
    /// The claim that names the user, where no identity rule does.
    pub claim: String,
    /// What is put before that name, so that the issuer cannot name a user that somebody else made.
    pub prefix: String,
    /// Whether the issuer may be asked in clear text, on loopback.
    pub clear_text: bool,
}

/// Whether this can be an issuer: what its tokens and its discovery document call it, to the letter.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn check_issuer(url: &str, clear_text: bool) -> Result<(), String> {
    if url.contains(['?', '#']) {
        return Err("an issuer has neither a query nor a fragment".to_owned());
    }
    fetch::Place::read(url, clear_text).map(drop)
}

/// Recognizes the tokens of one issuer.
pub struct Oidc {
    settings: Settings,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    keys: ArcSwapOption<Fetched>,
    checked: Cache<[u8; 32], Arc<Good>>,
    /// Wakes who fetches.
    wanted: Notify,
    /// Counts the looks at the issuer that came to an end.
    looks: watch::Sender<u64>,
    is_looking: AtomicBool,
    /// When a token last made us look, in milliseconds of the monotonic clock, plus one.
    looked: AtomicU64,
    waiting: Arc<AtomicUsize>,
}

/// The issuer's keys, and when it named them.
struct Fetched {
    keys: Keys,
    at: Monotonic,
}

impl Oidc {
    /// Nobody is recognized before the keys were fetched; see [`start`].
    #[must_use]
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            settings,
            clock,
            metrics,
            keys: ArcSwapOption::empty(),
            checked: Cache::new(OIDC_TOKENS_CHECKED_MAX),
            wanted: Notify::new(),
            looks: watch::Sender::new(0),
            is_looking: AtomicBool::new(true),
            looked: AtomicU64::new(0),
            waiting: Arc::default(),
        }
    }

    /// Whose tokens these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Whether it may be a token of an issuer at all: three parts. Our own have one or two.
    pub(crate) fn is_one(token: &str) -> bool {
        token.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// What a token proves that came over this connection.
    pub(crate) fn recognize(&self, token: &str, connection: Option<&Connection>) -> Evidence {
        match self.verify(token, connection) {
            Ok(good) => good.evidence.clone(),
            Err(refusal) => {
                self.metrics.oidc_refused.with([refusal.reason()]).inc();
                tracing::debug!(reason = refusal.reason(), "a token of the issuer is not good");
                Evidence::BadToken
            }
        }
    }

    fn verify(&self, token: &str, connection: Option<&Connection>) -> Result<Arc<Good>, Refusal> {
        token::check_size(token)?;
        let fetched = self.keys.load();
        let keys = fetched.as_deref().filter(|fetched| self.is_fresh(fetched)).ok_or(Refusal::NoKeys)?;
        let name = digest(token.as_bytes());
        let good = match self.checked.get(&name).filter(|good| keys.keys.has(&good.key)) {
            Some(good) => good,
            None => {
                let good = Arc::new(token::check(token, &keys.keys, &self.settings)?);
                self.checked.insert(name, good.clone());
                good
            }
        };
        good.is_in_time(self.clock.wall().unix_seconds())?;
        good.is_bound_to(connection)?;
        Ok(good)
    }

    fn is_fresh(&self, fetched: &Fetched) -> bool {
        self.clock.monotonic().since(fetched.at) < Duration::from_secs(OIDC_KEYS_SECONDS_MAX)
    }

    /// What to wait for before a refused token is refused for good: a look at the issuer for a key that it may have made
    /// since. None where that would not help, was done a moment ago, or too many wait.
    pub(crate) fn learning(&self, token: &str) -> Option<impl Future<Output = ()> + Send + use<>> {
        // From here on: a look that ends while the rest is decided is not missed.
        let mut looks = self.looks.subscribe();
        if !self.may_be_of_a_new_key(token) || !self.is_worth_a_look() {
            return None;
        }
        let place = Place::of(&self.waiting)?;
        Some(async move {
            let _place = place;
            // In time or not: what is known then decides.
            let _ = tokio::time::timeout(Duration::from_secs(OIDC_WAIT_SECONDS_MAX), looks.changed()).await;
        })
    }

    fn may_be_of_a_new_key(&self, token: &str) -> bool {
        let fetched = self.keys.load();
        let none = Keys::default();
        let keys = fetched.as_deref().map_or(&none, |fetched| &fetched.keys);
        token::check_size(token).is_ok() && token::is_of_unknown_key(token, keys, &self.settings)
    }

    /// Whether the issuer is being looked at, or may be now.
    fn is_worth_a_look(&self) -> bool {
        if self.is_looking.load(Ordering::Acquire) {
            return true;
        }
        let now = self.clock.monotonic().millis().saturating_add(1);
        let last = self.looked.load(Ordering::Acquire);
        if last != 0 && now.saturating_sub(last) < OIDC_UNKNOWN_KEY_SECONDS.saturating_mul(1_000) {
            return false;
        }
        if self.looked.compare_exchange(last, now, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.is_looking.store(true, Ordering::Release);
            self.wanted.notify_one();
        }
        true
    }

    /// Takes the keys that the issuer names now; answers whether they differ from those before.
    fn take(&self, keys: Keys) -> bool {
        let before = self.keys.load();
        let is_new = before.as_deref().is_none_or(|before| !before.keys.are(&keys));
        self.metrics.oidc_keys.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
        self.metrics.oidc_fetched.set(i64::try_from(self.clock.wall().unix_seconds()).unwrap_or(i64::MAX));
        self.keys.store(Some(Arc::new(Fetched { keys, at: self.clock.monotonic() })));
        is_new
    }

    /// Lets those who wait look again.
    fn has_looked(&self) {
        self.is_looking.store(false, Ordering::Release);
        self.looks.send_modify(|looks| *looks = looks.wrapping_add(1));
    }
}

/// One of the places for requests that wait.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn of(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(waiting.clone());
        let before = waiting.fetch_add(1, Ordering::AcqRel);
        (before < OIDC_WAITING_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    out.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
pub(crate) mod tests;
