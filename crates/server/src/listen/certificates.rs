//! The look at the certificates of the listeners, again and again: what changed in their files, and what has ended.
//!
//! Owns when it is looked, what is said of ends that come nearer, and that a thing is said once: a set of files that is refused when it is seen for the second time
//! (the first may be half written), and again only after something else was seen. The work is done on a thread that serves
//! nobody. Decides nothing about certificates; [`Reloading`] does.

use crate::metrics::Metrics;
use crate::tls::{End, Error, Exchange, Kind, Reloading, Step, Warnings, shown};
use rustls::pki_types::UnixTime;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked which connections' certificates have ended.
const ENDS_INTERVAL: Duration = Duration::from_millis(500);

/// What became of one certificate at a reload.
#[derive(Debug)]
pub struct Reload {
    /// The certificate's name.
    pub name: String,
    /// What happened.
    pub result: Result<Exchange, Error>,
}

/// Reads everything anew.
pub(super) fn reload(tls: &[Arc<Reloading>]) -> Vec<Reload> {
    tls.iter().map(|tls| Reload { name: tls.settings().certificate.name(), result: tls.reload() }).collect()
}

/// Looks at certificates until it is dropped; at the files every `every`, or never if that is zero.
pub(super) async fn watch(tls: Vec<Arc<Reloading>>, metrics: Arc<Metrics>, every: Duration) {
    let ends = async {
        let mut ticks = interval(ENDS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            aside(&tls, |tls| tls.iter().for_each(|tls| tls.look_at_ends())).await;
        }
    };
    let files = async {
        if every.is_zero() {
            return std::future::pending().await;
        }
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut complaints, mut warnings) = (Complaints::default(), Warnings::default());
        loop {
            ticks.tick().await;
            let Some(results) = aside(&tls, reload).await else { continue };
            if let Some(first) = tls.first() {
                metrics.certificate_not_after.set(first.current().not_after);
            }
            count(&results, &metrics);
            say(&results, &mut complaints, &metrics);
            let ends = tls.iter().flat_map(|tls| tls.current().ends()).collect();
            for (end, step) in warnings.due(ends, now()) {
                warn(&end, step);
            }
        }
    };
    tokio::join!(ends, files);
}

/// On a thread of its own: reading files and judging thousands of certificates takes time that the accepting thread has not.
async fn aside<T: Send + 'static>(
    tls: &[Arc<Reloading>],
    work: impl FnOnce(&[Arc<Reloading>]) -> T + Send + 'static,
) -> Option<T> {
    let tls = tls.to_vec();
    // A panic in it has been reported by the panic hook; the next look comes.
    tokio::task::spawn_blocking(move || work(&tls)).await.ok()
}

/// Counts what was taken and what stands refused.
pub(super) fn count(results: &[Reload], metrics: &Metrics) {
    let refused = results.iter().filter(|reload| reload.result.is_err()).count();
    metrics.certificates_refused.set(i64::try_from(refused).unwrap_or(i64::MAX));
    let replaced = results.iter().filter(|reload| matches!(reload.result, Ok(Exchange::Replaced))).count();
    metrics.certificate_reloads.with(["replaced"]).add(replaced as u64);
}

fn say(results: &[Reload], complaints: &mut Complaints, metrics: &Metrics) {
    let error =
        |reload: &'_ Reload| reload.result.as_ref().err().map(|error| format!("{}: {error}", reload.name));
    let mut due = complaints.due(results.iter().filter_map(error).collect());
    for reload in results {
        // Two listeners may have the same files.
        if let (Err(why), Some(text)) = (&reload.result, error(reload))
            && due.remove(&text)
        {
            metrics.certificate_reloads.with(["refused"]).inc();
            tracing::warn!(
                certificate = %reload.name, error = %why, hint = why.hint(),
                "keeping the certificates in use: the files on disk are refused"
            );
        }
        if matches!(reload.result, Ok(Exchange::Replaced)) {
            tracing::info!(certificate = %reload.name, "certificates exchanged; new connections use them");
        }
    }
}

fn now() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}

/// One line about an end that has come nearer, or is there.
fn warn(end: &End, step: Step) {
    let (kind, name, not_after, hint) = (end.kind.word(), &end.name, shown(end.life.ends), end.hint());
    match (end.kind, step) {
        (Kind::RevocationList, Step::PAST) => {
            tracing::warn!(kind, name, not_after, hint, "a revocation list is stale; it stays in force");
        }
        (_, Step::PAST) => tracing::error!(kind, name, not_after, hint, "a certificate has ended"),
        _ => {
            let left = end.life.ends.saturating_sub(now()).max(0);
            let hours_left = left.checked_div(3_600).unwrap_or(0);
            tracing::warn!(
                kind,
                name,
                not_after,
                hours_left,
                hint,
                "a certificate or revocation list ends soon"
            );
        }
    }
}

/// What was complained of, so that it is said once.
#[derive(Debug, Default)]
struct Complaints {
    seen: BTreeSet<String>,
    told: BTreeSet<String>,
}

impl Complaints {
    /// Of what stands now: what stood at the last look too and was not told yet. What is gone may be told again.
    fn due(&mut self, now: BTreeSet<String>) -> BTreeSet<String> {
        let due = now.iter().filter(|text| self.seen.contains(*text) && !self.told.contains(*text));
        let due: BTreeSet<_> = due.cloned().collect();
        self.told.retain(|text| now.contains(text));
        self.told.extend(due.iter().cloned());
        self.seen = now;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set that stays wrong is told once, not at every look; one that is wrong for a moment, while somebody writes it, not
    /// at all; and one that was mended and is wrong again is told again.
    #[test]
    fn a_complaint_is_made_once() {
        let mut complaints = Complaints::default();
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        for (now, due) in [
            (set(&["half"]), set(&[])),
            (set(&["wrong"]), set(&[])),
            (set(&["wrong"]), set(&["wrong"])),
            (set(&["wrong", "other"]), set(&[])),
            (set(&["wrong", "other"]), set(&["other"])),
            (set(&[]), set(&[])),
            (set(&["wrong"]), set(&[])),
            (set(&["wrong"]), set(&["wrong"])),
        ] {
            assert_eq!(complaints.due(now.clone()), due, "{now:?}");
        }
    }
}
