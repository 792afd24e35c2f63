//! Keeping the issuer's keys fresh: one thread that looks at the issuer, and waits.
//!
//! Owns when to look: as often as the issuer's cache times say, within bounds; soon again after a failure, ever more slowly;
//! and at once when a token names a key that is not known. What was fetched last stays in use while the issuer is away
//! (`Oidc::is_fresh` says for how long). Never: holds up a request.

use super::Oidc;
use super::fetch::{Client, Error};
use std::sync::Arc;
use std::time::Duration;
use types::limits::{
    OIDC_FETCH_SECONDS_MAX, OIDC_KEYS_SECONDS_MAX, OIDC_REFRESH_SECONDS, OIDC_REFRESH_SECONDS_DEFAULT,
    OIDC_RETRY_SECONDS,
};

/// Starts the thread; it ends with the process.
///
/// # Errors
/// The issuer's roots cannot be read, or there is no thread.
pub(crate) fn start(oidc: Arc<Oidc>) -> Result<(), Error> {
    let client = Client::new(&oidc.settings)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
    let keep_fresh = move || runtime.block_on(keep_fresh(&oidc, &client));
    std::thread::Builder::new().name("oidc".to_owned()).spawn(keep_fresh).map(drop).map_err(Error::Thread)
}

async fn keep_fresh(oidc: &Oidc, client: &Client) {
    let mut pace = Pace::default();
    loop {
        let wait = look(oidc, client, &mut pace).await;
        oidc.has_looked();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = oidc.wanted.notified() => {}
        }
    }
}

/// Looks once; answers how long to wait before the next time.
async fn look(oidc: &Oidc, client: &Client, pace: &mut Pace) -> Duration {
    let looked = tokio::time::timeout(Duration::from_secs(OIDC_FETCH_SECONDS_MAX), client.look());
    let looked = match looked.await {
        Ok(looked) => looked.map_err(|failed| failed.to_string()),
        Err(_) => Err(format!("no answer within {OIDC_FETCH_SECONDS_MAX} s")),
    };
    match looked {
        Ok(looked) => {
            oidc.metrics.oidc_fetches.with(["ok"]).inc();
            let (count, is_new) = (looked.keys.len(), oidc.take(looked.keys));
            if is_new || pace.is_failing() {
                tracing::info!(
                    issuer = oidc.issuer(),
                    keys = count,
                    is_new,
                    "the OIDC issuer's keys are known"
                );
            }
            pace.after_success(looked.keep)
        }
        Err(error) => {
            oidc.metrics.oidc_fetches.with(["failed"]).inc();
            // Once while it is away, and again when the reason changes.
            if pace.is_news(&error) {
                tracing::warn!(
                    issuer = oidc.issuer(),
                    %error,
                    keys_are_good_for_seconds = OIDC_KEYS_SECONDS_MAX,
                    hint = "check --oidc-issuer and --oidc-ca, and that this machine reaches the issuer; keys fetched before stay in use meanwhile",
                    "cannot fetch the OIDC issuer's keys"
                );
            }
            pace.after_failure()
        }
    }
}

/// How often to look.
#[derive(Debug, Default)]
struct Pace {
    /// The last failure, and the wait after it, since the last success.
    failing: Option<(String, Duration)>,
}

impl Pace {
    fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Notes why it failed; whether that was not known.
    fn is_news(&mut self, error: &str) -> bool {
        let (last, wait) = self.failing.take().unwrap_or_default();
        self.failing = Some((error.to_owned(), wait));
        last != error
    }

    fn after_success(&mut self, keep: Option<Duration>) -> Duration {
        self.failing = None;
        let (shortest, longest) = OIDC_REFRESH_SECONDS;
        let keep = keep.unwrap_or(Duration::from_secs(OIDC_REFRESH_SECONDS_DEFAULT));
        keep.clamp(Duration::from_secs(shortest), Duration::from_secs(longest))
    }

    fn after_failure(&mut self) -> Duration {
        let (first, longest) = OIDC_RETRY_SECONDS;
        let (error, before) = self.failing.take().unwrap_or_default();
        let wait = before.saturating_mul(2).clamp(Duration::from_secs(first), Duration::from_secs(longest));
        self.failing = Some((error, wait));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An issuer must neither be flooded nor left with keys that it took back: whatever it says, looks come within bounds.
    #[test]
    fn looks_come_within_bounds() {
        let mut pace = Pace::default();
        let seconds = Duration::from_secs;
        assert_eq!(pace.after_success(Some(Duration::ZERO)), seconds(60));
        assert_eq!(pace.after_success(Some(seconds(300))), seconds(300));
        assert_eq!(pace.after_success(Some(seconds(u64::MAX))), seconds(3_600));
        assert_eq!(pace.after_success(None), seconds(600));
        let waits: Vec<u64> = (0..7).map(|_| pace.after_failure().as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
        pace.after_success(None);
        assert_eq!(pace.after_failure(), seconds(2), "a success starts it anew");
    }

    /// An issuer that is away for a day must not fill the log; another reason is news.
    #[test]
    fn a_failure_is_told_once() {
        let mut pace = Pace::default();
        assert!(pace.is_news("a"));
        pace.after_failure();
        assert!(!pace.is_news("a") && pace.is_news("b") && !pace.is_news("b"));
        pace.after_success(None);
        assert!(pace.is_news("b"));
    }
}
