//! What users' requests take, noted for a while: the ground on which a policy can be proposed.
//!
//! Owns the notes, which are this member's, in memory, for as long as an administrator asked, and gone with the process.
//! Decides nothing and changes nothing; the gate tells it of every request of somebody, let in or not.
//!
//! Invariants: while nobody asked for it a request costs one look at a flag; users, ranges and their bytes are limited; values
//! are never seen.

mod uses;

pub(crate) use uses::Span;

use env::Clock;
use state::auth::{Ability, Demand, Policy, Principal, Right};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use types::limits::LEARNED_USERS_MAX;
use uses::Uses;

/// Notes what is used.
pub(crate) struct Learner {
    is_on: AtomicBool,
    clock: Arc<dyn Clock>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    period: Period,
    users: BTreeMap<String, Noted>,
    /// Requests of users for whom there was no room.
    missed: u64,
}

/// From when to when it is noted, Unix seconds; zeros for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Period {
    /// The beginning.
    pub(crate) since: u64,
    /// The end, which may be to come.
    pub(crate) until: u64,
}

#[derive(Default)]
struct Noted {
    allowed: Tally,
    refused: Tally,
}

#[derive(Default)]
struct Tally {
    read: Uses,
    write: Uses,
    rights: BTreeMap<&'static str, u64>,
}

/// The name under which it is noted that something takes an administrator.
pub(crate) const ADMINISTRATOR: &str = "administrator";

/// One thing that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Keys.
    Keys(Right, Span),
    /// An administrative right, or [`ADMINISTRATOR`].
    Right(&'static str),
}

/// What one user asked for, and how often; without a name it is whoever showed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) user: String,
    pub(crate) allowed: Vec<(Use, u64)>,
    pub(crate) refused: Vec<(Use, u64)>,
    /// How often something was asked for that there was no room to keep.
    pub(crate) missed: u64,
}

/// Everything noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) period: Period,
    pub(crate) is_on: bool,
    pub(crate) users: Vec<Used>,
    /// Requests of users for whom there was no room.
    pub(crate) missed: u64,
}

impl Tally {
    fn note(&mut self, policy: &Policy, demand: &Demand) {
        match demand {
            Demand::Keys(accesses) => {
                for (range, right) in &accesses.ranges {
                    self.of(*right).note(range);
                }
                policy.keys_of(&accesses.leases, |key, right| self.of(right).note(&key));
            }
            Demand::Ability(ability) => self.count(Ability::name(*ability)),
            Demand::Administrator => self.count(ADMINISTRATOR),
            Demand::Nothing | Demand::Known | Demand::User(_) | Demand::Role(_) => {}
        }
    }

    fn of(&mut self, right: Right) -> &mut Uses {
        match right {
            Right::Read => &mut self.read,
            Right::Write => &mut self.write,
        }
    }

    fn count(&mut self, right: &'static str) {
        let times = self.rights.entry(right).or_default();
        *times = times.saturating_add(1);
    }

    fn told(&self, from: usize) -> Vec<(Use, u64)> {
        let keys = |right| move |(span, times)| (Use::Keys(right, span), times);
        let read = self.read.proposed(from).into_iter().map(keys(Right::Read));
        let write = self.write.proposed(from).into_iter().map(keys(Right::Write));
        let rights = self.rights.iter().map(|(right, times)| (Use::Right(right), *times));
        read.chain(write).chain(rights).collect()
    }

    fn missed(&self) -> u64 {
        self.read.missed().saturating_add(self.write.missed())
    }
}

impl Learner {
    /// One that notes nothing yet.
    #[must_use]
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { is_on: AtomicBool::new(false), clock, notes: Mutex::default() }
    }

    /// Begins to note, or goes on, for this time from now; answers the end, Unix seconds.
    pub(crate) fn begin(&self, time: Duration) -> u64 {
        let now = self.now();
        let mut notes = self.notes();
        if notes.period.since == 0 {
            notes.period.since = now;
        }
        notes.period.until = now.saturating_add(time.as_secs());
        self.is_on.store(true, Ordering::Release);
        notes.period.until
    }

    /// Ends it; what was noted stays. Answers 0, as there is no end to come.
    pub(crate) fn end(&self) -> u64 {
        let now = self.now();
        let mut notes = self.notes();
        notes.period.until = notes.period.until.min(now);
        self.is_on.store(false, Ordering::Release);
        0
    }

    /// Lets go of what was noted.
    pub(crate) fn forget(&self) {
        *self.notes() = Notes::default();
        self.is_on.store(false, Ordering::Release);
    }

    /// Whether requests are noted.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Notes what a request demanded, and whether it was let in. Whoever shows nothing and is refused is not noted.
    pub(crate) fn note(&self, policy: &Policy, principal: &Principal, demand: &Demand, is_allowed: bool) {
        if principal.is_the_member() || (!is_allowed && principal.user().is_none()) {
            return;
        }
        let now = self.now();
        let mut notes = self.notes();
        if now >= notes.period.until {
            self.is_on.store(false, Ordering::Release);
            return;
        }
        let user = principal.user().unwrap_or_default();
        if !notes.users.contains_key(user) {
            if notes.users.len() >= LEARNED_USERS_MAX {
                notes.missed = notes.missed.saturating_add(1);
                return;
            }
            notes.users.insert(user.to_owned(), Noted::default());
        }
        if let Some(noted) = notes.users.get_mut(user) {
            let tally = if is_allowed { &mut noted.allowed } else { &mut noted.refused };
            tally.note(policy, demand);
        }
    }

    /// What was noted, of one user or of all; `from` this many on, ranges of one border become its prefix.
    pub(crate) fn learned(&self, only: Option<&str>, from: usize) -> Learned {
        let now = self.now();
        let notes = self.notes();
        let users = notes.users.iter().filter(|(user, _)| only.is_none_or(|only| only == *user));
        let told = |(user, noted): (&String, &Noted)| Used {
            user: user.clone(),
            allowed: noted.allowed.told(from),
            refused: noted.refused.told(from),
            missed: noted.allowed.missed(),
        };
        Learned {
            period: notes.period,
            is_on: self.is_on() && now < notes.period.until,
            users: users.map(told).collect(),
            missed: notes.missed,
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.clock.wall().unix_seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;
    use state::auth::{Accesses, Circumstances, Evidence};
    use types::{Key, KeyRange};

    fn of(user: &str) -> Principal {
        let evidence = Evidence::Token { user: user.into(), known: None };
        Policy::of_the_member().principal(&evidence, Circumstances::default())
    }

    fn reading(key: &'static str) -> Demand {
        Demand::Keys(Accesses::reading(KeyRange::single(Key::new(key.into()).unwrap())))
    }

    /// Somebody who forgets to end it has ended it: the clock does. And the member's own acts are nobody's needs.
    #[test]
    fn the_clock_ends_it() {
        let (simulated, clock, _) = Env::simulated(1);
        let learner = Learner::new(simulated.clock);
        let policy = Policy::of_the_member();
        learner.begin(Duration::from_secs(10));
        let member = policy.principal(&Evidence::Member, Circumstances::default());
        learner.note(&policy, &member, &reading("own"), true);
        learner.note(&policy, &of("a"), &reading("k"), true);
        clock.advance(Duration::from_secs(10));
        assert!(learner.is_on() && !learner.learned(None, 1).is_on);
        learner.note(&policy, &of("b"), &reading("k"), true);
        assert!(!learner.is_on());
        let users: Vec<_> = learner.learned(None, 1).users.into_iter().map(|used| used.user).collect();
        assert_eq!(users, ["a"]);
    }

    /// Certificates with ever new names must not fill the memory.
    #[test]
    fn users_are_limited_and_the_others_counted() {
        let (simulated, _, _) = Env::simulated(1);
        let learner = Learner::new(simulated.clock);
        let policy = Policy::of_the_member();
        learner.begin(Duration::from_secs(10));
        for number in 0..LEARNED_USERS_MAX + 3 {
            learner.note(&policy, &of(&number.to_string()), &reading("k"), true);
        }
        let learned = learner.learned(None, 1);
        assert_eq!((learned.users.len(), learned.missed), (LEARNED_USERS_MAX, 3));
    }
}
