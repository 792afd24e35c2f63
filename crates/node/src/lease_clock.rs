//! When leases end: the deadlines of the member that leads.
//!
//! Owns time-to-live arithmetic on the monotonic clock, nothing replicated: the state machine holds which leases there
//! are and their keys, this holds until when. Whoever drives it proposes the revocation of what has expired. Deadlines
//! are not persistent: after a start or a change of leader every lease gets its full (or checkpointed) life again, as in etcd.
//!
//! Invariants: an expired lease is never renewed, so that nobody believes in a lease whose revocation is on its way; a
//! lease handed out by [`LeaseClock::expired`] is handed out again only after [`RETRY_MS`], in case its revocation was lost.

use std::collections::{BTreeSet, HashMap};
use types::LeaseId;

/// After this time a revocation that has not been applied is proposed again.
const RETRY_MS: u64 = 3_000;

/// Milliseconds on the monotonic clock.
pub(crate) type Millis = u64;

/// The deadlines.
#[derive(Default)]
pub(crate) struct LeaseClock {
    leases: HashMap<LeaseId, Lease>,
    /// (when to look at it next, which); one entry for each lease.
    agenda: BTreeSet<(Millis, LeaseId)>,
}

struct Lease {
    ttl_seconds: i64,
    deadline: Millis,
    look_at: Millis,
}

impl LeaseClock {
    /// A lease begins, or begins again with `life_seconds` left of its time to live.
    pub(crate) fn start(&mut self, id: LeaseId, ttl_seconds: i64, life_seconds: i64, now: Millis) {
        self.end(id);
        let deadline = now.saturating_add(millis(life_seconds));
        self.leases.insert(id, Lease { ttl_seconds, deadline, look_at: deadline });
        self.agenda.insert((deadline, id));
    }

    /// A lease is gone.
    pub(crate) fn end(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.remove(&id) {
            self.agenda.remove(&(lease.look_at, id));
        }
    }

    /// Renews a lease that has not expired; answers its time to live in seconds.
    pub(crate) fn renew(&mut self, id: LeaseId, now: Millis) -> Option<i64> {
        let lease = self.leases.get_mut(&id).filter(|lease| now < lease.deadline)?;
        let ttl = lease.ttl_seconds;
        self.agenda.remove(&(lease.look_at, id));
        lease.deadline = now.saturating_add(millis(ttl));
        lease.look_at = lease.deadline;
        self.agenda.insert((lease.look_at, id));
        Some(ttl)
    }

    /// Whole seconds that a lease has left; 0 once it has expired and its revocation is on its way.
    pub(crate) fn remaining_seconds(&self, id: LeaseId, now: Millis) -> Option<i64> {
        let left = self.leases.get(&id)?.deadline.saturating_sub(now);
        Some(i64::try_from(left / 1_000).unwrap_or(i64::MAX))
    }

    /// Up to `max` leases that have expired, earliest first; each is told again after `RETRY_MS` unless it ends.
    pub(crate) fn expired(&mut self, now: Millis, max: usize) -> Vec<LeaseId> {
        let due: Vec<_> = self.agenda.iter().take_while(|(at, _)| *at <= now).take(max).copied().collect();
        for (at, id) in &due {
            self.agenda.remove(&(*at, *id));
            if let Some(lease) = self.leases.get_mut(id) {
                lease.look_at = now.saturating_add(RETRY_MS);
                self.agenda.insert((lease.look_at, *id));
            }
        }
        due.into_iter().map(|(_, id)| id).collect()
    }
}

fn millis(seconds: i64) -> Millis {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LeaseId = LeaseId(1);
    const B: LeaseId = LeaseId(2);

    /// A lease ends after its time to live, not before, and renewing moves the end: this is the whole promise of a lease.
    #[test]
    fn a_lease_ends_after_its_time_to_live_counted_from_the_last_renewal() {
        let mut clock = LeaseClock::default();
        clock.start(A, 5, 5, 0);
        assert_eq!(clock.expired(4_999, 10), []);
        assert_eq!(clock.renew(A, 4_000), Some(5));
        assert_eq!(clock.expired(8_999, 10), []);
        assert_eq!(clock.remaining_seconds(A, 7_500), Some(1));
        assert_eq!(clock.expired(9_000, 10), [A]);
    }

    /// An expired lease must stay expired even before its revocation is applied: a holder told otherwise would go on
    /// using keys that vanish.
    #[test]
    fn an_expired_lease_is_not_renewed() {
        let mut clock = LeaseClock::default();
        clock.start(A, 2, 2, 0);
        assert_eq!(clock.renew(A, 2_000), None);
        assert_eq!(clock.remaining_seconds(A, 2_000), Some(0));
    }

    /// A lost revocation is proposed again, but not in every round; an applied one is never.
    #[test]
    fn an_expired_lease_is_told_again_only_after_a_while() {
        let mut clock = LeaseClock::default();
        clock.start(A, 2, 2, 0);
        clock.start(B, 2, 2, 0);
        assert_eq!(clock.expired(2_000, 1), [A]);
        assert_eq!(clock.expired(2_000, 10), [B]);
        clock.end(B);
        assert_eq!(clock.expired(2_000 + RETRY_MS - 1, 10), []);
        assert_eq!(clock.expired(2_000 + RETRY_MS, 10), [A]);
    }

    /// The longest lease etcd allows must not overflow the clock.
    #[test]
    fn the_longest_lease_fits_the_clock() {
        let mut clock = LeaseClock::default();
        clock.start(A, i64::MAX, i64::MAX, u64::MAX - 5);
        assert_eq!(clock.expired(u64::MAX - 1, 10), []);
    }
}
