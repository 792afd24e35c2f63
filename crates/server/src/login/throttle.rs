//! How fast somebody may guess passwords.
//!
//! Owns the failures of late, by source and user together, by source, and by user. After a few, the next try is refused
//! without looking at the password, for a time that doubles. A user's own failures count for less than a source's, so
//! that a stranger cannot lock a user out who comes from elsewhere.
//!
//! Invariant: at most `LOGIN_FAILURES_MAX` are remembered; for one more the oldest goes.

use quick_cache::sync::Cache;
use types::limits::LOGIN_FAILURES_MAX;

/// The longest that somebody has to wait, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;
/// The first wait, in milliseconds.
const WAIT_MS_FIRST: u64 = 250;

/// What failures are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum By {
    Both(String, String),
    Source(String),
    User(String),
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last_ms: u64,
}

/// The failures of late.
pub(crate) struct Throttle {
    failures: Cache<By, Failures>,
}

impl By {
    /// Failures that cost nothing.
    fn free(&self) -> u32 {
        match self {
            Self::Both(..) => 5,
            Self::Source(_) => 30,
            Self::User(_) => 100,
        }
    }

    fn all(source: &str, user: &str) -> [Self; 3] {
        [
            Self::Both(source.to_owned(), user.to_owned()),
            Self::Source(source.to_owned()),
            Self::User(user.to_owned()),
        ]
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self { failures: Cache::new(LOGIN_FAILURES_MAX) }
    }
}

impl Throttle {
    /// How long this source has to wait before it may try to log in as this user, in milliseconds; zero when it may.
    pub(crate) fn wait_ms(&self, source: &str, user: &str, now_ms: u64) -> u64 {
        let waits = By::all(source, user).into_iter().map(|by| {
            let Some(failures) = self.failures.get(&by) else { return 0 };
            let beyond = failures.count.saturating_sub(by.free());
            if beyond == 0 {
                return 0;
            }
            let wait = WAIT_MS_FIRST
                .checked_shl(beyond - 1)
                .unwrap_or(WAIT_MS_MAX)
                .clamp(WAIT_MS_FIRST, WAIT_MS_MAX);
            failures.last_ms.saturating_add(wait).saturating_sub(now_ms)
        });
        waits.max().unwrap_or(0)
    }

    /// A password was wrong.
    pub(crate) fn failed(&self, source: &str, user: &str, now_ms: u64) {
        for by in By::all(source, user) {
            let before = self.failures.get(&by).filter(|before| {
                // Who has been quiet for as long as the longest wait begins anew.
                now_ms.saturating_sub(before.last_ms) < WAIT_MS_MAX
            });
            let count = before.map_or(0, |before| before.count).saturating_add(1);
            self.failures.insert(by, Failures { count, last_ms: now_ms });
        }
    }

    /// A password was right: what this source got wrong for this user is forgotten.
    pub(crate) fn succeeded(&self, source: &str, user: &str) {
        self.failures.remove(&By::Both(source.to_owned(), user.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(throttle: &Throttle, times: u32, source: &str, user: &str) {
        (0..times).for_each(|_| throttle.failed(source, user, 0));
    }

    /// A few mistakes are human; then each costs twice the time of the one before, up to a minute, and being right or quiet
    /// for a minute ends it.
    #[test]
    fn guessing_gets_slower() {
        let throttle = Throttle::default();
        fail(&throttle, 5, "a", "alice");
        assert_eq!(throttle.wait_ms("a", "alice", 0), 0);
        fail(&throttle, 1, "a", "alice");
        assert_eq!((throttle.wait_ms("a", "alice", 0), throttle.wait_ms("a", "alice", 249)), (250, 1));
        assert_eq!(throttle.wait_ms("a", "alice", 250), 0);
        fail(&throttle, 1, "a", "alice");
        assert_eq!(throttle.wait_ms("a", "alice", 0), 500);
        fail(&throttle, 100, "a", "alice");
        assert_eq!(throttle.wait_ms("a", "alice", 0), 60_000);
        throttle.failed("a", "alice", 60_000);
        assert_eq!(throttle.wait_ms("a", "alice", 60_000), 0, "one after a minute's quiet is the first");
        fail(&throttle, 6, "b", "bob");
        throttle.succeeded("b", "bob");
        assert_eq!(throttle.wait_ms("b", "bob", 0), 0);
    }

    /// A stranger's guesses must not lock the user out who comes from elsewhere, unless they come from everywhere.
    #[test]
    fn one_source_cannot_lock_a_user_out() {
        let throttle = Throttle::default();
        fail(&throttle, 30, "evil", "alice");
        assert!(throttle.wait_ms("evil", "alice", 0) > 0);
        assert_eq!(throttle.wait_ms("home", "alice", 0), 0);
        assert_eq!(throttle.wait_ms("evil", "bob", 0), 0);
        fail(&throttle, 1, "evil", "carol");
        assert!(throttle.wait_ms("evil", "bob", 0) > 0, "a source that guesses at many");
        (0..101).for_each(|n| throttle.failed(&format!("s{n}"), "dave", 0));
        assert!(throttle.wait_ms("home", "dave", 0) > 0, "guesses from everywhere");
    }
}
